//! Asana's limits: requests per minute, and requests in flight.

use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::sandbox::lock;

/// What the app allows; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub requests_per_minute: Option<u32>,
    /// How many requests may come at once after a rest.
    pub burst: u32,
    pub reads_in_flight: Option<usize>,
    pub writes_in_flight: Option<usize>,
}

impl Default for Limits {
    /// As Asana documents for paid plans. It says that the rate is judged more
    /// often than once a minute; six seconds' worth is taken here.
    fn default() -> Self {
        Self {
            requests_per_minute: Some(1_500),
            burst: 150,
            reads_in_flight: Some(50),
            writes_in_flight: Some(15),
        }
    }
}

impl Limits {
    /// Nothing is limited.
    pub fn none() -> Self {
        Self {
            requests_per_minute: None,
            burst: 0,
            reads_in_flight: None,
            writes_in_flight: None,
        }
    }
}

#[derive(Debug)]
struct State {
    limits: Limits,
    tokens: f64,
    filled: Instant,
    reads: usize,
    writes: usize,
    most_reads: usize,
    most_writes: usize,
}

/// Judges requests as they come.
#[derive(Debug)]
pub struct Limiter(Mutex<State>);

/// A request's place among those in flight; dropping it gives the place back.
#[derive(Debug)]
pub struct Admission<'a> {
    limiter: &'a Limiter,
    write: bool,
    refused: Option<u64>,
}

impl Admission<'_> {
    /// The seconds to wait, when the request is one too many.
    pub fn refused(&self) -> Option<u64> {
        self.refused
    }
}

impl Limiter {
    /// Starts with a full allowance.
    pub fn new(limits: Limits) -> Self {
        Self(Mutex::new(State {
            limits,
            tokens: f64::from(limits.burst),
            filled: Instant::now(),
            reads: 0,
            writes: 0,
            most_reads: 0,
            most_writes: 0,
        }))
    }

    /// Other limits from now on, with a full allowance.
    pub fn set(&self, limits: Limits) {
        let mut state = lock(&self.0);
        state.limits = limits;
        state.tokens = f64::from(limits.burst);
        state.filled = Instant::now();
    }

    /// The most reads and writes that were in flight at once.
    pub fn peaks(&self) -> (usize, usize) {
        let state = lock(&self.0);
        (state.most_reads, state.most_writes)
    }

    /// Takes a request in. One that is refused counts against the rate too.
    pub fn admit(&self, write: bool) -> Admission<'_> {
        let mut state = lock(&self.0);
        let (in_flight, most) = if write {
            state.writes += 1;
            state.most_writes = state.most_writes.max(state.writes);
            (state.writes, state.limits.writes_in_flight)
        } else {
            state.reads += 1;
            state.most_reads = state.most_reads.max(state.reads);
            (state.reads, state.limits.reads_in_flight)
        };
        let mut refused = most.is_some_and(|most| in_flight > most).then_some(1);
        if let Some(per_minute) = state.limits.requests_per_minute {
            let per_second = f64::from(per_minute) / 60.0;
            let burst = f64::from(state.limits.burst.max(1));
            let now = Instant::now();
            let gained = now.duration_since(state.filled).as_secs_f64() * per_second;
            state.filled = now;
            state.tokens = (state.tokens + gained).min(burst) - 1.0;
            if state.tokens < 0.0 {
                let wait = (-state.tokens / per_second).ceil().max(1.0);
                refused = Some(wait as u64);
                // Who keeps asking waits longer, but never more than a minute.
                state.tokens = state.tokens.max(-f64::from(per_minute));
            }
        }
        drop(state);
        Admission {
            limiter: self,
            write,
            refused,
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.limiter.0);
        if self.write {
            state.writes -= 1;
        } else {
            state.reads -= 1;
        }
    }
}
