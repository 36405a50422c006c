//! Pages of the log, narrowed to anything, without reading the log for them.
//!
//! Whatever is asked for is either common, and then it is among the newest events of the page's
//! beginning, or rare, and then an index knows where it is. So a page looks at a few thousand events
//! first, and asks the indexes when those are not enough. Postgres alone has to guess which of the
//! two it is, and a wrong guess reads the whole log.

use super::people::like_pattern;
use super::{Result, StoreError};
use chrono::{DateTime, Utc};
use sqlx::{Acquire as _, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::events::EventRow;

/// Events that a page looks at before it asks the indexes.
const NEAR: i64 = 4_000;

/// What the log is narrowed to; every set part must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub event: Option<String>,
    /// Any of these; none is every one.
    pub events: Vec<String>,
    pub outcome: Option<String>,
    pub app: Option<String>,
    /// A directory id, an address, or a part of an address.
    pub person: Option<String>,
    pub actor: Option<String>,
    pub run: Option<Uuid>,
    /// Anywhere in person, account, reason or event.
    pub text: Option<String>,
}

impl EventFilter {
    fn narrows_more_than_time(&self) -> bool {
        let only_time = Self {
            since: self.since,
            until: self.until,
            ..Self::default()
        };
        *self != only_time
    }
}

/// Where a page begins: after this event, in the direction of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKey {
    pub time: DateTime<Utc>,
    pub id: i64,
}

/// In which direction the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// A page of the log. Keyset paging: page a thousand costs what page one does.
pub async fn page(
    connection: &mut PgConnection,
    filter: &EventFilter,
    order: Order,
    after: Option<EventKey>,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let wanted = Wanted::look_up(&mut *connection, filter).await?;
    page_of(connection, &wanted, order, after, limit).await
}

/// The same for who asks more than once, with the words looked up before.
pub async fn page_of(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    order: Order,
    after: Option<EventKey>,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let keys = if wanted.filter.narrows_more_than_time() {
        let near = keys(&mut *connection, wanted, order, after, (limit, Some(NEAR))).await?;
        if i64::try_from(near.len()).is_ok_and(|found| found >= limit) {
            near
        } else {
            through_indexes(connection, wanted, order, after, limit).await?
        }
    } else {
        keys(&mut *connection, wanted, order, after, (limit, None)).await?
    };
    rows(connection, &keys, order).await
}

async fn through_indexes(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    order: Order,
    after: Option<EventKey>,
    limit: i64,
) -> Result<Vec<EventKey>> {
    let mut transaction = connection.begin().await?;
    if wanted.has_words_of_the_index() {
        sqlx::query!(
            "SELECT set_config(name, 'off', true) AS set FROM UNNEST($1::text[]) AS s (name)",
            &["enable_seqscan", "enable_indexscan"] as &[&str],
        )
        .fetch_all(&mut *transaction)
        .await?;
    }
    let found = keys(&mut transaction, wanted, order, after, (limit, None)).await?;
    transaction.rollback().await?;
    Ok(found)
}

/// Where the wanted events are, among the next `near` or among all.
async fn keys(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    order: Order,
    after: Option<EventKey>,
    (limit, near): (i64, Option<i64>),
) -> Result<Vec<EventKey>> {
    let sorted = match order {
        Order::NewestFirst => " ORDER BY e.time DESC, e.id DESC LIMIT ",
        Order::OldestFirst => " ORDER BY e.time, e.id LIMIT ",
    };
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new("SELECT e.time, e.id FROM ");
    match near {
        Some(near) => {
            query.push("(SELECT * FROM events e WHERE true");
            wanted.push_time(&mut query, order, after);
            query.push(sorted).push_bind(near).push(") e WHERE true");
        }
        None => {
            query.push("events e WHERE true");
            wanted.push_time(&mut query, order, after);
        }
    }
    wanted.push(&mut query);
    query.push(sorted).push_bind(limit);
    let keys: Vec<(DateTime<Utc>, i64)> = query.build_query_as().fetch_all(connection).await?;
    let key = |(time, id)| EventKey { time, id };
    Ok(keys.into_iter().map(key).collect())
}

/// The events themselves, with their seals.
async fn rows(
    connection: &mut PgConnection,
    keys: &[EventKey],
    order: Order,
) -> Result<Vec<EventRow>> {
    let times: Vec<DateTime<Utc>> = keys.iter().map(|key| key.time).collect();
    let ids: Vec<i64> = keys.iter().map(|key| key.id).collect();
    let mut rows = sqlx::query_as!(
        EventRow,
        "SELECT e.id, e.time, e.event, e.outcome, e.actor, e.app, e.person_id, e.person_email,
                e.account_id, e.run_id, e.reason, e.changes, e.error, e.detail, s.hash AS \"hash?\"
         FROM UNNEST($1::timestamptz[], $2::bigint[]) AS k (time, id)
         JOIN events e ON e.id = k.id AND e.time = k.time
         LEFT JOIN event_seals s ON s.event_id = e.id",
        &times,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    rows.sort_by_key(|row| (row.time, row.id));
    if order == Order::NewestFirst {
        rows.reverse();
    }
    Ok(rows)
}

/// A filter with what its words can mean, so that each condition is one that an index answers.
#[derive(Debug)]
pub struct Wanted<'f> {
    filter: &'f EventFilter,
    /// People, events and actors that the text names.
    people: Vec<String>,
    names: Vec<String>,
    actors: Vec<String>,
}

