//! One person now, from the console: starts the run, waits a moment, and tells what happened.

use std::time::Duration;

use app::api::on_demand::{PersonRun, PersonStep, StepResult};
use app::api::terms::Change;
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer};
use provisioning::identity::PersonId;
use provisioning::mapping::FieldChange;
use provisioning::scope::Verdict;
use sqlx::PgConnection;

use super::audit::shown;
use super::{runs as run_pages, standing};
use crate::jobs::Queue;
use crate::store::apps::App;
use crate::store::runs::{self, RunId, RunKind};
use crate::store::{StoreError, people};
use crate::sync::Engine;
use crate::sync::on_demand;
use crate::sync::trace::{self, Stage, Step};

/// Most are done by then; whoever comes back earlier sees it under way.
const WAITS: Duration = Duration::from_secs(10);
const LOOKS_EVERY: Duration = Duration::from_millis(200);

/// Starts the run and waits for its end, for a while. Returns its number.
pub(super) async fn start(
    engine: &Engine,
    queue: &Queue,
    app: &App,
    actor: &Actor,
    person: &str,
) -> Answer<i64> {
    let person = PersonId::from(person);
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    if people::get(&mut transaction, &person).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let kind = RunKind::Manual;
    let by = &actor.email;
    let run = on_demand::queue(&mut transaction, engine, app, &person, kind, by)
        .await?
        .ok_or_else(|| ApiError::new(ErrorCode::RunActive))?;
    transaction.commit().await.map_err(StoreError::from)?;
    queue.hand_out(run).await?;
    // Whether it ended or not, its page says how it stands.
    let _ = tokio::time::timeout(WAITS, ended(engine, run)).await;
    let mut db = engine.connection().await?;
    let run = runs::get(&mut db, run).await?;
    run.map(|run| run.number).ok_or_else(ApiError::internal)
}

async fn ended(engine: &Engine, run: RunId) {
    loop {
        tokio::time::sleep(LOOKS_EVERY).await;
        let Ok(mut db) = engine.connection().await else {
            continue;
        };
        match runs::get(&mut db, run).await {
            Ok(Some(run)) if !run.state.is_over() => {}
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

/// The newest run for this person alone.
pub(super) async fn newest(
    db: &mut PgConnection,
    app: &App,
    person: &PersonId,
) -> Answer<Option<PersonRun>> {
    let Some(id) = runs::newest_of_person(&mut *db, app.id, person).await? else {
        return Ok(None);
    };
    let Some(run) = runs::get(&mut *db, id).await? else {
        return Ok(None);
    };
    let mut steps = trace::steps(db, &run, person).await?;
    // The page has a place of its own for why a run ended early.
    steps.retain(|step| step.stage != Stage::End);
    Ok(Some(PersonRun {
        number: run.number,
        state: run_pages::state(&run),
        by: (run.kind != RunKind::Scheduled).then(|| run.actor.clone()),
        started_at: run.started_at.unwrap_or(run.queued_at),
        finished_at: run.finished_at,
        steps: steps.iter().map(shown_step).collect(),
        problem: run_pages::problem(app, &run),
    }))
}

fn shown_step(step: &Step) -> PersonStep {
    let planned: Option<Vec<FieldChange>> = (step.data.clone())
        .filter(|_| step.stage == Stage::Plan)
        .and_then(|data| serde_json::from_value(data).ok());
    PersonStep {
        name: step.label(),
        result: match step.result {
            Verdict::Pass => StepResult::Passed,
            Verdict::Fail => StepResult::Refused,
            Verdict::Info => StepResult::Noted,
        },
        detail: standing::in_words(&step.detail),
        changes: (planned.unwrap_or_default().iter())
            .map(|change| Change {
                attribute: standing::attribute(&change.attribute),
                old: change.old.as_ref().and_then(shown),
                new: change.new.as_ref().and_then(shown),
            })
            .collect(),
        content: match (step.stage, &step.data) {
            (Stage::Sent | Stage::Answer, Some(data)) => shown(data),
            _ => None,
        },
    }
}
