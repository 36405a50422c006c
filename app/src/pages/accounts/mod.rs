//! Accounts in an app.

mod differences;
mod unlink;

pub use differences::DifferencesPage;
pub use unlink::UnlinkPage;

use crate::{
    api::{
        accounts::{
            AccountList, AccountRow, AccountState, AccountsQuery, Decided, FoundAccount,
            LoadAccounts, UndecidedRow,
        },
        terms::Outcome,
    },
    components::{
        Field, GetForm, PostForm, app_page, asked, button_link, empty, hidden, load, loaded,
        moment, op, pager, param, person_ref, query, strip, strip_item, time_day, words,
    },
    format,
};
use leptos::prelude::*;

const STATES: [(&str, AccountState, &str, &str, &str); 3] = [
    ("active", AccountState::Active, "Active", "created", "st-on"),
    (
        "suspended",
        AccountState::Suspended,
        "Suspended",
        "suspended",
        "op-suspend",
    ),
    ("gone", AccountState::Gone, "Gone", "failed", "op-failed"),
];

#[component]
pub fn AccountsPage() -> impl IntoView {
    let (slug, q, state, number) = (param("slug"), query("q"), query("state"), query("page"));
    let data = load(
        move || {
            let query = AccountsQuery {
                q: q(),
                state: state().and_then(|key| {
                    STATES
                        .iter()
                        .find(|(k, ..)| *k == key)
                        .map(|(_, state, ..)| *state)
                }),
                page: number().and_then(|page| page.parse().ok()).unwrap_or(1),
            };
            (slug(), query)
        },
        |(slug, query): (String, AccountsQuery)| LoadAccounts { slug, query },
    );
    loaded(data, accounts)
}

fn accounts(list: AccountList) -> AnyView {
    let slug = list.head.slug.clone();
    let base = format!("/apps/{slug}/accounts");
    let (q, state) = (asked("q"), asked("state"));
    let mut options = vec![(String::new(), "Any state".to_owned())];
    options.extend(
        STATES
            .iter()
            .map(|(key, _, word, ..)| ((*key).to_owned(), (*word).to_owned())),
    );
    let filtered = q.is_some() || state.is_some();
    let none = list.active + list.suspended + list.gone == 0;
    let to_decide = to_decide(&slug, &list);
    let body = if none {
        empty(
            "people",
            "No accounts yet. They show up here as they are created or linked.",
            None,
        )
    } else if list.rows.is_empty() {
        empty(
            "search",
            "No account matches.",
            filtered.then(|| button_link(base.clone(), "", "Clear the search")),
        )
    } else {
        let mut address = format!("{base}?");
        for (name, value) in [("q", &q), ("state", &state)] {
            if let Some(value) = value {
                address.push_str(&format!("{name}={}&", format::query_value(value)));
            }
        }
        let rows = list.rows.iter().map(account_row).collect::<Vec<_>>();
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"State"</th>
                        <th role="columnheader" scope="col">"Account"</th>
                        <th role="columnheader" scope="col">"Since"</th>
                        <th role="columnheader" scope="col">"Last change"</th>
                        <th role="columnheader" scope="col">"Next step"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(list.paging, address.trim_end_matches(['?', '&']))}
        }
        .into_any()
    };
    let figures = strip(vec![
        strip_item("Active", format::number(list.active), "can sign in"),
        strip_item(
            "Suspended",
            format::number(list.suspended),
            "kept, but closed",
        ),
        strip_item("Gone", format::number(list.gone), "no longer in the app"),
        strip_item(
            "Changed there",
            view! { <a href=format!("{base}/differences")>{format::number(list.differing)}</a> },
            "not as Rollcall left them",
        ),
    ]);
    let filters = (!none).then(|| {
        view! {
            <GetForm action=base.clone() class="filters">
                {Field::new("q", "Search").kind("search").placeholder("Name, e-mail, account id").value(q.clone().unwrap_or_default()).input()}
                {Field::new("state", "State").value(state.clone().unwrap_or_default()).select(options)}
                <div class="actions">
                    <button class="button button--s" type="submit">"Apply"</button>
                    <a class="button button--s button--quiet" href=base.clone()>"Clear"</a>
                </div>
            </GetForm>
        }
    });
    view! { {app_page(&list.head, "accounts", None, (!none).then_some(figures))}{to_decide}{filters}{body} }
        .into_any()
}

