//! Demo only: change the emulated directory and watch what follows.

use super::{ApiError, directory::PersonState, terms::Paging};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What opens the emulators and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoCredentials {
    pub key: String,
    pub admin_email: String,
    pub directory_endpoint: String,
    pub app_endpoint: String,
    pub app_token: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoQuery {
    pub q: Option<String>,
    pub person: Option<String>,
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoPage {
    pub people: Vec<DemoPerson>,
    pub paging: Paging,
    pub chosen: Option<DemoPerson>,
    pub org_units: Vec<String>,
    /// Slug and name of the apps that can be run now.
    pub apps: Vec<(String, String)>,
}

/// A person of the emulated directory, with the account that the emulated app has for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoPerson {
    pub id: String,
    pub given_name: String,
    pub family_name: String,
    pub email: String,
    pub title: Option<String>,
    pub org_unit: String,
    pub state: PersonState,
    pub account: Option<DemoAccount>,
}

/// As the emulated app holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoAccount {
    pub id: String,
    pub user_name: String,
    pub name: String,
    pub title: Option<String>,
    pub active: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "deed")]
pub enum DemoDeed {
    Rename {
        given_name: String,
        family_name: String,
    },
    ChangeEmail {
        email: String,
    },
    ChangeTitle {
        title: String,
    },
    Move {
        org_unit: String,
    },
    Suspend,
    Restore,
    Archive,
    Unarchive,
    Delete,
    Undelete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoChange {
    pub person: String,
    pub deed: DemoDeed,
}

/// What the form of a demo is filled in with, where somebody asks for it.
#[cfg(feature = "ssr")]
pub(super) async fn credentials_to_fill_in(
    frame: &super::shell::Frame,
    fill: bool,
) -> Result<Option<DemoCredentials>, ApiError> {
    if !(fill && frame.demo) {
        return Ok(None);
    }
    let (_, services) = super::super_administrator()?;
    super::answer(demo(&services)?.credentials().await).map(Some)
}

#[server(endpoint = "demo_directory")]
pub async fn load_demo_directory(
    #[server(default)] query: DemoQuery,
) -> Result<DemoPage, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(demo(&services)?.directory(query).await)
}

/// `deed` is the button; the other arguments are the form's controls.
#[server(endpoint = "change_demo")]
#[allow(
    clippy::too_many_arguments,
    reason = "one for each control of the form"
)]
pub async fn change_demo(
    person: String,
    deed: String,
    #[server(default)] given_name: String,
    #[server(default)] family_name: String,
    #[server(default)] email: String,
    #[server(default)] title: String,
    #[server(default)] org_unit: String,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let deed = match deed.as_str() {
        "rename" => DemoDeed::Rename {
            given_name,
            family_name,
        },
        "change-email" => DemoDeed::ChangeEmail { email },
        "change-title" => DemoDeed::ChangeTitle { title },
        "move" => DemoDeed::Move { org_unit },
        "suspend" => DemoDeed::Suspend,
        "restore" => DemoDeed::Restore,
        "archive" => DemoDeed::Archive,
        "unarchive" => DemoDeed::Unarchive,
        "delete" => DemoDeed::Delete,
        "undelete" => DemoDeed::Undelete,
        _ => return super::answer(Err(ApiError::new(super::ErrorCode::BadRequest))),
    };
    let path = format!("/demo?person={}", crate::format::query_value(&person));
    super::answer(
        demo(&services)?
            .change(&actor, DemoChange { person, deed })
            .await,
    )?;
    super::redirect_to(&path);
    Ok(())
}

#[cfg(feature = "ssr")]
fn demo(
    services: &crate::services::Services,
) -> Result<std::sync::Arc<dyn crate::services::Demo>, ApiError> {
    match &services.demo {
        Some(demo) => Ok(demo.clone()),
        None => super::answer(Err(ApiError::new(super::ErrorCode::DemoOnly))),
    }
}
