//! Who may sign in, and how this installation is.

use super::{
    ApiError,
    terms::{Role, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administrator {
    pub email: String,
    pub role: Role,
    pub created_at: Time,
    pub signed_in_at: Option<Time>,
    pub you: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Label and value, read-only.
    pub sections: Vec<(String, Vec<(String, String)>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub version: String,
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
