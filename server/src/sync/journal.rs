//! The journal of a run: before a request leaves, and after its answer came. Whatever an answer
//! changes (operation, link, clocks, failures, the event) is written in one transaction.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use provisioning::event::{EventName, Outcome as EventOutcome};
use provisioning::identity::PersonId;
use provisioning::lifecycle::{self, DueStep, Lifecycle};
use provisioning::plan::{LinkState, OperationKind, PlanContext, Precondition, Reason};
use serde_json::{Value, json};

use super::apply::SECOND_LOOK_WAVE;
use super::confirm::{Confirmation, Confirmer};
use super::engine::Engine;
use super::inputs::{self, Candidate, World};
use super::plan;
use super::run::RunError;
use super::send::{Acknowledged, Sender, user_name};
use crate::connectors::{ScimError, ScimErrorClass};
use crate::store::apps::{self, App};
use crate::store::events::{self, NewEvent};
use crate::store::failures::{self, NewFailure};
use crate::store::links::{self, LinkWrite};
use crate::store::operations::{self, Operation, OperationState};
use crate::store::runs::Run;
use crate::store::{StoreError, lifecycles};

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    Superseded,
}

/// Pauses of an app that mostly fails, in hours (S9.4).
const PAUSE_HOURS: [i64; 6] = [1, 2, 4, 8, 16, 24];
const PAUSE_FROM_OPERATIONS: i64 = 20;
const PAUSE_FROM_FAILED_PERCENT: i64 = 40;

pub struct Journal<'a> {
    engine: &'a Engine,
    run: &'a Run,
    app: &'a App,
    world: &'a World,
    context: PlanContext<'a>,
    /// People whose create met an account that was in the way.
    in_the_way: Mutex<BTreeSet<PersonId>>,
}

impl<'a> Journal<'a> {
    pub fn new(engine: &'a Engine, run: &'a Run, app: &'a App, world: &'a World) -> Self {
        Self {
            engine,
            run,
            app,
            world,
            context: world.context(),
            in_the_way: Mutex::default(),
        }
    }

