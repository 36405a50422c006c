//! What a page of the log says beyond its rows.

use std::time::Duration;

use super::Result;
use super::event_search::Wanted;
use super::events::EventRow;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, Postgres, QueryBuilder};

/// Longer than this nobody waits for a number that is only good to know.
const COUNT_FOR: Duration = Duration::from_millis(15);
const COUNT_TO: i64 = 100_000;

/// SQLSTATE of a statement that took longer than it may.
const CANCELLED: &str = "57014";

/// How many events match, when that is quick to know.
pub async fn about(connection: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Option<u64>> {
    let mut transaction = connection.begin().await?;
    let limit = format!("{}ms", COUNT_FOR.as_millis());
    sqlx::query!("SELECT set_config('statement_timeout', $1, true)", limit)
        .fetch_one(&mut *transaction)
        .await?;
    let mut query: QueryBuilder<Postgres> =
        QueryBuilder::new("SELECT count(*) FROM (SELECT 1 FROM events e WHERE true");
    wanted.push_all(&mut query);
    query
        .push(" LIMIT ")
        .push_bind(COUNT_TO + 1)
        .push(") AS matching");
    match query
        .build_query_scalar::<i64>()
        .fetch_one(&mut *transaction)
        .await
    {
        Ok(count) if count <= COUNT_TO => Ok(u64::try_from(count).ok()),
        Ok(_) => Ok(None),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(CANCELLED) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The seal that an event's own is chained to.
pub async fn seal_before(connection: &mut PgConnection, id: i64) -> Result<Option<Vec<u8>>> {
    Ok(sqlx::query_scalar!(
        "SELECT hash FROM event_seals WHERE event_id < $1 ORDER BY event_id DESC LIMIT 1",
        id
    )
    .fetch_optional(connection)
    .await?)
}

/// The newest events that tell of a person.
pub async fn of_person(
    connection: &mut PgConnection,
    person: &str,
    limit: i64,
) -> Result<Vec<EventRow>> {
    Ok(sqlx::query_as!(
        EventRow,
        "SELECT e.id, e.time, e.event, e.outcome, e.actor, e.app, e.person_id, e.person_email,
                e.account_id, e.run_id, e.reason, e.changes, e.error, e.detail, s.hash AS \"hash?\"
         FROM events e LEFT JOIN event_seals s ON s.event_id = e.id
         WHERE e.person_id = $1 ORDER BY e.time DESC, e.id DESC LIMIT $2",
        person,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// When the log begins.
pub async fn oldest(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!("SELECT min(time) FROM events")
        .fetch_one(connection)
        .await?)
}
