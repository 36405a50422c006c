//! Who is told when something needs somebody, and by which way.

#![allow(clippy::too_many_arguments, reason = "one for each control of a form")]

use super::{ApiError, terms::Time};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    Email,
    Webhook,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationsPage {
    pub channels: Vec<ChannelRow>,
    pub open: Vec<OpenCause>,
    /// Without a public address, messages can't hold links.
    pub links: bool,
    /// The hour of the daily digest, UTC.
    pub digest_hour: u8,
    pub may_change: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    pub id: Uuid,
    pub kind: ChannelKind,
    pub name: String,
    /// Whom it reaches: addresses, or the webhook's address without its query.
    pub target: String,
    pub on: bool,
    pub digest: bool,
    pub delivered_at: Option<Time>,
    /// While the last try did not arrive.
    pub failed: Option<Failed>,
    /// Messages that are still to be delivered.
    pub waiting: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub at: Time,
    pub error: String,
}

/// Something that needs somebody and is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCause {
    pub title: String,
    pub since: Time,
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// From the first byte, usually port 465.
    Tls,
    /// Begun in plain and secured before anything is said, usually port 587.
    Starttls,
    /// Only to this machine.
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPage {
    /// `None` for a channel to be added.
    pub row: Option<ChannelRow>,
    pub form: ChannelForm,
    /// Whether a password is stored.
    pub has_password: bool,
    /// Right after it was made, until somebody says that it is kept.
    pub secret: Option<String>,
    /// Mail servers on this machine may be spoken to without TLS.
    pub plain_allowed: bool,
    /// The newest first.
    pub deliveries: Vec<Delivery>,
    pub may_change: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ChannelForm {
    Email(EmailForm),
    Webhook(WebhookForm),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailForm {
    pub name: String,
    pub host: String,
    pub port: String,
    pub security: Security,
    pub user_name: String,
    pub sender: String,
    /// Separated by commas.
    pub recipients: String,
    pub digest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookForm {
    pub name: String,
    pub url: String,
    pub digest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub title: String,
    pub at: Time,
    pub state: DeliveryState,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    Delivered,
    Waiting,
    GivenUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelChange {
    TurnOn,
    TurnOff,
    /// Sends a message at once.
    Test,
    /// The secret is kept somewhere; it is not shown again.
    SecretKept,
    Delete,
}

/// The same with the proof that silencing a channel needs.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelDecision {
    TurnOn,
    TurnOff(crate::services::Proof),
    Test,
    SecretKept,
    Delete(crate::services::Proof),
}

#[server(endpoint = "notifications")]
pub async fn load_notifications() -> Result<NotificationsPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.notifications.page(&actor).await)
}

/// `id` is that of a channel, or `email` or `webhook` for a new one.
#[server(endpoint = "channel")]
pub async fn load_channel(id: String) -> Result<ChannelPage, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.notifications.channel(&actor, &id).await)
}

/// Without `id` it is added. An empty password keeps the stored one.
#[server(endpoint = "save_email_channel")]
pub async fn save_email_channel(
    #[server(default)] id: Option<Uuid>,
    #[server(default)] name: String,
    host: String,
    port: String,
    security: Security,
    #[server(default)] user_name: String,
    #[server(default)] password: Option<String>,
    sender: String,
    recipients: String,
    #[server(default)] digest: bool,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let form = EmailForm {
        name,
        host,
        port,
        security,
        user_name,
        sender,
        recipients,
        digest,
    };
    let password = super::filled(password).map(crate::services::Secret::new);
    let saved = (services.notifications).save_email(&actor, id, form, password);
    let id = super::answer(saved.await)?;
    super::redirect_to(&format!("/settings/notifications/{id}"));
    Ok(())
}

#[server(endpoint = "save_webhook_channel")]
pub async fn save_webhook_channel(
    #[server(default)] id: Option<Uuid>,
    #[server(default)] name: String,
    url: String,
    #[server(default)] digest: bool,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let form = WebhookForm { name, url, digest };
    let id = super::answer(services.notifications.save_webhook(&actor, id, form).await)?;
    super::redirect_to(&format!("/settings/notifications/{id}"));
    Ok(())
}

/// Who silences a channel hides what they do next, so that takes a confirmation as telling somebody
/// else does.
#[server(endpoint = "change_channel")]
pub async fn change_channel(id: Uuid, change: ChannelChange) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let decision = match change {
        ChannelChange::TurnOn => ChannelDecision::TurnOn,
        ChannelChange::TurnOff => ChannelDecision::TurnOff(super::assured()?.0.proof()),
        ChannelChange::Test => ChannelDecision::Test,
        ChannelChange::SecretKept => ChannelDecision::SecretKept,
        ChannelChange::Delete => ChannelDecision::Delete(super::assured()?.0.proof()),
    };
    super::answer(services.notifications.change(&actor, id, decision).await)?;
    super::redirect_to(&match change {
        ChannelChange::Delete => "/settings/notifications".to_owned(),
        _ => format!("/settings/notifications/{id}"),
    });
    Ok(())
}

/// A new secret in place of the one that a webhook's messages are signed with.
#[server(endpoint = "renew_channel_secret")]
pub async fn renew_channel_secret(id: Uuid) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.notifications.renew_secret(&actor, id).await)?;
    super::redirect_to(&format!("/settings/notifications/{id}"));
    Ok(())
}

/// Field `hour`.
#[server(endpoint = "save_digest_hour")]
pub async fn save_digest_hour(hour: u8) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.notifications.save_digest_hour(&actor, hour).await)?;
    super::redirect_to("/settings/notifications");
    Ok(())
}
