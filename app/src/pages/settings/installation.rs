//! How this installation is set where it is started.

use super::{lede, section};
use crate::{
    api::administrators::{LoadSettings, Settings},
    components::{fact, facts, load, loaded, sheet},
};
use leptos::prelude::*;

#[component]
pub fn InstallationPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadSettings {}), page)
}

fn page(settings: Settings) -> AnyView {
    const IDS: [&str; 6] = ["set-0", "set-1", "set-2", "set-3", "set-4", "set-5"];
    let sheets = settings
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
        .collect::<Vec<_>>();
    section(
        "installation",
        Vec::new(),
        "Installation",
        lede("How this installation is set. The operator changes it where Rollcall is started."),
        sheets,
    )
}
