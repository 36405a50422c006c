//! Channels of notifications: adding, changing, trying them, and what became of their messages.

use app::api::notifications::{
    ChannelDecision, ChannelForm, ChannelKind, ChannelPage, ChannelRow, Delivery, DeliveryState,
    EmailForm, Failed, NotificationsPage, OpenCause, Security, WebhookForm,
};
use app::api::terms::Role;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Assured, Notifications, Secret};
use async_trait::async_trait;
use chrono::TimeDelta;
use provisioning::event::EventName;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, Transaction};
use url::Url;
use uuid::Uuid;

use super::apps::{commit, too_long};
use super::excuses::target;
use super::standing::number;
use crate::connectors::targets::shown_address;
use crate::connectors::{mail, webhook};
use crate::notifications::{self, NotifyError};
use crate::store::StoreError;
use crate::store::credentials::{self, Credential, CredentialError};
use crate::store::events::{self, NewEvent};
use crate::store::notifications::{
    self as store, Channel, ChannelId, ChannelSettings, MailSecurity, MailSettings, WebhookSettings,
};
use crate::store::settings::{self, DigestHour};
use crate::sync::Engine;

const MOST_CHANNELS: usize = 20;
const MOST_RECIPIENTS: usize = 20;
const LONGEST: usize = 500;
const LONGEST_NAME: usize = 60;
const SECRET_SHOWN_FOR: TimeDelta = TimeDelta::hours(1);
const DELIVERIES: i64 = 20;

#[derive(Debug, Clone)]
pub struct NotificationsService {
    pub engine: Engine,
}

impl From<NotifyError> for ApiError {
    fn from(error: NotifyError) -> Self {
        match error {
            NotifyError::Store(error) => error.into(),
            NotifyError::Credential(error) => error.into(),
        }
    }
}

#[async_trait]
impl Notifications for NotificationsService {
    async fn page(&self, actor: &Actor) -> Answer<NotificationsPage> {
        let mut db = self.engine.connection().await?;
        let channels = store::channels(&mut db).await?;
        let open = store::open_causes(&mut db).await?.into_iter();
        Ok(NotificationsPage {
            channels: channels.iter().map(row).collect(),
            open: open
                .map(|cause| OpenCause {
                    title: cause.title,
                    since: cause.opened_at,
                    path: cause.path,
                })
                .collect(),
            links: self.engine.public_origin().is_some(),
            digest_hour: settings::get::<DigestHour>(&mut db).await?.0,
            may_change: may_change(actor),
        })
    }

    async fn channel(&self, actor: &Actor, id: &str) -> Answer<ChannelPage> {
        let may_change = may_change(actor);
        let plain_allowed = self.engine.outgoing().policy().allow_loopback;
        let empty = |form| ChannelPage {
            row: None,
            form,
            has_password: false,
            secret: None,
            plain_allowed,
            deliveries: Vec::new(),
            may_change,
        };
        match id {
            "email" => return Ok(empty(ChannelForm::Email(new_email()))),
            "webhook" => return Ok(empty(ChannelForm::Webhook(new_webhook()))),
            _ => {}
        }
        let id = id.parse().map_err(|_| ApiError::not_found())?;
        let mut db = self.engine.connection().await?;
        let channel = existing(&mut db, ChannelId(id)).await?;
        let credential = notifications::credential(&channel);
        let now = self.engine.clock.now();
        let is_shown = channel.secret_shown_until.is_some_and(|until| now < until);
        let secret = match may_change && is_shown {
            true => credentials::get(&mut db, &self.engine.vault, credential).await?,
            false => None,
        };
        let stored = credentials::stored_at(&mut db, credential).await;
        let sent = store::sent(&mut db, channel.id, DELIVERIES).await?;
        Ok(ChannelPage {
            row: Some(row(&channel)),
            form: form(&channel, may_change),
            has_password: stored.map_err(CredentialError::from)?.is_some(),
            secret: secret.map(|secret| secret.expose_secret().to_owned()),
            plain_allowed,
            deliveries: sent.into_iter().map(delivery).collect(),
            may_change,
        })
    }

