//! Who a request comes from, and what it may see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::api::{ApiError, ErrorCode, local_path};
use app::services::{Actor, Assured, RequestContext, Stage, Visitor};
use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::PgPool;
use tower_sessions::Session;

use super::sessions::{self, BrowserSession};
use crate::clock::Clock;
use crate::services;
use crate::services::door::Scrutiny;
use crate::services::session_views::{SignedIn, kept_browser};
use crate::store::administrators;

const SIGN_IN: &str = "/sign-in";
const SETUP: &str = "/setup";
/// The second factor after the password.
const SIGN_IN_CODE: &str = "/sign-in/code";
/// Where a second factor is set up.
const ENROLMENT: &str = "/second-factor";
/// The server functions that work without a session; each makes one.
const OPEN_FUNCTIONS: [&str; 3] = ["/api/sign_in", "/api/one_time_link", "/api/redeem_link"];
/// Those that work once the password was right.
const CODE_FUNCTIONS: [&str; 3] = [
    "/api/sign_in_code",
    "/api/sign_in_passkey",
    "/api/sign_in_ways",
];
/// Those that work for whoever has to set up a second factor before anything else.
const ENROLMENT_FUNCTIONS: [&str; 5] = [
    "/api/enrolment",
    "/api/begin_enrolment",
    "/api/finish_enrolment",
    "/api/begin_passkey",
    "/api/add_passkey",
];

/// What is known of a request before it is answered.
#[derive(Clone)]
pub(super) struct Visit {
    pub actor: Option<Actor>,
    /// Of an actor who proved a short while ago who they are.
    pub assured: Option<Assured>,
    pub context: RequestContext,
}

/// Lets requests in or sends them to the door.
#[derive(Clone)]
pub(super) struct Gate {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    scrutiny: Scrutiny,
    /// Once somebody can sign in, somebody always can.
    set_up: Arc<AtomicBool>,
}

impl Gate {
    pub(super) fn new(pool: PgPool, clock: Arc<dyn Clock>, scrutiny: Scrutiny) -> Self {
        Self {
            pool,
            clock,
            scrutiny,
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

    /// Whose session it is, as they are now: a role or a lock counts from the next request on.
    async fn look(&self, session: &Session) -> Result<Option<(SignedIn, Actor)>, VisitorError> {
        let Some(held) = sessions::signed_in(session, self.clock.now()).await? else {
            return Ok(None);
        };
        let mut db = self.pool.acquire().await?;
        let found = administrators::by_id(&mut db, held.administrator).await?;
        Ok(found.map(|administrator| (held, services::actor(&administrator))))
    }

    fn assured(&self, held: &SignedIn, actor: &Actor) -> Option<Assured> {
        match self.scrutiny {
            Scrutiny::Demo => Some(Assured::in_demo(actor.clone())),
            Scrutiny::Full => {
                Assured::by_confirmation(actor.clone(), held.confirmed_at, self.clock.now())
            }
        }
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
    let looked = match gate.look(&session).await {
        Ok(looked) => looked,
        Err(error) => return unavailable(&error),
    };
    let stage = looked.as_ref().map(|(held, _)| held.stage);
    let door = match stage {
        Some(Stage::Inside) => past_the_door(&request),
        _ => match gate.is_set_up().await {
            Ok(set_up) => at_the_door(&request, set_up, stage),
            Err(error) => return unavailable(&error),
        },
    };
    if let Some(answer) = door {
        return answer;
    }
    let visitor = looked.as_ref().map(|(held, _)| Visitor {
        administrator: held.administrator,
        stage: held.stage,
    });
    let inside = looked.filter(|(held, _)| held.stage == Stage::Inside);
    let assured = (inside.as_ref()).and_then(|(held, actor)| gate.assured(held, actor));
    let actor = inside.map(|(_, actor)| actor);
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| address.ip().to_canonical());
    let browser = request.headers().get(header::USER_AGENT);
    let browser = browser.and_then(|text| text.to_str().ok());
    let context = RequestContext {
        visitor,
        address,
        session: Arc::new(BrowserSession {
            session,
            clock: gate.clock.clone(),
            address,
            browser: browser.and_then(kept_browser),
        }),
    };
    // For routes outside this module.
    request.extensions_mut().insert(actor.clone());
    let visit = Visit {
        actor,
        assured,
        context,
    };
    request.extensions_mut().insert(visit);
    next.run(request).await
}

/// Whoever is signed in has no business at the door.
fn past_the_door(request: &Request) -> Option<Response> {
    let door = [SIGN_IN, SIGN_IN_CODE].contains(&request.uri().path());
    let there = request.method() == Method::GET && door;
    there.then(|| Redirect::to(local_path(next_of(request.uri()).as_deref())).into_response())
}

/// `stage` is how far somebody came who is not inside yet.
fn at_the_door(request: &Request, set_up: bool, stage: Option<Stage>) -> Option<Response> {
    let (path, headers) = (request.uri().path(), request.headers());
    let further = match stage {
        Some(Stage::SecondFactor) => path == SIGN_IN_CODE || CODE_FUNCTIONS.contains(&path),
        Some(Stage::Enrolment) => path == ENROLMENT || ENROLMENT_FUNCTIONS.contains(&path),
        Some(Stage::Inside) | None => false,
    };
    if further || path == SETUP || OPEN_FUNCTIONS.contains(&path) {
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
    let door = match stage {
        Some(Stage::SecondFactor) => SIGN_IN_CODE,
        Some(Stage::Enrolment) => ENROLMENT,
        Some(Stage::Inside) | None => SIGN_IN,
    };
    Some(Redirect::to(&and_back(door, wanted.as_deref())).into_response())
}

fn and_back(door: &str, wanted: Option<&str>) -> String {
    match local_path(wanted) {
        "/" => door.to_owned(),
        path => format!("{door}?next={}", utf8_percent_encode(path, QUERY_VALUE)),
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
