//! Settings: how long the log is kept, when removals are held, and who is never removed.

use super::{
    ApiError,
    terms::{AppHead, OperationKind, PersonRef, Time, Trigger},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Every section of the settings in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsOverview {
    pub channels: u32,
    /// Of these, those whose last message did not arrive.
    pub failing: u32,
    /// What somebody was told of and is not over.
    pub open: u32,
    /// `None`: for ever.
    pub retention_days: Option<u32>,
    pub sessions: SessionLimits,
    pub apps: Vec<AppSafety>,
}

/// How long somebody stays signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimits {
    /// Without any use.
    pub idle_minutes: u32,
    /// In any case.
    pub longest_hours: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimitsPage {
    pub saved: SessionLimits,
    /// When they were changed last, and by whom.
    pub changed: Option<(Time, String)>,
    pub may_change: bool,
}

/// One app's thresholds and how many people are protected in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSafety {
    pub slug: String,
    pub name: String,
    /// `None` while the app is not configured.
    pub thresholds: Option<Thresholds>,
    pub protected: u32,
    pub accounts: u32,
}

/// When removals and creates wait for review (S9.1, S9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    pub count: u32,
    pub percent: u32,
    pub maximum: u32,
    /// `None`: creates are never held.
    pub creates: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdsPage {
    pub head: AppHead,
    pub saved: Thresholds,
    pub usual: Thresholds,
    /// Accounts in use, with those that were deleted within 24 hours.
    pub accounts: u32,
    /// Removals of the last 24 hours that count.
    pub removed: u32,
    /// Removals that are due within the next 24 hours and that nobody decided about.
    pub due: u32,
    /// Removals that wait for review already.
    pub waiting: u32,
    pub may_change: bool,
}

/// As typed.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct ThresholdsForm {
    pub count: String,
    pub percent: String,
    pub maximum: String,
    /// Empty: creates are never held.
    pub creates: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedPage {
    pub head: AppHead,
    pub people: Vec<ProtectedPerson>,
    /// Who was looked for, and who was found; at most 20.
    pub q: Option<String>,
    pub found: Vec<PersonRef>,
    pub may_change: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedPerson {
    /// The directory's id, or the address until a reading finds the id.
    pub key: String,
    pub person: PersonRef,
    /// Whether the directory, as it was last read, knows them.
    pub known: bool,
    /// What would happen to their account, were they not protected.
    pub waiting: Vec<WaitingStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingStep {
    pub operation: OperationKind,
    pub trigger: Trigger,
    pub due: Time,
}

/// The question before somebody is no longer protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnprotectPage {
    pub head: AppHead,
    pub person: ProtectedPerson,
    pub now: Time,
    pub may_change: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPage {
    /// `None`: for ever.
    pub days: Option<u32>,
    /// When it was changed last, and by whom.
    pub changed: Option<(Time, String)>,
    pub oldest_event: Option<Time>,
    /// Before this everything goes, by what is saved.
    pub kept_since: Option<Time>,
    pub may_change: bool,
}

#[server(endpoint = "settings_overview")]
pub async fn load_settings_overview() -> Result<SettingsOverview, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.settings.overview().await)
}

#[server(endpoint = "safety_of_apps")]
pub async fn load_safety_of_apps() -> Result<Vec<AppSafety>, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.safety.apps().await)
}

#[server(endpoint = "thresholds")]
pub async fn load_thresholds(slug: String) -> Result<ThresholdsPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.safety.thresholds(&actor, &slug).await)
}

/// Fields `count`, `percent`, `maximum`, `creates`.
#[server(endpoint = "save_thresholds")]
pub async fn save_thresholds(
    slug: String,
    #[server(default)] count: String,
    #[server(default)] percent: String,
    #[server(default)] maximum: String,
    #[server(default)] creates: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let form = ThresholdsForm {
        count,
        percent,
        maximum,
        creates: super::filled(creates),
    };
    super::answer(services.safety.save_thresholds(&actor, &slug, form).await)?;
    super::redirect_to("/settings/thresholds");
    Ok(())
}

#[server(endpoint = "protected")]
pub async fn load_protected(slug: String, q: Option<String>) -> Result<ProtectedPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    let q = super::filled(q);
    super::answer(services.safety.protected(&actor, &slug, q).await)
}

#[server(endpoint = "protect")]
pub async fn protect(slug: String, person: String) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.safety.protect(&actor, &slug, &person).await)?;
    super::redirect_to(&format!("/settings/protected/{slug}"));
    Ok(())
}

#[server(endpoint = "unprotecting")]
pub async fn load_unprotecting(slug: String, person: String) -> Result<UnprotectPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.safety.unprotecting(&actor, &slug, &person).await)
}

#[server(endpoint = "unprotect")]
pub async fn unprotect(slug: String, person: String) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.safety.unprotect(&actor, &slug, &person).await)?;
    super::redirect_to(&format!("/settings/protected/{slug}"));
    Ok(())
}

#[server(endpoint = "session_limits")]
pub async fn load_session_limits() -> Result<SessionLimitsPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.settings.session_limits(&actor).await)
}

/// Fields `idle_minutes`, `longest_hours`.
#[server(endpoint = "save_session_limits")]
pub async fn save_session_limits(
    #[server(default)] idle_minutes: String,
    #[server(default)] longest_hours: String,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let saved = (services.settings).save_session_limits(&actor, &idle_minutes, &longest_hours);
    super::answer(saved.await)?;
    super::redirect_to("/settings/sessions");
    Ok(())
}

#[server(endpoint = "retention")]
pub async fn load_retention() -> Result<RetentionPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.settings.retention(&actor).await)
}

/// Without `days` for ever. Fields `days`, `confirmed`.
#[server(endpoint = "save_retention")]
pub async fn save_retention(
    #[server(default)] days: Option<String>,
    #[server(default)] confirmed: bool,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let saved = (services.settings).save_retention(&actor, super::filled(days), confirmed);
    super::answer(saved.await)?;
    super::redirect_to("/settings/retention");
    Ok(())
}
