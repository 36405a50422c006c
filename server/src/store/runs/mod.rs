//! Runs: at most one that writes is under way for an app, held by a lease in the database's time.

mod leases;
mod lists;

use crate::store::apps::AppId;
use crate::store::{Result, StoreError, decode, encode};

use chrono::{DateTime, Utc};
use provisioning::identity::PersonId;
use provisioning::plan::OperationKind;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

pub use leases::*;
pub use lists::*;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

/// Operations by kind, and people for whom there was nothing to do (S12.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Counts {
    pub create: u64,
    pub link: u64,
    pub update: u64,
    pub suspend: u64,
    pub unsuspend: u64,
    pub delete: u64,
    pub unchanged: u64,
    pub skipped: u64,
}

impl Counts {
    pub fn add(&mut self, kind: OperationKind, number: u64) {
        *match kind {
            OperationKind::Create => &mut self.create,
            OperationKind::Link => &mut self.link,
            OperationKind::Update => &mut self.update,
            OperationKind::Suspend => &mut self.suspend,
            OperationKind::Unsuspend => &mut self.unsuspend,
            OperationKind::Delete => &mut self.delete,
        } += number;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    Scheduled,
    Manual,
    Shell,
    Preview,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    Queued,
    Running,
    Completed,
    Held,
    Stopped,
    Failed,
}

/// The stages of S8.1, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Import,
    Plan,
    Check,
    Apply,
    Record,
}

macro_rules! words {
    ($type:ty, $column:literal, $($variant:ident = $word:literal),+) => {
        impl $type {
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            fn parse(word: &str, row: impl ToString) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    other => Err(StoreError::corrupt("runs", $column, row, other)),
                }
            }
        }
    };
}

words!(
    RunKind,
    "kind",
    Scheduled = "scheduled",
    Manual = "manual",
    Shell = "shell",
    Preview = "preview"
);
words!(
    RunState,
    "state",
    Queued = "queued",
    Running = "running",
    Completed = "completed",
    Held = "held",
    Stopped = "stopped",
    Failed = "failed"
);
words!(
    Stage,
    "stage",
    Import = "import",
    Plan = "plan",
    Check = "check",
    Apply = "apply",
    Record = "record"
);

impl Run {
    /// Whether the run is for some people and not for everybody.
    pub fn is_for_some(&self) -> bool {
        !self.only_people.is_empty()
    }
}

