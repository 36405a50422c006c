//! The schema and its migrations, which are part of the binary.

use chrono::{DateTime, Utc};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgConnection, PgPool};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Applies what is missing, under the migrator's own advisory lock; returns how many that were.
pub async fn migrate(pool: &PgPool) -> Result<usize, MigrateError> {
    let mut db = pool.acquire().await?;
    let before = applied(&mut db).await;
    MIGRATIONS.run(&mut *db).await?;
    Ok(MIGRATIONS.iter().count().saturating_sub(before))
}

/// Nothing is applied where there is no table to say so.
async fn applied(db: &mut PgConnection) -> usize {
    // The table is the migrator's own, so the query can't be checked against our schema.
    let count: Result<i64, _> =
        sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
            .fetch_one(db)
            .await;
    count
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0)
}

/// How many of this program's migrations the database lacks.
pub async fn missing(db: &mut PgConnection) -> usize {
    MIGRATIONS.iter().count().saturating_sub(applied(db).await)
}

/// What the role of `DATABASE_URL` may do beyond what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    pub owns_the_tables: bool,
    pub is_superuser: bool,
}

pub async fn role(db: &mut PgConnection) -> Result<RoleFacts, sqlx::Error> {
    sqlx::query_as!(
        RoleFacts,
        "SELECT current_setting('is_superuser') = 'on' AS \"is_superuser!\",
                EXISTS (SELECT FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
                        WHERE c.oid = to_regclass('events')
                          AND pg_has_role(current_user, r.oid, 'USAGE')) AS \"owns_the_tables!\""
    )
    .fetch_one(db)
    .await
}

/// What the database's clock says.
pub async fn time(db: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!("SELECT clock_timestamp() AS \"now!\"")
        .fetch_one(db)
        .await
}

/// Whether the database answers.
pub async fn answers(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT 1 AS \"one!\"")
        .fetch_one(pool)
        .await
        .map(|_| ())
}

/// What the database is.
#[derive(Clone, Debug)]
pub struct Facts {
    pub server_version: String,
    /// The number of the last migration.
    pub schema_version: i64,
}

pub async fn facts(db: &mut PgConnection) -> Result<Facts, sqlx::Error> {
    let server_version =
        sqlx::query_scalar!("SELECT current_setting('server_version') AS \"version!\"")
            .fetch_one(db)
            .await?;
    let schema_version = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    Ok(Facts {
        server_version,
        schema_version,
    })
}