    async fn save_email(
        &self,
        actor: &Assured,
        id: Option<Uuid>,
        form: EmailForm,
        password: Option<Secret>,
    ) -> Answer<Uuid> {
        let settings = self.mail_settings(&form)?;
        let mut transaction = self.begin().await?;
        let before = self.before(&mut transaction, id).await?;
        let moved = match before.as_ref().map(|channel| &channel.settings) {
            None => true,
            Some(ChannelSettings::Email(before)) => {
                (&before.host, before.port) != (&settings.host, settings.port)
            }
            Some(ChannelSettings::Webhook(_)) => return Err(ApiError::not_found()),
        };
        // A password is given to the server that it was entered for, and to no other.
        if moved && password.is_none() && !settings.user_name.is_empty() {
            return Err(ApiError::field("password", FieldCode::Required));
        }
        let name = name(&form.name, &settings.recipients.join(", "));
        let after = ChannelSettings::Email(settings.clone());
        let id = self
            .save(&mut transaction, actor, before, &name, after, form.digest)
            .await?;
        let credential = Credential::MailPassword(id.0);
        let now = self.engine.clock.now();
        if settings.user_name.is_empty() {
            credentials::delete(&mut transaction, credential)
                .await
                .map_err(CredentialError::from)?;
        } else if let Some(password) = password {
            let password = password.reveal().into();
            let vault = &self.engine.vault;
            credentials::put(&mut transaction, vault, credential, &password, now).await?;
        }
        commit(transaction).await?;
        Ok(id.0)
    }

    async fn save_webhook(
        &self,
        actor: &Assured,
        id: Option<Uuid>,
        form: WebhookForm,
    ) -> Answer<Uuid> {
        let url = self.webhook_url(&form.url)?;
        let mut transaction = self.begin().await?;
        let before = self.before(&mut transaction, id).await?;
        let moved = match before.as_ref().map(|channel| &channel.settings) {
            None => true,
            Some(ChannelSettings::Webhook(before)) => {
                Url::parse(&before.url).map_or(true, |before| before.origin() != url.origin())
            }
            Some(ChannelSettings::Email(_)) => return Err(ApiError::not_found()),
        };
        let name = name(&form.name, url.host_str().unwrap_or_default());
        let settings = ChannelSettings::Webhook(WebhookSettings { url: url.into() });
        let id = self
            .save(
                &mut transaction,
                actor,
                before,
                &name,
                settings,
                form.digest,
            )
            .await?;
        if moved {
            self.new_secret(&mut transaction, id).await?;
        }
        commit(transaction).await?;
        Ok(id.0)
    }

    async fn change(&self, actor: &Actor, id: Uuid, decision: ChannelDecision) -> Answer<()> {
        let id = ChannelId(id);
        if decision == ChannelDecision::Test {
            return self.test(actor, id).await;
        }
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let channel = existing(&mut *db, id).await?;
        let what = match decision {
            ChannelDecision::TurnOn | ChannelDecision::TurnOff(_) => {
                let on = decision == ChannelDecision::TurnOn;
                if !store::turn(&mut *db, id, on).await? {
                    return Ok(());
                }
                if on { "turned on" } else { "turned off" }
            }
            ChannelDecision::SecretKept => {
                store::show_secret_until(&mut *db, id, None).await?;
                return commit(transaction).await;
            }
            ChannelDecision::Delete(_) => {
                credentials::delete(&mut *db, notifications::credential(&channel))
                    .await
                    .map_err(CredentialError::from)?;
                store::delete_channel(&mut *db, id).await?;
                "deleted"
            }
            ChannelDecision::Test => return Err(ApiError::internal()),
        };
        let reason = format!("Notifications: channel {} {what}", channel.name);
        self.tell(&mut *db, actor, reason, None).await?;
        commit(transaction).await
    }

    async fn renew_secret(&self, actor: &Assured, id: Uuid) -> Answer<()> {
        let id = ChannelId(id);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let channel = existing(&mut *db, id).await?;
        if !matches!(channel.settings, ChannelSettings::Webhook(_)) {
            return Err(ApiError::not_found());
        }
        self.new_secret(&mut *db, id).await?;
        let reason = format!("Notifications: channel {} secret replaced", channel.name);
        self.tell(&mut *db, actor, reason, None).await?;
        commit(transaction).await
    }

    async fn save_digest_hour(&self, actor: &Actor, hour: u8) -> Answer<()> {
        if hour > 23 {
            return Err(ApiError::field("hour", FieldCode::OutOfRange));
        }
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let before = settings::get::<DigestHour>(&mut *db).await?;
        if before.0 == hour {
            return Ok(());
        }
        let now = self.engine.clock.now();
        settings::put(&mut *db, &DigestHour(hour), now, &actor.email).await?;
        let changes = json!([{ "attribute": "digest_hour", "old": before.0, "new": hour }]);
        self.tell(
            db,
            actor,
            "Notifications: daily digest".to_owned(),
            Some(changes),
        )
        .await?;
        commit(transaction).await
    }
}

