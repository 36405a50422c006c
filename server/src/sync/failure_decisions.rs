//! An administrator's decisions about what failed: try again now, or ignore it (S8.6).

use provisioning::event::EventName;
use provisioning::identity::PersonId;

use super::decisions::email;
use super::engine::Engine;
use super::on_demand;
use crate::store::StoreError;
use crate::store::apps::{self, App, AppState};
use crate::store::events::{self, NewEvent};
use crate::store::failures;
use crate::store::runs::{RunId, RunKind};

/// What became of the wish to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    pub people: Vec<PersonId>,
    /// A run was queued for it, which a worker is to be told of; otherwise the app's next run tries.
    pub run: Option<RunId>,
}

/// Lets one person's failure, or all that are not ignored, be tried again at once.
pub async fn retry(
    engine: &Engine,
    app: &App,
    person: Option<&PersonId>,
    actor: &str,
) -> Result<Retried, StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    let people = failures::retry_now(&mut transaction, app.id, person).await?;
    for person in &people {
        let email = email(&mut transaction, person).await?;
        let event = NewEvent::new(now, EventName::FailureRetried, actor)
            .app(app.slug.as_str())
            .person(person.as_str(), &email);
        events::record(&mut transaction, &event).await?;
    }
    let mut run = None;
    if app.state == AppState::On {
        // One person needs no run for everybody.
        if let [only] = people.as_slice() {
            let kind = RunKind::Manual;
            run = on_demand::queue(&mut transaction, engine, app, only, kind, actor).await?;
        }
        if run.is_none() && !people.is_empty() {
            apps::want_run(&mut transaction, app.id, now).await?;
        }
    }
    transaction.commit().await?;
    Ok(Retried { people, run })
}

/// Ignores a person's failure until its cause changes; false when there is nothing to ignore.
pub async fn ignore(
    engine: &Engine,
    app: &App,
    person: &PersonId,
    actor: &str,
) -> Result<bool, StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    if !failures::ignore(&mut transaction, app.id, person).await? {
        return Ok(false);
    }
    let email = email(&mut transaction, person).await?;
    let event = NewEvent::new(now, EventName::FailureIgnored, actor)
        .app(app.slug.as_str())
        .person(person.as_str(), &email);
    events::record(&mut transaction, &event).await?;
    transaction.commit().await?;
    Ok(true)
}
