//! Carries a run from the queue to its end, or as far as it may go.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::config::AppConfig;
use provisioning::event::EventName;
use sqlx::PgConnection;
use tracing::Instrument as _;

use super::alone;
use super::apply;
use super::client;
use super::drift;
use super::engine::Engine;
use super::import::ImportError;
use super::inputs::{self, InputError};
use super::lease::Lease;
use super::plan::{self, Whom};
use super::reading::{Wanted, read_directory};
pub use super::reading::{begin_reading, read_begun};
use super::send::pause_of_the_app;
use super::trace::Trace;
use super::{second_pass, settle};
use crate::connectors::ScimError;
use crate::notifications;
use crate::store::StoreError;
use crate::store::apps::{self, App, AppId, AppState};
use crate::store::events::{self, NewEvent};
use crate::store::failures;
use crate::store::imports::ImportId;
use crate::store::measures;
use crate::store::old_runs;
use crate::store::operations::{self, OperationState};
use crate::store::person_decisions;
use crate::store::runs::{self, Counts, Ending, Run, RunId, RunKind, RunState, Stage};

/// Of operations that a run did not get to.
const NOT_REACHED: (&str, &str) = (
    "not-reached",
    "The run ended before this was sent. The next run plans it anew.",
);
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
            Self::Input(InputError::NoToken { .. }) => RunState::Stopped,
            Self::Import(ImportError::OtherTenant { .. }) => RunState::Stopped,
            _ => RunState::Failed,
        }
    }
}

/// Takes the run's lease and carries it to its end. Errors are those of the database only: the
/// lease lapses and the run is taken up again. Everything else ends the run and is stored with it.
pub async fn carry_out(engine: &Engine, run: RunId) -> Result<Carried, StoreError> {
    let mut db = engine.connection().await?;
    let asked = Instant::now();
    let Some(taken) = runs::take(&mut db, run, engine.owner(), engine.clock.now()).await? else {
        return Ok(Carried::TakenElsewhere);
    };
    let Some(run) = runs::get(&mut db, run).await? else {
        return Ok(Carried::TakenElsewhere);
    };
    let Some(app) = apps::get(&mut db, run.app).await? else {
        return Ok(Carried::TakenElsewhere);
    };
    drop(db);
    tracing::info!(run = %run.id.0, app = %app.slug, kind = run.kind.word(), stage = run.stage.word(), "run taken");

    let lease = Lease::keep(engine, &run, taken, asked);
    let span = tracing::info_span!("run", run = %run.id.0, app = %app.slug, kind = run.kind.word());
    let outcome = stages(engine, &run, &app, &lease).instrument(span).await;
    match outcome {
        Ok(()) => finish(engine, &run, &app, &lease, None).await,
        Err(RunError::LeaseLost) => Ok(Carried::TakenElsewhere),
        Err(RunError::ShuttingDown) => {
            let mut db = engine.connection().await?;
            runs::release(&mut db, run.id, lease.id).await?;
            Ok(Carried::Released)
        }
        // A database that is away comes back; one that refuses a value refuses it again.
        Err(RunError::Store(error @ StoreError::Database(_))) if !error.refuses_the_values() => {
            Err(error)
        }
        Err(error) => {
            // What a preview meets is shown to whoever asked for it, and stops nothing.
            if let RunError::App(refused) = &error
                && refused.is_authorization()
                && run.kind != RunKind::Preview
            {
                stop_app(engine, &app, "reauthorize", &refused.to_string()).await?;
            }
            if let RunError::App(busy) = &error
                && let Some(pause) = pause_of_the_app(busy)
            {
                let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::hours(24));
                let until = Some(engine.clock.now() + pause);
                let mut db = engine.connection().await?;
                apps::set_pause(&mut db, app.id, until, app.pause_step, Some(busy.code())).await?;
            }
            finish(engine, &run, &app, &lease, Some(&error)).await
        }
    }
}

/// What a write of the run came to: `false` means that the run is somebody else's by now.
pub(super) fn ours(written: bool) -> Result<(), RunError> {
    written.then_some(()).ok_or(RunError::LeaseLost)
}

