//! Wire types and server functions, one file per area.
//!
//! A server function takes the signed-in actor and the services from the context, calls one
//! service method and returns. What it may do is decided there, not in the page that calls it.

pub mod accounts;
pub mod administrators;
pub mod apps;
pub mod audit;
pub mod autoprovisioning;
pub mod demo;
pub mod directory;
mod error;
pub mod failures;
pub mod home;
pub mod on_demand;
pub mod preferences;
pub mod queue;
pub mod runs;
pub mod session;
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
                && path.len() <= 2000 =>
        {
            path
        }
        _ => "/",
    }
}

/// Text as typed into an optional field: nothing typed is nothing.
#[cfg(feature = "ssr")]
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

#[cfg(feature = "ssr")]
pub use server_side::{
    answer, redirect_to, request, services, set_status, signed_in, super_administrator,
};

#[cfg(feature = "ssr")]
mod server_side {
    use super::{ApiError, ErrorCode, local_path, terms::Role};
    use crate::services::{Actor, RequestContext, Services};
    use http::{StatusCode, header::ACCEPT, request::Parts};
    use leptos::prelude::use_context;
    use leptos_axum::ResponseOptions;

    /// The status of an error, for pages and for programs. A form posted by a browser on its own
    /// is sent back to its page instead, so its redirect is left alone.
    pub fn set_status(error: &ApiError) {
        let Some(response) = use_context::<ResponseOptions>() else {
            return;
        };
        let posted_form = use_context::<Parts>().is_some_and(|parts| {
            parts.uri.path().starts_with("/api/")
                && parts
                    .headers
                    .get(ACCEPT)
                    .and_then(|accept| accept.to_str().ok())
                    .is_some_and(|accept| accept.contains("text/html"))
        });
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
