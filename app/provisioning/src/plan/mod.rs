//! What is to be done for one person: a total function, and its result as data (S8.1).

mod operation;
mod person;
mod reason;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::CatalogEntry;
use crate::config::AppConfig;
use crate::digest::Digest;
use crate::identity::{AccountId, Person, PersonId};
use crate::lifecycle::{Causes, DueStep, Lifecycle, Trigger};
use crate::mapping::{ManagerAccount, PreparedMapping};
use crate::matching::Match;
use crate::scope::{DirectoryFacts, GroupMemberships, Resolved, Rule, RuleResult};

pub use operation::{OperationKind, PlannedOperation, Precondition, acknowledge};
pub use person::plan_person;
pub use reason::Reason;

/// What is the same for everybody in one run. Made once per run.
#[derive(Debug)]
pub struct PlanContext<'a> {
    pub now: DateTime<Utc>,
    /// When what is first seen now counts as seen: never before the last run's time, so that nothing
    /// comes early once a clock that was behind is put right (S6.8).
    pub observed_at: DateTime<Utc>,
    pub config: &'a AppConfig,
    pub entry: &'a CatalogEntry,
    pub resolved: Resolved,
    pub mapping: PreparedMapping,
}

impl<'a> PlanContext<'a> {
    /// Check [`crate::scope::unresolved`] first: what it names is left out here.
    pub fn new(
        now: DateTime<Utc>,
        config: &'a AppConfig,
        entry: &'a CatalogEntry,
        facts: &DirectoryFacts,
    ) -> Self {
        Self {
            now,
            observed_at: now,
            config,
            entry,
            resolved: Resolved::new(config, facts),
            mapping: PreparedMapping::new(&config.mapping, entry),
        }
    }

    /// After a run at `last_run_at`, which the clock may be behind.
    #[must_use]
    pub fn after(mut self, last_run_at: Option<DateTime<Utc>>) -> Self {
        self.observed_at = last_run_at.map_or(self.now, |last| last.max(self.now));
        self
    }
}

/// Everything about one person that the plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PersonInput<'a> {
    pub context: &'a PlanContext<'a>,
    pub person: &'a Person,
    /// Of the groups that access or scope name.
    pub memberships: &'a GroupMemberships,
    pub link: Option<&'a Link>,
    pub lifecycle: &'a Lifecycle,
    /// Only asked when there is no live link.
    pub matching: &'a Match,
    pub manager: &'a ManagerAccount,
    pub failure: Option<&'a ExistingFailure>,
}

/// The tie between a person and an account of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub account_id: AccountId,
    pub state: LinkState,
    /// The mapped body that the app acknowledged last, whatever it kept of it.
    pub last_body: Option<Value>,
}

impl Link {
    pub fn body_hash(&self) -> Option<Digest> {
        self.last_body.as_ref().map(Digest::of_json)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    Active,
    /// Rollcall suspended it, confirmed by the app.
    SuspendedByUs,
    /// Rollcall deleted it, confirmed by the app.
    Deleted,
    /// The app does not have it any more; nothing happens before an administrator decides.
    Gone,
}

impl LinkState {
    pub const ALL: [Self; 4] = [Self::Active, Self::SuspendedByUs, Self::Deleted, Self::Gone];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::SuspendedByUs => "suspended_by_us",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether there is an account that can be changed.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::SuspendedByUs)
    }
}

/// An operation of an earlier run that failed and is not to be sent again yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExistingFailure {
    pub kind: OperationKind,
    /// Hash of the body that failed; another body is tried at once.
    pub body: Option<Digest>,
    /// Of a removal: the trigger, and since when it held. Another one is tried at once.
    pub cause: Option<(Trigger, DateTime<Utc>)>,
    /// Not tried again before something changes or somebody asks.
    pub permanent: bool,
    /// When it may be tried again, at the earliest.
    pub retry_at: Option<DateTime<Utc>>,
    /// An administrator chose to ignore it.
    pub ignored: bool,
    /// The plain cause, for people.
    pub message: String,
}

impl ExistingFailure {
    /// Whether an operation is the one that failed, and not another of the same kind.
    pub fn is_of(&self, operation: &PlannedOperation) -> bool {
        // A database keeps microseconds.
        let of = |cause: Option<(Trigger, DateTime<Utc>)>| {
            cause.map(|(trigger, since)| (trigger, since.timestamp_micros()))
        };
        self.kind == operation.kind
            && if operation.kind.is_removal() {
                of(self.cause) == of(operation.reason.cause())
            } else {
                self.body == operation.body_hash()
            }
    }
}

/// The plan for one person. Serialized, it is what a preview shows and a run applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonPlan {
    pub person: PersonId,
    /// In the order in which they are sent; empty unless planned.
    pub operations: Vec<PlannedOperation>,
    pub outcome: PlanOutcome,
    /// To be stored with the plan: clocks as after this import.
    pub lifecycle: Lifecycle,
    /// What the clocks followed; for applying it to clocks that were changed meanwhile.
    pub causes: Causes,
    /// The earliest pending step.
    pub next: Option<DueStep>,
    /// Address of the manager who gets an account in this run; plan this person again afterwards.
    pub awaits_manager: Option<String>,
    /// Rule by rule, for explain.
    pub trace: Vec<RuleResult>,
}

impl PersonPlan {
    /// Whether the plan comes to nothing and stays so for as long as nobody writes anything about
    /// the person: no clock runs, nothing is awaited or looked up, no failure waits for its time.
    /// `before` are the clocks that it was made with.
    pub fn rests(&self, link: Option<LinkState>, before: &Lifecycle) -> bool {
        let still = Lifecycle::default();
        if *before != still || self.lifecycle != still || self.awaits_manager.is_some() {
            return false;
        }
        match (&self.outcome, link) {
            (PlanOutcome::Unchanged, Some(LinkState::Active)) => true,
            (PlanOutcome::Skipped(skip), None) => skip.rule.rests(),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanOutcome {
    Planned,
    /// The app holds what it shall hold.
    Unchanged,
    Skipped(Skip),
    /// Look the user name up, then plan again with the match.
    NeedsLookup {
        user_name: String,
    },
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    pub rule: Rule,
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_can_be_shared_between_threads() {
        fn shareable<T: Send + Sync>() {}
        shareable::<PlanContext<'_>>();
        shareable::<PersonPlan>();
    }
}
