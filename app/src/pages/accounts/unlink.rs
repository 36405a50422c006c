//! The question before a link is ended by hand.

use crate::{
    api::accounts::{AccountState, LoadUnlink, UnlinkQuestion},
    components::{PostForm, confirmation, hidden, load, loaded, param, query},
    format,
};
use leptos::prelude::*;

#[component]
pub fn UnlinkPage() -> impl IntoView {
    let (slug, person) = (param("slug"), query("person"));
    let data = load(
        move || (slug(), person().unwrap_or_default()),
        |(slug, person)| LoadUnlink { slug, person },
    );
    loaded(data, unlink)
}

fn unlink(ask: UnlinkQuestion) -> AnyView {
    let (slug, app) = (ask.head.slug.clone(), ask.head.name.clone());
    let back = format!("/directory/people/{}", format::query_value(&ask.person.id));
    let trail = vec![
        ("/directory/people".to_owned(), "People".to_owned()),
        (back.clone(), ask.person.name.clone()),
    ];
    let stays = match ask.state {
        AccountState::Active => "It stays active, and the person can still use it.",
        AccountState::Suspended => "It stays suspended.",
        AccountState::Gone => "It is gone from the app already.",
    };
    let mut text = vec![
        format!(
            "{} ({}) and the account {} ({}) in {app} belong together no longer.",
            format::isolated(&ask.person.name), ask.person.email, ask.user_name, ask.account
        ),
        format!("Nothing is sent to {app}. {stays}"),
        "Rollcall neither updates, suspends nor deletes it from then on, and gives the person no other account until somebody decides so."
            .to_owned(),
        "On the person’s page it can be linked again.".to_owned(),
    ];
    if ask.waits {
        text.insert(
            2,
            "What waits in the queue for this account ends with the link.".to_owned(),
        );
    }
    if !ask.may_decide {
        text.push("You are signed in as an auditor: a super administrator can do it.".to_owned());
    }
    let deed = ask.may_decide.then(|| {
        let fields = vec![
            hidden("slug", slug),
            hidden("person", ask.person.id.clone()),
            hidden("choice", "unlink"),
            hidden("back", back.clone()),
        ];
        view! {
            <PostForm action="/api/decide_account" class="inline">
                {fields}
                <button class="button button--danger" type="submit">"Unlink 1 account"</button>
            </PostForm>
        }
    });
    confirmation(
        trail,
        format!("Unlink {} from {app}?", format::isolated(&ask.person.name)),
        text,
        deed.into_any(),
        back,
    )
}
