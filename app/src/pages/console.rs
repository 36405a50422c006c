//! The console itself: settings, about.

use crate::{
    api::administrators::{About, Settings, load_about, load_settings},
    components::{fact, facts, head, load, loaded, moment, sheet},
};
use leptos::prelude::*;

#[component]
pub fn SettingsPage() -> impl IntoView {
    view! {
        {head("Settings", "How this installation is set. The operator changes it where Rollcall is started.", None)}
        {loaded(load(|| (), |()| load_settings()), settings)}
    }
}

fn settings(settings: Settings) -> AnyView {
    const IDS: [&str; 6] = ["set-0", "set-1", "set-2", "set-3", "set-4", "set-5"];
    settings
        .sections
        .into_iter()
        .zip(IDS)
        .map(|((name, rows), id)| {
            let rows = rows
                .into_iter()
                .map(|(label, value)| fact(label, value))
                .collect();
            sheet(id, name, "", None, facts(rows))
        })
        .collect::<Vec<_>>()
        .into_any()
}

#[component]
pub fn AboutPage() -> impl IntoView {
    view! { {head("About", "", None)}{loaded(load(|| (), |()| load_about()), about)} }
}

fn about(about: About) -> AnyView {
    let workers = if about.workers.is_empty() {
        "None is running".to_owned()
    } else {
        about.workers.join(", ")
    };
    facts(vec![
        fact("Version", about.version),
        fact("Started", moment(about.started_at)),
        fact("Database", about.database),
        fact("Schema", about.schema_version.to_string()),
        fact("Job engine", about.job_engine),
        fact("Workers", workers),
        fact(
            "Mode",
            if about.demo {
                "Demo, with emulators"
            } else {
                "Production"
            },
        ),
    ])
}
