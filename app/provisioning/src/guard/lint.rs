use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::OperationSummary;
use crate::identity::{AccountId, PersonId, Standing, same_address};
use crate::plan::{LinkState, OperationKind};

/// An operation that no correct plan holds. It is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintProblem {
    pub person: PersonId,
    pub kind: OperationKind,
    /// Stable, kebab-case.
    pub code: std::borrow::Cow<'static, str>,
}

impl LintProblem {
    /// Why it is not sent, in a sentence for people.
    pub fn sentence(&self) -> &'static str {
        match self.code.as_ref() {
            "account-claimed-twice" => {
                "Conflict: somebody else would get the same account or user name, so neither does. Give them different values in the directory or in the mapping."
            }
            "link-moved" => {
                "The account moves to a new person with the same address, so this step ends."
            }
            "rename-not-planned" => {
                "Conflict: the user name belongs to the account of somebody else, who is not renamed in this run."
            }
            "protected" => "The person is protected.",
            "before-due" => "The step is not due yet.",
            "without-trigger" => "No cause holds for this removal.",
            "not-managed" => "Archived and unknown people are left as they are.",
            "not-active" => "The person is not active in Google.",
            "trigger-holds" => "A cause to end the account holds.",
            "gone-account" => "The account is gone from the app, and nobody decided what to do.",
            _ => "The step does not fit the account's link.",
        }
    }
}

impl fmt::Display for LintProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} is not sent: {}",
            self.kind, self.person, self.code
        )
    }
}

/// Finds what must not be in a plan: removals without a cause, before their time, of people who
/// are protected, archived or unknown, or without a link; operations that their link contradicts;
/// operations on an account whose link moves to another person; accounts or user names that two
/// people would share, of whom then nobody gets it; and creates that wait for a rename which is not
/// in the plan.
pub fn lint(operations: &[OperationSummary], now: DateTime<Utc>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    let moved: BTreeSet<(&PersonId, &AccountId)> = (operations.iter())
        .filter_map(|operation| Some((operation.moves_from.as_ref()?, operation.account.as_ref()?)))
        .collect();
    let mut owners: BTreeMap<String, Vec<&PersonId>> = BTreeMap::new();
    for operation in operations
        .iter()
        .filter(|operation| !is_moved(operation, &moved))
    {
        for claim in claims(operation) {
            let people = owners.entry(claim).or_default();
            if !people.contains(&&operation.person) {
                people.push(&operation.person);
            }
        }
    }
    let links: Vec<&PersonId> = (operations.iter())
        .filter(|operation| operation.kind == OperationKind::Link)
        .map(|operation| &operation.person)
        .collect();
    for operation in operations {
        let mut found = |code: &'static str| {
            problems.push(LintProblem {
                person: operation.person.clone(),
                kind: operation.kind,
                code: code.into(),
            });
        };
        if matches!(operation.standing, Standing::Archived | Standing::Unknown) {
            found("not-managed");
        }
        if operation.kind.is_removal() {
            removal(operation, now, &mut found);
        } else {
            if operation.standing != Standing::Active {
                found("not-active");
            }
            if !operation.triggers.is_empty() {
                found("trigger-holds");
            }
        }
        if is_moved(operation, &moved) {
            found("link-moved");
        }
        let live = operation.link.is_some_and(LinkState::is_live);
        let linked_before = links.contains(&&operation.person);
        match operation.kind {
            OperationKind::Create | OperationKind::Link if live => found("already-linked"),
            OperationKind::Link if operation.account.is_none() => found("without-account"),
            OperationKind::Create | OperationKind::Link
                if operation.link == Some(LinkState::Gone) =>
            {
                found("gone-account");
            }
            OperationKind::Update
                if !linked_before && operation.link != Some(LinkState::Active) =>
            {
                found("without-link");
            }
            OperationKind::Unsuspend
                if !linked_before && operation.link != Some(LinkState::SuspendedByUs) =>
            {
                found("not-suspended-by-us");
            }
            _ => {}
        }
        let shared = claims(operation)
            .iter()
            .any(|claim| owners.get(claim).is_some_and(|people| people.len() > 1));
        if shared {
            found("account-claimed-twice");
        }
    }
    let waiting = never_freed(operations, &problems);
    problems.extend(waiting);
    problems
}

