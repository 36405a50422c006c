//! The queue of what waits to happen to accounts.

use crate::{
    api::{
        queue::{DoNow, Queue, QueueRow, StepKind, Waits, load_do_now, load_queue},
        terms::{AppStatus, Time},
    },
    components::{
        PostForm, app_page, button_link, confirmation, empty, hidden, load, loaded, moment, note,
        op, pager, param, person_ref, query, until, words,
    },
    format, words as say,
};
use leptos::prelude::*;

#[component]
pub fn QueuePage() -> impl IntoView {
    let (slug, number) = (param("slug"), query("page"));
    let data = load(
        move || {
            (
                slug(),
                number().and_then(|page| page.parse().ok()).unwrap_or(1),
            )
        },
        |(slug, page)| load_queue(slug, page),
    );
    loaded(data, queue)
}

fn queue(queue: Queue) -> AnyView {
    let slug = queue.head.slug.clone();
    let body = if queue.rows.is_empty() {
        empty(
            "st-waiting",
            "Nobody waits. Suspensions and deletions show up here before they happen.",
            None,
        )
    } else {
        let rows = queue
            .rows
            .iter()
            .map(|row| queue_row(&queue, row))
            .collect::<Vec<_>>();
        let address = format!("/apps/{slug}/queue");
        let decision = queue
            .may_decide
            .then(|| view! { <th role="columnheader" scope="col">"Decision"</th> });
        view! {
            <table role="table" class="table stacks">
                <caption>{format!("{} wait. When the cause ends in time, the step is cancelled by itself.", format::counted(queue.paging.total, "step", "steps"))}</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Step"</th>
                        <th role="columnheader" scope="col">"Due"</th>
                        <th role="columnheader" scope="col">"Cause"</th>
                        <th role="columnheader" scope="col">"Since"</th>
                        {decision}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(queue.paging, &address)}
        }
        .into_any()
    };
    view! { {app_page(&queue.head, "queue", None, None)}{to_review(&queue)}{body} }.into_any()
}

/// What waits on the other page.
fn to_review(queue: &Queue) -> Option<AnyView> {
    let waiting = say::held(queue.under_review, queue.held_creates)?;
    let href = format!("/apps/{}/review", queue.head.slug);
    Some(note(
        "held",
        "op-held",
        waiting,
        view! {
            <p>"They are more than you allow at once, or fell due while the app was off. Other changes went through."</p>
            <div class="actions">{button_link(href, "button--primary", "Look at them")}</div>
        },
    ))
}

fn queue_row(queue: &Queue, row: &QueueRow) -> AnyView {
    let operation = row.operation();
    let decision = queue.may_decide.then(|| {
        view! { <td role="cell" data-label="Decision">{decision(queue, row)}</td> }
    });
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Step">{op(operation)}</td>
            <td role="cell" data-label="Due">{due(row, queue.now)}</td>
            <td role="cell" data-label="Cause">{say::trigger(row.key.trigger)}</td>
            <td role="cell" data-label="Since">{moment(row.since)}</td>
            {decision}
        </tr>
    }
    .into_any()
}

fn due(row: &QueueRow, now: Time) -> AnyView {
    let below =
        |text: String| view! { {moment(row.due)}<br/><span class="muted">{text}</span> }.into_any();
    match row.waits {
        Waits::Review => words("held", "op-held", "Held for review"),
        Waits::Held => view! { {words("held", "op-held", "Held")}<br/><span class="muted">"until it is released"</span> }.into_any(),
        Waits::Archived => view! { "Stands still"<br/><span class="muted">"archived, not managed"</span> }.into_any(),
        Waits::Suspension => below(format!("{}, after the suspension", until(now, row.due))),
        Waits::NextRun => below("with the next run".to_owned()),
        Waits::Time => below(until(now, row.due)),
    }
}

