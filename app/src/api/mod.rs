//! Wire types and server functions, one file per area.
//!
//! A server function takes the signed-in actor and the services from the context, calls one
//! service method and returns. What it may do is decided there, not in the page that calls it.

pub mod account;
pub mod accounts;
pub mod administrators;
pub mod apps;
pub mod audit;
pub mod autoprovisioning;
pub mod concerned;
pub mod demo;
pub mod directory;
pub mod edits;
mod error;
pub mod failures;
pub mod history;
pub mod home;
pub mod notifications;
pub mod on_demand;
pub mod preferences;
pub mod queue;
pub mod runs;
pub mod session;
pub mod settings;
pub mod setup;
pub mod shell;
pub mod terms;
pub mod usage;
pub mod wizard;

pub use error::{ApiError, ErrorCode, FieldCode, FieldError};

/// Where to go after signing in: a path of this console and nothing else.
#[must_use]
pub fn local_path(next: Option<&str>) -> &str {
    match next {
        Some(path)
            if path.starts_with('/')
                && !path.starts_with("//")
                && !path.contains('\\')
                && !path.chars().any(char::is_control)
                && path.is_ascii()
                && path.len() <= 8000 =>
        {
            path
        }
        _ => "/",
    }
}

/// The address of a page that leads to another one afterwards.
#[must_use]
pub fn with_next(path: &str, next: Option<&str>) -> String {
    match local_path(next) {
        "/" => path.to_owned(),
        next => format!("{path}?next={}", crate::format::query_value(next)),
    }
}

/// Text as typed into an optional field: nothing typed is nothing. No database takes a NUL.
#[cfg(feature = "ssr")]
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.replace('\0', "").trim().to_owned())
        .filter(|text| !text.is_empty())
}

#[cfg(feature = "ssr")]
pub use server_side::{
    answer, assured, assured_self, assured_self_quietly, redirect_to, request, services,
    set_status, signed_in, super_administrator,
};

#[cfg(feature = "ssr")]
mod server_side {
    use super::{ApiError, ErrorCode, local_path, terms::Role};
    use crate::services::{Actor, Assured, RequestContext, Services};
    use http::{
        StatusCode, Uri,
        header::{ACCEPT, REFERER},
        request::Parts,
    };
    use leptos::prelude::use_context;
    use leptos_axum::ResponseOptions;

    /// Whether the browser posted a form on its own. It is sent back to its page, errors included.
    fn is_posted_form(parts: &Parts) -> bool {
        let accept = parts
            .headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok());
        parts.uri.path().starts_with("/api/")
            && accept.is_some_and(|accept| accept.contains("text/html"))
    }

    /// The status of an error, for pages and for programs. The redirect of a form that a browser
    /// posted on its own is left alone.
    pub fn set_status(error: &ApiError) {
        let Some(response) = use_context::<ResponseOptions>() else {
            return;
        };
        let posted_form = use_context::<Parts>().is_some_and(|parts| is_posted_form(&parts));
        if !posted_form && let Ok(status) = StatusCode::from_u16(error.code.status()) {
            response.set_status(status);
        }
    }

    /// The end of every server function.
    pub fn answer<T>(result: Result<T, ApiError>) -> Result<T, ApiError> {
        if let Err(error) = &result {
            set_status(error);
        }
        result
    }

    fn refuse<T>(code: ErrorCode) -> Result<T, ApiError> {
        answer(Err(ApiError::new(code)))
    }

    /// Without a check: only for first-run setup and sign-in.
    pub fn services() -> Result<Services, ApiError> {
        use_context::<Services>().map_or_else(|| refuse(ErrorCode::Internal), Ok)
    }

    pub fn request() -> Result<RequestContext, ApiError> {
        use_context::<RequestContext>().map_or_else(|| refuse(ErrorCode::Internal), Ok)
    }

    /// Anybody who is signed in, for reading.
    pub fn signed_in() -> Result<(Actor, Services), ApiError> {
        match use_context::<Option<Actor>>().flatten() {
            Some(actor) => Ok((actor, services()?)),
            None => refuse(ErrorCode::Unauthenticated),
        }
    }

    /// A super administrator, for everything that changes something.
    pub fn super_administrator() -> Result<(Actor, Services), ApiError> {
        let (actor, services) = signed_in()?;
        match actor.role {
            Role::SuperAdministrator => Ok((actor, services)),
            Role::Auditor => refuse(ErrorCode::Forbidden),
        }
    }

    /// A super administrator who proved a short while ago who they are (S13).
    pub fn assured() -> Result<(Assured, Services), ApiError> {
        super_administrator()?;
        assured_self()
    }

    /// Anybody who proved it, for what concerns themselves.
    pub fn assured_self() -> Result<(Assured, Services), ApiError> {
        let (_, services) = signed_in()?;
        match assured_self_quietly() {
            Some(assured) => Ok((assured, services)),
            None => {
                ask_first();
                refuse(ErrorCode::ConfirmFirst)
            }
        }
    }

    pub fn assured_self_quietly() -> Option<Assured> {
        use_context::<Option<Assured>>().flatten()
    }

    /// Without WebAssembly the browser goes to the page that asks, and comes back to the form's
    /// page. With it, the form stays as it is, with all that was typed, and says so.
    fn ask_first() {
        let Some(parts) = use_context::<Parts>().filter(is_posted_form) else {
            return;
        };
        let referer = parts
            .headers
            .get(REFERER)
            .and_then(|from| from.to_str().ok());
        let from = referer.and_then(|from| from.parse::<Uri>().ok());
        let page = from.as_ref().and_then(|uri| uri.path_and_query());
        let page = page.map(|page| without_error(page.as_str()));
        redirect_to(&super::with_next("/confirm-identity", page.as_deref()));
    }

    /// An earlier error of the same form stands in its page's address.
    fn without_error(page: &str) -> String {
        let Some((path, query)) = page.split_once('?') else {
            return page.to_owned();
        };
        let kept: Vec<_> = (query.split('&'))
            .filter(|pair| !pair.starts_with("__err=") && !pair.starts_with("__path="))
            .collect();
        if kept.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", kept.join("&"))
        }
    }

    /// Sends the browser to a page of this console, with or without WebAssembly.
    pub fn redirect_to(path: &str) {
        #[allow(clippy::disallowed_methods, reason = "this is the one place")]
        leptos_axum::redirect(local_path(Some(path)));
    }
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn the_way_after_sign_in_never_leads_elsewhere() {
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "evil",
            "/a\nb",
            "",
        ] {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(local_path(Some("/apps/asana?tab=1")), "/apps/asana?tab=1");
        assert_eq!(local_path(None), "/");
    }
}
