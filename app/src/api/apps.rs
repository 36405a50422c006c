//! The catalogue, an app's page, how people sign in to it, and for whom it is on.

use super::{
    ApiError,
    terms::{AppHead, PersonRef, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogItem {
    pub id: String,
    pub name: String,
    pub description: String,
    /// `None`: the administrator enters it.
    pub endpoint: Option<String>,
    /// Names of the apps that were added from it.
    pub added: Vec<String>,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct AddAppForm {
    pub catalog: String,
    pub name: Option<String>,
    pub endpoint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppOverview {
    pub head: AppHead,
    pub sign_in: AppSignIn,
    pub access_people: u32,
    pub access_units_on: u32,
    pub access_units: u32,
    pub access_groups: u32,
    pub in_scope: Option<u32>,
    pub accounts: u32,
    pub last_run: Option<super::home::LastRun>,
    pub next_run: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInMethod {
    /// The app signs in with Google.
    Google,
    /// Through an identity provider of which the metadata is recorded.
    Saml,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSignIn {
    pub head: AppHead,
    pub method: Option<SignInMethod>,
    pub entity_id: Option<String>,
    pub sign_in_url: Option<String>,
    pub certificate_expires: Option<Time>,
    pub days_left: Option<i64>,
    pub recorded_at: Option<Time>,
    pub recorded_by: Option<String>,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct SignInForm {
    pub method: SignInMethod,
    /// XML.
    pub metadata: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessSetting {
    Inherit,
    On,
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub head: AppHead,
    /// In the tree's order.
    pub units: Vec<AccessUnit>,
    pub groups: Vec<AccessGroup>,
    /// People for whom the app is on.
    pub covered: u32,
    /// Those of them who can be provisioned.
    pub provisionable: u32,
    pub units_on: u32,
    pub directory_read: bool,
    /// A change waits for review.
    pub draft: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessUnit {
    pub id: String,
    pub path: String,
    pub name: String,
    pub depth: u32,
    pub setting: AccessSetting,
    /// As saved, when the draft differs.
    pub saved: AccessSetting,
    pub on: bool,
    /// Path of the unit from which it is inherited.
    pub from: Option<String>,
    pub people: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessGroup {
    pub id: String,
    pub name: String,
    pub email: String,
    pub people: Option<u32>,
    /// Of these, for whom the app would be off otherwise.
    pub gained: Option<u32>,
    pub new: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessForm {
    pub units: Vec<AccessInput>,
    /// Ids of groups.
    pub groups: Vec<String>,
    /// Id of a group.
    pub add: Option<String>,
    pub remove: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessInput {
    pub id: String,
    pub setting: AccessSetting,
}

/// Who is concerned when the draft is saved. Each person counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEffect {
    pub head: AppHead,
    pub changes: Vec<String>,
    pub covered_before: u32,
    pub covered_after: u32,
    pub effect: Effect,
}

/// Everybody of the directory, once: stays, enters, leaves, or is left out with the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub everybody: u32,
    pub stay: u32,
    pub enter: u32,
    pub leave: u32,
    /// At most 20 of each, with the reason.
    pub entering: Vec<(PersonRef, String)>,
    pub leaving: Vec<(PersonRef, String)>,
    /// Reason and number of people, most first.
    pub left_out: Vec<(String, u32)>,
    /// Autoprovisioning is on: leaving has consequences.
    pub live: bool,
    /// What becomes of the accounts of those who leave, a sentence each.
    pub consequences: Vec<String>,
    /// The change that was looked at, for the whole lists.
    pub compared: super::concerned::Compared,
}

#[server(endpoint = "catalog")]
pub async fn load_catalog() -> Result<Vec<CatalogItem>, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.catalog().await)
}

#[server(endpoint = "add_app")]
pub async fn add_app(
    catalog: String,
    #[server(default)] name: Option<String>,
    #[server(default)] endpoint: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let form = AddAppForm {
        catalog,
        name: super::filled(name),
        endpoint: super::filled(endpoint),
    };
    let slug = super::answer(services.apps.add(&actor, form).await)?;
    super::redirect_to(&format!("/apps/{slug}"));
    Ok(())
}

#[server(endpoint = "app_head")]
pub async fn load_app_head(slug: String) -> Result<AppHead, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.head(&slug).await)
}

#[server(endpoint = "app_overview")]
pub async fn load_app_overview(slug: String) -> Result<AppOverview, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.overview(&slug).await)
}

#[server(endpoint = "app_sign_in")]
pub async fn load_app_sign_in(slug: String) -> Result<AppSignIn, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.sign_in(&slug).await)
}

#[server(endpoint = "save_app_sign_in")]
pub async fn save_app_sign_in(
    slug: String,
    method: SignInMethod,
    #[server(default)] metadata: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let form = SignInForm {
        method,
        metadata: super::filled(metadata),
    };
    super::answer(services.apps.save_sign_in(&actor, &slug, form).await)?;
    super::redirect_to(&format!("/apps/{slug}/sign-in"));
    Ok(())
}

#[server(endpoint = "access")]
pub async fn load_access(slug: String) -> Result<Access, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.access(&slug).await)
}

/// `go` is the button: `review` or `find`; `add` and `removed` name a group by its id, `find`
/// holds letters of its name.
#[server(endpoint = "draft_access")]
#[allow(
    clippy::too_many_arguments,
    reason = "one for each control of the form"
)]
pub async fn draft_access(
    slug: String,
    #[server(default)] units: Vec<AccessInput>,
    #[server(default)] groups: Vec<String>,
    #[server(default)] add: Option<String>,
    #[server(default)] removed: Option<String>,
    #[server(default)] find: Option<String>,
    #[server(default)] go: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let form = AccessForm {
        units,
        groups,
        add: super::filled(add),
        remove: super::filled(removed),
    };
    let stays = form.add.is_some() || form.remove.is_some();
    super::answer(services.apps.draft_access(&actor, &slug, form).await)?;
    let letters = super::filled(find).filter(|_| !stays && go.as_deref() == Some("find"));
    let end = match letters {
        Some(letters) => format!("?find={}", crate::format::query_value(&letters)),
        None if !stays && go.as_deref() == Some("review") => "/review".to_owned(),
        None => String::new(),
    };
    super::redirect_to(&format!("/apps/{slug}/access{end}"));
    Ok(())
}

#[server(endpoint = "access_effect")]
pub async fn load_access_effect(slug: String) -> Result<AccessEffect, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.access_effect(&slug).await)
}

#[server(endpoint = "save_access")]
pub async fn save_access(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.apps.save_access(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/access"));
    Ok(())
}

#[server(endpoint = "discard_access")]
pub async fn discard_access(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.apps.discard_access(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/access"));
    Ok(())
}
