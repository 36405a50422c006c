//! Channels of Google's push, and what became of the last try to open one.

use super::Result;
use super::apps::AppId;
use chrono::{DateTime, Utc};
use provisioning::identity::PersonId;
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

/// Notes whom Google says changed, for every app that is on; without a person it may be anybody.
pub async fn add_hint(
    connection: &mut PgConnection,
    person: Option<&PersonId>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO push_hints (app_id, person_id, hinted_at) SELECT id, $1, $2 FROM apps WHERE state = 'on'
         ON CONFLICT DO NOTHING",
        person.map(ToString::to_string),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Of whom an app is to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hinted {
    pub app: AppId,
    pub people: Vec<PersonId>,
    /// Somebody else may have changed, too.
    pub anybody: bool,
}

pub async fn hints(connection: &mut PgConnection) -> Result<Vec<Hinted>> {
    let rows = sqlx::query!(
        "SELECT app_id, COALESCE(array_agg(person_id ORDER BY person_id) FILTER (WHERE person_id IS NOT NULL), '{}')
                    AS \"people!: Vec<String>\",
                bool_or(person_id IS NULL) AS \"anybody!\"
         FROM push_hints GROUP BY app_id ORDER BY app_id"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Hinted {
            app: AppId(row.app_id),
            people: row.people.into_iter().map(PersonId::from).collect(),
            anybody: row.anybody,
        })
        .collect())
}

/// A run of the app was queued for these hints, or none is to come.
pub async fn forget_hints(connection: &mut PgConnection, hinted: &Hinted) -> Result<()> {
    let people: Vec<String> = hinted.people.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "DELETE FROM push_hints WHERE app_id = $1 AND (person_id = ANY($2) OR (person_id IS NULL AND $3))",
        hinted.app.0,
        &people,
        hinted.anybody,
    )
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
