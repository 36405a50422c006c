//! Passkeys, and what sessions were asked to sign with them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    pub id: Uuid,
    pub name: String,
    pub site: String,
    pub credential_id: Vec<u8>,
    pub transports: i16,
    pub made: Vec<u8>,
    pub state: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

/// What a challenge is for; one made for the one is worth nothing for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Add,
    Prove,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Prove => "prove",
        }
    }
}

/// The oldest first.
pub async fn of(db: &mut PgConnection, administrator: Uuid) -> Result<Vec<Passkey>, sqlx::Error> {
    sqlx::query_as!(
        Passkey,
        "SELECT id, name, site, credential_id, transports, made, state, created_at, used_at
         FROM passkeys WHERE administrator_id = $1 ORDER BY created_at, id",
        administrator
    )
    .fetch_all(db)
    .await
}

/// This administrator's, and nobody else's.
pub async fn find(
    db: &mut PgConnection,
    administrator: Uuid,
    site: &str,
    credential_id: &[u8],
) -> Result<Option<Passkey>, sqlx::Error> {
    sqlx::query_as!(
        Passkey,
        "SELECT id, name, site, credential_id, transports, made, state, created_at, used_at
         FROM passkeys WHERE administrator_id = $1 AND site = $2 AND credential_id = $3",
        administrator,
        site,
        credential_id
    )
    .fetch_optional(db)
    .await
}

/// `false` when there is one with this credential, whoever's it is.
pub async fn add(
    db: &mut PgConnection,
    administrator: Uuid,
    passkey: &Passkey,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO passkeys (id, administrator_id, name, site, credential_id, transports, made, state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (credential_id) DO NOTHING",
        passkey.id,
        administrator,
        passkey.name,
        passkey.site,
        passkey.credential_id,
        passkey.transports,
        passkey.made,
        passkey.state,
        passkey.created_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Of two signatures that were judged by the same state, one gets `true`.
pub async fn used(
    db: &mut PgConnection,
    passkey: &Passkey,
    state: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE passkeys SET state = $2, used_at = $3 WHERE id = $1 AND state = $4",
        passkey.id,
        state,
        now,
        passkey.state,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says whether they have it.
pub async fn rename(
    db: &mut PgConnection,
    administrator: Uuid,
    id: Uuid,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE passkeys SET name = $3 WHERE administrator_id = $1 AND id = $2",
        administrator,
        id,
        name,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Returns its name, if they had it.
pub async fn remove(
    db: &mut PgConnection,
    administrator: Uuid,
    id: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM passkeys WHERE administrator_id = $1 AND id = $2 RETURNING name",
        administrator,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Says whether there were any.
pub async fn remove_all(db: &mut PgConnection, administrator: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM passkeys WHERE administrator_id = $1",
        administrator
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// In place of the one before.
pub async fn put_challenge(
    db: &mut PgConnection,
    session_hash: &[u8],
    purpose: Purpose,
    state: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO passkey_challenges (session_hash, purpose, state, expires_at)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (session_hash, purpose) DO UPDATE
         SET state = excluded.state, expires_at = excluded.expires_at",
        session_hash,
        purpose.word(),
        state,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses a challenge up. Of two that try at once, one gets it.
pub async fn take_challenge(
    db: &mut PgConnection,
    session_hash: &[u8],
    purpose: Purpose,
    now: DateTime<Utc>,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let taken = sqlx::query!(
        "DELETE FROM passkey_challenges WHERE session_hash = $1 AND purpose = $2
         RETURNING state, expires_at",
        session_hash,
        purpose.word(),
    )
    .fetch_optional(db)
    .await?;
    let fresh = taken.filter(|taken| taken.expires_at > now);
    Ok(fresh.map(|taken| taken.state))
}
