//! The emulated Admin SDK Directory API and its token endpoint, true to
//! Google's discovery document.

mod error;
mod groups;
mod organization;
pub mod push;
mod query;
mod token;
mod users;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::faults::{Call, Failure, Suffered};
use super::{Sandbox, drop_connection, read};
use error::Refusal;

pub use token::{Grants, Scope};

/// Google's paths.
pub fn router() -> Router<Sandbox> {
    const CUSTOMER: &str = "/admin/directory/v1/customer/{customer}";
    Router::new()
        .route("/token", post(token::token))
        .route("/admin/directory/v1/users", get(users::list))
        .route("/admin/directory/v1/users/watch", post(push::watch))
        .route("/admin/directory_v1/channels/stop", post(push::stop))
        .route("/admin/directory/v1/users/{key}", get(users::get))
        .route("/admin/directory/v1/groups", get(groups::list))
        .route("/admin/directory/v1/groups/{key}", get(groups::get))
        .route(
            "/admin/directory/v1/groups/{key}/members",
            get(groups::members),
        )
        .route(
            &format!("{CUSTOMER}/orgunits"),
            get(organization::org_units),
        )
        .route(&format!("{CUSTOMER}/domains"), get(organization::domains))
        .route(
            "/admin/directory/v1/customers/{customer}",
            get(organization::customer),
        )
}

/// What Google answers to a path that it does not know.
pub async fn no_such_page() -> Response {
    (
        StatusCode::NOT_FOUND,
        Html("<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title><p><b>404.</b> That's an error.</p></html>"),
    )
        .into_response()
}

/// What a fault leaves for the handler to do wrong.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Twist {
    #[default]
    None,
    MissingCollection,
    RepeatedPageToken,
    EndlessPages,
    EndsEarly,
    DroppedAfter,
}

/// Counts a request in; refuses it when a fault says so.
async fn enter(sandbox: &Sandbox, call: Call, subject: Option<&str>) -> Result<Twist, Refusal> {
    let Suffered { failure, .. } = sandbox.enter(call, subject).await;
    let Some(failure) = failure else {
        return Ok(Twist::None);
    };
    match failure {
        Failure::MissingCollection => Ok(Twist::MissingCollection),
        Failure::RepeatedPageToken => Ok(Twist::RepeatedPageToken),
        Failure::EndlessPages => Ok(Twist::EndlessPages),
        Failure::EndsEarly => Ok(Twist::EndsEarly),
        Failure::DroppedAfter => Ok(Twist::DroppedAfter),
        Failure::Latency { .. } | Failure::DroppedBefore => Ok(Twist::None),
        Failure::TooManyRequests { retry_after } => Err(Refusal::too_many(retry_after)),
        Failure::UserRateLimitExceeded => Err(Refusal::usage_limit(
            "userRateLimitExceeded",
            "User Rate Limit Exceeded",
        )),
        Failure::QuotaExceeded => Err(Refusal::usage_limit("quotaExceeded", "Quota exceeded")),
        Failure::Forbidden => Err(Refusal::not_authorized()),
        Failure::Unauthorized => Err(Refusal::invalid_credentials()),
        Failure::Status { status } => Err(Refusal::status(status)),
        Failure::Html { status } => Err(Refusal::html(status)),
    }
}

fn answer(twist: Twist, body: &impl Serialize) -> Result<Response, Refusal> {
    if twist == Twist::DroppedAfter {
        drop_connection();
    }
    let body = serde_json::to_vec(body).map_err(|_| Refusal::status(500))?;
    Ok((
        [(header::CONTENT_TYPE, "application/json; charset=UTF-8")],
        body,
    )
        .into_response())
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Cursor {
    /// After the object with this id.
    #[serde(rename = "a")]
    After(String),
    /// At this place of a sorted list.
    #[serde(rename = "p")]
    Place(usize),
    /// From the start again, so many times (a fault).
    #[serde(rename = "s")]
    Start(usize),
}

impl Cursor {
    fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(token: Option<&str>) -> Result<Option<Self>, Refusal> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .map(Some)
            .ok_or_else(|| Refusal::invalid("Invalid Input: pageToken"))
    }

    /// The token to send with a page, given where the listing truly goes on.
    fn next(twist: Twist, asked: Option<&Self>, next: Option<Self>) -> Option<String> {
        match twist {
            Twist::EndsEarly => None,
            Twist::RepeatedPageToken => Some(Self::Start(0).token()),
            Twist::EndlessPages => {
                let round = match asked {
                    Some(Self::Start(round)) => round + 1,
                    _ => 1,
                };
                Some(Self::Start(round).token())
            }
            _ => next.map(|cursor| cursor.token()),
        }
    }

    fn place(cursor: Option<&Self>) -> usize {
        match cursor {
            Some(Self::Place(place)) => *place,
            _ => 0,
        }
    }
}

fn etag(of: &str, revision: u64) -> String {
    let mut chance = super::seed::Seeded::new(revision, of);
    format!("\"{}/{}\"", chance.letters(20), chance.letters(27))
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Sandbox {
    /// Whether `customer` names this customer.
    fn check_customer(&self, customer: &str) -> Result<(), Refusal> {
        if customer == "my_customer" || customer == read(&self.0.directory).customer_id {
            Ok(())
        } else {
            Err(Refusal::bad_request("Bad Request: unknown customer"))
        }
    }
}
