//! Who carries out a run: one take at a time, which says again and again that it lives.

use crate::store::Result;
use std::time::Duration;

use super::RunId;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// One take of a run. Everything that is written of a run names it, so that a task that lost its
/// run can't write any more, though it lives in the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseId(pub Uuid);

/// How long a lease holds without a heartbeat. Whoever holds one sends no write that could arrive
/// later than this, so that the next holder finds what became of it.
pub const LEASE_LASTS: Duration = Duration::from_secs(30);

/// Takes the run's lease: it is queued, or its lease lapsed. `None` when somebody else works on it.
pub async fn take(
    connection: &mut PgConnection,
    run: RunId,
    owner: &str,
    now: DateTime<Utc>,
) -> Result<Option<LeaseId>> {
    let lease = Uuid::new_v4();
    let result = sqlx::query!(
        "UPDATE runs SET state = 'running', owner = $2, lease = $5, heartbeat_at = now(),
                started_at = COALESCE(started_at, $3)
         WHERE id = $1 AND (state = 'queued'
            OR (state = 'running' AND (heartbeat_at IS NULL
                OR heartbeat_at < now() - make_interval(secs => $4))))",
        run.0,
        owner,
        now,
        LEASE_LASTS.as_secs_f64(),
        lease,
    )
    .execute(connection)
    .await?;
    Ok((result.rows_affected() == 1).then_some(LeaseId(lease)))
}

/// Whether the lease still holds; until the transaction ends, nobody else can take the run.
pub async fn hold(connection: &mut PgConnection, run: RunId, lease: LeaseId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT 1 AS \"one!\" FROM runs WHERE id = $1 AND lease = $2 AND state = 'running' FOR SHARE",
        run.0,
        lease.0
    )
    .fetch_optional(connection)
    .await?
    .is_some())
}

/// What the owner of a run must know between two requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// The lease is still ours.
    pub ours: bool,
    pub stop_requested_by: Option<String>,
    /// The app was turned off or stopped meanwhile.
    pub app_is_on: bool,
}

/// Renews the lease and writes the progress in one go.
pub async fn beat(
    connection: &mut PgConnection,
    run: RunId,
    lease: LeaseId,
    done: i32,
    requests: (i64, i64, i64),
) -> Result<Pulse> {
    let row = sqlx::query!(
        "UPDATE runs r SET heartbeat_at = now(), done = GREATEST(r.done, $3),
                directory_requests = $4, scim_reads = $5, scim_writes = $6
         FROM apps a
         WHERE r.id = $1 AND r.lease = $2 AND r.state = 'running' AND a.id = r.app_id
         RETURNING r.stop_requested_by, a.state = 'on' AS \"app_is_on!\"",
        run.0,
        lease.0,
        done,
        requests.0,
        requests.1,
        requests.2,
    )
    .fetch_optional(connection)
    .await?;
    Ok(match row {
        Some(row) => Pulse {
            ours: true,
            stop_requested_by: row.stop_requested_by,
            app_is_on: row.app_is_on,
        },
        None => Pulse {
            ours: false,
            stop_requested_by: None,
            app_is_on: false,
        },
    })
}

/// Gives the lease back, so that another process goes on at once.
pub async fn release(connection: &mut PgConnection, run: RunId, lease: LeaseId) -> Result<()> {
    sqlx::query!(
        "UPDATE runs SET heartbeat_at = NULL, owner = NULL, lease = NULL
         WHERE id = $1 AND lease = $2 AND state = 'running'",
        run.0,
        lease.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Runs that nobody works on: queued, or left behind by a process that died.
pub async fn orphans(connection: &mut PgConnection) -> Result<Vec<RunId>> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM runs WHERE state = 'queued'
            OR (state = 'running' AND (heartbeat_at IS NULL
                OR heartbeat_at < now() - make_interval(secs => $1)))
         ORDER BY queued_at",
        LEASE_LASTS.as_secs_f64()
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(RunId)
    .collect())
}
