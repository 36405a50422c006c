//! The chain of seals beside the audit log: its keys, its head, and where it was cut by pruning.

use chrono::{DateTime, Datelike as _, NaiveTime, Utc};
use sqlx::PgConnection;

use super::Result;
use super::events::EventRow;
use crate::secrets::{KeyId, Sealed};

/// Events that have no seal yet, oldest first. The caller holds `lock_seals`.
pub async fn unsealed(connection: &mut PgConnection, limit: i64) -> Result<Vec<EventRow>> {
    Ok(sqlx::query_as!(
        EventRow,
        "SELECT e.id, e.time, e.event, e.outcome, e.actor, e.app, e.person_id, e.person_email,
                e.account_id, e.run_id, e.reason, e.changes, e.error, e.detail,
                NULL::bytea AS \"hash?\"
         FROM events e
         WHERE e.id > COALESCE((SELECT max(event_id) FROM event_seals), 0)
         ORDER BY e.id LIMIT $1",
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// Whether there is anything to seal. Events that are not committed yet don't count.
pub async fn any_unsealed(connection: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM events
                        WHERE id > COALESCE((SELECT max(event_id) FROM event_seals), 0)) AS \"any!\""
    )
    .fetch_one(connection)
    .await?)
}

/// Waits until this transaction alone seals; events that are not committed yet are waited for too.
pub async fn lock_seals(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT lock_events()")
        .execute(&mut *connection)
        .await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('event_seals'))")
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn last_seal(connection: &mut PgConnection) -> Result<Option<(i64, Vec<u8>)>> {
    Ok(
        sqlx::query!("SELECT event_id, hash FROM event_seals ORDER BY event_id DESC LIMIT 1")
            .fetch_optional(connection)
            .await?
            .map(|row| (row.event_id, row.hash)),
    )
}

pub async fn add_seals(connection: &mut PgConnection, seals: &[(i64, Vec<u8>)]) -> Result<()> {
    let ids: Vec<i64> = seals.iter().map(|(id, _)| *id).collect();
    let hashes: Vec<Vec<u8>> = seals.iter().map(|(_, hash)| hash.clone()).collect();
    sqlx::query!(
        "INSERT INTO event_seals (event_id, hash) SELECT * FROM UNNEST($1::bigint[], $2::bytea[])",
        &ids,
        &hashes,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Where the chain of seals ends, as it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub event_id: i64,
    pub hash: Vec<u8>,
    /// How many events were sealed up to there.
    pub events: i64,
    pub sealed_at: DateTime<Utc>,
    pub mac: Vec<u8>,
}

pub async fn head(connection: &mut PgConnection) -> Result<Option<Head>> {
    Ok(sqlx::query_as!(
        Head,
        "SELECT event_id, hash, events, sealed_at, mac FROM event_head"
    )
    .fetch_optional(connection)
    .await?)
}

pub async fn set_head(connection: &mut PgConnection, head: &Head) -> Result<()> {
    sqlx::query!(
        "INSERT INTO event_head (event_id, hash, events, sealed_at, mac) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (one) DO UPDATE SET event_id = $1, hash = $2, events = $3, sealed_at = $4, mac = $5",
        head.event_id,
        head.hash,
        head.events,
        head.sealed_at,
        head.mac,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Everything that this transaction reads from here on is of one moment, and nothing of the log is
/// pruned meanwhile.
pub async fn look_at_one_moment(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut *connection)
        .await?;
    // Before the first look: a month that is dropped is gone for older moments too.
    sqlx::query!("LOCK TABLE events, event_seals IN ACCESS SHARE MODE")
        .execute(connection)
        .await?;
    Ok(())
}

/// A page of the chain.
pub async fn seals_after(
    connection: &mut PgConnection,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<u8>)>> {
    Ok(sqlx::query!(
        "SELECT event_id, hash FROM event_seals WHERE event_id > $1 ORDER BY event_id LIMIT $2",
        after,
        limit
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.event_id, row.hash))
    .collect())
}

/// The events after one and up to another, by their numbers.
pub async fn between(
    connection: &mut PgConnection,
    after: i64,
    until: i64,
) -> Result<Vec<EventRow>> {
    Ok(sqlx::query_as!(
        EventRow,
        "SELECT e.id, e.time, e.event, e.outcome, e.actor, e.app, e.person_id, e.person_email,
                e.account_id, e.run_id, e.reason, e.changes, e.error, e.detail,
                NULL::bytea AS \"hash?\"
         FROM events e WHERE e.id > $1 AND e.id <= $2 ORDER BY e.id",
        after,
        until
    )
    .fetch_all(connection)
    .await?)
}

/// A stretch of the chain under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first event that is sealed under it.
    pub from_event: i64,
    /// The secret key that its key was derived from.
    pub key_id: KeyId,
    /// The key itself, once the segment is over.
    pub key: Option<Sealed>,
}

impl Segment {
    /// The place to which its key is sealed.
    pub fn place(from_event: i64) -> String {
        format!("event_keys/{from_event}")
    }
}

