//! One limiter for all requests to an app: pace, concurrency, and stepping back when told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::settings::ScimLimits;
use crate::connectors::timer::Timer;

const MINUTE: Duration = Duration::from_secs(60);
/// The share of the allowed rate that is used: apps count with clocks and windows of their own.
const SHARE: f64 = 0.985;
/// How long the pace takes from half to full after a pause.
const RECOVERY: Duration = Duration::from_secs(20);
/// A pause that is shorter speaks of a window of seconds, not of a minute.
const SHORT_WINDOW: Duration = Duration::from_secs(5);
/// How long a ceiling that was learned from a whole minute holds before a little more is tried.
const PROBE_AFTER: Duration = Duration::from_secs(30 * 60);
/// The same after refusals that asked for seconds only: they may have had nothing to do with pace.
const PROBE_SOON: Duration = MINUTE;
/// Nobody waits longer than this inside a request; the caller plans it anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How late a timer may be without a loss.
const LATENESS: Duration = Duration::from_millis(20);
/// So many moments of sending are remembered, to know what the app bore.
const REMEMBERED: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Leave to send one request; dropped when its answer is there.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
    era: u64,
    /// Whether the pace, and not only concurrency, made it wait.
    pub waited: bool,
}

/// The app wants a longer pause than anybody waits for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PausedFor(pub Duration);

#[derive(Debug)]
pub struct Limiter {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    state: Mutex<State>,
    timer: Arc<dyn Timer>,
}

#[derive(Debug)]
struct State {
    /// Requests a second that the settings allow; infinite without a limit.
    allowed: f64,
    /// What the app was seen to bear, at most `allowed`.
    ceiling: f64,
    /// Where the recovery started, and when.
    restart: Option<(f64, Instant)>,
    /// When the next request is due at the present pace.
    next: Instant,
    paused_until: Option<Instant>,
    /// Counts the times of stepping back: answers to requests sent before one don't add to it.
    era: u64,
    pauses_in_a_row: u32,
    stepped_back: Option<Instant>,
    /// When a little more was tried last, and how long to wait before the next time.
    probed: Option<Instant>,
    probe_after: Duration,
    sent: VecDeque<Instant>,
}

impl Limiter {
    pub fn new(limits: ScimLimits, timer: Arc<dyn Timer>) -> Self {
        let allowed = limits
            .requests_per_minute
            .map_or(f64::INFINITY, |rpm| f64::from(rpm.get()) * SHARE / 60.0);
        Self {
            reads: Arc::new(Semaphore::new(limits.read_concurrency.get())),
            writes: Arc::new(Semaphore::new(limits.write_concurrency.get())),
            state: Mutex::new(State {
                allowed,
                ceiling: allowed,
                restart: None,
                next: timer.now(),
                paused_until: None,
                era: 0,
                pauses_in_a_row: 0,
                stepped_back: None,
                probed: None,
                probe_after: PROBE_AFTER,
                sent: VecDeque::new(),
            }),
            timer,
        }
    }

    /// Waits for a place and for the pace.
    pub async fn acquire(&self, access: Access) -> Result<Permit, PausedFor> {
        let places = match access {
            Access::Read => &self.reads,
            Access::Write => &self.writes,
        };
        let Ok(slot) = Arc::clone(places).acquire_owned().await else {
            // The semaphore is never closed.
            return Err(PausedFor(Duration::ZERO));
        };
        let mut waited = false;
        loop {
            let due = {
                let mut state = self.state();
                let now = self.timer.now();
                if let Some(until) = state.paused_until {
                    let left = until.saturating_duration_since(now);
                    if left > LONGEST_PAUSE {
                        return Err(PausedFor(left));
                    }
                }
                state.reserve(now)
            };
            if due > self.timer.now() {
                waited = true;
                self.timer.until(due).await;
            }
            let mut state = self.state();
            let now = self.timer.now();
            // While waiting somebody may have been told to pause: take a new place in the line. It
            // is due when that pause is over, so another round needs another pause.
            if state.paused_until.is_some_and(|until| until > now) {
                continue;
            }
            state.note_sent(now);
            return Ok(Permit {
                _slot: slot,
                era: state.era,
                waited,
            });
        }
    }

    /// The app answered 429: everybody pauses, then goes on at half the pace.
    pub fn step_back(&self, permit: &Permit, asked: Option<Duration>) {
        self.state().step_back(permit.era, asked, self.timer.now());
    }

    /// The app is out of order and says until when: nobody needs to try before.
    pub fn pause(&self, asked: Duration) {
        let until = self.timer.now() + asked.min(LONGEST_PAUSE);
        let mut state = self.state();
        state.paused_until = Some(state.paused_until.map_or(until, |known| known.max(until)));
        state.next = state.next.max(until);
    }

