//! Autoprovisioning of one app: how it is, what it does, turning it off, taking it away.

use super::{
    ApiError,
    runs::Run,
    terms::{AppHead, Time},
    usage::Usage,
    wizard::{MappingView, PolicyView, ScopeGroup, Step},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoprovisioningPage {
    pub head: AppHead,
    /// `None` while not configured.
    pub configured: Option<Box<Configured>>,
    /// Set-up that was begun.
    pub draft_done: Vec<Step>,
    pub directory_read: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    pub stopped_since: Option<Time>,
    pub last_run: Option<super::home::LastRun>,
    pub next_run: Option<Time>,
    pub interval_minutes: u32,
    pub accounts: u32,
    pub active: u32,
    pub suspended: u32,
    pub queue: u32,
    pub due_in_24_hours: u32,
    pub next_due: Option<Time>,
    /// Removals that wait for review.
    pub held: u32,
    pub failures: u32,
    /// While one is under way.
    pub running: Option<Box<Run>>,

    pub endpoint: String,
    pub token_accepted_at: Option<Time>,
    pub token_entered_by: Option<String>,
    pub token_entered_at: Option<Time>,
    pub requests_per_minute: u32,
    pub concurrency: u32,

    pub mapping: Vec<MappingView>,
    /// Empty: everybody for whom the app is on.
    pub groups: Vec<ScopeGroup>,
    pub in_scope: u32,
    pub everybody: u32,
    pub policies: Vec<PolicyView>,
    /// Sections whose edit waits to be reviewed.
    pub edited: Vec<Step>,
}

#[server(endpoint = "autoprovisioning")]
pub async fn load_autoprovisioning(slug: String) -> Result<AutoprovisioningPage, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.autoprovisioning.overview(&slug).await)
}

/// How autoprovisioning is, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoprovisioningStatus {
    pub page: AutoprovisioningPage,
    /// `None` while not configured.
    pub usage: Option<Usage>,
}

#[server(endpoint = "autoprovisioning_status")]
pub async fn load_autoprovisioning_status(
    slug: String,
) -> Result<AutoprovisioningStatus, ApiError> {
    let page = load_autoprovisioning(slug.clone()).await?;
    let usage = match &page.configured {
        Some(_) => Some(super::usage::load_usage(slug).await?),
        None => None,
    };
    Ok(AutoprovisioningStatus { page, usage })
}

#[server(endpoint = "turn_on")]
pub async fn turn_on(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.autoprovisioning.turn_on(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}

#[server(endpoint = "turn_off")]
pub async fn turn_off(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.autoprovisioning.turn_off(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}

#[server(endpoint = "delete_configuration")]
pub async fn delete_configuration(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(
        services
            .autoprovisioning
            .delete_configuration(&actor, &slug)
            .await,
    )?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}
