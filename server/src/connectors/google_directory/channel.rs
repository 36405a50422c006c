//! Channels of Google's push: opened for one kind of event each, and stopped.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::error::DirectoryError;
use super::request::Call;
use super::scope::Scope;
use super::{GoogleDirectory, Patience, protocol};

/// Google gives two days at most, and often less.
const LONGEST_LIFE_SECONDS: u32 = 172_800;
/// What Google documents for a channel that says nothing of its end.
const USUAL_LIFE: TimeDelta = TimeDelta::hours(2);

/// What is watched; that somebody becomes an administrator changes no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchedEvent {
    Add,
    Delete,
    Undelete,
    Update,
}

impl WatchedEvent {
    pub const ALL: [Self; 4] = [Self::Add, Self::Delete, Self::Undelete, Self::Update];

    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Update => "update",
        }
    }
}

/// A channel that is asked for.
#[derive(Clone, Debug)]
pub struct OpenChannel {
    pub id: String,
    pub address: String,
    /// Comes with each notification and proves it.
    pub token: SecretString,
}

/// A channel that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedChannel {
    /// Names the channel when it is stopped, together with its id.
    pub resource_id: String,
    pub expires_at: DateTime<Utc>,
}

impl GoogleDirectory {
    pub async fn watch(
        &self,
        event: WatchedEvent,
        channel: &OpenChannel,
    ) -> Result<OpenedChannel, DirectoryError> {
        let what = format!("notifications of the event {}", event.word());
        let call = Call::new(Scope::Users, &what, &["users", "watch"])
            .with("customer", &self.0.settings.customer)
            .with("event", event.word())
            .posting(json!({
                "id": channel.id,
                "type": "web_hook",
                "address": channel.address,
                "token": channel.token.expose_secret(),
                "params": { "ttl": LONGEST_LIFE_SECONDS.to_string() },
            }));
        // Asked once more it would be the same channel twice: a fresh one is tried later instead.
        let answer = self.read(&call, Patience::Once).await?;
        let resource_id = answer
            .get("resourceId")
            .and_then(Value::as_str)
            .ok_or_else(|| protocol(&what, "it holds no resourceId"))?;
        let stated = answer.get("expiration").and_then(|value| {
            let text = value.as_str().and_then(|text| text.parse().ok());
            text.or_else(|| value.as_i64())
        });
        Ok(OpenedChannel {
            resource_id: resource_id.to_owned(),
            expires_at: stated
                .and_then(DateTime::from_timestamp_millis)
                .unwrap_or_else(|| self.0.clock.now() + USUAL_LIFE),
        })
    }

    pub async fn stop_channel(&self, id: &str, resource_id: &str) -> Result<(), DirectoryError> {
        let call = Call::at(
            &["admin", "directory_v1"],
            Scope::Users,
            "the end of notifications",
            &["channels", "stop"],
        )
        .posting(json!({ "id": id, "resourceId": resource_id }));
        self.read(&call, Patience::Test).await.map(drop)
    }
}
