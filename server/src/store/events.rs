//! The audit log. Rows are added, never changed; the database refuses anything else.

use super::{Result, StoreError};
use chrono::{DateTime, Utc};
use provisioning::event::{EventName, Outcome};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// One event to be recorded. The person is named by directory id and address.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    pub time: DateTime<Utc>,
    pub event: EventName,
    pub outcome: Outcome,
    pub actor: &'a str,
    pub app: Option<&'a str>,
    pub person: Option<(&'a str, &'a str)>,
    pub account_id: Option<&'a str>,
    pub run_id: Option<Uuid>,
    pub reason: Option<String>,
    pub changes: Option<Value>,
    pub error: Option<Value>,
    pub detail: Option<Value>,
}

impl<'a> NewEvent<'a> {
    pub fn new(time: DateTime<Utc>, event: EventName, actor: &'a str) -> Self {
        Self {
            time,
            event,
            outcome: Outcome::Ok,
            actor,
            app: None,
            person: None,
            account_id: None,
            run_id: None,
            reason: None,
            changes: None,
            error: None,
            detail: None,
        }
    }

    pub fn failed(mut self, code: &str, message: &str) -> Self {
        self.outcome = Outcome::Failed;
        self.error = Some(serde_json::json!({ "code": code, "message": message }));
        self
    }

    pub fn app(mut self, slug: &'a str) -> Self {
        self.app = Some(slug);
        self
    }

    pub fn person(mut self, id: &'a str, email: &'a str) -> Self {
        self.person = Some((id, email));
        self
    }

    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    pub fn changes(mut self, changes: Value) -> Self {
        self.changes = Some(changes);
        self
    }

    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    pub fn run(mut self, run: Uuid) -> Self {
        self.run_id = Some(run);
        self
    }
}

/// Records one event, in the caller's transaction with whatever it tells of.
pub async fn record(connection: &mut PgConnection, event: &NewEvent<'_>) -> Result<i64> {
    let ids = record_all(connection, std::slice::from_ref(event)).await?;
    ids.first()
        .copied()
        .ok_or_else(|| StoreError::corrupt("events", "id", event.event, "no row was added"))
}

/// Records events of one moment, in their order.
pub async fn record_all(
    connection: &mut PgConnection,
    events: &[NewEvent<'_>],
) -> Result<Vec<i64>> {
    let Some(first) = events.first() else {
        return Ok(Vec::new());
    };
    sqlx::query!("SELECT ensure_event_partition($1)", first.time)
        .execute(&mut *connection)
        .await?;
    let column = |field: for<'e> fn(&'e NewEvent<'_>) -> Option<&'e str>| -> Vec<Option<&str>> {
        events.iter().map(field).collect()
    };
    let times: Vec<DateTime<Utc>> = events.iter().map(|one| one.time).collect();
    let names: Vec<String> = events.iter().map(|one| one.event.to_string()).collect();
    let outcomes: Vec<String> = events.iter().map(|one| one.outcome.to_string()).collect();
    let runs: Vec<Option<Uuid>> = events.iter().map(|one| one.run_id).collect();
    let json = |field: for<'e> fn(&'e NewEvent<'_>) -> &'e Option<Value>| -> Vec<Option<&Value>> {
        events.iter().map(|one| field(one).as_ref()).collect()
    };
    Ok(sqlx::query_scalar!(
        "INSERT INTO events (time, event, outcome, actor, app, person_id, person_email, account_id,
                             run_id, reason, changes, error, detail)
         SELECT time, event, outcome, actor, app, person_id, person_email, account_id, run_id, reason, changes, error, detail
         FROM UNNEST($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::uuid[], $10::text[], $11::jsonb[], $12::jsonb[], $13::jsonb[])
              WITH ORDINALITY
              AS page (time, event, outcome, actor, app, person_id, person_email, account_id, run_id, reason, changes,
                       error, detail, place)
         ORDER BY place RETURNING id",
        &times,
        &names,
        &outcomes,
        &column(|one| Some(one.actor)) as &[Option<&str>],
        &column(|one| one.app) as &[Option<&str>],
        &column(|one| one.person.map(|(id, _)| id)) as &[Option<&str>],
        &column(|one| one.person.map(|(_, email)| email)) as &[Option<&str>],
        &column(|one| one.account_id) as &[Option<&str>],
        &runs as &[Option<Uuid>],
        &column(|one| one.reason.as_deref()) as &[Option<&str>],
        &json(|one| &one.changes) as &[Option<&Value>],
        &json(|one| &one.error) as &[Option<&Value>],
        &json(|one| &one.detail) as &[Option<&Value>],
    )
    .fetch_all(connection)
    .await?)
}

