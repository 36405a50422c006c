//! What the guard holds: removals and creates that wait for an administrator's word.

use crate::{
    api::{
        queue::{HeldKey, HeldRow, LoadReview, Review, StepKind},
        terms::{AppStatus, OperationKind},
    },
    components::{
        GetForm, PostForm, asked, button_link, chip, confirmation, crumbs, empty, hidden, load,
        loaded, moment, note, op, pager, param, person_ref, query, title,
    },
    format, words as say,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// How many are named of those who are about to lose or get an account.
const NAMED: usize = 10;

#[component]
pub fn ReviewPage() -> impl IntoView {
    one_page(review)
}

/// What is held, the part of the list that the address names.
fn one_page(show: fn(Review) -> AnyView) -> AnyView {
    let (slug, number) = (param("slug"), query("page"));
    let data = load(
        move || {
            (
                slug(),
                number().and_then(|page| page.parse().ok()).unwrap_or(1),
            )
        },
        |(slug, page)| LoadReview { slug, page },
    );
    loaded(data, show)
}

fn trail(review: &Review) -> Vec<(String, String)> {
    let slug = &review.head.slug;
    vec![
        (format!("/apps/{slug}"), review.head.name.clone()),
        (format!("/apps/{slug}/queue"), "Queue".to_owned()),
    ]
}

fn review(review: Review) -> AnyView {
    let slug = review.head.slug.clone();
    let heading = say::held(review.removals, review.creates)
        .unwrap_or_else(|| "Nothing waits for your word".to_owned());
    let body = if review.rows.is_empty() {
        empty(
            "op-held",
            "Nothing is held. When a run would remove more accounts than you allow, they wait here until you decide.",
            Some(button_link(
                format!("/apps/{slug}/queue"),
                "",
                "Open the queue",
            )),
        )
    } else {
        let address = format!("/apps/{slug}/review");
        view! {
            {reasons(&review)}
            {if review.may_decide { form(&review) } else { table(&review) }}
            {pager(review.paging, &address)}
        }
        .into_any()
    };
    let lede = (!review.rows.is_empty()).then(|| {
        view! { <p class="lede">"They are held until somebody decides; other changes went through. Whoever is not allowed keeps their account, and later runs add to the list."</p> }
    });
    view! {
        {title(format!("{heading}, {}", review.head.name))}
        <div class="page-head">
            {crumbs(trail(&review), "Held removals")}
            <div class="page-head__row"><h1>{heading}</h1>{chip(&review.head.status)}</div>
            {lede}
        </div>
        {body}
    }
    .into_any()
}

/// Why they are held, said once.
fn reasons(review: &Review) -> AnyView {
    let safety = format!("/apps/{}/runs", review.head.slug);
    let changed = format!("/apps/{}/history", review.head.slug);
    let since = review.rows.iter().filter_map(|row| row.held_since).min();
    let since = since.map(
        |at| view! { <p>"Held since " {moment(at)} ". " <a href=safety>"See the runs"</a> ", or " <a href=changed>"what changed last"</a> " in the configuration."</p> },
    );
    // The counts are those of the run: what was decided since is not taken from them.
    let why = match review.why.as_slice() {
        [why] => view! { <p>{format!("When they were held: {why}.")}</p> }.into_any(),
        many => {
            let lines = many
                .iter()
                .map(|why| view! { <li>{why.clone()}</li> }.into_any())
                .collect::<Vec<_>>();
            view! { <p>"When they were held:"</p><ul class="bullets">{lines}</ul> }.into_any()
        }
    };
    let note = note(
        "held",
        "op-held",
        "Why they are held",
        view! { {why}{since} },
    );
    view! { <div class="section-s">{note}</div> }.into_any()
}

fn form(review: &Review) -> AnyView {
    let (slug, all) = (review.head.slug.clone(), review.removals + review.creates);
    let allow_all = button_link(
        format!("/apps/{slug}/review/allow"),
        "button--danger",
        format!("Allow all {}…", format::number(all)),
    );
    let dismiss = (review.removals > 0).then(|| {
        button_link(
            format!("/apps/{slug}/review/dismiss"),
            "button--quiet",
            "Dismiss all…",
        )
    });
    let page = (review.paging.page > 1).then(|| hidden("page", review.paging.page.to_string()));
    let table = table(review);
    view! {
        <GetForm action=format!("/apps/{slug}/review/allow-selected") class="stack">
            {page}
            {table}
            <div class="save-bar">
                <p>"Each decision asks first, and names whom it concerns."</p>
                <div class="actions">
                    {dismiss}
                    {allow_all}
                    <button class="button button--primary" type="submit">"Allow selected…"</button>
                </div>
            </div>
        </GetForm>
    }
    .into_any()
}

/// What holds for all stands above the table, once.
fn told_apart(review: &Review) -> bool {
    review.rows.iter().any(|row| row.why != review.why)
}

fn table(review: &Review) -> AnyView {
    let rows = (review.rows.iter())
        .map(|row| line(row, review))
        .collect::<Vec<_>>();
    let why = told_apart(review)
        .then(|| view! { <th role="columnheader" scope="col">"Held because"</th> });
    let tick = review.may_decide.then(|| {
        view! { <th role="columnheader" scope="col" class="tick"><span class="visually-hidden">"Allow"</span></th> }
    });
    view! {
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    {tick}
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"Operation"</th>
                    <th role="columnheader" scope="col">"Cause"</th>
                    <th role="columnheader" scope="col">"Due"</th>
                    {why}
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
    .into_any()
}

fn operation_of(key: &HeldKey) -> OperationKind {
    match key {
        HeldKey::Create(_) => OperationKind::Create,
        HeldKey::Removal(step) => match step.step {
            StepKind::Suspend => OperationKind::Suspend,
            StepKind::Delete => OperationKind::Delete,
        },
    }
}

fn line(row: &HeldRow, review: &Review) -> AnyView {
    let operation = operation_of(&row.key);
    let cause = match &row.key {
        HeldKey::Create(_) => "In scope",
        HeldKey::Removal(step) => say::trigger(step.trigger),
    };
    let tick = review.may_decide.then(|| {
        let spoken = format!("{} {}", say::operation(operation).0, row.person.name);
        view! {
            <td role="cell" class="tick">
                <input
                    type="checkbox"
                    name="chosen"
                    value=row.key.to_string()
                    aria-label=spoken
                />
            </td>
        }
    });
    let due = match row.due {
        Some(due) => moment(due),
        None => view! { <span class="muted">"With the next run"</span> }.into_any(),
    };
    let why = told_apart(review).then(|| {
        view! { <td role="cell" class="why" data-label="Held because">{row.why.join(". ")}</td> }
    });
    view! {
        <tr role="row">
            {tick}
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Operation">{op(operation)}</td>
            <td role="cell" data-label="Cause">{cause}</td>
            <td role="cell" data-label="Due">{due}</td>
            {why}
        </tr>
    }
    .into_any()
}

/// When what is allowed is carried out.
fn carried_out(status: &AppStatus) -> &'static str {
    match status {
        AppStatus::On | AppStatus::Running { .. } | AppStatus::Held { .. } => {
            "What you allow is carried out by a run that starts within seconds. It asks Google first: when a cause has ended, nothing is sent."
        }
        AppStatus::Off | AppStatus::NotConfigured | AppStatus::Stopped { .. } => {
            "What you allow is carried out by the first run once the app is on."
        }
    }
}

/// Before those who were ticked are allowed.
#[component]
pub fn AllowSelectedPage() -> impl IntoView {
    one_page(allow_selected)
}

fn allow_selected(review: Review) -> AnyView {
    let (slug, app) = (review.head.slug.clone(), review.head.name.clone());
    let mut back = format!("/apps/{slug}/review");
    if let Some(page) = asked("page") {
        back.push_str(&format!("?page={}", format::query_value(&page)));
    }
    let mut trail = trail(&review);
    trail.push((back.clone(), "Held removals".to_owned()));
    let ticked = use_query_map().with_untracked(|query| query.get_all("chosen"));
    let ticked = ticked.unwrap_or_default();
    let chosen: Vec<&HeldRow> = (review.rows.iter())
        .filter(|row| ticked.contains(&row.key.to_string()))
        .collect();
    let missed = ticked.len() - chosen.len();
    let missed = (missed > 0)
        .then(|| "Others that were ticked are no longer on this page of the list.".to_owned());
    let all = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    if chosen.is_empty() {
        let text = missed.unwrap_or_else(|| "Nobody is ticked. Tick at least one line.".to_owned());
        return confirmation(trail, "Nobody is chosen", vec![text], ().into_any(), back);
    }
    let mut text: Vec<String> = [
        OperationKind::Create,
        OperationKind::Suspend,
        OperationKind::Delete,
    ]
    .into_iter()
    .filter_map(|kind| named(kind, &chosen))
    .collect();
    text.extend(missed);
    text.push(carried_out(&review.head.status).to_owned());
    text.push("Allowed removals are not counted by the hold.".to_owned());
    let deed = review.may_decide.then(|| {
        let chosen = (chosen.iter().enumerate())
            .map(|(at, row)| {
                let name = format!("chosen[{at}]");
                view! { <input type="hidden" name=name value=row.key.to_string()/> }.into_any()
            })
            .collect::<Vec<_>>();
        view! {
            <PostForm action="/api/decide_held" class="inline" confirmed=true>
                {hidden("slug", slug)}
                {hidden("choice", "allow-selected")}
                {chosen}
                <button class="button button--danger" type="submit">{format!("Allow {}", format::number(all))}</button>
            </PostForm>
        }
    });
    confirmation(
        trail,
        format!("Allow {} in {app}?", format::number(all)),
        text,
        deed.into_any(),
        back,
    )
}

/// "Suspend 12 accounts: Ann, Ben and 10 more."
fn named(kind: OperationKind, chosen: &[&HeldRow]) -> Option<String> {
    let names: Vec<String> = (chosen.iter())
        .filter(|row| operation_of(&row.key) == kind)
        .map(|row| format::isolated(&row.person.name))
        .collect();
    let count = |names: &[String]| u32::try_from(names.len()).unwrap_or(u32::MAX);
    let (first, more) = names.split_at(names.len().min(NAMED));
    let more = match more.len() {
        0 => String::new(),
        _ => format!(" and {} more", format::number(count(more))),
    };
    (!names.is_empty()).then(|| {
        format!(
            "{} {}: {}{more}.",
            say::operation(kind).0,
            format::counted(count(&names), "account", "accounts"),
            first.join(", "),
        )
    })
}

#[component]
pub fn AllowAllPage() -> impl IntoView {
    let data = load(param("slug"), |slug| LoadReview { slug, page: 1 });
    loaded(data, allow_all)
}

fn allow_all(review: Review) -> AnyView {
    let (slug, app) = (review.head.slug.clone(), review.head.name.clone());
    let back = format!("/apps/{slug}/review");
    let mut trail = trail(&review);
    trail.push((back.clone(), "Held removals".to_owned()));
    let all = review.removals + review.creates;
    let mut text = Vec::new();
    if review.removals > 0 {
        text.push(format!(
            "{} of people whose cause has run its time: {app} suspends or deletes their accounts.",
            format::counted(review.removals, "removal", "removals")
        ));
    }
    if review.creates > 0 {
        text.push(format!(
            "{}: {app} gets an account for each.",
            format::counted(review.creates, "create", "creates")
        ));
    }
    text.push(carried_out(&review.head.status).to_owned());
    text.push("Allowed removals are not counted by the hold.".to_owned());
    text.push(
        "When others are held by the time you confirm, nothing is allowed and you see the new list."
            .to_owned(),
    );
    let deed = (review.may_decide && all > 0).then(|| {
        let fields = vec![
            hidden("slug", slug),
            hidden("version", review.version.clone()),
            hidden("choice", "allow-all"),
        ];
        view! {
            <PostForm action="/api/decide_held" class="inline" confirmed=true>
                {fields}
                <button class="button button--danger" type="submit">{format!("Allow all {}", format::number(all))}</button>
            </PostForm>
        }
    });
    confirmation(
        trail,
        format!("Allow all {} in {app}?", format::number(all)),
        text,
        deed.into_any(),
        back,
    )
}

#[component]
pub fn DismissAllPage() -> impl IntoView {
    let data = load(param("slug"), |slug| LoadReview { slug, page: 1 });
    loaded(data, dismiss_all)
}

fn dismiss_all(review: Review) -> AnyView {
    let (slug, app) = (review.head.slug.clone(), review.head.name.clone());
    let back = format!("/apps/{slug}/review");
    let mut trail = trail(&review);
    trail.push((back.clone(), "Held removals".to_owned()));
    let all = review.removals;
    let text = vec![
        format!(
            "{} are cancelled. Nobody of them loses their account in {app} by this cause.",
            format::counted(all, "removal", "removals")
        ),
        "A step that is cancelled comes back only when its cause ends and begins again: somebody who left for good keeps an account that can be used.".to_owned(),
        "A later step of the same person, a deletion after a suspension say, keeps its date and shows up in the queue.".to_owned(),
        "When others are held by the time you confirm, nothing is dismissed and you see the new list.".to_owned(),
    ];
    let deed = (review.may_decide && all > 0).then(|| {
        let fields = vec![
            hidden("slug", slug),
            hidden("version", review.version.clone()),
            hidden("choice", "dismiss-all"),
        ];
        view! {
            <PostForm action="/api/decide_held" class="inline">
                {fields}
                <button class="button button--danger" type="submit">{format!("Dismiss {}", format::counted(all, "removal", "removals"))}</button>
            </PostForm>
        }
    });
    confirmation(
        trail,
        format!(
            "Dismiss all {} in {app}?",
            format::counted(all, "removal", "removals")
        ),
        text,
        deed.into_any(),
        back,
    )
}
