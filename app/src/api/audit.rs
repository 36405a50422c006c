//! The audit log.

use super::{
    ApiError,
    terms::{Change, OperationKind, Outcome, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// As in the address bar: text that nobody could understand finds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditQuery {
    pub q: Option<String>,
    /// One of [`LAST`].
    pub last: Option<String>,
    /// `2026-11-22`, or a time in RFC 3339.
    pub from: Option<String>,
    /// Inclusive when it is a day.
    pub to: Option<String>,
    /// The event's kebab-case key, or that of a group of events.
    pub event: Option<String>,
    /// Slug.
    pub app: Option<String>,
    /// Directory id or address.
    pub person: Option<String>,
    /// Address, or `rollcall`.
    pub actor: Option<String>,
    pub outcome: Option<Outcome>,
    /// The run's number (with `app`) or id.
    pub run: Option<String>,
    /// Event id: older ones than this.
    pub before: Option<String>,
    /// Event id: newer ones than this.
    pub after: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    pub rows: Vec<EventRow>,
    /// About how many match, when that is quick to know.
    pub about: Option<u64>,
    pub older: Option<String>,
    pub newer: Option<String>,
    /// Key and name of groups of events and of every kind of event.
    pub events: Vec<(String, String)>,
    /// Slug and name.
    pub apps: Vec<(String, String)>,
    /// The reader's own.
    pub saved: Vec<SavedFilter>,
    /// The zone whose days the filters mean.
    pub zone: String,
}

/// Filters that the reader keeps under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFilter {
    pub id: i64,
    pub name: String,
    /// As in the address of the log.
    pub query: String,
}

/// A stretch of time that ends now, or a month where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Hours(i64),
    ThisMonth,
    LastMonth,
}

/// What the log can be asked for by name: key, words and what is meant.
pub const LAST: [(&str, &str, When); 6] = [
    ("1h", "The last hour", When::Hours(1)),
    ("24h", "The last 24 hours", When::Hours(24)),
    ("7d", "The last 7 days", When::Hours(7 * 24)),
    ("30d", "The last 30 days", When::Hours(30 * 24)),
    ("month", "This month", When::ThisMonth),
    ("last-month", "Last month", When::LastMonth),
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    pub id: String,
    pub time: Time,
    pub key: String,
    /// "Create User By Auto Provisioning", "Signed in".
    pub name: String,
    pub outcome: Outcome,
    pub kind: Option<OperationKind>,
    /// "Rollcall" for the worker.
    pub actor: String,
    /// Slug and name.
    pub app: Option<(String, String)>,
    /// Directory id and name or address.
    pub person: Option<(String, String)>,
    /// One line: what changed or why it failed.
    pub summary: String,
    pub run: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDetail {
    pub row: EventRow,
    pub reason: Option<String>,
    pub account: Option<String>,
    pub changes: Vec<Change>,
    /// Method, path, headers and body; secrets removed.
    pub request: Option<String>,
    pub response: Option<String>,
    pub error: Option<String>,
    pub address: Option<String>,
    pub hash: Option<String>,
    pub previous_hash: Option<String>,
}

#[server(endpoint = "events")]
pub async fn load_events(#[server(default)] query: AuditQuery) -> Result<AuditPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    let zone = super::preferences::zone_of_reader();
    super::answer(services.audit.events(&actor, query, &zone).await)
}

/// Whoever reads may keep filters: they are their own, and change nothing for anybody else.
#[server(endpoint = "save_filter")]
pub async fn save_filter(name: String, #[server(default)] query: String) -> Result<(), ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.audit.save_filter(&actor, &name, &query).await)?;
    super::redirect_to(&format!("/audit?{query}"));
    Ok(())
}

#[server(endpoint = "forget_filter")]
pub async fn forget_filter(id: i64, #[server(default)] query: String) -> Result<(), ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.audit.forget_filter(&actor, id).await)?;
    super::redirect_to(&format!("/audit?{query}"));
    Ok(())
}

#[server(endpoint = "event")]
pub async fn load_event(id: String) -> Result<EventDetail, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.audit.event(&id).await)
}
