//! People whose account is never suspended or deleted.

use super::{lede, section};
use crate::{
    api::{
        settings::{
            AppSafety, LoadProtected, LoadSafetyOfApps, LoadUnprotecting, ProtectedPage as Page,
            ProtectedPerson, UnprotectPage as Unprotecting, WaitingStep,
        },
        terms::PersonRef,
    },
    components::{
        GetForm, PostForm, button_link, empty, hidden, icon, load, loaded, moment, op, param,
        person_ref, query, read_only, until, words,
    },
    format, words as say,
};
use leptos::prelude::*;

#[component]
pub fn ProtectedListPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadSafetyOfApps {}), list)
}

fn list(apps: Vec<AppSafety>) -> AnyView {
    let rows = apps
        .iter()
        .map(|app| {
            let name = match app.thresholds {
                Some(_) => view! { <a href=format!("/settings/protected/{}", app.slug)><bdi>{app.name.clone()}</bdi></a> }.into_any(),
                None => view! { <bdi>{app.name.clone()}</bdi> }.into_any(),
            };
            let people = match (app.thresholds, app.protected) {
                (None, _) => "Not configured".to_owned(),
                (_, 0) => "Nobody".to_owned(),
                (_, n) => format::people(n),
            };
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{name}</th>
                    <td role="cell" data-label="Protected">{people}</td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let body = if rows.is_empty() {
        empty(
            "apps",
            "No app yet. People are protected by app.",
            Some(button_link("/apps/add", "button--primary", "Add an app")),
        )
    } else {
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"App"</th>
                        <th role="columnheader" scope="col">"Protected"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        }
        .into_any()
    };
    section(
        "protected",
        Vec::new(),
        "Protected people",
        lede(
            "Their account is never suspended or deleted, whatever becomes of them in the directory. For founders, service accounts, and whoever must be able to get in.",
        ),
        body,
    )
}

#[component]
pub fn ProtectedPage() -> impl IntoView {
    let (slug, q) = (param("slug"), query("q"));
    loaded(
        load(move || (slug(), q()), |(slug, q)| LoadProtected { slug, q }),
        page,
    )
}

fn page(page: Page) -> AnyView {
    let (slug, name) = (page.head.slug.clone(), page.head.name.clone());
    let rows = (page.people.iter())
        .map(|person| row(&slug, person, page.may_change))
        .collect::<Vec<_>>();
    let people = if rows.is_empty() {
        empty("shield", format!("Nobody is protected in {name}."), None)
    } else {
        view! {
            <table role="table" class="table stacks">
                <caption class="visually-hidden">"Protected people"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Would happen otherwise"</th>
                        <th role="columnheader" scope="col"><span class="visually-hidden">"Action"</span></th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        }
        .into_any()
    };
    let add = if page.may_change {
        add(&slug, &page)
    } else {
        read_only()
    };
    section(
        "protected",
        vec![(String::new(), name.clone())],
        format!("Protected people in {name}"),
        lede(format!(
            "Their {name} account is never suspended or deleted. People are kept by their directory id, so a new address or name changes nothing."
        )),
        view! { {people}{add} },
    )
}

fn row(slug: &str, person: &ProtectedPerson, may_change: bool) -> AnyView {
    let who = if person.known {
        person_ref(&person.person)
    } else {
        view! { <span class="who"><b>{person.person.email.clone()}</b><small>"Not in the directory as it was last read"</small></span> }.into_any()
    };
    let waiting = if person.waiting.is_empty() {
        view! { <span class="muted">"Nothing"</span> }.into_any()
    } else {
        person
            .waiting
            .iter()
            .map(step)
            .collect::<Vec<_>>()
            .into_any()
    };
    let href = format!(
        "/settings/protected/{slug}/remove?person={}",
        format::query_value(&person.key)
    );
    let label = format!(" {}", person.person.name);
    let remove = may_change.then(|| {
        view! { <a class="button button--s button--quiet" href=href>{icon("close")}"Remove"<span class="visually-hidden">{label}</span></a> }
    });
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{who}</th>
            <td role="cell" data-label="Otherwise">{waiting}</td>
            <td role="cell">{remove}</td>
        </tr>
    }
    .into_any()
}

