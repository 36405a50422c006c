//! Notifications leave the outbox: one job at a time, whatever the number of processes.

use graphile_worker::{IntoTaskHandlerResult, JobSpec, TaskHandler, WorkerContext};
use serde::{Deserialize, Serialize};

use super::{JobError, Queue};
use crate::notifications;
use crate::store::{StoreError, notifications as store};
use crate::sync::Engine;

/// Sends what is due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeliverNotifications {}

impl TaskHandler for DeliverNotifications {
    const IDENTIFIER: &'static str = "deliver_notifications";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(engine) = context.get_ext::<Engine>() else {
            return Err("the worker was started without an engine".to_owned());
        };
        notifications::deliver(&engine.counting_anew())
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

impl Queue {
    /// Looks what needs somebody, and makes sure that messages leave.
    pub(super) async fn watch_notifications(&self) -> Result<(), JobError> {
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        notifications::look(&mut transaction, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        notifications::write_digests(&self.engine).await?;
        let mut db = self.engine.connection().await?;
        let any = store::any_due(&mut db, now).await?;
        drop(db);
        if !any {
            return Ok(());
        }
        let spec = JobSpec {
            queue_name: Some("notifications".to_owned()),
            ..self.spec("notifications:deliver".to_owned(), now)
        };
        self.utils
            .add_job(DeliverNotifications {}, spec)
            .await
            .map(drop)
            .map_err(|error| JobError::Engine(error.to_string()))
    }
}
