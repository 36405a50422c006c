//! Filters of the audit log that administrators keep under a name; each sees their own.

use super::Result;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFilter {
    pub id: i64,
    pub name: String,
    pub query: String,
}

pub async fn list(connection: &mut PgConnection, administrator: Uuid) -> Result<Vec<SavedFilter>> {
    Ok(sqlx::query_as!(
        SavedFilter,
        "SELECT id, name, query FROM saved_filters WHERE administrator_id = $1 ORDER BY lower(name), id",
        administrator,
    )
    .fetch_all(connection)
    .await?)
}

/// The name is given once: what it stood for before is replaced.
pub async fn save(
    connection: &mut PgConnection,
    administrator: Uuid,
    name: &str,
    query: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO saved_filters (administrator_id, name, query, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (administrator_id, name) DO UPDATE SET query = $3, created_at = $4",
        administrator,
        name,
        query,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets one of an administrator's own; false when there is none.
pub async fn forget(connection: &mut PgConnection, administrator: Uuid, id: i64) -> Result<bool> {
    let result = sqlx::query!(
        "DELETE FROM saved_filters WHERE administrator_id = $1 AND id = $2",
        administrator,
        id,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}