    pub fn take_found_in_the_way(&self) -> BTreeSet<PersonId> {
        std::mem::take(
            &mut *self
                .in_the_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Checks the operation's precondition against the link as it is now, and completes a body
    /// that waited for the manager's account. `None` when it was superseded.
    pub async fn still_as_planned(
        &self,
        operation: &Operation,
    ) -> Result<Option<Operation>, RunError> {
        let mut db = self.engine.connection().await?;
        let candidate = inputs::one(&mut db, self.app, self.world, &operation.person_id).await?;
        drop(db);
        let Some(candidate) = candidate else {
            self.supersede(
                operation,
                "person-gone",
                "The person is not in the directory any more.",
            )
            .await?;
            return Ok(None);
        };
        if operation.state == OperationState::Sending {
            // It was about to be sent before a crash: the precondition held then.
            return Ok(Some(operation.clone()));
        }
        if !holds(&operation.plan.precondition, &candidate) {
            self.supersede(
                operation,
                "changed-since-plan",
                "The person or their account changed since this was planned. The next run plans it anew.",
            )
            .await?;
            return Ok(None);
        }
        let mut completed = operation.clone();
        if operation.manager_id.is_some()
            && let Some(renewed) = plan::with_manager(&self.context, &candidate, &operation.plan)
        {
            completed.plan = renewed;
            let mut db = self.engine.connection().await?;
            operations::complete_plan(&mut db, operation.id, &completed.plan).await?;
        }
        Ok(Some(completed))
    }

    /// Confirms the cause of a removal; false, and superseded, when it does not hold any more.
    pub async fn confirm(
        &self,
        confirmer: &Confirmer<'_>,
        operation: &Operation,
    ) -> Result<bool, RunError> {
        let Some(trigger) = operation.plan.precondition.cause else {
            self.supersede(operation, "no-trigger", "The removal names no cause.")
                .await?;
            return Ok(false);
        };
        match confirmer.confirm(&operation.person_id, trigger).await {
            Ok(Confirmation::Confirmed) => Ok(true),
            Ok(Confirmation::NotConfirmed(why)) => {
                let message = format!("Not sent: {why}. The next run looks again.");
                self.supersede(operation, "cause-not-confirmed", &message)
                    .await?;
                Ok(false)
            }
            Err(error) => {
                let message =
                    format!("Not sent, because the cause could not be confirmed. {error}");
                self.supersede(operation, "cause-not-confirmed", &message)
                    .await?;
                Ok(false)
            }
        }
    }

    /// Written before the request leaves. False: nothing may be sent.
    pub async fn begin(&self, operation: &Operation) -> Result<bool, StoreError> {
        let mut db = self.engine.connection().await?;
        operations::begin_sending(
            &mut db,
            operation.id,
            self.engine.owner(),
            self.engine.clock.now(),
        )
        .await
    }

    pub async fn not_sent(&self, operation: &Operation) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        operations::not_sent(&mut db, operation.id).await
    }

    pub async fn supersede(
        &self,
        operation: &Operation,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        let now = self.engine.clock.now();
        let error = Some((code, message));
        operations::finish(
            &mut db,
            operation.id,
            OperationState::Superseded,
            None,
            error,
            None,
            now,
        )
        .await?;
        Ok(())
    }

    /// The app acknowledged the operation.
    pub async fn done(
        &self,
        operation: &Operation,
        acknowledged: Acknowledged,
    ) -> Result<Outcome, RunError> {
        let now = self.engine.clock.now();
        let plan = &operation.plan;
        let account_id = acknowledged
            .account
            .as_ref()
            .map(|account| account.id.clone())
            .or_else(|| plan.account.clone());
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let exchange = exchange(operation, Some(&acknowledged), None);
        let ours = operations::finish(
            &mut transaction,
            operation.id,
            OperationState::Done,
            account_id.as_ref().map(|id| id.as_str()),
            None,
            Some(&exchange),
            now,
        )
        .await?;
        if !ours {
            return Ok(Outcome::Done);
        }
        let state = match plan.kind {
            OperationKind::Create | OperationKind::Link | OperationKind::Unsuspend => {
                Some(LinkState::Active)
            }
            OperationKind::Update => None,
            OperationKind::Suspend => Some(LinkState::SuspendedByUs),
            OperationKind::Delete => Some(LinkState::Deleted),
        };
        if let Reason::Relink { from } = &plan.reason {
            links::remove(&mut transaction, self.app.id, from).await?;
            lifecycles::save(
                &mut transaction,
                self.app.id,
                from,
                &Lifecycle::default(),
                None,
            )
            .await?;
        }
        if let Some(account_id) = &account_id {
            let before = links::get(&mut transaction, self.app.id, &operation.person_id).await?;
            let kept = links::user_name(&mut transaction, self.app.id, &operation.person_id)
                .await?
                .unwrap_or_default();
            let write = LinkWrite {
                account_id,
                user_name: user_name(operation).unwrap_or(&kept),
                state: state
                    .or(before.map(|link| link.state))
                    .unwrap_or(LinkState::Active),
                created_by_us: plan.kind == OperationKind::Create,
                body: plan.body.as_ref(),
                returned: acknowledged
                    .account
                    .as_ref()
                    .map(|account| &account.resource),
            };
            links::save(
                &mut transaction,
                self.app.id,
                &operation.person_id,
                &write,
                now,
            )
            .await?;
        }
        self.turn_clocks(&mut transaction, operation).await?;
        failures::clear(&mut transaction, self.app.id, &operation.person_id).await?;
        let (id, email) = (
            operation.person_id.to_string(),
            operation.person_email.clone(),
        );
        let mut event = NewEvent::new(now, EventName::of(plan.kind), "Rollcall")
            .app(self.app.slug.as_str())
            .person(&id, &email)
            .run(self.run.id.0)
            .reason(operation.reason.clone())
            .detail(exchange);
        event.account_id = account_id.as_ref().map(|id| id.as_str());
        if !plan.changes.is_empty() {
            event.changes = serde_json::to_value(&plan.changes).ok();
        }
        events::record(&mut transaction, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(Outcome::Done)
    }

    /// What a confirmed operation does to the person's clocks.
    async fn turn_clocks(
        &self,
        transaction: &mut sqlx::PgConnection,
        operation: &Operation,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        let before = lifecycles::get(transaction, self.app.id, &operation.person_id).await?;
        let mut clocks = before.clone();
        match operation.plan.kind {
            OperationKind::Suspend => clocks.suspended(now),
            OperationKind::Unsuspend
            | OperationKind::Delete
            | OperationKind::Create
            | OperationKind::Link => {
                clocks.suspension_ended();
            }
            OperationKind::Update => {}
        }
        let next = if operation.plan.kind == OperationKind::Delete {
            None
        } else {
            self.next_step(&clocks)
        };
        if clocks != before || operation.plan.kind == OperationKind::Delete {
            lifecycles::save(
                transaction,
                self.app.id,
                &operation.person_id,
                &clocks,
                next.as_ref(),
            )
            .await?;
        }
        Ok(())
    }

    fn next_step(&self, clocks: &Lifecycle) -> Option<DueStep> {
        lifecycle::due_steps(
            clocks,
            &self.world.config.deprovisioning,
            self.engine.clock.now(),
        )
        .into_iter()
        .find(DueStep::is_live)
    }

    /// The operation failed for this run.
    pub async fn failed(
        &self,
        operation: &Operation,
        error: &ScimError,
        sender: &Sender<'_>,
    ) -> Result<Outcome, RunError> {
        let plan = &operation.plan;
        if error.class == ScimErrorClass::Conflict
            && plan.kind == OperationKind::Create
            // Once: what a second look could not resolve is told as a failure.
            && operation.wave < SECOND_LOOK_WAVE
        {
            if !sender
                .app()
                .find_in_the_way(user_name(operation).unwrap_or_default(), None)
                .await?
                .is_empty()
            {
                // An account is there after all: the plan is made again with it.
                self.supersede(
                    operation,
                    "account-exists",
                    "The app has an account with this user name already.",
                )
                .await?;
                self.in_the_way
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(operation.person_id.clone());
                return Ok(Outcome::Superseded);
            }
        }
        let mut gone = false;
        let (mut code, mut message) = (error.code().to_owned(), error.to_string());
        if error.is_not_found()
            && let Some(account) = &plan.account
        {
            gone = sender
                .is_gone(
                    account,
                    user_name(operation).unwrap_or(&operation.person_email),
                )
                .await?;
            if gone {
                code = "account-gone".to_owned();
                message = format!(
                    "The account {account} is gone from {}. Re-create it or remove the link; nothing is done until then.",
                    self.app.name
                );
            }
        }
        let now = self.engine.clock.now();
        let permanent = matches!(
            error.class,
            ScimErrorClass::Rejected | ScimErrorClass::Conflict | ScimErrorClass::Unsupported
        );
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let exchange = exchange(operation, None, Some(error));
        let ours = operations::finish(
            &mut transaction,
            operation.id,
            OperationState::Failed,
            None,
            Some((&code, &message)),
            Some(&exchange),
            now,
        )
        .await?;
        if !ours {
            return Ok(Outcome::Failed);
        }
        if gone {
            links::set_state(
                &mut transaction,
                self.app.id,
                &operation.person_id,
                LinkState::Gone,
                now,
            )
            .await?;
        } else {
            let people = [operation.person_id.to_string()];
            let attempts = failures::of_people(&mut transaction, self.app.id, &people)
                .await?
                .first()
                .map_or(0, |failure| failure.attempts);
            let hash = plan.body_hash();
            let failure = NewFailure {
                kind: plan.kind.as_str(),
                code: &code,
                message: &message,
                permanent,
                next_try_at: (!permanent).then(|| now + retry_pause(attempts)),
                body_hash: hash.as_ref().map(provisioning::Digest::as_slice),
                run: self.run.id.0,
            };
            failures::record(
                &mut transaction,
                self.app.id,
                &operation.person_id,
                &failure,
                now,
            )
            .await?;
        }
        let (id, email) = (
            operation.person_id.to_string(),
            operation.person_email.clone(),
        );
        let mut event = NewEvent::new(now, EventName::of(plan.kind), "Rollcall")
            .app(self.app.slug.as_str())
            .person(&id, &email)
            .run(self.run.id.0)
            .reason(operation.reason.clone())
            .detail(exchange)
            .failed(&code, &message);
        event.outcome = EventOutcome::Failed;
        event.account_id = plan.account.as_ref().map(|id| id.as_str());
        events::record(&mut transaction, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(Outcome::Failed)
    }

    /// An app of which most operations failed is given growing pauses (S9.4).
    pub async fn pause_if_most_failed(&self) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        let (mut done, mut failed) = (0, 0);
        for (_, state, count) in operations::tally(&mut db, self.run.id).await? {
            match state {
                OperationState::Done => done += count,
                OperationState::Failed => failed += count,
                _ => {}
            }
        }
        let all = done + failed;
        if all >= PAUSE_FROM_OPERATIONS && failed * 100 >= all * PAUSE_FROM_FAILED_PERCENT {
            let step = usize::try_from(self.app.pause_step).unwrap_or(0);
            let hours = PAUSE_HOURS
                .get(step)
                .or(PAUSE_HOURS.last())
                .copied()
                .unwrap_or(1);
            let until = self.engine.clock.now() + TimeDelta::hours(hours);
            apps::set_pause(
                &mut db,
                self.app.id,
                Some(until),
                self.app.pause_step.saturating_add(1),
            )
            .await?;
        } else if all > 0 && self.app.pause_step > 0 {
            apps::set_pause(&mut db, self.app.id, None, 0).await?;
        }
        Ok(())
    }
}

/// Whether the person and their link are as they were when the operation was planned.
fn holds(planned: &Precondition, candidate: &Candidate) -> bool {
    let link = candidate.link.as_ref();
    candidate.person.fingerprint() == planned.person
        && link.map(|link| link.state) == planned.link
        && link.and_then(|link| link.body_hash()) == planned.body_hash
}

/// One hour, two, four ... a day at most.
fn retry_pause(attempts: i32) -> TimeDelta {
    TimeDelta::hours(1_i64 << attempts.clamp(0, 4)).min(TimeDelta::hours(24))
}

/// What was sent and answered, for the event: no header, so no token.
fn exchange(
    operation: &Operation,
    acknowledged: Option<&Acknowledged>,
    error: Option<&ScimError>,
) -> Value {
    let plan = &operation.plan;
    json!({
        "request": {
            "operation": plan.kind.as_str(),
            "account": plan.account,
            "body": plan.body,
        },
        "response": {
            "found_done_before": acknowledged.map(|done| done.found),
            "account": acknowledged.and_then(|done| done.account.as_ref()).map(|account| &account.resource),
            "status": error.and_then(|error| error.status),
            "excerpt": error.and_then(|error| error.excerpt.clone()),
        },
    })
}
