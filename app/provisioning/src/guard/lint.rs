use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::OperationSummary;
use crate::identity::{PersonId, Standing};
use crate::plan::{LinkState, OperationKind};

/// An operation that no correct plan holds. It is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintProblem {
    pub person: PersonId,
    pub kind: OperationKind,
    /// Stable, kebab-case.
    pub code: std::borrow::Cow<'static, str>,
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
/// and accounts or user names that two people would share, of whom then nobody gets it.
pub fn lint(operations: &[OperationSummary], now: DateTime<Utc>) -> Vec<LintProblem> {
    let mut problems = Vec::new();
    let mut owners: BTreeMap<String, Vec<&PersonId>> = BTreeMap::new();
    for operation in operations {
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
    problems
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

/// What an operation takes for itself.
fn claims(operation: &OperationSummary) -> Vec<String> {
    match operation.kind {
        OperationKind::Create => operation
            .user_name
            .iter()
            .map(|name| format!("name:{}", name.to_lowercase()))
            .collect(),
        _ => operation
            .account
            .iter()
            .map(|account| format!("id:{account}"))
            .collect(),
    }
}
