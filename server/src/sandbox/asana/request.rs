//! What surrounds every request to the app: counts, faults, token, limits, the
//! record and the data file.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::MEDIA_TYPE;
use super::error::ScimError;
use super::quirks::Quirks;
use crate::sandbox::faults::{Call, Failure, Suffered};
use crate::sandbox::{Recorded, Sandbox, drop_connection, lock, read};

/// A request on its way through.
pub(super) struct Request<'a> {
    sandbox: &'a Sandbox,
    call: Call,
    method: Method,
    path: String,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// What a handler answers when it succeeds.
pub(super) struct Success {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    pub(super) location: Option<String>,
    /// Whether something has to be kept.
    pub(super) changed: bool,
}

impl Success {
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body: Some(body),
            location: None,
            changed: false,
        }
    }
}

impl Request<'_> {
    /// Everything around the work: counts, faults, token, limits, the record.
    pub(super) async fn run(
        self,
        subject: Option<String>,
        work: impl FnOnce(&Quirks) -> Result<Success, ScimError>,
    ) -> Response {
        let sandbox = self.sandbox;
        let quirks = read(&sandbox.0.quirks).clone();
        // The place among the requests in flight is held until the answer is ready.
        let admission = sandbox.0.limiter.admit(self.call.is_scim_write());
        let Suffered { failure, .. } = sandbox.enter(self.call, subject.as_deref()).await;
        let dropped = failure == Some(Failure::DroppedAfter);
        let outcome = match (admission.refused(), failure) {
            (Some(seconds), _) => Err(ScimError::too_many(Some(seconds))),
            (None, Some(failure)) => match refusal(&failure) {
                Some(error) => Err(error),
                None => self.authorized().and_then(|()| work(&quirks)),
            },
            (None, None) => self
                .authorized()
                .and_then(|()| self.stumble(&quirks))
                .and_then(|()| work(&quirks)),
        };
        let (response, changed) = match outcome {
            Ok(success) => {
                let changed = success.changed;
                (success.into_response(), changed)
            }
            Err(error) => (error.respond(quirks.html_errors), false),
        };
        if sandbox.0.record {
            lock(&sandbox.0.recorded).push(Recorded {
                call: self.call,
                method: self.method.to_string(),
                path: self.path,
                body: serde_json::from_slice(self.body).unwrap_or(Value::Null),
                status: response.status().as_u16(),
            });
        }
        if changed && let Some(storage) = sandbox.0.storage.get() {
            storage.wait(storage.note()).await;
        }
        drop(admission);
        if dropped {
            drop_connection();
        }
        response
    }

    fn authorized(&self) -> Result<(), ScimError> {
        let access = read(&self.sandbox.0.access);
        let given = self
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if access.asana_token_valid && given == Some(access.asana_token.as_str()) {
            Ok(())
        } else {
            Err(ScimError::unauthorized())
        }
    }

    /// Some services fail now and then for no reason.
    fn stumble(&self, quirks: &Quirks) -> Result<(), ScimError> {
        if quirks.random_failures == 0 || !self.call.is_scim_write() {
            return Ok(());
        }
        let count = self.sandbox.count(self.call);
        let mut chance =
            crate::sandbox::seed::Seeded::new(count, &format!("stumble {:?}", self.call));
        if chance.percent(u64::from(quirks.random_failures)) {
            return Err(ScimError::status(500, "database is locked"));
        }
        Ok(())
    }

    pub(super) fn origin(&self) -> String {
        origin(self.headers)
    }
}

fn origin(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("app.asana.example");
    format!("http://{host}")
}

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (
                self.status,
                [(header::CONTENT_TYPE, MEDIA_TYPE)],
                body.to_string(),
            )
                .into_response(),
            None => self.status.into_response(),
        };
        if let Some(location) = self.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

fn refusal(failure: &Failure) -> Option<ScimError> {
    match failure {
        Failure::TooManyRequests { retry_after } => Some(ScimError::too_many(*retry_after)),
        Failure::UserRateLimitExceeded | Failure::QuotaExceeded => {
            Some(ScimError::too_many(Some(1)))
        }
        Failure::Forbidden => Some(ScimError::status(403, "Forbidden")),
        Failure::Unauthorized => Some(ScimError::unauthorized()),
        Failure::Status { status } => Some(ScimError::status(*status, "A fault was asked for.")),
        Failure::Html { status } => Some(ScimError::html(*status)),
        Failure::MissingCollection
        | Failure::RepeatedPageToken
        | Failure::EndlessPages
        | Failure::EndsEarly
        | Failure::Latency { .. }
        | Failure::DroppedBefore
        | Failure::DroppedAfter => None,
    }
}

/// A request to the app.
pub(super) fn request<'a>(
    sandbox: &'a Sandbox,
    call: Call,
    method: Method,
    uri: &Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
) -> Request<'a> {
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string);
    Request {
        sandbox,
        call,
        method,
        path,
        headers,
        body,
    }
}
