//! Step 1: the access token. Later: reauthorize.

use super::{live, save_bar, step_head};
use crate::{
    api::wizard::{AuthorizePage as Page, LoadAuthorizeStep, Step},
    components::{EditForm, Field, hidden, load, loaded, may_change, moment, note, param, query},
};
use leptos::prelude::*;

#[component]
pub fn AuthorizePage() -> impl IntoView {
    let (slug, asked) = (param("slug"), query("demo"));
    let data = load(
        move || (slug(), asked().is_some()),
        |(slug, fill)| LoadAuthorizeStep { slug, fill },
    );
    loaded(data, page)
}

fn page(page: Page) -> AnyView {
    let Page {
        step,
        demo,
        credentials,
    } = page;
    let live = live();
    let slug = step.head.slug.clone();
    let app = step.head.name.clone();
    let heading = if live {
        format!("Reauthorize {app}")
    } else {
        format!("Let Rollcall in to {app}")
    };
    let lede = if live {
        "A new token is checked at once. Mapping, scope, links and timers stay as they are; a stopped app goes on where it stood."
    } else {
        "Rollcall uses an access token of the app. It is checked at once, stored encrypted and never shown again."
    };
    let here = if live {
        format!("/apps/{slug}/autoprovisioning/authorize")
    } else {
        format!("/apps/{slug}/setup/authorize")
    };
    let hint = (may_change() && demo && credentials.is_none()).then(|| {
        note(
            "accent",
            "flask",
            "This is a demo",
            view! {
                <p>"An emulated Asana is running beside Rollcall, with some accounts in it already."</p>
                <div class="actions"><a class="button button--s" href=format!("{here}?demo=1")>"Fill in its endpoint and token"</a></div>
            },
        )
    });
    let (endpoint, token) = match credentials {
        Some(demo) => (demo.app_endpoint, demo.app_token),
        None => (step.endpoint.clone(), String::new()),
    };
    let stored = step.token_stored.then(|| {
        let by = step
            .entered_by
            .clone()
            .map(|by| format!(", entered by {by}"));
        match step.refused_since {
            Some(at) => note(
                "failed",
                "st-stopped",
                "The app refuses the stored token",
                view! { <p>"Refused since " {moment(at)} {by} ". A new one lets the app go on where it stood."</p> },
            ),
            None => {
                let at = step.checked_at.map(|at| view! { " at " {moment(at)} });
                note(
                    "created",
                    "st-on",
                    "A token is stored",
                    view! { <p>"Accepted" {at} {by} ". A new one replaces it."</p> },
                )
            }
        }
    });
    let mut field = Field::new("token", "Access token")
        .kind("password")
        .value(token);
    field = if step.token_stored && step.refused_since.is_none() {
        field.hint("Leave empty to keep the stored one.")
    } else {
        field
            .required()
            .hint("Stored encrypted, never shown again.")
    };
    // Made inside the form, so that it finds its error.
    let shown = endpoint.clone();
    let endpoint_field = move || {
        Field::new("endpoint", "SCIM endpoint")
            .kind("url")
            .hint("Changing its origin asks for the token again.")
            .value(shown.clone())
            .required()
            .input()
    };
    let advanced = endpoint != step.endpoint;
    let known = step.endpoint_known;
    let endpoint_part = move || {
        if known {
            view! { <details class="fold" open=advanced><summary>"Advanced"</summary>{endpoint_field()}</details> }.into_any()
        } else {
            endpoint_field()
        }
    };
    let steps = step
        .instructions
        .iter()
        .map(|line| view! { <li>{line.clone()}</li> }.into_any())
        .collect::<Vec<_>>();
    let help = step.help_url.clone().map(|url| view! { <p class="hint"><a href=url rel="external noreferrer">{format!("{app}’s own help")}</a></p> });
    let next = if live {
        "The app is asked at once whether it accepts the token."
    } else {
        "Next: what the app gets to know."
    };
    view! {
        {step_head(&step.head, &step.progress, Step::Authorize, live, heading, lede.into_any())}
        <EditForm action="/api/save_authorize" class="beside" confirmed=true>
            {hidden("slug", slug.clone())}
            {live.then(|| hidden("live", "true"))}
            <div class="stack measure">
                {hint}
                {stored}
                {may_change().then(|| field.input())}
                {endpoint_part()}
            </div>
            <aside class="aside panel" aria-labelledby="how">
                <header><h2 id="how">{format!("How to get a token from {app}")}</h2></header>
                <div><ol class="bullets numbered">{steps}</ol>{help}</div>
            </aside>
            {save_bar(&slug, Step::Authorize, live, next.into_any())}
        </EditForm>
    }
    .into_any()
}
