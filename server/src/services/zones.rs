//! Days in the reader's time zone: a day begins at their midnight, and some have 23 or 25 hours.

use app::format::Local;
use chrono::{
    DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Timelike as _, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};

/// A time zone that is known by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    pub const UTC: Self = Self(Tz::UTC);

    pub fn known(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// An unknown name is UTC: it comes from a cookie, and nothing depends on it but days.
    pub fn named(name: &str) -> Self {
        Self::known(name).unwrap_or(Self::UTC)
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day on which a moment lies here.
    pub fn day(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// The first moment of a day here. Where clocks skip midnight, that is when they go on.
    pub fn start(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        (0..=8)
            .filter_map(|quarters| midnight.checked_add_signed(TimeDelta::minutes(30 * quarters)))
            .find_map(|time| self.0.from_local_datetime(&time).earliest())
            .map_or_else(|| midnight.and_utc(), |start| start.with_timezone(&Utc))
    }

    /// The first moment of the month in which a moment lies here.
    pub fn month(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let day = self.day(at);
        self.start(day.with_day(1).unwrap_or(day))
    }

    /// The first moment after a day.
    pub fn end(self, day: NaiveDate) -> DateTime<Utc> {
        day.succ_opt()
            .map_or_else(|| self.start(day), |next| self.start(next))
    }

    /// What a clock on the wall here shows at a moment.
    pub fn local(self, now: DateTime<Utc>, at: DateTime<Utc>) -> Local {
        let (here, today) = (at.with_timezone(&self.0), now.with_timezone(&self.0));
        Local {
            year: u32::try_from(here.year()).unwrap_or_default(),
            month: here.month0(),
            day: here.day(),
            hour: here.hour(),
            minute: here.minute(),
            second: here.second(),
            this_year: here.year() == today.year(),
            today: here.date_naive() == today.date_naive(),
        }
    }
}

/// The names that a reader can choose from, in their order.
pub fn names() -> Vec<String> {
    TZ_VARIANTS
        .iter()
        .map(|zone| zone.name().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_midnight_there_whatever_the_season() {
        let berlin = Zone::named("Europe/Berlin");
        assert_eq!(
            berlin.start(day("2026-11-23")),
            time("2026-11-22T23:00:00Z")
        );
        assert_eq!(
            berlin.start(day("2026-07-01")),
            time("2026-06-30T22:00:00Z")
        );
        // The day on which summer time ends has 25 hours.
        let long = berlin.end(day("2026-10-25")) - berlin.start(day("2026-10-25"));
        assert_eq!(long, TimeDelta::hours(25));
        assert_eq!(berlin.day(time("2026-11-22T23:30:00Z")), day("2026-11-23"));
    }

    #[test]
    fn a_month_begins_where_the_reader_is() {
        let berlin = Zone::named("Europe/Berlin");
        let december = time("2026-11-30T23:00:00Z");
        assert_eq!(berlin.month(time("2026-11-30T23:30:00Z")), december);
        assert_eq!(Zone::UTC.month(december), time("2026-11-01T00:00:00Z"));
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_the_clocks_go_on() {
        let beirut = Zone::named("Asia/Beirut");
        assert_eq!(
            beirut.start(day("2025-03-30")),
            time("2025-03-29T22:00:00Z")
        );
        assert_eq!(
            beirut.day(beirut.start(day("2025-03-30"))),
            day("2025-03-30")
        );
    }

    #[test]
    fn an_unknown_zone_is_utc() {
        assert_eq!(Zone::named("Mars/Olympus"), Zone::UTC);
        assert!(Zone::known("Mars/Olympus").is_none());
        assert!(names().contains(&"Asia/Kolkata".to_owned()));
    }
}
