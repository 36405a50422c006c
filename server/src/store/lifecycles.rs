//! Clocks of the triggers, and the queue that follows from them.
//!
//! Planning, imports, answers of the app and administrators all turn the same clocks. Each changes
//! them with [`change`], so that nobody writes over what another decided meanwhile.

use std::collections::BTreeMap;

use super::apps::AppId;
use super::{Result, decode, encode};
use chrono::{DateTime, Utc};
use provisioning::config::DeprovisioningPolicies;
use provisioning::identity::PersonId;
use provisioning::lifecycle::{DueStep, Lifecycle, due_steps};
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

/// Turns the clocks of these people as they are stored now. Call it in a transaction: their rows are
/// locked until it ends, so a change made meanwhile is seen and not lost. What comes next is stored
/// with the clocks, for whoever has an account by then.
pub async fn change(
    connection: &mut PgConnection,
    app: AppId,
    people: &[PersonId],
    policies: &DeprovisioningPolicies,
    now: DateTime<Utc>,
    mut turn: impl FnMut(&PersonId, &mut Lifecycle),
) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    let mut changed = Vec::new();
    for (person, before) in lock(&mut *connection, app, people).await? {
        let mut clocks = before.clone();
        turn(&person, &mut clocks);
        clocks.drop_lapsed(policies);
        // What comes next is written anew in any case: a changed policy re-dates it.
        changed.push((person, clocks));
    }
    save_all(connection, app, &changed, policies, now).await
}

/// Rows are made for those who have none, since only a row can be locked.
async fn lock(
    connection: &mut PgConnection,
    app: AppId,
    people: &[PersonId],
) -> Result<BTreeMap<PersonId, Lifecycle>> {
    let ids: Vec<String> = people.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "INSERT INTO lifecycles (app_id, person_id, lifecycle)
         SELECT $1, p.id, '{}' FROM UNNEST($2::text[]) AS p (id) ORDER BY p.id
         ON CONFLICT DO NOTHING",
        app.0,
        &ids
    )
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query!(
        "SELECT person_id, lifecycle FROM lifecycles
         WHERE app_id = $1 AND person_id = ANY($2) ORDER BY person_id FOR UPDATE",
        app.0,
        &ids
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

async fn save_all(
    connection: &mut PgConnection,
    app: AppId,
    changed: &[(PersonId, Lifecycle)],
    policies: &DeprovisioningPolicies,
    now: DateTime<Utc>,
) -> Result<()> {
    let (without, with): (Vec<_>, Vec<_>) =
        (changed.iter()).partition(|(_, clocks)| *clocks == Lifecycle::default());
    let ids: Vec<String> = without
        .iter()
        .map(|(person, _)| person.to_string())
        .collect();
    forget(&mut *connection, app, &ids).await?;
    let ids: Vec<String> = with.iter().map(|(person, _)| person.to_string()).collect();
    let clocks = (with.iter())
        .map(|(_, clocks)| encode(clocks))
        .collect::<Result<Vec<_>>>()?;
    // Of somebody who is archived nothing comes next: their clocks stand still.
    let comes = |step: &DueStep| step.is_live() && !step.frozen;
    let next: Vec<Option<DueStep>> = (with.iter())
        .map(|(_, clocks)| (due_steps(clocks, policies, now).into_iter()).find(comes))
        .collect();
    let column = |word: fn(&DueStep) -> &'static str| -> Vec<Option<String>> {
        (next.iter())
            .map(|step| step.as_ref().map(|step| word(step).to_owned()))
            .collect()
    };
    let due: Vec<Option<DateTime<Utc>>> = (next.iter())
        .map(|step| step.as_ref().map(|step| step.due_at))
        .collect();
    let held: Vec<bool> = (next.iter())
        .map(|step| {
            let waits = |step: &DueStep| step.held || (step.under_review && !step.allowed);
            step.as_ref().is_some_and(waits)
        })
        .collect();
    sqlx::query!(
        "UPDATE lifecycles q SET lifecycle = c.lifecycle,
                next_due_at = CASE WHEN l.person_id IS NOT NULL THEN c.due_at END,
                next_step = CASE WHEN l.person_id IS NOT NULL THEN c.step END,
                next_trigger = CASE WHEN l.person_id IS NOT NULL THEN c.trigger END,
                next_held = c.held AND l.person_id IS NOT NULL
         FROM UNNEST($2::text[], $3::jsonb[], $4::timestamptz[], $5::text[], $6::text[], $7::bool[])
              AS c (person_id, lifecycle, due_at, step, trigger, held)
         LEFT JOIN links l ON l.app_id = $1 AND l.person_id = c.person_id
              AND l.state IN ('active', 'suspended_by_us')
         WHERE q.app_id = $1 AND q.person_id = c.person_id",
        app.0,
        &ids,
        &clocks,
        &due as &[Option<DateTime<Utc>>],
        &column(|step| step.step.key()) as &[Option<String>],
        &column(|step| step.trigger.key()) as &[Option<String>],
        &held,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the clocks of these people: a new account begins without.
pub async fn forget(connection: &mut PgConnection, app: AppId, people: &[String]) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM lifecycles WHERE app_id = $1 AND person_id = ANY($2)",
        app.0,
        people
    )
    .execute(connection)
    .await?;
    Ok(())
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

/// Somebody with an account whose clocks run.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub person_id: PersonId,
    pub person_email: String,
    pub person_name: String,
    pub lifecycle: Lifecycle,
}

/// Everybody who has an account and clocks; only those of whom the guard holds something, if asked.
pub async fn waiting(
    connection: &mut PgConnection,
    app: AppId,
    only_under_review: bool,
) -> Result<Vec<Waiting>> {
    let rows = sqlx::query!(
        "SELECT q.person_id, COALESCE(p.primary_email, l.user_name) AS \"person_email!\",
                COALESCE(p.full_name, l.user_name) AS \"person_name!\", q.lifecycle
         FROM lifecycles q
         JOIN links l ON l.app_id = q.app_id AND l.person_id = q.person_id
              AND l.state IN ('active', 'suspended_by_us')
         LEFT JOIN people p ON p.id = q.person_id
         WHERE q.app_id = $1
           AND (NOT $2 OR jsonb_path_exists(q.lifecycle, '$.clocks.*.review.*'))
         ORDER BY q.person_id",
        app.0,
        only_under_review,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Waiting {
                lifecycle: decode(row.lifecycle, "lifecycles", "lifecycle", &row.person_id)?,
                person_id: PersonId::from(row.person_id),
                person_email: row.person_email,
                person_name: row.person_name,
            })
        })
        .collect()
}

/// How many steps are due before a moment, `but` those of these people.
pub async fn due_before(
    connection: &mut PgConnection,
    app: AppId,
    moment: DateTime<Utc>,
    but: &[String],
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM lifecycles
         WHERE app_id = $1 AND next_due_at < $2 AND NOT (person_id = ANY($3))",
        app.0,
        moment,
        but
    )
    .fetch_one(connection)
    .await?)
}
