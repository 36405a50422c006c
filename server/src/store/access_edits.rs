//! Changes of user access that wait for somebody's review, at most one for an app.

use super::apps::AppId;
use super::{Result, decode, encode};
use chrono::{DateTime, Utc};
use provisioning::config::Access;
use sqlx::PgConnection;

pub async fn get(connection: &mut PgConnection, app: AppId) -> Result<Option<Access>> {
    let access = sqlx::query_scalar!("SELECT access FROM access_edits WHERE app_id = $1", app.0)
        .fetch_optional(connection)
        .await?;
    access
        .map(|access| decode(access, "access_edits", "access", app.0))
        .transpose()
}

pub async fn save(
    connection: &mut PgConnection,
    app: AppId,
    access: &Access,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO access_edits (app_id, access, updated_at, updated_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (app_id) DO UPDATE SET access = $2, updated_at = $3, updated_by = $4",
        app.0,
        encode(access)?,
        now,
        actor,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn discard(connection: &mut PgConnection, app: AppId) -> Result<()> {
    sqlx::query!("DELETE FROM access_edits WHERE app_id = $1", app.0)
        .execute(connection)
        .await?;
    Ok(())
}
