//! One run: how far it is, what it did, and what did not work.

use super::skipped::FORGOTTEN;
use super::{csv_link, operation_rows, operations_table, run_state, skip_rows};
use crate::{
    api::{
        runs::{
            LoadRun, Operations, Run, RunPage as Page, RunProgress, RunState, SkipGroup, Stage,
            StageState,
        },
        terms::{AppStatus, OperationKind},
    },
    components::{
        PostForm, asked, button_link, crumbs, deed, figure, figures, hidden, icon, keep_fresh,
        load, loaded, moment, note, note_plain, pager, param, person_ref, query, sheet, state_chip,
        strip, strip_item, title, words,
    },
    format,
};
use leptos::prelude::*;

const KINDS: [(&str, OperationKind); 6] = [
    ("create", OperationKind::Create),
    ("link", OperationKind::Link),
    ("update", OperationKind::Update),
    ("suspend", OperationKind::Suspend),
    ("unsuspend", OperationKind::Unsuspend),
    ("delete", OperationKind::Delete),
];

#[component]
pub fn RunPage() -> impl IntoView {
    let (slug, number, kind, page_number) =
        (param("slug"), param("number"), query("kind"), query("page"));
    let data = load(
        move || {
            (
                slug(),
                number().parse::<i64>().unwrap_or(0),
                kind(),
                page_number(),
            )
        },
        |(slug, number, kind, page)| {
            let kind = kind.and_then(|key| KINDS.iter().find(|(k, _)| *k == key));
            LoadRun {
                slug,
                number,
                kind: kind.map(|(_, kind)| *kind),
                page: page.and_then(|page| page.parse().ok()),
            }
        },
    );
    keep_fresh(data, |page| !page.run.row.state.is_over());
    loaded(data, page)
}

fn page(page: Page) -> AnyView {
    let Page {
        run,
        failures,
        operations,
    } = page;
    let slug = run.head.slug.clone();
    let number = run.row.number;
    let (word, tone, shape) = run_state(run.row.state);
    let live = !run.row.state.is_over();
    let preview = run.row.state == RunState::Planned;
    let heading = match (live, preview) {
        (true, _) => format!("Run {} is under way", format::number(number)),
        (_, true) => "What the next run would do".to_owned(),
        _ => format!("Run {}", format::number(number)),
    };
    let by = run.row.by.clone().map(|by| format!(" by {by}"));
    let stop = live.then(|| {
        one_button(
            "/api/stop_run",
            &slug,
            number,
            "button",
            Some("stop"),
            "Stop run",
        )
    });
    // An app that is off is turned on with a look at its plan.
    let off = run.head.status == AppStatus::Off;
    let approve = preview.then(|| {
        if off {
            let turn_on = format!("/apps/{slug}/autoprovisioning/turn-on");
            return deed(button_link(turn_on, "button--primary", "Turn on…"));
        }
        let n = run.row.planned.operations();
        let text = if n == 0 {
            "Nothing to run".to_owned()
        } else {
            format!(
                "Run exactly this, {}",
                format::counted(n, "operation", "operations")
            )
        };
        one_button(
            "/api/approve_run",
            &slug,
            number,
            "button button--primary",
            None,
            text,
        )
    });
    let csv = (!live).then(|| csv_link(&slug, number));
    let problem = run.problem.clone().map(|problem| {
        note(
            "failed",
            "op-failed",
            problem.title,
            view! { <p>{problem.cause}</p><p>{problem.remedy}{problem.next_try.map(|at| view! { " Next try at " {moment(at)} "." })}</p> },
        )
    });
    let counts = if preview {
        run.row.planned
    } else {
        run.row.done
    };
    let of = |n: u32| {
        if live && n > 0 {
            format!(" of {}", format::number(n))
        } else {
            String::new()
        }
    };
    let planned = run.row.planned;
    let numbers = figures(vec![
        figure(
            counts.create,
            "created",
            "op-create",
            format!(
                "{}{}",
                if preview { "Create" } else { "Created" },
                of(planned.create)
            ),
        ),
        figure(
            counts.link,
            "neutral",
            "op-link",
            format!(
                "{}{}",
                if preview { "Link" } else { "Linked" },
                of(planned.link)
            ),
        ),
        figure(
            counts.update,
            "updated",
            "op-update",
            format!(
                "{}{}",
                if preview { "Update" } else { "Updated" },
                of(planned.update)
            ),
        ),
        figure(
            counts.suspend,
            "suspended",
            "op-suspend",
            format!(
                "{}{}",
                if preview { "Suspend" } else { "Suspended" },
                of(planned.suspend)
            ),
        ),
        figure(
            counts.unsuspend,
            "created",
            "op-unsuspend",
            format!(
                "{}{}",
                if preview { "Unsuspend" } else { "Unsuspended" },
                of(planned.unsuspend)
            ),
        ),
        figure(
            counts.delete,
            "deleted",
            "op-delete",
            format!(
                "{}{}",
                if preview { "Delete" } else { "Deleted" },
                of(planned.delete)
            ),
        ),
        figure(run.row.failed, "failed", "op-failed", "Failed"),
        figure(run.row.held, "held", "op-held", "Held"),
        figure(planned.skipped, "neutral", "op-skip", "Skipped"),
    ]);
    let trail = vec![
        (format!("/apps/{slug}"), run.head.name.clone()),
        (format!("/apps/{slug}/runs"), "Runs".to_owned()),
    ];
    view! {
        {title(format!("Run {number}, {}", run.head.name))}
        <div class="page-head">
            {crumbs(trail, format!("Run {}", format::number(number)))}
            <div class="page-head__row"><h1>{heading}</h1>{state_chip(tone, shape, word)}<div class="actions">{csv}{stop}{approve}</div></div>
            <p class="lede">
                "Started at " {moment(run.row.started_at)} {by}
                {run.directory_read_at.map(|at| view! { ", from the directory read at " {moment(at)} })}
                ". "
                {live.then_some("Stopping takes effect between two requests.")}
            </p>
        </div>
        {problem}
        {stages_and_progress(&run)}
        <div class="section"></div>
        {sheet("so-far", if live { "So far" } else { "Figures" }, "By operation.", None, numbers)}
        {failure_sheet(&slug, number, &failures)}
        {operation_sheet(&slug, number, &operations, preview)}
        {skip_sheet(&slug, number, &run.skipped, planned.skipped)}
    }
    .into_any()
}

