//! Runs as they are looked for and listed.

use crate::store::Result;
use crate::store::apps::AppId;

use super::{Run, RunId, RunRow};
use provisioning::identity::PersonId;
use sqlx::PgConnection;

/// The run that people call by this number.
pub async fn by_number(
    connection: &mut PgConnection,
    app: AppId,
    number: i64,
) -> Result<Option<Run>> {
    sqlx::query_as!(
        RunRow,
        "SELECT id, number, app_id, plan_of, kind, state, stage, actor, config_version, import_id, fresh_import, after_import, queued_at, started_at,
                apply_started_at, finished_at, stop_requested_by, only_people, total, done, people, planned, applied, failed, held,
                directory_requests, scim_reads, scim_writes, error_code, error_message
         FROM runs WHERE app_id = $1 AND number = $2",
        app.0,
        number
    )
    .fetch_optional(connection)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// The run that is queued or under way for an app, previews apart.
pub async fn active(connection: &mut PgConnection, app: AppId) -> Result<Option<Run>> {
    sqlx::query_as!(
        RunRow,
        "SELECT id, number, app_id, plan_of, kind, state, stage, actor, config_version, import_id, fresh_import, after_import, queued_at, started_at,
                apply_started_at, finished_at, stop_requested_by, only_people, total, done, people, planned, applied, failed, held,
                directory_requests, scim_reads, scim_writes, error_code, error_message
         FROM runs WHERE app_id = $1 AND state IN ('queued', 'running') AND kind <> 'preview'",
        app.0
    )
    .fetch_optional(connection)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// An app's runs for everybody, newest first; previews only when asked for.
pub async fn list(
    connection: &mut PgConnection,
    app: AppId,
    previews: bool,
    limit: i64,
) -> Result<Vec<Run>> {
    sqlx::query_as!(
        RunRow,
        "SELECT id, number, app_id, plan_of, kind, state, stage, actor, config_version, import_id, fresh_import, after_import, queued_at, started_at,
                apply_started_at, finished_at, stop_requested_by, only_people, total, done, people, planned, applied, failed, held,
                directory_requests, scim_reads, scim_writes, error_code, error_message
         FROM runs WHERE app_id = $1 AND ($2 OR kind <> 'preview') AND only_people = '{}' ORDER BY number DESC LIMIT $3",
        app.0,
        previews,
        limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Run::try_from)
    .collect()
}

/// The newest preview of an app, whatever its state.
pub async fn latest_preview(connection: &mut PgConnection, app: AppId) -> Result<Option<Run>> {
    sqlx::query_as!(
        RunRow,
        "SELECT id, number, app_id, plan_of, kind, state, stage, actor, config_version, import_id, fresh_import, after_import, queued_at, started_at,
                apply_started_at, finished_at, stop_requested_by, only_people, total, done, people, planned, applied, failed, held,
                directory_requests, scim_reads, scim_writes, error_code, error_message
         FROM runs WHERE app_id = $1 AND kind = 'preview' ORDER BY number DESC LIMIT 1",
        app.0
    )
    .fetch_optional(connection)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// One part of an app's runs, newest first, previews among them.
pub async fn page(
    connection: &mut PgConnection,
    app: AppId,
    part: crate::store::pages::Part,
) -> Result<Vec<Run>> {
    sqlx::query_as!(
        RunRow,
        "SELECT id, number, app_id, plan_of, kind, state, stage, actor, config_version, import_id, fresh_import, after_import, queued_at, started_at,
                apply_started_at, finished_at, stop_requested_by, only_people, total, done, people, planned, applied, failed, held,
                directory_requests, scim_reads, scim_writes, error_code, error_message
         FROM runs WHERE app_id = $1 ORDER BY number DESC LIMIT $2 OFFSET $3",
        app.0,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Run::try_from)
    .collect()
}

/// The newest run of an app for this person alone.
pub async fn newest_of_person(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
) -> Result<Option<RunId>> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM runs WHERE app_id = $1 AND only_people <> '{}' AND only_people = ARRAY[$2::text]
         ORDER BY number DESC LIMIT 1",
        app.0,
        person.to_string()
    )
    .fetch_optional(connection)
    .await?
    .map(RunId))
}
