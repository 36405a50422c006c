//! Channels of Google's push, and what became of the last try to open one.

use super::Result;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// How many kinds of events are watched, each through a channel of its own.
const KINDS: i64 = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub id: Uuid,
    pub event: String,
    pub address: String,
    pub token_hash: Vec<u8>,
    pub opened_at: DateTime<Utc>,
    pub resource_id: Option<String>,
    pub renew_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub replaced: bool,
}

/// What Google answered when a channel was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub resource_id: String,
    pub renew_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub async fn channels(connection: &mut PgConnection) -> Result<Vec<Channel>> {
    Ok(sqlx::query_as!(
        Channel,
        "SELECT id, event, address, token_hash, opened_at, resource_id, renew_at, expires_at, replaced
         FROM push_channels ORDER BY opened_at, id"
    )
    .fetch_all(connection)
    .await?)
}

pub async fn channel(connection: &mut PgConnection, id: Uuid) -> Result<Option<Channel>> {
    Ok(sqlx::query_as!(
        Channel,
        "SELECT id, event, address, token_hash, opened_at, resource_id, renew_at, expires_at, replaced
         FROM push_channels WHERE id = $1",
        id
    )
    .fetch_optional(connection)
    .await?)
}

/// Notes a channel before Google is asked for it: its first message may come before the answer.
pub async fn begin(
    connection: &mut PgConnection,
    id: Uuid,
    event: &str,
    address: &str,
    token_hash: &[u8],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO push_channels (id, event, address, token_hash, opened_at) VALUES ($1, $2, $3, $4, $5)",
        id,
        event,
        address,
        token_hash,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The channel is open; it takes the place of the others for the same event.
pub async fn opened(connection: &mut PgConnection, id: Uuid, opened: &Opened) -> Result<()> {
    sqlx::query!(
        "UPDATE push_channels SET resource_id = $2, renew_at = $3, expires_at = $4 WHERE id = $1",
        id,
        opened.resource_id,
        opened.renew_at,
        opened.expires_at,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE push_channels SET replaced = true
         WHERE id <> $1 AND event = (SELECT event FROM push_channels WHERE id = $1)",
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The connection changed: every channel belongs to the old one, and new ones are tried at once.
pub async fn replace_all(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("UPDATE push_channels SET replaced = true")
        .execute(&mut *connection)
        .await?;
    sqlx::query!("UPDATE push_state SET problem = NULL, next_try_at = NULL")
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn forget(connection: &mut PgConnection, id: Uuid) -> Result<()> {
    sqlx::query!("DELETE FROM push_channels WHERE id = $1", id)
        .execute(connection)
        .await?;
    Ok(())
}

/// What became of the last try: a problem with the time of the next try, or none.
pub async fn note(
    connection: &mut PgConnection,
    problem: Option<(&str, DateTime<Utc>)>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE push_state SET problem = $1, next_try_at = $2",
        problem.map(|(text, _)| text),
        problem.map(|(_, at)| at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn note_hint(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE push_state SET hinted_at = $1", now)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn note_taken(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE push_state SET taken_at = $1", now)
        .execute(connection)
        .await?;
    Ok(())
}

/// How push stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Every kind of event comes until then.
    pub until: Option<DateTime<Utc>>,
    pub problem: Option<String>,
    pub next_try_at: Option<DateTime<Utc>>,
    pub hinted_at: Option<DateTime<Utc>>,
    pub taken_at: Option<DateTime<Utc>>,
}

pub async fn state(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<State> {
    Ok(sqlx::query_as!(
        State,
        "SELECT problem, next_try_at, hinted_at, taken_at,
                (SELECT CASE WHEN count(DISTINCT event) = $2 THEN min(expires_at) END
                 FROM push_channels WHERE NOT replaced AND expires_at > $1) AS until
         FROM push_state",
        now,
        KINDS,
    )
    .fetch_one(connection)
    .await?)
}
