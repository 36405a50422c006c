//! The queue of what waits to happen to accounts.

mod decide;
mod forecast;

pub use decide::DecidePage;

use crate::{
    api::{
        queue::{
            CHOICES, LoadQueue, Queue, QueueQuery, QueueRow, STEPS, StepChoice, StepKind, TRIGGERS,
            WAITS_FOR, Waits, WaitsFor,
        },
        terms::Time,
    },
    browser,
    components::{
        Field, GetForm, PostForm, app_page, asked, button_link, empty, hidden, load, loaded,
        moment, note, note_plain, op, pager, param, person_ref, until, words,
    },
    format, words as say,
};
use chrono::NaiveDate;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The form that the boxes of the list belong to, wherever they stand.
const DECISION: &str = "decision";

#[component]
pub fn QueuePage() -> impl IntoView {
    let slug = param("slug");
    let asked = use_query_map();
    let data = load(
        move || (slug(), asked.with(|query| filters(|name| query.get(name)))),
        |(slug, query): (String, QueueQuery)| LoadQueue { slug, query },
    );
    loaded(data, queue)
}

/// The filters of an address. What nobody could mean filters nothing.
fn filters(get: impl Fn(&str) -> Option<String>) -> QueueQuery {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    QueueQuery {
        q: get("q"),
        step: get("step").and_then(|key| of(&STEPS, &key)),
        cause: get("cause").and_then(|key| of(&TRIGGERS, &key)),
        waits: get("waits").and_then(|key| of(&WAITS_FOR, &key)),
        day: get("day").and_then(|day| day.parse().ok()),
        page: get("page").and_then(|page| page.parse().ok()).unwrap_or(1),
    }
}

fn of<T: Copy>(table: &[(&str, T)], key: &str) -> Option<T> {
    table
        .iter()
        .find(|(word, _)| *word == key)
        .map(|(_, value)| *value)
}

fn key_of<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table
        .iter()
        .find(|(_, one)| *one == value)
        .map_or("", |(word, _)| word)
}

