//! Runs of an app, and one run with everything it did.

mod operations;
mod run;
mod skipped;

pub use operations::{csv_link, operation_rows, operations_table, skip_rows};
pub use run::{RunPage, stages_and_progress};
pub use skipped::SkippedPage;

use super::home::done;
use crate::{
    api::runs::{LoadRuns, RunKind, RunList, RunRow, RunState},
    components::{
        app_page, button_link, empty, keep_fresh, load, loaded, moment, pager, param, plain_button,
        query, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn RunsPage() -> impl IntoView {
    let (slug, number) = (param("slug"), query("page"));
    let data = load(
        move || {
            (
                slug(),
                number().and_then(|page| page.parse().ok()).unwrap_or(1),
            )
        },
        |(slug, page)| LoadRuns { slug, page },
    );
    keep_fresh(data, |list| {
        list.rows.iter().any(|row| !row.state.is_over())
    });
    loaded(data, list)
}

pub fn run_state(state: RunState) -> (&'static str, &'static str, &'static str) {
    match state {
        RunState::Waiting => ("Waiting", "neutral", "st-waiting"),
        RunState::Running => ("Running", "updated", "st-running"),
        RunState::Completed => ("Done", "created", "st-on"),
        RunState::CompletedWithFailures => ("Done, some failed", "failed", "op-failed"),
        RunState::Held => ("Done, removals held", "held", "op-held"),
        RunState::Stopped => ("Stopped", "failed", "st-stopped"),
        RunState::Failed => ("Failed", "failed", "op-failed"),
        RunState::Planned => ("Preview", "neutral", "op-same"),
    }
}

fn kind_words(kind: RunKind) -> &'static str {
    match kind {
        RunKind::First => "First run",
        RunKind::Scheduled => "Scheduled",
        RunKind::ByHand => "By hand",
        RunKind::Preview => "Preview",
        RunKind::OnePerson => "One person",
        RunKind::SomePeople => "Some people",
    }
}

fn list(list: RunList) -> AnyView {
    let slug = list.head.slug.clone();
    let body = if list.rows.is_empty() {
        empty(
            "st-waiting",
            "No run yet. The first one starts when you turn on.",
            None,
        )
    } else {
        let rows = list
            .rows
            .iter()
            .map(|row| run_row(&slug, row))
            .collect::<Vec<_>>();
        let address = format!("/apps/{slug}/runs");
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Run"</th>
                        <th role="columnheader" scope="col">"State"</th>
                        <th role="columnheader" scope="col">"Started"</th>
                        <th role="columnheader" scope="col">"Took"</th>
                        <th role="columnheader" scope="col">"Outcome"</th>
                        <th role="columnheader" scope="col">"By"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(list.paging, &address)}
        }
        .into_any()
    };
    view! { {app_page(&list.head, "runs", None, None)}{body} }.into_any()
}

fn run_row(slug: &str, row: &RunRow) -> AnyView {
    let (word, tone, shape) = run_state(row.state);
    let outcome = if row.state == RunState::Planned {
        format!(
            "{} planned",
            format::counted(row.planned.operations(), "operation", "operations")
        )
    } else {
        done(&row.done, row.held, row.failed)
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">
                <a href=format!("/apps/{slug}/runs/{}", row.number)>{format!("Run {}", format::number(row.number))}</a>
            </th>
            <td role="cell" data-label="State">{words(tone, shape, word)}</td>
            <td role="cell" data-label="Started">{moment(row.started_at)}</td>
            <td role="cell" data-label="Took">{row.seconds.map(|s| format::duration(s.into()))}</td>
            <td role="cell" data-label="Outcome">{outcome}</td>
            <td role="cell" data-label="By">{row.by.clone().unwrap_or_else(|| kind_words(row.kind).to_owned())}</td>
        </tr>
    }
    .into_any()
}

/// For pages of an app: run now and preview.
pub fn run_buttons(slug: &str, primary: bool) -> AnyView {
    view! {
        {plain_button("/api/preview_run", slug, "", None, "Preview")}
        {plain_button("/api/start_run", slug, if primary { "button--primary" } else { "" }, None, "Run now")}
    }
    .into_any()
}

/// Where a run is.
pub fn run_link(slug: &str, number: i64) -> AnyView {
    button_link(
        format!("/apps/{slug}/runs/{number}"),
        "button--s",
        "Open the run",
    )
}
