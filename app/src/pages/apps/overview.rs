//! One app at a glance: sign-in, access, autoprovisioning, in the order in which they are set up.

use super::super::home::outcome;
use crate::{
    api::{
        apps::{AppOverview, LoadAppOverview, SignInMethod},
        terms::AppStatus,
    },
    components::{
        app_page, button_link, chip, fact, facts, load, loaded, may_change, moment, param, sheet,
        time_day, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn OverviewPage() -> impl IntoView {
    loaded(load(param("slug"), |slug| LoadAppOverview { slug }), page)
}

fn page(app: AppOverview) -> AnyView {
    let slug = app.head.slug.clone();
    let at = |path: &str| format!("/apps/{slug}/{path}");
    let ready = app.sign_in.method.is_some();
    let on = app.access_units_on > 0 || app.access_groups > 0;
    let configured = app.head.status != AppStatus::NotConfigured;
    // The next thing to do is the one filled button.
    let may = may_change();
    let class = |now: bool| {
        if now && may {
            "button--s button--primary"
        } else {
            "button--s"
        }
    };

    let sign_in = match app.sign_in.method {
        None => {
            view! { <p class="soft">"Not set up. Autoprovisioning needs it first."</p> }.into_any()
        }
        Some(SignInMethod::Google) => words("created", "st-on", "People sign in with Google"),
        Some(SignInMethod::Saml) => facts(
            [
                Some(fact(
                    "Method",
                    words("created", "st-on", "SAML, metadata recorded"),
                )),
                app.sign_in
                    .entity_id
                    .clone()
                    .map(|id| fact("Entity ID", view! { <code>{id}</code> })),
                app.sign_in
                    .certificate_expires
                    .map(|on| fact("Certificate", view! { "expires on " {time_day(on)} })),
            ]
            .into_iter()
            .flatten()
            .collect(),
        ),
    };
    let access = if on {
        view! {
            <p>
                <b>{format::people(app.access_people)}</b>
                {format!(
                    " in {} of {}{}.",
                    app.access_units_on,
                    format::counted(app.access_units, "org unit", "org units"),
                    if app.access_groups > 0 {
                        format!(", with {} on top", format::counted(app.access_groups, "group", "groups"))
                    } else {
                        String::new()
                    },
                )}
            </p>
        }
        .into_any()
    } else {
        view! { <p class="soft">"Off for everybody. Turn it on for the org units whose people use it."</p> }.into_any()
    };
    let auto = if configured {
        let last = app.last_run.clone().map(|run| {
            let href = format!("/apps/{slug}/runs/{}", run.number);
            fact(
                "Last run",
                view! { <a href=href>{moment(run.at)}</a> ", " {outcome(&run)} },
            )
        });
        facts(
            [
                Some(fact("Status", chip(&app.head.status))),
                Some(fact(
                    "Accounts",
                    view! { <a href=at("accounts")>{format::number(app.accounts)}</a> },
                )),
                app.in_scope.map(|n| fact("In scope", format::people(n))),
                last,
                app.next_run.map(|time| fact("Next run", moment(time))),
                Some(fact(
                    "Sections",
                    sections(&at("autoprovisioning"), app.head.status == AppStatus::Off),
                )),
            ]
            .into_iter()
            .flatten()
            .collect(),
        )
    } else if ready {
        view! { <p class="soft">"Not configured. Five questions, then a plan with every person by name; nothing is sent before you say so."</p> }.into_any()
    } else {
        view! { <p class="soft" id="why-not">"Set up sign-in first: without it people could not use the accounts."</p> }.into_any()
    };
    let auto_action = if configured || !may {
        button_link(at("autoprovisioning"), "button--s", "Open autoprovisioning")
    } else if ready {
        button_link(
            at("setup/authorize"),
            class(on),
            if app.head.draft {
                "Go on with the set-up"
            } else {
                "Configure autoprovisioning"
            },
        )
    } else {
        view! { <button class="button button--s" type="button" aria-disabled="true" aria-describedby="why-not">"Configure autoprovisioning"</button> }.into_any()
    };
    view! {
        {app_page(&app.head, "", None, None)}
        {sheet(
            "sign-in",
            "Sign-in",
            "How people get in to the app.",
            Some(button_link(at("sign-in"), class(!ready), if !may { "Open" } else if ready { "Change" } else { "Set up sign-in" })),
            sign_in,
        )}
        {sheet(
            "access",
            "User access",
            "For whom the app is on.",
            Some(button_link(at("access"), class(ready && !on), if !may { "Open" } else if on { "Change" } else { "Turn on for org units" })),
            access,
        )}
        {sheet("auto", "Autoprovisioning", "Who gets an account, and when it ends.", Some(auto_action), auto)}
    }
    .into_any()
}

/// The parts of autoprovisioning, each edited on its own.
fn sections(page: &str, off: bool) -> AnyView {
    const PARTS: [(&str, &str); 7] = [
        ("auth", "App authorization"),
        ("attributes", "Attribute mapping"),
        ("scope", "Provisioning scope"),
        ("deprovisioning", "Deprovisioning"),
        ("usage", "Usage"),
        ("off", "Turn off"),
        ("delete", "Delete configuration"),
    ];
    // The last two are deeds.
    let may = may_change();
    let is_there = |id: &str| match id {
        "off" => may && !off,
        "delete" => may,
        _ => true,
    };
    let links = PARTS
        .iter()
        .filter(|(id, _)| is_there(id))
        .map(|(id, name)| view! { <li><a href=format!("{page}#{id}")>{*name}</a></li> }.into_any())
        .collect::<Vec<_>>();
    view! { <ul class="inline-list">{links}</ul> }.into_any()
}