fn step(step: &WaitingStep) -> AnyView {
    view! {
        <span class="settings__line">{op(step.operation)} " " {moment(step.due)} <span class="muted">{format!(" {}", say::trigger(step.trigger).to_lowercase())}</span></span>
    }
    .into_any()
}

/// A search, whose lines are buttons: it works without scripts as it does with them.
fn add(slug: &str, page: &Page) -> AnyView {
    let here = format!("/settings/protected/{slug}");
    let q = page.q.clone().unwrap_or_default();
    let on_the_list = |person: &PersonRef| page.people.iter().any(|one| one.key == person.id);
    let found = page
        .found
        .iter()
        .map(|person| {
            let button = if on_the_list(person) {
                words("created", "shield", "Protected")
            } else {
                let controls = (hidden("slug", slug), hidden("person", person.id.clone()));
                let name = format!(" {}", person.name);
                view! {
                    <PostForm action="/api/protect" class="inline" confirmed=true>
                        {controls}
                        <button class="button button--s" type="submit">{icon("shield")}"Protect"<span class="visually-hidden">{name}</span></button>
                    </PostForm>
                }
                .into_any()
            };
            view! { <li>{person_ref(person)}{button}</li> }.into_any()
        })
        .collect::<Vec<_>>();
    let answer = match (page.q.as_deref(), found.is_empty()) {
        (None, _) => ().into_any(),
        (Some(q), true) => {
            view! { <p role="status" class="soft">{format!("Nobody matches “{q}”.")}</p> }
                .into_any()
        }
        (Some(_), false) => view! { <ul class="picked">{found}</ul> }.into_any(),
    };
    view! {
        <section class="stack" aria-labelledby="add">
            <h2 id="add">"Protect somebody"</h2>
            <GetForm action=here class="find-row measure" role="search" label="People">
                <div class="field">
                    <label for="q">"Name or address"</label>
                    <div class="find">{icon("search")}<input class="input" id="q" name="q" type="search" value=q autocomplete="off"/></div>
                </div>
                <button class="button" type="submit">"Find"</button>
            </GetForm>
            {answer}
        </section>
    }
    .into_any()
}

#[component]
pub fn UnprotectPage() -> impl IntoView {
    let (slug, person) = (param("slug"), query("person"));
    let source = move || (slug(), person().unwrap_or_default());
    loaded(
        load(source, |(slug, person)| LoadUnprotecting { slug, person }),
        unprotecting,
    )
}

fn unprotecting(page: Unprotecting) -> AnyView {
    let (slug, app) = (page.head.slug.clone(), page.head.name.clone());
    let name = page.person.person.name.clone();
    let back = format!("/settings/protected/{slug}");
    let steps = page
        .person
        .waiting
        .iter()
        .map(|waiting| {
            view! { <li>{step(waiting)} <span class="muted">{format!(", {}", until(page.now, waiting.due))}</span></li> }
                .into_any()
        })
        .collect::<Vec<_>>();
    let then = if steps.is_empty() {
        view! { <p>{format!("Nothing waits to happen to the {app} account. From then on it follows the policies like any other.")}</p> }.into_any()
    } else {
        view! { <p>"This waits to happen and will, from the next run on:"</p><ul class="bullets">{steps}</ul> }.into_any()
    };
    let deed = page.may_change.then(|| {
        view! {
            <PostForm action="/api/unprotect" class="inline" confirmed=true>
                {hidden("slug", slug.clone())}
                {hidden("person", page.person.key.clone())}
                <button class="button button--danger" type="submit">"Remove protection"</button>
            </PostForm>
        }
    });
    section(
        "protected",
        vec![(back.clone(), app), (String::new(), "Remove".to_owned())],
        format!("No longer protect {name}?"),
        (),
        view! { <div class="measure stack">{then}<div class="actions">{deed}<a class="button" href=back>"Back"</a></div></div> },
    )
}
