//! What the pass over a whole plan looks at (S9.1), and what it leaves for later in the run.

use super::apps::AppId;
use super::runs::RunId;
use super::{Result, StoreError};
use chrono::{DateTime, Utc};
use provisioning::identity::{AccountId, PersonId, Standing};
use provisioning::lifecycle::Trigger;
use provisioning::plan::{LinkState, OperationKind};
use sqlx::PgConnection;

/// A planned operation without its body.
#[derive(Debug, Clone)]
pub struct PlannedLine {
    pub id: i64,
    pub person_id: PersonId,
    pub person_email: String,
    pub standing: Standing,
    pub kind: OperationKind,
    pub account: Option<AccountId>,
    /// The user name that the account gets, when it gets another one.
    pub user_name: Option<String>,
    pub due_at: Option<DateTime<Utc>>,
    pub trigger: Option<Trigger>,
    pub link: Option<LinkState>,
    /// The manager whose account the body still waits for.
    pub manager_id: Option<PersonId>,
    pub after: Option<PersonId>,
    pub moves_from: Option<PersonId>,
}

/// Whose account a plan deletes, with those who name it as their manager's in the same plan.
pub async fn reports_of_deleted(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(PersonId, PersonId)>> {
    Ok(sqlx::query!(
        "SELECT DISTINCT o.person_id AS manager, r.person_id AS report
         FROM operations o
         JOIN person_addresses d ON d.person_id = o.person_id
         JOIN people p ON p.manager_email = d.address AND p.id <> o.person_id
         JOIN operations r ON r.run_id = o.run_id AND r.person_id = p.id
              AND r.kind IN ('create', 'update', 'unsuspend') AND r.state = 'planned'
         WHERE o.run_id = $1 AND o.kind = 'delete' AND o.state = 'planned'",
        run.0
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (PersonId::from(row.manager), PersonId::from(row.report)))
    .collect())
}

pub async fn planned(connection: &mut PgConnection, run: RunId) -> Result<Vec<PlannedLine>> {
    let rows = sqlx::query!(
        "SELECT o.id, o.person_id, o.person_email, p.standing AS \"standing?\", o.kind, o.account_id, o.manager_id,
                CASE WHEN o.kind = 'create' THEN o.plan->'body'->>'userName'
                     ELSE jsonb_path_query_first(o.plan->'changes', '$[*] ? (@.attribute == \"userName\").new') #>> '{}'
                END AS user_name,
                o.plan->>'due_at' AS due_at, o.plan->'precondition'->>'cause' AS trigger,
                o.plan->'precondition'->>'link' AS link, o.plan->>'after' AS after,
                o.plan->>'moves_from' AS moves_from
         FROM operations o LEFT JOIN people p ON p.id = o.person_id
         WHERE o.run_id = $1 AND o.state = 'planned' ORDER BY o.person_id, o.step",
        run.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(PlannedLine {
                id: row.id,
                person_id: PersonId::from(row.person_id),
                person_email: row.person_email,
                standing: (row.standing.as_deref())
                    .and_then(Standing::parse)
                    .unwrap_or(Standing::Unknown),
                kind: OperationKind::parse(&row.kind)
                    .ok_or_else(|| StoreError::corrupt("operations", "kind", row.id, &row.kind))?,
                account: row.account_id.map(AccountId::from),
                user_name: row.user_name,
                due_at: match row.due_at {
                    Some(text) => Some(text.parse().map_err(|cause| {
                        StoreError::corrupt("operations", "plan.due_at", row.id, cause)
                    })?),
                    None => None,
                },
                trigger: row.trigger.as_deref().and_then(Trigger::parse),
                link: row.link.as_deref().and_then(LinkState::parse),
                manager_id: row.manager_id.map(PersonId::from),
                after: row.after.map(PersonId::from),
                moves_from: row.moves_from.map(PersonId::from),
            })
        })
        .collect()
}

/// People who were deleted by us since a moment and have no account now: they still are some of
/// everybody.
pub async fn deleted_since(
    connection: &mut PgConnection,
    app: AppId,
    since: DateTime<Utc>,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(DISTINCT o.person_id) AS \"count!\" FROM operations o
         WHERE o.app_id = $1 AND o.kind = 'delete' AND o.state = 'done' AND o.finished_at >= $2
           AND COALESCE((o.plan->>'allowed')::boolean, false) = false
           AND NOT EXISTS (SELECT 1 FROM links l WHERE l.app_id = $1 AND l.person_id = o.person_id
                             AND l.state IN ('active', 'suspended_by_us'))",
        app.0,
        since,
    )
    .fetch_one(connection)
    .await?)
}

/// Linked people of whom nothing is planned, and whose manager gets an account only in this run.
pub async fn await_managers(
    connection: &mut PgConnection,
    run: RunId,
    waiting: &[(PersonId, PersonId)],
) -> Result<()> {
    let people: Vec<String> = waiting
        .iter()
        .map(|(person, _)| person.to_string())
        .collect();
    let managers: Vec<String> = waiting
        .iter()
        .map(|(_, manager)| manager.to_string())
        .collect();
    sqlx::query!(
        "INSERT INTO awaiting_manager (run_id, person_id, manager_id)
         SELECT $1, person_id, manager_id FROM UNNEST($2::text[], $3::text[]) AS w (person_id, manager_id)
         ON CONFLICT DO NOTHING",
        run.0,
        &people,
        &managers,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Of those, the ones whose manager has an account by now; each is named once.
pub async fn managers_arrived(
    connection: &mut PgConnection,
    run: RunId,
    app: AppId,
) -> Result<Vec<PersonId>> {
    Ok(sqlx::query_scalar!(
        "DELETE FROM awaiting_manager w USING links l
         WHERE w.run_id = $1 AND l.app_id = $2 AND l.person_id = w.manager_id
           AND l.state IN ('active', 'suspended_by_us')
         RETURNING w.person_id",
        run.0,
        app.0
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// A plan that is made again forgets who waited in the one before.
pub async fn forget_waiting(connection: &mut PgConnection, run: RunId) -> Result<()> {
    sqlx::query!("DELETE FROM awaiting_manager WHERE run_id = $1", run.0)
        .execute(connection)
        .await?;
    Ok(())
}