impl NotificationsService {
    async fn begin(&self) -> Answer<Transaction<'static, Postgres>> {
        let begun = self.engine.pool.begin().await;
        begun.map_err(|error| StoreError::from(error).into())
    }

    async fn before(&self, db: &mut PgConnection, id: Option<Uuid>) -> Answer<Option<Channel>> {
        match id {
            Some(id) => existing(db, ChannelId(id)).await.map(Some),
            None if store::channels(db).await?.len() >= MOST_CHANNELS => {
                Err(ApiError::field("name", FieldCode::OutOfRange))
            }
            None => Ok(None),
        }
    }

    async fn save(
        &self,
        db: &mut PgConnection,
        actor: &Actor,
        before: Option<Channel>,
        name: &str,
        settings: ChannelSettings,
        digest: bool,
    ) -> Answer<ChannelId> {
        let id = (before.as_ref()).map_or_else(|| ChannelId(Uuid::now_v7()), |before| before.id);
        let now = self.engine.clock.now();
        store::save_channel(&mut *db, id, name, &settings, digest, now).await?;
        let after = described(name, &settings, digest);
        let old = before
            .as_ref()
            .map(|b| described(&b.name, &b.settings, b.digest));
        if old.as_ref() == Some(&after) {
            return Ok(id);
        }
        let what = if before.is_some() { "changed" } else { "added" };
        let reason = format!("Notifications: channel {name} {what}");
        self.tell(db, actor, reason, Some(changes(old.as_ref(), &after)))
            .await?;
        Ok(id)
    }

    async fn tell(
        &self,
        db: &mut PgConnection,
        actor: &Actor,
        reason: String,
        changes: Option<Value>,
    ) -> Answer<()> {
        let now = self.engine.clock.now();
        let mut event = NewEvent::new(now, EventName::SettingsChanged, &actor.email).reason(reason);
        event.changes = changes;
        events::record(db, &event).await?;
        Ok(())
    }

    async fn new_secret(&self, db: &mut PgConnection, id: ChannelId) -> Answer<()> {
        let now = self.engine.clock.now();
        let (vault, secret) = (&self.engine.vault, webhook::new_secret());
        credentials::put(
            &mut *db,
            vault,
            Credential::WebhookSecret(id.0),
            &secret,
            now,
        )
        .await?;
        store::show_secret_until(db, id, Some(now + SECRET_SHOWN_FOR)).await?;
        Ok(())
    }

    /// What the receiver said is on the channel's page; the event says only whether it arrived.
    async fn test(&self, actor: &Actor, id: ChannelId) -> Answer<()> {
        let sent = notifications::test(&self.engine, id)
            .await?
            .ok_or_else(ApiError::not_found)?;
        let mut db = self.engine.connection().await?;
        let channel = existing(&mut db, id).await?;
        let now = self.engine.clock.now();
        let mut event = NewEvent::new(now, EventName::NotificationTested, &actor.email)
            .reason(format!("Channel {}", channel.name));
        if let Err(error) = &sent {
            event = event.failed("not-delivered", error);
        }
        events::record(&mut db, &event).await?;
        Ok(())
    }

    fn mail_settings(&self, form: &EmailForm) -> Answer<MailSettings> {
        let mut error = ApiError::new(ErrorCode::Invalid);
        let mut wrong = |field: &str, code| {
            error = std::mem::replace(&mut error, ApiError::internal()).and_field(field, code);
        };
        for (field, text) in [
            ("host", &form.host),
            ("sender", &form.sender),
            ("user_name", &form.user_name),
        ] {
            if text.len() > LONGEST {
                return Err(too_long(field, LONGEST));
            }
        }
        let host = form.host.trim();
        let fits = !host.is_empty()
            && !host.starts_with('.')
            && (host.chars()).all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
        if !fits {
            let code = if host.is_empty() {
                FieldCode::Required
            } else {
                FieldCode::Invalid
            };
            wrong("host", code);
        }
        let port = form
            .port
            .trim()
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0);
        if port.is_none() {
            wrong("port", FieldCode::OutOfRange);
        }
        if form.security == Security::None && !self.engine.outgoing().policy().allow_loopback {
            wrong("security", FieldCode::TlsNeeded);
        }
        let sender = form.sender.trim();
        if !mail::is_address(sender) {
            wrong("sender", FieldCode::NotAnEmail);
        }
        let recipients: Vec<String> = (form.recipients.split([',', ';', '\n']))
            .map(|one| one.trim().to_owned())
            .filter(|one| !one.is_empty())
            .collect();
        if recipients.is_empty() {
            wrong("recipients", FieldCode::Required);
        } else if recipients.len() > MOST_RECIPIENTS {
            wrong("recipients", FieldCode::OutOfRange);
        } else if !recipients.iter().all(|one| mail::is_address(one)) {
            wrong("recipients", FieldCode::NotAnEmail);
        }
        error.into_result()?;
        Ok(MailSettings {
            host: host.to_owned(),
            port: port.unwrap_or_default(),
            security: match form.security {
                Security::Tls => MailSecurity::Tls,
                Security::Starttls => MailSecurity::Starttls,
                Security::None => MailSecurity::None,
            },
            user_name: form.user_name.trim().to_owned(),
            sender: sender.to_owned(),
            recipients,
        })
    }

    fn webhook_url(&self, text: &str) -> Answer<Url> {
        if text.len() > LONGEST {
            return Err(too_long("url", LONGEST));
        }
        let url =
            Url::parse(text.trim()).map_err(|_| ApiError::field("url", FieldCode::NotAUrl))?;
        (self.engine.outgoing().check(&url)).map_err(|refusal| target("url", &refusal))?;
        Ok(url)
    }
}

