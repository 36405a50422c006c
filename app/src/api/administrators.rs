//! Who may sign in, and how this installation is.

use super::{
    ApiError,
    account::SessionView,
    terms::{Role, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administrator {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
    pub standing: Standing,
    pub second_factor: bool,
    pub created_at: Time,
    pub signed_in_at: Option<Time>,
    pub you: bool,
}

/// Whether an administrator can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Active,
    /// Has not chosen a password yet.
    Invited,
    Disabled,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdministratorPage {
    pub administrator: Administrator,
    pub sessions: Vec<SessionView>,
    /// The only super administrator who can sign in stays as they are.
    pub last: bool,
    pub may_change: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdministratorChange {
    MakeSuperAdministrator,
    MakeAuditor,
    Disable,
    Enable,
    ResetSecondFactor,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Label and value, read-only.
    pub sections: Vec<(String, Vec<(String, String)>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub version: String,
    /// The commit that it was built from, where who built it said so.
    pub build: Option<String>,
    pub started_at: Time,
    pub database: String,
    pub schema_version: i64,
    pub job_engine: String,
    pub workers: Vec<String>,
    pub demo: bool,
}

#[server(endpoint = "administrators")]
pub async fn load_administrators() -> Result<Vec<Administrator>, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.administrators.list(&actor).await)
}

#[server(endpoint = "administrator")]
pub async fn load_administrator(id: Uuid) -> Result<AdministratorPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.administrators.one(&actor, id).await)
}

/// Field `email`.
#[server(endpoint = "invite_administrator")]
pub async fn invite_administrator(email: String, role: Role) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let id = super::answer(services.administrators.invite(&actor, email, role).await)?;
    super::redirect_to(&format!("/shown-once?next=/administrators/{id}"));
    Ok(())
}

#[server(endpoint = "change_administrator")]
pub async fn change_administrator(id: Uuid, change: AdministratorChange) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.administrators.change(&actor, id, change).await)?;
    super::redirect_to(&format!("/administrators/{id}"));
    Ok(())
}

#[server(endpoint = "renew_administrator_link")]
pub async fn renew_administrator_link(id: Uuid) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.administrators.renew_link(&actor, id).await)?;
    super::redirect_to(&format!("/shown-once?next=/administrators/{id}"));
    Ok(())
}

#[server(endpoint = "remove_administrator")]
pub async fn remove_administrator(id: Uuid) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.administrators.remove(&actor, id).await)?;
    super::redirect_to("/administrators");
    Ok(())
}

/// Without `session`: every one of theirs.
#[server(endpoint = "revoke_administrator_session")]
pub async fn revoke_administrator_session(
    id: Uuid,
    #[server(default)] session: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let session = super::filled(session);
    super::answer(services.administrators.revoke(&actor, id, session).await)?;
    super::redirect_to(&format!("/administrators/{id}"));
    Ok(())
}

#[server(endpoint = "settings")]
pub async fn load_settings() -> Result<Settings, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.administrators.settings().await)
}

#[server(endpoint = "about")]
pub async fn load_about() -> Result<About, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.administrators.about().await)
}
