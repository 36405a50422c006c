//! Who may use the console.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    SuperAdministrator,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Self::SuperAdministrator => "super_administrator",
            Self::Auditor => "auditor",
        }
    }

    /// The column's constraint admits no third word.
    fn of(word: &str) -> Self {
        if word == "super_administrator" {
            Self::SuperAdministrator
        } else {
            Self::Auditor
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    pub id: Uuid,
    /// In lower case.
    pub email: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub last_sign_in: Option<DateTime<Utc>>,
}

/// Whether anybody can sign in at all.
pub async fn any(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!("SELECT EXISTS (SELECT FROM administrators) AS \"any!\"")
        .fetch_one(db)
        .await
}

/// `false` when the e-mail is taken.
pub async fn add(
    db: &mut PgConnection,
    administrator: &Administrator,
    password_hash: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "INSERT INTO administrators (id, email, password_hash, role, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT administrators_email_unique DO NOTHING",
        administrator.id,
        administrator.email,
        password_hash,
        administrator.role.word(),
        administrator.created_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Oldest first.
pub async fn list(db: &mut PgConnection) -> Result<Vec<Administrator>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, email, role, created_at, last_sign_in FROM administrators
         ORDER BY created_at, id"
    )
    .fetch_all(db)
    .await?;
    let administrators = rows.into_iter().map(|row| Administrator {
        id: row.id,
        email: row.email,
        role: Role::of(&row.role),
        created_at: row.created_at,
        last_sign_in: row.last_sign_in,
    });
    Ok(administrators.collect())
}

pub async fn by_id(db: &mut PgConnection, id: Uuid) -> Result<Option<Administrator>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT id, email, role, created_at, last_sign_in FROM administrators WHERE id = $1",
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Administrator {
        id: row.id,
        email: row.email,
        role: Role::of(&row.role),
        created_at: row.created_at,
        last_sign_in: row.last_sign_in,
    }))
}

/// Who has this e-mail (in lower case), and the hash of their password.
pub async fn with_password(
    db: &mut PgConnection,
    email: &str,
) -> Result<Option<(Administrator, String)>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT id, email, password_hash, role, created_at, last_sign_in FROM administrators
         WHERE email = $1",
        email
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let administrator = Administrator {
            id: row.id,
            email: row.email,
            role: Role::of(&row.role),
            created_at: row.created_at,
            last_sign_in: row.last_sign_in,
        };
        (administrator, row.password_hash)
    }))
}

/// Whoever was signed in as them is signed out.
pub async fn set_password(
    db: &mut PgConnection,
    id: Uuid,
    password_hash: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE administrators SET password_hash = $2 WHERE id = $1",
        id,
        password_hash
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("DELETE FROM sessions WHERE administrator_id = $1", id)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn signed_in(
    db: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE administrators SET last_sign_in = $2 WHERE id = $1",
        id,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