/// The filters as names and values of an address, without the page.
fn pairs(query: &QueueQuery) -> Vec<(&'static str, String)> {
    [
        ("q", query.q.clone()),
        ("step", query.step.map(|one| key_of(&STEPS, one).to_owned())),
        (
            "cause",
            query.cause.map(|one| key_of(&TRIGGERS, one).to_owned()),
        ),
        (
            "waits",
            query.waits.map(|one| key_of(&WAITS_FOR, one).to_owned()),
        ),
        ("day", query.day.map(|day| day.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn address(query: &QueueQuery) -> String {
    pairs(query)
        .iter()
        .map(|(name, value)| format!("{name}={}", format::query_value(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// The filters that the page was built with.
fn here() -> QueueQuery {
    use_query_map().with_untracked(|query| filters(|name| query.get(name)))
}

fn queue(queue: Queue) -> AnyView {
    let query = here();
    let base = format!("/apps/{}/queue", queue.head.slug);
    let filtered = !pairs(&query).is_empty();
    if queue.all == 0 && !filtered {
        return view! {
            {app_page(&queue.head, "queue", None, None)}
            {decided()}
            {to_review(&queue)}
            {empty(
                "st-waiting",
                "Nobody waits. Suspensions and deletions show up here before they happen.",
                Some(button_link(format!("{base}?waits=cancelled"), "button--quiet", "Show cancelled steps")),
            )}
        }
        .into_any();
    }
    let body = if queue.rows.is_empty() {
        empty(
            "search",
            "No step fits these filters.",
            Some(button_link(base.clone(), "", "Show all steps")),
        )
    } else {
        list(&queue, &query, &base)
    };
    let forecast = (queue.all > 0).then(|| forecast::picture(&queue.forecast, &base));
    view! {
        {app_page(&queue.head, "queue", None, None)}
        {decided()}
        {to_review(&queue)}
        {forecast}
        <section class="section" aria-labelledby="waiting">
            <h2 id="waiting">{heading(&queue, &query)}</h2>
            {filter_form(&query, &base)}
            {body}
        </section>
    }
    .into_any()
}

fn heading(queue: &Queue, query: &QueueQuery) -> String {
    let shown = format::counted(queue.paging.total, "step", "steps");
    let day = query
        .day
        .map(|day| format!(" on {}", format::weekday(day)))
        .unwrap_or_default();
    match query.waits {
        Some(WaitsFor::Cancelled) => format!("{shown} cancelled{day}"),
        _ if pairs(query).is_empty() => format!("{shown} waiting"),
        _ => format!(
            "{} of {} waiting{day}",
            format::number(queue.paging.total),
            format::counted(queue.all, "step", "steps")
        ),
    }
}

/// What was decided a moment ago on the page before this one.
fn decided() -> Option<AnyView> {
    let choice = of(&CHOICES, &asked("decided")?)?;
    let count = |name: &str| asked(name).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    let (done, missed) = (count("done"), count("missed"));
    let steps = format::counted(done, "step", "steps");
    let text = match choice {
        StepChoice::Cancel => format!("{steps} cancelled. The accounts stay as they are."),
        StepChoice::Hold => format!("{steps} held until somebody releases them."),
        StepChoice::Release => format!("{steps} released."),
        StepChoice::Now => {
            format!("{steps} marked for now. A run carries them out and asks Google first.")
        }
    };
    let missed = (missed > 0).then(|| {
        format!(
            " {} had changed meanwhile, and nothing was decided about them.",
            format::counted(missed, "other", "others")
        )
    });
    Some(note_plain(
        "created",
        "st-on",
        "",
        view! { <p role="status">{text}{missed}</p> },
    ))
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

fn filter_form(query: &QueueQuery, base: &str) -> AnyView {
    let any = |text: &str, list: &[(&str, &str)]| {
        let mut options = vec![(String::new(), text.to_owned())];
        options.extend(
            list.iter()
                .map(|(key, word)| ((*key).to_owned(), (*word).to_owned())),
        );
        options
    };
    let steps = any(
        "Any step",
        &[("suspend", "Suspensions"), ("delete", "Deletions")],
    );
    let causes = any(
        "Any cause",
        &TRIGGERS.map(|(key, trigger)| (key, say::trigger(trigger))),
    );
    let states = any(
        "Waiting",
        &[
            ("soon", "Due within 24 hours"),
            ("held", "Held by somebody"),
            ("review", "Held for review"),
            ("archived", "Archived, standing still"),
            ("cancelled", "Cancelled"),
        ],
    );
    let now = pairs(query);
    let value = |name: &str| {
        now.iter()
            .find(|(one, _)| *one == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    let search = Field::new("q", "Search")
        .kind("search")
        .placeholder("Name, e-mail");
    let fields = vec![
        search.value(value("q")).input(),
        Field::new("step", "Step")
            .value(value("step"))
            .select(steps),
        Field::new("waits", "State")
            .value(value("waits"))
            .select(states),
        Field::new("cause", "Cause")
            .value(value("cause"))
            .select(causes),
        Field::new("day", "Due on")
            .kind("date")
            .value(value("day"))
            .input(),
    ];
    let clear = base.to_owned();
    view! {
        <GetForm action=base.to_owned() class="filters" label="Filter the queue">
            {fields}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href=clear>"Clear"</a>
            </div>
        </GetForm>
    }
    .into_any()
}

fn list(queue: &Queue, query: &QueueQuery, base: &str) -> AnyView {
    let back = address(query);
    let rows = queue
        .rows
        .iter()
        .map(|row| line(queue, row, &back))
        .collect::<Vec<_>>();
    let tick_all = queue.may_decide.then(|| {
        let all = move |event| browser::tick_all("chosen", event_target_checked(&event));
        view! {
            <th role="columnheader" scope="col" class="tick">
                <input type="checkbox" class="only-alive" aria-label="Tick all on this page" on:change=all/>
                <span class="visually-hidden only-plain">"Ticked"</span>
            </th>
        }
    });
    let decision = queue
        .may_decide
        .then(|| view! { <th role="columnheader" scope="col">"Decision"</th> });
    let bar = queue.may_decide.then(|| bar(queue, query, base));
    let address = if back.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{back}")
    };
    let history = format!("/apps/{}/history", queue.head.slug);
    view! {
        <p class="soft">
            "When a cause ends in time, its step is cancelled by itself. A change of the configuration that caused too many can be put back: "
            <a href=history>"what changed last"</a>
            "."
        </p>
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    {tick_all}
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"Step"</th>
                    <th role="columnheader" scope="col">"Due"</th>
                    <th role="columnheader" scope="col">"Because"</th>
                    {decision}
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {pager(queue.paging, &address)}
        {bar}
    }
    .into_any()
}

fn line(queue: &Queue, row: &QueueRow, back: &str) -> AnyView {
    let tick = queue.may_decide.then(|| {
        let spoken = format!("{} {}", step_word(row), row.person.name);
        view! {
            <td role="cell" class="tick">
                <input type="checkbox" name="chosen" form=DECISION value=row.key.to_string() aria-label=spoken/>
            </td>
        }
    });
    let decision = queue.may_decide.then(|| {
        view! { <td role="cell" data-label="Decision">{decision(queue, row, back)}</td> }
    });
    view! {
        <tr role="row">
            {tick}
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Step">{op(row.operation())}</td>
            <td role="cell" data-label="Due">{due(row, queue.now)}</td>
            <td role="cell" class="why" data-label="Because">
                {say::trigger(row.key.trigger)}
                ", since "
                {moment(row.since)}
            </td>
            {decision}
        </tr>
    }
    .into_any()
}

/// The countdown first, then the time.
pub(super) fn due(row: &QueueRow, now: Time) -> AnyView {
    let two = |above: AnyView, below: AnyView| {
        view! { {above}<br/><span class="muted">{below}</span> }.into_any()
    };
    let bold = |text: String| view! { <b>{text}</b> }.into_any();
    match row.waits {
        Waits::Review => words("held", "op-held", "Held for review"),
        Waits::Held => two(
            words("held", "op-held", "Held"),
            "until it is released".into_any(),
        ),
        Waits::Cancelled => two(
            words("neutral", "undo", "Cancelled"),
            "until its cause ends".into_any(),
        ),
        Waits::Archived => two(
            bold("Stands still".to_owned()),
            "archived, not managed".into_any(),
        ),
        Waits::Suspension => two(
            bold(until(now, row.due)),
            view! { {moment(row.due)} ", after the suspension" }.into_any(),
        ),
        Waits::NextRun => two(
            bold("Due now".to_owned()),
            view! { "with the next run, since " {moment(row.due)} }.into_any(),
        ),
        Waits::Time => two(bold(until(now, row.due)), moment(row.due)),
    }
}

/// What can be decided about one step. Holding and releasing can be taken back and happen at once;
/// the rest leads to a page that asks.
fn decision(queue: &Queue, row: &QueueRow, back: &str) -> AnyView {
    let slug = queue.head.slug.clone();
    let spoken = |text: &str| format!("{text}: {}, {}", row.person.name, step_word(row));
    if row.waits == Waits::Review {
        let href = format!("/apps/{slug}/review");
        return view! { <a class="button button--s" href=href aria-label=spoken("Review")>"Review"</a> }
            .into_any();
    }
    let ask = |choice: &str, class: &'static str, text: &'static str| {
        let key = format::query_value(&row.key.to_string());
        let joint = if back.is_empty() { "" } else { "&" };
        let href = format!("/apps/{slug}/queue/decide?choice={choice}&chosen={key}{joint}{back}");
        view! { <a class=format!("button button--s {class}") href=href aria-label=spoken(text)>{text}"…"</a> }
            .into_any()
    };
    let at_once = match row.waits {
        Waits::Held => ("release", "Release"),
        Waits::Cancelled => ("release", "Take it up again"),
        _ => ("hold", "Hold"),
    };
    let soon = matches!(row.waits, Waits::NextRun | Waits::Archived);
    let cancel = (row.waits != Waits::Cancelled).then(|| ask("cancel", "", "Cancel"));
    let now = (row.earliest && !soon).then(|| match row.key.step {
        StepKind::Suspend => ask("now", "", "Suspend now"),
        StepKind::Delete => ask("now", "button--danger", "Delete now"),
    });
    let fields = vec![
        hidden("slug", slug.clone()),
        hidden("choice", at_once.0),
        hidden("chosen[steps][0]", row.key.to_string()),
        hidden("back", back.to_owned()),
    ];
    let at_once_spoken = spoken(at_once.1);
    view! {
        <div class="actions">
            <PostForm action="/api/decide_steps" class="inline">
                {fields}
                <button class="button button--s" type="submit" aria-label=at_once_spoken>{at_once.1}</button>
            </PostForm>
            {cancel}
            {now}
        </div>
    }
    .into_any()
}

/// Decides about what is ticked, or about everything that the filters leave.
fn bar(queue: &Queue, query: &QueueQuery, base: &str) -> AnyView {
    let fields = pairs(query)
        .into_iter()
        .map(|(name, value)| hidden(name, value))
        .collect::<Vec<_>>();
    let many = queue.paging.total > u32::try_from(queue.rows.len()).unwrap_or(u32::MAX);
    let all = many.then(|| {
        let text = format!(
            "All {} that the filters leave, on every page",
            format::number(queue.paging.total)
        );
        view! { <label class="check"><input type="checkbox" name="all" value="1"/><span>{text}</span></label> }
    });
    let button = |choice: StepChoice, class: &'static str, text: &'static str| {
        let value = key_of(&CHOICES, choice);
        view! { <button class=format!("button {class}") type="submit" name="choice" value=value>{text}</button> }
            .into_any()
    };
    let buttons = match query.waits {
        Some(WaitsFor::Cancelled) => {
            vec![button(StepChoice::Release, "", "Take selected up again…")]
        }
        Some(WaitsFor::Held) => vec![
            button(StepChoice::Release, "", "Release selected…"),
            button(StepChoice::Cancel, "", "Cancel selected…"),
            button(StepChoice::Now, "button--danger", "Do selected now…"),
        ],
        _ => vec![
            button(StepChoice::Hold, "", "Hold selected…"),
            button(StepChoice::Release, "", "Release selected…"),
            button(StepChoice::Cancel, "", "Cancel selected…"),
            button(StepChoice::Now, "button--danger", "Do selected now…"),
        ],
    };
    view! {
        <GetForm action=format!("{base}/decide") id=DECISION class="save-bar" label="Decide about selected steps">
            {fields}
            {all.map_or_else(|| view! { <p>"Each decision asks first, and names whom it concerns."</p> }.into_any(), IntoAny::into_any)}
            <div class="actions">{buttons}</div>
        </GetForm>
    }
    .into_any()
}

fn step_word(row: &QueueRow) -> &'static str {
    say::operation(row.operation()).0
}

/// Where the queue stands that a page below it leads back to.
fn back_to(slug: &str, query: &QueueQuery) -> String {
    match address(query).as_str() {
        "" => format!("/apps/{slug}/queue"),
        filters => format!("/apps/{slug}/queue?{filters}"),
    }
}

/// A day in an address.
fn day_address(base: &str, day: NaiveDate, step: StepKind) -> String {
    format!("{base}?day={day}&step={}", key_of(&STEPS, step))
}
