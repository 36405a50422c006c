//! The time, handed in wherever a decision depends on it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock, cut to the microsecond that Postgres keeps.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that moves only when it is told to; clones share one time.
#[derive(Debug, Clone)]
pub struct FakeClock {
    time: Arc<Mutex<DateTime<Utc>>>,
}

impl FakeClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: DateTime<Utc>) -> Self {
        Self {
            time: Arc::new(Mutex::new(start)),
        }
    }

    /// Moves the clock on, or back by a negative step.
    pub fn advance(&self, by: TimeDelta) {
        let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        *time += by;
    }

    /// Puts the clock at `time`.
    pub fn set(&self, time: DateTime<Utc>) {
        *self.time.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        *self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_clock_stands_still_until_it_is_moved() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = FakeClock::at(start);
        let shared = clock.clone();
        assert_eq!(clock.now(), start);
        clock.advance(TimeDelta::days(21));
        assert_eq!(shared.now(), start + TimeDelta::days(21));
        clock.set(start);
        assert_eq!(shared.now(), start);
    }

    #[test]
    fn the_system_clock_gives_times_that_postgres_keeps_unchanged() {
        let now = SystemClock.now();
        assert_eq!(now.timestamp_subsec_nanos() % 1_000, 0);
    }
}
