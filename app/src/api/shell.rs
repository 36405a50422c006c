//! What surrounds every page.

use super::{
    ApiError,
    terms::{AppStatus, Role, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The organization's name, or its primary domain; `None` until a directory is read.
    pub organization: Option<String>,
    pub people: u32,
    pub groups: u32,
    pub org_units: u32,
    pub directory_read_at: Option<Time>,
    pub apps: Vec<FrameApp>,
    pub email: String,
    pub role: Role,
    pub demo: bool,
    /// In which the reader's days and times are told.
    pub zone: String,
    /// Whether they confirmed a short while ago who they are (S13).
    pub confirmed: bool,
    /// Whether they can do so by a code of their authenticator app.
    pub has_app: bool,
    /// Where they can do so by a passkey, if they have one.
    pub passkeys_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameApp {
    pub slug: String,
    pub name: String,
    pub status: AppStatus,
}

#[server(endpoint = "frame")]
pub async fn load_frame() -> Result<Frame, ApiError> {
    let (actor, services) = super::signed_in()?;
    let frame = services.shell.frame(&actor).await;
    super::answer(frame.map(|frame| Frame {
        zone: super::preferences::zone_of_reader(),
        confirmed: super::assured_self_quietly().is_some(),
        ..frame
    }))
}
