//! The journal of a run: before a request leaves, and after its answer came. Whatever an answer
//! changes (operation, link, clocks, failures, the event) is written in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use provisioning::event::{EventName, Outcome as EventOutcome};
use provisioning::identity::PersonId;
use provisioning::plan::{LinkState, OperationKind, PlanContext};

use super::apply::SECOND_LOOK_WAVE;
use super::confirm::{Confirmation, Confirmer};
use super::engine::Engine;
use super::inputs::{self, Candidate, World};
use super::recheck::recheck;
use super::record::{Answer, exchange};
use super::run::RunError;
use super::send::{Acknowledged, NotDone, Sender, user_name};
use super::together::Together;
use crate::connectors::scim::Sent;
use crate::connectors::{ScimError, ScimErrorClass};
use crate::notifications;
use crate::store::StoreError;
use crate::store::apps::{self, App};
use crate::store::events::{self, NewEvent};
use crate::store::failures::{self, NewFailure};
use crate::store::links;
use crate::store::operations::{self, Ended, Operation, OperationState, Writer};
use crate::store::runs::Run;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    Superseded,
    /// Sent, and the app could not be asked what became of it.
    InDoubt,
}

/// Why an operation failed, for people and for the next run.
#[derive(Debug)]
pub struct Failed {
    code: String,
    message: String,
    /// Not tried again before something changes or somebody asks.
    permanent: bool,
    /// The app does not have the account any more.
    gone: bool,
    pub(super) status: Option<u16>,
    pub(super) excerpt: Option<Box<str>>,
    pub(super) sent: Option<Sent>,
}

impl Failed {
    pub fn for_good(code: &str, message: String) -> Self {
        Self {
            code: code.to_owned(),
            message,
            permanent: true,
            gone: false,
            status: None,
            excerpt: None,
            sent: None,
        }
    }

    /// It failed although this write was answered.
    fn after(self, sent: Option<&Sent>) -> Self {
        Self {
            status: sent.and_then(|sent| sent.status),
            sent: sent.cloned(),
            ..self
        }
    }
}

impl From<&NotDone> for Failed {
    fn from(not_done: &NotDone) -> Self {
        let error = &not_done.error;
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            permanent: matches!(
                error.class,
                ScimErrorClass::Rejected | ScimErrorClass::Conflict | ScimErrorClass::Unsupported
            ),
            gone: false,
            status: error.status,
            excerpt: error.excerpt.clone(),
            sent: not_done.sent.clone(),
        }
    }
}

/// Pauses of an app that mostly fails, in hours (S9.4).
const PAUSE_HOURS: [i64; 6] = [1, 2, 4, 8, 16, 24];
const PAUSE_FROM_OPERATIONS: i64 = 20;
const PAUSE_FROM_FAILED_PERCENT: i64 = 40;

pub struct Journal<'a> {
    pub(super) engine: &'a Engine,
    pub(super) run: &'a Run,
    pub(super) app: &'a App,
    pub(super) world: &'a World,
    pub(super) writer: Writer,
    context: PlanContext<'a>,
    /// People whose create met an account that was in the way.
    in_the_way: Mutex<BTreeSet<PersonId>>,
    candidates: Together<String, Option<Candidate>>,
    begins: Together<i64, bool>,
    answers: Together<Arc<Answer>, ()>,
}

