//! Carries out a stored plan, without choices: journal, send, record, operation by operation.
//!
//! People are worked on side by side, up to the app's concurrency; the operations of one person,
//! and the waves of managers and reports, follow each other. What an operation found different
//! from its plan is superseded, and the next plan decides.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _, stream};
use provisioning::identity::PersonId;
use provisioning::plan::OperationKind;

use super::confirm::Confirmer;
use super::engine::Engine;
use super::inputs::World;
use super::journal::{Journal, Outcome, most_failed};
use super::lease::{Lease, Watch};
use super::plan;
use super::run::RunError;
use super::send::{NotDone, Sender, pause_of_the_app};
use super::settle::{Settled, settle};
use crate::connectors::scim::Departure;
use crate::connectors::{ScimApp, ScimError, ScimErrorClass};
use crate::store::apps::{self, App};
use crate::store::operations::{self, Operation, OperationState};
use crate::store::runs::Run;
use crate::store::{StoreError, second_pass, settled, statistics};

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
    let mut db = engine.connection().await?;
    let concerned = operations::open_removals(&mut db, run.id).await?;
    let in_doubt = operations::people_in_doubt(&mut db, app.id, run.id).await?;
    drop(db);
    let gate = Arc::new(Gate::new(lease.watch()));
    let client = &client.asking(gate.clone());
    let journal = Journal::new(engine, run, app, world, lease.writer());
    let (all, failed) = journal.tally().await?;
    let applying = Applying {
        engine,
        run,
        app,
        world,
        lease,
        sender: Sender::new(engine, client, app.id, &world.config.mapping),
        confirmer: Confirmer::new(engine, world, concerned),
        journal,
        in_doubt,
        gate,
        left: Mutex::default(),
        all: AtomicI64::new(all),
        failed: AtomicI64::new(failed),
        ended: Mutex::new(None),
        had_no_seats: client.is_out_of_seats(),
        no_seats_told: AtomicBool::new(false),
    };
    applying.everything(client).await?;
    let mut db = engine.connection().await?;
    let learned = serde_json::to_value(client.learned()).unwrap_or_default();
    if learned != app.learned {
        apps::set_learned(&mut db, app.id, &learned).await?;
    }
    Ok(())
}

/// The operations of each person, which follow each other.
fn by_person(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut people: Vec<Vec<Operation>> = Vec::new();
    for operation in operations {
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
    people
}

/// Closed as soon as the run ends, so that what waits in the line for its turn stays there.
#[derive(Debug)]
struct Gate {
    watch: Watch,
    closed: AtomicBool,
}

impl Gate {
    fn new(watch: &Watch) -> Self {
        Self {
            watch: watch.clone(),
            closed: AtomicBool::new(false),
        }
    }
}

impl Departure for Gate {
    fn may_leave(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && self.watch.may_write().is_ok()
    }
}

/// What ends the work before its plan is carried out.
enum Stop {
    /// The run ends with it.
    Run(RunError),
    /// The run is over early, and nothing is wrong with it: the rest is left to the next one.
    Early { code: &'static str, message: String },
}

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Run(error.into())
    }
}

impl From<ScimError> for Stop {
    fn from(error: ScimError) -> Self {
        Self::Run(error.into())
    }
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
    /// People of whom a request of an earlier run is in doubt.
    in_doubt: BTreeSet<PersonId>,
    gate: Arc<Gate>,
    /// Operations that this run can't settle.
    left: Mutex<Vec<i64>>,
    /// Operations that ended so far, and those of them that failed.
    all: AtomicI64,
    failed: AtomicI64,
    /// The first thing that ends the work; what is in flight then is still finished and recorded.
    ended: Mutex<Option<Stop>>,
    /// The app said so a short while before: what this run frees is for the next one, or it would be
    /// chance which of its creates meet a seat.
    had_no_seats: bool,
    /// Somebody's create failed already because no seat is left.
    no_seats_told: AtomicBool,
}

