//! How long the audit log is kept.

use super::{lede, section};
use crate::{
    api::settings::{LoadRetention, RetentionPage as Retention},
    components::{
        Field, PostForm, fact, facts, field_error, labelled, load, loaded, moment, note_plain,
        read_only, time_day,
    },
};
use leptos::prelude::*;

/// What is offered; another number that is saved is offered too.
const CHOICES: [u32; 8] = [90, 180, 365, 730, 1095, 1825, 2555, 3650];

#[component]
pub fn RetentionPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadRetention {}), page)
}

/// "90 days", "2 years".
pub(super) fn period(days: u32) -> String {
    match days {
        365 => "1 year".to_owned(),
        days if days % 365 == 0 => format!("{} years", days / 365),
        days => crate::format::counted(days, "day", "days"),
    }
}

fn page(retention: Retention) -> AnyView {
    let mut choices = CHOICES.to_vec();
    choices.extend(retention.days);
    choices.sort_unstable();
    choices.dedup();
    let mut options = vec![(String::new(), "For ever".to_owned())];
    options.extend(
        choices
            .into_iter()
            .map(|days| (days.to_string(), period(days))),
    );
    let saved = retention.days.map(|days| days.to_string());
    let begins = match retention.oldest_event {
        Some(at) => time_day(at),
        None => "It is empty".into_any(),
    };
    let changed = retention
        .changed
        .map(|(at, by)| fact("Changed last", view! { {by} ", " {moment(at)} }));
    let goes = retention.kept_since.map(|at| {
        fact(
            "Removed",
            view! { "Months that are wholly before " {time_day(at)} },
        )
    });
    let known = [Some(fact("The log begins", begins)), goes, changed];
    let known = facts(known.into_iter().flatten().collect());
    let form = if retention.may_change {
        view! {
            <PostForm action="/api/save_retention" class="stack measure" locked=true>
                {Field::new("days", "Keep events for").value(saved.unwrap_or_default()).select(options)}
                {confirmed()}
                <div class="actions"><button class="button button--primary" type="submit">"Save"</button></div>
            </PostForm>
        }
        .into_any()
    } else {
        read_only()
    };
    section(
        "retention",
        Vec::new(),
        "Retention",
        lede("How long the audit log is kept."),
        view! {
            {form}
            {known}
            {note_plain(
                "neutral",
                "info",
                "Only whole months are removed",
                view! { <p>"Each removal is an event itself. The rest of the log stays provable. Export what you have to keep longer first."</p> },
            )}
        },
    )
}

fn confirmed() -> AnyView {
    labelled("confirmed", "Removing older events");
    let (wrong, error) = field_error("confirmed");
    view! {
        <div class="field">
            <label class="check">
                <input
                    type="checkbox"
                    id="confirmed"
                    name="confirmed"
                    value="true"
                    aria-invalid=move || wrong.get().then_some("true")
                    aria-describedby=move || wrong.get().then_some("confirmed-error")
                />
                <span>"Older events may be removed for good" <small class="hint">"Needed when you choose a shorter time than before."</small></span>
            </label>
            {error}
        </div>
    }
    .into_any()
}
