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

/// An administrator with what decides whether they can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub administrator: Administrator,
    pub disabled_at: Option<DateTime<Utc>>,
    /// Not before an invitation was taken.
    pub has_password: bool,
}

impl Entry {
    pub fn can_sign_in(&self) -> bool {
        self.disabled_at.is_none() && self.has_password
    }
}

struct Row {
    id: Uuid,
    email: String,
    role: String,
    created_at: DateTime<Utc>,
    last_sign_in: Option<DateTime<Utc>>,
    disabled_at: Option<DateTime<Utc>>,
    has_password: bool,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            administrator: Administrator {
                id: row.id,
                email: row.email,
                role: Role::of(&row.role),
                created_at: row.created_at,
                last_sign_in: row.last_sign_in,
            },
            disabled_at: row.disabled_at,
            has_password: row.has_password,
        }
    }
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
    insert(db, administrator, Some(password_hash)).await
}

/// As [`add`], but nobody signs in until a link sets a password.
pub async fn invite(
    db: &mut PgConnection,
    administrator: &Administrator,
) -> Result<bool, sqlx::Error> {
    insert(db, administrator, None).await
}

async fn insert(
    db: &mut PgConnection,
    administrator: &Administrator,
    password_hash: Option<&str>,
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
pub async fn list(db: &mut PgConnection) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, email, role, created_at, last_sign_in, disabled_at,
                  password_hash IS NOT NULL AS "has_password!"
           FROM administrators ORDER BY created_at, id"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// All of them, and nobody else changes any until the transaction ends.
pub async fn lock(db: &mut PgConnection) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, email, role, created_at, last_sign_in, disabled_at,
                  password_hash IS NOT NULL AS "has_password!"
           FROM administrators ORDER BY id FOR UPDATE"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}

pub async fn entry(db: &mut PgConnection, id: Uuid) -> Result<Option<Entry>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, email, role, created_at, last_sign_in, disabled_at,
                  password_hash IS NOT NULL AS "has_password!"
           FROM administrators WHERE id = $1"#,
        id
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Entry::from))
}

/// `None` also when they are shut out.
pub async fn by_id(db: &mut PgConnection, id: Uuid) -> Result<Option<Administrator>, sqlx::Error> {
    let found = entry(db, id).await?;
    Ok(found
        .filter(|entry| entry.disabled_at.is_none())
        .map(|entry| entry.administrator))
}

/// Who has this e-mail (in lower case) and may sign in with a password, and its hash.
pub async fn with_password(
    db: &mut PgConnection,
    email: &str,
) -> Result<Option<(Administrator, String)>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT id, email, password_hash AS "password_hash!", role, created_at, last_sign_in
           FROM administrators
           WHERE email = $1 AND password_hash IS NOT NULL AND disabled_at IS NULL"#,
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
    .execute(db)
    .await?;
    Ok(())
}

pub async fn set_role(db: &mut PgConnection, id: Uuid, role: Role) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE administrators SET role = $2 WHERE id = $1",
        id,
        role.word()
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn set_disabled(
    db: &mut PgConnection,
    id: Uuid,
    since: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE administrators SET disabled_at = $2 WHERE id = $1",
        id,
        since
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Sessions, links and second factor go with them.
pub async fn remove(db: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("DELETE FROM administrators WHERE id = $1", id)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
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
