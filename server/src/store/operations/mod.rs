//! The journal: what a run will send, is sending and has sent; and whom it skipped (S8.8).

mod plans;
mod sending;
mod skipped;

use crate::store::apps::AppId;
use crate::store::runs::RunId;
use crate::store::{Result, StoreError, decode};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

use provisioning::identity::PersonId;
use provisioning::plan::{OperationKind, PlannedOperation};
use serde_json::Value;
use sqlx::PgConnection;

pub use plans::*;
pub use sending::*;
pub use skipped::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    Planned,
    /// Written before the request leaves: whoever finds it must look before sending again.
    Sending,
    Done,
    Failed,
    Held,
    /// The world changed since the plan; the next plan decides anew.
    Superseded,
}

impl OperationState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Superseded => "superseded",
        }
    }

    fn parse(word: &str, row: i64) -> Result<Self> {
        Ok(match word {
            "planned" => Self::Planned,
            "sending" => Self::Sending,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "held" => Self::Held,
            "superseded" => Self::Superseded,
            other => return Err(StoreError::corrupt("operations", "state", row, other)),
        })
    }
}

fn parse_kind(word: &str, row: i64) -> Result<OperationKind> {
    OperationKind::parse(word).ok_or_else(|| StoreError::corrupt("operations", "kind", row, word))
}

#[derive(Debug, Clone)]
pub struct Operation {
    pub id: OperationId,
    pub run: RunId,
    pub person_id: PersonId,
    pub person_email: String,
    pub person_name: String,
    pub wave: i32,
    pub step: i32,
    pub state: OperationState,
    pub plan: PlannedOperation,
    pub reason: String,
    pub manager_id: Option<PersonId>,
    pub account_id: Option<String>,
    pub attempts: i32,
    pub finished_at: Option<DateTime<Utc>>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

struct OperationRow {
    id: i64,
    run_id: uuid::Uuid,
    person_id: String,
    person_email: String,
    person_name: String,
    wave: i32,
    step: i32,
    state: String,
    plan: Value,
    reason: String,
    manager_id: Option<String>,
    account_id: Option<String>,
    attempts: i32,
    finished_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl TryFrom<OperationRow> for Operation {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self> {
        Ok(Self {
            id: OperationId(row.id),
            run: RunId(row.run_id),
            person_id: PersonId::from(row.person_id),
            person_email: row.person_email,
            person_name: row.person_name,
            wave: row.wave,
            step: row.step,
            state: OperationState::parse(&row.state, row.id)?,
            plan: decode(row.plan, "operations", "plan", row.id)?,
            reason: row.reason,
            manager_id: row.manager_id.map(PersonId::from),
            account_id: row.account_id,
            attempts: row.attempts,
            finished_at: row.finished_at,
            error_code: row.error_code,
            error_message: row.error_message,
        })
    }
}

/// People of a run whose account is still to be taken away, whether or not that was begun.
pub async fn open_removals(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<BTreeSet<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT person_id FROM operations
         WHERE run_id = $1 AND kind IN ('suspend', 'delete') AND state IN ('planned', 'sending')",
        run.0
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// Whether a run under way is still to write to this person's account.
pub async fn is_open(connection: &mut PgConnection, app: AppId, person: &PersonId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (
             SELECT 1 FROM operations o JOIN runs r ON r.id = o.run_id
             WHERE r.app_id = $1 AND r.state IN ('queued', 'running') AND r.kind <> 'preview'
               AND o.person_id = $2 AND o.state IN ('planned', 'sending')) AS \"open!\"",
        app.0,
        person.to_string(),
    )
    .fetch_one(connection)
    .await?)
}

/// A person's operations in a run in the order in which they are sent, with what was sent and answered.
pub async fn of_person(
    connection: &mut PgConnection,
    run: RunId,
    person: &PersonId,
) -> Result<Vec<(Operation, Option<Value>)>> {
    let ids = sqlx::query!(
        "SELECT id, exchange FROM operations WHERE run_id = $1 AND person_id = $2 ORDER BY wave, step, id",
        run.0,
        person.to_string()
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Vec::with_capacity(ids.len());
    for row in ids {
        if let Some(operation) = get(&mut *connection, OperationId(row.id)).await? {
            found.push((operation, row.exchange));
        }
    }
    Ok(found)
}

async fn get(connection: &mut PgConnection, id: OperationId) -> Result<Option<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations WHERE id = $1",
        id.0
    )
    .fetch_optional(connection)
    .await?
    .map(Operation::try_from)
    .transpose()
}

/// Whether something of this person was carried out in a run.
pub async fn is_done(connection: &mut PgConnection, run: RunId, person: &PersonId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT 1 FROM operations WHERE run_id = $1 AND person_id = $2 AND state = 'done') AS \"done!\"",
        run.0,
        person.to_string()
    )
    .fetch_one(connection)
    .await?)
}

/// How many operations of each kind ended in each state.
pub async fn tally(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(OperationKind, OperationState, i64)>> {
    let rows = sqlx::query!(
        "SELECT kind, state, count(*) AS \"count!\" FROM operations WHERE run_id = $1 GROUP BY kind, state",
        run.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                parse_kind(&row.kind, 0)?,
                OperationState::parse(&row.state, 0)?,
                row.count,
            ))
        })
        .collect()
}

/// The error that most operations of a run ended with.
pub async fn main_error(connection: &mut PgConnection, run: RunId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT error_code FROM operations WHERE run_id = $1 AND state = 'failed'
         GROUP BY error_code ORDER BY count(*) DESC, error_code LIMIT 1",
        run.0
    )
    .fetch_optional(connection)
    .await?
    .flatten())
}

/// Removals that were carried out since a moment and count towards the hold (S9.1).
pub async fn removals_since(
    connection: &mut PgConnection,
    app: AppId,
    since: DateTime<Utc>,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT person_id FROM operations
         WHERE app_id = $1 AND kind IN ('suspend', 'delete') AND state = 'done' AND finished_at >= $2
           AND COALESCE((plan->>'allowed')::boolean, false) = false",
        app.0,
        since,
    )
    .fetch_all(connection)
    .await?)
}

/// Operations of a run for reading, a page at a time, optionally of one kind or state.
pub async fn list(
    connection: &mut PgConnection,
    run: RunId,
    kind: Option<&str>,
    state: Option<&str>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations WHERE run_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3)
           AND id > $4 ORDER BY id LIMIT $5",
        run.0,
        kind,
        state,
        after.unwrap_or(0),
        limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}

/// One part of a run's operations in the order of the plan, optionally of one kind or state.
pub async fn page(
    connection: &mut PgConnection,
    run: RunId,
    kind: Option<&str>,
    state: Option<&str>,
    part: crate::store::pages::Part,
) -> Result<Vec<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations
         WHERE run_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3)
         ORDER BY wave, lower(person_name), person_id, step, id LIMIT $4 OFFSET $5",
        run.0,
        kind,
        state,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}
