//! Channels of notifications, what they were told of, and messages on their way.

use super::{Result, StoreError, decode, encode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelId(pub Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    Tls,
    Starttls,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailSettings {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    /// Empty: the server asks for none.
    pub user_name: String,
    pub sender: String,
    pub recipients: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSettings {
    pub url: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelSettings {
    Email(MailSettings),
    Webhook(WebhookSettings),
}

impl ChannelSettings {
    fn word(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
        }
    }

    fn to_json(&self) -> Result<Value> {
        match self {
            Self::Email(settings) => encode(settings),
            Self::Webhook(settings) => encode(settings),
        }
    }

    fn from_json(kind: &str, settings: Value, row: Uuid) -> Result<Self> {
        const TABLE: &str = "notification_channels";
        match kind {
            "email" => Ok(Self::Email(decode(settings, TABLE, "settings", row)?)),
            "webhook" => Ok(Self::Webhook(decode(settings, TABLE, "settings", row)?)),
            other => Err(StoreError::corrupt(TABLE, "kind", row, other)),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Channel {
    pub id: ChannelId,
    pub name: String,
    pub settings: ChannelSettings,
    pub on: bool,
    pub digest: bool,
    pub secret_shown_until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// The hour of the last digest.
    pub digest_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub failed_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
    /// Messages that are still to be delivered.
    pub waiting: i64,
}

pub async fn channels(connection: &mut PgConnection) -> Result<Vec<Channel>> {
    let rows = sqlx::query!(
        "SELECT c.id, c.kind, c.name, c.settings, c.is_on, c.digest, c.secret_shown_until, c.created_at,
                c.digest_at, c.delivered_at, c.failed_at, c.error,
                (SELECT count(*) FROM notification_outbox o
                 WHERE o.channel_id = c.id AND o.next_try_at IS NOT NULL) AS \"waiting!\"
         FROM notification_channels c ORDER BY lower(c.name), c.id"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Channel {
                settings: ChannelSettings::from_json(&row.kind, row.settings, row.id)?,
                id: ChannelId(row.id),
                name: row.name,
                on: row.is_on,
                digest: row.digest,
                secret_shown_until: row.secret_shown_until,
                created_at: row.created_at,
                digest_at: row.digest_at,
                delivered_at: row.delivered_at,
                failed_at: row.failed_at,
                error: row.error,
                waiting: row.waiting,
            })
        })
        .collect()
}

/// There are a handful, so one is looked for among all.
pub async fn channel(connection: &mut PgConnection, id: ChannelId) -> Result<Option<Channel>> {
    Ok(channels(connection)
        .await?
        .into_iter()
        .find(|channel| channel.id == id))
}

/// Adds a channel, or changes its settings.
pub async fn save_channel(
    connection: &mut PgConnection,
    id: ChannelId,
    name: &str,
    settings: &ChannelSettings,
    digest: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO notification_channels (id, kind, name, settings, digest, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET name = $3, settings = $4, digest = $5",
        id.0,
        settings.word(),
        name,
        settings.to_json()?,
        digest,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn show_secret_until(
    connection: &mut PgConnection,
    id: ChannelId,
    until: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE notification_channels SET secret_shown_until = $2 WHERE id = $1",
        id.0,
        until
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A channel that is off gets nothing, not even what was on its way.
pub async fn turn(connection: &mut PgConnection, id: ChannelId, on: bool) -> Result<bool> {
    let turned = sqlx::query!(
        "UPDATE notification_channels SET is_on = $2 WHERE id = $1 AND is_on <> $2",
        id.0,
        on
    )
    .execute(&mut *connection)
    .await?;
    if !on {
        sqlx::query!(
            "DELETE FROM notification_outbox WHERE channel_id = $1 AND next_try_at IS NOT NULL",
            id.0
        )
        .execute(connection)
        .await?;
    }
    Ok(turned.rows_affected() == 1)
}

pub async fn delete_channel(connection: &mut PgConnection, id: ChannelId) -> Result<bool> {
    let deleted = sqlx::query!("DELETE FROM notification_channels WHERE id = $1", id.0)
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// What became of a message, for whoever looks at the channel.
pub async fn note_result(
    connection: &mut PgConnection,
    id: ChannelId,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE notification_channels SET
             delivered_at = CASE WHEN $2::text IS NULL THEN $3 ELSE delivered_at END,
             failed_at = CASE WHEN $2::text IS NOT NULL THEN $3::timestamptz END, error = $2
         WHERE id = $1",
        id.0,
        error,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the digest of this hour was written; false when it was before.
pub async fn take_digest(
    connection: &mut PgConnection,
    id: ChannelId,
    hour: DateTime<Utc>,
) -> Result<bool> {
    let taken = sqlx::query!(
        "UPDATE notification_channels SET digest_at = $2
         WHERE id = $1 AND COALESCE(digest_at, created_at) < $2",
        id.0,
        hour
    )
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CauseId(pub i64);

/// Something that needs somebody and was told.
#[derive(Debug, Clone)]
pub struct OpenCause {
    pub id: CauseId,
    pub key: String,
    pub title: String,
    pub path: String,
    pub opened_at: DateTime<Utc>,
}

/// Only one looks at a time, in a transaction; whoever comes second need not.
pub async fn may_look(connection: &mut PgConnection) -> Result<bool> {
    const LOOKING: i64 = 0x726f_6c6c_6e6f_7465;
    Ok(
        sqlx::query_scalar!("SELECT pg_try_advisory_xact_lock($1) AS \"ours!\"", LOOKING)
            .fetch_one(connection)
            .await?,
    )
}

pub async fn open_causes(connection: &mut PgConnection) -> Result<Vec<OpenCause>> {
    let rows = sqlx::query!(
        "SELECT id, key, title, path, opened_at FROM notification_causes
         WHERE resolved_at IS NULL ORDER BY id"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| OpenCause {
            id: CauseId(row.id),
            key: row.key,
            title: row.title,
            path: row.path,
            opened_at: row.opened_at,
        })
        .collect())
}

pub async fn open_cause(
    connection: &mut PgConnection,
    key: &str,
    title: &str,
    path: &str,
    now: DateTime<Utc>,
) -> Result<CauseId> {
    Ok(CauseId(
        sqlx::query_scalar!(
            "INSERT INTO notification_causes (key, title, path, opened_at) VALUES ($1, $2, $3, $4) RETURNING id",
            key,
            title,
            path,
            now,
        )
        .fetch_one(connection)
        .await?,
    ))
}

/// The cause is over. Whoever was not told of it yet need not be: returns the others.
pub async fn resolve_cause(
    connection: &mut PgConnection,
    cause: CauseId,
    now: DateTime<Utc>,
) -> Result<Vec<ChannelId>> {
    sqlx::query!(
        "UPDATE notification_causes SET resolved_at = $2 WHERE id = $1",
        cause.0,
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM notification_outbox WHERE cause_id = $1 AND attempts = 0 AND next_try_at IS NOT NULL",
        cause.0
    )
    .execute(&mut *connection)
    .await?;
    let told = sqlx::query_scalar!(
        "SELECT DISTINCT o.channel_id FROM notification_outbox o
         JOIN notification_channels c ON c.id = o.channel_id
         WHERE o.cause_id = $1 AND o.kind = 'opened' AND c.is_on",
        cause.0
    )
    .fetch_all(connection)
    .await?;
    Ok(told.into_iter().map(ChannelId).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    Opened,
    Resolved,
    Digest,
    Test,
}

impl MessageKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Resolved => "resolved",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }

    fn parse(word: &str, row: Uuid) -> Result<Self> {
        [Self::Opened, Self::Resolved, Self::Digest, Self::Test]
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or_else(|| StoreError::corrupt("notification_outbox", "kind", row, word))
    }
}

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub id: Uuid,
    pub channel: ChannelId,
    pub kind: MessageKind,
    pub message: Value,
    pub created_at: DateTime<Utc>,
    /// Tries so far, this one included.
    pub attempts: i32,
}

pub async fn put<T: Serialize>(
    connection: &mut PgConnection,
    channel: ChannelId,
    cause: Option<CauseId>,
    kind: MessageKind,
    message: &T,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO notification_outbox (id, channel_id, cause_id, kind, message, created_at, next_try_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        Uuid::now_v7(),
        channel.0,
        cause.map(|cause| cause.0),
        kind.word(),
        encode(message)?,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn any_due(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT 1 FROM notification_outbox WHERE next_try_at <= $1) AS \"any!\"",
        now
    )
    .fetch_one(connection)
    .await?)
}

/// Takes the messages that are due, oldest first, until the given time: should this process die,
/// they are tried again then.
pub async fn take_due(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    most: i64,
) -> Result<Vec<Outgoing>> {
    let rows = sqlx::query!(
        "UPDATE notification_outbox o SET attempts = attempts + 1, next_try_at = $2
         WHERE id IN (SELECT id FROM notification_outbox WHERE next_try_at <= $1
                      ORDER BY created_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING id, channel_id, kind, message, created_at, attempts",
        now,
        until,
        most,
    )
    .fetch_all(connection)
    .await?;
    let mut taken = rows
        .into_iter()
        .map(|row| {
            Ok(Outgoing {
                kind: MessageKind::parse(&row.kind, row.id)?,
                id: row.id,
                channel: ChannelId(row.channel_id),
                message: row.message,
                created_at: row.created_at,
                attempts: row.attempts,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    taken.sort_by_key(|message| (message.created_at, message.id));
    Ok(taken)
}

pub async fn delivered(connection: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE notification_outbox SET delivered_at = $2, next_try_at = NULL, error = NULL WHERE id = $1",
        id,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// `next`: `None` when it is given up.
pub async fn not_delivered(
    connection: &mut PgConnection,
    id: Uuid,
    error: &str,
    next: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE notification_outbox SET error = $2, next_try_at = $3 WHERE id = $1",
        id,
        error,
        next
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A message of a channel, as its page lists it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub message: Value,
    pub created_at: DateTime<Utc>,
    pub next_try_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
}

/// The newest first.
pub async fn sent(
    connection: &mut PgConnection,
    channel: ChannelId,
    most: i64,
) -> Result<Vec<Sent>> {
    Ok(sqlx::query_as!(
        Sent,
        "SELECT message, created_at, next_try_at, delivered_at, error FROM notification_outbox
         WHERE channel_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2",
        channel.0,
        most
    )
    .fetch_all(connection)
    .await?)
}

/// Forgets what is over since long.
pub async fn prune(connection: &mut PgConnection, before: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "DELETE FROM notification_outbox WHERE next_try_at IS NULL AND created_at < $1",
        before
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM notification_causes WHERE resolved_at < $1",
        before
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Apps that were given a pause because most operations failed, with the cause.
pub async fn paused_apps(connection: &mut PgConnection) -> Result<Vec<(Uuid, String)>> {
    let rows = sqlx::query!(
        "SELECT id, pause_cause AS \"cause!\" FROM apps
         WHERE state = 'on' AND pause_step > 0 AND pause_cause IS NOT NULL"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.cause)).collect())
}

/// How the last runs of an app ended, the newest first: stage, error code and message.
#[derive(Debug, Clone)]
pub struct EndedRun {
    pub state: String,
    pub stage: String,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

pub async fn ended_runs(
    connection: &mut PgConnection,
    app: super::apps::AppId,
    most: i64,
) -> Result<Vec<EndedRun>> {
    Ok(sqlx::query_as!(
        EndedRun,
        "SELECT state, stage, error_code, error_message FROM runs
         WHERE app_id = $1 AND kind <> 'preview' AND state NOT IN ('queued', 'running')
         ORDER BY number DESC LIMIT $2",
        app.0,
        most
    )
    .fetch_all(connection)
    .await?)
}

/// How the last readings of the directory ended, the newest first: why they failed, if they did.
/// Those that somebody ended do not count.
pub async fn ended_readings(
    connection: &mut PgConnection,
    most: i64,
) -> Result<Vec<Option<String>>> {
    let rows = sqlx::query!(
        "SELECT state, error_message FROM imports
         WHERE state IN ('complete', 'failed') AND COALESCE(error_code, '') NOT IN ('import-interrupted', 'import-lost')
         ORDER BY id DESC LIMIT $1",
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.state == "failed").then(|| row.error_message.unwrap_or_default()))
        .collect())
}
