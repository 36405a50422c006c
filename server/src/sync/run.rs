//! Carries a run from the queue to its end, or as far as it may go.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::config::AppConfig;
use provisioning::event::EventName;
use sqlx::PgConnection;
use tokio::sync::watch;

use super::apply;
use super::engine::Engine;
use super::import::ImportError;
use super::inputs::{self, InputError};
use super::reading::{Wanted, read_directory};
pub use super::reading::{begin_reading, read_begun};
use super::{plan, second_pass};
use crate::connectors::ScimError;
use crate::store::StoreError;
use crate::store::apps::{self, App, AppId, AppState};
use crate::store::events::{self, NewEvent};
use crate::store::imports::ImportId;
use crate::store::measures;
use crate::store::operations::{self, OperationState};
use crate::store::runs::{self, Counts, Ending, Pulse, Run, RunId, RunKind, RunState, Stage};

/// Well below the time after which a lease counts as dead.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// A directory read this recently is shared by apps that are due together (S1.3).
const SHARED_IMPORT: TimeDelta = TimeDelta::seconds(90);

/// What became of a call to [`carry_out`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    Finished(AppId),
    /// Another process works on it, or it is over already.
    TakenElsewhere,
    /// This process is shutting down; the run goes on elsewhere or later.
    Released,
}

/// Why a run ended before its plan was carried out. Each is stored with the run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{0}")]
    App(ScimError),
    #[error("{app} is not configured yet: finish its setup and turn it on.")]
    NotConfigured { app: String },
    #[error("{app} is off: turn it on to run.")]
    Off { app: String },
    #[error("{app} is stopped: {message}")]
    AppStopped {
        app: String,
        code: String,
        message: String,
    },
    #[error("{by} stopped the run. What was sent stays; the rest is planned anew by the next run.")]
    StopRequested { by: String },
    #[error("the run's lease was lost to another process")]
    LeaseLost,
    #[error("this process is shutting down")]
    ShuttingDown,
}

impl From<ScimError> for RunError {
    fn from(error: ScimError) -> Self {
        Self::App(error)
    }
}

impl RunError {
    pub fn code(&self) -> String {
        match self {
            Self::Import(error) => error.code().to_owned(),
            Self::Store(_) => "database".to_owned(),
            Self::Input(error) => error.code().to_owned(),
            Self::App(error) if error.is_authorization() => "reauthorize".to_owned(),
            Self::App(error) => error.code().to_owned(),
            Self::NotConfigured { .. } => "not_configured".to_owned(),
            Self::Off { .. } => "off".to_owned(),
            Self::AppStopped { code, .. } => code.clone(),
            Self::StopRequested { .. } => "stopped".to_owned(),
            Self::LeaseLost => "lease-lost".to_owned(),
            Self::ShuttingDown => "shutting-down".to_owned(),
        }
    }

    /// Stopped runs were ended on purpose or for a named reason; failed ones should have worked.
    fn state(&self) -> RunState {
        match self {
            Self::NotConfigured { .. }
            | Self::Off { .. }
            | Self::AppStopped { .. }
            | Self::StopRequested { .. } => RunState::Stopped,
            Self::App(error) if error.is_authorization() => RunState::Stopped,
            _ => RunState::Failed,
        }
    }
}

/// The lease of a run, renewed in the background while the run is carried out.
pub struct Lease {
    pub run: RunId,
    pub done: Arc<AtomicI32>,
    pulse: watch::Receiver<Pulse>,
    beating: tokio::task::JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Lease {
    fn keep(engine: &Engine, run: RunId) -> Self {
        let fresh = Pulse {
            ours: true,
            stop_requested_by: None,
            app_is_on: true,
        };
        let (told, pulse) = watch::channel(fresh);
        let done = Arc::new(AtomicI32::new(0));
        let (engine, progress) = (engine.clone(), done.clone());
        let beating = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT_EVERY).await;
                let requests = requests(&engine);
                let done = progress.load(Ordering::Relaxed);
                let beat = async {
                    let mut db = engine.connection().await?;
                    runs::beat(&mut db, run, engine.owner(), done, requests).await
                };
                match beat.await {
                    Ok(pulse) => {
                        let ours = pulse.ours;
                        if told.send(pulse).is_err() || !ours {
                            return;
                        }
                    }
                    // The database may come back before the lease lapses.
                    Err(error) => {
                        tracing::warn!(run = %run.0, %error, "a heartbeat did not reach the database")
                    }
                }
            }
        });
        Self {
            run,
            done,
            pulse,
            beating,
        }
    }

    /// Whether the run may go on.
    pub fn check(&self, engine: &Engine, preview: bool) -> Result<(), RunError> {
        let pulse = self.pulse.borrow();
        if !pulse.ours {
            return Err(RunError::LeaseLost);
        }
        if engine.shutdown().is_cancelled() {
            return Err(RunError::ShuttingDown);
        }
        if let Some(by) = &pulse.stop_requested_by {
            return Err(RunError::StopRequested { by: by.clone() });
        }
        if !preview && !pulse.app_is_on {
            return Err(RunError::Off {
                app: "The app".to_owned(),
            });
        }
        Ok(())
    }
}

