//! Figures for the machines that watch over this one, the same in every process (S12.9).

use super::Result;
use chrono::{DateTime, Utc};
use provisioning::plan::OperationKind;
use sqlx::PgConnection;

use super::operations::OperationState;

/// Adds what a run's operations came to.
pub async fn add_operations(
    connection: &mut PgConnection,
    app: &str,
    tally: &[(OperationKind, OperationState, i64)],
) -> Result<()> {
    for (kind, state, count) in tally {
        sqlx::query!(
            "INSERT INTO operation_totals AS t (app, kind, outcome, operations) VALUES ($1, $2, $3, $4)
             ON CONFLICT (app, kind, outcome) DO UPDATE SET operations = t.operations + $4",
            app,
            kind.as_str(),
            state.word(),
            count,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A number of something of an app, told apart by one word or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub app: String,
    pub kind: String,
    pub outcome: String,
    pub count: i64,
}

pub async fn operations(connection: &mut PgConnection) -> Result<Vec<Count>> {
    Ok(sqlx::query_as!(
        Count,
        "SELECT app, kind, outcome, operations AS count FROM operation_totals ORDER BY 1, 2, 3"
    )
    .fetch_all(connection)
    .await?)
}

/// Runs that are over, previews and forgotten ones among them.
pub async fn runs(connection: &mut PgConnection) -> Result<Vec<Count>> {
    Ok(sqlx::query_as!(
        Count,
        "SELECT a.slug AS app, r.kind AS \"kind!\", r.outcome AS \"outcome!\", sum(r.runs)::bigint AS \"count!\"
         FROM (SELECT app_id, kind, state AS outcome, count(*) AS runs
               FROM runs WHERE state NOT IN ('queued', 'running') GROUP BY 1, 2, 3
               UNION ALL
               SELECT app_id, kind, outcome, runs FROM forgotten_runs) AS r
         JOIN apps a ON a.id = r.app_id
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    .fetch_all(connection)
    .await?)
}

/// What was asked of the directory and of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requests {
    pub app: String,
    pub directory: i64,
    pub scim_reads: i64,
    pub scim_writes: i64,
}

pub async fn requests(connection: &mut PgConnection) -> Result<Vec<Requests>> {
    Ok(sqlx::query_as!(
        Requests,
        "SELECT a.slug AS app, COALESCE(sum(r.directory_requests), 0)::bigint AS \"directory!\",
                COALESCE(sum(r.scim_reads), 0)::bigint AS \"scim_reads!\",
                COALESCE(sum(r.scim_writes), 0)::bigint AS \"scim_writes!\"
         FROM apps a
         LEFT JOIN (SELECT app_id, directory_requests, scim_reads, scim_writes FROM runs
                    UNION ALL
                    SELECT app_id, directory_requests, scim_reads, scim_writes FROM forgotten_runs) AS r
           ON r.app_id = a.id
         GROUP BY 1 ORDER BY 1"
    )
    .fetch_all(connection)
    .await?)
}

/// How an app stands right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub app: String,
    pub state: String,
    pub waiting_runs: i64,
    pub pending_removals: i64,
    pub failures: i64,
    /// When the removal was due that should have happened longest ago and did not.
    pub oldest_overdue: Option<DateTime<Utc>>,
    pub next_run_at: Option<DateTime<Utc>>,
}

pub async fn standings(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Standing>> {
    Ok(sqlx::query_as!(
        Standing,
        "WITH protected AS (
             -- Nothing is taken from them, so nothing of theirs is overdue.
             SELECT a.id AS app_id, one->>'id' AS person_id
             FROM apps a
             JOIN app_configs c ON c.app_id = a.id AND c.version = a.config_version
             CROSS JOIN LATERAL jsonb_array_elements(c.config->'safety'->'protected') one
         )
         SELECT a.slug AS app, a.state, a.next_run_at,
                (SELECT count(*) FROM runs r WHERE r.app_id = a.id AND r.state = 'queued') AS \"waiting_runs!\",
                (SELECT count(*) FROM lifecycles l
                 WHERE l.app_id = a.id AND l.next_due_at IS NOT NULL
                   AND NOT EXISTS (SELECT FROM protected p
                                   WHERE p.app_id = l.app_id AND p.person_id = l.person_id)) AS \"pending_removals!\",
                (SELECT count(*) FROM failures f WHERE f.app_id = a.id AND NOT f.ignored) AS \"failures!\",
                (SELECT min(l.next_due_at) FROM lifecycles l
                 WHERE l.app_id = a.id AND l.next_due_at <= $1 AND NOT l.next_held
                   AND NOT EXISTS (SELECT FROM protected p
                                   WHERE p.app_id = l.app_id AND p.person_id = l.person_id)) AS oldest_overdue
         FROM apps a ORDER BY a.slug",
        now
    )
    .fetch_all(connection)
    .await?)
}

pub async fn last_complete_import(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    Ok(
        sqlx::query_scalar!("SELECT max(finished_at) FROM imports WHERE state = 'complete'")
            .fetch_one(connection)
            .await?,
    )
}