fn one_button(
    action: &'static str,
    slug: &str,
    number: i64,
    class: &'static str,
    shape: Option<&'static str>,
    text: impl Into<String>,
) -> Option<AnyView> {
    let (slug, text) = (slug.to_owned(), text.into());
    let button = view! {
        <PostForm action=action class="inline">
            {hidden("slug", slug)}
            {hidden("number", number.to_string())}
            <button class=class type="submit">{shape.map(icon)}{text}</button>
        </PostForm>
    };
    deed(button.into_any())
}

/// Stages, and while it runs the bar, the figures and a word for those who listen.
pub fn stages_and_progress(run: &Run) -> AnyView {
    let stages = run.stages.iter().map(stage).collect::<Vec<_>>();
    let current = run
        .stages
        .iter()
        .find(|stage| stage.state == StageState::Current)
        .map(|stage| format!("{}: in progress", stage.name));
    let spoken = current.unwrap_or_else(|| run_state(run.row.state).0.to_owned());
    let progress = run
        .progress
        .as_ref()
        .map(|progress| bar(progress, run.row.failed));
    let throttled = run.throttled.as_ref().map(|slow| {
        note_plain(
            "suspended",
            "st-waiting",
            "",
            view! {
                <p>
                    <b>{format!("{} asked to slow down", run.head.name)}</b>
                    " at "
                    {moment(slow.at)}
                    {format!(" for {}. The pace rises again by itself.", format::duration(slow.seconds.into()))}
                </p>
            },
        )
    });
    let plain = (!run.row.state.is_over()).then(
        || view! { <p class="only-plain"><a href="" rel="external">"Refresh this page"</a></p> },
    );
    view! {
        <section class="stack" aria-label="Progress">
            <ol class="stages">{stages}</ol>
            <p class="visually-hidden" role="status">{spoken}</p>
            {progress}
            {throttled}
            {plain}
        </section>
    }
    .into_any()
}

fn stage(stage: &Stage) -> AnyView {
    let (tone, shape) = match stage.state {
        StageState::Done => ("created", "st-on"),
        StageState::Current => ("accent", "st-running"),
        StageState::ToCome => ("neutral", "st-none"),
        StageState::Failed => ("failed", "op-failed"),
    };
    let current = (stage.state == StageState::Current).then_some("step");
    view! {
        <li class=format!("tone-{tone}") aria-current=current>
            {icon(shape)}
            <b>{stage.name.clone()}</b>
            <small>{stage.detail.clone()}</small>
        </li>
    }
    .into_any()
}

