//! The first page: what needs somebody, and how the apps are.

use super::{
    ApiError,
    terms::{AppStatus, Counts, StopReason, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    pub now: Time,
    pub directory_connected: bool,
    pub directory_read: bool,
    /// Worst first: stopped, held, paused, failed, to decide, due soon, expiring, untold.
    pub attention: Vec<Attention>,
    pub apps: Vec<HomeApp>,
    pub next_run: Option<Time>,
    pub roll: Vec<Roll>,
}

/// Everybody of the directory, counted once, as one app sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    pub slug: String,
    pub app: String,
    pub accounts: u32,
    pub created_next: u32,
    pub failing: u32,
    pub leaving: u32,
    pub left_out: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// `None` for the directory itself.
    pub app: Option<(String, String)>,
    pub kind: AttentionKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum AttentionKind {
    Stopped {
        reason: StopReason,
        since: Time,
        waiting: u32,
    },
    Held {
        removals: u32,
        /// More in one run than the ceiling allows.
        creates: u32,
        of: u32,
    },
    /// Most of what was sent failed; nothing is sent until then.
    Paused {
        until: Time,
    },
    /// People about whose account only somebody decides.
    Undecided {
        people: u32,
    },
    Failing {
        people: u32,
        next_try: Option<Time>,
    },
    DueSoon {
        suspensions: u32,
        deletions: u32,
        first: Time,
    },
    CertificateExpires {
        on: Time,
        days: i64,
    },
    ImportFailed {
        at: Time,
        reason: String,
        next_try: Option<Time>,
    },
    DirectoryChanged,
    /// A channel of notifications whose last message did not arrive.
    NotTold {
        id: String,
        channel: String,
        since: Time,
        error: String,
    },
    /// No channel is on, so whatever happens is seen here only.
    NobodyTold,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeApp {
    pub slug: String,
    pub name: String,
    pub catalog: String,
    pub status: AppStatus,
    pub sign_in_ready: bool,
    pub last_run: Option<LastRun>,
    pub next_run: Option<Time>,
    /// Nothing is sent before this.
    pub paused_until: Option<Time>,
    /// Suspended ones included.
    pub accounts: u32,
    pub suspended: u32,
    pub due_in_24_hours: u32,
    pub failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    pub number: i64,
    pub at: Time,
    pub seconds: Option<u32>,
    pub done: Counts,
    pub held: u32,
    pub failed: u32,
}

#[server(endpoint = "home")]
pub async fn load_home() -> Result<Home, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.home.home(&actor).await)
}
