//! Demo: change the emulated directory, then watch what follows.

use crate::{
    api::{
        demo::{DemoPage, DemoPerson, DemoQuery, LoadDemoDirectory},
        directory::PersonState,
    },
    components::{
        Field, GetForm, PostForm, asked, empty, fact, facts, head, hidden, icon, load, loaded,
        may_change, note_plain, pager, plain_button, query, read_only, sheet, words,
    },
    format,
    pages::directory::state_words,
};
use leptos::prelude::*;

#[component]
pub fn DemoDirectoryPage() -> impl IntoView {
    let (q, person, number) = (query("q"), query("person"), query("page"));
    let data = load(
        move || DemoQuery {
            q: q(),
            person: person(),
            page: number().and_then(|page| page.parse().ok()).unwrap_or(1),
        },
        |query: DemoQuery| LoadDemoDirectory { query },
    );
    view! {
        {head(
            "Demo directory",
            "Be Google’s administrator for a moment: change somebody in the emulated directory, then run an app and see what follows there.",
            None,
        )}
        {loaded(data, page)}
    }
}

fn page(page: DemoPage) -> AnyView {
    let apps = page
        .apps
        .iter()
        .map(|(slug, name)| {
            plain_button(
                "/api/start_run",
                slug,
                "button--s",
                None,
                format!("Run {name} now"),
            )
        })
        .collect::<Vec<_>>();
    let then = if !may_change() {
        read_only()
    } else if apps.is_empty() {
        note_plain(
            "neutral",
            "info",
            "",
            view! { <p>"Once autoprovisioning of an app is on, you can run it from here. Changes show up with the next import."</p> },
        )
    } else {
        note_plain(
            "neutral",
            "info",
            "Then run it",
            view! { <p>"A run reads the directory afresh; what you changed shows up in it."</p><div class="actions">{apps}</div> },
        )
    };
    let chosen = page
        .chosen
        .clone()
        .map(|person| one(&person, &page.org_units));
    let q = asked("q");
    let address = q.clone().map_or("/demo".to_owned(), |q| {
        format!("/demo?q={}", format::query_value(&q))
    });
    let rows = page
        .people
        .iter()
        .map(|person| row(person, q.as_deref()))
        .collect::<Vec<_>>();
    let table = if rows.is_empty() {
        empty("search", "Nobody matches.", None)
    } else {
        view! {
            <table role="table" class="table stacks dense">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"In the emulated Google"</th>
                        <th role="columnheader" scope="col">"Org unit"</th>
                        <th role="columnheader" scope="col">"In the emulated app"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(page.paging, &address)}
        }
        .into_any()
    };
    view! {
        {chosen}
        {then}
        <section class="section" aria-labelledby="everybody">
            <h2 id="everybody" class="visually-hidden">"Everybody"</h2>
            <GetForm action="/demo" class="filters">
                {Field::new("q", "Find a person").kind("search").placeholder("Name, e-mail").value(q.unwrap_or_default()).input()}
                <div class="actions">
                    <button class="button button--s" type="submit">"Find"</button>
                    <a class="button button--s button--quiet" href="/demo">"Clear"</a>
                </div>
            </GetForm>
            {table}
        </section>
    }
    .into_any()
}

fn full_name(person: &DemoPerson) -> String {
    format!("{} {}", person.given_name, person.family_name)
        .trim()
        .to_owned()
}

fn account_words(person: &DemoPerson) -> AnyView {
    match &person.account {
        Some(account) if account.active => words("created", "st-on", "Active account"),
        Some(_) => words("suspended", "op-suspend", "Suspended account"),
        None => view! { <span class="muted">"No account"</span> }.into_any(),
    }
}

fn row(person: &DemoPerson, q: Option<&str>) -> AnyView {
    let (word, tone, shape) = state_words(person.state);
    let mut href = format!("/demo?person={}", format::query_value(&person.id));
    if let Some(q) = q {
        href.push_str(&format!("&q={}", format::query_value(q)));
    }
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">
                <span class="who"><a href=href><bdi>{full_name(person)}</bdi></a><small>{person.email.clone()}</small></span>
            </th>
            <td role="cell" data-label="In Google">{words(tone, shape, word)}</td>
            <td role="cell" data-label="Org unit">{person.org_unit.clone()}</td>
            <td role="cell" data-label="In the app">{account_words(person)}</td>
        </tr>
    }
    .into_any()
}