fn bar(progress: &RunProgress, failed: u32) -> AnyView {
    let percent = (progress.done * 100).checked_div(progress.of).unwrap_or(0);
    let rate = match progress.per_10_seconds {
        Some(n) => format!("{}.{} a second", n / 10, n % 10),
        None => "–".to_owned(),
    };
    let flight = format!("up to {} requests at a time", progress.concurrency);
    let left = progress.seconds_left.map_or("–".to_owned(), |s| {
        format!("about {}", format::duration(s.into()))
    });
    view! {
        <label for="progress" class="visually-hidden">"Operations applied"</label>
        <progress id="progress" max=progress.of.max(1).to_string() value=progress.done.to_string()>
            {format!("{} of {}", progress.done, progress.of)}
        </progress>
        {strip(vec![
            strip_item("Done", format!("{} of {}", format::number(progress.done), format::number(progress.of)), format!("{percent} %")),
            strip_item("Rate", rate, flight),
            strip_item("Remaining", left, format::counted(progress.of.saturating_sub(progress.done), "operation", "operations")),
            strip_item("Failures", format::number(failed), "they do not stop the others"),
        ])}
    }
    .into_any()
}

fn failure_sheet(slug: &str, number: i64, failures: &Operations) -> Option<AnyView> {
    if failures.rows.is_empty() {
        return None;
    }
    let rows = failures
        .rows
        .iter()
        .map(|row| {
            let failure = row.failure.clone();
            let (slug, id) = (slug.to_owned(), row.id.clone());
            let name = row.person.name.clone();
            let (cause, helps, next) = match failure {
                Some(failure) => (
                    view! { {words("failed", "op-failed", failure.title)}<br/><span class="soft">{failure.cause}</span> }.into_any(),
                    failure.remedy.into_any(),
                    failure.next_try.map(moment),
                ),
                None => (words("failed", "op-failed", "Failed"), ().into_any(), None),
            };
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
                    <td role="cell" data-label="Cause">{cause}</td>
                    <td role="cell" data-label="What helps">{helps}</td>
                    <td role="cell" data-label="Next try">{next}</td>
                    <td role="cell" class="bare">
                        {deed(view! {
                            <PostForm action="/api/retry_operation" class="inline">
                                {hidden("slug", slug)}
                                {hidden("number", number.to_string())}
                                {hidden("operation", id)}
                                <button class="button button--s" type="submit">"Retry"<span class="visually-hidden">{format!(" {name}")}</span></button>
                            </PostForm>
                        }.into_any())}
                    </td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    Some(wide(
        "failures",
        "Failures",
        "Each with its cause, what helps, and the next try.",
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Cause"</th>
                        <th role="columnheader" scope="col">"What helps"</th>
                        <th role="columnheader" scope="col">"Next try"</th>
                        <th role="columnheader" scope="col"><span class="visually-hidden">"Action"</span></th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        },
    ))
}

fn operation_sheet(slug: &str, number: i64, operations: &Operations, preview: bool) -> AnyView {
    let chosen = asked("kind").unwrap_or_default();
    let base = format!("/apps/{slug}/runs/{number}");
    let link = |key: &str, text: &str| {
        let href = if key.is_empty() {
            base.clone()
        } else {
            format!("{base}?kind={key}")
        };
        let current = (key == chosen).then_some("true");
        view! { <a href=href aria-current=current>{text.to_owned()}</a> }.into_any()
    };
    let mut links = vec![link("", "All")];
    links.extend(
        KINDS
            .iter()
            .map(|(key, kind)| link(key, crate::words::operation(*kind).0)),
    );
    let body = if operations.rows.is_empty() {
        view! { <p class="soft">"No operations of this kind."</p> }.into_any()
    } else {
        let address = if chosen.is_empty() {
            base.clone()
        } else {
            format!("{base}?kind={chosen}")
        };
        view! { {operations_table(operation_rows(&operations.rows))}{pager(operations.paging, &address)} }.into_any()
    };
    wide(
        "operations",
        "Operations",
        if preview {
            "Who, what, and why. Nothing was sent."
        } else {
            "Who, what, and why."
        },
        view! { <nav class="tabs" aria-label="Kind of operation">{links}</nav>{body} },
    )
}

fn skip_sheet(slug: &str, number: i64, skipped: &[SkipGroup], counted: u32) -> Option<AnyView> {
    (counted > 0 || !skipped.is_empty()).then(|| {
        let (lead, body) = if skipped.is_empty() {
            (FORGOTTEN, ().into_any())
        } else {
            (
                "Everybody else, by the rule that decided.",
                operations_table(skip_rows(slug, number, skipped)),
            )
        };
        wide("skipped", "Skipped", lead, body)
    })
}

/// A section whose table needs the whole width.
fn wide(
    id: &'static str,
    title: &'static str,
    sentence: &'static str,
    body: impl IntoAny,
) -> AnyView {
    view! {
        <section class="section stack" aria-labelledby=id>
            <div><h2 id=id>{title}</h2><p class="hint">{sentence}</p></div>
            {body.into_any()}
        </section>
    }
    .into_any()
}
