//! The journal: what a run will send, is sending and has sent; and whom it skipped (S8.8).

use super::apps::AppId;
use super::runs::{LeaseId, RunId};
use super::{Result, StoreError, decode, encode};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

use provisioning::Digest;
use provisioning::identity::{AccountId, PersonId};
use provisioning::lifecycle::Trigger;
use provisioning::plan::{LinkState, OperationKind, PlannedOperation};
use serde_json::Value;
use sqlx::PgConnection;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    Planned,
    /// Written before the request leaves: whoever finds it must look before sending again.
    Sending,
    Done,
    Failed,
    Held,
    /// The world changed since the plan; the next plan decides anew.
    Superseded,
}

impl OperationState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Superseded => "superseded",
        }
    }

    fn parse(word: &str, row: i64) -> Result<Self> {
        Ok(match word {
            "planned" => Self::Planned,
            "sending" => Self::Sending,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "held" => Self::Held,
            "superseded" => Self::Superseded,
            other => return Err(StoreError::corrupt("operations", "state", row, other)),
        })
    }
}

fn parse_kind(word: &str, row: i64) -> Result<OperationKind> {
    OperationKind::parse(word).ok_or_else(|| StoreError::corrupt("operations", "kind", row, word))
}

#[derive(Debug, Clone)]
pub struct Operation {
    pub id: OperationId,
    pub run: RunId,
    pub person_id: PersonId,
    pub person_email: String,
    pub person_name: String,
    pub wave: i32,
    pub step: i32,
    pub state: OperationState,
    pub plan: PlannedOperation,
    pub reason: String,
    pub manager_id: Option<PersonId>,
    pub account_id: Option<String>,
    pub attempts: i32,
    pub finished_at: Option<DateTime<Utc>>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

struct OperationRow {
    id: i64,
    run_id: uuid::Uuid,
    person_id: String,
    person_email: String,
    person_name: String,
    wave: i32,
    step: i32,
    state: String,
    plan: Value,
    reason: String,
    manager_id: Option<String>,
    account_id: Option<String>,
    attempts: i32,
    finished_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl TryFrom<OperationRow> for Operation {
    type Error = StoreError;

    fn try_from(row: OperationRow) -> Result<Self> {
        Ok(Self {
            id: OperationId(row.id),
            run: RunId(row.run_id),
            person_id: PersonId::from(row.person_id),
            person_email: row.person_email,
            person_name: row.person_name,
            wave: row.wave,
            step: row.step,
            state: OperationState::parse(&row.state, row.id)?,
            plan: decode(row.plan, "operations", "plan", row.id)?,
            reason: row.reason,
            manager_id: row.manager_id.map(PersonId::from),
            account_id: row.account_id,
            attempts: row.attempts,
            finished_at: row.finished_at,
            error_code: row.error_code,
            error_message: row.error_message,
        })
    }
}

/// One planned operation on its way into the journal.
#[derive(Debug, Clone)]
pub struct NewOperation {
    pub person_id: PersonId,
    pub person_email: String,
    pub person_name: String,
    pub wave: i32,
    pub step: i32,
    pub plan: PlannedOperation,
    pub reason: String,
    /// The manager whose account the body still waits for.
    pub manager_id: Option<PersonId>,
}

pub async fn add(
    connection: &mut PgConnection,
    run: RunId,
    app: AppId,
    operations: &[NewOperation],
) -> Result<()> {
    let column = |field: fn(&NewOperation) -> String| -> Vec<String> {
        operations.iter().map(field).collect()
    };
    let steps: Vec<i32> = operations.iter().map(|operation| operation.step).collect();
    let waves: Vec<i32> = operations.iter().map(|operation| operation.wave).collect();
    let plans = operations
        .iter()
        .map(|operation| encode(&operation.plan))
        .collect::<Result<Vec<_>>>()?;
    let managers: Vec<Option<String>> = operations
        .iter()
        .map(|operation| operation.manager_id.as_ref().map(ToString::to_string))
        .collect();
    let accounts: Vec<Option<String>> = operations
        .iter()
        .map(|operation| operation.plan.account.as_ref().map(ToString::to_string))
        .collect();
    sqlx::query!(
        "INSERT INTO operations (run_id, app_id, person_id, person_email, person_name, step, kind, plan, reason,
                                 manager_id, account_id, wave)
         SELECT $1, $2, person_id, email, name, step, kind, plan, reason, manager_id, account_id, wave
         FROM UNNEST($3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::jsonb[], $9::text[],
                     $10::text[], $11::text[], $12::int[])
              AS page (person_id, email, name, step, kind, plan, reason, manager_id, account_id, wave)",
        run.0,
        app.0,
        &column(|o| o.person_id.to_string()),
        &column(|o| o.person_email.clone()),
        &column(|o| o.person_name.clone()),
        &steps,
        &column(|o| o.plan.kind.as_str().to_owned()),
        &plans,
        &column(|o| o.reason.clone()),
        &managers as &[Option<String>],
        &accounts as &[Option<String>],
        &waves,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a plan that was not finished; nothing of it was sent.
pub async fn forget_plan(connection: &mut PgConnection, run: RunId) -> Result<()> {
    sqlx::query!(
        "DELETE FROM operations WHERE run_id = $1 AND state IN ('planned', 'held')",
        run.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM skipped WHERE run_id = $1", run.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// What the guard must know of every operation, without the bodies.
#[derive(Debug, Clone)]
pub struct OperationHead {
    pub id: i64,
    pub person_id: PersonId,
    pub kind: OperationKind,
    pub account: Option<AccountId>,
    pub user_name: Option<String>,
    pub due_at: Option<DateTime<Utc>>,
    pub allowed: bool,
    pub trigger: Option<Trigger>,
    pub link: Option<LinkState>,
    /// The manager whose account the body still waits for.
    pub manager_id: Option<PersonId>,
    pub after: Option<PersonId>,
}

pub async fn heads(connection: &mut PgConnection, run: RunId) -> Result<Vec<OperationHead>> {
    let rows = sqlx::query!(
        "SELECT id, person_id, kind, account_id, manager_id, plan->'body'->>'userName' AS user_name,
                plan->>'due_at' AS due_at, (plan->>'allowed')::boolean AS allowed,
                plan->'precondition'->>'cause' AS trigger, plan->'precondition'->>'link' AS link,
                plan->>'after' AS after
         FROM operations WHERE run_id = $1 AND state = 'planned' ORDER BY person_id, step",
        run.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OperationHead {
                id: row.id,
                person_id: PersonId::from(row.person_id),
                kind: parse_kind(&row.kind, row.id)?,
                account: row.account_id.map(AccountId::from),
                user_name: row.user_name,
                due_at: match row.due_at {
                    Some(text) => Some(text.parse().map_err(|cause| {
                        StoreError::corrupt("operations", "plan.due_at", row.id, cause)
                    })?),
                    None => None,
                },
                allowed: row.allowed.unwrap_or(false),
                trigger: row.trigger.as_deref().and_then(Trigger::parse),
                link: row.link.as_deref().and_then(LinkState::parse),
                manager_id: row.manager_id.map(PersonId::from),
                after: row.after.map(PersonId::from),
            })
        })
        .collect()
}

/// People whose write left the manager out, and whose manager has an account by now.
pub async fn waiting_for_manager(
    connection: &mut PgConnection,
    run: RunId,
    app: AppId,
) -> Result<Vec<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT o.person_id FROM operations o
         JOIN links l ON l.app_id = $2 AND l.person_id = o.manager_id AND l.state IN ('active', 'suspended_by_us')
         WHERE o.run_id = $1 AND o.manager_id IS NOT NULL AND o.state = 'done'
           AND NOT EXISTS (SELECT 1 FROM operations later
                           WHERE later.run_id = o.run_id AND later.person_id = o.person_id AND later.wave > o.wave)",
        run.0,
        app.0
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// A body that waited for the manager's account is complete now.
pub async fn complete_plan(
    connection: &mut PgConnection,
    id: OperationId,
    writer: Writer,
    plan: &PlannedOperation,
) -> Result<()> {
    sqlx::query!(
        "UPDATE operations o SET plan = $2, manager_id = NULL FROM runs r
         WHERE o.id = $1 AND r.id = $3 AND r.id = o.run_id AND r.lease = $4 AND r.state = 'running'",
        id.0,
        encode(plan)?,
        writer.run.0,
        writer.lease.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn set_waves(connection: &mut PgConnection, waves: &[(i64, i32)]) -> Result<()> {
    let ids: Vec<i64> = waves.iter().map(|(id, _)| *id).collect();
    let numbers: Vec<i32> = waves.iter().map(|(_, wave)| *wave).collect();
    sqlx::query!(
        "UPDATE operations o SET wave = w.wave
         FROM UNNEST($1::bigint[], $2::int[]) AS w (id, wave) WHERE o.id = w.id AND o.wave <> w.wave",
        &ids,
        &numbers,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A linked account whose user name a plan changes.
#[derive(Debug, Clone)]
pub struct Renaming {
    pub id: i64,
    pub person: PersonId,
    pub email: String,
    pub kind: OperationKind,
    pub from: String,
    pub to: String,
    /// By which a failure is told from others.
    pub body: Option<Digest>,
}

pub async fn renamings(connection: &mut PgConnection, run: RunId) -> Result<Vec<Renaming>> {
    let rows = sqlx::query!(
        "SELECT o.id, o.person_id, o.person_email, o.kind, o.plan->'body' AS body, l.user_name AS \"from!\",
                o.plan->'body'->>'userName' AS \"to!\"
         FROM operations o JOIN links l ON l.app_id = o.app_id AND l.person_id = o.person_id AND l.state <> 'deleted'
         WHERE o.run_id = $1 AND o.state = 'planned' AND o.kind IN ('update', 'unsuspend')
           AND o.plan->'body'->>'userName' <> l.user_name
         ORDER BY o.person_id",
        run.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Renaming {
                id: row.id,
                person: PersonId::from(row.person_id),
                email: row.person_email,
                kind: parse_kind(&row.kind, row.id)?,
                from: row.from,
                to: row.to,
                body: row.body.as_ref().map(Digest::of_json),
            })
        })
        .collect()
}

/// Makes operations wait for another person's.
pub async fn set_after(connection: &mut PgConnection, pairs: &[(i64, String)]) -> Result<()> {
    let (ids, first): (Vec<i64>, Vec<String>) = pairs.iter().cloned().unzip();
    sqlx::query!(
        "UPDATE operations o SET plan = jsonb_set(o.plan, '{after}', to_jsonb(p.first))
         FROM UNNEST($1::bigint[], $2::text[]) AS p (id, first) WHERE o.id = p.id",
        &ids,
        &first,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn set_states(
    connection: &mut PgConnection,
    ids: &[i64],
    state: OperationState,
    code: &str,
    message: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE operations SET state = $2, error_code = $3, error_message = $4,
                finished_at = CASE WHEN $2 IN ('planned', 'sending') THEN NULL ELSE $5::timestamptz END
         WHERE id = ANY($1)",
        ids,
        state.word(),
        code,
        message,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

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

/// Takes over the plan of an approved preview, as it was shown. What the check refused is refused
/// by the check of this run, and told then.
pub async fn copy_plan(connection: &mut PgConnection, from: RunId, to: RunId) -> Result<()> {
    sqlx::query!(
        "INSERT INTO operations (run_id, app_id, person_id, person_email, person_name, wave, step, kind, plan,
                                 reason, manager_id, account_id)
         SELECT $2, app_id, person_id, person_email, person_name, wave, step, kind, plan, reason, manager_id, account_id
         FROM operations WHERE run_id = $1 AND state IN ('planned', 'held', 'failed') ORDER BY id",
        from.0,
        to.0,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO skipped (run_id, person_id, person_email, person_name, rule, detail)
         SELECT $2, person_id, person_email, person_name, rule, detail FROM skipped WHERE run_id = $1
         ON CONFLICT DO NOTHING",
        from.0,
        to.0,
    )
    .execute(connection)
    .await?;
    Ok(())
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

/// People of a run whose account is still to be taken away, whether or not that was begun.
pub async fn open_removals(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<BTreeSet<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT person_id FROM operations
         WHERE run_id = $1 AND kind IN ('suspend', 'delete') AND state IN ('planned', 'sending')",
        run.0
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// Whether a run under way is still to write to this person's account.
pub async fn is_open(connection: &mut PgConnection, app: AppId, person: &PersonId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (
             SELECT 1 FROM operations o JOIN runs r ON r.id = o.run_id
             WHERE r.app_id = $1 AND r.state IN ('queued', 'running') AND r.kind <> 'preview'
               AND o.person_id = $2 AND o.state IN ('planned', 'sending')) AS \"open!\"",
        app.0,
        person.to_string(),
    )
    .fetch_one(connection)
    .await?)
}

/// A person's operations in a run in the order in which they are sent, with what was sent and answered.
pub async fn of_person(
    connection: &mut PgConnection,
    run: RunId,
    person: &PersonId,
) -> Result<Vec<(Operation, Option<Value>)>> {
    let ids = sqlx::query!(
        "SELECT id, exchange FROM operations WHERE run_id = $1 AND person_id = $2 ORDER BY wave, step, id",
        run.0,
        person.to_string()
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Vec::with_capacity(ids.len());
    for row in ids {
        if let Some(operation) = get(&mut *connection, OperationId(row.id)).await? {
            found.push((operation, row.exchange));
        }
    }
    Ok(found)
}

async fn get(connection: &mut PgConnection, id: OperationId) -> Result<Option<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations WHERE id = $1",
        id.0
    )
    .fetch_optional(connection)
    .await?
    .map(Operation::try_from)
    .transpose()
}

/// Whether something of this person was carried out in a run.
pub async fn is_done(connection: &mut PgConnection, run: RunId, person: &PersonId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT 1 FROM operations WHERE run_id = $1 AND person_id = $2 AND state = 'done') AS \"done!\"",
        run.0,
        person.to_string()
    )
    .fetch_one(connection)
    .await?)
}

/// How many operations of each kind ended in each state.
pub async fn tally(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(OperationKind, OperationState, i64)>> {
    let rows = sqlx::query!(
        "SELECT kind, state, count(*) AS \"count!\" FROM operations WHERE run_id = $1 GROUP BY kind, state",
        run.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                parse_kind(&row.kind, 0)?,
                OperationState::parse(&row.state, 0)?,
                row.count,
            ))
        })
        .collect()
}

/// The error that most operations of a run ended with.
pub async fn main_error(connection: &mut PgConnection, run: RunId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT error_code FROM operations WHERE run_id = $1 AND state = 'failed'
         GROUP BY error_code ORDER BY count(*) DESC, error_code LIMIT 1",
        run.0
    )
    .fetch_optional(connection)
    .await?
    .flatten())
}

