//! How long to wait before trying again.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use rand::RngExt;

/// Nobody is believed who asks for more than a day.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Exponential waits: `first`, then twice as long each time, each with up to a quarter on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
    /// Requests in all, the first one included.
    pub attempts: u32,
}

impl Backoff {
    pub const fn new(attempts: u32) -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(32),
            attempts,
        }
    }

    /// The wait after `failed` failed attempts, or `None` when they are used up. What the server
    /// asked for wins where it is longer.
    pub fn after(&self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        if failed == 0 || failed >= self.attempts {
            return None;
        }
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(failed - 1))
            .min(self.longest);
        let spread = doubled / 4;
        let jitter = spread.mul_f64(rand::rng().random::<f64>());
        Some(match asked {
            Some(asked) if asked > doubled => asked + jitter,
            _ => doubled + jitter,
        })
    }
}

/// `Retry-After` as seconds or as an HTTP date, which is read against `now`.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())));
    }
    let at = http_date(value)?;
    Some((at - now).to_std().unwrap_or_default().min(LONGEST))
}

pub(super) fn http_date(value: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc2822(value) {
        return Some(at.to_utc());
    }
    // The two obsolete forms that the standard still lets servers send.
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(value, form).ok())
        .map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        let now = Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap();
        retry_after(&headers, now)
    }

    #[test]
    fn retry_after_is_read_in_every_form_the_standard_allows() {
        assert_eq!(asked("17"), Some(Duration::from_secs(17)));
        assert_eq!(asked("0.5"), Some(Duration::from_millis(500)));
        let ninety = Some(Duration::from_secs(90));
        assert_eq!(asked("Mon, 23 Nov 2026 12:01:30 GMT"), ninety);
        assert_eq!(asked("Monday, 23-Nov-26 12:01:30 GMT"), ninety);
        assert_eq!(asked("Mon Nov 23 12:01:30 2026"), ninety);
    }

    #[test]
    fn a_date_in_the_past_means_now_and_nonsense_means_nothing() {
        assert_eq!(asked("Mon, 23 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
        assert_eq!(asked("NaN"), None);
        assert_eq!(asked("1e300"), Some(LONGEST));
    }

    #[test]
    fn waits_double_from_one_second_and_end_with_the_attempts() {
        let backoff = Backoff::new(6);
        for (failed, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16)] {
            let wait = backoff.after(failed, None).unwrap();
            let base = Duration::from_secs(seconds);
            assert!(
                wait >= base && wait <= base + base / 4,
                "{failed}: {wait:?}"
            );
        }
        assert_eq!(backoff.after(6, None), None);
    }

    #[test]
    fn a_longer_wish_of_the_server_wins_and_a_shorter_one_does_not() {
        let backoff = Backoff::new(6);
        let minute = Duration::from_secs(60);
        assert!(backoff.after(1, Some(minute)).unwrap() >= minute);
        assert!(backoff.after(4, Some(Duration::from_secs(1))).unwrap() >= Duration::from_secs(8));
    }
}
