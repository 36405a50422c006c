//! What a run will do, before anything of it is sent.

use crate::store::apps::AppId;
use crate::store::runs::RunId;
use crate::store::{Result, StoreError, encode};
use chrono::{DateTime, Utc};

use super::{OperationId, OperationState, Writer, parse_kind};
use provisioning::Digest;
use provisioning::identity::{AccountId, PersonId};
use provisioning::lifecycle::Trigger;
use provisioning::plan::{LinkState, OperationKind, PlannedOperation};
use sqlx::PgConnection;

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
