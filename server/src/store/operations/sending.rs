//! What is sent and what came of it. Only the take of a run that holds its lease writes here.

use crate::store::Result;
use crate::store::apps::AppId;
use crate::store::runs::{LeaseId, RunId};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

use super::{Operation, OperationId, OperationRow, OperationState};
use provisioning::identity::PersonId;
use serde_json::Value;
use sqlx::PgConnection;

/// The next open operations of a wave after a person's step; those of one person stay together only
/// as far as the limit goes.
pub async fn open(
    connection: &mut PgConnection,
    run: RunId,
    wave: i32,
    but: &[i64],
    after: Option<(&PersonId, i32)>,
    limit: i64,
) -> Result<Vec<Operation>> {
    let (person, step) = after.map_or(("", -1), |(person, step)| (person.as_str(), step));
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations WHERE run_id = $1 AND wave = $2 AND state IN ('planned', 'sending') AND id <> ALL($3)
           AND (person_id, step) > ($4, $5)
         ORDER BY person_id, step LIMIT $6",
        run.0,
        wave,
        but,
        person,
        step,
        limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}

/// The first wave that still holds open operations, other than those that the run can't settle.
pub async fn next_wave(
    connection: &mut PgConnection,
    run: RunId,
    but: &[i64],
) -> Result<Option<i32>> {
    Ok(sqlx::query_scalar!(
        "SELECT min(wave) FROM operations
         WHERE run_id = $1 AND state IN ('planned', 'sending') AND id <> ALL($2)",
        run.0,
        but
    )
    .fetch_one(connection)
    .await?)
}

/// Who writes into the journal: one take of one run.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    pub run: RunId,
    pub lease: LeaseId,
}

/// Journal entries before requests leave: those that may be sent. None may when the lease is not ours
/// any more, somebody asked to stop, the app was turned off, or its configuration is another one by
/// now: between two requests (S7.1).
pub async fn begin_sending(
    connection: &mut PgConnection,
    ids: &[i64],
    writer: Writer,
    config_version: i32,
    now: DateTime<Utc>,
) -> Result<BTreeSet<i64>> {
    let began = sqlx::query_scalar!(
        "UPDATE operations o SET state = 'sending', sent_at = $2, attempts = o.attempts + 1
         FROM runs r, apps a
         -- By their ids and nothing else: of what is open, an index holds all that was open once.
         WHERE o.id = ANY($1) AND o.state || '' IN ('planned', 'sending')
           AND r.id = $3 AND r.id IS NOT DISTINCT FROM o.run_id AND r.lease = $4 AND r.state = 'running'
           AND r.stop_requested_by IS NULL
           AND a.id = r.app_id AND a.state = 'on' AND a.config_version = $5
         RETURNING o.id",
        ids,
        now,
        writer.run.0,
        writer.lease.0,
        config_version,
    )
    .fetch_all(connection)
    .await?;
    Ok(began.into_iter().collect())
}

