//! Every section in a line.

use super::{address, held_from, lede, section};
use crate::{
    api::settings::{LoadSettingsOverview, SettingsOverview},
    components::{load, loaded, words},
    format,
};
use leptos::prelude::*;

#[component]
pub fn OverviewPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadSettingsOverview {}), page)
}

fn page(settings: SettingsOverview) -> AnyView {
    let channels = match (settings.channels, settings.failing) {
        (0, _) => words("suspended", "st-off", "Nobody is told"),
        (n, 0) => words(
            "created",
            "st-on",
            format::counted(n, "channel", "channels"),
        ),
        (n, failing) => words(
            "failed",
            "op-failed",
            format!(
                "{failing} of {} failing",
                format::counted(n, "channel", "channels")
            ),
        ),
    };
    let open = (settings.open > 0).then(|| {
        let n = format::counted(settings.open, "thing needs", "things need");
        view! { <span class="muted">{format!(" {n} somebody now")}</span> }
    });
    let apps = |text: &dyn Fn(&crate::api::settings::AppSafety) -> String| {
        let lines = settings
            .apps
            .iter()
            .map(|app| view! { <span class="settings__line"><bdi>{app.name.clone()}</bdi>{format!(": {}", text(app))}</span> }.into_any())
            .collect::<Vec<_>>();
        if lines.is_empty() {
            view! { <span class="muted">"No app yet"</span> }.into_any()
        } else {
            lines.into_any()
        }
    };
    let thresholds = apps(&|app| match &app.thresholds {
        Some(thresholds) => held_from(thresholds, app.accounts).to_lowercase(),
        None => "not configured".to_owned(),
    });
    let protected = apps(&|app| match app.protected {
        0 => "nobody".to_owned(),
        n => format::people(n),
    });
    let retention = match settings.retention_days {
        None => "The log is kept for ever".to_owned(),
        Some(days) => format!("The log is kept for {}", super::retention::period(days)),
    };
    let row = |path: &'static str, name: &'static str, says: &'static str, state: AnyView| {
        view! {
            <li>
                <div><h2><a href=address(path)>{name}</a></h2><p>{says}</p></div>
                <div class="settings__state">{state}</div>
            </li>
        }
        .into_any()
    };
    let body = view! {
        <ul class="settings__list">
            {row(
                "notifications",
                "Notifications",
                "Who is told when something needs somebody.",
                view! { {channels}{open} }.into_any(),
            )}
            {row("thresholds", "Thresholds", "From how many removals on they wait for your word.", thresholds)}
            {row("protected", "Protected people", "Whose account is never suspended or deleted.", protected)}
            {row("retention", "Retention", "How long the audit log is kept.", retention.into_any())}
            {row(
                "sessions",
                "Sessions",
                "How long somebody stays signed in.",
                super::sessions::in_words(&settings.sessions).into_any(),
            )}
            {row(
                "installation",
                "Installation",
                "What the operator set where Rollcall is started.",
                view! { <span class="muted">"Read only"</span> }.into_any(),
            )}
        </ul>
    };
    section(
        "",
        Vec::new(),
        "Settings",
        lede("What holds for the whole console, and the safety of each app."),
        body,
    )
}
