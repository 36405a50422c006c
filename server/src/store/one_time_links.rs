//! One-time links. Only a hash of the token is kept.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// What a link is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody can sign in yet.
    FirstAdministrator,
    /// The first password of somebody who was invited.
    Invitation(Uuid),
    /// A new password for this administrator.
    ResetPassword(Uuid),
    /// The same, and the second factor is taken off; made at the shell only.
    ResetAccess(Uuid),
    /// Signs this administrator in; made by the demo only.
    DemoSignIn(Uuid),
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::FirstAdministrator => "first_administrator",
            Self::Invitation(_) => "invitation",
            Self::ResetPassword(_) => "reset_password",
            Self::ResetAccess(_) => "reset_access",
            Self::DemoSignIn(_) => "demo_sign_in",
        }
    }

    const fn administrator(self) -> Option<Uuid> {
        match self {
            Self::FirstAdministrator => None,
            Self::Invitation(id)
            | Self::ResetPassword(id)
            | Self::ResetAccess(id)
            | Self::DemoSignIn(id) => Some(id),
        }
    }

    /// The table's constraints admit nothing else.
    fn of(word: &str, administrator: Option<Uuid>) -> Self {
        match (word, administrator) {
            ("invitation", Some(id)) => Self::Invitation(id),
            ("reset_password", Some(id)) => Self::ResetPassword(id),
            ("reset_access", Some(id)) => Self::ResetAccess(id),
            ("demo_sign_in", Some(id)) => Self::DemoSignIn(id),
            _ => Self::FirstAdministrator,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub purpose: Purpose,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

/// Adds a link; older unused ones end, so that one link is good at a time.
pub async fn add(
    db: &mut PgConnection,
    token_hash: &[u8; 32],
    purpose: Purpose,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM one_time_links
         WHERE purpose = $1 AND administrator_id IS NOT DISTINCT FROM $2 AND used_at IS NULL",
        purpose.word(),
        purpose.administrator(),
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "INSERT INTO one_time_links (token_hash, purpose, administrator_id, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
        token_hash.as_slice(),
        purpose.word(),
        purpose.administrator(),
        now,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn find(
    db: &mut PgConnection,
    token_hash: &[u8; 32],
) -> Result<Option<Link>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT purpose, administrator_id, expires_at, used_at FROM one_time_links
         WHERE token_hash = $1",
        token_hash.as_slice(),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Link {
        purpose: Purpose::of(&row.purpose, row.administrator_id),
        expires_at: row.expires_at,
        used_at: row.used_at,
    }))
}

/// Uses a link up. Of two that try at once, one gets `true`.
pub async fn take(
    db: &mut PgConnection,
    token_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE one_time_links SET used_at = $2
         WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2",
        token_hash.as_slice(),
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends every unused link of an administrator.
pub async fn end_all_of(db: &mut PgConnection, administrator: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM one_time_links WHERE administrator_id = $1 AND used_at IS NULL",
        administrator
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends every unused link for a first administrator: there is one now.
pub async fn end_first_run(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM one_time_links WHERE purpose = 'first_administrator' AND used_at IS NULL"
    )
    .execute(db)
    .await?;
    Ok(())
}
