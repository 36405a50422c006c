//! Headers of every answer, the content security policy first of all.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The request's nonce: scripts of the page carry it, and the policy names it.
#[derive(Clone, Debug)]
pub(super) struct Nonce(pub Arc<str>);

/// What the policy depends on beside the nonce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    https: bool,
    /// `cargo leptos watch` reloads pages through a socket of its own.
    watched: bool,
}

impl Policy {
    pub(super) fn new(https: bool) -> Self {
        Self {
            https,
            watched: std::env::var_os("LEPTOS_WATCH").is_some(),
        }
    }

    fn text(self, nonce: &str) -> String {
        let reload = if self.watched { " ws:" } else { "" };
        format!(
            "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
             style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'{reload}; \
             manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    }
}

/// The same on every answer. A one-time link's token never leaves in a Referer, and forms without
/// WebAssembly still find their way back.
const FIXED: [(HeaderName, HeaderValue); 6] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ),
];

pub(super) async fn add(
    State(policy): State<Policy>,
    mut request: Request,
    next: Next,
) -> Response {
    let nonce: Arc<str> = BASE64_STANDARD.encode(rand::random::<[u8; 16]>()).into();
    request.extensions_mut().insert(Nonce(nonce.clone()));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    // Base64 is always a valid header value.
    if let Ok(value) = HeaderValue::from_str(&policy.text(&nonce)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    if policy.https {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Pages show what only the signed-in may see.
pub(super) async fn never_store(request: Request, next: Next) -> Response {
    cache_control(
        next.run(request).await,
        HeaderValue::from_static("no-store"),
    )
}

/// Files keep their names from version to version; an ETag makes asking again cheap.
pub(super) async fn revalidate(request: Request, next: Next) -> Response {
    cache_control(
        next.run(request).await,
        HeaderValue::from_static("no-cache"),
    )
}

fn cache_control(mut response: Response, value: HeaderValue) -> Response {
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(value);
    response
}
