//! Authenticator apps and recovery codes. Of codes only hashes are kept; the app's secret is a
//! credential.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// What somebody can prove themselves with after the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factors {
    /// Since when they have an authenticator app.
    pub app_since: Option<DateTime<Utc>>,
    pub passkeys: i64,
    pub recovery_codes_left: i64,
}

/// `None` without an app and without passkeys; recovery codes alone are no factor.
pub async fn find(
    db: &mut PgConnection,
    administrator: Uuid,
) -> Result<Option<Factors>, sqlx::Error> {
    let factors = sqlx::query_as!(
        Factors,
        r#"SELECT (SELECT confirmed_at FROM authenticators WHERE administrator_id = $1) AS app_since,
                  (SELECT count(*) FROM passkeys WHERE administrator_id = $1) AS "passkeys!",
                  (SELECT count(*) FROM recovery_codes
                   WHERE administrator_id = $1 AND used_at IS NULL) AS "recovery_codes_left!""#,
        administrator
    )
    .fetch_one(db)
    .await?;
    Ok(Some(factors).filter(|one| one.app_since.is_some() || one.passkeys > 0))
}

/// Who has one.
pub async fn everybody(db: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT administrator_id AS "id!" FROM authenticators
           UNION SELECT administrator_id FROM passkeys"#
    )
    .fetch_all(db)
    .await
}

/// In place of the one before. The step that confirmed it is used up.
pub async fn put(
    db: &mut PgConnection,
    administrator: Uuid,
    step: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO authenticators (administrator_id, confirmed_at, last_step) VALUES ($1, $2, $3)
         ON CONFLICT (administrator_id) DO UPDATE
         SET confirmed_at = excluded.confirmed_at, last_step = excluded.last_step",
        administrator,
        now,
        step,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses a step up. Of two that try the same or an earlier one, nobody or one gets `true`.
pub async fn take_step(
    db: &mut PgConnection,
    administrator: Uuid,
    step: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE authenticators SET last_step = $2 WHERE administrator_id = $1 AND last_step < $2",
        administrator,
        step,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says whether there was an app.
pub async fn delete_app(db: &mut PgConnection, administrator: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM authenticators WHERE administrator_id = $1",
        administrator
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn delete_codes(db: &mut PgConnection, administrator: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM recovery_codes WHERE administrator_id = $1",
        administrator
    )
    .execute(db)
    .await?;
    Ok(())
}

/// In place of those before, used or not.
pub async fn put_codes(
    db: &mut PgConnection,
    administrator: Uuid,
    hashes: &[Vec<u8>],
) -> Result<(), sqlx::Error> {
    delete_codes(&mut *db, administrator).await?;
    sqlx::query!(
        "INSERT INTO recovery_codes (administrator_id, code_hash)
         SELECT $1, hash FROM unnest($2::bytea[]) AS hash",
        administrator,
        hashes,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses a code up. Of two that try at once, one gets `true`.
pub async fn take_code(
    db: &mut PgConnection,
    administrator: Uuid,
    hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE recovery_codes SET used_at = $3
         WHERE administrator_id = $1 AND code_hash = $2 AND used_at IS NULL",
        administrator,
        hash.as_slice(),
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