/// Removals that were carried out since a moment and count towards the hold (S9.1).
pub async fn removals_since(
    connection: &mut PgConnection,
    app: AppId,
    since: DateTime<Utc>,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT person_id FROM operations
         WHERE app_id = $1 AND kind IN ('suspend', 'delete') AND state = 'done' AND finished_at >= $2
           AND COALESCE((plan->>'allowed')::boolean, false) = false",
        app.0,
        since,
    )
    .fetch_all(connection)
    .await?)
}

/// Operations of a run for reading, a page at a time, optionally of one kind or state.
pub async fn list(
    connection: &mut PgConnection,
    run: RunId,
    kind: Option<&str>,
    state: Option<&str>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations WHERE run_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3)
           AND id > $4 ORDER BY id LIMIT $5",
        run.0,
        kind,
        state,
        after.unwrap_or(0),
        limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}

/// Somebody who got no operation, and the rule that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub person_id: String,
    pub person_email: String,
    pub person_name: String,
    pub rule: String,
    pub detail: String,
}

pub async fn add_skipped(
    connection: &mut PgConnection,
    run: RunId,
    skipped: &[Skipped],
) -> Result<()> {
    let column = |field: fn(&Skipped) -> &String| -> Vec<String> {
        skipped.iter().map(|line| field(line).clone()).collect()
    };
    sqlx::query!(
        "INSERT INTO skipped (run_id, person_id, person_email, person_name, rule, detail)
         SELECT $1, person_id, email, name, rule, detail
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
              AS page (person_id, email, name, rule, detail)
         ON CONFLICT DO NOTHING",
        run.0,
        &column(|s| &s.person_id),
        &column(|s| &s.person_email),
        &column(|s| &s.person_name),
        &column(|s| &s.rule),
        &column(|s| &s.detail),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn skipped(
    connection: &mut PgConnection,
    run: RunId,
    rule: Option<&str>,
    limit: i64,
) -> Result<Vec<Skipped>> {
    Ok(sqlx::query_as!(
        Skipped,
        "SELECT person_id, person_email, person_name, rule, detail FROM skipped
         WHERE run_id = $1 AND ($2::text IS NULL OR rule = $2)
         ORDER BY rule, lower(person_name), person_id LIMIT $3",
        run.0,
        rule,
        limit
    )
    .fetch_all(connection)
    .await?)
}

/// One part of a run's operations in the order of the plan, optionally of one kind or state.
pub async fn page(
    connection: &mut PgConnection,
    run: RunId,
    kind: Option<&str>,
    state: Option<&str>,
    part: super::pages::Part,
) -> Result<Vec<Operation>> {
    sqlx::query_as!(
        OperationRow,
        "SELECT id, run_id, person_id, person_email, person_name, wave, step, state, plan, reason, manager_id, account_id,
                attempts, finished_at, error_code, error_message
         FROM operations
         WHERE run_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR state = $3)
         ORDER BY wave, lower(person_name), person_id, step, id LIMIT $4 OFFSET $5",
        run.0,
        kind,
        state,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Operation::try_from)
    .collect()
}