impl<'a> Journal<'a> {
    pub fn new(
        engine: &'a Engine,
        run: &'a Run,
        app: &'a App,
        world: &'a World,
        writer: Writer,
    ) -> Self {
        Self {
            engine,
            run,
            app,
            world,
            writer,
            context: world.context(),
            in_the_way: Mutex::default(),
            candidates: Together::default(),
            begins: Together::default(),
            answers: Together::default(),
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

    /// Plans the person again with what is stored now, and completes a body that waited for the
    /// manager's account. `None` when the operation was superseded.
    pub async fn still_as_planned(
        &self,
        operation: &Operation,
    ) -> Result<Option<Operation>, RunError> {
        let candidate = self.candidate(&operation.person_id).await?;
        if let Some(first) = &operation.plan.after
            && !self.is_done(first).await?
        {
            let message = format!(
                "The user name becomes free when the person {first} is renamed in the app, and that was not done. The next run plans it anew."
            );
            self.supersede(operation, "name-not-free", &message).await?;
            return Ok(None);
        }
        let Some(candidate) = candidate else {
            self.supersede(
                operation,
                "person-gone",
                "The person is not in the directory any more.",
            )
            .await?;
            return Ok(None);
        };
        match recheck(&self.context, &candidate, operation) {
            Ok(plan) => {
                let mut current = operation.clone();
                if plan != current.plan {
                    current.plan = plan;
                    let mut db = self.engine.connection().await?;
                    operations::complete_plan(&mut db, operation.id, self.writer, &current.plan)
                        .await?;
                }
                Ok(Some(current))
            }
            Err(why) => {
                let message = format!("{why} The next run plans it anew.");
                self.supersede(operation, "changed-since-plan", &message)
                    .await?;
                Ok(None)
            }
        }
    }

    /// The person with what is stored now.
    async fn candidate(&self, person: &PersonId) -> Result<Option<Candidate>, StoreError> {
        let id = person.to_string();
        let together = self
            .candidates
            .ask(id.clone(), |all| self.candidates_of(all))
            .await;
        match together {
            Some(candidate) => Ok(candidate),
            None => Ok(self.candidates_of(vec![id]).await?.pop().flatten()),
        }
    }

    async fn candidates_of(&self, ids: Vec<String>) -> Result<Vec<Option<Candidate>>, StoreError> {
        let mut db = self.engine.connection().await?;
        let mut found: BTreeMap<String, Candidate> =
            inputs::some(&mut db, self.app, self.world, &ids)
                .await?
                .into_iter()
                .map(|candidate| (candidate.person.id.to_string(), candidate))
                .collect();
        Ok(ids.iter().map(|id| found.remove(id)).collect())
    }

    async fn is_done(&self, person: &PersonId) -> Result<bool, StoreError> {
        let mut db = self.engine.connection().await?;
        operations::is_done(&mut db, self.run.id, person).await
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
        let id = operation.id.0;
        match self.begins.ask(id, |all| self.begin_all(all)).await {
            Some(began) => Ok(began),
            None => Ok(self.begin_all(vec![id]).await? == [true]),
        }
    }

    async fn begin_all(&self, ids: Vec<i64>) -> Result<Vec<bool>, StoreError> {
        let mut db = self.engine.connection().await?;
        let now = self.engine.clock.now();
        let version = self.app.config_version;
        let began = operations::begin_sending(&mut db, &ids, self.writer, version, now).await?;
        Ok(ids.iter().map(|id| began.contains(id)).collect())
    }

    pub async fn not_sent(&self, operation: &Operation) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        operations::not_sent(&mut db, operation.id, self.writer).await
    }

    pub async fn supersede(
        &self,
        operation: &Operation,
        code: &str,
        message: &str,
    ) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        let now = self.engine.clock.now();
        let ended = Ended {
            state: OperationState::Superseded,
            account_id: None,
            error: Some((code, message)),
            exchange: None,
        };
        operations::finish(&mut db, operation.id, self.writer, &ended, now).await?;
        Ok(())
    }

