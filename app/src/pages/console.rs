//! The console itself: about.

use crate::{
    api::administrators::{About, LoadAbout},
    components::{fact, facts, head, load, loaded, moment},
};
use leptos::prelude::*;

#[component]
pub fn AboutPage() -> impl IntoView {
    view! { {head("About", "", None)}{loaded(load(|| (), |()| LoadAbout {}), about)} }
}

fn about(about: About) -> AnyView {
    let workers = if about.workers.is_empty() {
        "None is running".to_owned()
    } else {
        about.workers.join(", ")
    };
    facts(vec![
        fact("Version", about.version),
        fact(
            "Build",
            about
                .build
                .unwrap_or_else(|| "Made for development".to_owned()),
        ),
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
