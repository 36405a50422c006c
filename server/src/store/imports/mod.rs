//! Imports: staging while pages arrive, one merge at the end. Complete or nothing (S1.4).

mod merging;
mod staging;

use crate::store::Result;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use merging::*;
pub use staging::*;

/// Identifies one reading of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportId(pub i64);

/// What an import found, for the console and for plausibility.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportCounts {
    pub people: i32,
    pub deleted_people: i32,
    pub unknown_people: i32,
    pub groups: i32,
    pub org_units: i32,
    pub memberships: i32,
    pub requests: i64,
}

#[derive(Debug, Clone)]
pub struct ImportSummary {
    pub id: ImportId,
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub counts: ImportCounts,
    pub odd: serde_json::Value,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// Seconds after which an import without a heartbeat counts as abandoned.
pub(super) const ABANDONED_AFTER_SECONDS: f64 = 20.0;

/// Starts an import unless another process is reading the directory right now.
pub async fn begin(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<ImportId>> {
    sqlx::query!(
        "UPDATE imports SET state = 'failed', finished_at = $1, error_code = 'abandoned',
                error_message = 'The process that read the directory ended before it was done. Nothing is planned from it.'
         WHERE state = 'running' AND heartbeat_at < now() - make_interval(secs => $2)",
        now,
        ABANDONED_AFTER_SECONDS,
    )
    .execute(&mut *connection)
    .await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO imports (state, started_at) VALUES ('running', $1)
         ON CONFLICT ((true)) WHERE state = 'running' DO NOTHING RETURNING id",
        now
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(id) = id {
        // What earlier imports left behind was never merged and never will be.
        sqlx::query!("DELETE FROM people_staging WHERE import_id <> $1", id)
            .execute(&mut *connection)
            .await?;
        sqlx::query!("DELETE FROM people_seen_staging WHERE import_id <> $1", id)
            .execute(&mut *connection)
            .await?;
        sqlx::query!("DELETE FROM memberships_staging WHERE import_id <> $1", id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(id.map(ImportId))
}

/// Says that the import is alive; false when another process gave it up meanwhile.
pub async fn beat(connection: &mut PgConnection, import: ImportId) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE imports SET heartbeat_at = now() WHERE id = $1 AND state = 'running'",
        import.0
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn fail(
    connection: &mut PgConnection,
    import: ImportId,
    now: DateTime<Utc>,
    requests: i64,
    code: &str,
    message: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE imports SET state = 'failed', finished_at = $2, requests = $3, error_code = $4, error_message = $5
         WHERE id = $1 AND state = 'running'",
        import.0,
        now,
        requests,
        code,
        message,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn latest(connection: &mut PgConnection) -> Result<Option<ImportSummary>> {
    one(connection, false, None).await
}

pub async fn latest_complete(connection: &mut PgConnection) -> Result<Option<ImportSummary>> {
    one(connection, true, None).await
}

pub async fn get(connection: &mut PgConnection, import: ImportId) -> Result<Option<ImportSummary>> {
    one(connection, false, Some(import)).await
}

async fn one(
    connection: &mut PgConnection,
    complete: bool,
    id: Option<ImportId>,
) -> Result<Option<ImportSummary>> {
    let row = sqlx::query!(
        "SELECT id, state, started_at, finished_at, people, deleted_people, unknown_people, groups,
                org_units, memberships, requests, odd, error_code, error_message
         FROM imports WHERE (NOT $1 OR state = 'complete') AND ($2::bigint IS NULL OR id = $2)
         ORDER BY id DESC LIMIT 1",
        complete,
        id.map(|id| id.0),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| ImportSummary {
        id: ImportId(row.id),
        state: row.state,
        started_at: row.started_at,
        finished_at: row.finished_at,
        counts: ImportCounts {
            people: row.people,
            deleted_people: row.deleted_people,
            unknown_people: row.unknown_people,
            groups: row.groups,
            org_units: row.org_units,
            memberships: row.memberships,
            requests: row.requests,
        },
        odd: row.odd,
        error_code: row.error_code,
        error_message: row.error_message,
    }))
}