fn may_change(actor: &Actor) -> bool {
    actor.role == Role::SuperAdministrator
}

async fn existing(db: &mut PgConnection, id: ChannelId) -> Answer<Channel> {
    store::channel(db, id)
        .await?
        .ok_or_else(ApiError::not_found)
}

fn name(typed: &str, otherwise: &str) -> String {
    let typed = typed.trim();
    let name = if typed.is_empty() { otherwise } else { typed };
    name.chars().take(LONGEST_NAME).collect()
}

fn new_email() -> EmailForm {
    EmailForm {
        name: String::new(),
        host: String::new(),
        port: "587".to_owned(),
        security: Security::Starttls,
        user_name: String::new(),
        sender: String::new(),
        recipients: String::new(),
        digest: false,
    }
}

fn new_webhook() -> WebhookForm {
    WebhookForm {
        name: String::new(),
        url: String::new(),
        digest: false,
    }
}

/// Whom a channel reaches, without what may be a secret in an address.
fn reached(settings: &ChannelSettings) -> String {
    match settings {
        ChannelSettings::Email(settings) => settings.recipients.join(", "),
        ChannelSettings::Webhook(settings) => {
            Url::parse(&settings.url).map_or_else(|_| settings.url.clone(), |url| hidden_path(&url))
        }
    }
}

/// The paths of chat programs' webhooks are as good as a password.
fn hidden_path(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    if shown_address(url).trim_end_matches('/') == origin {
        origin
    } else {
        format!("{origin}/…")
    }
}

fn row(channel: &Channel) -> ChannelRow {
    ChannelRow {
        id: channel.id.0,
        kind: match channel.settings {
            ChannelSettings::Email(_) => ChannelKind::Email,
            ChannelSettings::Webhook(_) => ChannelKind::Webhook,
        },
        name: channel.name.clone(),
        target: reached(&channel.settings),
        on: channel.on,
        digest: channel.digest,
        delivered_at: channel.delivered_at,
        failed: (channel.failed_at).map(|at| Failed {
            at,
            error: channel.error.clone().unwrap_or_default(),
        }),
        waiting: number(channel.waiting),
    }
}

fn form(channel: &Channel, may_change: bool) -> ChannelForm {
    match &channel.settings {
        ChannelSettings::Email(settings) => ChannelForm::Email(EmailForm {
            name: channel.name.clone(),
            host: settings.host.clone(),
            port: settings.port.to_string(),
            security: match settings.security {
                MailSecurity::Tls => Security::Tls,
                MailSecurity::Starttls => Security::Starttls,
                MailSecurity::None => Security::None,
            },
            user_name: settings.user_name.clone(),
            sender: settings.sender.clone(),
            recipients: settings.recipients.join(", "),
            digest: channel.digest,
        }),
        ChannelSettings::Webhook(settings) => ChannelForm::Webhook(WebhookForm {
            name: channel.name.clone(),
            // Only who may enter another address is told all of this one.
            url: match may_change {
                true => settings.url.clone(),
                false => reached(&channel.settings),
            },
            digest: channel.digest,
        }),
    }
}

fn delivery(sent: store::Sent) -> Delivery {
    Delivery {
        title: sent.message["title"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        at: sent.created_at,
        state: match (sent.delivered_at, sent.next_try_at) {
            (Some(_), _) => DeliveryState::Delivered,
            (None, Some(_)) => DeliveryState::Waiting,
            (None, None) => DeliveryState::GivenUp,
        },
        error: sent.error,
    }
}

/// For the log: no password, no secret, and of an address only where it leads.
fn described(name: &str, settings: &ChannelSettings, digest: bool) -> Value {
    match settings {
        ChannelSettings::Email(settings) => json!({
            "name": name,
            "host": settings.host,
            "port": settings.port,
            "security": settings.security,
            "user_name": settings.user_name,
            "sender": settings.sender,
            "recipients": settings.recipients.join(", "),
            "digest": digest,
        }),
        ChannelSettings::Webhook(_) => json!({
            "name": name,
            "address": reached(settings),
            "digest": digest,
        }),
    }
}

fn changes(old: Option<&Value>, new: &Value) -> Value {
    let members = new.as_object().into_iter().flatten();
    let changed = members.filter_map(|(name, value)| {
        let before = old.map_or(&Value::Null, |old| &old[name]);
        (before != value).then(|| json!({ "attribute": name, "old": before, "new": value }))
    });
    changed.collect()
}