/// The buttons of one row. They work without WebAssembly: each is the submission of a form, or a
/// link to a page that asks.
fn decision(queue: &Queue, row: &QueueRow) -> AnyView {
    let slug = queue.head.slug.clone();
    let button = |choice: &'static str, text: &'static str| {
        let spoken = format!("{text}: {}, {}", row.person.name, step_word(row));
        view! { <button class="button button--s" type="submit" name="choice" value=choice aria-label=spoken>{text}</button> }
            .into_any()
    };
    let buttons = match row.waits {
        Waits::Review => {
            let spoken = format!("Review: {}, {}", row.person.name, step_word(row));
            let href = format!("/apps/{slug}/review");
            return view! { <a class="button button--s" href=href aria-label=spoken>"Review"</a> }
                .into_any();
        }
        Waits::Held => vec![
            button("release", "Release"),
            button("cancel", "Cancel this step"),
        ],
        _ => vec![button("hold", "Hold"), button("cancel", "Cancel this step")],
    };
    let soon = matches!(row.waits, Waits::NextRun | Waits::Archived);
    let now = (row.earliest && !soon).then(|| {
        let step = format::query_value(&row.key.to_string());
        let href = format!("/apps/{slug}/queue/now?step={step}");
        let spoken = format!("{}: {}", now_words(row.key.step), row.person.name);
        view! { <a class=now_class(row.key.step) href=href aria-label=spoken>{now_words(row.key.step)}"…"</a> }
    });
    let fields = vec![
        hidden("slug", slug),
        hidden("step", row.key.to_string()),
        hidden("page", queue.paging.page.to_string()),
    ];
    view! {
        <PostForm action="/api/decide_step" class="inline">
            {fields}
            <div class="actions">{buttons}{now}</div>
        </PostForm>
    }
    .into_any()
}

fn step_word(row: &QueueRow) -> &'static str {
    say::operation(row.operation()).0
}

fn now_words(step: StepKind) -> &'static str {
    match step {
        StepKind::Suspend => "Suspend now",
        StepKind::Delete => "Delete now",
    }
}

fn now_class(step: StepKind) -> &'static str {
    match step {
        StepKind::Suspend => "button button--s",
        StepKind::Delete => "button button--s button--danger",
    }
}

#[component]
pub fn DoNowPage() -> impl IntoView {
    let (slug, step) = (param("slug"), query("step"));
    let data = load(
        move || (slug(), step().unwrap_or_default()),
        |(slug, step)| load_do_now(slug, step),
    );
    loaded(data, do_now)
}

fn do_now(ask: DoNow) -> AnyView {
    let (slug, app) = (ask.head.slug.clone(), ask.head.name.clone());
    let (person, row) = (&ask.row.person, &ask.row);
    let back = format!("/apps/{slug}/queue");
    let trail = vec![
        (format!("/apps/{slug}"), app.clone()),
        (back.clone(), "Queue".to_owned()),
    ];
    let (verb, deed) = match row.key.step {
        StepKind::Suspend => ("Suspend", "Suspend 1 account"),
        StepKind::Delete => ("Delete", "Delete 1 account"),
    };
    let mut text = vec![format!(
        "{} ({}). {}, since {}.",
        person.name,
        person.email,
        say::trigger(row.key.trigger),
        format::moment(row.since)
    )];
    text.extend(ask.does);
    text.push(when(&ask.head.status).to_owned());
    text.push(
        "It is not counted by the hold, and it is carried out even when other removals are held."
            .to_owned(),
    );
    let button = ask.may_decide.then(|| {
        let fields = vec![
            hidden("slug", slug),
            hidden("step", row.key.to_string()),
            hidden("choice", "now"),
        ];
        view! {
            <PostForm action="/api/decide_step" class="inline">
                {fields}
                <button class="button button--danger" type="submit">{deed}</button>
            </PostForm>
        }
    });
    confirmation(
        trail,
        format!("{verb} {} in {app} now?", person.name),
        text,
        button.into_any(),
        back,
    )
}

/// When a decision is carried out, and what is asked before.
fn when(status: &AppStatus) -> &'static str {
    match status {
        AppStatus::On | AppStatus::Running { .. } | AppStatus::Held { .. } => {
            "A run starts within seconds. It asks Google first: when the cause has ended, nothing is sent."
        }
        AppStatus::Off | AppStatus::NotConfigured | AppStatus::Stopped { .. } => {
            "Nothing is sent while the app is not on. The first run after that asks Google, and sends nothing when the cause has ended."
        }
    }
}
