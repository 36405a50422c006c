//! How apps stand, gathered over runs, links and failures for the console's overviews.

use super::Result;
use super::apps::AppId;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Everybody of the directory as one app sees them, each person in one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollCounts {
    pub accounts: i64,
    pub created_next: i64,
    pub failing: i64,
    pub leaving: i64,
    pub left_out: i64,
}

/// People who are gone from the directory count as long as they have an account.
pub async fn roll(connection: &mut PgConnection, app: AppId) -> Result<RollCounts> {
    Ok(sqlx::query_as!(
        RollCounts,
        "WITH last_run AS (
             SELECT id FROM runs WHERE app_id = $1 AND total > 0 AND only_people = '{}' ORDER BY number DESC LIMIT 1
         ), seen AS (
             SELECT p.id, l.person_id IS NOT NULL AS linked, q.next_step IS NOT NULL AS due,
                    EXISTS (SELECT 1 FROM failures f
                            WHERE f.app_id = $1 AND f.person_id = p.id AND NOT f.ignored) AS failed,
                    EXISTS (SELECT 1 FROM operations o
                            WHERE o.run_id = (SELECT id FROM last_run) AND o.person_id = p.id
                              AND o.kind IN ('create', 'link')
                              AND o.state IN ('planned', 'sending', 'superseded')) AS planned
             FROM people p
             LEFT JOIN links l ON l.app_id = $1 AND l.person_id = p.id AND l.state IN ('active', 'suspended_by_us')
             LEFT JOIN lifecycles q ON q.app_id = $1 AND q.person_id = p.id AND q.next_due_at IS NOT NULL
             WHERE (NOT p.purged AND p.standing <> 'deleted') OR l.person_id IS NOT NULL
         )
         SELECT count(*) FILTER (WHERE failed) AS \"failing!\",
                count(*) FILTER (WHERE NOT failed AND linked AND due) AS \"leaving!\",
                count(*) FILTER (WHERE NOT failed AND linked AND NOT due) AS \"accounts!\",
                count(*) FILTER (WHERE NOT failed AND NOT linked AND planned) AS \"created_next!\",
                count(*) FILTER (WHERE NOT failed AND NOT linked AND NOT planned) AS \"left_out!\"
         FROM seen",
        app.0,
    )
    .fetch_one(connection)
    .await?)
}

/// Steps that are due before a moment and will be carried out by then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DueSoon {
    pub suspensions: i64,
    pub deletions: i64,
    pub first: Option<DateTime<Utc>>,
}

pub async fn due_before(
    connection: &mut PgConnection,
    app: AppId,
    moment: DateTime<Utc>,
) -> Result<DueSoon> {
    Ok(sqlx::query_as!(
        DueSoon,
        "SELECT count(*) FILTER (WHERE next_step = 'suspend') AS \"suspensions!\",
                count(*) FILTER (WHERE next_step = 'delete') AS \"deletions!\",
                min(next_due_at) AS first
         FROM lifecycles WHERE app_id = $1 AND next_due_at < $2 AND NOT next_held AND next_step IS NOT NULL",
        app.0,
        moment,
    )
    .fetch_one(connection)
    .await?)
}

/// What failed and is not ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failing {
    pub people: i64,
    /// Number of the run in which it failed last.
    pub run: Option<i64>,
    pub next_try: Option<DateTime<Utc>>,
}

pub async fn failing(connection: &mut PgConnection, app: AppId) -> Result<Failing> {
    Ok(sqlx::query_as!(
        Failing,
        "SELECT count(*) AS \"people!\", max(r.number) AS run, min(f.next_try_at) AS next_try
         FROM failures f LEFT JOIN runs r ON r.id = f.run_id
         WHERE f.app_id = $1 AND NOT f.ignored",
        app.0,
    )
    .fetch_one(connection)
    .await?)
}

/// An import that is under way, with how much of it is staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningImport {
    pub id: i64,
    pub started_at: DateTime<Utc>,
    pub people: i64,
    pub members: i64,
}

/// The import that a living process carries out right now, if there is one.
pub async fn running_import(connection: &mut PgConnection) -> Result<Option<RunningImport>> {
    Ok(sqlx::query_as!(
        RunningImport,
        "SELECT i.id, i.started_at,
                (SELECT count(*) FROM people_staging s WHERE s.import_id = i.id) AS \"people!\",
                (SELECT count(*) FROM memberships_staging s WHERE s.import_id = i.id) AS \"members!\"
         FROM imports i
         WHERE i.state = 'running' AND i.heartbeat_at >= now() - make_interval(secs => $1)",
        super::imports::ABANDONED_AFTER_SECONDS,
    )
    .fetch_optional(connection)
    .await?)
}
