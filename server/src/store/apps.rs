//! Apps, the versions of their configuration, and drafts of the wizard.

use super::{Result, StoreError, encode};
use chrono::{DateTime, Utc};
use provisioning::identity::AppSlug;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub Uuid);

/// Whether autoprovisioning works for an app (S7.1). Held is a state of removals, not of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppState {
    NotConfigured,
    Off,
    On,
    Stopped { code: String, message: String },
}

impl AppState {
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Off => "off",
            Self::On => "on",
            Self::Stopped { .. } => "stopped",
        }
    }
}

#[derive(Debug, Clone)]
pub struct App {
    pub id: AppId,
    pub slug: AppSlug,
    pub catalog: String,
    pub name: String,
    pub endpoint: String,
    pub state: AppState,
    pub stopped_at: Option<DateTime<Utc>>,
    pub config_version: i32,
    pub learned: Value,
    pub facts: Value,
    pub authorized_at: Option<DateTime<Utc>>,
    pub first_plan_confirmed: bool,
    /// A run carried out its plan; from then on, matches follow the app's linking.
    pub first_run_done: bool,
    pub turned_on_at: Option<DateTime<Utc>>,
    /// It was on again after more than a day: removals due before this are still to be held.
    pub overdue_before: Option<DateTime<Utc>>,
    pub last_run_at: Option<DateTime<Utc>>,
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_drift_at: Option<DateTime<Utc>>,
    pub paused_until: Option<DateTime<Utc>>,
    pub pause_step: i32,
    pub created_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct AppRow {
    id: Uuid,
    slug: String,
    catalog: String,
    name: String,
    endpoint: String,
    state: String,
    stop_code: Option<String>,
    stop_message: Option<String>,
    stopped_at: Option<DateTime<Utc>>,
    config_version: i32,
    learned: Value,
    facts: Value,
    authorized_at: Option<DateTime<Utc>>,
    first_plan_confirmed: bool,
    first_run_done: bool,
    turned_on_at: Option<DateTime<Utc>>,
    overdue_before: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    next_run_at: Option<DateTime<Utc>>,
    last_drift_at: Option<DateTime<Utc>>,
    paused_until: Option<DateTime<Utc>>,
    pause_step: i32,
    created_at: DateTime<Utc>,
}

impl TryFrom<AppRow> for App {
    type Error = StoreError;

