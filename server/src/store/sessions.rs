//! Sessions. Only a hash of the cookie's value is kept.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    pub data: Value,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// `false` when there is one with this id already.
pub async fn create(
    db: &mut PgConnection,
    id_hash: &[u8; 32],
    administrator: Option<Uuid>,
    session: &StoredSession,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO sessions (id_hash, administrator_id, data, created_at, last_seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id_hash) DO NOTHING",
        id_hash.as_slice(),
        administrator,
        session.data,
        session.created_at,
        session.last_seen_at,
        session.expires_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes what a session holds; `false` when it is gone. When it began stays as it is.
pub async fn save(
    db: &mut PgConnection,
    id_hash: &[u8; 32],
    administrator: Option<Uuid>,
    data: &Value,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE sessions SET administrator_id = $2, data = $3, last_seen_at = $4 WHERE id_hash = $1",
        id_hash.as_slice(),
        administrator,
        data,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A session that neither ended nor was idle since `idle_since`.
pub async fn load(
    db: &mut PgConnection,
    id_hash: &[u8; 32],
    now: DateTime<Utc>,
    idle_since: DateTime<Utc>,
) -> Result<Option<StoredSession>, sqlx::Error> {
    sqlx::query_as!(
        StoredSession,
        "SELECT data, created_at, last_seen_at, expires_at FROM sessions
         WHERE id_hash = $1 AND expires_at > $2 AND last_seen_at > $3",
        id_hash.as_slice(),
        now,
        idle_since,
    )
    .fetch_optional(db)
    .await
}

pub async fn seen(
    db: &mut PgConnection,
    id_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE sessions SET last_seen_at = $2 WHERE id_hash = $1",
        id_hash.as_slice(),
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn delete(db: &mut PgConnection, id_hash: &[u8; 32]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM sessions WHERE id_hash = $1",
        id_hash.as_slice()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// One of an administrator's sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub id_hash: Vec<u8>,
    pub session: StoredSession,
}

/// Those that are neither over nor idle, the last used first.
pub async fn of_administrator(
    db: &mut PgConnection,
    administrator: Uuid,
    now: DateTime<Utc>,
    idle_since: DateTime<Utc>,
) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id_hash, data, created_at, last_seen_at, expires_at FROM sessions
         WHERE administrator_id = $1 AND expires_at > $2 AND last_seen_at > $3
         ORDER BY last_seen_at DESC, created_at DESC",
        administrator,
        now,
        idle_since,
    )
    .fetch_all(db)
    .await?;
    let listed = rows.into_iter().map(|row| Listed {
        id_hash: row.id_hash,
        session: StoredSession {
            data: row.data,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        },
    });
    Ok(listed.collect())
}

/// Ends one of this administrator's sessions; `false` when they have none of this name.
pub async fn revoke(
    db: &mut PgConnection,
    administrator: Uuid,
    id_hash: &[u8],
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM sessions WHERE administrator_id = $1 AND id_hash = $2",
        administrator,
        id_hash,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all of an administrator's sessions but one, and says how many.
pub async fn revoke_all(
    db: &mut PgConnection,
    administrator: Uuid,
    but: Option<&[u8]>,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM sessions WHERE administrator_id = $1 AND id_hash IS DISTINCT FROM $2",
        administrator,
        but,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// No session lives longer than this from its beginning; those that would be over sooner stay so.
pub async fn shorten(db: &mut PgConnection, longest: TimeDelta) -> Result<(), sqlx::Error> {
    // Made of seconds: a number of hours is what it is, whatever the day.
    let longest = longest.num_seconds();
    sqlx::query!(
        r#"UPDATE sessions SET expires_at = created_at + make_interval(secs => $1::bigint::double precision)
           WHERE expires_at > created_at + make_interval(secs => $1::bigint::double precision)"#,
        longest
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn prune(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    idle_since: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2",
        now,
        idle_since
    )
    .execute(db)
    .await?;
    Ok(())
}
