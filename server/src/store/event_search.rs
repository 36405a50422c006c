//! Pages of the log, narrowed to anything, without reading the log for them.
//!
//! Whatever is asked for is either common, and then it is among the newest events of the page's
//! beginning, or rare, and then an index knows where it is. So a page looks at a few thousand events
//! first, and asks the indexes when those are not enough. Postgres alone has to guess which of the
//! two it is, and a wrong guess reads the whole log.

use super::people::like_pattern;
use super::seals::{newest, oldest, start_of_month};
use super::{Result, StoreError};
use chrono::{DateTime, Months, Utc};
use sqlx::{Acquire as _, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::events::EventRow;

/// Events that a page looks at before it asks the indexes.
const NEAR: i64 = 4_000;
/// Events by which it is told which of several words is the rare one.
const SAMPLE: i64 = 1_000;

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
    let anywhere = Within {
        span: Span::default(),
        near: None,
        sharp: &Sharp::default(),
    };
    let keys = if wanted.filter.narrows_more_than_time() {
        let within = Within {
            near: Some(NEAR),
            ..anywhere
        };
        let near = keys(&mut *connection, wanted, order, after, (limit, within)).await?;
        if i64::try_from(near.len()).is_ok_and(|found| found >= limit) {
            near
        } else if wanted.has_words_of_the_index() {
            through_words(connection, wanted, order, after, limit).await?
        } else {
            keys(&mut *connection, wanted, order, after, (limit, anywhere)).await?
        }
    } else {
        keys(&mut *connection, wanted, order, after, (limit, anywhere)).await?
    };
    rows(connection, &keys, order).await
}

/// By the index of words, which knows no order: month by month, and always more of them. What is
/// common ends with the first month, and what is rare costs a few queries instead of one for each.
async fn through_words(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    order: Order,
    after: Option<EventKey>,
    limit: i64,
) -> Result<Vec<EventKey>> {
    let mut transaction = connection.begin().await?;
    let Some((oldest, newest)) = extent(&mut transaction).await? else {
        return Ok(Vec::new());
    };
    let sharp = wanted.sharpened(&mut transaction, order, after).await?;
    sqlx::query!(
        "SELECT set_config(name, 'off', true) AS set FROM UNNEST($1::text[]) AS s (name)",
        &["enable_seqscan", "enable_indexscan"] as &[&str],
    )
    .fetch_all(&mut *transaction)
    .await?;
    let mut found: Vec<EventKey> = Vec::new();
    for span in wanted.spans(order, after, (oldest, newest)) {
        let missing = i64::try_from(found.len()).map_or(0, |found| limit - found);
        if missing <= 0 {
            break;
        }
        let within = Within {
            span,
            near: None,
            sharp: &sharp,
        };
        found.extend(keys(&mut transaction, wanted, order, after, (missing, within)).await?);
    }
    transaction.rollback().await?;
    Ok(found)
}

/// When the oldest and the newest event happened.
async fn extent(connection: &mut PgConnection) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let (oldest, newest) = (oldest(&mut *connection).await?, newest(connection).await?);
    Ok(oldest.zip(newest))
}

/// From a time on, and to before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

/// All of the time in the order of the listing: the month of its beginning, then the two next to it,
/// four, and so on until the end is in.
fn spans(order: Order, begin: DateTime<Utc>, end: DateTime<Utc>) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut edge, mut months) = (None, 1);
    let mut next = match order {
        Order::NewestFirst => Some(start_of_month(begin)),
        Order::OldestFirst => start_of_month(begin).checked_add_months(Months::new(1)),
    };
    while let Some(cut) = next.filter(|cut| match order {
        Order::NewestFirst => *cut > end,
        Order::OldestFirst => *cut <= end,
    }) {
        spans.push(match order {
            Order::NewestFirst => Span {
                from: Some(cut),
                to: edge,
            },
            Order::OldestFirst => Span {
                from: edge,
                to: Some(cut),
            },
        });
        edge = Some(cut);
        months *= 2;
        next = match order {
            Order::NewestFirst => cut.checked_sub_months(Months::new(months)),
            Order::OldestFirst => cut.checked_add_months(Months::new(months)),
        };
    }
    spans.push(match order {
        Order::NewestFirst => Span {
            from: None,
            to: edge,
        },
        Order::OldestFirst => Span {
            from: edge,
            to: None,
        },
    });
    spans
}