/// A form of one deed; the controls come before its button.
fn deed(
    person: &str,
    deed: &'static str,
    text: &'static str,
    class: &'static str,
    controls: Vec<Field>,
) -> AnyView {
    let person = person.to_owned();
    let class = format!("button button--s {class}");
    view! {
        <PostForm action="/api/change_demo" class="deed">
            {hidden("person", person)}
            {hidden("deed", deed)}
            {controls.into_iter().map(Field::input).collect::<Vec<_>>()}
            <button class=class type="submit">{text}</button>
        </PostForm>
    }
    .into_any()
}

fn one(person: &DemoPerson, units: &[String]) -> AnyView {
    let id = person.id.as_str();
    let (word, tone, shape) = state_words(person.state);
    let alive = person.state != PersonState::Deleted;
    let edits = alive.then(|| {
        let options = units.iter().map(|unit| (unit.clone(), unit.clone())).collect();
        let unit = person.org_unit.clone();
        let owner = person.id.clone();
        view! {
            {deed(id, "rename", "Rename", "", vec![
                Field::new("given_name", "Given name").value(person.given_name.clone()),
                Field::new("family_name", "Family name").value(person.family_name.clone()),
            ])}
            {deed(id, "change-title", "Change title", "", vec![Field::new("title", "Title").value(person.title.clone().unwrap_or_default())])}
            {deed(id, "change-email", "Change address", "", vec![Field::new("email", "E-mail").kind("email").value(person.email.clone())])}
            <PostForm action="/api/change_demo" class="deed">
                {hidden("person", owner)}
                {hidden("deed", "move")}
                {Field::new("org_unit", "Org unit").value(unit).select(options)}
                <button class="button button--s" type="submit">"Move"</button>
            </PostForm>
        }
    });
    let states = match person.state {
        PersonState::Active | PersonState::Unknown => vec![
            ("suspend", "Suspend", ""),
            ("archive", "Archive", ""),
            ("delete", "Delete", "button--danger"),
        ],
        PersonState::Suspended => vec![
            ("restore", "Restore", ""),
            ("delete", "Delete", "button--danger"),
        ],
        PersonState::Archived => vec![
            ("unarchive", "Take out of the archive", ""),
            ("delete", "Delete", "button--danger"),
        ],
        PersonState::Deleted => vec![("undelete", "Undelete", "")],
    };
    let states = states
        .into_iter()
        .map(|(key, text, class)| deed(id, key, text, class, Vec::new()))
        .collect::<Vec<_>>();
    let account = match &person.account {
        Some(account) => facts(vec![
            fact("State", account_words(person)),
            fact("User name", account.user_name.clone()),
            fact("Name", account.name.clone()),
            fact(
                "Title",
                account.title.clone().unwrap_or_else(|| "–".to_owned()),
            ),
            fact("Account", view! { <code>{account.id.clone()}</code> }),
        ]),
        None => view! { <p class="soft">"The emulated app has no account for this person."</p> }
            .into_any(),
    };
    let link = format!("/directory/people/{}", format::query_value(id));
    view! {
        <div class="beside">
            {sheet(
                "chosen",
                full_name(person),
                person.email.clone(),
                Some(words(tone, shape, format!("{word} in Google"))),
                may_change().then(|| view! { <div class="deeds">{edits}<div class="actions">{states}</div></div> }),
            )}
            <aside class="aside panel" aria-labelledby="in-app">
                <header><h2 id="in-app">"In the emulated app"</h2></header>
                <div>
                    {account}
                    <p class="hint with-icon">{icon("info")}<a href=link>"What Rollcall knows about this person"</a></p>
                </div>
            </aside>
        </div>
    }
    .into_any()
}
