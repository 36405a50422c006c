//! Who a request comes from, and what it may see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::api::{ApiError, ErrorCode, local_path};
use app::services::{Actor, RequestContext};
use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::PgPool;
use tower_sessions::Session;

use super::sessions::{self, BrowserSession};
use crate::services;
use crate::store::administrators;

const SIGN_IN: &str = "/sign-in";
const SETUP: &str = "/setup";
/// The server functions that work without a session; each makes one.
const OPEN_FUNCTIONS: [&str; 3] = ["/api/sign_in", "/api/one_time_link", "/api/redeem_link"];

/// What is known of a request before it is answered.
#[derive(Clone)]
pub(super) struct Visit {
    pub actor: Option<Actor>,
    pub context: RequestContext,
}

/// Lets requests in or sends them to the door.
#[derive(Clone)]
pub(super) struct Gate {
    pool: PgPool,
    /// Once somebody can sign in, somebody always can.
    set_up: Arc<AtomicBool>,
}

impl Gate {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            set_up: Arc::default(),
        }
    }

    async fn is_set_up(&self) -> Result<bool, VisitorError> {
        if self.set_up.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let mut db = self.pool.acquire().await?;
        let any = administrators::any(&mut db).await?;
        self.set_up.store(any, Ordering::Relaxed);
        Ok(any)
    }

    async fn actor(&self, session: &Session) -> Result<Option<Actor>, VisitorError> {
        let Some(id) = sessions::administrator(session).await? else {
            return Ok(None);
        };
        let mut db = self.pool.acquire().await?;
        let found = administrators::by_id(&mut db, id).await?;
        Ok(found.map(|administrator| services::actor(&administrator)))
    }
}

/// It can't be told who a request comes from.
#[derive(Debug, thiserror::Error)]
enum VisitorError {
    #[error(transparent)]
    Session(#[from] tower_sessions::session::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Everything that is not a file passes here.
pub(super) async fn admit(
    State(gate): State<Gate>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    let actor = match gate.actor(&session).await {
        Ok(actor) => actor,
        Err(error) => return unavailable(&error),
    };
    let door = match actor {
        Some(_) => past_the_door(&request),
        None => match gate.is_set_up().await {
            Ok(set_up) => at_the_door(&request, set_up),
            Err(error) => return unavailable(&error),
        },
    };
    if let Some(answer) = door {
        return answer;
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let context = RequestContext {
        address: address.map(|ConnectInfo(address)| address.ip().to_canonical()),
        session: Arc::new(BrowserSession(session)),
    };
    // For routes outside this module.
    request.extensions_mut().insert(actor.clone());
    request.extensions_mut().insert(Visit { actor, context });
    next.run(request).await
}

/// Whoever is signed in has no business at the door.
fn past_the_door(request: &Request) -> Option<Response> {
    let there = request.method() == Method::GET && request.uri().path() == SIGN_IN;
    there.then(|| Redirect::to(local_path(next_of(request.uri()).as_deref())).into_response())
}

fn at_the_door(request: &Request, set_up: bool) -> Option<Response> {
    let (path, headers) = (request.uri().path(), request.headers());
    if path == SETUP || OPEN_FUNCTIONS.contains(&path) {
        return None;
    }
    if path.starts_with("/api/") && !is_form(headers) {
        let error = ApiError::new(ErrorCode::Unauthenticated);
        return Some((StatusCode::UNAUTHORIZED, Json(error)).into_response());
    }
    if !set_up {
        return Some(Redirect::to(SETUP).into_response());
    }
    if path == SIGN_IN {
        return None;
    }
    let wanted = if path.starts_with("/api/") {
        headers
            .get(header::REFERER)
            .and_then(|referer| referer.to_str().ok())
            .and_then(local_part)
    } else {
        request
            .uri()
            .path_and_query()
            .map(|path| path.as_str().to_owned())
    };
    Some(Redirect::to(&sign_in_for(wanted.as_deref())).into_response())
}

fn sign_in_for(wanted: Option<&str>) -> String {
    match local_path(wanted) {
        "/" => SIGN_IN.to_owned(),
        path => format!("{SIGN_IN}?next={}", utf8_percent_encode(path, QUERY_VALUE)),
    }
}

const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');

/// A form that the browser posts by itself wants a page back.
fn is_form(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn local_part(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok()?;
    uri.path_and_query().map(|path| path.as_str().to_owned())
}

fn next_of(uri: &Uri) -> Option<String> {
    let query = uri.query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, _)| name == "next")
        .map(|(_, value)| value.into_owned())
}

fn unavailable(error: &VisitorError) -> Response {
    tracing::error!(%error, "it can't be told who a request comes from");
    let text = "Rollcall can't reach its database right now. Try again in a moment.\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
