//! People of the directory.

use super::connection::read_at;
use crate::{
    api::directory::{LoadPeople, People, PeopleQuery, PersonRow, PersonState},
    components::{
        Field, GetForm, asked, empty, head, load, loaded, pager, person_ref, query, words,
    },
    format,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, components::Redirect};

pub const STATES: [(PersonState, &str, &str, &str, &str); 5] = [
    (PersonState::Active, "active", "Active", "created", "st-on"),
    (
        PersonState::Suspended,
        "suspended",
        "Suspended",
        "suspended",
        "op-suspend",
    ),
    (
        PersonState::Archived,
        "archived",
        "Archived",
        "neutral",
        "op-skip",
    ),
    (
        PersonState::Deleted,
        "deleted",
        "Deleted",
        "deleted",
        "op-delete",
    ),
    (
        PersonState::Unknown,
        "unknown",
        "Unknown",
        "failed",
        "op-failed",
    ),
];

/// Word, tone and icon of a person's state in Google.
pub fn state_words(state: PersonState) -> (&'static str, &'static str, &'static str) {
    STATES.iter().find(|(one, ..)| *one == state).map_or(
        ("Unknown", "failed", "op-failed"),
        |(_, _, word, tone, shape)| (*word, *tone, *shape),
    )
}

#[component]
pub fn PeoplePage() -> impl IntoView {
    let (q, state, org_unit, page_number) =
        (query("q"), query("state"), query("org_unit"), query("page"));
    let data = load(
        move || PeopleQuery {
            q: q(),
            state: state().and_then(|key| {
                STATES
                    .iter()
                    .find(|(_, k, ..)| *k == key)
                    .map(|(state, ..)| *state)
            }),
            org_unit: org_unit(),
            page: page_number()
                .and_then(|page| page.parse().ok())
                .unwrap_or(1),
        },
        |query: PeopleQuery| LoadPeople { query },
    );
    view! {
        {head("People", "Everybody whom the directory knows, deleted people too.", None)}
        {filters}
        {loaded(data, page)}
    }
}

fn filters() -> AnyView {
    let (q, state, org_unit) = (query("q")(), query("state")(), query("org_unit")());
    let mut options = vec![(String::new(), "Any state".to_owned())];
    options.extend(
        STATES
            .iter()
            .map(|(_, key, word, ..)| ((*key).to_owned(), (*word).to_owned())),
    );
    view! {
        <GetForm action="/directory/people" class="filters">
            {Field::new("q", "Search").kind("search").placeholder("Name, e-mail, id").value(q.unwrap_or_default()).input()}
            {Field::new("state", "State in Google").value(state.unwrap_or_default()).select(options)}
            {Field::new("org_unit", "Org unit, those below included").placeholder("/Sales").value(org_unit.unwrap_or_default()).input()}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href="/directory/people">"Clear"</a>
            </div>
        </GetForm>
    }
    .into_any()
}

fn page(people: People) -> AnyView {
    // The search that stands on every page goes straight to the only one it can mean.
    if let ([only], Some(_), 1) = (&*people.rows, asked("go"), people.paging.page) {
        let path = format!("/directory/people/{}", format::query_value(&only.person.id));
        let link = path.clone();
        let options = NavigateOptions {
            replace: true,
            ..NavigateOptions::default()
        };
        return view! { <Redirect path options/><p><a href=link><bdi>{only.person.name.clone()}</bdi></a></p> }.into_any();
    }
    let (q, state, org_unit) = (asked("q"), asked("state"), asked("org_unit"));
    if people.rows.is_empty() {
        return match (q.clone(), people.read_at) {
            (_, None) => empty(
                "people",
                "Nobody yet. Connect the directory and read it once; everybody shows up here.",
                Some(crate::components::button_link(
                    "/directory/connection",
                    "",
                    "Open the connection",
                )),
            ),
            (Some(q), _) => empty(
                "search",
                format!(
                    "Nobody matches “{q}”. Names, e-mail addresses and ids are searched, deleted people too."
                ),
                Some(crate::components::button_link(
                    "/directory/people",
                    "",
                    "Clear the search",
                )),
            ),
            (None, _) => empty("search", "Nobody matches these filters.", None),
        };
    }
    let mut address = "/directory/people?".to_owned();
    for (name, value) in [("q", q), ("state", state), ("org_unit", org_unit)] {
        if let Some(value) = value {
            address.push_str(&format!("{name}={}&", format::query_value(&value)));
        }
    }
    let rows = people.rows.iter().map(row).collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks">
            <caption>{format!("{}.", format::people(people.paging.total))}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"In Google"</th>
                    <th role="columnheader" scope="col">"Title"</th>
                    <th role="columnheader" scope="col">"Org unit"</th>
                    <th role="columnheader" scope="col">"Accounts"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {pager(people.paging, address.trim_end_matches(['?', '&']))}
        {read_at(people.read_at)}
    }
    .into_any()
}

fn row(person: &PersonRow) -> AnyView {
    let (word, tone, shape) = state_words(person.state);
    let accounts = if person.accounts.is_empty() {
        view! { <span class="muted">"None"</span> }.into_any()
    } else {
        person.accounts.join(", ").into_any()
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&person.person)}</th>
            <td role="cell" data-label="In Google">{words(tone, shape, word)}</td>
            <td role="cell" data-label="Title">{person.title.clone()}</td>
            <td role="cell" data-label="Org unit">{person.org_unit.clone()}</td>
            <td role="cell" data-label="Accounts">{accounts}</td>
        </tr>
    }
    .into_any()
}
