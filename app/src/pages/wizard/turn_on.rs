//! Turning on again: the question, with the plan of the first run (S7.1).

use super::review::shown;
use crate::{
    api::{
        terms::AppStatus,
        wizard::{LoadReviewStep, PlanState, ReviewStep},
    },
    components::{
        PostForm, confirmed_button, crumbs, deed_or_why, hidden, keep_fresh, load, loaded,
        may_change, moment, note, param, title, waiting,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn TurnOnPage() -> impl IntoView {
    let data = load(param("slug"), |slug| LoadReviewStep { slug });
    keep_fresh(data, |step| matches!(step.plan, PlanState::Planning { .. }));
    loaded(data, page)
}

fn page(step: ReviewStep) -> AnyView {
    let (slug, app) = (step.head.slug.as_str(), step.head.name.as_str());
    let back = format!("/apps/{slug}/autoprovisioning");
    let trail = vec![
        (format!("/apps/{slug}"), app.to_owned()),
        (back.clone(), "Autoprovisioning".to_owned()),
    ];
    let off = step.head.status == AppStatus::Off;
    let heading = if off {
        format!("Turn on autoprovisioning of {app}?")
    } else {
        format!("Autoprovisioning of {app} is not off")
    };
    let body = off.then(|| question(&step));
    let turn_on = off.then(|| {
        deed_or_why(confirmed_button(
            "/api/turn_on",
            slug,
            "button--primary",
            "Turn on",
        ))
    });
    view! {
        {title(heading.clone())}
        <div class="page-head">
            {crumbs(trail, heading.clone())}
            <h1>{heading}</h1>
        </div>
        {body}
        <div class="actions section">{turn_on}<a class="button" href=back>"Back"</a></div>
    }
    .into_any()
}

fn question(step: &ReviewStep) -> AnyView {
    let (slug, app) = (step.head.slug.as_str(), step.head.name.as_str());
    let overdue = (step.overdue > 0).then(|| {
        let are = if step.overdue == 1 { "is" } else { "are" };
        let text = format!(
            "{} of the queue {are} overdue. After more than a day off, what is overdue waits for your word; otherwise the run carries it out.",
            format::counted(step.overdue, "step", "steps"),
        );
        view! { <li>{text}</li> }
    });
    let plan = match &step.plan {
        PlanState::None => note(
            "accent",
            "op-same",
            "There is no plan of it yet",
            view! { <p>"A plan says what the run would do, person by person. Nothing is sent."</p>{make(slug, "Make a plan")} },
        ),
        PlanState::Planning { stage } => waiting(format!("The plan is being made: {stage}")),
        PlanState::Failed { problem } => note(
            "failed",
            "op-failed",
            "Planning failed",
            view! { <p>{problem.clone()}</p>{make(slug, "Try again")} },
        ),
        PlanState::Ready(plan) => view! {
            <p>"Planned at " {moment(plan.planned_at)} " from the directory read at " {moment(plan.directory_read_at)} ":"</p>
            {shown(slug, app, plan, None)}
            {make(slug, "Plan again")}
        }
        .into_any(),
    };
    view! {
        <ul class="bullets measure">
            <li>"A run starts at once. It reads the directory again and plans from that, with the configuration as it is."</li>
            {overdue}
        </ul>
        <section class="section stack" aria-labelledby="first-plan">
            <h2 id="first-plan">"What the run would do"</h2>
            {plan}
        </section>
    }
    .into_any()
}

fn make(slug: &str, text: &'static str) -> Option<AnyView> {
    let slug = slug.to_owned();
    let form = move || {
        view! {
            <div class="actions">
                <PostForm action="/api/plan_again" class="inline">
                    {hidden("slug", slug)}
                    {hidden("live", "true")}
                    <button class="button" type="submit">{text}</button>
                </PostForm>
            </div>
        }
        .into_any()
    };
    may_change().then(form)
}