impl Applying<'_> {
    async fn everything(&self, client: &ScimApp) -> Result<(), RunError> {
        let (engine, run, app, world) = (self.engine, self.run, self.app, self.world);
        for look in 0..=SECOND_LOOKS {
            match self.waves().await {
                Ok(()) => {}
                Err(Stop::Run(error)) => return Err(error),
                Err(Stop::Early { code, message }) => {
                    self.journal.supersede_rest(code, &message).await?;
                    return Ok(());
                }
            }
            if look == SECOND_LOOKS {
                break;
            }
            let people = self.second_looks().await?;
            if people.is_empty() {
                break;
            }
            let wave = SECOND_LOOK_WAVE + look;
            if plan::plan_again(engine, run, app, world, client, self.lease, (&people, wave))
                .await?
                == 0
            {
                break;
            }
        }
        if self.all.load(Ordering::Relaxed) > 0 {
            self.journal.end_pause().await?;
        }
        Ok(())
    }

    async fn waves(&self) -> Result<(), Stop> {
        loop {
            let mut db = self.engine.connection().await?;
            let left = self.left_in_doubt();
            let wave = operations::next_wave(&mut db, self.run.id, &left).await?;
            drop(db);
            let Some(wave) = wave else {
                return Ok(());
            };
            self.wave(wave).await?;
        }
    }

    async fn wave(&self, wave: i32) -> Result<(), Stop> {
        let writes = self
            .world
            .entry
            .limits
            .writes_at_once(self.world.config.concurrency);
        // Twice as many people as writes: while one is sent, another is read and journaled.
        let width = usize::try_from(writes).unwrap_or(1).max(1) * 2;
        loop {
            let opened = AtomicUsize::new(0);
            // Nothing in flight is ever dropped: an answer that nobody reads is a write in doubt.
            self.people(wave, &opened)
                .map(|operations| self.person(operations))
                .buffer_unordered(width)
                .for_each(|()| async {})
                .await;
            if let Some(stop) = self.ended().take() {
                return Err(stop);
            }
            if opened.load(Ordering::Relaxed) == 0 {
                return Ok(());
            }
        }
    }

    /// Who has open operations in a wave, each once, with as many as are loaded together. More are
    /// loaded while the last ones are worked on.
    fn people<'s>(
        &'s self,
        wave: i32,
        opened: &'s AtomicUsize,
    ) -> impl Stream<Item = Vec<Operation>> + 's {
        stream::try_unfold(None, move |after: Option<(PersonId, i32)>| async move {
            if self.has_ended() {
                return Ok(None);
            }
            let left = self.left_in_doubt();
            let mut db = self.engine.connection().await?;
            statistics::refresh(&mut db).await?;
            let next = after.as_ref().map(|(person, step)| (person, *step));
            let batch = operations::open(&mut db, self.run.id, wave, &left, next, BATCH).await?;
            opened.fetch_add(batch.len(), Ordering::Relaxed);
            let full = i64::try_from(batch.len()).is_ok_and(|many| many == BATCH);
            let mut people = by_person(batch);
            // More of the last one may follow, and nobody is worked on twice at once.
            if full && people.len() > 1 {
                people.pop();
            }
            let last = people.last().and_then(|steps| steps.last());
            let last = last.map(|last| (last.person_id.clone(), last.step));
            Ok::<_, StoreError>(last.map(|last| (people, Some(last))))
        })
        .flat_map(|batch| match batch {
            Ok(people) => stream::iter(people).left_stream(),
            Err(error) => {
                self.end(error.into());
                stream::empty().right_stream()
            }
        })
    }

    async fn person(&self, operations: Vec<Operation>) {
        let mut earlier_failed = false;
        for operation in operations {
            if self.has_ended() {
                return;
            }
            let result = if earlier_failed && operation.state == OperationState::Planned {
                self.journal
                    .supersede(
                        &operation,
                        "step-before-failed",
                        "An earlier step for this person failed.",
                    )
                    .await
                    .map(|()| Outcome::Superseded)
                    .map_err(Stop::from)
            } else {
                self.operation(&operation).await
            };
            match result {
                Ok(outcome) => {
                    if outcome == Outcome::InDoubt {
                        self.left().push(operation.id.0);
                    }
                    self.lease.done.fetch_add(1, Ordering::Relaxed);
                    earlier_failed |= outcome != Outcome::Done;
                    if let Err(error) = self.weigh(outcome).await {
                        self.end(error.into());
                    }
                }
                Err(stop) => return self.end(stop),
            }
        }
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Option<Stop>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Vec<i64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_in_doubt(&self) -> Vec<i64> {
        self.left().clone()
    }

    fn end(&self, stop: Stop) {
        self.ended().get_or_insert(stop);
        self.gate.closed.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        if let Err(error) = self.lease.check() {
            self.end(Stop::Run(error));
        }
        self.ended().is_some()
    }

    /// Counts how an operation ended. When most fail, the rest is not tried at all (S9.4).
    async fn weigh(&self, outcome: Outcome) -> Result<(), StoreError> {
        let (more, worse) = match outcome {
            Outcome::Done => (1, 0),
            Outcome::Failed | Outcome::InDoubt => (1, 1),
            Outcome::Superseded => (0, 0),
        };
        let all = self.all.fetch_add(more, Ordering::Relaxed) + more;
        let failed = self.failed.fetch_add(worse, Ordering::Relaxed) + worse;
        if worse == 0 || !most_failed(all, failed) || self.ended().is_some() {
            return Ok(());
        }
        let message = format!(
            "{failed} of {all} operations failed, so the rest was not tried. The next run, after a pause, plans it anew."
        );
        self.end(Stop::Early {
            code: "mostly-failed",
            message,
        });
        let cause = self.journal.main_cause().await?;
        self.journal.pause_for_failures(&cause).await
    }

    async fn operation(&self, operation: &Operation) -> Result<Outcome, Stop> {
        // Whether the app may have got it already, in this run or before a crash.
        let mut in_doubt = operation.state == OperationState::Sending;
        if in_doubt {
            match settle(&self.sender, &self.journal, operation).await? {
                Settled::As(outcome) => return Ok(outcome),
                Settled::StillInDoubt => return Ok(Outcome::InDoubt),
                Settled::NotThere => {}
            }
        }
        if self.in_doubt.contains(&operation.person_id) {
            let message = "It is not known yet what became of an earlier request for this person. The next run looks again.";
            self.journal
                .supersede(operation, "earlier-in-doubt", message)
                .await?;
            return Ok(Outcome::Superseded);
        }
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
        if operation.plan.kind == OperationKind::Create
            && !in_doubt
            && (self.had_no_seats || self.sender.app().is_out_of_seats())
        {
            return self.wait_for_seats(&operation).await;
        }
        let mut tries = 0;
        loop {
            if !self.journal.begin(&operation).await? {
                return Err(self.why_not_sent().await?);
            }
            let NotDone { error, sent } = match self.sender.send(&operation).await {
                Ok(done) => return Ok(self.journal.done(&operation, done).await?),
                Err(not_done) => not_done,
            };
            tries += 1;
            if error.is_authorization() {
                // Refused, so it did not happen, whatever became of the tries before: those were
                // looked for before it was sent again.
                self.journal.not_sent(&operation).await?;
                return Err(error.into());
            }
            if error.class == ScimErrorClass::Withheld {
                self.journal.not_sent(&operation).await?;
                self.lease.watch().may_write()?;
                return Err(self.why_not_sent().await?);
            }
            // One failure tells it; the others are no failures of theirs.
            if error.class == ScimErrorClass::NoSeats
                && operation.plan.kind == OperationKind::Create
                && self.no_seats_told.swap(true, Ordering::Relaxed)
            {
                return self.wait_for_seats(&operation).await;
            }
            let ambiguous = error.class == ScimErrorClass::Ambiguous;
            in_doubt |= ambiguous;
            let taken = error.class == ScimErrorClass::Conflict
                && operation.plan.kind == OperationKind::Create;
            // An account in the way of one that may have been created is the one itself.
            if ambiguous || (taken && in_doubt) {
                match settle(&self.sender, &self.journal, &operation).await? {
                    Settled::As(outcome) => return Ok(outcome),
                    Settled::StillInDoubt => return Ok(Outcome::InDoubt),
                    Settled::NotThere => {}
                }
            }
            if let Some(pause) = pause_of_the_app(&error) {
                self.journal.not_sent(&operation).await?;
                self.journal.pause_as_asked(pause).await?;
                return Err(Stop::Early {
                    code: "asked-to-pause",
                    message: format!("{error} The next run, after that, plans the rest anew."),
                });
            }
            match self.sender.try_again_after(&error, tries) {
                // What ends the run is no failure of this operation, which did not happen.
                Some(_) if self.has_ended() => {
                    self.journal.not_sent(&operation).await?;
                    return Ok(Outcome::Superseded);
                }
                Some(pause) => self.engine.outgoing().timer().wait(pause).await,
                None => {
                    return Ok(self
                        .journal
                        .refuse(&operation, &NotDone { error, sent }, &self.sender)
                        .await?);
                }
            }
        }
    }

    async fn wait_for_seats(&self, operation: &Operation) -> Result<Outcome, Stop> {
        let message = "The app has no seat left. The next run tries again.";
        self.journal
            .supersede(operation, "no-seats", message)
            .await?;
        Ok(Outcome::Superseded)
    }

    /// The journal refused to begin, or the gate was closed: somebody stopped the run or the app,
    /// or changed its configuration, this very moment.
    async fn why_not_sent(&self) -> Result<Stop, StoreError> {
        if let Err(error) = self.lease.check() {
            return Ok(Stop::Run(error));
        }
        let mut db = self.engine.connection().await?;
        let run = crate::store::runs::get(&mut db, self.run.id).await?;
        if let Some(by) = run.and_then(|run| run.stop_requested_by) {
            return Ok(Stop::Run(RunError::StopRequested { by }));
        }
        let app = apps::get(&mut db, self.app.id).await?;
        Ok(match app {
            Some(app) if app.state != apps::AppState::On => {
                Stop::Run(RunError::Off { app: app.name })
            }
            Some(app) if app.config_version != self.app.config_version => Stop::Early {
                code: "configuration-changed",
                message: "The configuration was changed while the run was under way. The next run plans it anew."
                    .to_owned(),
            },
            _ => Stop::Run(RunError::LeaseLost),
        })
    }

    /// People to plan again in this run: their manager has an account by now, or an account was
    /// found in the way of theirs.
    async fn second_looks(&self) -> Result<BTreeSet<PersonId>, StoreError> {
        let mut people = self.journal.take_found_in_the_way();
        let mut db = self.engine.connection().await?;
        people.extend(operations::waiting_for_manager(&mut db, self.run.id, self.app.id).await?);
        people.extend(second_pass::managers_arrived(&mut db, self.run.id, self.app.id).await?);
        // A run for some people touches nobody else: who reports to them is marked for the next one.
        if !self.run.is_for_some() {
            let reports =
                settled::reports_of_new_accounts(&mut db, self.run.id, self.app.id).await?;
            people.extend(reports);
        }
        Ok(people)
    }
}
