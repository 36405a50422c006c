//! Numbers, times and addresses as text, the same on both sides.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment on a reader's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub year: u32,
    /// From 0.
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub this_year: bool,
    pub today: bool,
}

/// A name inside a sentence, whichever way it is written: it does not turn the rest around.
#[must_use]
pub fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}

/// 1234567 as "1,234,567".
#[must_use]
pub fn number(n: impl Into<i64>) -> String {
    let n: i64 = n.into();
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        text.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 person", "12 people".
#[must_use]
pub fn counted(n: u32, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

#[must_use]
pub fn people(n: u32) -> String {
    counted(n, "person", "people")
}

/// "23 Nov".
#[must_use]
pub fn short_day(day: NaiveDate) -> String {
    let month = MONTHS[day.month0() as usize % 12];
    format!("{} {month}", day.day())
}

/// "Mon 23 Nov".
#[must_use]
pub fn weekday(day: NaiveDate) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let name = DAYS[day.weekday().num_days_from_monday() as usize % 7];
    format!("{name} {}", short_day(day))
}

/// "23 Nov 2026".
#[must_use]
pub fn day(time: DateTime<Utc>) -> String {
    let month = MONTHS[time.month0() as usize % 12];
    format!("{} {month} {}", time.day(), time.year())
}

/// "23 Nov 2026, 16:05 UTC".
#[must_use]
pub fn moment(time: DateTime<Utc>) -> String {
    format!("{}, {:02}:{:02} UTC", day(time), time.hour(), time.minute())
}

/// "23 Nov 2026 16:05:37 UTC".
#[must_use]
pub fn seconds(time: DateTime<Utc>) -> String {
    format!(
        "{} {:02}:{:02}:{:02} UTC",
        day(time),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// For a `datetime` attribute, without a formatter's machinery.
#[must_use]
pub fn machine(time: DateTime<Utc>) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// "41 s", "3 min 20 s", "2 h 5 min", "3 days".
#[must_use]
pub fn duration(seconds: i64) -> String {
    let s = seconds.max(0);
    match s {
        0..60 => format!("{s} s"),
        60..3600 if s % 60 == 0 || s >= 600 => format!("{} min", s / 60),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..172_800 if s % 3600 < 60 => format!("{} h", s / 3600),
        3600..172_800 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} days", s / 86_400),
    }
}

/// A value for a query string.
#[must_use]
pub fn query_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(-1_234_567), "-1,234,567");
    }

    #[test]
    fn durations_use_at_most_two_units() {
        assert_eq!(duration(41), "41 s");
        assert_eq!(duration(200), "3 min 20 s");
        assert_eq!(duration(1_380), "23 min");
        assert_eq!(duration(62_280), "17 h 18 min");
        assert_eq!(duration(20 * 86_400), "20 days");
    }

    #[test]
    fn a_query_value_holds_nothing_that_ends_it() {
        assert_eq!(query_value("a b&c=ö"), "a%20b%26c%3D%C3%B6");
    }
}
