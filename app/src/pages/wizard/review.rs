//! Step 5: the first plan, person by person, and turning on.

use super::step_head;
use crate::{
    api::wizard::{LoadReviewStep, OperationGroup, Plan, PlanState, ReviewStep, Step},
    components::{
        PostForm, Tick, button_link, deed_or_why, figure, figures, hidden, keep_fresh, load,
        loaded, may_change, moment, note, note_plain, param, plain_button, read_only, roll,
        waiting,
    },
    format,
    pages::runs::{csv_link, operation_rows, operations_table, skip_rows},
    words,
};
use leptos::prelude::*;

#[component]
pub fn ReviewPage() -> impl IntoView {
    let data = load(param("slug"), |slug| LoadReviewStep { slug });
    keep_fresh(data, |step| matches!(step.plan, PlanState::Planning { .. }));
    loaded(data, page)
}

fn page(step: ReviewStep) -> AnyView {
    let slug = step.head.slug.clone();
    let app = step.head.name.clone();
    let head = |heading: &str, lede: AnyView| {
        step_head(
            &step.head,
            &step.progress,
            Step::Review,
            false,
            heading.to_owned(),
            lede,
        )
    };
    let back = format!("/apps/{slug}/setup/deprovisioning");
    match step.plan {
        PlanState::None => {
            let missing = Step::ALL.into_iter().find(|one| *one != Step::Review && !step.progress.done.contains(one));
            let body = match missing {
                Some(missing) => note(
                    "suspended",
                    "st-waiting",
                    "A step before this one is not finished",
                    view! {
                        <div class="actions">
                            {deed_or_why(button_link(format!("/apps/{slug}/setup/{}", missing.path()), "button--primary", format!("Finish {}", super::name(missing).to_lowercase())))}
                        </div>
                    },
                ),
                None => note(
                    "accent",
                    "op-same",
                    "There is no plan yet",
                    view! { <div class="actions">{deed_or_why(plain_button("/api/plan_again", &slug, "button--primary", None, "Make a plan"))}</div> },
                ),
            };
            view! { {head("What will the first run do?", "A plan says it, person by person. Nothing is sent.".into_any())}{body} }.into_any()
        }
        PlanState::Planning { stage } => view! {
            {head("The plan is being made", "Everybody is looked at, and compared with the accounts that exist. Nothing is sent.".into_any())}
            {waiting(stage)}
            <div class="actions section"><a class="button" href=back>"Back"</a></div>
        }
        .into_any(),
        PlanState::Failed { problem } => view! {
            {head("There is no plan yet", "Nothing was sent.".into_any())}
            {note(
                "failed",
                "op-failed",
                "Planning failed",
                view! {
                    <p>{problem}</p>
                    <div class="actions">{deed_or_why(plain_button("/api/plan_again", &slug, "button--primary", None, "Try again"))}</div>
                },
            )}
            <div class="actions section"><a class="button" href=back>"Back"</a></div>
        }
        .into_any(),
        PlanState::Ready(plan) => {
            let lede = view! {
                "Planned at "
                {moment(plan.planned_at)}
                " from the directory read at "
                {moment(plan.directory_read_at)}
                ". Exactly this runs when you turn on. Nothing has been sent yet."
            };
            view! { {head("This is what the first run will do", lede.into_any())}{ready(&slug, &app, &plan, back)} }.into_any()
        }
    }
}

