//! Settings, the history of configurations, and notifications.

use super::{Actor, Answer, Assured, Secret};
use crate::api::{history::*, notifications::*, settings::*};
use async_trait::async_trait;
use uuid::Uuid;

/// Settings of the whole installation.
#[async_trait]
pub trait ConsoleSettings: Send + Sync {
    async fn overview(&self) -> Answer<SettingsOverview>;
    async fn session_limits(&self, actor: &Actor) -> Answer<SessionLimitsPage>;
    /// Fields `idle_minutes`, `longest_hours`. What is shorter than before holds for sessions that
    /// are there, too.
    async fn save_session_limits(
        &self,
        actor: &Assured,
        idle_minutes: &str,
        longest_hours: &str,
    ) -> Answer<()>;
    async fn retention(&self, actor: &Actor) -> Answer<RetentionPage>;
    /// `days: None` keeps the log for ever. Fields `days`, `confirmed`.
    async fn save_retention(
        &self,
        actor: &Assured,
        days: Option<String>,
        confirmed: bool,
    ) -> Answer<()>;
}

/// When removals wait for review, and who is never removed, by app.
#[async_trait]
pub trait SafetySettings: Send + Sync {
    async fn apps(&self) -> Answer<Vec<AppSafety>>;
    async fn thresholds(&self, actor: &Actor, slug: &str) -> Answer<ThresholdsPage>;
    /// Fields `count`, `percent`, `maximum`, `creates`.
    async fn save_thresholds(
        &self,
        actor: &Assured,
        slug: &str,
        form: ThresholdsForm,
    ) -> Answer<()>;
    async fn protected(
        &self,
        actor: &Actor,
        slug: &str,
        q: Option<String>,
    ) -> Answer<ProtectedPage>;
    /// By directory id. Somebody who is on the list already stays there.
    async fn protect(&self, actor: &Assured, slug: &str, person: &str) -> Answer<()>;
    async fn unprotecting(&self, actor: &Actor, slug: &str, key: &str) -> Answer<UnprotectPage>;
    /// `Conflict` when they are not on the list (any more).
    async fn unprotect(&self, actor: &Assured, slug: &str, key: &str) -> Answer<()>;
}

#[async_trait]
pub trait ConfigurationHistory: Send + Sync {
    async fn versions(&self, actor: &Actor, slug: &str, page: u32) -> Answer<History>;
    async fn compare(
        &self,
        actor: &Actor,
        slug: &str,
        old: Option<i32>,
        new: Option<i32>,
    ) -> Answer<Comparison>;
    async fn restoring(&self, actor: &Actor, slug: &str, version: i32) -> Answer<Restoring>;
    /// Field `confirmed`. `Conflict` when `current` is not the newest version any more.
    async fn restore(
        &self,
        actor: &Assured,
        slug: &str,
        version: i32,
        current: i32,
        confirmed: bool,
    ) -> Answer<()>;
}

#[async_trait]
pub trait Notifications: Send + Sync {
    async fn page(&self, actor: &Actor) -> Answer<NotificationsPage>;
    /// `id`, or `email` or `webhook` for the empty form of a new one.
    async fn channel(&self, actor: &Actor, id: &str) -> Answer<ChannelPage>;
    /// Without `id` it is added. `password: None` keeps the stored one unless the server changed.
    /// Fields `host`, `port`, `security`, `password`, `sender`, `recipients`.
    async fn save_email(
        &self,
        actor: &Assured,
        id: Option<Uuid>,
        form: EmailForm,
        password: Option<Secret>,
    ) -> Answer<Uuid>;
    /// Field `url`. Another origin gets another secret.
    async fn save_webhook(
        &self,
        actor: &Assured,
        id: Option<Uuid>,
        form: WebhookForm,
    ) -> Answer<Uuid>;
    /// What became of a test is on the channel's page.
    async fn change(&self, actor: &Actor, id: Uuid, decision: ChannelDecision) -> Answer<()>;
    /// Only a webhook has one; it is shown for an hour.
    async fn renew_secret(&self, actor: &Assured, id: Uuid) -> Answer<()>;
    async fn save_digest_hour(&self, actor: &Actor, hour: u8) -> Answer<()>;
}