    fn try_from(row: AppRow) -> Result<Self> {
        let state = match row.state.as_str() {
            "not_configured" => AppState::NotConfigured,
            "off" => AppState::Off,
            "on" => AppState::On,
            "stopped" => AppState::Stopped {
                code: row.stop_code.unwrap_or_default(),
                message: row.stop_message.unwrap_or_default(),
            },
            other => return Err(StoreError::corrupt("apps", "state", &row.slug, other)),
        };
        Ok(Self {
            id: AppId(row.id),
            slug: AppSlug::parse(&row.slug)
                .map_err(|cause| StoreError::corrupt("apps", "slug", &row.slug, cause))?,
            catalog: row.catalog,
            name: row.name,
            endpoint: row.endpoint,
            state,
            stopped_at: row.stopped_at,
            config_version: row.config_version,
            learned: row.learned,
            facts: row.facts,
            authorized_at: row.authorized_at,
            first_plan_confirmed: row.first_plan_confirmed,
            first_run_done: row.first_run_done,
            turned_on_at: row.turned_on_at,
            overdue_before: row.overdue_before,
            last_run_at: row.last_run_at,
            next_run_at: row.next_run_at,
            last_drift_at: row.last_drift_at,
            paused_until: row.paused_until,
            pause_step: row.pause_step,
            created_at: row.created_at,
        })
    }
}

pub async fn list(connection: &mut PgConnection) -> Result<Vec<App>> {
    sqlx::query_as!(AppRow, "SELECT id, slug, catalog, name, endpoint, state, stop_code, stop_message, stopped_at,
                config_version, learned, facts, authorized_at, first_plan_confirmed, first_run_done, turned_on_at,
                overdue_before, last_run_at, next_run_at, last_drift_at, paused_until, pause_step, created_at FROM apps ORDER BY lower(name), slug")
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(App::try_from)
        .collect()
}

pub async fn by_slug(connection: &mut PgConnection, slug: &str) -> Result<Option<App>> {
    sqlx::query_as!(AppRow, "SELECT id, slug, catalog, name, endpoint, state, stop_code, stop_message, stopped_at,
                config_version, learned, facts, authorized_at, first_plan_confirmed, first_run_done, turned_on_at,
                overdue_before, last_run_at, next_run_at, last_drift_at, paused_until, pause_step, created_at FROM apps WHERE slug = $1", slug)
        .fetch_optional(connection)
        .await?
        .map(App::try_from)
        .transpose()
}

pub async fn get(connection: &mut PgConnection, id: AppId) -> Result<Option<App>> {
    sqlx::query_as!(AppRow, "SELECT id, slug, catalog, name, endpoint, state, stop_code, stop_message, stopped_at,
                config_version, learned, facts, authorized_at, first_plan_confirmed, first_run_done, turned_on_at,
                overdue_before, last_run_at, next_run_at, last_drift_at, paused_until, pause_step, created_at FROM apps WHERE id = $1", id.0)
        .fetch_optional(connection)
        .await?
        .map(App::try_from)
        .transpose()
}

/// Adds an app; `None` when the slug is taken.
pub async fn add(
    connection: &mut PgConnection,
    slug: &AppSlug,
    catalog: &str,
    name: &str,
    endpoint: &str,
    now: DateTime<Utc>,
) -> Result<Option<AppId>> {
    let id = sqlx::query_scalar!(
        "INSERT INTO apps (id, slug, catalog, name, endpoint, state, created_at)
         VALUES ($1, $2, $3, $4, $5, 'not_configured', $6)
         ON CONFLICT (slug) DO NOTHING RETURNING id",
        Uuid::now_v7(),
        slug.to_string(),
        catalog,
        name,
        endpoint,
        now,
    )
    .fetch_optional(connection)
    .await?;
    Ok(id.map(AppId))
}

/// Changes what the app is called and where it is. Learned facts belong to the old address.
pub async fn rename(
    connection: &mut PgConnection,
    id: AppId,
    name: &str,
    endpoint: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET name = $2, endpoint = $3,
                learned = CASE WHEN endpoint = $3 THEN learned ELSE '{}' END,
                facts = CASE WHEN endpoint = $3 THEN facts ELSE '{}' END
         WHERE id = $1",
        id.0,
        name,
        endpoint,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves the app to a state. Returns false when it was in that state already. Every way back to on
/// passes here: after more than a day, what fell due meanwhile is to be held (S6.8).
pub async fn set_state(
    connection: &mut PgConnection,
    id: AppId,
    state: &AppState,
    now: DateTime<Utc>,
) -> Result<bool> {
    let (code, message) = match state {
        AppState::Stopped { code, message } => (Some(code.as_str()), Some(message.as_str())),
        _ => (None, None),
    };
    let word = state.word();
    let result = sqlx::query!(
        "UPDATE apps SET state = $2, stop_code = $3, stop_message = $4,
                stopped_at = CASE WHEN $2 = 'stopped' THEN $5::timestamptz END,
                turned_on_at = CASE WHEN $2 = 'on' AND state <> 'on' THEN $5 ELSE turned_on_at END,
                overdue_before = CASE
                    WHEN $2 = 'on' AND state <> 'on'
                         AND (overdue_before IS NOT NULL OR off_since < $5 - interval '24 hours') THEN $5
                    ELSE overdue_before END,
                off_since = CASE WHEN $2 = 'on' THEN NULL WHEN state = 'on' THEN $5 ELSE off_since END,
                next_run_at = CASE WHEN $2 = 'on' THEN next_run_at END
         WHERE id = $1 AND (state <> $2 OR stop_code IS DISTINCT FROM $3)",
        id.0,
        word,
        code,
        message,
        now,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Stops an app that is on, in the caller's transaction; false when it was not on. Somebody may
/// have turned it off meanwhile, and that stays.
pub async fn stop(
    connection: &mut PgConnection,
    id: AppId,
    code: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let is_on = sqlx::query_scalar!(
        "SELECT id FROM apps WHERE id = $1 AND state = 'on' FOR UPDATE",
        id.0
    )
    .fetch_optional(&mut *connection)
    .await?;
    if is_on.is_none() {
        return Ok(false);
    }
    let state = AppState::Stopped {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    set_state(connection, id, &state, now).await
}

/// Lets an app go on that is configured and stopped for this very cause, in the caller's
/// transaction; false when it is anything else by now.
pub async fn resume(
    connection: &mut PgConnection,
    id: AppId,
    code: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let waits = sqlx::query_scalar!(
        "SELECT id FROM apps
         WHERE id = $1 AND state = 'stopped' AND stop_code = $2 AND config_version > 0 FOR UPDATE",
        id.0,
        code,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if waits.is_none() {
        return Ok(false);
    }
    set_state(connection, id, &AppState::On, now).await
}

pub async fn set_authorized(
    connection: &mut PgConnection,
    id: AppId,
    facts: &Value,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET authorized_at = $2, facts = $3 WHERE id = $1",
        id.0,
        now,
        facts
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The app has not been asked yet whether it takes the token that is stored now.
pub async fn forget_authorization(connection: &mut PgConnection, id: AppId) -> Result<()> {
    sqlx::query!("UPDATE apps SET authorized_at = NULL WHERE id = $1", id.0)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn set_learned(connection: &mut PgConnection, id: AppId, learned: &Value) -> Result<()> {
    sqlx::query!("UPDATE apps SET learned = $2 WHERE id = $1", id.0, learned)
        .execute(connection)
        .await?;
    Ok(())
}

/// The same while the app is still at this address: what was learned belongs to it.
pub async fn keep_learned(
    connection: &mut PgConnection,
    id: AppId,
    endpoint: &str,
    learned: &Value,
) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET learned = $3 WHERE id = $1 AND endpoint = $2",
        id.0,
        endpoint,
        learned
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn confirm_first_plan(connection: &mut PgConnection, id: AppId) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET first_plan_confirmed = true WHERE id = $1",
        id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// When the app was last run and when it is run next. The last run is the latest by any clock, so
/// that a clock that is behind is noticed for as long as it is. A run that somebody asked for after
/// this one was planned comes at once.
pub async fn set_schedule(
    connection: &mut PgConnection,
    id: AppId,
    last_run_at: DateTime<Utc>,
    next_run_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET last_run_at = GREATEST(last_run_at, $2),
                next_run_at = CASE WHEN run_wanted AND state = 'on' THEN $4::timestamptz ELSE $3::timestamptz END
         WHERE id = $1",
        id.0,
        last_run_at,
        next_run_at,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Asks for a run as soon as there is a worker.
pub async fn want_run(connection: &mut PgConnection, id: AppId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET run_wanted = true, next_run_at = $2 WHERE id = $1 AND state = 'on'",
        id.0,
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A plan is made now: what was decided before is in it.
pub async fn plan_begins(connection: &mut PgConnection, id: AppId) -> Result<()> {
    sqlx::query!("UPDATE apps SET run_wanted = false WHERE id = $1", id.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// The first run carried out its plan.
pub async fn first_run_done(connection: &mut PgConnection, id: AppId) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET first_run_done = true WHERE id = $1 AND NOT first_run_done",
        id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What fell due before this moment was looked at, and held as far as it is still to come.
pub async fn overdue_checked(
    connection: &mut PgConnection,
    id: AppId,
    before: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE apps SET overdue_before = NULL WHERE id = $1 AND overdue_before = $2",
        id.0,
        before
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Pauses an app, or ends its pause. Returns the cause of the pause before.
pub async fn set_pause(
    connection: &mut PgConnection,
    id: AppId,
    until: Option<DateTime<Utc>>,
    step: i32,
    cause: Option<&str>,
) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "UPDATE apps a SET paused_until = $2, pause_step = $3, pause_cause = $4
         FROM (SELECT id, pause_cause FROM apps WHERE id = $1) before
         WHERE a.id = before.id RETURNING before.pause_cause",
        id.0,
        until,
        step,
        cause
    )
    .fetch_optional(connection)
    .await?
    .flatten())
}

/// One version of an app's configuration.
#[derive(Debug, Clone)]
pub struct ConfigVersion {
    pub version: i32,
    pub config: Value,
    pub created_at: DateTime<Utc>,
    pub actor: String,
    pub note: String,
}

/// The newest configuration, if the app has any.
pub async fn config(connection: &mut PgConnection, id: AppId) -> Result<Option<ConfigVersion>> {
    Ok(sqlx::query_as!(
        ConfigVersion,
        "SELECT version, config, created_at, actor, note FROM app_configs
         WHERE app_id = $1 ORDER BY version DESC LIMIT 1",
        id.0
    )
    .fetch_optional(connection)
    .await?)
}

/// One version by its number.
pub async fn config_version(
    connection: &mut PgConnection,
    id: AppId,
    version: i32,
) -> Result<Option<ConfigVersion>> {
    Ok(sqlx::query_as!(
        ConfigVersion,
        "SELECT version, config, created_at, actor, note FROM app_configs
         WHERE app_id = $1 AND version = $2",
        id.0,
        version,
    )
    .fetch_optional(connection)
    .await?)
}

/// Versions below a number, the newest first.
pub async fn config_history(
    connection: &mut PgConnection,
    id: AppId,
    below: i32,
    limit: i64,
) -> Result<Vec<ConfigVersion>> {
    Ok(sqlx::query_as!(
        ConfigVersion,
        "SELECT version, config, created_at, actor, note FROM app_configs
         WHERE app_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
        id.0,
        below,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Adds a version of the configuration and makes it the one that counts.
pub async fn save_config<T: serde::Serialize>(
    connection: &mut PgConnection,
    id: AppId,
    config: &T,
    now: DateTime<Utc>,
    actor: &str,
    note: &str,
) -> Result<i32> {
    let config = encode(config)?;
    let version = sqlx::query_scalar!(
        "UPDATE apps SET config_version = config_version + 1 WHERE id = $1 RETURNING config_version",
        id.0
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO app_configs (app_id, version, config, created_at, actor, note)
         VALUES ($1, $2, $3, $4, $5, $6)",
        id.0,
        version,
        config,
        now,
        actor,
        note,
    )
    .execute(connection)
    .await?;
    Ok(version)
}

/// Fills in ids that an import found. The version stays: nothing was decided anew.
pub async fn fill_config<T: serde::Serialize>(
    connection: &mut PgConnection,
    id: AppId,
    version: i32,
    config: &T,
) -> Result<()> {
    sqlx::query!(
        "UPDATE app_configs SET config = $3 WHERE app_id = $1 AND version = $2",
        id.0,
        version,
        encode(config)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A draft of the wizard and when it was saved.
#[derive(Debug, Clone)]
pub struct StoredDraft {
    pub draft: Value,
    pub updated_at: DateTime<Utc>,
    pub updated_by: String,
}

pub async fn draft(connection: &mut PgConnection, id: AppId) -> Result<Option<StoredDraft>> {
    Ok(sqlx::query_as!(
        StoredDraft,
        "SELECT draft, updated_at, updated_by FROM app_drafts WHERE app_id = $1",
        id.0
    )
    .fetch_optional(connection)
    .await?)
}

pub async fn save_draft<T: serde::Serialize>(
    connection: &mut PgConnection,
    id: AppId,
    draft: &T,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO app_drafts (app_id, draft, updated_at, updated_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (app_id) DO UPDATE SET draft = $2, updated_at = $3, updated_by = $4",
        id.0,
        encode(draft)?,
        now,
        actor,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn discard_draft(connection: &mut PgConnection, id: AppId) -> Result<()> {
    sqlx::query!("DELETE FROM app_drafts WHERE app_id = $1", id.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets the configuration with its versions, links, timers, listings, drafts and failures; the
/// log and the accounts stay (S7.2).
pub async fn forget_configuration(connection: &mut PgConnection, id: AppId) -> Result<()> {
    super::operations::abandon(&mut *connection, id).await?;
    sqlx::query!("DELETE FROM links WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM lifecycles WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM failures WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM app_account_listings WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM found_accounts WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM app_accounts WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM person_decisions WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM drifts WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM app_drafts WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM app_configs WHERE app_id = $1", id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "UPDATE apps SET learned = '{}', facts = '{}', authorized_at = NULL, first_plan_confirmed = false,
                first_run_done = false, off_since = NULL, overdue_before = NULL, run_wanted = false,
                config_version = 0, last_drift_at = NULL, paused_until = NULL, pause_step = 0 WHERE id = $1",
        id.0
    )
    .execute(connection)
    .await?;
    Ok(())
}
