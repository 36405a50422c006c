use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::config::Safety;
use crate::identity::PersonId;
use crate::plan::OperationKind;

/// A planned suspend or delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub person: PersonId,
    pub kind: OperationKind,
    pub due_at: DateTime<Utc>,
    /// Allowed by an administrator, or asked for now: not counted, not held.
    pub allowed: bool,
}

/// A run's removals and what they are weighed against.
#[derive(Debug, Clone)]
pub struct GuardInput<'a> {
    pub now: DateTime<Utc>,
    pub safety: &'a Safety,
    /// Accounts with a live link when the run began.
    pub linked_accounts: u64,
    /// Accounts that had one 24 hours before and were deleted by us since.
    pub deleted_last_24_hours: u64,
    pub removals: &'a [Removal],
    /// Removals carried out in the 24 hours before the run, without those that were allowed.
    pub removed_last_24_hours: u64,
    /// People whose removal an earlier run held and nobody decided yet.
    pub already_held: &'a BTreeSet<PersonId>,
    /// When the app was turned on or resumed after more than 24 hours, for the first run since.
    pub resumed_at: Option<DateTime<Utc>>,
    /// What the clock said in the last run.
    pub last_run_at: Option<DateTime<Utc>>,
    /// Creates of this run that nobody allowed.
    pub creates: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardOutcome {
    /// Whose removal is held for review, in the order of the plan.
    pub held: Vec<PersonId>,
    /// Why; empty when nothing is held.
    pub why: Vec<HoldReason>,
    /// All creates of the run are held.
    pub creates_held: bool,
    /// The clock is behind the last run's: no removal is carried out, and none is held (S6.8).
    pub clock_behind: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum HoldReason {
    /// More than `hold_count` and more than `hold_percent`.
    CountAndPercent {
        removals: u64,
        linked: u64,
        count: u32,
        percent: u32,
    },
    /// More than `hold_max`.
    Maximum {
        removals: u64,
        maximum: u32,
    },
    /// Every linked account of an app that has at least five.
    Everyone {
        linked: u64,
    },
    /// Held by an earlier run and not decided.
    Undecided {
        people: u64,
    },
    /// Overdue when the app was resumed after more than 24 hours.
    OverdueAfterPause {
        people: u64,
    },
    /// More creates than `hold_creates`.
    Creates {
        creates: u64,
        ceiling: u32,
    },
    ClockBehind,
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CountAndPercent {
                removals,
                linked,
                count,
                percent,
            } => write!(
                f,
                "{removals} removals of {linked} accounts in 24 hours, more than {count} and more than {percent} %"
            ),
            Self::Maximum { removals, maximum } => {
                write!(f, "{removals} removals in 24 hours, more than {maximum}")
            }
            Self::Everyone { linked } => {
                write!(f, "Every account would be removed, {linked} of {linked}")
            }
            Self::Undecided { people } => {
                write!(f, "{people} removals of earlier runs wait for a decision")
            }
            Self::OverdueAfterPause { people } => {
                write!(f, "{people} removals fell due while the app was off")
            }
            Self::Creates { creates, ceiling } => {
                write!(
                    f,
                    "{creates} accounts would be created in one run, more than {ceiling}"
                )
            }
            Self::ClockBehind => f.write_str(
                "The clock is behind the last run's, and no account is removed until it has caught up",
            ),
        }
    }
}

/// The smallest app of which "everyone" is said.
const SMALLEST_APP: u64 = 5;

/// From which removal within 24 hours on they are held, in an app with so many accounts. `None`:
/// not even the last one is.
pub fn first_held(safety: &Safety, accounts: u64) -> Option<u64> {
    // Multiplied out in `check`; here the first whole number above the percentage.
    let over_percent = u64::from(safety.hold_percent).saturating_mul(accounts) / 100 + 1;
    let over_both = (u64::from(safety.hold_count) + 1).max(over_percent);
    let first = over_both.min(u64::from(safety.hold_max) + 1);
    match accounts {
        SMALLEST_APP.. => Some(first.min(accounts)),
        _ => (first <= accounts).then_some(first),
    }
}

