//! An administrator's decisions about pending steps and held removals (S6.7, S9.1). They change
//! clocks only; the next run carries them out.

use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use provisioning::identity::PersonId;
use provisioning::lifecycle::{self, DueStep};
use serde_json::json;
use sqlx::PgConnection;

use super::engine::Engine;
use super::inputs;
use crate::store::apps::App;
use crate::store::events::{self, NewEvent};
use crate::store::{StoreError, lifecycles, operations, people};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Waives the step until its cause ends.
    Cancel,
    /// Until it is released.
    Hold,
    Release,
    /// The earliest step is due at once.
    Now,
    /// A removal that the guard held may go on.
    Allow,
}

impl Decision {
    fn event(self) -> EventName {
        match self {
            Self::Cancel => EventName::StepCancelled,
            Self::Hold => EventName::StepHeld,
            Self::Release => EventName::StepReleased,
            Self::Now => EventName::StepNow,
            Self::Allow => EventName::HoldApproved,
        }
    }
}

/// People whose removal the app's newest run held, and about whom nobody decided since.
pub async fn held(
    connection: &mut PgConnection,
    app: &App,
    now: DateTime<Utc>,
) -> Result<Vec<PersonId>, StoreError> {
    let Some(config) = inputs::configuration(connection, app).await? else {
        return Ok(Vec::new());
    };
    let mut undecided = Vec::new();
    for person in operations::held_people(connection, app.id, None).await? {
        let clocks = lifecycles::get(connection, app.id, &person).await?;
        let waits = lifecycle::due_steps(&clocks, &config.deprovisioning, now)
            .iter()
            .any(|step| step.is_live() && !step.allowed && step.due_at <= now);
        if waits {
            undecided.push(person);
        }
    }
    Ok(undecided)
}

/// Decides for these people, all in one transaction. Returns whom it found nothing to decide for.
pub async fn decide(
    engine: &Engine,
    app: &App,
    people: &[PersonId],
    decision: Decision,
    actor: &str,
) -> Result<Vec<PersonId>, StoreError> {
    let now = engine.clock.now();
    let mut without = Vec::new();
    let mut transaction = engine.pool.begin().await?;
    let Some(config) = inputs::configuration(&mut transaction, app).await? else {
        return Ok(people.to_vec());
    };
    let policies = &config.deprovisioning;
    for person in people {
        let mut clocks = lifecycles::get(&mut transaction, app.id, person).await?;
        let steps = lifecycle::due_steps(&clocks, policies, now);
        let step = match decision {
            Decision::Release => steps.iter().find(|step| step.held || step.waived),
            _ => steps.iter().find(|step| step.is_live()),
        };
        let Some(DueStep { trigger, step, .. }) = step.cloned() else {
            without.push(person.clone());
            continue;
        };
        match decision {
            Decision::Cancel => clocks.waive(trigger, step, now),
            Decision::Hold => clocks.hold(trigger, step),
            Decision::Release => clocks.release(trigger, step),
            Decision::Now => clocks.do_now(trigger, step, policies.of(trigger), now),
            Decision::Allow => clocks.allow(trigger, step, policies.of(trigger), now),
        };
        let next = lifecycle::due_steps(&clocks, policies, now)
            .into_iter()
            .find(DueStep::is_live);
        lifecycles::save(&mut transaction, app.id, person, &clocks, next.as_ref()).await?;
        let email = people::get(&mut transaction, person)
            .await?
            .map(|stored| stored.person.primary_email)
            .unwrap_or_default();
        let event = NewEvent::new(now, decision.event(), actor)
            .app(app.slug.as_str())
            .person(person.as_str(), &email)
            .detail(json!({ "trigger": trigger, "step": step }));
        events::record(&mut transaction, &event).await?;
    }
    transaction.commit().await?;
    Ok(without)
}
