//! What surrounds the pages of somebody who is signed in: the rail, the way in, arrivals.

use super::{
    confirm::Confirmation,
    form::{GetForm, plain_button},
    loading::load_everywhere,
    page::Refresh,
    parts::icon,
    picture::tally,
    time::{Alive, moment},
};
use crate::{
    api::{
        ErrorCode,
        shell::{Frame, LoadFrame},
        terms::{AppStatus, Role},
    },
    browser, format, words,
};
use leptos::{ev, prelude::*};
use leptos_router::{
    components::{Outlet, Redirect},
    hooks::use_location,
};
use std::time::Duration;

/// Sends to the sign-in page, and back here afterwards.
#[component]
pub fn SignInFirst() -> impl IntoView {
    let location = use_location();
    let path = location.pathname.get_untracked();
    let search = location.search.get_untracked();
    let here = if search.is_empty() {
        path
    } else {
        format!("{path}?{search}")
    };
    view! {
        <Redirect path=format!("/sign-in?next={}", format::query_value(&here))/>
        <p><a href="/sign-in">"Sign in"</a></p>
    }
}

/// How often a page that is gone to is looked at while it loads, and how long between two looks.
pub(super) const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(60);
/// How long it is said that something was done.
const SAID_FOR: Duration = Duration::from_secs(6);

/// Focuses the title once it is there.
fn arrive_soon(looks: u32) {
    set_timeout(
        move || {
            if looks > 0 && browser::is_loading() {
                arrive_soon(looks - 1);
            } else {
                browser::arrive();
            }
        },
        BETWEEN_LOOKS,
    );
}

/// The same where a form changed the page that it is on.
pub(super) fn come_back_soon(posted: browser::Posted, looks: u32) {
    set_timeout(
        move || {
            if looks > 0 && browser::is_as_before(&posted) {
                come_back_soon(posted, looks - 1);
            } else {
                browser::come_back(&posted);
                set_timeout(|| browser::say(""), SAID_FOR);
            }
        },
        BETWEEN_LOOKS,
    );
}

/// Moves focus to the title after a change of page; the router does not.
#[component]
pub fn Arrivals() -> impl IntoView {
    let location = use_location();
    let alive = expect_context::<Alive>();
    Effect::new(move |before: Option<String>| {
        let path = location.pathname.get();
        if before.is_some_and(|before| before != path) {
            // What was done on the page before.
            browser::say("");
            arrive_soon(LOOKS);
        }
        path
    });
    Effect::new(move |_| {
        if !alive.0.get_untracked() {
            alive.0.set(true);
            browser::remember_zone();
            browser::mark_hydrated();
        }
    });
    Effect::new(|_| {
        let keys = window_event_listener(ev::keydown, |event| browser::search_key(&event));
        on_cleanup(move || keys.remove());
    });
}

#[component]
pub fn SignedIn() -> impl IntoView {
    let frame = load_everywhere(|| LoadFrame {});
    Confirmation::provide(frame);
    view! {
        <a class="skip" href="#main" rel="external">"Skip to content"</a>
        <div class="shell">
            <header class="rail">
                <div class="rail__in">
                    <a class="brand" href="/">{tally(None)}"Rollcall"</a>
                    <button class="button button--s rail-toggle" type="button" popovertarget="menu">
                        {icon("menu")}
                        "Menu"
                    </button>
                    <div class="rail-menu" id="menu" popover="auto">
                        <button
                            class="button button--s rail-close"
                            type="button"
                            popovertarget="menu"
                            popovertargetaction="hide"
                        >
                            {icon("close")}
                            "Close"
                        </button>
                        <Transition>
                            {move || Suspend::new(async move {
                                match frame.get().await {
                                    Ok(frame) => rail(frame),
                                    Err(error) if error.code == ErrorCode::Unauthenticated => {
                                        view! { <SignInFirst/> }.into_any()
                                    }
                                    Err(error) => {
                                        view! { <p class="hint">{words::error(&error).title}</p> }.into_any()
                                    }
                                }
                            })}
                        </Transition>
                    </div>
                </div>
            </header>
            <main class="main" id="main" tabindex="-1">
                <Outlet/>
            </main>
            <p class="said" id="said" role="status"></p>
        </div>
    }
}

