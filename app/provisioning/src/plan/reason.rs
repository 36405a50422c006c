use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::identity::PersonId;
use crate::lifecycle::{Step, Trigger};

/// Why an operation is planned. Its text is one sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Reason {
    /// Newly in scope. `through`: what includes the person.
    InScope { through: String },
    /// In scope again after we deleted the account.
    ProvisionedAnew { through: String },
    /// The app has an account with this user name.
    Matched { user_name: String },
    /// The person is new in the directory and takes over the address and the account of a deleted
    /// one, whose steps end.
    Relink { from: PersonId },
    /// Mapped values differ from what the app holds.
    Changed { attributes: Vec<String> },
    /// A trigger's step is due.
    Due {
        trigger: Trigger,
        step: Step,
        since: DateTime<Utc>,
        due_at: DateTime<Utc>,
        /// Why the app is off for the person, for that trigger.
        detail: Option<String>,
    },
    /// No trigger holds any more.
    CauseEnded,
    /// The same, of somebody whose attributes can't be sent as they are.
    CauseEndedOnly { problem: String },
}

impl Reason {
    pub fn code(&self) -> &'static str {
        match self {
            Self::InScope { .. } => "in_scope",
            Self::ProvisionedAnew { .. } => "provisioned_anew",
            Self::Matched { .. } => "matched",
            Self::Relink { .. } => "relink",
            Self::Changed { .. } => "changed",
            Self::Due { .. } => "due",
            Self::CauseEnded => "cause_ended",
            Self::CauseEndedOnly { .. } => "cause_ended_only",
        }
    }
}

impl Reason {
    /// Of a removal: the trigger, and since when it holds.
    pub fn cause(&self) -> Option<(Trigger, DateTime<Utc>)> {
        match self {
            Self::Due { trigger, since, .. } => Some((*trigger, *since)),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InScope { through } => f.write_str(through),
            Self::ProvisionedAnew { through } => {
                write!(f, "{through}, again in scope after the account was deleted")
            }
            Self::Matched { user_name } => {
                write!(f, "The app has an account with the user name {user_name}")
            }
            Self::Relink { from } => write!(
                f,
                "The account belonged to {from}, who was deleted from Google and had the same address"
            ),
            Self::Changed { attributes } => match attributes.as_slice() {
                [one] => write!(f, "{one} differs from the directory"),
                several => write!(f, "{} attributes differ from the directory", several.len()),
            },
            Self::Due {
                trigger,
                since,
                detail,
                ..
            } => {
                write!(f, "{trigger}")?;
                if let Some(detail) = detail {
                    write!(f, ": {detail}")?;
                }
                write!(f, ", seen {} UTC", since.format("%Y-%m-%d %H:%M"))
            }
            Self::CauseEnded => f.write_str("No reason to keep the account suspended is left"),
            Self::CauseEndedOnly { problem } => write!(
                f,
                "No reason to keep the account suspended is left; its attributes stay as they are: {problem}"
            ),
        }
    }
}