    /// The app acknowledged the operation. What the database refuses is this person's trouble: a
    /// failed operation, which blocks nobody else.
    pub async fn done(
        &self,
        operation: &Operation,
        acknowledged: Acknowledged,
    ) -> Result<Outcome, RunError> {
        let answer = Arc::new(Answer::new(operation, acknowledged));
        let together = self
            .answers
            .ask(answer.clone(), |all| self.record(all))
            .await;
        let recorded = match together {
            Some(()) => Ok(()),
            None => self.record(vec![answer.clone()]).await.map(drop),
        };
        match recorded {
            Ok(()) => Ok(Outcome::Done),
            Err(error) if error.refuses_the_values() => {
                let failed = self.refused(operation, &answer, &error).await?;
                self.failed(operation, &failed).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn refused(
        &self,
        operation: &Operation,
        answer: &Answer,
        error: &StoreError,
    ) -> Result<Failed, StoreError> {
        let account = answer.account();
        if error.constraint() == Some("links_account_is_linked_once")
            && let Some(account) = account
        {
            let mut db = self.engine.connection().await?;
            let owner = links::owner(&mut db, self.app.id, account).await?;
            let owner = owner.map_or_else(|| "somebody else".to_owned(), |id| id.to_string());
            let message = format!(
                "{} answered with the account {account}, which is linked to the person {owner}: an account has one person. Look in the app whose it is.",
                self.app.name
            );
            return Ok(Failed::for_good("account-linked", message).after(answer.sent()));
        }
        tracing::error!(operation = operation.id.0, %error, "an answer could not be recorded");
        let message = format!(
            "{} carried it out, but its answer could not be recorded: {error}.",
            self.app.name
        );
        Ok(Failed::for_good("answer-unrecordable", message).after(answer.sent()))
    }

    /// The app refused the operation, or did not get to it: what that means for the person. What
    /// else has to be asked of the app and fails is this person's trouble too.
    pub async fn refuse(
        &self,
        operation: &Operation,
        not_done: &NotDone,
        sender: &Sender<'_>,
    ) -> Result<Outcome, RunError> {
        let (plan, error) = (&operation.plan, &not_done.error);
        let mut failed = Failed::from(not_done);
        if error.class == ScimErrorClass::Conflict
            && plan.kind == OperationKind::Create
            // Once: what a second look could not resolve is told as a failure.
            && operation.wave < SECOND_LOOK_WAVE
        {
            let user_name = user_name(operation).unwrap_or_default();
            match sender.app().find_in_the_way(user_name, None).await {
                Ok(found) if found.is_empty() => {}
                Ok(_) => {
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
                Err(refused) => failed = self.not_asked(operation, failed, refused).await?,
            }
        }
        if error.is_not_found()
            && let Some(account) = &plan.account
        {
            let user_name = user_name(operation).unwrap_or(&operation.person_email);
            match sender.is_gone(account, user_name).await {
                Ok(true) => {
                    failed.gone = true;
                    failed.code = "account-gone".to_owned();
                    failed.message = format!(
                        "The account {account} is gone from {}. Re-create it or remove the link; nothing is done until then.",
                        self.app.name
                    );
                }
                Ok(false) => {}
                Err(refused) => failed = self.not_asked(operation, failed, refused).await?,
            }
        }
        self.failed(operation, &failed).await
    }

    /// The app could not be asked more about an error: the operation is tried again later. A
    /// refused token ends the run; what was refused before that did not happen.
    async fn not_asked(
        &self,
        operation: &Operation,
        failed: Failed,
        refused: ScimError,
    ) -> Result<Failed, RunError> {
        if refused.is_authorization() {
            self.not_sent(operation).await?;
            return Err(refused.into());
        }
        Ok(Failed {
            permanent: false,
            ..failed
        })
    }

    /// The operation failed for this run.
    pub async fn failed(
        &self,
        operation: &Operation,
        failed: &Failed,
    ) -> Result<Outcome, RunError> {
        let plan = &operation.plan;
        let person = &operation.person_id;
        let (code, message) = (failed.code.as_str(), failed.message.as_str());
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let exchange = exchange(operation, None, Some(failed));
        let ended = Ended {
            state: OperationState::Failed,
            account_id: None,
            error: Some((code, message)),
            exchange: Some(&exchange),
        };
        let ours =
            operations::finish(&mut transaction, operation.id, self.writer, &ended, now).await?;
        if !ours {
            return Ok(Outcome::Failed);
        }
        if failed.gone {
            links::set_state(&mut transaction, self.app.id, person, LinkState::Gone, now).await?;
        } else {
            let people = [person.to_string()];
            let attempts = failures::of_people(&mut transaction, self.app.id, &people)
                .await?
                .first()
                .map_or(0, |failure| failure.attempts);
            let hash = plan.body_hash();
            let failure = NewFailure {
                kind: plan.kind.as_str(),
                code,
                message,
                permanent: failed.permanent,
                next_try_at: (!failed.permanent).then(|| now + retry_pause(attempts)),
                body_hash: hash.as_ref().map(provisioning::Digest::as_slice),
                cause: plan.reason.cause(),
                run: self.run.id.0,
            };
            failures::record(&mut transaction, self.app.id, person, &failure, now).await?;
        }
        let (id, email) = (person.to_string(), operation.person_email.clone());
        let mut event = NewEvent::new(now, EventName::of(plan.kind), "Rollcall")
            .app(self.app.slug.as_str())
            .person(&id, &email)
            .run(operation.run.0)
            .reason(operation.reason.clone())
            .detail(exchange)
            .failed(code, message);
        event.outcome = EventOutcome::Failed;
        // What was to change is part of what did not work.
        if !plan.changes.is_empty() {
            event.changes = serde_json::to_value(&plan.changes).ok();
        }
        event.account_id = plan.account.as_ref().map(|id| id.as_str());
        events::record(&mut transaction, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(Outcome::Failed)
    }

    /// Gives an app of which most operations failed a pause, longer each time (S9.4). The log tells
    /// it once for each cause.
    pub async fn pause_for_failures(&self, cause: &str) -> Result<(), StoreError> {
        let step = usize::try_from(self.app.pause_step).unwrap_or(0);
        let hours = PAUSE_HOURS
            .get(step)
            .or(PAUSE_HOURS.last())
            .copied()
            .unwrap_or(1);
        let now = self.engine.clock.now();
        let until = now + TimeDelta::hours(hours);
        let next_step = self.app.pause_step.saturating_add(1);
        let mut transaction = self.engine.pool.begin().await?;
        let before = apps::set_pause(
            &mut transaction,
            self.app.id,
            Some(until),
            next_step,
            Some(cause),
        )
        .await?;
        if before.as_deref() != Some(cause) {
            let message = format!(
                "Most operations failed with {cause}. The next try is at {} UTC; the failures of the run say more.",
                until.format("%Y-%m-%d %H:%M")
            );
            let event = NewEvent::new(now, EventName::AppPaused, "Rollcall")
                .app(self.app.slug.as_str())
                .run(self.run.id.0)
                .reason(message.clone())
                .failed(cause, &message);
            events::record(&mut transaction, &event).await?;
            notifications::look_along(&mut transaction, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The app asked for a long pause: that is no failure of anybody.
    pub async fn pause_as_asked(&self, pause: std::time::Duration) -> Result<(), StoreError> {
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::hours(24));
        let until = self.engine.clock.now() + pause;
        let mut db = self.engine.connection().await?;
        let (step, cause) = (self.app.pause_step, "asked-to-pause");
        apps::set_pause(&mut db, self.app.id, Some(until), step, Some(cause)).await?;
        Ok(())
    }

    /// The app works again: the next pause begins with the shortest.
    pub async fn end_pause(&self) -> Result<(), StoreError> {
        if self.app.pause_step == 0 && self.app.paused_until.is_none() {
            return Ok(());
        }
        let mut db = self.engine.connection().await?;
        apps::set_pause(&mut db, self.app.id, None, 0, None).await?;
        Ok(())
    }

    /// What this run did not get to, when it ends its work early.
    pub async fn supersede_rest(&self, code: &str, message: &str) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        let now = self.engine.clock.now();
        operations::supersede_planned(&mut db, self.run.id, code, message, now).await
    }

    /// How operations of this run ended so far: all, and those that failed.
    pub async fn tally(&self) -> Result<(i64, i64), StoreError> {
        let mut db = self.engine.connection().await?;
        let (mut all, mut failed) = (0, 0);
        for (_, state, count) in operations::tally(&mut db, self.run.id).await? {
            match state {
                OperationState::Done => all += count,
                OperationState::Failed => {
                    all += count;
                    failed += count;
                }
                _ => {}
            }
        }
        Ok((all, failed))
    }

    /// What most operations of this run failed with.
    pub async fn main_cause(&self) -> Result<String, StoreError> {
        let mut db = self.engine.connection().await?;
        Ok(operations::main_error(&mut db, self.run.id)
            .await?
            .unwrap_or_else(|| "scim-ambiguous".to_owned()))
    }
}

/// Whether so many failed that the app is given a pause.
pub fn most_failed(all: i64, failed: i64) -> bool {
    all >= PAUSE_FROM_OPERATIONS && failed * 100 >= all * PAUSE_FROM_FAILED_PERCENT
}

/// One hour, two, four ... a day at most.
pub(super) fn retry_pause(attempts: i32) -> TimeDelta {
    TimeDelta::hours(1_i64 << attempts.clamp(0, 4)).min(TimeDelta::hours(24))
}
