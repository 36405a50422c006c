//! The console's pages and server functions, with what they find in their context.

use std::sync::Arc;

use app::App;
use app::api::preferences::{self, ReaderClock};
use app::services::{Actor, Assured};
use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::http::request::Parts;
use axum::routing::any;
use leptos::prelude::{LeptosOptions, provide_context, use_context};
use leptos_axum::{LeptosRoutes as _, generate_route_list, handle_server_fns_with_context};

use super::Web;
use super::authentication::Visit;
use super::headers::Nonce;
use crate::clock::Clock;
use crate::services::zones::Zone;

pub(super) fn routes(web: &Web) -> Router {
    let folder = web.site.folder().to_string_lossy().into_owned();
    let options = LeptosOptions::builder()
        .output_name("rollcall")
        .site_root(folder)
        .build();
    let provide = {
        let (provide, clock) = (web.provide.clone(), web.clock.clone());
        move || {
            provide();
            provide_request(&clock);
        }
    };
    let functions = {
        let provide = provide.clone();
        any(move |request: Request| handle_server_fns_with_context(provide.clone(), request))
    };
    let shell = {
        let options = options.clone();
        move || app::shell(options.clone())
    };
    let missing = leptos_axum::file_and_error_handler_with_context::<LeptosOptions, _>(
        provide.clone(),
        app::shell,
    );
    Router::new()
        .route("/api/{*function}", functions)
        .leptos_routes_with_context(&options, generate_route_list(App), provide, shell)
        .fallback(missing)
        .with_state(options)
}

/// The request's own part of the context. Route generation runs without a request.
fn provide_request(clock: &Arc<dyn Clock>) {
    let Some(parts) = use_context::<Parts>() else {
        return;
    };
    if let Some(Nonce(nonce)) = parts.extensions.get::<Nonce>() {
        provide_context(leptos::nonce::Nonce::from_value(nonce.clone()));
    }
    let visit = parts.extensions.get::<Visit>();
    provide_context::<Option<Actor>>(visit.and_then(|visit| visit.actor.clone()));
    provide_context::<Option<Assured>>(visit.and_then(|visit| visit.assured.clone()));
    if let Some(visit) = visit {
        provide_context(visit.context.clone());
    }
    let cookies = parts.headers.get(header::COOKIE);
    let told = cookies
        .and_then(|cookies| cookies.to_str().ok())
        .and_then(preferences::zone_in)
        .and_then(Zone::known);
    if let Some(told) = told {
        let now = clock.now();
        provide_context(ReaderClock(Arc::new(move |at| told.local(now, at))));
    }
}
