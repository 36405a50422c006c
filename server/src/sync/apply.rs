//! Carries out a stored plan, without choices: journal, send, record, operation by operation.
//!
//! People are worked on side by side, up to the app's concurrency; the operations of one person,
//! and the waves of managers and reports, follow each other. What an operation found different
//! from its plan is superseded, and the next plan decides.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use futures::{StreamExt as _, stream};
use provisioning::identity::PersonId;
use provisioning::plan::OperationKind;

use super::confirm::Confirmer;
use super::engine::Engine;
use super::inputs::World;
use super::journal::{Journal, Outcome};
use super::plan;
use super::run::{Lease, RunError};
use super::send::Sender;
use crate::connectors::ScimApp;
use crate::store::apps::{self, App};
use crate::store::operations::{self, Operation};
use crate::store::runs::Run;
use crate::store::{StoreError, second_pass};

/// Operations that are loaded at once; a plan of any length keeps memory flat.
const BATCH: i64 = 1000;
/// After the plan is carried out, people whose manager or match became known are planned again,
/// at most this often; what is left then belongs to the next run.
const SECOND_LOOKS: i32 = 3;
/// Waves of second looks come after every wave of the plan.
pub(super) const SECOND_LOOK_WAVE: i32 = 1_000_000;

pub async fn apply(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    lease: &Lease,
) -> Result<(), RunError> {
    let concerned = {
        let mut db = engine.connection().await?;
        operations::heads(&mut db, run.id)
            .await?
            .into_iter()
            .filter(|head| matches!(head.kind.as_str(), "suspend" | "delete"))
            .map(|head| PersonId::from(head.person_id))
            .collect::<BTreeSet<_>>()
    };
    let applying = Applying {
        engine,
        run,
        app,
        world,
        lease,
        sender: Sender::new(engine, client, &world.config.mapping),
        confirmer: Confirmer::new(engine, world, concerned),
        journal: Journal::new(engine, run, app, world),
        ended: Mutex::new(None),
    };
    for look in 0..=SECOND_LOOKS {
        applying.waves().await?;
        if look == SECOND_LOOKS {
            break;
        }
        let people = applying.second_looks().await?;
        if people.is_empty() {
            break;
        }
        let wave = SECOND_LOOK_WAVE + look;
        if plan::plan_again(engine, run, app, world, client, &people, wave).await? == 0 {
            break;
        }
    }
    applying.journal.pause_if_most_failed().await?;
    let mut db = engine.connection().await?;
    let learned = serde_json::to_value(client.learned()).unwrap_or_default();
    if learned != app.learned {
        apps::set_learned(&mut db, app.id, &learned).await?;
    }
    Ok(())
}

struct Applying<'a> {
    engine: &'a Engine,
    run: &'a Run,
    app: &'a App,
    world: &'a World,
    lease: &'a Lease,
    sender: Sender<'a>,
    confirmer: Confirmer<'a>,
    journal: Journal<'a>,
    /// The first thing that ends the run; what is in flight then is still finished and recorded.
    ended: Mutex<Option<RunError>>,
}

