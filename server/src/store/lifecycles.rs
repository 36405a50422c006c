//! Clocks of the triggers, and the queue that follows from them.

use super::apps::AppId;
use super::{Result, decode, encode};
use chrono::{DateTime, Utc};
use provisioning::identity::PersonId;
use provisioning::lifecycle::{DueStep, Lifecycle};
use sqlx::PgConnection;

pub async fn of_people(
    connection: &mut PgConnection,
    app: AppId,
    people: &[String],
) -> Result<Vec<(PersonId, Lifecycle)>> {
    let rows = sqlx::query!(
        "SELECT person_id, lifecycle FROM lifecycles WHERE app_id = $1 AND person_id = ANY($2)",
        app.0,
        people
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let lifecycle = decode(row.lifecycle, "lifecycles", "lifecycle", &row.person_id)?;
            Ok((PersonId::from(row.person_id), lifecycle))
        })
        .collect()
}

pub async fn get(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
) -> Result<Lifecycle> {
    Ok(of_people(connection, app, &[person.to_string()])
        .await?
        .pop()
        .map(|(_, lifecycle)| lifecycle)
        .unwrap_or_default())
}

/// Saves clocks and what comes next of them; a person without any clock needs no row.
pub async fn save(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
    lifecycle: &Lifecycle,
    next: Option<&DueStep>,
) -> Result<()> {
    if *lifecycle == Lifecycle::default() {
        sqlx::query!(
            "DELETE FROM lifecycles WHERE app_id = $1 AND person_id = $2",
            app.0,
            person.to_string()
        )
        .execute(connection)
        .await?;
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO lifecycles (app_id, person_id, lifecycle, next_due_at, next_step, next_trigger, next_held)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (app_id, person_id) DO UPDATE SET
             lifecycle = $3, next_due_at = $4, next_step = $5, next_trigger = $6, next_held = $7",
        app.0,
        person.to_string(),
        encode(lifecycle)?,
        next.map(|step| step.due_at),
        next.map(|step| step.step.key()),
        next.map(|step| step.trigger.key()),
        next.is_some_and(|step| step.held),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// One pending step of the queue.
#[derive(Debug, Clone)]
pub struct QueueLine {
    pub person_id: String,
    pub person_email: String,
    pub person_name: String,
    pub step: String,
    pub trigger: String,
    pub due_at: DateTime<Utc>,
    pub held: bool,
}

/// Everybody whose next step is pending, the earliest first.
pub async fn queue(
    connection: &mut PgConnection,
    app: AppId,
    limit: i64,
) -> Result<Vec<QueueLine>> {
    Ok(sqlx::query_as!(
        QueueLine,
        "SELECT q.person_id, COALESCE(p.primary_email, '') AS \"person_email!\",
                COALESCE(p.full_name, q.person_id) AS \"person_name!\",
                q.next_step AS \"step!\", q.next_trigger AS \"trigger!\", q.next_due_at AS \"due_at!\",
                q.next_held AS held
         FROM lifecycles q LEFT JOIN people p ON p.id = q.person_id
         WHERE q.app_id = $1 AND q.next_due_at IS NOT NULL AND q.next_step IS NOT NULL AND q.next_trigger IS NOT NULL
         ORDER BY q.next_due_at, q.person_id LIMIT $2",
        app.0,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// How many steps are due before a moment.
pub async fn due_before(
    connection: &mut PgConnection,
    app: AppId,
    moment: DateTime<Utc>,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM lifecycles WHERE app_id = $1 AND next_due_at < $2",
        app.0,
        moment
    )
    .fetch_one(connection)
    .await?)
}