    /// The app answered anything else.
    pub fn went_through(&self) {
        self.state().pauses_in_a_row = 0;
    }

    /// Requests a minute at the present pace, or `None` when there is no limit.
    pub fn pace_per_minute(&self) -> Option<f64> {
        let pace = self.state().pace(self.timer.now());
        pace.is_finite().then_some(pace * 60.0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pace(&self, now: Instant) -> f64 {
        let Some((from, since)) = self.restart else {
            return self.ceiling;
        };
        let gone = now.saturating_duration_since(since).as_secs_f64() / RECOVERY.as_secs_f64();
        match self.ceiling.is_finite() {
            true => from + (self.ceiling - from) * gone.min(1.0),
            // Towards no limit at all the pace doubles, for want of a goal.
            false if gone > 10.0 => f64::INFINITY,
            false => from * 2_f64.powf(gone * 5.0),
        }
    }

    /// The moment at which the next request may leave.
    fn reserve(&mut self, now: Instant) -> Instant {
        if let Some(at) = self.stepped_back
            && now.saturating_duration_since(at) > self.probe_after
        {
            let more = if self.probe_after < PROBE_AFTER {
                1.5
            } else {
                1.1
            };
            self.ceiling = (self.ceiling * more).min(self.allowed);
            self.stepped_back = Some(now);
            self.probed = Some(now);
        }
        let earliest = self.paused_until.map_or(now, |until| until.max(now));
        let pace = self.pace(earliest);
        if !pace.is_finite() || pace <= 0.0 {
            return earliest;
        }
        let interval = Duration::from_secs_f64(1.0 / pace);
        // A little may be made up for after a delay: a late timer, or half a percent of a
        // minute's requests.
        let burst = (pace * 60.0 * 0.005).clamp(1.0, 10.0).floor();
        let behind = interval
            .mul_f64(burst - 1.0)
            .max(LATENESS.min(interval / 2));
        let slot = match earliest.checked_sub(behind) {
            Some(oldest) => self.next.max(oldest),
            None => self.next,
        };
        self.next = slot + interval;
        slot.max(earliest)
    }

    fn note_sent(&mut self, now: Instant) {
        while self.sent.len() >= REMEMBERED
            || self
                .sent
                .front()
                .is_some_and(|&first| now.saturating_duration_since(first) > MINUTE)
        {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    fn step_back(&mut self, era: u64, asked: Option<Duration>, now: Instant) {
        let fresh = era == self.era;
        if fresh {
            self.pauses_in_a_row = self.pauses_in_a_row.saturating_add(1);
        }
        let doubling = 2_u32.saturating_pow(self.pauses_in_a_row.saturating_sub(1).min(6));
        let pause = asked
            .unwrap_or_else(|| Duration::from_secs(1) * doubling)
            .min(
                // A pause that long is the caller's to plan.
                Duration::from_secs(24 * 60 * 60),
            );
        let until = now + pause;
        let until = self.paused_until.map_or(until, |known| known.max(until));
        self.paused_until = Some(until);
        self.next = self.next.max(until);
        if fresh {
            self.era += 1;
            self.stepped_back = Some(now);
            self.lower_ceiling(pause, now);
        }
        let from = if self.ceiling.is_finite() {
            self.ceiling / 2.0
        } else {
            1.0
        };
        self.restart = Some((from, until));
    }

    /// Takes what the app bore until now as what it bears.
    fn lower_ceiling(&mut self, pause: Duration, now: Instant) {
        let within: Vec<Instant> = self
            .sent
            .iter()
            .copied()
            .filter(|&at| now.saturating_duration_since(at) <= MINUTE)
            .collect();
        // The request that was refused was sent too.
        let borne = within.len().saturating_sub(1);
        if borne < 10 {
            // Somebody else used the allowance up: nothing to learn from.
            return;
        }
        let since = within.first().map_or(Duration::ZERO, |&first| {
            now.saturating_duration_since(first)
        });
        #[allow(clippy::cast_precision_loss, reason = "at most 20,000")]
        let borne = borne as f64;
        let full_minute = since >= MINUTE.mul_f64(0.95);
        let short_window = !full_minute && pause <= SHORT_WINDOW;
        // Trying more was what the app refused: it is tried less often.
        let tried_in_vain = self
            .probed
            .is_some_and(|at| now.saturating_duration_since(at) <= MINUTE);
        self.probe_after = match short_window {
            true if tried_in_vain => (self.probe_after * 2).min(PROBE_AFTER),
            true => self.probe_after.min(PROBE_SOON),
            false => PROBE_AFTER,
        };
        let seen = if short_window {
            // A window of seconds: the pace itself was too high.
            let pace = self.pace(now).min(borne / since.as_secs_f64().max(0.1));
            pace * 0.75
        } else {
            borne * SHARE / 60.0
        };
        self.ceiling = self.ceiling.min(seen.max(1.0 / 60.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::timer::JumpingTimer;

    fn limiter(rpm: u32) -> (Limiter, JumpingTimer) {
        let timer = JumpingTimer::default();
        let limits = ScimLimits::of(rpm, 50, 15);
        (Limiter::new(limits, Arc::new(timer.clone())), timer)
    }

    async fn sent_times(limiter: &Limiter, timer: &JumpingTimer, count: usize) -> Vec<Instant> {
        let mut times = Vec::new();
        for _ in 0..count {
            let _permit = limiter.acquire(Access::Write).await.unwrap();
            times.push(timer.now());
        }
        times
    }

    fn most_in_any_minute(times: &[Instant]) -> usize {
        (0..times.len())
            .map(|first| {
                times[first..]
                    .iter()
                    .take_while(|&&at| at - times[first] < MINUTE)
                    .count()
            })
            .max()
            .unwrap_or(0)
    }

    #[tokio::test]
    async fn no_minute_holds_more_than_allowed_and_97_percent_are_used() {
        for rpm in [1, 7, 59, 60, 61, 150, 600, 1500, 6000] {
            let (limiter, timer) = limiter(rpm);
            let start = timer.now();
            let count = rpm as usize * 3;
            let times = sent_times(&limiter, &timer, count).await;
            assert!(most_in_any_minute(&times) <= rpm as usize, "{rpm}");
            let took = (timer.now() - start).as_secs_f64();
            let rate = (count - 1) as f64 / took * 60.0;
            assert!(rate >= f64::from(rpm) * 0.97, "{rpm}: {rate}");
        }
    }

    #[tokio::test]
    async fn a_quiet_spell_is_not_made_up_for_by_a_flood() {
        let (limiter, timer) = limiter(600);
        let mut times = sent_times(&limiter, &timer, 300).await;
        timer.advance(Duration::from_secs(10));
        times.extend(sent_times(&limiter, &timer, 700).await);
        assert!(most_in_any_minute(&times) <= 600);
    }

    #[tokio::test]
    async fn everybody_observes_the_pause_that_one_was_asked_for() {
        let (limiter, timer) = limiter(600);
        let permit = limiter.acquire(Access::Write).await.unwrap();
        let told = timer.now();
        limiter.step_back(&permit, Some(Duration::from_secs(30)));
        for access in [Access::Read, Access::Write] {
            let _permit = limiter.acquire(access).await.unwrap();
            assert!(timer.now() - told >= Duration::from_secs(30), "{access:?}");
        }
    }

    #[tokio::test]
    async fn who_waits_in_the_line_observes_a_pause_that_begins_meanwhile() {
        let (limiter, timer) = limiter(60);
        let _first = limiter.acquire(Access::Write).await.unwrap();
        let mut waiting = std::pin::pin!(limiter.acquire(Access::Write));
        std::future::poll_fn(|context| {
            assert!(waiting.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        let told = timer.now();
        limiter.pause(Duration::from_secs(30));
        let permit = waiting.await.unwrap();
        assert!(permit.waited);
        assert!(timer.now() - told >= Duration::from_secs(30));
        assert_eq!(timer.waits().len(), 2, "for its turn, and for the pause");
    }

    #[tokio::test]
    async fn the_pace_halves_after_a_429_and_recovers_in_seconds() {
        let (limiter, timer) = limiter(600);
        let permit = limiter.acquire(Access::Write).await.unwrap();
        limiter.step_back(&permit, Some(Duration::from_secs(1)));
        timer.advance(Duration::from_secs(1));
        let halved = limiter.pace_per_minute().unwrap();
        assert!((halved - 300.0 * SHARE).abs() < 1.0, "{halved}");
        timer.advance(RECOVERY);
        let full = limiter.pace_per_minute().unwrap();
        assert!((full - 600.0 * SHARE).abs() < 1.0, "{full}");
    }

    #[tokio::test]
    async fn answers_of_one_burst_step_back_once() {
        let (limiter, timer) = limiter(600);
        sent_times(&limiter, &timer, 100).await;
        let mut permits = Vec::new();
        for _ in 0..5 {
            permits.push(limiter.acquire(Access::Write).await.unwrap());
        }
        for permit in &permits {
            limiter.step_back(permit, Some(Duration::from_secs(50)));
        }
        timer.advance(Duration::from_secs(50) + RECOVERY);
        let pace = limiter.pace_per_minute().unwrap();
        // What was borne: 104 requests and the first refused one among them.
        assert!((pace - 104.0 * SHARE).abs() < 1.5, "{pace}");
    }

    /// An app that counts in whole minutes and allows `allowed` of them.
    async fn against_minutes(settings: u32, allowed: usize, minutes: u64) -> (usize, usize) {
        let (limiter, timer) = limiter(settings);
        let start = timer.now();
        let (mut refused, mut done, mut window, mut used) = (0, 0, 0, 0);
        loop {
            let permit = limiter.acquire(Access::Write).await.unwrap();
            let gone = timer.now() - start;
            if gone >= MINUTE * u32::try_from(minutes).unwrap() {
                return (refused, done);
            }
            if gone.as_secs() / 60 != window {
                window = gone.as_secs() / 60;
                used = 0;
            }
            if used >= allowed {
                refused += 1;
                let left = MINUTE - (gone - MINUTE * u32::try_from(window).unwrap());
                limiter.step_back(&permit, Some(left));
            } else {
                used += 1;
                done += 1;
                limiter.went_through();
            }
        }
    }

    #[tokio::test]
    async fn an_app_that_allows_less_than_it_promises_refuses_only_once() {
        let (refused, done) = against_minutes(1500, 300, 20).await;
        assert_eq!(refused, 1);
        assert!(done * 100 >= 300 * 20 * 95, "{done}");
        let (refused, done) = against_minutes(0, 600, 20).await;
        assert_eq!(refused, 1);
        assert!(done * 100 >= 600 * 20 * 95, "{done}");
    }

    #[tokio::test]
    async fn refusals_that_had_nothing_to_do_with_pace_do_not_slow_an_app_down_for_long() {
        let (limiter, timer) = limiter(1500);
        sent_times(&limiter, &timer, 25).await;
        for _ in 0..3 {
            let permit = limiter.acquire(Access::Write).await.unwrap();
            limiter.step_back(&permit, Some(Duration::from_secs(1)));
        }
        let start = timer.now();
        while timer.now() - start < MINUTE * 12 {
            limiter.acquire(Access::Write).await.unwrap();
            limiter.went_through();
        }
        let pace = limiter.pace_per_minute().unwrap();
        assert!(pace >= 1500.0 * 0.97, "{pace}");
    }

    /// An app that counts in whole seconds.
    async fn against_seconds(allowed: usize, minutes: u32) -> (usize, usize) {
        let (limiter, timer) = limiter(1500);
        let start = timer.now();
        let (mut refused, mut done, mut window, mut used) = (0, 0, 0, 0);
        loop {
            let permit = limiter.acquire(Access::Write).await.unwrap();
            let gone = timer.now() - start;
            if gone >= MINUTE * minutes {
                return (refused, done);
            }
            if gone.as_secs() != window {
                (window, used) = (gone.as_secs(), 0);
            }
            if used >= allowed {
                refused += 1;
                limiter.step_back(&permit, Some(Duration::from_secs(1)));
            } else {
                used += 1;
                done += 1;
                limiter.went_through();
            }
        }
    }

    #[tokio::test]
    async fn an_app_that_counts_seconds_and_allows_less_refuses_ever_more_rarely() {
        let (early, _) = against_seconds(10, 60).await;
        let (all, done) = against_seconds(10, 240).await;
        assert!(all - early <= 6, "{early} in the first hour, {all} in four");
        assert!(done * 100 >= 10 * 60 * 240 * 70, "{done}");
    }

    #[tokio::test]
    async fn an_app_that_keeps_its_promise_never_refuses() {
        let (refused, done) = against_minutes(1500, 1500, 5).await;
        assert_eq!(refused, 0);
        assert!(done * 100 >= 1500 * 5 * 97, "{done}");
    }

    #[tokio::test]
    async fn a_pause_of_hours_is_given_back_to_the_caller() {
        let (limiter, _) = limiter(600);
        let permit = limiter.acquire(Access::Write).await.unwrap();
        limiter.step_back(&permit, Some(Duration::from_secs(7200)));
        let paused = limiter.acquire(Access::Read).await.unwrap_err();
        assert!(paused.0 > LONGEST_PAUSE);
    }

    #[tokio::test]
    async fn reads_and_writes_have_places_of_their_own() {
        let timer = JumpingTimer::default();
        let limiter = Limiter::new(ScimLimits::of(0, 2, 1), Arc::new(timer));
        let _write = limiter.acquire(Access::Write).await.unwrap();
        let _read = limiter.acquire(Access::Read).await.unwrap();
        let _other = limiter.acquire(Access::Read).await.unwrap();
        let full = Duration::from_millis(20);
        for access in [Access::Read, Access::Write] {
            let waiting = tokio::time::timeout(full, limiter.acquire(access));
            assert!(waiting.await.is_err(), "{access:?}");
        }
    }

    #[tokio::test]
    async fn without_a_limit_nothing_waits() {
        let (limiter, timer) = limiter(0);
        sent_times(&limiter, &timer, 1000).await;
        assert!(timer.waits().is_empty());
    }
}
