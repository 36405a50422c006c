//! How long somebody stays signed in.

use super::{lede, section};
use crate::{
    api::settings::{LoadSessionLimits, SessionLimits, SessionLimitsPage},
    components::{Field, PostForm, fact, facts, load, loaded, moment, note_plain, read_only},
    format,
};
use leptos::prelude::*;

/// What is offered; another number that is saved is offered too.
const IDLE_MINUTES: [u32; 8] = [15, 30, 60, 120, 240, 480, 720, 1440];
const LONGEST_HOURS: [u32; 8] = [4, 8, 12, 24, 72, 168, 336, 720];

#[component]
pub fn SessionsPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadSessionLimits {}), page)
}

/// "15 minutes", "8 hours", "7 days".
fn period(minutes: u32) -> String {
    let counted = |n: u32, one, many| format::counted(n, one, many);
    match minutes {
        n if n % 60 != 0 => counted(n, "minute", "minutes"),
        n if n < 48 * 60 || n % (24 * 60) != 0 => counted(n / 60, "hour", "hours"),
        n => counted(n / 60 / 24, "day", "days"),
    }
}

/// "8 hours without use, 7 days in any case".
pub(super) fn in_words(limits: &SessionLimits) -> String {
    format!(
        "Signed out after {} without use, after {} in any case",
        period(limits.idle_minutes),
        period(limits.longest_hours * 60)
    )
}

fn options(offered: &[u32], saved: u32, minutes: u32) -> Vec<(String, String)> {
    let mut offered = offered.to_vec();
    offered.push(saved);
    offered.sort_unstable();
    offered.dedup();
    let option = |n: u32| (n.to_string(), period(n * minutes));
    offered.into_iter().map(option).collect()
}

fn page(page: SessionLimitsPage) -> AnyView {
    let saved = page.saved;
    let idle = Field::new("idle_minutes", "Signed out without use after")
        .value(saved.idle_minutes.to_string());
    let longest = Field::new("longest_hours", "Signed out in any case after")
        .value(saved.longest_hours.to_string());
    let form = if page.may_change {
        view! {
            <PostForm action="/api/save_session_limits" class="stack measure" locked=true>
                {idle.select(options(&IDLE_MINUTES, saved.idle_minutes, 1))}
                {longest.select(options(&LONGEST_HOURS, saved.longest_hours, 60))}
                <div class="actions"><button class="button button--primary" type="submit">"Save"</button></div>
            </PostForm>
        }
        .into_any()
    } else {
        view! { <p>{in_words(&saved)}</p>{read_only()} }.into_any()
    };
    let changed = page
        .changed
        .map(|(at, by)| facts(vec![fact("Changed last", view! { {by} ", " {moment(at)} })]));
    section(
        "sessions",
        Vec::new(),
        "Sessions",
        lede("How long somebody stays signed in to this console."),
        view! {
            {form}
            {changed}
            {note_plain(
                "neutral",
                "info",
                "Shorter times hold at once, for everybody who is signed in",
                view! {
                    <p>
                        "Longer ones hold for whoever signs in from now on. Yours are listed on "
                        <a href="/account#sessions">"your account"</a>
                        ", another administrator's on "
                        <a href="/administrators">"their page"</a>
                        "."
                    </p>
                },
            )}
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_largest_unit_that_fits() {
        let words: Vec<_> = [15, 60, 90, 480, 1440, 2880, 10080].map(period).into();
        let expected = [
            "15 minutes",
            "1 hour",
            "90 minutes",
            "8 hours",
            "24 hours",
            "2 days",
            "7 days",
        ];
        assert_eq!(words, expected);
    }
}