/// A part of a run, for who follows it in traces.
fn part(stage: &'static str) -> tracing::Span {
    tracing::info_span!("stage", "otel.name" = stage)
}

async fn stages(engine: &Engine, run: &Run, app: &App, lease: &Lease) -> Result<(), RunError> {
    let preview = run.kind == RunKind::Preview;
    lease.check()?;
    may_run(app, preview)?;
    let set_stage = async |stage| {
        let mut db = engine.connection().await?;
        let now = engine.clock.now();
        ours(runs::set_stage(&mut db, run.id, lease.id, stage, now).await?)
    };
    let mut stage = run.stage;
    if stage == Stage::Import {
        stage = if let Some(plan_of) = run.plan_of {
            adopt_plan(engine, run, lease, plan_of).await?;
            Stage::Check
        } else if run.is_for_some() {
            let read = Box::pin(alone::read_people(engine, run, lease))
                .instrument(part("import"))
                .await?;
            Trace::of(read).save(engine, run, lease).await?;
            set_stage(Stage::Plan).await?;
            Stage::Plan
        } else {
            let import = recent_import(engine, run, app, lease)
                .instrument(part("import"))
                .await?;
            let mut db = engine.connection().await?;
            ours(runs::set_import(&mut db, run.id, lease.id, import.0).await?)?;
            drop(db);
            set_stage(Stage::Plan).await?;
            Stage::Plan
        };
    }
    lease.check()?;
    // Its configuration may have been changed while the directory was read.
    let mut db = engine.connection().await?;
    let current = apps::get(&mut db, app.id).await?;
    drop(db);
    let app = current.as_ref().unwrap_or(app);
    let app = &client::discover(engine, app).await?;
    let mut world = inputs::World::load(engine, app, preview).await?;
    // What was confirmed as a whole is the first plan for everybody.
    world.first_plan &= !run.is_for_some();
    let client = world.client(engine, app).await?;
    if !preview {
        settle::settle_earlier(engine, run, app, &world, &client, lease).await?;
    }
    if stage == Stage::Plan {
        // A preview and a run that reads the app back take nothing for known.
        let mut whom = Whom::Everybody;
        if !preview && !run.is_for_some() && drift::is_due(engine, run, app, &world).await? {
            Box::pin(drift::read_back(engine, run, app, &world, &client, lease))
                .instrument(part("read back"))
                .await?;
        } else if !preview {
            whom = Whom::Unsettled;
        }
        plan::plan_people(engine, run, app, &world, &client, lease, whom)
            .instrument(part("plan"))
            .await?;
        set_stage(Stage::Check).await?;
        stage = Stage::Check;
    }
    if stage == Stage::Check {
        second_pass::check(engine, run, app, &world, lease, preview)
            .instrument(part("check"))
            .await?;
        if preview {
            return Ok(());
        }
        set_stage(Stage::Apply).await?;
    }
    lease.check()?;
    apply::apply(engine, run, app, &world, &client, lease)
        .instrument(part("apply"))
        .await?;
    set_stage(Stage::Record).await
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
async fn adopt_plan(
    engine: &Engine,
    run: &Run,
    lease: &Lease,
    plan_of: RunId,
) -> Result<(), RunError> {
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    ours(runs::hold(&mut transaction, run.id, lease.id).await?)?;
    operations::forget_plan(&mut transaction, run.id).await?;
    operations::copy_plan(&mut transaction, plan_of, run.id).await?;
    if let Some(preview) = runs::get(&mut transaction, plan_of).await? {
        if let Some(import) = preview.import_id {
            runs::set_import(&mut transaction, run.id, lease.id, import).await?;
        }
        runs::set_plan(
            &mut transaction,
            run.id,
            lease.id,
            &preview.planned,
            preview.people,
            preview.total,
            preview.held,
        )
        .await?;
    }
    let now = engine.clock.now();
    runs::set_stage(&mut transaction, run.id, lease.id, Stage::Check, now).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// The directory as it is now: read for this run, or just read for another app's.
async fn recent_import(
    engine: &Engine,
    run: &Run,
    app: &App,
    lease: &Lease,
) -> Result<ImportId, RunError> {
    let wanted = if run.fresh_import {
        Wanted::NewerThan(ImportId(run.after_import))
    } else {
        let mut db = engine.connection().await?;
        // What the app's own last run read is never recent, however often it runs.
        let interval = interval(&mut db, app).await?.unwrap_or(SHARED_IMPORT * 2);
        let shared = SHARED_IMPORT.min(interval / 2);
        Wanted::Between {
            from: run.started_at.unwrap_or(run.queued_at) - shared,
            to: engine.clock.now(),
        }
    };
    let may_go_on = || lease.check();
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
        notifications::look_along(&mut transaction, now).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn finish(
    engine: &Engine,
    run: &Run,
    app: &App,
    lease: &Lease,
    error: Option<&RunError>,
) -> Result<Carried, StoreError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    if !runs::hold(&mut transaction, run.id, lease.id).await? {
        return Ok(Carried::TakenElsewhere);
    }
    let (code, message) = NOT_REACHED;
    operations::supersede_planned(&mut transaction, run.id, code, message, now).await?;
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
            // What is in doubt counts as failed until the next run has settled it.
            OperationState::Failed | OperationState::Sending => failed += count,
            OperationState::Held => held += count,
            OperationState::Planned | OperationState::Superseded => {}
        }
    }
    let preview = run.kind == RunKind::Preview;
    if !preview {
        let before_any = failures::without_operation(&mut transaction, app.id, run.id).await?;
        failed += u64::try_from(before_any).unwrap_or(0);
        person_decisions::drop_done_creates(&mut transaction, app.id).await?;
    }
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
        lease: Some(lease.id),
        state,
        applied: &applied,
        failed: i32::try_from(failed).unwrap_or(i32::MAX),
        error: code.as_deref().zip(message.as_deref()),
        requests: lease.requests(engine),
    };
    if !runs::finish(&mut transaction, run.id, &ending, now).await? {
        return Ok(Carried::TakenElsewhere);
    }
    old_runs::forget(&mut transaction, app.id, now).await?;
    // A run for some takes the place of none for everybody.
    if !preview && !run.is_for_some() {
        let started = current.started_at.unwrap_or(now);
        let next = match &app.state {
            AppState::On => next_after(&mut transaction, app, started, now).await?,
            _ => None,
        };
        apps::set_schedule(&mut transaction, app.id, started, next, now).await?;
        if error.is_none() {
            apps::first_run_done(&mut transaction, app.id).await?;
        }
        notifications::look_along(&mut transaction, now).await?;
    }
    transaction.commit().await?;
    tracing::info!(run = %run.id.0, app = %app.slug, outcome = state.word(), code = code.as_deref().unwrap_or(""), "run ended");
    Ok(Carried::Finished(app.id))
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
        None => Ok(Some(app.paused_until.map_or(now, |until| until.max(now)))),
    }
}

async fn next_after(
    connection: &mut PgConnection,
    app: &App,
    started: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let Some(interval) = interval(connection, app).await? else {
        return Ok(None);
    };
    // While the run was under way the app may have been given a pause.
    let paused_until = apps::get(connection, app.id)
        .await?
        .and_then(|app| app.paused_until);
    Ok(Some(
        (started + interval)
            .max(now)
            .max(paused_until.unwrap_or(now)),
    ))
}

/// From one scheduled run to the next; `None` before the app is configured.
async fn interval(
    connection: &mut PgConnection,
    app: &App,
) -> Result<Option<TimeDelta>, StoreError> {
    let stored = apps::config(connection, app.id).await?;
    Ok(stored.map(|stored| {
        let minutes = serde_json::from_value::<AppConfig>(stored.config)
            .map_or(AppConfig::DEFAULT_INTERVAL_MINUTES, |config| {
                config.interval_minutes
            });
        TimeDelta::minutes(i64::from(minutes))
    }))
}
