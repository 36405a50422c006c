//! One person: what the directory says, and for each app why or why not.

use super::{connection::read_at, on_demand::on_demand, people::state_words};
use crate::{
    api::{
        directory::{LoadPerson, NextStep, Person, PersonApp, RuleLine, RuleResult, TimelineItem},
        terms::OperationKind,
    },
    components::{
        crumbs, empty, fact, facts, icon, keep_fresh, load, loaded, moment, note, note_plain,
        op_done, param, state_chip, strip, strip_item, title, with_times, words,
    },
    format,
    pages::accounts::{choices, why},
    words as say,
};
use leptos::prelude::*;

#[component]
pub fn PersonPage() -> impl IntoView {
    let id = param("id");
    let data = load(id, |id| LoadPerson { id });
    // What was asked for now is watched to its end.
    keep_fresh(data, |person| {
        let mut runs = person.apps.iter().filter_map(|app| app.run.as_ref());
        runs.any(|run| !run.state.is_over())
    });
    loaded(data, page)
}

fn page(person: Person) -> AnyView {
    let name = if person.person.name.is_empty() {
        person.person.email.clone()
    } else {
        person.person.name.clone()
    };
    let (word, tone, shape) = state_words(person.state);
    let items = person
        .apps
        .iter()
        .map(|app| {
            let below = match (&app.next, app.since) {
                (Some(next), _) => next_words(next),
                (None, Some(since)) => view! { "since " {moment(since)} }.into_any(),
                (None, None) => ().into_any(),
            };
            strip_item(
                format!("{} account", app.name),
                app.account_state.clone(),
                below,
            )
        })
        .collect::<Vec<_>>();
    let items = (!items.is_empty()).then(|| strip(items));
    let apps = if person.apps.is_empty() {
        empty(
            "apps",
            "No app yet. Once one is added, this page says for each why this person has an account or not.",
            None,
        )
    } else {
        person
            .apps
            .iter()
            .enumerate()
            .map(|(i, app)| trace(i, app, &person))
            .collect::<Vec<_>>()
            .into_any()
    };
    let groups = person
        .groups
        .iter()
        .map(|(id, name)| {
            let href = format!("/directory/groups/{}", format::query_value(id));
            view! { <li><a href=href><bdi>{name.clone()}</bdi></a></li> }.into_any()
        })
        .collect::<Vec<_>>();
    let groups = if groups.is_empty() {
        view! { <span class="muted">"None that Rollcall reads"</span> }.into_any()
    } else {
        view! { <ul>{groups}</ul> }.into_any()
    };
    let manager = person.manager.clone().map(|manager| {
        let href = format!("/directory/people/{}", format::query_value(&manager.id));
        fact(
            "Manager",
            view! { <a href=href><bdi>{manager.name}</bdi></a> },
        )
    });
    let plain =
        |label: &'static str, value: &Option<String>| value.clone().map(|value| fact(label, value));
    let aliases =
        (!person.aliases.is_empty()).then(|| fact("Other addresses", person.aliases.join(", ")));
    let rows: Vec<AnyView> = [
        Some(fact("E-mail", person.person.email.clone())),
        plain("Title", &person.title),
        plain("Department", &person.department),
        manager,
        Some(fact("Org unit", person.org_unit.clone())),
        Some(fact("Groups", groups)),
        aliases,
        person
            .guest
            .then(|| fact("Guest", "Yes. Guests are not provisioned.")),
        Some(fact(
            "Directory id",
            view! { <code>{person.person.id.clone()}</code> },
        )),
    ]
    .into_iter()
    .flatten()
    .collect();
    let timeline = person
        .timeline
        .iter()
        .map(timeline_item)
        .collect::<Vec<_>>();
    let timeline = if timeline.is_empty() {
        view! { <p class="soft">"Nothing happened yet."</p> }.into_any()
    } else {
        view! { <ol class="timeline">{timeline}</ol> }.into_any()
    };
    let all = format!("/audit?person={}", format::query_value(&person.person.id));
    view! {
        {title(name.clone())}
        <div class="page-head">
            {crumbs(vec![("/directory/people".to_owned(), "People".to_owned())], name.clone())}
            <div class="page-head__row"><h1><bdi>{name}</bdi></h1>{state_chip(tone, shape, format!("{word} in Google"))}</div>
            {items}
        </div>
        <div class="beside">
            <div class="stack">{apps}</div>
            <aside class="aside stack" aria-labelledby="facts">
                <h2 id="facts">"In the directory"</h2>
                {facts(rows)}
                {read_at(person.read_at)}
                <h2>"Timeline"</h2>
                {timeline}
                <p><a href=all>"All events"</a></p>
            </aside>
        </div>
    }
    .into_any()
}

/// "Suspend, due 24 Nov 10:05".
fn next_words(next: &NextStep) -> AnyView {
    let (word, ..) = say::operation(next.step);
    match (next.held, next.due) {
        (true, _) => format!("{word} is held for review").into_any(),
        (false, Some(due)) => view! { {word} " at " {moment(due)} }.into_any(),
        (false, None) => format!("{word} with the next run").into_any(),
    }
}

