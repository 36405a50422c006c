//! Jobs of Google's push: keeping the channels, and the runs that a notification leads to.

use chrono::TimeDelta;
use graphile_worker::{IntoTaskHandlerResult, JobKeyMode, JobSpec, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::{JobError, Queue};
use crate::store::apps::{self, AppState};
use crate::store::push;
use crate::store::runs::{NewRun, RunKind};
use crate::sync::Engine;
use crate::sync::push as channels;

/// Changes come in flocks: the directory is read once for those that are this close together.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
/// The first of a flock waits for the next ones this long.
const GATHER: TimeDelta = TimeDelta::seconds(2);

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

    /// Somebody changed in Google. Many hints are one: apps run at most every half minute for them.
    pub async fn hint(&self) -> Result<(), JobError> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        push::note_hint(&mut db, now).await?;
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

    /// Runs every app that is on with a fresh reading of the directory. One whose run is under way
    /// has perhaps read before the change, so it is looked at again.
    async fn take_hint(&self) -> Result<(), JobError> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        push::note_taken(&mut db, now).await?;
        let apps = apps::list(&mut db).await?;
        drop(db);
        let mut busy = false;
        for app in apps.iter().filter(|app| app.state == AppState::On) {
            if app.paused_until.is_some_and(|until| until > now) {
                continue;
            }
            let new = NewRun {
                app: app.id,
                kind: RunKind::Scheduled,
                actor: "Google push",
                config_version: app.config_version,
                fresh_import: true,
                plan_of: None,
            };
            let (_, queued) = self.start(&new).await?;
            busy |= !queued;
        }
        if busy {
            self.hint_at(now + PAUSE).await?;
        }
        Ok(())
    }
}
