//! Jobs on the job engine (graphile_worker): thin, they load, call and store.
//!
//! What is to be done is in our own tables (a queued run, an app's next run); jobs only say when to
//! look. So a lost or doubled job loses and doubles nothing: every handler begins by taking the
//! run's lease, and a watch hands runs that nobody works on to the engine again.

mod notify;
mod push;

use std::sync::Arc;
use std::time::Duration;

use graphile_worker::{
    IntoTaskHandlerResult, JobKeyMode, JobSpec, TaskHandler, Worker, WorkerContext, WorkerOptions,
    WorkerRecoveryConfig, WorkerUtils,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::apps::{self, App, AppId, AppState};
use crate::store::runs::{self, NewRun, RunId, RunKind};
use crate::store::schema::{self, Standing};
use crate::store::workers::{self, Worker as Shown};
use crate::sync::{Engine, run};

const SCHEMA: &str = "graphile_worker";
/// Runs in flight in one process, over all apps.
const RUNS_AT_ONCE: usize = 4;
const WATCH_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the job engine: {0}")]
    Engine(String),
}

/// Carries out one queued run, or goes on with one whose process died.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CarryOut {
    run: Uuid,
}

impl TaskHandler for CarryOut {
    const IDENTIFIER: &'static str = "carry_out_run";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(engine) = context.get_ext::<Engine>() else {
            return Err("the worker was started without an engine".to_owned());
        };
        let queue = Queue::new(engine.clone());
        // A newer process hands it out again.
        match outdated(engine).await {
            Ok(false) => {}
            Ok(true) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        match run::carry_out(&engine.counting_anew(), RunId(self.run)).await {
            Ok(run::Carried::Finished(app)) => queue
                .schedule_next(app)
                .await
                .map_err(|error| error.to_string()),
            Ok(run::Carried::TakenElsewhere | run::Carried::Released) => Ok(()),
            Err(error) => {
                // The lease ends by itself and the watch hands the run out again.
                tracing::error!(run = %self.run, %error, "a run could not be carried on");
                Ok(())
            }
        }
    }
}

/// Queues the scheduled run of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Schedule {
    app: Uuid,
}

impl TaskHandler for Schedule {
    const IDENTIFIER: &'static str = "start_scheduled_run";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(engine) = context.get_ext::<Engine>() else {
            return Err("the worker was started without an engine".to_owned());
        };
        Queue::new(engine.clone())
            .start_scheduled(AppId(self.app))
            .await
            .map_err(|error| error.to_string())
    }
}

/// Creates or upgrades the engine's own tables; done with ours, by the role that owns them.
pub async fn migrate(pool: &PgPool) -> Result<(), JobError> {
    WorkerUtils::new(pool.clone(), SCHEMA)
        .migrate()
        .await
        .map_err(|error| JobError::Engine(error.to_string()))
}

/// Puts work on the job engine.
#[derive(Clone)]
pub struct Queue {
    engine: Engine,
    utils: Arc<WorkerUtils>,
}

impl Queue {
    pub fn new(engine: Engine) -> Self {
        let utils = WorkerUtils::new(engine.pool.clone(), SCHEMA).with_use_local_time(true);
        Self {
            engine,
            utils: Arc::new(utils),
        }
    }

    /// Queues a run and hands it to a worker. Returns the run that is under way when there is one.
    pub async fn start(&self, new: &NewRun<'_>) -> Result<(RunId, bool), JobError> {
        let mut db = self.engine.connection().await?;
        let (run, queued) = runs::queue(&mut db, new, self.engine.clock.now()).await?;
        drop(db);
        self.hand_out(run).await?;
        Ok((run, queued))
    }

    /// Hands a queued run to a worker at once; one that is not handed out is found by the watch.
    pub async fn hand_out(&self, run: RunId) -> Result<(), JobError> {
        let spec = self.spec(format!("run:{}", run.0), self.engine.clock.now());
        self.utils
            .add_job(CarryOut { run: run.0 }, spec)
            .await
            .map(drop)
            .map_err(|error| JobError::Engine(error.to_string()))
    }

    fn spec(&self, key: String, at: chrono::DateTime<chrono::Utc>) -> JobSpec {
        JobSpec {
            job_key: Some(key),
            job_key_mode: Some(JobKeyMode::Replace),
            // Always given: left out, the engine would take the database's time.
            run_at: Some(at),
            max_attempts: Some(3),
            ..JobSpec::default()
        }
    }

    /// Plans the app's next scheduled run, an interval after the start of the last.
    pub async fn schedule_next(&self, app: AppId) -> Result<(), JobError> {
        let mut db = self.engine.connection().await?;
        let Some(app) = apps::get(&mut db, app).await? else {
            return Ok(());
        };
        let Some(at) = run::next_run_at(&mut db, &app, self.engine.clock.now()).await? else {
            return Ok(());
        };
        drop(db);
        self.schedule_at(&app, at).await
    }

