//! One person now: the form, and what happened the last time.

use crate::{
    api::{
        directory::PersonApp,
        on_demand::{PersonRun, PersonStep, StepResult},
    },
    components::{PostForm, change_list, hidden, icon, moment, note_plain, state_chip},
    pages::runs::run_state,
};
use leptos::prelude::*;

/// The form and the trace of one app, below its rules. `person` is the directory id.
pub fn on_demand(person: &str, app: &PersonApp, may_provision: bool) -> AnyView {
    let form = (may_provision && app.is_on).then(|| {
        let spoken = format!(" in {}", app.name);
        let fields = vec![
            hidden("slug", app.slug.clone()),
            hidden("person", person),
        ];
        view! {
            <div class="actions">
                <PostForm action="/api/provision_now" class="inline">
                    {fields}
                    <button class="button" type="submit">"Provision now"<span class="visually-hidden">{spoken}</span></button>
                </PostForm>
            </div>
            <p class="hint">"Reads the person from Google again and does at once what is due. Holds and protection still apply."</p>
        }
    });
    let trace = app.run.as_ref().map(|run| trace(&app.name, run));
    view! { {form} {trace} }.into_any()
}

fn trace(app: &str, run: &PersonRun) -> AnyView {
    let (word, tone, shape) = run_state(run.state);
    let by = match &run.by {
        Some(by) => format!(" by {by}"),
        None => " because Google told of a change".to_owned(),
    };
    let steps = run.steps.iter().map(step).collect::<Vec<_>>();
    let waits = (!run.state.is_over()).then(|| {
        note_plain(
            "updated",
            "st-running",
            "Under way",
            view! { <p class="only-plain"><a href="" rel="external">"Load this page again to see how it went"</a></p> },
        )
    });
    let problem = run.problem.as_ref().map(|problem| {
        view! {
            <div class="note tone-failed" role="status">
                {icon("op-failed")}
                <div><h4>{problem.title.clone()}</h4><p>{problem.cause.clone()}</p><p>{problem.remedy.clone()}</p></div>
            </div>
        }
    });
    view! {
        <details class="stack" open=run.state.is_over()>
            <summary>{format!("{app}, step by step: ")} {moment(run.started_at)} {by} " " {state_chip(tone, shape, word)}</summary>
            {waits}
            <ol class="trace">{steps}</ol>
            {problem}
        </details>
    }
    .into_any()
}

fn step(step: &PersonStep) -> AnyView {
    let (tone, shape) = match step.result {
        StepResult::Passed => ("created", "st-on"),
        StepResult::Refused => ("failed", "op-failed"),
        StepResult::Noted => ("neutral", "st-none"),
    };
    let changes = (!step.changes.is_empty()).then(|| change_list(&step.changes));
    let content = step.content.clone().map(|content| {
        view! { <details><summary>"Show the content"</summary><pre class="scroll" tabindex="0"><code>{content}</code></pre></details> }
    });
    view! {
        <li class=format!("tone-{tone}")>{icon(shape)}<div><h3>{step.name.clone()} " " <span>{step.detail.clone()}</span></h3>{changes}{content}</div></li>
    }
    .into_any()
}
