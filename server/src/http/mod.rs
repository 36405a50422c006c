//! The web server: routes, sessions, who may see what, and the headers of every answer.

mod authentication;
mod headers;
mod health;
mod pages;
mod proxy;
mod push;
mod serve;
mod sessions;
mod site;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::{ConfigError, CsrfLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{
    MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use url::Url;

pub use health::{Health, routes as health_routes};
pub use proxy::TrustedProxies;
pub use push::routes as push_routes;
pub use serve::{bind, bind_as, serve, serve_tls};
pub use site::{Site, SiteError};
pub use tls::{TlsError, TlsFiles, TlsListener};

use crate::clock::Clock;
use crate::secrets::Vault;
use crate::services::door::Scrutiny;

/// The largest request body: a pasted key file or SSO metadata stays far below it.
const BODY_LIMIT: usize = 1024 * 1024;
/// Looking up a directory's scopes is the longest that a page waits for.
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// Called once for every page and server function, in the owner of its context.
pub type Provide = Arc<dyn Fn() + Send + Sync>;

/// What the web server works with.
#[derive(Clone)]
pub struct Web {
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    /// Puts what pages and server functions need into their context, such as the services.
    pub provide: Provide,
    /// Routes behind the door that are no pages, such as the log as a file.
    pub downloads: Router,
    /// Routes that other programs call without a session, such as Google's notifications. Each
    /// proves its caller by itself.
    pub hooks: Router,
    pub site: Site,
    pub metrics: PrometheusHandle,
    pub scrutiny: Scrutiny,
    /// Set when browsers reach the console through a proxy.
    pub public_url: Option<Url>,
}

/// How requests come in, and what `/readyz` holds the database against.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// This process itself speaks https.
    pub tls: bool,
    pub proxies: TrustedProxies,
    pub vault: Option<Vault>,
}

#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    #[error("ROLLCALL_PUBLIC_URL can't be used: {0}")]
    PublicUrl(#[from] ConfigError),
}

/// The whole console, reached without anything in between.
pub fn router(web: &Web) -> Result<Router, RouterError> {
    router_behind(web, &Front::default())
}

/// The whole console.
pub fn router_behind(web: &Web, front: &Front) -> Result<Router, RouterError> {
    let public_https = web.public_url.clone().filter(|url| url.scheme() == "https");
    let https = front.tls || public_https.is_some();
    let proxied = proxy::Proxied {
        proxies: front.proxies.clone(),
        https: public_https,
    };
    let mut csrf = CsrfLayer::new();
    if let Some(url) = &web.public_url {
        csrf = csrf.add_trusted_origin(url.origin().ascii_serialization())?;
    }
    let gate = authentication::Gate::new(web.pool.clone(), web.clock.clone(), web.scrutiny);
    let console = pages::routes(web)
        .merge(web.downloads.clone())
        .layer(from_fn_with_state(gate, authentication::admit))
        .layer(sessions::layer(web, https));
    let guarded = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(answered),
        )
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn_with_state(
            headers::Policy::new(https),
            headers::add,
        ))
        .layer(from_fn_with_state(proxied, proxy::identify))
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIME_LIMIT,
        ))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(csrf.with_rejection_response(|_| {
            (
                StatusCode::FORBIDDEN,
                "This form was sent from another site. Open Rollcall and try again.\n",
            )
                .into_response()
        }));
    Ok(Router::new()
        .merge(
            console
                .layer(CompressionLayer::new())
                .layer(from_fn(headers::never_store)),
        )
        .merge(web.hooks.clone().layer(from_fn(headers::never_store)))
        .merge(web.site.routes().layer(from_fn(headers::revalidate)))
        .merge(health::routes(Health {
            pool: web.pool.clone(),
            clock: web.clock.clone(),
            metrics: web.metrics.clone(),
            vault: front.vault.clone(),
        }))
        .layer(guarded))
}

fn answered(response: &Response, took: Duration, span: &tracing::Span) {
    let status = response.status().as_u16();
    span.record("status", status);
    tracing::debug!(status, took_ms = took.as_millis(), "answered");
}

/// A request's fields in the log: never the query (one-time links have their token there), and
/// the route instead of the path, which may name a person.
fn span(request: &Request) -> tracing::Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str);
    let id = request.extensions().get::<RequestId>();
    let id = id
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or("-");
    tracing::info_span!(
        "request",
        "otel.kind" = "server",
        method = %request.method(),
        route,
        id,
        status = tracing::field::Empty,
    )
}
