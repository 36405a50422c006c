//! Jobs of Google's push: keeping the channels, and the runs that a notification leads to.

use chrono::TimeDelta;
use graphile_worker::{IntoTaskHandlerResult, JobKeyMode, JobSpec, TaskHandler, WorkerContext};
use provisioning::identity::PersonId;
use serde::{Deserialize, Serialize};

use super::{JobError, Queue};
use crate::store::StoreError;
use crate::store::apps::{self, App, AppState};
use crate::store::push;
use crate::store::runs::{self, NewRun, RunKind};
use crate::sync::push as channels;
use crate::sync::{Engine, inputs};

/// Changes come in flocks: apps run once for those that are this close together.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
/// The first of a flock waits for the next ones this long.
const GATHER: TimeDelta = TimeDelta::seconds(2);

/// More people than these are read quicker with everybody else.
const MOST_ALONE: usize = 25;

/// Opens, renews and stops channels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeepChannels {}

impl TaskHandler for KeepChannels {
    const IDENTIFIER: &'static str = "keep_push_channels";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(engine) = context.get_ext::<Engine>() else {
            return Err("the worker was started without an engine".to_owned());
        };
        channels::keep(&engine.counting_anew())
            .await
            .map_err(|error| error.to_string())
    }
}

/// Begins runs because people changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TakeHint {}

impl TaskHandler for TakeHint {
    const IDENTIFIER: &'static str = "take_push_hint";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(engine) = context.get_ext::<Engine>() else {
            return Err("the worker was started without an engine".to_owned());
        };
        Queue::new(engine.clone())
            .take_hint()
            .await
            .map_err(|error| error.to_string())
    }
}

impl Queue {
    /// Makes sure that the channels are looked after, one process at a time.
    pub(super) async fn watch_channels(&self) -> Result<(), JobError> {
        if !channels::is_due(&self.engine).await? {
            return Ok(());
        }
        let spec = JobSpec {
            queue_name: Some("push".to_owned()),
            ..self.spec("push:channels".to_owned(), self.engine.clock.now())
        };
        self.utils
            .add_job(KeepChannels {}, spec)
            .await
            .map(drop)
            .map_err(|error| JobError::Engine(error.to_string()))
    }

    /// Somebody changed in Google; who, if that is known. Many hints are one: apps run at most every
    /// half minute for them.
    pub async fn hint(&self, person: Option<&PersonId>) -> Result<(), JobError> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        push::note_hint(&mut db, now).await?;
        push::add_hint(&mut db, person, now).await?;
        let state = push::state(&mut db, now).await?;
        drop(db);
        let earliest = state.taken_at.map_or(now, |taken| taken + PAUSE);
        self.hint_at(earliest.max(now + GATHER)).await
    }

    async fn hint_at(&self, at: chrono::DateTime<chrono::Utc>) -> Result<(), JobError> {
        let spec = JobSpec {
            queue_name: Some("push".to_owned()),
            // A later hint must not put off the one that waits.
            job_key_mode: Some(JobKeyMode::PreserveRunAt),
            ..self.spec("push:hint".to_owned(), at)
        };
        self.utils
            .add_job(TakeHint {}, spec)
            .await
            .map(drop)
            .map_err(|error| JobError::Engine(error.to_string()))
    }

    /// Runs the apps for those who changed, each of whom is read again; for everybody when it is not
    /// known who. An app whose run is under way has perhaps read before the change, so its hints wait.
    pub async fn take_hint(&self) -> Result<(), JobError> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        push::note_taken(&mut db, now).await?;
        let all = push::hints(&mut db).await?;
        drop(db);
        let mut busy = false;
        for hinted in all {
            busy |= !self.run_for(&hinted).await?;
        }
        if busy {
            self.hint_at(now + PAUSE).await?;
        }
        Ok(())
    }

    /// False: another run is under way.
    async fn run_for(&self, hinted: &push::Hinted) -> Result<bool, JobError> {
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let app = apps::get(&mut transaction, hinted.app).await?;
        let runs_now = |app: &App| {
            app.state == AppState::On && app.paused_until.is_none_or(|until| until <= now)
        };
        let run = match app.filter(runs_now) {
            // The next run for everybody reads the directory anyway.
            None => None,
            Some(app) => {
                // A ceiling on creates weighs everybody who came, not a few at a time.
                let config = inputs::configuration(&mut transaction, &app).await?;
                let ceiling = config.is_some_and(|config| config.safety.hold_creates.is_some());
                let everybody = hinted.anybody || hinted.people.len() > MOST_ALONE || ceiling;
                let new = NewRun {
                    app: app.id,
                    kind: RunKind::Scheduled,
                    actor: "Google push",
                    config_version: app.config_version,
                    fresh_import: everybody,
                    plan_of: None,
                };
                let people: &[PersonId] = match everybody {
                    true => &[],
                    false => &hinted.people,
                };
                let (run, queued) = runs::queue_for(&mut transaction, &new, people, now).await?;
                if !queued {
                    return Ok(false);
                }
                Some(run)
            }
        };
        push::forget_hints(&mut transaction, hinted).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        if let Some(run) = run {
            self.hand_out(run).await?;
        }
        Ok(true)
    }
}