fn place(
    href: String,
    shape: &'static str,
    text: String,
    count: Option<u32>,
    status: Option<&AppStatus>,
) -> AnyView {
    let path = use_location().pathname;
    let own = href.clone();
    // The place of a page below it too: /apps/asana/runs is in /apps/asana.
    let current = move || {
        path.with(|path| {
            let below = own != "/"
                && path
                    .strip_prefix(&own)
                    .is_some_and(|rest| rest.starts_with('/'));
            if *path == own {
                Some("page")
            } else if below {
                Some("true")
            } else {
                None
            }
        })
    };
    let count = count.map(|count| view! { <span class="count">{format::number(count)}</span> });
    let status = status.map(|status| {
        let (word, shape, tone) = words::status(status);
        view! { <span class=format!("st tone-{tone}")>{icon(shape)}<span class="visually-hidden">{word}</span></span> }
    });
    view! { <li><a href=href aria-current=current>{icon(shape)}<span>{text}</span>{count}{status}</a></li> }.into_any()
}

fn rail(frame: Frame) -> AnyView {
    let has_directory = frame.directory_read_at.is_some();
    let counted = |n: u32| has_directory.then_some(n);
    let apps = frame
        .apps
        .iter()
        .map(|app| {
            place(
                format!("/apps/{}", app.slug),
                "apps",
                app.name.clone(),
                None,
                Some(&app.status),
            )
        })
        .collect::<Vec<_>>();
    let demo = frame.demo.then(|| {
        place(
            "/demo".to_owned(),
            "flask",
            "Demo directory".to_owned(),
            None,
            None,
        )
    });
    let organization = frame
        .organization
        .clone()
        .map(|name| view! { <strong>{name}</strong> });
    let read = match frame.directory_read_at {
        Some(at) => {
            view! { "Directory read " {moment(at)} ", " {format::people(frame.people)} }.into_any()
        }
        None => "No directory yet".into_any(),
    };
    let add = (frame.role == Role::SuperAdministrator).then(|| {
        place(
            "/apps/add".to_owned(),
            "plus",
            "Add an app".to_owned(),
            None,
            None,
        )
    });
    let person = format!("{}, {}", frame.email, words::role(frame.role));
    view! {
        <GetForm action="/directory/people" class="find" role="search" label="Directory">
            {icon("search")}
            <label class="visually-hidden" for="rail-find">"Find a person"</label>
            <input
                class="input"
                id="rail-find"
                name="q"
                type="search"
                placeholder="Find a person"
                autocomplete="off"
                aria-keyshortcuts="/"
            />
            <input type="hidden" name="go" value="1"/>
            <kbd class="find__key only-alive" aria-hidden="true">"/"</kbd>
        </GetForm>
        <nav class="places" aria-label="Main">
            <ul>
                {place("/".to_owned(), "home", "Home".to_owned(), None, None)}
                {place("/audit".to_owned(), "log", "Audit log".to_owned(), None, None)}
                {demo}
            </ul>
            <div>
                <h2>"Directory"</h2>
                <ul>
                    {place("/directory/people".to_owned(), "people", "People".to_owned(), counted(frame.people), None)}
                    {place("/directory/groups".to_owned(), "groups", "Groups".to_owned(), counted(frame.groups), None)}
                    {place("/directory/org-units".to_owned(), "units", "Org units".to_owned(), counted(frame.org_units), None)}
                    {place("/directory/connection".to_owned(), "plug", "Connection".to_owned(), None, None)}
                </ul>
            </div>
            <div>
                <h2>"Apps"</h2>
                <ul>{apps}{add}</ul>
            </div>
            <div>
                <h2>"Console"</h2>
                <ul>
                    {place("/administrators".to_owned(), "shield", "Administrators".to_owned(), None, None)}
                    {place("/settings".to_owned(), "gear", "Settings".to_owned(), None, None)}
                    {place("/about".to_owned(), "info", "About".to_owned(), None, None)}
                </ul>
            </div>
        </nav>
        <div class="rail-foot">
            <p>{organization}{read}</p>
            <p><a href="/account">{person}</a></p>
            <p><span class="only-plain">"Times are those of " {frame.zone.clone()} ". "</span><a href="/preferences">"Preferences"</a></p>
            {plain_button("/api/sign_out", "", "button--s button--quiet", Some("out"), "Sign out")}
        </div>
    }
    .into_any()
}

/// Provides what every page expects.
pub fn provide() {
    provide_context(Refresh(RwSignal::new(0)));
    provide_context(Alive(RwSignal::new(false)));
}