impl<'f> Wanted<'f> {
    pub async fn look_up(connection: &mut PgConnection, filter: &'f EventFilter) -> Result<Self> {
        let mut wanted = Self {
            filter,
            people: Vec::new(),
            names: Vec::new(),
            actors: Vec::new(),
        };
        if let Some(text) = &filter.text {
            let pattern = like_pattern(text);
            wanted.people = named_people(&mut *connection, &pattern).await?;
            wanted.people.push(text.trim().to_owned());
            wanted.actors = named(&mut *connection, Few::Actors, &pattern).await?;
            wanted.names = named(connection, Few::Events, &pattern).await?;
        }
        Ok(wanted)
    }

    /// Groups of three letters are looked up in the index of words; what is shorter would read all
    /// of it.
    fn has_words_of_the_index(&self) -> bool {
        let words = [&self.filter.text, &self.filter.person];
        let mut words = words.into_iter().flatten().peekable();
        words.peek().is_some()
            && words.all(|text| {
                text.split(|c: char| !c.is_alphanumeric())
                    .any(|word| word.chars().count() >= 3)
            })
    }

    fn push_time(&self, query: &mut QueryBuilder<Postgres>, order: Order, after: Option<EventKey>) {
        if let Some(since) = self.filter.since {
            query.push(" AND e.time >= ").push_bind(since);
        }
        if let Some(until) = self.filter.until {
            query.push(" AND e.time < ").push_bind(until);
        }
        if let Some(key) = after {
            // The time alone, too: by that whole months are left out.
            let (alone, both) = match order {
                Order::NewestFirst => (" AND e.time <= ", " AND (e.time, e.id) < ("),
                Order::OldestFirst => (" AND e.time >= ", " AND (e.time, e.id) > ("),
            };
            query.push(alone).push_bind(key.time);
            query.push(both).push_bind(key.time);
            query.push(", ").push_bind(key.id).push(")");
        }
    }

    /// Everything but the time.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        let filter = self.filter;
        if let Some(event) = &filter.event {
            query.push(" AND e.event = ").push_bind(event.clone());
        }
        if !filter.events.is_empty() {
            query
                .push(" AND e.event = ANY(")
                .push_bind(filter.events.clone())
                .push(")");
        }
        // Written out: the index of failures is told by it.
        match filter.outcome.as_deref() {
            Some("failed") => drop(query.push(" AND e.outcome = 'failed'")),
            Some(outcome) => drop(
                query
                    .push(" AND e.outcome = ")
                    .push_bind(outcome.to_owned()),
            ),
            None => {}
        }
        if let Some(app) = &filter.app {
            query.push(" AND e.app = ").push_bind(app.clone());
        }
        if let Some(actor) = &filter.actor {
            query.push(" AND e.actor = ").push_bind(actor.clone());
        }
        if let Some(run) = filter.run {
            query.push(" AND e.run_id = ").push_bind(run);
        }
        if let Some(person) = &filter.person {
            let pattern = like_pattern(person);
            query
                .push(" AND (e.person_id = ")
                .push_bind(person.clone())
                .push(" OR (")
                .push(WORDS)
                .push(" ILIKE ")
                .push_bind(pattern.clone())
                .push(" AND e.person_email ILIKE ")
                .push_bind(pattern)
                .push("))");
        }
        if let Some(text) = &filter.text {
            query
                .push(" AND (")
                .push(WORDS)
                .push(" ILIKE ")
                .push_bind(like_pattern(text));
            for (column, values) in [
                ("e.person_id", &self.people),
                ("e.event", &self.names),
                ("e.actor", &self.actors),
            ] {
                if !values.is_empty() {
                    query
                        .push(" OR ")
                        .push(column)
                        .push(" = ANY(")
                        .push_bind(values.clone())
                        .push(")");
                }
            }
            query.push(")");
        }
    }

    /// Conditions for a count.
    pub(super) fn push_all(&self, query: &mut QueryBuilder<Postgres>) {
        self.push_time(query, Order::NewestFirst, None);
        self.push(query);
    }
}

const WORDS: &str = "event_words(e.person_email, e.account_id, e.reason, e.error)";

async fn named_people(connection: &mut PgConnection, pattern: &str) -> Result<Vec<String>> {
    sqlx::query_scalar!("SELECT id FROM people WHERE full_name ILIKE $1", pattern)
        .fetch_all(connection)
        .await
        .map_err(StoreError::from)
}

/// A column of the log that has few values and an index.
#[derive(Debug, Clone, Copy)]
enum Few {
    Actors,
    Events,
}

/// Those of a column's values that have the words, by skipping from one value to the next.
async fn named(connection: &mut PgConnection, few: Few, pattern: &str) -> Result<Vec<String>> {
    let column = match few {
        Few::Actors => "actor",
        Few::Events => "event",
    };
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(format!(
        "WITH RECURSIVE few (value) AS (
             (SELECT {column} FROM events ORDER BY {column} LIMIT 1)
             UNION ALL
             SELECT (SELECT e.{column} FROM events e WHERE e.{column} > f.value ORDER BY e.{column} LIMIT 1)
             FROM few f WHERE f.value IS NOT NULL
         )
         SELECT value FROM few WHERE value ILIKE "
    ));
    query.push_bind(pattern);
    Ok(query.build_query_scalar().fetch_all(connection).await?)
}