/// Back to planned: the request provably did not take effect.
pub async fn not_sent(
    connection: &mut PgConnection,
    id: OperationId,
    writer: Writer,
) -> Result<()> {
    sqlx::query!(
        "UPDATE operations o SET state = 'planned' FROM runs r
         WHERE o.id = $1 AND o.state = 'sending'
           AND r.id = $2 AND r.id = o.run_id AND r.lease = $3 AND r.state = 'running'",
        id.0,
        writer.run.0,
        writer.lease.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is written of an operation that is over.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub state: OperationState,
    pub account_id: Option<&'a str>,
    pub error: Option<(&'a str, &'a str)>,
    pub exchange: Option<&'a Value>,
}

/// Journal entry after the answer. False when it was there already, or when the run is another's by
/// now: then nothing is recorded twice.
pub async fn finish(
    connection: &mut PgConnection,
    id: OperationId,
    writer: Writer,
    ended: &Ended<'_>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE operations o SET state = $2, account_id = COALESCE($3, o.account_id), error_code = $4,
                error_message = $5, exchange = $6, finished_at = $7
         FROM runs r
         WHERE o.id = $1 AND o.state IN ('planned', 'sending')
           AND r.id = $8 AND r.lease = $9 AND r.state = 'running' AND r.app_id = o.app_id",
        id.0,
        ended.state.word(),
        ended.account_id,
        ended.error.map(|(code, _)| code),
        ended.error.map(|(_, message)| message),
        ended.exchange,
        now,
        writer.run.0,
        writer.lease.0,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// An operation that the app carried out.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    pub id: OperationId,
    pub account_id: Option<&'a str>,
    pub exchange: &'a Value,
}

/// The same for operations that were carried out: those that were not there already.
pub async fn finish_done(
    connection: &mut PgConnection,
    writer: Writer,
    done: &[Done<'_>],
    now: DateTime<Utc>,
) -> Result<BTreeSet<i64>> {
    let ids: Vec<i64> = done.iter().map(|one| one.id.0).collect();
    let accounts: Vec<Option<&str>> = done.iter().map(|one| one.account_id).collect();
    let exchanges: Vec<&Value> = done.iter().map(|one| one.exchange).collect();
    let ended = sqlx::query_scalar!(
        "UPDATE operations o SET state = 'done', account_id = COALESCE(d.account_id, o.account_id), error_code = NULL,
                error_message = NULL, exchange = d.exchange, finished_at = $4
         FROM UNNEST($1::bigint[], $2::text[], $3::jsonb[]) AS d (id, account_id, exchange), runs r
         -- By their ids and nothing else, as above.
         WHERE o.id = d.id AND o.id = ANY($1) AND o.state || '' IN ('planned', 'sending')
           AND r.id = $5 AND r.lease = $6 AND r.state = 'running' AND r.app_id IS NOT DISTINCT FROM o.app_id
         RETURNING o.id",
        &ids,
        &accounts as &[Option<&str>],
        &exchanges as &[&Value],
        now,
        writer.run.0,
        writer.lease.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(ended.into_iter().collect())
}

/// What a run that ends did not get to: the next run plans it anew. What is in doubt stays so, and
/// is settled first by the next run.
pub async fn supersede_planned(
    connection: &mut PgConnection,
    run: RunId,
    code: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE operations o SET state = 'superseded', finished_at = $2, error_code = $3, error_message = $4
         FROM runs r
         WHERE o.run_id = $1 AND r.id = o.run_id AND r.kind <> 'preview' AND o.state = 'planned'",
        run.0,
        now,
        code,
        message,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Operations of an app's earlier runs that were sent and never answered.
pub async fn in_doubt(connection: &mut PgConnection, app: AppId) -> Result<Vec<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT o.id, o.run_id, o.person_id, o.person_email, o.person_name, o.wave, o.step, o.state, o.plan, o.reason,
                o.manager_id, o.account_id, o.attempts, o.finished_at, o.error_code, o.error_message
         FROM operations o JOIN runs r ON r.id = o.run_id AND r.state NOT IN ('queued', 'running')
         WHERE o.app_id = $1 AND o.state = 'sending' ORDER BY o.id",
        app.0,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}

/// People of whom some request is still in doubt: nothing is planned for them before it is settled.
pub async fn people_in_doubt(
    connection: &mut PgConnection,
    app: AppId,
    but: RunId,
) -> Result<BTreeSet<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT person_id FROM operations
         WHERE app_id = $1 AND state = 'sending' AND run_id <> $2",
        app.0,
        but.0
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// Gives up what is in doubt: the account is none of ours any more.
pub async fn abandon(connection: &mut PgConnection, app: AppId) -> Result<()> {
    sqlx::query!(
        "UPDATE operations SET state = 'superseded', finished_at = sent_at, error_code = 'configuration-deleted',
                error_message = 'The configuration was deleted before it was known what became of this.'
         WHERE app_id = $1 AND state = 'sending'",
        app.0
    )
    .execute(connection)
    .await?;
    Ok(())
}
