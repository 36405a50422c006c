//! An administrator's decisions about pending steps and held removals (S6.7, S9.1). They change
//! clocks only; the next run carries them out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use provisioning::config::DeprovisioningPolicies;
use provisioning::event::EventName;
use provisioning::identity::PersonId;
use provisioning::lifecycle::{DueStep, Lifecycle, Step, Trigger, due_steps};
use serde_json::json;
use sqlx::PgConnection;

use super::engine::Engine;
use super::{inputs, pending};
use crate::store::apps::{self, App};
use crate::store::events::{self, NewEvent};
use crate::store::person_decisions::{self, PersonDecision};
use crate::store::{StoreError, lifecycles, people};

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
    /// A removal that the guard held does not happen until its cause ends.
    Dismiss,
}

impl Decision {
    fn event(self) -> EventName {
        match self {
            Self::Cancel => EventName::StepCancelled,
            Self::Hold => EventName::StepHeld,
            Self::Release => EventName::StepReleased,
            Self::Now => EventName::StepNow,
            Self::Allow => EventName::HoldApproved,
            Self::Dismiss => EventName::HoldDismissed,
        }
    }

    /// Whether a run has something to do because of it.
    fn wants_a_run(self) -> bool {
        matches!(self, Self::Now | Self::Allow | Self::Release)
    }

    /// Whether this is the step that is meant.
    fn concerns(self, step: &DueStep) -> bool {
        match self {
            Self::Cancel | Self::Now => step.is_live(),
            Self::Hold => step.is_live() && !step.held,
            Self::Release => step.held || step.waived,
            Self::Allow | Self::Dismiss => pending::is_under_review(step),
        }
    }

    /// Of a person's steps, the earliest first, the one that is meant.
    fn meant(
        self,
        steps: Vec<DueStep>,
        wanted: Option<(Trigger, Step)>,
    ) -> Option<(Trigger, Step)> {
        let mut fitting = (steps.into_iter())
            .filter(|step| self.concerns(step))
            .map(|step| (step.trigger, step.step));
        match wanted {
            None => fitting.next(),
            // No later step overtakes the earliest one.
            Some(wanted) if self == Self::Now => fitting.next().filter(|step| *step == wanted),
            Some(wanted) => fitting.find(|step| *step == wanted),
        }
    }

    fn apply(
        self,
        clocks: &mut Lifecycle,
        (trigger, step): (Trigger, Step),
        policies: &DeprovisioningPolicies,
        now: DateTime<Utc>,
    ) -> bool {
        let policy = policies.of(trigger);
        match self {
            Self::Cancel | Self::Dismiss => clocks.waive(trigger, step, now),
            Self::Hold => clocks.hold(trigger, step),
            Self::Release => clocks.release(trigger, step),
            Self::Now => clocks.do_now(trigger, step, policy, now),
            Self::Allow => clocks.allow(trigger, step, policy, now),
        }
    }
}

/// Of whom one step is meant: the earliest that the decision fits, or a certain one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub person: PersonId,
    pub step: Option<(Trigger, Step)>,
}

impl From<PersonId> for Subject {
    fn from(person: PersonId) -> Self {
        Self { person, step: None }
    }
}

/// Decides for these people, all in one transaction. Returns whom it found nothing to decide for,
/// once for each subject.
pub async fn decide(
    engine: &Engine,
    app: &App,
    subjects: &[Subject],
    decision: Decision,
    actor: &str,
) -> Result<Vec<PersonId>, StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    let people: Vec<PersonId> = subjects.iter().map(|one| one.person.clone()).collect();
    let Some(config) = inputs::configuration(&mut transaction, app).await? else {
        return Ok(people);
    };
    let policies = &config.deprovisioning;
    let mut wanted: BTreeMap<&PersonId, Vec<Option<(Trigger, Step)>>> = BTreeMap::new();
    for subject in subjects {
        wanted
            .entry(&subject.person)
            .or_default()
            .push(subject.step);
    }
    let mut decided: Vec<(PersonId, (Trigger, Step))> = Vec::new();
    let mut missed: Vec<PersonId> = Vec::new();
    let turn = |person: &PersonId, clocks: &mut Lifecycle| {
        for wanted in wanted.remove(person).into_iter().flatten() {
            let steps = due_steps(clocks, policies, now);
            match decision.meant(steps, wanted) {
                Some(step) if decision.apply(clocks, step, policies, now) => {
                    decided.push((person.clone(), step));
                }
                _ => missed.push(person.clone()),
            }
        }
    };
    lifecycles::change(&mut transaction, app.id, &people, policies, now, turn).await?;
    for (person, (trigger, step)) in &decided {
        let email = email(&mut transaction, person).await?;
        let event = NewEvent::new(now, decision.event(), actor)
            .app(app.slug.as_str())
            .person(person.as_str(), &email)
            .detail(json!({ "trigger": trigger, "step": step }));
        events::record(&mut transaction, &event).await?;
    }
    if decision.wants_a_run() && !decided.is_empty() {
        apps::want_run(&mut transaction, app.id, now).await?;
    }
    transaction.commit().await?;
    Ok(missed)
}

/// Allows creates that were held because there were too many (S9.6). Returns how many it allowed.
pub async fn allow_creates(
    engine: &Engine,
    app: &App,
    people: &[PersonId],
    actor: &str,
) -> Result<usize, StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    let held = person_decisions::held_creates(&mut transaction, app.id, None).await?;
    let mut allowed = 0;
    for (person, email) in held {
        if !people.contains(&person) {
            continue;
        }
        let decision = PersonDecision::Create;
        person_decisions::put(&mut transaction, app.id, &person, &decision, now, actor).await?;
        let event = NewEvent::new(now, EventName::HoldApproved, actor)
            .app(app.slug.as_str())
            .person(person.as_str(), &email)
            .detail(json!({ "step": "create" }));
        events::record(&mut transaction, &event).await?;
        allowed += 1;
    }
    if allowed > 0 {
        apps::want_run(&mut transaction, app.id, now).await?;
    }
    transaction.commit().await?;
    Ok(allowed)
}

pub(super) async fn email(
    connection: &mut PgConnection,
    person: &PersonId,
) -> Result<String, StoreError> {
    Ok(people::get(connection, person)
        .await?
        .map(|stored| stored.person.primary_email)
        .unwrap_or_default())
}
