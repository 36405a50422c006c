//! The console itself: administrators, settings, about.

use crate::{
    api::administrators::{
        About, Administrator, Settings, load_about, load_administrators, load_settings,
    },
    components::{fact, facts, head, load, loaded, moment, sheet, time_day},
    words,
};
use leptos::prelude::*;

#[component]
pub fn AdministratorsPage() -> impl IntoView {
    view! {
        {head("Administrators", "Who may sign in to this console. Super administrators change things; auditors only read.", None)}
        {loaded(load(|| (), |()| load_administrators()), administrators)}
    }
}

fn administrators(list: Vec<Administrator>) -> AnyView {
    let rows = list
        .into_iter()
        .map(|one| {
            let you = one
                .you
                .then(|| view! { " " <span class="muted">"(you)"</span> });
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row"><b>{one.email}</b>{you}</th>
                    <td role="cell" data-label="Role">{words::role(one.role)}</td>
                    <td role="cell" data-label="Since">{time_day(one.created_at)}</td>
                    <td role="cell" data-label="Last sign-in">
                        {match one.signed_in_at {
                            Some(at) => moment(at),
                            None => view! { <span class="muted">"Never"</span> }.into_any(),
                        }}
                    </td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"E-mail"</th>
                    <th role="columnheader" scope="col">"Role"</th>
                    <th role="columnheader" scope="col">"Since"</th>
                    <th role="columnheader" scope="col">"Last sign-in"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        <p class="hint">"Another administrator is created at a shell: " <code>"rollcall admin create --email E"</code></p>
    }
    .into_any()
}

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