/// An event as it stands in the log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EventRow {
    pub id: i64,
    pub time: DateTime<Utc>,
    pub event: String,
    pub outcome: String,
    pub actor: String,
    pub app: Option<String>,
    pub person_id: Option<String>,
    pub person_email: Option<String>,
    pub account_id: Option<String>,
    pub run_id: Option<Uuid>,
    pub reason: Option<String>,
    pub changes: Option<Value>,
    pub error: Option<Value>,
    pub detail: Option<Value>,
    pub hash: Option<Vec<u8>>,
}

pub use super::event_search::{EventFilter, EventKey, Order, Wanted, page, page_of};

pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<EventRow>> {
    Ok(sqlx::query_as!(
        EventRow,
        "SELECT e.id, e.time, e.event, e.outcome, e.actor, e.app, e.person_id, e.person_email,
                e.account_id, e.run_id, e.reason, e.changes, e.error, e.detail, s.hash AS \"hash?\"
         FROM events e LEFT JOIN event_seals s ON s.event_id = e.id WHERE e.id = $1",
        id
    )
    .fetch_optional(connection)
    .await?)
}

/// How often each event happened to an app's people since a moment, by outcome.
pub async fn totals(
    connection: &mut PgConnection,
    app: &str,
    since: DateTime<Utc>,
) -> Result<Vec<(String, String, i64)>> {
    Ok(sqlx::query!(
        "SELECT event, outcome, count(*) AS \"count!\" FROM events
         WHERE app = $1 AND time >= $2 AND person_id IS NOT NULL GROUP BY event, outcome",
        app,
        since,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.event, row.outcome, row.count))
    .collect())
}

/// How often one event happened on one of several days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfDay {
    /// Counted from 0.
    pub day: usize,
    pub event: String,
    pub outcome: String,
    pub count: i64,
}

/// The same by day. `starts` are the first moments of the days, in their order; the last one has
/// no end. Events with a seal are counted already, by quarters of an hour.
pub async fn totals_by_day(
    connection: &mut PgConnection,
    app: &str,
    starts: &[DateTime<Utc>],
) -> Result<Vec<OfDay>> {
    Ok(sqlx::query!(
        "WITH counted AS (
             SELECT quarter AS time, event, outcome, count FROM event_counts
             WHERE app = $1 AND quarter >= $3
             UNION ALL
             SELECT time, event, outcome, 1 FROM unsealed_events()
             WHERE app = $1 AND time >= $3 AND person_id IS NOT NULL
         )
         SELECT width_bucket(time, $2) AS \"day!\", event AS \"event!\", outcome AS \"outcome!\",
                sum(count)::bigint AS \"count!\"
         FROM counted GROUP BY 1, 2, 3 ORDER BY 1",
        app,
        starts,
        starts.first().copied().unwrap_or_default(),
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| OfDay {
        day: usize::try_from(row.day - 1).unwrap_or_default(),
        event: row.event,
        outcome: row.outcome,
        count: row.count,
    })
    .collect())
}

/// The newest event of a kind for an app: who did it last, and when.
pub async fn newest(
    connection: &mut PgConnection,
    app: &str,
    event: EventName,
) -> Result<Option<EventRow>> {
    let filter = EventFilter {
        app: Some(app.to_owned()),
        event: Some(event.to_string()),
        ..EventFilter::default()
    };
    Ok(page(connection, &filter, Order::NewestFirst, None, 1)
        .await?
        .pop())
}