/// People whose account waits for a decision; nothing when there are none.
fn to_decide(slug: &str, list: &AccountList) -> Option<AnyView> {
    if list.undecided.is_empty() {
        return None;
    }
    let rows = list
        .undecided
        .iter()
        .map(|row| {
            let choices = list.may_decide.then(|| choices(slug, row, ""));
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
                    <td role="cell" data-label="Why">{why(row)}</td>
                    <td role="cell" data-label="Decision"><div class="actions">{choices}</div></td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let section = view! {
        <section class="stack" aria-labelledby="to-decide">
            <h2 id="to-decide">"To decide"</h2>
            <p class="soft">"Nothing happens about these people until somebody decides. The next run carries it out."</p>
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Why"</th>
                        <th role="columnheader" scope="col">"Decision"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </section>
    };
    Some(section.into_any())
}

/// What was decided, and why nothing happens by itself.
pub fn why(row: &UndecidedRow) -> String {
    match row.decided {
        Some(Decided::Link) => format!("An account was chosen. {}", row.why),
        // That a run has to look at it is no news for somebody who is left alone.
        Some(Decided::Leave) => {
            "Left without an account until somebody takes that back.".to_owned()
        }
        None => row.why.clone(),
    }
}

/// The buttons of what can be decided, each a form of its own. `back`: the page to go back to.
pub fn choices(slug: &str, row: &UndecidedRow, back: &str) -> Vec<AnyView> {
    let choice = |choice: &'static str, account: Option<&FoundAccount>, text: String| {
        let spoken = format!("{text}: {}", row.person.name);
        let fields = vec![
            hidden("slug", slug),
            hidden("person", row.person.id.clone()),
            hidden("choice", choice),
            hidden("back", back),
        ];
        let account = account.map(|account| hidden("account", account.id.clone()));
        view! {
            <PostForm action="/api/decide_account" class="inline">
                {fields}
                {account}
                <button class="button button--s" type="submit" aria-label=spoken>{text}</button>
            </PostForm>
        }
        .into_any()
    };
    let link = |word: &str| -> Vec<AnyView> {
        (row.accounts.iter())
            .map(|account| {
                let state = if account.active { "" } else { ", inactive" };
                choice(
                    "link",
                    Some(account),
                    format!("{word} {}{state}", account.id),
                )
            })
            .collect()
    };
    match (&row.gone, row.decided) {
        (Some(_), _) => vec![
            choice("create-again", None, "Create it again".to_owned()),
            choice("unlink", None, "Unlink it".to_owned()),
        ],
        (None, Some(Decided::Leave)) => {
            let mut choices = link("Link again");
            let text = "Let the rules decide again";
            choices.push(choice("take-back", None, text.to_owned()));
            choices
        }
        (None, Some(Decided::Link)) => vec![choice("take-back", None, "Take it back".to_owned())],
        (None, None) => {
            let mut choices = link("Link");
            choices.push(choice("leave", None, "Leave without account".to_owned()));
            choices
        }
    }
}

fn account_row(row: &AccountRow) -> AnyView {
    let (word, tone, shape) = STATES
        .iter()
        .find(|(_, state, ..)| *state == row.state)
        .map_or(
            ("Unknown", "neutral", "st-none"),
            |(_, _, word, tone, shape)| (*word, *tone, *shape),
        );
    let next = match row.next {
        Some((kind, Some(due))) => view! { {op(kind)} " " {moment(due)} }.into_any(),
        Some((kind, None)) => view! { {op(kind)} " with the next run" }.into_any(),
        None => view! { <span class="muted">"None"</span> }.into_any(),
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="State">{words(tone, shape, word)}</td>
            <td role="cell" data-label="Account">
                {row.user_name.clone()}
                <br/>
                <code class="muted">{row.account.clone()}</code>
            </td>
            <td role="cell" data-label="Since">{time_day(row.since)}</td>
            <td role="cell" data-label="Last change">{row.changed_at.map(moment)}</td>
            <td role="cell" data-label="Next step">{next}</td>
        </tr>
    }
    .into_any()
}

/// "ok" or "failed", as in the address.
pub fn outcome_key(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
    }
}