/// Where events are looked for.
#[derive(Debug, Clone, Copy)]
struct Within<'s> {
    span: Span,
    /// Among the next so many only.
    near: Option<i64>,
    sharp: &'s Sharp,
}

/// A word that stands for several in the index: groups of letters that most events have cost more
/// there than all others.
#[derive(Debug, Clone, Default)]
struct Sharp {
    text: Option<String>,
    person: Option<String>,
}

/// Where the wanted events are.
async fn keys(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    order: Order,
    after: Option<EventKey>,
    (limit, within): (i64, Within<'_>),
) -> Result<Vec<EventKey>> {
    let sorted = sorted(order);
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new("SELECT e.time, e.id FROM ");
    match within.near {
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
    if let Some(from) = within.span.from {
        query.push(" AND e.time >= ").push_bind(from);
    }
    if let Some(to) = within.span.to {
        query.push(" AND e.time < ").push_bind(to);
    }
    wanted.push(&mut query, within.sharp);
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

    /// The time that a listing goes through, in its order.
    fn spans(
        &self,
        order: Order,
        after: Option<EventKey>,
        (oldest, newest): (DateTime<Utc>, DateTime<Utc>),
    ) -> Vec<Span> {
        let after = after.map(|key| key.time);
        let (filter, none) = (self.filter, DateTime::<Utc>::MAX_UTC);
        match order {
            Order::NewestFirst => {
                let begin = newest
                    .min(after.unwrap_or(none))
                    .min(filter.until.unwrap_or(none));
                spans(
                    order,
                    begin,
                    filter.since.map_or(oldest, |since| since.max(oldest)),
                )
            }
            Order::OldestFirst => {
                let begin = [after, filter.since]
                    .into_iter()
                    .flatten()
                    .fold(oldest, DateTime::max);
                spans(order, begin, newest.min(filter.until.unwrap_or(none)))
            }
        }
    }

    /// Of several words the one that the events at the page's beginning have least.
    async fn sharpened(
        &self,
        connection: &mut PgConnection,
        order: Order,
        after: Option<EventKey>,
    ) -> Result<Sharp> {
        let mut sharp = Sharp::default();
        for (text, rarest) in [
            (&self.filter.text, &mut sharp.text),
            (&self.filter.person, &mut sharp.person),
        ] {
            let words = text.as_deref().map(words).unwrap_or_default();
            if words.len() > 1 {
                *rarest = self.rarest(&mut *connection, &words, order, after).await?;
            }
        }
        Ok(sharp)
    }

    async fn rarest(
        &self,
        connection: &mut PgConnection,
        words: &[&str],
        order: Order,
        after: Option<EventKey>,
    ) -> Result<Option<String>> {
        let mut query: QueryBuilder<Postgres> =
            QueryBuilder::new("WITH near AS MATERIALIZED (SELECT ");
        query.push(WORDS).push(" AS words FROM events e WHERE true");
        self.push_time(&mut query, order, after);
        query.push(sorted(order)).push_bind(SAMPLE);
        query
            .push(") SELECT w.word FROM UNNEST(")
            .push_bind(words.iter().map(ToString::to_string).collect::<Vec<_>>())
            .push(", ")
            .push_bind(words.iter().map(|word| like_pattern(word)).collect::<Vec<_>>())
            .push(
                ") AS w (word, pattern)
                 ORDER BY (SELECT count(*) FROM near n WHERE n.words ILIKE w.pattern), length(w.word) DESC
                 LIMIT 1",
            );
        Ok(query
            .build_query_scalar()
            .fetch_optional(connection)
            .await?)
    }

    /// Groups of three letters are looked up in the index of words; what is shorter would read all
    /// of it.
    fn has_words_of_the_index(&self) -> bool {
        let words = [&self.filter.text, &self.filter.person];
        let mut words = words.into_iter().flatten().peekable();
        words.peek().is_some() && words.all(|text| !self::words(text).is_empty())
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
    fn push(&self, query: &mut QueryBuilder<Postgres>, sharp: &Sharp) {
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
                .push_bind(
                    sharp
                        .person
                        .as_deref()
                        .map_or_else(|| pattern.clone(), like_pattern),
                )
                .push(" AND e.person_email ILIKE ")
                .push_bind(pattern)
                .push("))");
        }
        if let Some(text) = &filter.text {
            query.push(" AND (").push(WORDS).push(" ILIKE ");
            match &sharp.text {
                None => drop(query.push_bind(like_pattern(text))),
                // The whole text is compared where the index is not asked.
                Some(word) => {
                    query.push_bind(like_pattern(word)).push(" AND (");
                    query
                        .push(WORDS)
                        .push(" || '') ILIKE ")
                        .push_bind(like_pattern(text));
                }
            }
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
        self.push(query, &Sharp::default());
    }
}

/// What the index of words can look up of a text: its words, with the sign on either side of them.
/// The index has groups of three letters, and knows where words end: of `p7@a.example` the `p7@` is
/// as good as a word of three letters, and names fewer events than `example`.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(char::is_alphanumeric) {
        let begin = from + at;
        let end = text[begin..]
            .find(|c: char| !c.is_alphanumeric())
            .map_or(text.len(), |at| begin + at);
        let sign = |sign: Option<char>| sign.map_or(0, char::len_utf8);
        let before = sign(text[..begin].chars().next_back());
        let after = sign(text[end..].chars().next());
        let letters = text[begin..end].chars().count();
        if letters >= 3 || (letters == 2 && before + after > 0) {
            words.push(&text[begin - before..end + after]);
        }
        from = end;
    }
    words
}

fn sorted(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => " ORDER BY e.time DESC, e.id DESC LIMIT ",
        Order::OldestFirst => " ORDER BY e.time, e.id LIMIT ",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_with_the_signs_beside_it_so_that_two_letters_are_enough() {
        assert_eq!(words("p7@bench.example"), ["p7@", "@bench.", ".example"]);
        assert_eq!(words("quota"), ["quota"]);
        assert_eq!(words("a 7-x"), Vec::<&str>::new());
        assert_eq!(words("ab"), Vec::<&str>::new());
        assert_eq!(words("李雷@høst"), ["李雷@", "@høst"]);
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn edges(order: Order, begin: &str, end: &str) -> Vec<String> {
        let spans = spans(order, at(begin), at(end));
        // Each goes on where the one before it ends.
        for pair in spans.windows(2) {
            let (one, next) = match order {
                Order::NewestFirst => (pair[0].from, pair[1].to),
                Order::OldestFirst => (pair[0].to, pair[1].from),
            };
            assert!(one.is_some() && one == next, "{spans:?}");
        }
        let (first, last) = (spans[0], spans[spans.len() - 1]);
        match order {
            Order::NewestFirst => assert_eq!((first.to, last.from), (None, None)),
            Order::OldestFirst => assert_eq!((first.from, last.to), (None, None)),
        }
        let cuts = spans.windows(2).filter_map(|pair| match order {
            Order::NewestFirst => pair[0].from,
            Order::OldestFirst => pair[0].to,
        });
        cuts.map(|cut| cut.format("%Y-%m-%d").to_string()).collect()
    }

    #[test]
    fn a_log_is_gone_through_by_its_month_then_two_then_four_without_a_gap() {
        let (old, new) = ("2026-02-10T12:00:00Z", "2026-11-27T08:30:00Z");
        assert_eq!(
            edges(Order::NewestFirst, new, old),
            ["2026-11-01", "2026-09-01", "2026-05-01"]
        );
        assert_eq!(
            edges(Order::OldestFirst, old, new),
            ["2026-03-01", "2026-05-01", "2026-09-01"]
        );
        assert!(edges(Order::NewestFirst, old, old).is_empty());
        assert!(edges(Order::OldestFirst, old, old).is_empty());
        // A page that begins after everything is empty, and asks once.
        assert!(edges(Order::NewestFirst, old, new).is_empty());
    }
}
