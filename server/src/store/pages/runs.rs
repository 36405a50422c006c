//! What a run's page says beyond the run itself.

use super::super::Result;
use super::super::apps::AppId;
use super::super::runs::RunId;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// How the app's first run is told from the others.
pub async fn first_number(connection: &mut PgConnection, app: AppId) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        "SELECT number FROM runs WHERE app_id = $1 AND kind <> 'preview' AND only_people = '{}' ORDER BY number LIMIT 1",
        app.0,
    )
    .fetch_optional(connection)
    .await?)
}

pub async fn count(connection: &mut PgConnection, app: AppId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM runs WHERE app_id = $1",
        app.0
    )
    .fetch_one(connection)
    .await?)
}

/// How far a run is with one kind of operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub kind: String,
    /// Operations that ended since the given moment.
    pub lately: i64,
    pub done: i64,
    pub failed: i64,
    /// Ended in whatever way.
    pub ended: i64,
    pub total: i64,
}

pub async fn pace(
    connection: &mut PgConnection,
    run: RunId,
    since: DateTime<Utc>,
) -> Result<Vec<Pace>> {
    Ok(sqlx::query_as!(
        Pace,
        "SELECT kind,
                count(*) FILTER (WHERE finished_at >= $2 AND state IN ('done', 'failed')) AS \"lately!\",
                count(*) FILTER (WHERE state = 'done') AS \"done!\",
                count(*) FILTER (WHERE state = 'failed') AS \"failed!\",
                count(*) FILTER (WHERE state NOT IN ('planned', 'sending', 'held')) AS \"ended!\",
                count(*) FILTER (WHERE state <> 'held') AS \"total!\"
         FROM operations WHERE run_id = $1 GROUP BY kind",
        run.0,
        since,
    )
    .fetch_all(connection)
    .await?)
}

pub async fn count_operations(
    connection: &mut PgConnection,
    run: RunId,
    kind: Option<&str>,
    state: Option<&str>,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM operations
         WHERE run_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3)",
        run.0,
        kind,
        state,
    )
    .fetch_one(connection)
    .await?)
}

/// People whom one reason left out of a run, with the first of them by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedLine {
    pub rule: String,
    pub detail: String,
    pub count: i64,
    pub ids: Vec<String>,
    pub names: Vec<String>,
    pub emails: Vec<String>,
}

pub async fn skipped_by_reason(
    connection: &mut PgConnection,
    run: RunId,
    limit: i64,
) -> Result<Vec<SkippedLine>> {
    Ok(sqlx::query_as!(
        SkippedLine,
        "SELECT rule, detail, count(*) AS \"count!\",
                (array_agg(person_id ORDER BY lower(person_name), person_id))[1:3] AS \"ids!\",
                (array_agg(person_name ORDER BY lower(person_name), person_id))[1:3] AS \"names!\",
                (array_agg(person_email ORDER BY lower(person_name), person_id))[1:3] AS \"emails!\"
         FROM skipped WHERE run_id = $1 GROUP BY rule, detail ORDER BY 3 DESC, rule, detail LIMIT $2",
        run.0,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Somebody whom a run left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedPerson {
    pub person_id: String,
    pub person_name: String,
    pub person_email: String,
    pub rule: String,
    pub detail: String,
    /// How many there are on all pages.
    pub total: i64,
}

/// One page of them by name. `None` does not narrow down; `letters` is a pattern of LIKE.
pub async fn skipped_people(
    connection: &mut PgConnection,
    run: RunId,
    rule: Option<&str>,
    detail: Option<&str>,
    letters: Option<&str>,
    part: super::Part,
) -> Result<Vec<SkippedPerson>> {
    Ok(sqlx::query_as!(
        SkippedPerson,
        "SELECT person_id, person_name, person_email, rule, detail, count(*) OVER () AS \"total!\"
         FROM skipped
         WHERE run_id = $1 AND ($2::text IS NULL OR rule = $2) AND ($3::text IS NULL OR detail = $3)
           AND ($4::text IS NULL OR lower(person_name) LIKE $4 OR lower(person_email) LIKE $4)
         ORDER BY lower(person_name), person_id, rule LIMIT $5 OFFSET $6",
        run.0,
        rule,
        detail,
        letters,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?)
}

pub async fn skipped_by_rule(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(String, i64)>> {
    Ok(sqlx::query!(
        "SELECT rule, count(*) AS \"count!\" FROM skipped WHERE run_id = $1 GROUP BY rule ORDER BY 2 DESC, rule",
        run.0,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.rule, row.count))
    .collect())
}

/// Whose operation this is, and in which run of which app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationOwner {
    pub person_id: String,
    pub person_email: String,
    pub state: String,
    pub run: uuid::Uuid,
}

pub async fn operation_owner(
    connection: &mut PgConnection,
    app: AppId,
    id: i64,
) -> Result<Option<OperationOwner>> {
    Ok(sqlx::query_as!(
        OperationOwner,
        "SELECT person_id, person_email, state, run_id AS run FROM operations WHERE app_id = $1 AND id = $2",
        app.0,
        id,
    )
    .fetch_optional(connection)
    .await?)
}

/// The numbers by which people call these runs.
pub async fn numbers(
    connection: &mut PgConnection,
    runs: &[uuid::Uuid],
) -> Result<Vec<(uuid::Uuid, i64)>> {
    Ok(
        sqlx::query!("SELECT id, number FROM runs WHERE id = ANY($1)", runs)
            .fetch_all(connection)
            .await?
            .into_iter()
            .map(|row| (row.id, row.number))
            .collect(),
    )
}

/// The run with this number, of whichever app.
pub async fn id_of(
    connection: &mut PgConnection,
    number: i64,
    app: Option<&str>,
) -> Result<Option<uuid::Uuid>> {
    Ok(sqlx::query_scalar!(
        "SELECT r.id FROM runs r JOIN apps a ON a.id = r.app_id
         WHERE r.number = $1 AND ($2::text IS NULL OR a.slug = $2)",
        number,
        app,
    )
    .fetch_optional(connection)
    .await?)
}
