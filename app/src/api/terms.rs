//! Terms that several areas share.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub type Time = DateTime<Utc>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    SuperAdministrator,
    Auditor,
}

/// How autoprovisioning of an app stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum AppStatus {
    NotConfigured,
    Off,
    On,
    /// A run is under way.
    Running {
        run: i64,
    },
    /// On, and removals wait for review.
    Held {
        removals: u32,
    },
    Stopped {
        reason: StopReason,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    NeedsReauthorization,
    DirectoryChanged,
    /// A group or org unit of the scope can't be found or read.
    ScopeUnreadable,
    TooManyFailures,
    AppUnreachable,
    ByAdministrator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    Create,
    Link,
    Update,
    Suspend,
    Unsuspend,
    Delete,
}

/// How many people a plan or a run concerns, by operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub create: u32,
    pub link: u32,
    pub update: u32,
    pub suspend: u32,
    pub unsuspend: u32,
    pub delete: u32,
    pub unchanged: u32,
    pub skipped: u32,
}

impl Counts {
    /// Operations, without the unchanged and the skipped.
    #[must_use]
    pub fn operations(&self) -> u32 {
        self.create + self.link + self.update + self.suspend + self.unsuspend + self.delete
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    AppTurnedOff,
    Suspended,
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Ok,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRef {
    /// The directory's id.
    pub id: String,
    pub name: String,
    pub email: String,
}

/// One attribute's old and new value, as text; `None` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub attribute: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// A page of a longer list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    /// Counted from 1.
    pub page: u32,
    pub per_page: u32,
    pub total: u32,
}

/// What every page of one app shows above its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppHead {
    pub slug: String,
    pub name: String,
    /// Name of the catalogue entry.
    pub catalog: String,
    pub status: AppStatus,
    /// SSO is recorded; without it autoprovisioning can't be configured.
    pub sign_in_ready: bool,
    /// A set-up was begun and not finished.
    pub draft: bool,
}

impl AppHead {
    /// It was turned on once; sections are edited on their own.
    #[must_use]
    pub fn configured(&self) -> bool {
        self.status != AppStatus::NotConfigured
    }
}