pub(super) fn requests(engine: &Engine) -> (i64, i64, i64) {
    let totals = engine.requests();
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    (
        number(totals.directory),
        number(totals.scim_reads),
        number(totals.scim_writes),
    )
}

/// Takes the run's lease and carries it to its end. Errors are those of the database only: the
/// lease lapses and the run is taken up again. Everything else ends the run and is stored with it.
pub async fn carry_out(engine: &Engine, run: RunId) -> Result<Carried, StoreError> {
    let mut db = engine.connection().await?;
    if !runs::take(&mut db, run, engine.owner(), engine.clock.now()).await? {
        return Ok(Carried::TakenElsewhere);
    }
    let Some(run) = runs::get(&mut db, run).await? else {
        return Ok(Carried::TakenElsewhere);
    };
    let Some(app) = apps::get(&mut db, run.app).await? else {
        return Ok(Carried::TakenElsewhere);
    };
    drop(db);
    tracing::info!(run = %run.id.0, app = %app.slug, kind = run.kind.word(), stage = run.stage.word(), "run taken");

    let lease = Lease::keep(engine, run.id);
    let outcome = stages(engine, &run, &app, &lease).await;
    match outcome {
        Ok(()) => finish(engine, &run, &app, None).await?,
        Err(RunError::LeaseLost) => return Ok(Carried::TakenElsewhere),
        Err(RunError::ShuttingDown) => {
            let mut db = engine.connection().await?;
            runs::release(&mut db, run.id, engine.owner()).await?;
            return Ok(Carried::Released);
        }
        Err(RunError::Store(error @ StoreError::Database(_))) => return Err(error),
        Err(error) => {
            // What a preview meets is shown to whoever asked for it, and stops nothing.
            if let RunError::App(refused) = &error
                && refused.is_authorization()
                && run.kind != RunKind::Preview
            {
                stop_app(engine, &app, "reauthorize", &refused.to_string()).await?;
            }
            finish(engine, &run, &app, Some(&error)).await?;
        }
    }
    Ok(Carried::Finished(app.id))
}

async fn stages(engine: &Engine, run: &Run, app: &App, lease: &Lease) -> Result<(), RunError> {
    let preview = run.kind == RunKind::Preview;
    may_run(app, preview)?;
    let mut stage = run.stage;
    if stage == Stage::Import {
        stage = if let Some(plan_of) = run.plan_of {
            adopt_plan(engine, run, plan_of).await?;
            Stage::Check
        } else {
            let import = recent_import(engine, run, lease).await?;
            let mut db = engine.connection().await?;
            runs::set_import(&mut db, run.id, import.0).await?;
            runs::set_stage(&mut db, run.id, Stage::Plan, engine.clock.now()).await?;
            Stage::Plan
        };
    }
    lease.check(engine, preview)?;
    let world = inputs::World::load(engine, app, preview).await?;
    let client = world.client(engine, app).await?;
    if stage == Stage::Plan {
        plan::plan_everybody(engine, run, app, &world, &client, lease, preview).await?;
        let mut db = engine.connection().await?;
        runs::set_stage(&mut db, run.id, Stage::Check, engine.clock.now()).await?;
        stage = Stage::Check;
    }
    if stage == Stage::Check {
        second_pass::check(engine, run, app, &world, preview).await?;
        if preview {
            return Ok(());
        }
        let mut db = engine.connection().await?;
        runs::set_stage(&mut db, run.id, Stage::Apply, engine.clock.now()).await?;
    }
    lease.check(engine, preview)?;
    apply::apply(engine, run, app, &world, &client, lease).await?;
    let mut db = engine.connection().await?;
    runs::set_stage(&mut db, run.id, Stage::Record, engine.clock.now()).await?;
    Ok(())
}

fn may_run(app: &App, preview: bool) -> Result<(), RunError> {
    let name = || app.name.clone();
    match &app.state {
        _ if preview => Ok(()),
        AppState::On => Ok(()),
        AppState::Off => Err(RunError::Off { app: name() }),
        AppState::NotConfigured => Err(RunError::NotConfigured { app: name() }),
        AppState::Stopped { code, message } => Err(RunError::AppStopped {
            app: name(),
            code: code.clone(),
            message: message.clone(),
        }),
    }
}

