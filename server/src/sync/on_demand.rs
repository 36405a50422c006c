//! One person now (S8.3): a run like any other, for one person, who is read afresh. What they are
//! and what happened is told step by step.

use provisioning::event::EventName;
use provisioning::identity::PersonId;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::cycle::{self, CycleResult};
use super::decisions::email;
use super::engine::Engine;
use super::explain::explain;
use super::trace::{self, Step};
use crate::store::StoreError;
use crate::store::apps::App;
use crate::store::events::{self, NewEvent};
use crate::store::runs::{self, NewRun, RunId, RunKind};

/// What came of it: the keys of a cycle, and the person's own.
#[derive(Debug, Clone, Serialize)]
pub struct OnDemand {
    #[serde(flatten)]
    pub cycle: CycleResult,
    /// `id` and `email`.
    pub person: Value,
    pub steps: Vec<Step>,
    /// What happens next, and when; `null` when nothing does.
    pub next: Option<Value>,
}

/// Queues the run with its event, in the caller's transaction; `None` while another is under way.
pub async fn queue(
    db: &mut PgConnection,
    engine: &Engine,
    app: &App,
    person: &PersonId,
    kind: RunKind,
    actor: &str,
) -> Result<Option<RunId>, StoreError> {
    let now = engine.clock.now();
    let new = NewRun {
        app: app.id,
        kind,
        actor,
        config_version: app.config_version,
        fresh_import: true,
        plan_of: None,
    };
    let (run, queued) = runs::queue_for(db, &new, std::slice::from_ref(person), now).await?;
    if !queued {
        return Ok(None);
    }
    let email = email(db, person).await?;
    let event = NewEvent::new(now, EventName::RunStarted, actor)
        .app(app.slug.as_str())
        .person(person.as_str(), &email)
        .run(run.0)
        .reason("For one person, by hand");
    events::record(db, &event).await?;
    Ok(Some(run))
}

/// Provisions one person in the foreground, after whatever run is under way.
pub async fn provision(
    engine: &Engine,
    app: &App,
    person: &PersonId,
    actor: &str,
) -> Result<OnDemand, StoreError> {
    if let Some(refused) = cycle::refusal(app, false) {
        return tell(engine, app, person, refused).await;
    }
    loop {
        let mut transaction = engine.pool.begin().await?;
        let own = queue(&mut transaction, engine, app, person, RunKind::Shell, actor).await?;
        let run = match own {
            Some(run) => Some(run),
            None => runs::active(&mut transaction, app.id)
                .await?
                .map(|run| run.id),
        };
        transaction.commit().await?;
        let Some(run) = run else { continue };
        cycle::follow(engine, run).await?;
        if own.is_some() || engine.shutdown().is_cancelled() {
            let result = cycle::result(engine, app, run).await?;
            return tell(engine, app, person, result).await;
        }
    }
}

async fn tell(
    engine: &Engine,
    app: &App,
    person: &PersonId,
    cycle: CycleResult,
) -> Result<OnDemand, StoreError> {
    let mut db = engine.connection().await?;
    let run = match cycle.run {
        Some(run) => runs::get(&mut db, run).await?,
        None => None,
    };
    let steps = match &run {
        Some(run) => trace::steps(&mut db, run, person).await?,
        None => Vec::new(),
    };
    let email = email(&mut db, person).await?;
    drop(db);
    let next = match explain(engine, app, person).await {
        Ok(explained) => explained.and_then(|explained| explained.next),
        Err(error) => {
            tracing::debug!(app = %app.slug, %error, "nothing to explain");
            None
        }
    };
    Ok(OnDemand {
        person: json!({ "id": person, "email": email }),
        cycle,
        steps,
        next,
    })
}