impl RunState {
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

#[derive(Debug, Clone)]
pub struct Run {
    pub id: RunId,
    /// What people call it.
    pub number: i64,
    pub app: AppId,
    /// The approved preview whose plan this run carries out.
    pub plan_of: Option<RunId>,
    pub kind: RunKind,
    pub state: RunState,
    pub stage: Stage,
    pub actor: String,
    pub config_version: i32,
    pub import_id: Option<i64>,
    pub fresh_import: bool,
    pub after_import: i64,
    pub queued_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub apply_started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub stop_requested_by: Option<String>,
    /// Whom the run is for; empty means everybody.
    pub only_people: Vec<PersonId>,
    pub total: i32,
    pub done: i32,
    pub people: i32,
    pub planned: Counts,
    pub applied: Counts,
    pub failed: i32,
    pub held: i32,
    pub directory_requests: i64,
    pub scim_reads: i64,
    pub scim_writes: i64,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

#[derive(sqlx::FromRow)]
struct RunRow {
    id: Uuid,
    number: i64,
    app_id: Uuid,
    plan_of: Option<Uuid>,
    kind: String,
    state: String,
    stage: String,
    actor: String,
    config_version: i32,
    import_id: Option<i64>,
    fresh_import: bool,
    after_import: i64,
    queued_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    apply_started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    stop_requested_by: Option<String>,
    only_people: Vec<String>,
    total: i32,
    done: i32,
    people: i32,
    planned: Value,
    applied: Value,
    failed: i32,
    held: i32,
    directory_requests: i64,
    scim_reads: i64,
    scim_writes: i64,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self> {
        Ok(Self {
            id: RunId(row.id),
            number: row.number,
            app: AppId(row.app_id),
            plan_of: row.plan_of.map(RunId),
            kind: RunKind::parse(&row.kind, row.id)?,
            state: RunState::parse(&row.state, row.id)?,
            stage: Stage::parse(&row.stage, row.id)?,
            actor: row.actor,
            config_version: row.config_version,
            import_id: row.import_id,
            fresh_import: row.fresh_import,
            after_import: row.after_import,
            queued_at: row.queued_at,
            started_at: row.started_at,
            apply_started_at: row.apply_started_at,
            finished_at: row.finished_at,
            stop_requested_by: row.stop_requested_by,
            only_people: row.only_people.into_iter().map(PersonId::from).collect(),
            total: row.total,
            done: row.done,
            people: row.people,
            planned: decode(row.planned, "runs", "planned", row.id)?,
            applied: decode(row.applied, "runs", "applied", row.id)?,
            failed: row.failed,
            held: row.held,
            directory_requests: row.directory_requests,
            scim_reads: row.scim_reads,
            scim_writes: row.scim_writes,
            error_code: row.error_code,
            error_message: row.error_message,
        })
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct NewRun<'a> {
    pub app: AppId,
    pub kind: RunKind,
    pub actor: &'a str,
    pub config_version: i32,
    /// Read the directory again even if another app's run just did.
    pub fresh_import: bool,
    /// An approved preview whose plan is carried out as it stands.
    pub plan_of: Option<RunId>,
}

/// Queues a run. When one that writes is queued or under way already, that one is returned.
pub async fn queue(
    connection: &mut PgConnection,
    new: &NewRun<'_>,
    now: DateTime<Utc>,
) -> Result<(RunId, bool)> {
    queue_for(connection, new, &[], now).await
}

/// Queues a run for these people only; for everybody when nobody is named.
pub async fn queue_for(
    connection: &mut PgConnection,
    new: &NewRun<'_>,
    people: &[PersonId],
    now: DateTime<Utc>,
) -> Result<(RunId, bool)> {
    let people: Vec<String> = people.iter().map(ToString::to_string).collect();
    loop {
        // The one that was active may have ended between the two looks.
        if let Some(found) = queue_or_find(connection, new, &people, now).await? {
            return Ok(found);
        }
    }
}

async fn queue_or_find(
    connection: &mut PgConnection,
    new: &NewRun<'_>,
    people: &[String],
    now: DateTime<Utc>,
) -> Result<Option<(RunId, bool)>> {
    let id = Uuid::now_v7();
    let inserted = sqlx::query!(
        "INSERT INTO runs (id, app_id, kind, state, actor, config_version, fresh_import, queued_at, plan_of, only_people, after_import)
         VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, (SELECT COALESCE(max(id), 0) FROM imports))
         ON CONFLICT (app_id) WHERE state IN ('queued', 'running') AND kind <> 'preview' DO NOTHING",
        id,
        new.app.0,
        new.kind.word(),
        new.actor,
        new.config_version,
        new.fresh_import,
        now,
        new.plan_of.map(|plan| plan.0),
        people,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if inserted {
        return Ok(Some((RunId(id), true)));
    }
    Ok(sqlx::query_scalar!(
        "SELECT id FROM runs WHERE app_id = $1 AND state IN ('queued', 'running') AND kind <> 'preview'",
        new.app.0
    )
    .fetch_optional(connection)
    .await?
    .map(|active| (RunId(active), false)))
}

pub async fn set_stage(
    connection: &mut PgConnection,
    run: RunId,
    lease: LeaseId,
    stage: Stage,
    now: DateTime<Utc>,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET stage = $2,
                apply_started_at = CASE WHEN $2 = 'apply' THEN COALESCE(apply_started_at, $3) ELSE apply_started_at END
         WHERE id = $1 AND lease = $4 AND state = 'running'",
        run.0,
        stage.word(),
        now,
        lease.0,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn set_import(
    connection: &mut PgConnection,
    run: RunId,
    lease: LeaseId,
    import: i64,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET import_id = $2 WHERE id = $1 AND lease = $3 AND state = 'running'",
        run.0,
        import,
        lease.0
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn set_plan(
    connection: &mut PgConnection,
    run: RunId,
    lease: LeaseId,
    planned: &Counts,
    people: i32,
    total: i32,
    held: i32,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET planned = $2, people = $3, total = $4, held = $5 WHERE id = $1 AND lease = $6 AND state = 'running'",
        run.0,
        encode(planned)?,
        people,
        total,
        held,
        lease.0
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn set_held(
    connection: &mut PgConnection,
    run: RunId,
    lease: LeaseId,
    held: i32,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET held = $2 WHERE id = $1 AND lease = $3 AND state = 'running'",
        run.0,
        held,
        lease.0
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn request_stop(connection: &mut PgConnection, run: RunId, actor: &str) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET stop_requested_by = $2
         WHERE id = $1 AND state IN ('queued', 'running') AND stop_requested_by IS NULL",
        run.0,
        actor
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending<'a> {
    /// Of whoever carried it out; `None` for a run that nobody took.
    pub lease: Option<LeaseId>,
    pub state: RunState,
    pub applied: &'a Counts,
    pub failed: i32,
    pub error: Option<(&'a str, &'a str)>,
    pub requests: (i64, i64, i64),
}

pub async fn finish(
    connection: &mut PgConnection,
    run: RunId,
    ending: &Ending<'_>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET state = $2, finished_at = $3, applied = $4, failed = $5, error_code = $6,
                error_message = $7, directory_requests = $8, scim_reads = $9, scim_writes = $10,
                stage = CASE WHEN $2 IN ('completed', 'held') THEN 'record' ELSE stage END
         WHERE id = $1 AND state IN ('queued', 'running') AND lease IS NOT DISTINCT FROM $11",
        run.0,
        ending.state.word(),
        now,
        encode(ending.applied)?,
        ending.failed,
        ending.error.map(|(code, _)| code),
        ending.error.map(|(_, message)| message),
        ending.requests.0,
        ending.requests.1,
        ending.requests.2,
        ending.lease.map(|lease| lease.0),
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn get(connection: &mut PgConnection, run: RunId) -> Result<Option<Run>> {
    sqlx::query_as!(
        RunRow,
        "SELECT id, number, app_id, plan_of, kind, state, stage, actor, config_version, import_id, fresh_import, after_import, queued_at, started_at,
                apply_started_at, finished_at, stop_requested_by, only_people, total, done, people, planned, applied, failed, held,
                directory_requests, scim_reads, scim_writes, error_code, error_message
         FROM runs WHERE id = $1",
        run.0
    )
    .fetch_optional(connection)
    .await?
    .map(Run::try_from)
    .transpose()
}

/// An operation of a run that is over was found done after all: it counts where it was sent.
pub async fn count_settled(
    connection: &mut PgConnection,
    run: RunId,
    kind: OperationKind,
) -> Result<()> {
    sqlx::query!(
        "UPDATE runs SET failed = GREATEST(failed - 1, 0),
                applied = jsonb_set(applied, ARRAY[$2::text],
                                    to_jsonb(COALESCE((applied->>$2)::bigint, 0) + 1))
         WHERE id = $1",
        run.0,
        kind.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The code of a preview whose plan is no longer true.
pub const OUTDATED: &str = "outdated";

/// Ends the previews of an app: what they planned from was changed since.
pub async fn outdate_previews(
    connection: &mut PgConnection,
    app: AppId,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE runs SET state = 'stopped', finished_at = COALESCE(finished_at, $2), error_code = $3,
                error_message = 'The set-up was changed since this was planned.'
         WHERE app_id = $1 AND kind = 'preview' AND state IN ('queued', 'running', 'completed')",
        app.0,
        now,
        OUTDATED,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps what was read and decided about the people of a run that is for some.
pub async fn set_trace(
    connection: &mut PgConnection,
    run: RunId,
    lease: LeaseId,
    trace: &Value,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE runs SET trace = $2 WHERE id = $1 AND lease = $3 AND state = 'running'",
        run.0,
        trace,
        lease.0
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn trace(connection: &mut PgConnection, run: RunId) -> Result<Option<Value>> {
    Ok(
        sqlx::query_scalar!("SELECT trace FROM runs WHERE id = $1", run.0)
            .fetch_optional(connection)
            .await?
            .flatten(),
    )
}
