//! Waiting, passed in: tests let hours go by without sleeping.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

pub trait Timer: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Instant;
    fn until(&self, deadline: Instant) -> Waiting;

    fn wait(&self, duration: Duration) -> Waiting {
        self.until(self.now() + duration)
    }
}

/// Really waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimer;

impl Timer for SystemTimer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn until(&self, deadline: Instant) -> Waiting {
        Box::pin(tokio::time::sleep_until(deadline))
    }
}

/// Never waits: time jumps to each deadline, and the waits are kept for a test to look at.
#[derive(Clone, Debug)]
pub struct JumpingTimer(Arc<Mutex<Jumps>>);

#[derive(Debug)]
struct Jumps {
    now: Instant,
    waits: Vec<Duration>,
}

impl Default for JumpingTimer {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Jumps {
            now: Instant::now(),
            waits: Vec::new(),
        })))
    }
}

impl JumpingTimer {
    pub fn waits(&self) -> Vec<Duration> {
        self.lock().waits.clone()
    }

    pub fn advance(&self, duration: Duration) {
        self.lock().now += duration;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Jumps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer for JumpingTimer {
    fn now(&self) -> Instant {
        self.lock().now
    }

    fn until(&self, deadline: Instant) -> Waiting {
        let this = self.clone();
        Box::pin(async move {
            {
                let mut jumps = this.lock();
                if let Some(wait) = deadline.checked_duration_since(jumps.now)
                    && !wait.is_zero()
                {
                    jumps.waits.push(wait);
                    jumps.now = deadline;
                }
            }
            tokio::task::yield_now().await;
        })
    }
}