/// An approved plan is taken over as it was shown; what changed since is superseded while applying.
async fn adopt_plan(engine: &Engine, run: &Run, plan_of: RunId) -> Result<(), RunError> {
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    operations::forget_plan(&mut transaction, run.id).await?;
    operations::copy_plan(&mut transaction, plan_of, run.id).await?;
    if let Some(preview) = runs::get(&mut transaction, plan_of).await? {
        if let Some(import) = preview.import_id {
            runs::set_import(&mut transaction, run.id, import).await?;
        }
        runs::set_plan(
            &mut transaction,
            run.id,
            &preview.planned,
            preview.people,
            preview.total,
            preview.held,
        )
        .await?;
    }
    runs::set_stage(&mut transaction, run.id, Stage::Check, engine.clock.now()).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// The directory as it is now: read for this run, or just read for another app's.
async fn recent_import(engine: &Engine, run: &Run, lease: &Lease) -> Result<ImportId, RunError> {
    let wanted = if run.fresh_import {
        Wanted::NewerThan(ImportId(run.after_import))
    } else {
        Wanted::Since(run.started_at.unwrap_or(run.queued_at) - SHARED_IMPORT)
    };
    let may_go_on = || lease.check(engine, run.kind == RunKind::Preview);
    read_directory(engine, wanted, &may_go_on).await
}

/// Stops an app that is on, for a reason that somebody must deal with; the log tells it once.
pub async fn stop_app(
    engine: &Engine,
    app: &App,
    code: &str,
    message: &str,
) -> Result<(), StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    if apps::stop(&mut transaction, app.id, code, message, now).await? {
        let event = NewEvent::new(now, EventName::AppStopped, "Rollcall")
            .app(app.slug.as_str())
            .reason(message)
            .failed(code, message);
        events::record(&mut transaction, &event).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn finish(
    engine: &Engine,
    run: &Run,
    app: &App,
    error: Option<&RunError>,
) -> Result<(), StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    operations::supersede_open(&mut transaction, run.id, now).await?;
    let mut applied = Counts::default();
    let (mut failed, mut held) = (0, 0);
    let current = runs::get(&mut transaction, run.id)
        .await?
        .unwrap_or_else(|| run.clone());
    let tally = operations::tally(&mut transaction, run.id).await?;
    if run.kind != RunKind::Preview {
        measures::add_operations(&mut transaction, app.slug.as_str(), &tally).await?;
    }
    for (kind, state, count) in tally {
        let count = u64::try_from(count).unwrap_or(0);
        match state {
            OperationState::Done => applied.add(kind, count),
            OperationState::Failed => failed += count,
            OperationState::Held => held += count,
            OperationState::Planned | OperationState::Sending | OperationState::Superseded => {}
        }
    }
    let preview = run.kind == RunKind::Preview;
    if !preview && error.is_none() {
        applied.unchanged = current.planned.unchanged;
        applied.skipped = current.planned.skipped;
    }
    let state = match error {
        Some(error) => error.state(),
        None if held > 0 && !preview => RunState::Held,
        None => RunState::Completed,
    };
    let code = error.map(RunError::code);
    let message = error.map(ToString::to_string);
    let ending = Ending {
        state,
        applied: &applied,
        failed: i32::try_from(failed).unwrap_or(i32::MAX),
        error: code.as_deref().zip(message.as_deref()),
        requests: requests(engine),
    };
    runs::finish(&mut transaction, run.id, &ending, now).await?;
    if !preview {
        let started = current.started_at.unwrap_or(now);
        let next = match &app.state {
            AppState::On => next_after(&mut transaction, app, started, now).await?,
            _ => None,
        };
        apps::set_schedule(&mut transaction, app.id, started, next, now).await?;
        if error.is_none() {
            apps::first_run_done(&mut transaction, app.id).await?;
        }
    }
    transaction.commit().await?;
    tracing::info!(run = %run.id.0, app = %app.slug, outcome = state.word(), code = code.as_deref().unwrap_or(""), "run ended");
    Ok(())
}

/// When the app runs next: an interval after the last run began, at once when that has passed.
pub async fn next_run_at(
    connection: &mut PgConnection,
    app: &App,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    if app.state != AppState::On {
        return Ok(None);
    }
    match app.last_run_at {
        // A clock that was ahead once does not put the next run off.
        Some(last) => next_after(connection, app, last.min(now), now).await,
        None => Ok(Some(now)),
    }
}

async fn next_after(
    connection: &mut PgConnection,
    app: &App,
    started: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let Some(stored) = apps::config(connection, app.id).await? else {
        return Ok(None);
    };
    let minutes = serde_json::from_value::<AppConfig>(stored.config)
        .map_or(AppConfig::DEFAULT_INTERVAL_MINUTES, |config| {
            config.interval_minutes
        });
    Ok(Some(
        (started + TimeDelta::minutes(i64::from(minutes))).max(now),
    ))
}
