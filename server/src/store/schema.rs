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

/// The database's schema beside this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Current,
    Behind {
        missing: usize,
    },
    /// A newer program has migrated it.
    Newer {
        found: i64,
        known: i64,
    },
}

pub async fn standing(db: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    const UNDEFINED_TABLE: &str = "42P01";
    // The table is the migrator's own, so the query can't be checked against our schema.
    let applied: Result<Vec<i64>, _> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(db)
            .await;
    let applied = match applied {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
            Vec::new()
        }
        applied => applied?,
    };
    let known = schema_version();
    if let Some(found) = applied.iter().copied().max().filter(|found| *found > known) {
        return Ok(Standing::Newer { found, known });
    }
    let missing = MIGRATIONS
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .count();
    Ok(match missing {
        0 => Standing::Current,
        missing => Standing::Behind { missing },
    })
}

/// The number of this program's last migration.
fn schema_version() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// The role of a connection.
pub async fn role_name(db: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!("SELECT current_user::text AS \"role!\"")
        .fetch_one(db)
        .await
}

/// Grants a role that owns nothing what a process needs. Called as the owner of the tables, by one
/// process at a time.
pub async fn grant(owner: &PgPool, process: &str) -> Result<(), sqlx::Error> {
    let mut transaction = owner.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('grant_to_process'))")
        .execute(&mut *transaction)
        .await?;
    sqlx::query!(
        "SELECT grant_to_process($1::text::name)
         WHERE NOT pg_has_role($1::text::name,
             (SELECT relowner FROM pg_class WHERE oid = to_regclass('events')), 'USAGE')",
        process
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
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
    Ok(Facts {
        server_version,
        schema_version: schema_version(),
    })
}