impl Applying<'_> {
    async fn waves(&self) -> Result<(), RunError> {
        loop {
            let mut db = self.engine.connection().await?;
            let Some(wave) = operations::open_waves(&mut db, self.run.id)
                .await?
                .first()
                .copied()
            else {
                return Ok(());
            };
            drop(db);
            self.wave(wave).await?;
        }
    }

    async fn wave(&self, wave: i32) -> Result<(), RunError> {
        let width = usize::try_from(self.world.entry.limits.write_concurrency)
            .unwrap_or(1)
            .max(1)
            * 2;
        loop {
            let mut db = self.engine.connection().await?;
            let batch = operations::open(&mut db, self.run.id, wave, BATCH).await?;
            drop(db);
            if batch.is_empty() {
                return Ok(());
            }
            let mut people: Vec<Vec<Operation>> = Vec::new();
            for operation in batch {
                match people.last_mut() {
                    Some(last)
                        if last
                            .first()
                            .is_some_and(|first| first.person_id == operation.person_id) =>
                    {
                        last.push(operation);
                    }
                    _ => people.push(vec![operation]),
                }
            }
            // Nothing in flight is ever dropped: an answer that nobody reads is a write in doubt.
            stream::iter(people)
                .map(|operations| self.person(operations))
                .buffer_unordered(width)
                .for_each(|()| async {})
                .await;
            if let Some(error) = self
                .ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
            {
                return Err(error);
            }
        }
    }

    async fn person(&self, operations: Vec<Operation>) {
        let mut earlier_failed = false;
        for operation in operations {
            if self.has_ended() {
                return;
            }
            let result = if earlier_failed {
                self.journal
                    .supersede(
                        &operation,
                        "step-before-failed",
                        "An earlier step for this person failed.",
                    )
                    .await
                    .map(|()| Outcome::Superseded)
                    .map_err(RunError::from)
            } else {
                self.operation(&operation).await
            };
            match result {
                Ok(outcome) => {
                    self.lease.done.fetch_add(1, Ordering::Relaxed);
                    earlier_failed |= outcome != Outcome::Done;
                }
                Err(error) => {
                    let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                    ended.get_or_insert(error);
                    return;
                }
            }
        }
    }

    fn has_ended(&self) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none()
            && let Err(error) = self.lease.check(self.engine, false)
        {
            *ended = Some(error);
        }
        ended.is_some()
    }

    async fn operation(&self, operation: &Operation) -> Result<Outcome, RunError> {
        let Some(operation) = self.journal.still_as_planned(operation).await? else {
            return Ok(Outcome::Superseded);
        };
        if matches!(
            operation.plan.kind,
            OperationKind::Suspend | OperationKind::Delete
        ) && !self.journal.confirm(&self.confirmer, &operation).await?
        {
            return Ok(Outcome::Superseded);
        }
        let mut sending = operation;
        let mut tries = 0;
        loop {
            let in_doubt = sending.state == operations::OperationState::Sending;
            if !self.journal.begin(&sending).await? {
                self.lease.check(self.engine, false)?;
                return Err(self.why_not_sent().await?);
            }
            sending.state = operations::OperationState::Sending;
            match self.sender.carry_out(&sending, in_doubt).await {
                Ok(done) => return self.journal.done(&sending, done).await,
                Err(error) if error.is_authorization() => {
                    self.journal.not_sent(&sending).await?;
                    return Err(error.into());
                }
                Err(error) => {
                    tries += 1;
                    match self.sender.try_again_after(&error, tries) {
                        Some(pause) if !self.has_ended() => {
                            self.engine.outgoing().timer().wait(pause).await
                        }
                        _ => return self.journal.failed(&sending, &error, &self.sender).await,
                    }
                }
            }
        }
    }

    /// The journal refused to begin: somebody stopped the run, or the app, this very moment.
    async fn why_not_sent(&self) -> Result<RunError, StoreError> {
        let mut db = self.engine.connection().await?;
        let run = crate::store::runs::get(&mut db, self.run.id).await?;
        if let Some(by) = run.and_then(|run| run.stop_requested_by) {
            return Ok(RunError::StopRequested { by });
        }
        match apps::get(&mut db, self.app.id).await? {
            Some(app) if app.state != apps::AppState::On => Ok(RunError::Off { app: app.name }),
            _ => Ok(RunError::LeaseLost),
        }
    }

    /// People to plan again in this run: their manager has an account by now, or an account was
    /// found in the way of theirs.
    async fn second_looks(&self) -> Result<BTreeSet<PersonId>, StoreError> {
        let mut people = self.journal.take_found_in_the_way();
        let mut db = self.engine.connection().await?;
        people.extend(operations::waiting_for_manager(&mut db, self.run.id, self.app.id).await?);
        people.extend(second_pass::managers_arrived(&mut db, self.run.id, self.app.id).await?);
        Ok(people)
    }
}
