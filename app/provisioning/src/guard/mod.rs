//! The second pass over a stored plan. It does not trust the planner (S9.1, S9.6, S4.3).

mod hold;
mod lint;
mod order;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use hold::{GuardInput, GuardOutcome, HoldReason, Removal, check, first_held};
pub use lint::{LintProblem, lint};
pub use order::{levels, order};

use crate::identity::{AccountId, Person, PersonId, Standing};
use crate::lifecycle::{Lifecycle, Trigger};
use crate::plan::{Link, LinkState, OperationKind, PlannedOperation};

/// What the second pass needs to know of one operation; a row of it fits in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationSummary {
    pub person: PersonId,
    pub kind: OperationKind,
    pub account: Option<AccountId>,
    /// The user name that the account gets: of a create, and of whoever is renamed.
    pub user_name: Option<String>,
    pub standing: Standing,
    pub link: Option<LinkState>,
    pub trigger: Option<Trigger>,
    pub due_at: Option<DateTime<Utc>>,
    /// Triggers whose clocks run.
    pub triggers: Vec<Trigger>,
    pub protected: bool,
    /// Allowed by an administrator, or asked for now.
    pub allowed: bool,
    /// The person's manager in the directory.
    pub manager: Option<PersonId>,
    /// This person's operation has to go first.
    pub after: Option<PersonId>,
    /// The deleted person whose link moves.
    pub moves_from: Option<PersonId>,
}

impl OperationSummary {
    pub fn of(
        person: &Person,
        operation: &PlannedOperation,
        link: Option<&Link>,
        lifecycle: &Lifecycle,
        protected: bool,
        manager: Option<PersonId>,
    ) -> Self {
        let user_name = match operation.kind {
            OperationKind::Create => operation
                .body
                .as_ref()
                .and_then(|body| body.get("userName")),
            _ => (operation.changes.iter())
                .find(|change| change.attribute.eq_ignore_ascii_case("userName"))
                .and_then(|change| change.new.as_ref()),
        };
        Self {
            person: person.id.clone(),
            kind: operation.kind,
            account: operation.account.clone(),
            user_name: user_name.and_then(|name| name.as_str()).map(str::to_owned),
            standing: person.standing,
            link: link.map(|link| link.state),
            trigger: operation.precondition.cause,
            due_at: operation.due_at,
            triggers: lifecycle.triggers(),
            protected,
            allowed: operation.allowed,
            manager,
            after: operation.after.clone(),
            moves_from: operation.moves_from.clone(),
        }
    }
}
