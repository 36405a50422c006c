//! What pages have in common: loading, errors, heads, pages of lists.

use super::{
    confirm::Confirmation,
    frame::SignInFirst,
    loading::{Answering, Loading, Show},
    parts::{chip, icon},
};
use crate::{
    api::{
        ApiError, ErrorCode,
        terms::{AppHead, AppStatus, Paging},
    },
    format, words,
};
use leptos::{either::Either, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_params_map, use_query_map};
use serde::de::DeserializeOwned;

/// Grows whenever something was changed: what is on the page is loaded again.
#[derive(Clone, Copy)]
pub struct Refresh(pub RwSignal<u32>);

/// A parameter of the path.
pub fn param(name: &'static str) -> impl Fn() -> String + Copy + Send + Sync + 'static {
    let params = use_params_map();
    move || params.with(|params| params.get(name).unwrap_or_default())
}

/// A parameter of the query; empty is none.
pub fn query(name: &'static str) -> impl Fn() -> Option<String> + Copy + Send + Sync + 'static {
    let query = use_query_map();
    move || query.with(|query| query.get(name).filter(|text| !text.is_empty()))
}

/// A parameter of the query as it is now, for what is built once.
#[must_use]
pub fn asked(name: &str) -> Option<String> {
    use_query_map().with_untracked(|query| query.get(name).filter(|text| !text.is_empty()))
}

/// An address with those of these parameters that were asked for, for the links to other pages of
/// the same list.
#[must_use]
pub fn carrying(mut address: String, names: &[&str]) -> String {
    for name in names {
        if let Some(value) = asked(name) {
            let joint = if address.contains('?') { '&' } else { '?' };
            address.push_str(&format!("{joint}{name}={}", format::query_value(&value)));
        }
    }
    address
}

/// The page once it is loaded; before that, rows of the final height.
pub fn loaded<T>(data: Loading<T>, page: fn(T) -> AnyView) -> AnyView
where
    T: DeserializeOwned + 'static,
{
    let (answer, show) = data.into_parts(page);
    once_answered(answer, show)
}

/// Of one kind for all pages, as [`loading`](super::loading) says.
fn once_answered(answer: Answering, show: Show) -> AnyView {
    let fresh = Fresh::new();
    let confirmation = use_context::<Confirmation>();
    view! {
        <Transition fallback=bones>
            {move || {
                let show = show.clone();
                Suspend::new(async move {
                    let answer = answer.await;
                    // Forms that need a confirmation ask for it instead.
                    if let Some(confirmation) = confirmation {
                        confirmation.known().await;
                    }
                    fresh.view(show(&answer).unwrap_or_else(|error| error_state(&error)))
                })
            }}
        </Transition>
    }
    .into_any()
}

/// After a change or on another page everything is built anew, so that no control keeps what it
/// held before. Otherwise, while progress is watched say, what is there is brought up to date.
#[derive(Clone, Copy)]
struct Fresh {
    version: RwSignal<u32>,
    path: Memo<String>,
    seen: StoredValue<(u32, String, bool)>,
}

impl Fresh {
    fn new() -> Self {
        Self {
            version: expect_context::<Refresh>().0,
            path: use_location().pathname,
            seen: StoredValue::new((0, String::new(), false)),
        }
    }

    /// The other side of an either is another piece of the document.
    fn view(self, page: AnyView) -> AnyView {
        let now = (self.version.get_untracked(), self.path.get_untracked());
        let mut side = false;
        self.seen.update_value(|(version, path, other)| {
            if (*version, &*path) != (now.0, &now.1) {
                (*version, *path) = now;
                *other = !*other;
            }
            side = *other;
        });
        let either: Either<AnyView, AnyView> = if side {
            Either::Left(page)
        } else {
            Either::Right(page)
        };
        either.into_any()
    }
}

fn bones() -> AnyView {
    let rows = [
        "bone bone--a",
        "bone bone--b",
        "bone bone--c",
        "bone bone--a",
    ]
    .map(|class| view! { <span class=class></span> })
    .to_vec();
    view! {
        <div class="bones" aria-busy="true">
            <p class="visually-hidden" role="status">"Loading"</p>
            {rows}
        </div>
    }
    .into_any()
}

/// A page that can't be shown: why, and where to go.
#[must_use]
pub fn error_state(error: &ApiError) -> AnyView {
    if error.code == ErrorCode::Unauthenticated {
        return view! { <SignInFirst/> }.into_any();
    }
    let sentence = words::error(error);
    let (tone, shape, href, action) = match error.code {
        ErrorCode::Forbidden => ("held", "lock", "/", "Home"),
        ErrorCode::NotFound | ErrorCode::DemoOnly => ("neutral", "search", "/", "Home"),
        ErrorCode::DirectoryNotConnected
        | ErrorCode::DirectoryNotRead
        | ErrorCode::DirectoryChanged => (
            "suspended",
            "plug",
            "/directory/connection",
            "Open the connection",
        ),
        _ => ("failed", "op-failed", "", "Try again"),
    };
    view! {
        <Title text=sentence.title.clone()/>
        <div class=format!("state tone-{tone}")>
            {icon(shape)}
            <h1>{sentence.title}</h1>
            <p>{sentence.text}</p>
            <div class="actions"><a class="button button--primary" href=href rel=href.is_empty().then_some("external")>{action}</a></div>
        </div>
    }
    .into_any()
}

#[must_use]
pub fn title(text: impl Into<String>) -> AnyView {
    view! { <Title text=text.into()/> }.into_any()
}

/// Links and at last the page itself.
#[must_use]
pub fn crumbs(links: Vec<(String, String)>, here: impl Into<String>) -> AnyView {
    let links = links
        .into_iter()
        .map(|(href, text)| view! { <li><a href=href><bdi>{text}</bdi></a></li> }.into_any())
        .collect::<Vec<_>>();
    view! { <nav class="crumbs" aria-label="Breadcrumb"><ol>{links}<li><bdi>{here.into()}</bdi></li></ol></nav> }.into_any()
}

/// Where am I, what is this, how is it, what can I do.
pub fn head(
    title: impl Into<String>,
    lede: impl Into<String>,
    actions: Option<AnyView>,
) -> AnyView {
    let (title, lede): (String, String) = (title.into(), lede.into());
    let lede = (!lede.is_empty()).then(|| view! { <p class="lede">{lede}</p> });
    let actions = actions.map(|actions| view! { <div class="actions">{actions}</div> });
    view! {
        <Title text=title.clone()/>
        <div class="page-head">
            <div class="page-head__row"><h1>{title}</h1>{actions}</div>
            {lede}
        </div>
    }
    .into_any()
}

/// The head of every page of one app. `here` is the tab's path; `actions` and `below` as needed.
#[must_use]
pub fn app_page(
    app: &AppHead,
    here: &'static str,
    actions: Option<AnyView>,
    below: Option<AnyView>,
) -> AnyView {
    const TABS: [(&str, &str); 9] = [
        ("", "Overview"),
        ("sign-in", "Sign-in"),
        ("access", "User access"),
        ("autoprovisioning", "Autoprovisioning"),
        ("accounts", "Accounts"),
        ("queue", "Queue"),
        ("runs", "Runs"),
        ("failures", "Failures"),
        ("usage", "Usage"),
    ];
    let slug = app.slug.clone();
    let name = TABS
        .iter()
        .find(|(path, _)| *path == here)
        .map_or("Overview", |(_, name)| name);
    let tabs = TABS
        .iter()
        .map(|(path, name)| {
            let href = if path.is_empty() {
                format!("/apps/{slug}")
            } else {
                format!("/apps/{slug}/{path}")
            };
            let current = (*path == here).then_some("page");
            view! { <a href=href aria-current=current>{*name}</a> }.into_any()
        })
        .collect::<Vec<_>>();
    let actions = actions.map(|actions| view! { <div class="actions">{actions}</div> });
    // What is held leads to where it is decided.
    let status = match app.status {
        AppStatus::Held { .. } => {
            let href = format!("/apps/{slug}/review");
            view! { <a href=href>{chip(&app.status)}</a> }.into_any()
        }
        _ => chip(&app.status),
    };
    view! {
        <Title text=if here.is_empty() { app.name.clone() } else { format!("{name}, {}", app.name) }/>
        <div class="page-head">
            {crumbs(vec![("/".to_owned(), "Home".to_owned())], app.name.clone())}
            <div class="page-head__row">
                <h1><bdi>{app.name.clone()}</bdi>{(!here.is_empty()).then(|| view! { <span class="visually-hidden">{format!(", {name}")}</span> })}</h1>
                {status}
                {actions}
            </div>
            <nav class="tabs" aria-label=app.name.clone()>{tabs}</nav>
            {below}
        </div>
    }
    .into_any()
}

/// "1 to 50 of 250" and the links to the pages beside. `address` ends where `page=` can follow.
#[must_use]
pub fn pager(paging: Paging, address: &str) -> AnyView {
    if paging.total == 0 {
        return ().into_any();
    }
    let per_page = paging.per_page.max(1);
    let page = paging.page.max(1);
    let first = (page - 1) * per_page + 1;
    let last = (page * per_page).min(paging.total);
    let to = |page: u32, text: &'static str| {
        let joint = if address.contains('?') { '&' } else { '?' };
        view! { <a href=format!("{address}{joint}page={page}")>{text}</a> }.into_any()
    };
    let previous = (page > 1).then(|| to(page - 1, "Previous page"));
    let next = (last < paging.total).then(|| to(page + 1, "Next page"));
    view! {
        <nav class="pager" aria-label="Pages">
            <span>{format!("{} to {} of {}", format::number(first), format::number(last), format::number(paging.total))}</span>
            <span class="pager__links">{previous}{next}</span>
        </nav>
    }
    .into_any()
}

/// Work that goes on by itself: what, and a link for browsers that do not refresh on their own.
#[must_use]
pub fn waiting(text: impl Into<String>) -> AnyView {
    view! {
        <div class="note tone-updated" role="status">
            {icon("st-running")}
            <div><p>{text.into()}</p><p class="only-plain"><a href="" rel="external">"Refresh this page"</a></p></div>
        </div>
    }
    .into_any()
}

/// A page that asks before something is done that can't be undone.
pub fn confirmation(
    trail: Vec<(String, String)>,
    title: impl Into<String>,
    text: Vec<String>,
    deed: AnyView,
    back: impl Into<String>,
) -> AnyView {
    let title: String = title.into();
    let text = text
        .into_iter()
        .map(|line| view! { <li>{line}</li> })
        .collect::<Vec<_>>();
    view! {
        <Title text=title.clone()/>
        <div class="page-head">
            {crumbs(trail, title.clone())}
            <h1>{title}</h1>
        </div>
        <ul class="bullets measure">{text}</ul>
        <div class="actions section">{deed}<a class="button" href=back.into()>"Back"</a></div>
    }
    .into_any()
}