/// The chain's segments, oldest first.
pub async fn segments(connection: &mut PgConnection) -> Result<Vec<Segment>> {
    let rows = sqlx::query!(
        "SELECT from_event, key_id, sealed_with, nonce, ciphertext FROM event_keys ORDER BY from_event"
    )
    .fetch_all(connection)
    .await?;
    let segments = rows.into_iter().map(|row| Segment {
        from_event: row.from_event,
        key_id: KeyId(row.key_id),
        key: match (row.sealed_with, row.nonce, row.ciphertext) {
            (Some(key_id), Some(nonce), Some(ciphertext)) => Some(Sealed {
                key_id: KeyId(key_id),
                nonce,
                ciphertext,
            }),
            _ => None,
        },
    });
    Ok(segments.collect())
}

pub async fn begin_segment(
    connection: &mut PgConnection,
    from_event: i64,
    key: &KeyId,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO event_keys (from_event, key_id) VALUES ($1, $2)",
        from_event,
        key.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps the key of a segment that is over.
pub async fn end_segment(
    connection: &mut PgConnection,
    from_event: i64,
    key: &Sealed,
) -> Result<()> {
    sqlx::query!(
        "UPDATE event_keys SET sealed_with = $2, nonce = $3, ciphertext = $4 WHERE from_event = $1",
        from_event,
        key.key_id.0,
        key.nonce,
        key.ciphertext
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Up to where the log was pruned, as it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The last event of the part that is gone as a whole, and its seal.
    pub event_id: i64,
    pub hash: Vec<u8>,
    /// How many events that part had.
    pub events: i64,
    /// Later events that lay in a month that is gone; their seals are kept.
    pub gone: Vec<i64>,
    /// The months that ended by then are gone.
    pub before: DateTime<Utc>,
    pub cut_at: DateTime<Utc>,
    pub mac: Vec<u8>,
}

pub async fn cut(connection: &mut PgConnection) -> Result<Option<Cut>> {
    Ok(sqlx::query_as!(
        Cut,
        "SELECT event_id, hash, events, gone, before, cut_at, mac FROM event_cut"
    )
    .fetch_optional(connection)
    .await?)
}

pub async fn set_cut(connection: &mut PgConnection, cut: &Cut) -> Result<()> {
    sqlx::query!(
        "INSERT INTO event_cut (event_id, hash, events, gone, before, cut_at, mac)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (one) DO UPDATE SET event_id = $1, hash = $2, events = $3, gone = $4,
             before = $5, cut_at = $6, mac = $7",
        cut.event_id,
        cut.hash,
        cut.events,
        &cut.gone,
        cut.before,
        cut.cut_at,
        cut.mac,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Waits, for a few seconds at the most, until nobody else reads or writes the log.
pub async fn lock_for_pruning(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT lock_events_for_pruning()")
        .execute(&mut *connection)
        .await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('event_seals'))")
        .execute(connection)
        .await?;
    Ok(())
}

/// The months of the log are those of UTC.
pub fn start_of_month(time: DateTime<Utc>) -> DateTime<Utc> {
    let day = time.date_naive();
    let first = day.with_day(1).unwrap_or(day);
    first.and_time(NaiveTime::MIN).and_utc()
}

/// When the oldest event happened.
pub async fn oldest(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    Ok(
        sqlx::query_scalar!("SELECT time FROM events ORDER BY time LIMIT 1")
            .fetch_optional(connection)
            .await?,
    )
}

/// When the newest event happened.
pub async fn newest(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    Ok(
        sqlx::query_scalar!("SELECT time FROM events ORDER BY time DESC LIMIT 1")
            .fetch_optional(connection)
            .await?,
    )
}

/// What would be left of the log without the events before a time.
#[derive(Debug, Clone)]
pub struct Remainder {
    pub first: Option<i64>,
    /// Events before the time that no seal covers yet.
    pub unsealed: bool,
}

pub async fn remainder(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    sealed_up_to: i64,
) -> Result<Remainder> {
    Ok(sqlx::query_as!(
        Remainder,
        "SELECT (SELECT min(id) FROM events WHERE time >= $1) AS first,
                EXISTS (SELECT FROM events WHERE time < $1 AND id > $2) AS \"unsealed!\"",
        before,
        sealed_up_to
    )
    .fetch_one(connection)
    .await?)
}

/// The last seal at or before an event, and how many there are up to it.
pub async fn sealed_up_to(
    connection: &mut PgConnection,
    event: i64,
) -> Result<Option<(i64, Vec<u8>, i64)>> {
    let last = sqlx::query!(
        "SELECT event_id, hash FROM event_seals WHERE event_id <= $1 ORDER BY event_id DESC LIMIT 1",
        event
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(last) = last else { return Ok(None) };
    let count = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM event_seals WHERE event_id <= $1",
        event
    )
    .fetch_one(connection)
    .await?;
    Ok(Some((last.event_id, last.hash, count)))
}

/// The events before a time that come after an event by their numbers.
pub async fn stragglers(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    after: i64,
) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM events WHERE time < $1 AND id > $2 ORDER BY id",
        before,
        after
    )
    .fetch_all(connection)
    .await?)
}

/// Drops the months that end by then with what was counted in them, and the seals up to an event;
/// names the months.
pub async fn drop_months(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    last_event: i64,
) -> Result<Vec<String>> {
    sqlx::query!("DELETE FROM event_counts WHERE quarter < $1", before)
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar!(
        "SELECT prune_events($1, $2) AS \"months!\"",
        before,
        last_event
    )
    .fetch_one(connection)
    .await?)
}
