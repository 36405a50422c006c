//! The lease of a run: renewed in the background while the run is carried out, and asked between
//! two requests whether to go on.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::run::RunError;
use crate::connectors::http::WRITE_LASTS;
use crate::store::operations::Writer;
use crate::store::runs::{self, LEASE_LASTS, LeaseId, Pulse, Run, RunKind};

/// Well below the time that a lease lasts.
pub const BEAT_EVERY: Duration = Duration::from_secs(2);

// A write that leaves right after a heartbeat, and one some heartbeats later, end within the lease.
const _: () = assert!(WRITE_LASTS.as_secs() + 4 * BEAT_EVERY.as_secs() < LEASE_LASTS.as_secs());

/// One take of a run.
pub struct Lease {
    pub id: LeaseId,
    pub done: Arc<AtomicI32>,
    writer: Writer,
    /// What earlier takes of the run asked of directory and app.
    before: (i64, i64, i64),
    watch: Watch,
    beating: tokio::task::JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// What is known of a lease at a moment; cheap to clone and to ask.
#[derive(Debug, Clone)]
pub struct Watch {
    pulse: watch::Receiver<Pulse>,
    /// When the newest renewal that reached the database was asked for.
    renewed: Arc<Mutex<Instant>>,
    shutdown: CancellationToken,
    preview: bool,
}

impl Lease {
    /// `asked` is a moment before the lease was taken.
    pub fn keep(engine: &Engine, run: &Run, id: LeaseId, asked: Instant) -> Self {
        let fresh = Pulse {
            ours: true,
            stop_requested_by: run.stop_requested_by.clone(),
            app_is_on: true,
        };
        let (told, pulse) = watch::channel(fresh);
        let done = Arc::new(AtomicI32::new(run.done));
        let before = (run.directory_requests, run.scim_reads, run.scim_writes);
        let watch = Watch {
            pulse,
            renewed: Arc::new(Mutex::new(asked)),
            shutdown: engine.shutdown().clone(),
            preview: run.kind == RunKind::Preview,
        };
        let (run, renewed) = (run.id, watch.renewed.clone());
        let (engine, progress) = (engine.clone(), done.clone());
        let beating = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT_EVERY).await;
                let requests = requests(&engine, before);
                let done = progress.load(Ordering::Relaxed);
                let asked = Instant::now();
                let beat = async {
                    let mut db = engine.connection().await?;
                    runs::beat(&mut db, run, id, done, requests).await
                };
                match beat.await {
                    Ok(pulse) => {
                        let ours = pulse.ours;
                        if ours {
                            *renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                        }
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
            id,
            done,
            writer: Writer { run, lease: id },
            before,
            watch,
            beating,
        }
    }

    pub fn writer(&self) -> Writer {
        self.writer
    }

    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Whether the run may go on.
    pub fn check(&self) -> Result<(), RunError> {
        self.watch.check()
    }

    /// Requests of the whole run: earlier takes and this one.
    pub fn requests(&self, engine: &Engine) -> (i64, i64, i64) {
        requests(engine, self.before)
    }
}

impl Watch {
    /// Whether the run may go on.
    pub fn check(&self) -> Result<(), RunError> {
        let pulse = self.pulse.borrow();
        if !pulse.ours || self.age() >= LEASE_LASTS {
            return Err(RunError::LeaseLost);
        }
        if self.shutdown.is_cancelled() {
            return Err(RunError::ShuttingDown);
        }
        if let Some(by) = &pulse.stop_requested_by {
            return Err(RunError::StopRequested { by: by.clone() });
        }
        if !self.preview && !pulse.app_is_on {
            return Err(RunError::Off {
                app: "The app".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether a write may leave: the run goes on, and the answer comes, or is given up, while the
    /// lease holds.
    pub fn may_write(&self) -> Result<(), RunError> {
        self.check()?;
        if self.age() + WRITE_LASTS >= LEASE_LASTS {
            return Err(RunError::LeaseLost);
        }
        Ok(())
    }

    fn age(&self) -> Duration {
        self.renewed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }
}

fn requests(engine: &Engine, before: (i64, i64, i64)) -> (i64, i64, i64) {
    let totals = engine.requests();
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    (
        before.0.saturating_add(number(totals.directory)),
        before.1.saturating_add(number(totals.scim_reads)),
        before.2.saturating_add(number(totals.scim_writes)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed(ago: Duration) -> Watch {
        let (_, pulse) = watch::channel(Pulse {
            ours: true,
            stop_requested_by: None,
            app_is_on: true,
        });
        Watch {
            pulse,
            renewed: Arc::new(Mutex::new(Instant::now().checked_sub(ago).unwrap())),
            shutdown: CancellationToken::new(),
            preview: false,
        }
    }

    #[test]
    fn no_write_leaves_that_could_arrive_after_the_lease() {
        assert!(renewed(Duration::ZERO).may_write().is_ok());
        let late = renewed(LEASE_LASTS - WRITE_LASTS);
        assert!(matches!(late.may_write(), Err(RunError::LeaseLost)));
        assert!(late.check().is_ok(), "it may still look");
        let over = renewed(LEASE_LASTS);
        assert!(matches!(over.check(), Err(RunError::LeaseLost)));
    }
}
