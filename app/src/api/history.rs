//! Every version of an app's configuration: who changed what, and putting one back.

use super::{
    ApiError,
    apps::Effect,
    terms::{AppHead, Change, Paging, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    pub head: AppHead,
    /// Newest first.
    pub versions: Vec<Version>,
    pub paging: Paging,
    pub may_change: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub number: i32,
    pub at: Time,
    pub by: String,
    /// Where it was changed.
    pub note: String,
    /// What changed since the version before, in a line.
    pub summary: String,
    pub current: bool,
}

/// Settings that differ, of one section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub title: String,
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    pub head: AppHead,
    pub old: Version,
    pub new: Version,
    pub newest: i32,
    /// Empty: they are the same.
    pub sections: Vec<Section>,
    pub may_change: bool,
}

/// What putting a version back would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    pub head: AppHead,
    pub version: Version,
    pub current: i32,
    /// From how it is now to how it would be.
    pub sections: Vec<Section>,
    /// Why it can't be put back as it is.
    pub problems: Vec<String>,
    /// From groups to none: everybody for whom the app is on gets an account.
    pub opens_to_everybody: bool,
    /// `None` before the directory was read.
    pub effect: Option<Effect>,
    /// Steps that would be due at once and are not now.
    pub due_at_once: u32,
    /// Steps that wait and get other dates.
    pub re_dated: u32,
    pub may_change: bool,
}

#[server(endpoint = "history")]
pub async fn load_history(slug: String, page: u32) -> Result<History, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.history.versions(&actor, &slug, page).await)
}

/// Without numbers: the newest version and the one before it.
#[server(endpoint = "compare_versions")]
pub async fn load_comparison(
    slug: String,
    old: Option<i32>,
    new: Option<i32>,
) -> Result<Comparison, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.history.compare(&actor, &slug, old, new).await)
}

#[server(endpoint = "restoring")]
pub async fn load_restoring(slug: String, version: i32) -> Result<Restoring, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.history.restoring(&actor, &slug, version).await)
}

/// `current` is the newest version as it was shown. Field `confirmed`.
#[server(endpoint = "restore_version")]
pub async fn restore_version(
    slug: String,
    version: i32,
    current: i32,
    #[server(default)] confirmed: bool,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let restored = (services.history).restore(&actor, &slug, version, current, confirmed);
    super::answer(restored.await)?;
    super::redirect_to(&format!("/apps/{slug}/history"));
    Ok(())
}