    async fn schedule_at(
        &self,
        app: &App,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), JobError> {
        self.utils
            .add_job(
                Schedule { app: app.id.0 },
                self.spec(format!("schedule:{}", app.id.0), at),
            )
            .await
            .map(drop)
            .map_err(|error| JobError::Engine(error.to_string()))
    }

    async fn start_scheduled(&self, app: AppId) -> Result<(), JobError> {
        let mut db = self.engine.connection().await?;
        let Some(app) = apps::get(&mut db, app).await? else {
            return Ok(());
        };
        if app.state != AppState::On {
            return Ok(());
        }
        let now = self.engine.clock.now();
        if let Some(until) = app.paused_until.filter(|until| *until > now) {
            drop(db);
            return self.schedule_at(&app, until).await;
        }
        drop(db);
        let new = NewRun {
            app: app.id,
            kind: RunKind::Scheduled,
            actor: "Rollcall",
            config_version: app.config_version,
            fresh_import: false,
            plan_of: None,
        };
        self.start(&new).await.map(drop)
    }

    /// Hands out runs that nobody works on, and makes sure that every app that is on has a next run.
    pub async fn watch(&self) -> Result<(), JobError> {
        if outdated(&self.engine).await? {
            tracing::warn!(
                "a newer Rollcall migrated the database: this process begins no more runs"
            );
            return Ok(());
        }
        let mut db = self.engine.connection().await?;
        let orphans = runs::orphans(&mut db).await?;
        let now = self.engine.clock.now();
        let waiting: Vec<App> = apps::list(&mut db)
            .await?
            .into_iter()
            .filter(|app| app.state == AppState::On && app.next_run_at.is_none_or(|at| at <= now))
            .collect();
        let mut due = Vec::new();
        for app in waiting {
            if runs::active(&mut db, app.id).await?.is_none() {
                due.push(app);
            }
        }
        drop(db);
        for run in orphans {
            self.hand_out(run).await?;
        }
        self.watch_channels().await?;
        self.watch_notifications().await?;
        for app in due {
            let at = app.paused_until.filter(|until| *until > now).unwrap_or(now);
            self.schedule_at(&app, at).await?;
        }
        Ok(())
    }
}

/// Whether a newer program has migrated the database. What it added is not known here, so no run is
/// begun any more; those under way end as they are.
async fn outdated(engine: &Engine) -> Result<bool, StoreError> {
    let mut db = engine.connection().await?;
    let standing = schema::standing(&mut db).await?;
    Ok(matches!(standing, Standing::Newer { .. }))
}

async fn show(engine: &Engine, worker: &Shown) -> Result<(), StoreError> {
    let mut db = engine.connection().await?;
    workers::beat(&mut db, engine.owner(), worker).await
}

/// Runs the worker until the engine's shutdown is requested.
pub async fn work(engine: Engine) -> Result<(), JobError> {
    let queue = Queue::new(engine.clone());
    let shutdown = engine.shutdown().clone();
    let worker: Worker = WorkerOptions::default()
        .pg_pool(engine.pool.clone())
        .schema(SCHEMA)
        .concurrency(RUNS_AT_ONCE)
        .poll_interval(Duration::from_secs(2))
        .use_local_time(true)
        .listen_os_shutdown_signals(false)
        .worker_recovery(WorkerRecoveryConfig {
            enabled: true,
            heartbeat_interval: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(10),
            sweep_threshold: Duration::from_secs(30),
            recovery_delay: Duration::ZERO,
            ..WorkerRecoveryConfig::default()
        })
        .define_job::<CarryOut>()
        .define_job::<Schedule>()
        .define_job::<push::KeepChannels>()
        .define_job::<push::TakeHint>()
        .define_job::<notify::DeliverNotifications>()
        .add_extension(engine.clone())
        .init()
        .await
        .map_err(|error| JobError::Engine(error.to_string()))?;
    let stop = async {
        shutdown.cancelled().await;
        worker.request_shutdown();
    };
    let shown = Shown {
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: engine.clock.now(),
    };
    let watch = async {
        loop {
            if let Err(error) = show(&engine, &shown).await {
                tracing::warn!(%error, "this worker could not say that it is alive");
            }
            if let Err(error) = queue.watch().await {
                tracing::warn!(%error, "looking for runs without a worker failed; it is tried again");
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(WATCH_EVERY) => {}
            }
        }
    };
    let ((), (), ended) = tokio::join!(stop, watch, worker.run());
    if let Ok(mut db) = engine.connection().await {
        // Should this fail, the others notice by its silence.
        let _ = workers::leave(&mut db, engine.owner()).await;
    }
    ended.map_err(|error| JobError::Engine(error.to_string()))
}