fn ready(slug: &str, app: &str, plan: &Plan, back: String) -> AnyView {
    let counts = plan.counts;
    let ticks = vec![
        Tick {
            look: "in",
            count: counts.link,
            label: "linked to an account they have".to_owned(),
            href: None,
        },
        Tick {
            look: "new",
            count: counts.create,
            label: "created".to_owned(),
            href: None,
        },
        Tick {
            look: "out",
            count: plan.everybody.saturating_sub(counts.link + counts.create),
            label: "skipped, with a reason".to_owned(),
            href: None,
        },
    ];
    let next = if counts.create > 0 {
        view! { <b>{format::people(counts.create)}</b> {format!(" get an account and may receive an invitation from {app}.")} }.into_any()
    } else {
        "Nobody new gets an account.".into_any()
    };
    let again = plain_button("/api/plan_again", slug, "button--quiet", None, "Plan again");
    let (owner, number) = (slug.to_owned(), plan.number.to_string());
    let last = if may_change() {
        view! {
            <p>{next}</p>
            <div class="actions">
                {again}
                <a class="button" href=back>"Back"</a>
                <PostForm action="/api/turn_on_first" class="inline" confirmed=true>
                    {hidden("slug", owner)}
                    {hidden("plan", number)}
                    <button class="button button--primary" type="submit">"Turn on"</button>
                </PostForm>
            </div>
        }
        .into_any()
    } else {
        read_only()
    };
    view! {
        {shown(slug, app, plan, Some(roll("plan", ticks)))}
        <div class="save-bar">{last}</div>
    }
    .into_any()
}

/// Everything that a plan would do, in numbers and by name.
pub(super) fn shown(slug: &str, app: &str, plan: &Plan, roll: Option<AnyView>) -> AnyView {
    let counts = plan.counts;
    let again = (counts.unsuspend > 0)
        .then(|| figure(counts.unsuspend, "created", "op-unsuspend", "Unsuspend"));
    let numbers = [
        Some(figure(counts.create, "created", "op-create", "Create")),
        Some(figure(counts.link, "neutral", "op-link", "Link")),
        Some(figure(counts.update, "updated", "op-update", "Update")),
        Some(figure(counts.suspend, "suspended", "op-suspend", "Suspend")),
        again,
        Some(figure(counts.delete, "deleted", "op-delete", "Delete")),
        Some(figure(counts.skipped, "neutral", "op-skip", "Skip")),
    ];
    let groups = plan
        .groups
        .iter()
        .map(|group| group_rows(slug, plan.number, group))
        .collect::<Vec<_>>();
    let skipped = skip_rows(slug, plan.number, &plan.skipped);
    let only = plan.only_in_app.filter(|n| *n > 0).map(|n| {
        note_plain(
            "neutral",
            "shield",
            format!(
                "{} exist only in {app}",
                format::counted(n, "account", "accounts")
            ),
            view! { <p>"Rollcall never touches them."</p> },
        )
    });
    let csv = csv_link(slug, plan.number);
    view! {
        <div class="stack">
            {figures(numbers.into_iter().flatten().collect())}
            {roll}
            <div class="page-head__row">
                <p class="soft">{format!("{} to the app.", format::counted(plan.requests, "request", "requests"))}</p>
                <div class="actions">{csv}</div>
            </div>
        </div>
        <section class="section" aria-labelledby="ops">
            <h2 id="ops" class="visually-hidden">"Operations"</h2>
            {operations_table(view! { {groups}{skipped} }.into_any())}
            {only}
        </section>
    }
    .into_any()
}

fn group_rows(slug: &str, number: i64, group: &OperationGroup) -> AnyView {
    let (word, ..) = words::operation(group.kind);
    let shown = u32::try_from(group.rows.len()).unwrap_or(group.count);
    let more = group.count.saturating_sub(shown);
    let href = format!("/apps/{slug}/runs/{number}?kind={}", word.to_lowercase());
    let more = (more > 0).then(|| {
        view! { <tr role="row"><td role="cell" colspan="4"><a href=href>{format!("{} more", format::number(more))}</a></td></tr> }
    });
    view! {
        <tr role="row" class="group">
            <th role="rowheader" colspan="4" scope="rowgroup">{word} " " <span class="muted">{format::people(group.count)}</span></th>
        </tr>
        {operation_rows(&group.rows)}
        {more}
    }
    .into_any()
}
