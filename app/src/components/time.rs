//! Times in the reader's own zone: as the browser told it the server before, and as the browser
//! itself has it once the page is alive. Until anybody knows it, UTC.

use crate::{browser, format};
use chrono::{DateTime, NaiveDate, Utc};
use leptos::prelude::*;

/// Turns true once the browser has taken the page over.
#[derive(Clone, Copy)]
pub struct Alive(pub RwSignal<bool>);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The day with its hour; today only the hour.
    Moment,
    Day,
    /// With seconds, for logs.
    Seconds,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn local_text(at: format::Local, show: Show) -> String {
    let month = MONTHS[at.month as usize % 12];
    let day = if at.this_year && show != Show::Day {
        format!("{} {month}", at.day)
    } else {
        format!("{} {month} {}", at.day, at.year)
    };
    match show {
        Show::Day => day,
        Show::Moment if at.today => format!("{:02}:{:02}", at.hour, at.minute),
        Show::Moment => format!("{day}, {:02}:{:02}", at.hour, at.minute),
        Show::Seconds => format!("{day} {:02}:{:02}:{:02}", at.hour, at.minute, at.second),
    }
}

/// On the server, when a cookie says where the reader is. The page comes alive over this text
/// without touching it, and then says the same.
#[cfg(feature = "ssr")]
fn as_told(at: DateTime<Utc>) -> Option<format::Local> {
    use_context::<crate::api::preferences::ReaderClock>().map(|clock| (clock.0)(at))
}

#[cfg(not(feature = "ssr"))]
fn as_told(_: DateTime<Utc>) -> Option<format::Local> {
    None
}

#[must_use]
pub fn time(at: DateTime<Utc>, show: Show) -> AnyView {
    let alive = use_context::<Alive>();
    let text = move || {
        let local = alive
            .filter(|alive| alive.0.get())
            .and_then(|_| browser::local(at))
            .or_else(|| as_told(at));
        match (local, show) {
            (Some(local), _) => local_text(local, show),
            (None, Show::Day) => format::day(at),
            (None, Show::Moment) => format::moment(at),
            (None, Show::Seconds) => format::seconds(at),
        }
    };
    view! { <time datetime=format::machine(at)>{text}</time> }.into_any()
}

/// A sentence of the rules, which are in no zone, with its moments in the reader's.
#[must_use]
pub fn with_times(sentence: &str) -> AnyView {
    const STAMP: usize = "2026-11-27 17:03".len();
    let mut parts: Vec<AnyView> = Vec::new();
    let mut rest = sentence;
    let (mut said, mut from) = (0, 0);
    while let Some(found) = rest[from..].find(" UTC") {
        let end = from + found;
        let start = end.checked_sub(STAMP);
        from = end + " UTC".len();
        let Some((start, at)) =
            start.and_then(|start| Some((start, stamp(rest.get(start..end)?)?)))
        else {
            continue;
        };
        parts.push(rest[said..start].to_owned().into_any());
        parts.push(moment(at));
        said = from;
    }
    rest = &rest[said..];
    parts.push(rest.to_owned().into_any());
    parts.into_any()
}

/// "2026-11-27 17:03", by hand: chrono's reader of formats would weigh more in the browser.
fn stamp(text: &str) -> Option<DateTime<Utc>> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse().ok();
    let year = text.get(0..4)?.parse().ok()?;
    NaiveDate::from_ymd_opt(year, part(5, 7)?, part(8, 10)?)?
        .and_hms_opt(part(11, 13)?, part(14, 16)?, 0)
        .map(|at| at.and_utc())
}

#[must_use]
pub fn moment(at: DateTime<Utc>) -> AnyView {
    time(at, Show::Moment)
}

#[must_use]
pub fn time_day(at: DateTime<Utc>) -> AnyView {
    time(at, Show::Day)
}

/// "in 17 h 18 min", or that it is due.
#[must_use]
pub fn until(now: DateTime<Utc>, at: DateTime<Utc>) -> String {
    let seconds = (at - now).num_seconds();
    if seconds <= 0 {
        "due now".to_owned()
    } else {
        format!("in {}", format::duration(seconds.max(60)))
    }
}