/// Creates after somebody's rename, when no rename that is sent frees the user name.
fn never_freed(operations: &[OperationSummary], problems: &[LintProblem]) -> Vec<LintProblem> {
    let stopped: BTreeSet<&PersonId> = problems.iter().map(|problem| &problem.person).collect();
    let renamed: BTreeMap<&PersonId, &str> = (operations.iter())
        .filter(|one| matches!(one.kind, OperationKind::Update | OperationKind::Unsuspend))
        .filter(|one| !stopped.contains(&one.person))
        .filter_map(|one| Some((&one.person, one.user_name.as_deref()?)))
        .collect();
    operations
        .iter()
        .filter(|one| !stopped.contains(&one.person))
        .filter(|one| {
            let wanted = one.user_name.as_deref().unwrap_or_default();
            one.after.as_ref().is_some_and(|person| {
                renamed
                    .get(person)
                    .is_none_or(|name| same_address(name, wanted))
            })
        })
        .map(|one| LintProblem {
            person: one.person.clone(),
            kind: one.kind,
            code: "rename-not-planned".into(),
        })
        .collect()
}

fn removal(operation: &OperationSummary, now: DateTime<Utc>, found: &mut impl FnMut(&'static str)) {
    match operation.trigger {
        None => found("without-trigger"),
        Some(trigger) if !operation.triggers.contains(&trigger) => found("without-trigger"),
        Some(_) => {}
    }
    match operation.due_at {
        Some(due_at) if due_at <= now => {}
        _ => found("before-due"),
    }
    if operation.protected {
        found("protected");
    }
    match (operation.kind, operation.link) {
        (OperationKind::Suspend, Some(LinkState::Active)) => {}
        (OperationKind::Delete, Some(state)) if state.is_live() => {}
        _ => found("without-link"),
    }
}

/// Whether the link that the operation uses moves to another person in the same plan.
fn is_moved(operation: &OperationSummary, moved: &BTreeSet<(&PersonId, &AccountId)>) -> bool {
    operation
        .account
        .as_ref()
        .is_some_and(|account| moved.contains(&(&operation.person, account)))
}

/// What an operation takes for itself: an account, and a user name when it gets another one.
fn claims(operation: &OperationSummary) -> Vec<String> {
    let name = (operation.user_name.iter()).map(|name| format!("name:{}", name.to_lowercase()));
    let account = (operation.account.iter())
        .filter(|_| operation.kind != OperationKind::Create)
        .map(|account| format!("id:{account}"));
    name.chain(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Trigger;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn suspend() -> OperationSummary {
        OperationSummary {
            person: "1".into(),
            kind: OperationKind::Suspend,
            account: Some("a".into()),
            user_name: None,
            standing: Standing::Suspended,
            link: Some(LinkState::Active),
            trigger: Some(Trigger::Suspended),
            due_at: Some(now()),
            triggers: vec![Trigger::Suspended],
            protected: false,
            allowed: false,
            manager: None,
            after: None,
            moves_from: None,
        }
    }

    fn create(person: &str, user_name: &str) -> OperationSummary {
        OperationSummary {
            person: person.into(),
            kind: OperationKind::Create,
            account: None,
            user_name: Some(user_name.into()),
            standing: Standing::Active,
            link: None,
            trigger: None,
            due_at: None,
            triggers: vec![],
            ..suspend()
        }
    }

    fn codes(operations: &[OperationSummary]) -> Vec<String> {
        let problems = lint(operations, now());
        problems
            .iter()
            .map(|problem| format!("{} {}", problem.person, problem.code))
            .collect()
    }

    #[test]
    fn a_removal_needs_a_cause_its_time_and_a_link() {
        assert_eq!(codes(&[suspend()]), [""; 0]);
        let early = Some(now() + chrono::TimeDelta::seconds(1));
        for (wrong, code) in [
            (
                OperationSummary {
                    trigger: None,
                    ..suspend()
                },
                "1 without-trigger",
            ),
            (
                OperationSummary {
                    triggers: vec![Trigger::Deleted],
                    ..suspend()
                },
                "1 without-trigger",
            ),
            (
                OperationSummary {
                    due_at: early,
                    ..suspend()
                },
                "1 before-due",
            ),
            (
                OperationSummary {
                    due_at: None,
                    ..suspend()
                },
                "1 before-due",
            ),
            (
                OperationSummary {
                    protected: true,
                    ..suspend()
                },
                "1 protected",
            ),
            (
                OperationSummary {
                    standing: Standing::Archived,
                    ..suspend()
                },
                "1 not-managed",
            ),
            (
                OperationSummary {
                    standing: Standing::Unknown,
                    ..suspend()
                },
                "1 not-managed",
            ),
            (
                OperationSummary {
                    link: None,
                    ..suspend()
                },
                "1 without-link",
            ),
            (
                OperationSummary {
                    link: Some(LinkState::SuspendedByUs),
                    ..suspend()
                },
                "1 without-link",
            ),
            (
                OperationSummary {
                    link: Some(LinkState::Gone),
                    kind: OperationKind::Delete,
                    ..suspend()
                },
                "1 without-link",
            ),
        ] {
            assert_eq!(codes(&[wrong]), [code]);
        }
    }

    #[test]
    fn nothing_is_given_while_a_trigger_holds_or_to_the_inactive() {
        let of = |standing, triggers: Vec<Trigger>| {
            codes(&[OperationSummary {
                standing,
                triggers,
                ..create("1", "u")
            }])
        };
        assert_eq!(of(Standing::Active, vec![]), [""; 0]);
        assert_eq!(of(Standing::Suspended, vec![]), ["1 not-active"]);
        assert_eq!(
            of(Standing::Active, vec![Trigger::AppTurnedOff]),
            ["1 trigger-holds"]
        );
    }

    #[test]
    fn operations_fit_the_state_of_their_link() {
        let with = |kind, link| {
            let account = Some("a".into());
            codes(&[OperationSummary {
                kind,
                link,
                account,
                ..create("1", "u")
            }])
        };
        use LinkState as L;
        use OperationKind as K;
        assert_eq!(with(K::Create, Some(L::Active)), ["1 already-linked"]);
        assert_eq!(with(K::Create, Some(L::Deleted)), [""; 0]);
        assert_eq!(with(K::Create, Some(L::Gone)), ["1 gone-account"]);
        assert_eq!(with(K::Update, None), ["1 without-link"]);
        assert_eq!(with(K::Update, Some(L::SuspendedByUs)), ["1 without-link"]);
        assert_eq!(
            with(K::Unsuspend, Some(L::Active)),
            ["1 not-suspended-by-us"]
        );
        assert_eq!(with(K::Unsuspend, Some(L::SuspendedByUs)), [""; 0]);
    }

    #[test]
    fn an_account_claimed_by_two_people_goes_to_nobody() {
        let two = [
            create("1", "Ann@example.com"),
            create("2", "ann@example.com"),
            create("3", "b@example.com"),
        ];
        assert_eq!(
            codes(&two),
            ["1 account-claimed-twice", "2 account-claimed-twice"]
        );
    }

    fn rename(person: &str, account: &str, user_name: &str) -> OperationSummary {
        OperationSummary {
            kind: OperationKind::Update,
            account: Some(account.into()),
            link: Some(LinkState::Active),
            ..create(person, user_name)
        }
    }

    #[test]
    fn a_user_name_that_one_is_renamed_to_and_another_created_with_goes_to_nobody() {
        assert_eq!(
            codes(&[rename("1", "a", "x"), create("2", "X")]),
            ["1 account-claimed-twice", "2 account-claimed-twice"]
        );
        assert_eq!(
            codes(&[rename("1", "a", "x"), rename("2", "b", "x")]).len(),
            2
        );
    }

    #[test]
    fn a_create_waits_only_for_a_rename_that_is_planned() {
        let newcomer = OperationSummary {
            after: Some("1".into()),
            ..create("2", "u")
        };
        let alone = std::slice::from_ref(&newcomer);
        assert_eq!(codes(alone), ["2 rename-not-planned"]);
        let freed = [rename("1", "a", "new"), newcomer.clone()];
        assert_eq!(codes(&freed), [""; 0]);
        let not_freed = OperationSummary {
            user_name: None,
            ..rename("1", "a", "u")
        };
        assert_eq!(
            codes(&[not_freed, newcomer.clone()]),
            ["2 rename-not-planned"]
        );
        let stopped = [rename("1", "a", "new"), rename("3", "c", "new"), newcomer];
        assert_eq!(
            codes(&stopped),
            [
                "1 account-claimed-twice",
                "3 account-claimed-twice",
                "2 rename-not-planned"
            ]
        );
    }

    #[test]
    fn a_link_that_moves_ends_the_old_persons_steps() {
        let moves = OperationSummary {
            kind: OperationKind::Link,
            account: Some("a".into()),
            moves_from: Some("1".into()),
            ..create("2", "u")
        };
        assert_eq!(codes(&[suspend(), moves]), ["1 link-moved"]);
    }
}
