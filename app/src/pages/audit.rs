//! The audit log: newest first, filtered by its address; and one event.

use super::accounts::outcome_key;
use crate::{
    api::{
        audit::{
            AuditPage, AuditQuery, EventDetail, EventRow, LAST, LoadEvent, LoadEvents, SavedFilter,
        },
        terms::Outcome,
    },
    components::{
        Field, GetForm, PostForm, Show, asked, button_link, change_list, crumbs, empty, fact,
        facts, follow, hidden, icon, load, loaded, param, sheet, time, title, with_times, words,
    },
    format, words as say,
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use std::time::Duration;

/// How long to wait between two looks at what is new.
const WATCH_EVERY: Duration = Duration::from_secs(3);

/// The filters, without the place in the list.
const FILTERS: [&str; 10] = [
    "q", "last", "from", "to", "event", "app", "person", "actor", "outcome", "run",
];

/// The filters of the address as a query string.
fn filters() -> String {
    use_query_map().with_untracked(|query| {
        FILTERS
            .iter()
            .filter_map(|name| {
                let value = query.get_str(name).filter(|value| !value.is_empty())?;
                Some(format!("{name}={}", format::query_value(value)))
            })
            .collect::<Vec<_>>()
            .join("&")
    })
}

fn filtered() -> AuditQuery {
    use_query_map().with(|query| {
        let get = |name: &str| query.get(name).filter(|value| !value.is_empty());
        AuditQuery {
            q: get("q"),
            last: get("last"),
            from: get("from"),
            to: get("to"),
            event: get("event"),
            app: get("app"),
            person: get("person"),
            actor: get("actor"),
            outcome: get("outcome").and_then(|key| {
                [Outcome::Ok, Outcome::Failed]
                    .into_iter()
                    .find(|outcome| outcome_key(*outcome) == key)
            }),
            run: get("run"),
            before: get("before"),
            after: get("after"),
        }
    })
}

#[component]
pub fn AuditLogPage() -> impl IntoView {
    let data = load(filtered, |query: AuditQuery| LoadEvents { query });
    // Only the newest page is watched: the others do not change.
    let watched = use_query_map();
    follow(data, WATCH_EVERY, move || {
        watched.with(|query| {
            is_set(query, "live") && !is_set(query, "before") && !is_set(query, "after")
        })
    });
    loaded(data, page)
}

fn is_set(query: &ParamsMap, name: &str) -> bool {
    query.get_str(name).is_some_and(|value| !value.is_empty())
}

fn page(page: AuditPage) -> AnyView {
    let query_string = filters();
    let export = |format: &str| {
        let joint = if query_string.is_empty() { "" } else { "&" };
        format!("/export/audit?format={format}{joint}{query_string}")
    };
    let value = |name: &'static str| asked(name).unwrap_or_default();
    let choices = |any: &str, list: &[(String, String)]| {
        let mut options = vec![(String::new(), any.to_owned())];
        options.extend(list.iter().cloned());
        options
    };
    let outcomes = [
        ("ok".to_owned(), "Done".to_owned()),
        ("failed".to_owned(), "Failed".to_owned()),
    ];
    let (events, apps, outcomes) = (
        choices("Any event", &page.events),
        choices("Any app", &page.apps),
        choices("Any outcome", &outcomes),
    );
    let list = if page.rows.is_empty() {
        let clear =
            (!query_string.is_empty()).then(|| button_link("/audit", "", "Clear the filters"));
        empty("log", "No events for these filters.", clear)
    } else {
        events_table(&page, &query_string)
    };
    let live = asked("live").is_some();
    let refresh = with_filters("/audit", &query_string);
    let watching = if live {
        let newest = page.rows.first().map(|row| row.name.clone());
        let newest = newest.map_or_else(
            || "Nothing yet".to_owned(),
            |name| format!("Newest: {name}"),
        );
        view! {
            <div class="note note--plain tone-updated">
                {icon("st-running")}
                <div>
                    <p>"New events show up as they happen."</p>
                    <p class="visually-hidden" role="status">{newest}</p>
                    <p class="only-plain"><a href=with_filters("/audit", &live_query(&query_string)) rel="external">"Look for new events"</a></p>
                </div>
            </div>
        }
        .into_any()
    } else {
        ().into_any()
    };
    let watch = if live {
        view! { <a class="button button--s" href=refresh>{icon("stop")}"Stop watching"</a> }
    } else {
        view! { <a class="button button--s" href=with_filters("/audit", &live_query(&query_string))>{icon("st-running")}"Watch"</a> }
    };
    let lasts = choices(
        "Any time",
        &LAST.map(|(key, words, _)| (key.to_owned(), words.to_owned())),
    );
    view! {
        {title("Audit log")}
        <div class="page-head">
            <div class="page-head__row">
                <h1>"Audit log"</h1>
                <div class="actions">
                    {watch}
                    <a class="button button--s" href=export("csv") rel="external" download="">{icon("save")}"CSV"</a>
                    <a class="button button--s" href=export("ndjson") rel="external" download="">{icon("save")}"NDJSON"</a>
                    <a class="button button--s" href=export("reports") rel="external" download="">{icon("save")}"Reports API"</a>
                </div>
            </div>
            <p class="lede">{format!("Every change to a person, an account or this console, newest first. Days are those of {}. The three buttons save what the filters leave.", page.zone)}</p>
        </div>
        <GetForm action="/audit" class="filters" label="Filter the log">
            {Field::new("q", "Search").kind("search").placeholder("Name, e-mail, id, text").value(value("q")).input()}
            {Field::new("event", "Event").value(value("event")).select(events)}
            {Field::new("outcome", "Outcome").value(value("outcome")).select(outcomes)}
            {Field::new("last", "When").value(value("last")).select(lasts)}
            {Field::new("from", "From").kind("date").value(value("from")).input()}
            {Field::new("to", "To").kind("date").value(value("to")).input()}
            {Field::new("app", "App").value(value("app")).select(apps)}
            {Field::new("person", "Person").placeholder("E-mail or id").value(value("person")).input()}
            {Field::new("actor", "Actor").placeholder("Anyone").value(value("actor")).input()}
            {Field::new("run", "Run").placeholder("Any run").value(value("run")).input()}
            <div class="actions">
                <button class="button button--s button--primary" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href="/audit">"Clear"</a>
            </div>
        </GetForm>
        {saved(&page.saved, &query_string)}
        {watching}
        {list}
    }
    .into_any()
}

fn with_filters(path: &str, query: &str) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

fn live_query(query: &str) -> String {
    if query.is_empty() {
        "live=1".to_owned()
    } else {
        format!("{query}&live=1")
    }
}

/// The reader's own filters, and a way to keep those that are set.
fn saved(list: &[SavedFilter], query: &str) -> AnyView {
    let links = list
        .iter()
        .map(|one| {
            let current = (one.query == query).then_some("true");
            let href = with_filters("/audit", &one.query);
            let spoken = format!("Forget the filter {}", one.name);
            let fields = vec![hidden("id", one.id.to_string()), hidden("query", query)];
            view! {
                <li>
                    <a href=href aria-current=current><bdi>{one.name.clone()}</bdi></a>
                    <PostForm action="/api/forget_filter" class="inline">
                        {fields}
                        <button class="button button--s button--quiet" type="submit" aria-label=spoken>{icon("close")}</button>
                    </PostForm>
                </li>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let links = (!links.is_empty()).then(|| {
        view! { <ul class="kept" aria-label="Your filters">{links}</ul> }
    });
    let known = list.iter().any(|one| one.query == query);
    let keep = (!query.is_empty() && !known).then(|| {
        let field = hidden("query", query);
        view! {
            <details class="fold">
                <summary>"Keep these filters"</summary>
                <PostForm action="/api/save_filter" class="find-row measure">
                    {field}
                    {Field::new("name", "Name").hint("Only you see it.").required().input()}
                    <button class="button" type="submit">"Keep"</button>
                </PostForm>
            </details>
        }
    });
    view! { {links}{keep} }.into_any()
}

fn events_table(page: &AuditPage, query_string: &str) -> AnyView {
    let rows = page.rows.iter().map(event_row).collect::<Vec<_>>();
    let about = page.about.map(|n| {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        view! { <caption>{format!("About {} {}.", format::number(n), if n == 1 { "event matches" } else { "events match" })}</caption> }
    });
    let link = |name: &str, id: &Option<String>, text: &'static str| {
        id.clone().map(|id| {
            let joint = if query_string.is_empty() { "" } else { "&" };
            view! { <a href=format!("/audit?{query_string}{joint}{name}={}", format::query_value(&id))>{text}</a> }
        })
    };
    let (newer, older) = (
        link("after", &page.newer, "Newer events"),
        link("before", &page.older, "Older events"),
    );
    view! {
        <table role="table" class="table stacks dense log">
            {about}
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Time"</th>
                    <th role="columnheader" scope="col">"Event"</th>
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"Change"</th>
                    <th role="columnheader" scope="col">"Actor"</th>
                    <th role="columnheader" scope="col">"App"</th>
                    <th role="columnheader" scope="col">"Run"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        <nav class="pager" aria-label="Pages"><span>{newer}</span><span>{older}</span></nav>
    }
    .into_any()
}

fn event_words(row: &EventRow) -> AnyView {
    match (row.outcome, row.kind) {
        (Outcome::Failed, _) => {
            view! { <span class="op tone-failed">{icon("op-failed")}{row.name.clone()}<span class="visually-hidden">", failed"</span></span> }.into_any()
        }
        (Outcome::Ok, Some(kind)) => {
            let (_, _, shape, tone) = say::operation(kind);
            words(tone, shape, row.name.clone())
        }
        (Outcome::Ok, None) => words("neutral", "person", row.name.clone()),
    }
}

fn event_row(row: &EventRow) -> AnyView {
    let href = format!("/audit/{}", format::query_value(&row.id));
    view! {
        <tr role="row">
            <td role="cell" class="bare soft">{time(row.time, Show::Seconds)}</td>
            <th role="rowheader" scope="row"><a href=href>{event_words(row)}</a></th>
            <td role="cell" data-label="Person">{person(row)}</td>
            <td role="cell" class="why" data-label="Change"><bdi>{with_times(&row.summary)}</bdi></td>
            <td role="cell" data-label="Actor">{row.actor.clone()}</td>
            <td role="cell" data-label="App">{row.app.clone().map(|(_, name)| name)}</td>
            <td role="cell" data-label="Run">{run(row)}</td>
        </tr>
    }
    .into_any()
}

fn person(row: &EventRow) -> Option<AnyView> {
    row.person.clone().map(|(id, name)| {
        let href = format!("/directory/people/{}", format::query_value(&id));
        view! { <span class="who"><a href=href><bdi>{name}</bdi></a></span> }.into_any()
    })
}

fn run(row: &EventRow) -> Option<AnyView> {
    let (number, (slug, _)) = (row.run?, row.app.clone()?);
    Some(
        view! { <a href=format!("/apps/{slug}/runs/{number}")>{format::number(number)}</a> }
            .into_any(),
    )
}

/// A link to everything that a run did.
fn same_run(row: &EventRow) -> Option<AnyView> {
    let (number, (slug, _)) = (row.run?, row.app.clone()?);
    let href = format!("/audit?app={slug}&run={number}");
    Some(view! { ", " <a href=href>"all its events"</a> }.into_any())
}

#[component]
pub fn EventPage() -> impl IntoView {
    loaded(load(param("id"), |id| LoadEvent { id }), event)
}

fn event(event: EventDetail) -> AnyView {
    let row = event.row.clone();
    let code = |text: String| view! { <code>{text}</code> };
    let rows: Vec<AnyView> = [
        Some(fact("Time", time(row.time, Show::Seconds))),
        Some(fact(
            "Outcome",
            match row.outcome {
                Outcome::Ok => words("created", "st-on", "Done"),
                Outcome::Failed => words("failed", "op-failed", "Failed"),
            },
        )),
        Some(fact("Actor", row.actor.clone())),
        row.app
            .clone()
            .map(|(slug, name)| fact("App", view! { <a href=format!("/apps/{slug}")>{name}</a> })),
        person(&row).map(|person| fact("Person", person)),
        event.account.clone().map(|id| fact("Account", code(id))),
        run(&row).map(|one| fact("Run", view! { {one} {same_run(&row)} })),
        (event.reason.as_ref()).map(|reason| fact("Reason", with_times(reason))),
        event.error.clone().map(|error| fact("Error", error)),
        event
            .address
            .clone()
            .map(|address| fact("From", code(address))),
        Some(fact("Event", code(row.id.clone()))),
        event.hash.clone().map(|hash| {
            let before = event
                .previous_hash
                .clone()
                .map(|hash| view! { " after " <code>{hash}</code> });
            fact("Hash", view! { <code>{hash}</code>{before} })
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    let changes = (!event.changes.is_empty()).then(|| {
        sheet(
            "changes",
            if row.outcome == Outcome::Failed {
                "What was to change"
            } else {
                "Old and new values"
            },
            "",
            None,
            change_list(&event.changes),
        )
    });
    let exchange = (event.request.is_some() || event.response.is_some()).then(|| {
        let block = |label: &'static str, text: Option<String>| {
            text.map(|text| view! { <h3>{label}</h3><pre class="code" tabindex="0" aria-label=label>{text}</pre> })
        };
        sheet(
            "exchange",
            "Request and response",
            "Secrets removed.",
            None,
            view! { {block("Request", event.request.clone())}{block("Response", event.response.clone())} },
        )
    });
    view! {
        {title(row.name.clone())}
        <div class="page-head">
            {crumbs(vec![("/audit".to_owned(), "Audit log".to_owned())], row.name.clone())}
            <h1>{row.name.clone()}</h1>
            <p class="lede">{with_times(&row.summary)}</p>
        </div>
        {sheet("facts", "Facts", "", None, facts(rows))}
        {changes}
        {exchange}
    }
    .into_any()
}