fn trace(index: usize, app: &PersonApp, person: &Person) -> AnyView {
    let id = format!("why-{index}");
    let labelled = id.clone();
    let lines = app.rules.iter().map(rule).collect::<Vec<_>>();
    let next = app.next.as_ref().map(|next| {
        let tone = match next.step {
            OperationKind::Delete => "deleted",
            OperationKind::Suspend => "suspended",
            _ => "created",
        };
        let trigger = next.trigger.map(|trigger| view! { <p>{say::trigger(trigger)}</p> });
        view! { <li class=format!("tone-{tone}")>{icon("st-waiting")}<div><h3><strong>{next_words(next)}</strong></h3>{trigger}</div></li> }
    });
    let account = app
        .account_id
        .clone()
        .map(|id| view! { <p class="hint">"Account " <code>{id}</code></p> });
    view! {
        <section class="stack" aria-labelledby=labelled>
            <h2 id=id>{format!("{}: {}", app.name, app.headline)}</h2>
            <ol class="trace">{lines}{next}</ol>
            {account}
            {decisions(app, person)}
            {on_demand(&person.person.id, app, person.may_decide)}
        </section>
    }
    .into_any()
}

/// What an administrator can decide about the account, each with a page that asks where it matters.
fn decisions(app: &PersonApp, person: &Person) -> Option<AnyView> {
    let back = format!(
        "/directory/people/{}",
        format::query_value(&person.person.id)
    );
    let undecided = app.undecided.as_ref().map(|row| {
        let choices = person
            .may_decide
            .then(|| view! { <div class="actions">{choices(&app.slug, row, &back)}</div> });
        note(
            "held",
            "op-held",
            "Somebody decides",
            view! { <p>{why(row)}</p>{choices} },
        )
    });
    let protected = app.protected.then(|| {
        note_plain(
            "neutral",
            "shield",
            "Protected",
            view! {
                <p>
                    {format!("The account in {} is never suspended or deleted. ", app.name)}
                    <a href=format!("/settings/protected/{}", app.slug)>"Who is protected"</a>
                </p>
            },
        )
    });
    // Of an account that is gone, the note above offers it.
    let linked = app.account_id.is_some() && app.undecided.is_none();
    let unlink = (linked && person.may_decide).then(|| {
        let email = format::query_value(&person.person.email);
        let protect = (!app.protected).then(|| {
            let href = format!("/settings/protected/{}?q={email}", app.slug);
            let spoken = format!("Protect the account in {}", app.name);
            view! { <a class="button button--s" href=href aria-label=spoken>{icon("shield")}"Protect…"</a> }
        });
        let person = format::query_value(&person.person.id);
        let href = format!("/apps/{}/accounts/unlink?person={person}", app.slug);
        let spoken = format!("Unlink the account in {}", app.name);
        view! { <div class="actions">{protect}<a class="button button--s button--danger" href=href aria-label=spoken>"Unlink…"</a></div> }
    });
    let any = undecided.is_some() || protected.is_some() || unlink.is_some();
    any.then(|| view! { {undecided}{protected}{unlink} }.into_any())
}

fn rule(line: &RuleLine) -> AnyView {
    let (tone, shape) = match line.result {
        RuleResult::Passed => ("created", "st-on"),
        RuleResult::Refused => ("failed", "op-failed"),
        RuleResult::Waits => ("suspended", "st-waiting"),
        RuleResult::NotAsked => ("neutral", "st-none"),
    };
    let class = match (line.decides, line.result) {
        (true, _) => format!("tone-{tone} decides"),
        (_, RuleResult::NotAsked) => format!("tone-{tone} after"),
        _ => format!("tone-{tone}"),
    };
    let answer = if line.decides {
        format!("{}, this decides", line.answer)
    } else {
        line.answer.clone()
    };
    let detail = (!line.detail.is_empty()).then(|| view! { <p>{line.detail.clone()}</p> });
    view! { <li class=class>{icon(shape)}<div><h3>{line.rule.clone()} " " <span>{with_times(&answer)}</span></h3>{detail}</div></li> }.into_any()
}

fn timeline_item(item: &TimelineItem) -> AnyView {
    let what = match (item.failed, item.kind, &item.id) {
        (true, ..) => words("failed", "op-failed", item.event.clone()),
        (false, Some(kind), Some(_)) => op_done(kind),
        // What is to come has no event yet and is not called done.
        (false, ..) => view! { <b>{item.event.clone()}</b> }.into_any(),
    };
    let what = match &item.id {
        Some(id) => view! { <a href=format!("/audit/{id}")>{what}</a> }.into_any(),
        None => what,
    };
    let app = item.app.clone().map(|app| format!(" in {app}"));
    let detail = item
        .detail
        .as_deref()
        .map(|detail| view! { <br/><span class="muted">{with_times(detail)}</span> });
    view! { <li>{moment(item.at)}<div>{what}{app}{detail}</div></li> }.into_any()
}