/// Which removals wait for review (S9.1, S6.8) and whether creates do (S9.6). Leave removals of
/// protected people out: they are never planned.
pub fn check(input: &GuardInput<'_>) -> GuardOutcome {
    let mut outcome = GuardOutcome::default();
    if let Some(ceiling) = input.safety.hold_creates
        && input.creates > u64::from(ceiling)
    {
        outcome.creates_held = true;
        outcome.why.push(HoldReason::Creates {
            creates: input.creates,
            ceiling,
        });
    }
    if input.last_run_at.is_some_and(|last| last > input.now) {
        outcome.clock_behind = true;
        outcome.why.push(HoldReason::ClockBehind);
        return outcome;
    }
    let counted: Vec<&Removal> = input
        .removals
        .iter()
        .filter(|removal| !removal.allowed)
        .collect();
    let (removals, linked) = (
        counted.len() as u64 + input.removed_last_24_hours,
        input.linked_accounts,
    );
    let Safety {
        hold_count,
        hold_percent,
        hold_max,
        ..
    } = *input.safety;
    let mut whole = Vec::new();
    if !counted.is_empty() {
        let over_count = removals > u64::from(hold_count);
        // Multiplied out: no rounding.
        let over_percent =
            u128::from(removals) * 100 > u128::from(hold_percent) * u128::from(linked);
        if over_count && over_percent {
            let (count, percent) = (hold_count, hold_percent);
            whole.push(HoldReason::CountAndPercent {
                removals,
                linked,
                count,
                percent,
            });
        }
        if removals > u64::from(hold_max) {
            whole.push(HoldReason::Maximum {
                removals,
                maximum: hold_max,
            });
        }
        // Who was deleted already is not linked any more and still is one of everybody.
        let everyone = linked + input.deleted_last_24_hours;
        if everyone >= SMALLEST_APP && removals >= everyone {
            whole.push(HoldReason::Everyone { linked: everyone });
        }
    }
    let undecided = |removal: &Removal| input.already_held.contains(&removal.person);
    let overdue = |removal: &Removal| input.resumed_at.is_some_and(|at| removal.due_at < at);
    let everything = !whole.is_empty();
    outcome.why.append(&mut whole);
    let people = counted.iter().filter(|removal| undecided(removal)).count() as u64;
    if people > 0 && !everything {
        outcome.why.push(HoldReason::Undecided { people });
    }
    let people = counted.iter().filter(|removal| overdue(removal)).count() as u64;
    if people > 0 {
        outcome.why.push(HoldReason::OverdueAfterPause { people });
    }
    outcome.held = counted
        .into_iter()
        .filter(|removal| everything || undecided(removal) || overdue(removal))
        .map(|removal| removal.person.clone())
        .collect();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + hour * 3600, 0).unwrap()
    }

    fn removals(count: usize) -> Vec<Removal> {
        (0..count)
            .map(|n| Removal {
                person: n.to_string().as_str().into(),
                kind: OperationKind::Suspend,
                due_at: at(0),
                allowed: false,
            })
            .collect()
    }

    /// Held people and the codes of the reasons, for `planned` removals of `linked` accounts.
    fn weigh(planned: &[Removal], linked: u64, earlier: u64) -> (usize, Vec<HoldReason>) {
        let outcome = check(&input(
            planned,
            linked,
            earlier,
            &Safety::default(),
            &BTreeSet::new(),
        ));
        (outcome.held.len(), outcome.why)
    }

    fn input<'a>(
        removals: &'a [Removal],
        linked_accounts: u64,
        removed_last_24_hours: u64,
        safety: &'a Safety,
        already_held: &'a BTreeSet<PersonId>,
    ) -> GuardInput<'a> {
        GuardInput {
            now: at(1),
            safety,
            linked_accounts,
            deleted_last_24_hours: 0,
            removals,
            removed_last_24_hours,
            already_held,
            resumed_at: None,
            last_run_at: None,
            creates: 0,
        }
    }

    #[test]
    fn removals_are_held_over_count_and_percent_together() {
        assert_eq!(
            weigh(&removals(11), 1000, 0),
            (0, vec![]),
            "over the count alone"
        );
        assert_eq!(
            weigh(&removals(10), 100, 0),
            (0, vec![]),
            "over the percentage alone"
        );
        let (held, why) = weigh(&removals(11), 100, 0);
        assert_eq!(held, 11);
        assert_eq!(
            why,
            [HoldReason::CountAndPercent {
                removals: 11,
                linked: 100,
                count: 10,
                percent: 5
            }]
        );
        assert_eq!(
            weigh(&removals(11), 220, 0).0,
            0,
            "exactly 5 percent is not more"
        );
        assert_eq!(weigh(&removals(11), 219, 0).0, 11);
    }

    #[test]
    fn removals_of_the_last_24_hours_count_too() {
        assert_eq!(weigh(&removals(1), 100, 9).0, 0);
        assert_eq!(weigh(&removals(1), 100, 10).0, 1);
        assert_eq!(
            weigh(&[], 100, 80),
            (0, vec![]),
            "nothing planned, nothing held"
        );
    }

    #[test]
    fn more_than_the_maximum_is_held_whatever_the_size() {
        assert_eq!(weigh(&removals(50), 100_000, 0).0, 0);
        assert_eq!(weigh(&removals(51), 100_000, 0).0, 51);
    }

    #[test]
    fn everybody_of_an_app_with_five_accounts_is_held() {
        assert_eq!(weigh(&removals(4), 4, 0).0, 0);
        assert_eq!(weigh(&removals(4), 5, 0).0, 0);
        let (held, why) = weigh(&removals(5), 5, 0);
        assert_eq!((held, why), (5, vec![HoldReason::Everyone { linked: 5 }]));
        assert_eq!(
            weigh(&removals(2), 5, 3).0,
            2,
            "together with those of the last 24 hours"
        );
    }

    #[test]
    fn everybody_includes_those_who_were_deleted_a_moment_ago() {
        let (planned, none) = (removals(2), BTreeSet::new());
        let safety = Safety::default();
        let mut input = input(&planned, 2, 3, &safety, &none);
        input.deleted_last_24_hours = 3;
        let outcome = check(&input);
        assert_eq!(outcome.held.len(), 2);
        assert_eq!(outcome.why, [HoldReason::Everyone { linked: 5 }]);
        input.deleted_last_24_hours = 4;
        assert_eq!(check(&input).held.len(), 0, "one of six is left");
    }

    #[test]
    fn allowed_removals_are_neither_counted_nor_held() {
        let mut planned = removals(12);
        for removal in &mut planned[..2] {
            removal.allowed = true;
        }
        assert_eq!(weigh(&planned, 100, 0).0, 0);
        planned[0].allowed = false;
        assert_eq!(weigh(&planned, 100, 0).0, 11);
    }

    #[test]
    fn a_held_removal_stays_held_until_it_is_decided() {
        let held = BTreeSet::from(["1".into()]);
        let planned = removals(3);
        let safety = Safety::default();
        let outcome = check(&input(&planned, 1000, 0, &safety, &held));
        assert_eq!(outcome.held, [PersonId::from("1")]);
        assert_eq!(outcome.why, [HoldReason::Undecided { people: 1 }]);
    }

    #[test]
    fn what_fell_due_while_the_app_was_off_is_held() {
        let mut planned = removals(2);
        planned[1].due_at = at(1);
        let (safety, none) = (Safety::default(), BTreeSet::new());
        let mut input = input(&planned, 1000, 0, &safety, &none);
        input.resumed_at = Some(at(1));
        assert_eq!(check(&input).held, [PersonId::from("0")]);
    }

    #[test]
    fn a_clock_behind_the_last_run_removes_nobody() {
        let planned = removals(2);
        let (safety, none) = (Safety::default(), BTreeSet::new());
        let mut input = input(&planned, 1000, 0, &safety, &none);
        input.last_run_at = Some(at(2));
        let outcome = check(&input);
        assert!(outcome.clock_behind && outcome.held.is_empty());
        input.last_run_at = Some(at(1));
        assert!(!check(&input).clock_behind);
    }

    #[test]
    fn the_first_removal_that_is_held_is_the_one_from_which_on_the_check_holds() {
        let none = BTreeSet::new();
        for (hold_count, hold_percent, hold_max) in [
            (10, 5, 50),
            (0, 0, 0),
            (3, 50, 4),
            (100, 100, 100),
            (2, 7, 9),
        ] {
            let safety = Safety {
                hold_count,
                hold_percent,
                hold_max,
                ..Safety::default()
            };
            for accounts in (0..=250).step_by(3) {
                let held = |count: usize| {
                    let planned = removals(count);
                    !check(&input(&planned, accounts, 0, &safety, &none))
                        .held
                        .is_empty()
                };
                let count = |n: u64| usize::try_from(n).unwrap();
                let first = (1..=accounts).find(|n| held(count(*n)));
                assert_eq!(
                    first_held(&safety, accounts),
                    first,
                    "{safety:?}, {accounts}"
                );
            }
        }
    }

    #[test]
    fn creates_have_a_ceiling_only_when_it_is_set() {
        let none = BTreeSet::new();
        let mut safety = Safety::default();
        let held = |safety: &Safety, creates| {
            check(&GuardInput {
                creates,
                ..input(&[], 0, 0, safety, &none)
            })
            .creates_held
        };
        assert!(!held(&safety, 100_000));
        safety.hold_creates = Some(20);
        assert!(!held(&safety, 20) && held(&safety, 21));
    }
}
