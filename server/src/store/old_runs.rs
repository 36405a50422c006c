//! What is forgotten of runs, so that an installation that is left alone does not grow by itself.
//! The audit log has its own retention and is not touched.

use super::Result;
use super::apps::AppId;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

/// Newest runs of an app of which it is kept who was skipped: that is one line for each person whom
/// a run leaves out, every time.
pub const SKIPPED_PEOPLE_OF_RUNS: i64 = 20;
/// Runs that had nothing to do are kept for as long.
const WITHOUT_OPERATIONS: TimeDelta = TimeDelta::days(30);
/// All others, with the bodies that were sent.
const WITH_OPERATIONS: TimeDelta = TimeDelta::days(400);

/// Forgets what is old of an app's runs. What is in doubt or waits for a review stays.
pub async fn forget(connection: &mut PgConnection, app: AppId, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "DELETE FROM skipped s USING runs r
         WHERE r.id = s.run_id AND r.app_id = $1 AND r.state NOT IN ('queued', 'running')
           AND r.number <= (SELECT number FROM runs WHERE app_id = $1 ORDER BY number DESC OFFSET $2 LIMIT 1)",
        app.0,
        SKIPPED_PEOPLE_OF_RUNS,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "WITH old AS (
             DELETE FROM runs r
             WHERE r.app_id = $1
               AND (r.finished_at < $2 AND r.state = 'completed' AND r.total = 0
                    OR r.finished_at < $3 AND r.state IN ('completed', 'stopped', 'failed')
                       AND NOT EXISTS (SELECT FROM operations o WHERE o.run_id = r.id AND o.state IN ('sending', 'held')))
               AND r.number <> (SELECT max(number) FROM runs WHERE app_id = $1)
             RETURNING r.kind, r.state, r.directory_requests, r.scim_reads, r.scim_writes
         )
         INSERT INTO forgotten_runs AS f (app_id, kind, outcome, runs, directory_requests, scim_reads, scim_writes)
         SELECT $1, kind, state, count(*), sum(directory_requests), sum(scim_reads), sum(scim_writes)
         FROM old GROUP BY kind, state
         ON CONFLICT (app_id, kind, outcome) DO UPDATE SET
             runs = f.runs + excluded.runs,
             directory_requests = f.directory_requests + excluded.directory_requests,
             scim_reads = f.scim_reads + excluded.scim_reads,
             scim_writes = f.scim_writes + excluded.scim_writes",
        app.0,
        now - WITHOUT_OPERATIONS,
        now - WITH_OPERATIONS,
    )
    .execute(connection)
    .await?;
    Ok(())
}
