//! One request to an app, with the retries that are safe.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, IF_MATCH};
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::ScimApp;
use super::error::{ScimError, ScimErrorClass};
use super::learned::BodyType;
use super::limits::Access;
use super::listing::Page;
use super::sent;
use crate::connectors::http::{Answer, SendFailure};
use crate::connectors::path;
use crate::connectors::retry::{Backoff, retry_after};

/// 429s borne by one request; each was waited for as the app wished.
const THROTTLED: Backoff = Backoff::new(6);
/// Reads, and whatever provably was not sent.
const HARMLESS: Backoff = Backoff::new(4);
const ACCEPTED: &str = "application/scim+json, application/json;q=0.9";

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    pub url: Url,
    /// Method and path below the endpoint, for messages.
    pub shown: String,
    body: Option<Bytes>,
    /// Whether a read is tried again after a server error.
    patient: bool,
    /// Whether it is about one account, by its id.
    names_account: bool,
    /// The version that a write is meant for.
    if_match: Option<HeaderValue>,
}

impl Call {
    pub fn new(
        app: &ScimApp,
        method: Method,
        parts: &[&str],
        body: Option<&Value>,
    ) -> Result<Self, ScimError> {
        let shown = format!("{method} /{}", parts.join("/"));
        let endpoint = &app.app.settings.endpoint;
        let mut url = path::join(endpoint, parts.iter().copied())
            .map_err(|error| ScimError::rejected(&shown, &error.to_string()))?;
        // Some endpoints name a tenant or a flavour in their query: it goes with every request.
        url.set_query(endpoint.query().filter(|query| !query.is_empty()));
        Ok(Self {
            method,
            url,
            shown,
            body: body.map(|body| Bytes::from(body.to_string())),
            patient: true,
            names_account: matches!(parts, ["Users", _]),
            if_match: None,
        })
    }

    pub fn read(app: &ScimApp, parts: &[&str]) -> Result<Self, ScimError> {
        Self::new(app, Method::GET, parts, None)
    }

    /// `query` is already percent-encoded.
    pub fn with_query(mut self, query: &str) -> Self {
        let whole = match (self.url.query(), query) {
            (_, "") => return self,
            (Some(endpoints), query) => format!("{endpoints}&{query}"),
            (None, query) => query.to_owned(),
        };
        self.url.set_query(Some(&whole));
        self
    }

    pub fn impatient(mut self) -> Self {
        self.patient = false;
        self
    }

    pub fn if_match(&self, version: HeaderValue) -> Self {
        Self {
            if_match: Some(version),
            ..self.clone()
        }
    }

    /// The read of what this write changes.
    pub fn reading(&self) -> Self {
        Self {
            method: Method::GET,
            shown: self.shown.replacen(self.method.as_str(), "GET", 1),
            body: None,
            if_match: None,
            ..self.clone()
        }
    }

    pub fn body(&self) -> Option<&Bytes> {
        self.body.as_ref()
    }

    fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

impl ScimApp {
    /// Sends and gives back a success; everything else is an error.
    ///
    /// 429 is waited for and sent again, for it was refused. So is what never left, and a read
    /// that failed. A write that may have arrived is never sent again here.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, ScimError> {
        let it = &*self.app;
        let access = if call.writes() {
            Access::Write
        } else {
            Access::Read
        };
        let (mut throttled, mut failed, mut retyped) = (0, 0, false);
        loop {
            let permit = it.limiter.acquire(access).await.map_err(|paused| {
                let class = ScimErrorClass::RateLimited {
                    retry_after: Some(paused.0),
                };
                ScimError::paused(&call.shown, class)
            })?;
            if permit.waited {
                self.outgoing.counts().count_wait();
            }
            if call.writes() && !self.may_leave() {
                return Err(ScimError::withheld(&call.shown));
            }
            let body_type = self.learned().body_type;
            self.outgoing.counts().count_scim(call.writes());
            let request = self.build(call, body_type);
            let outcome = match access {
                Access::Read => self.outgoing.send(request).await,
                Access::Write => self.outgoing.send_write(request).await,
            };
            if call.writes() {
                sent::note(call, outcome.as_ref().ok().map(|answer| answer.status));
            }
            let error = match outcome {
                Ok(answer) => {
                    let asked = retry_after(&answer.headers, it.clock.now());
                    if answer.status == StatusCode::TOO_MANY_REQUESTS {
                        it.limiter.step_back(&permit, asked);
                        throttled += 1;
                        // The next turn waits for the limiter, which knows how long.
                        if THROTTLED.after(throttled, None).is_some() {
                            self.outgoing.counts().count_wait();
                            continue;
                        }
                    } else {
                        it.limiter.went_through();
                        if let (StatusCode::SERVICE_UNAVAILABLE, Some(asked)) =
                            (answer.status, asked)
                        {
                            it.limiter.pause(asked);
                        }
                    }
                    if answer.status.is_success() {
                        return Ok(answer);
                    }
                    if answer.status == StatusCode::UNSUPPORTED_MEDIA_TYPE
                        && body_type == BodyType::ScimJson
                        && call.body.is_some()
                        && !retyped
                    {
                        retyped = true;
                        self.learn(|learned| learned.body_type = BodyType::Json);
                        continue;
                    }
                    let token = it.settings.token.expose_secret();
                    ScimError::from_answer(&call.shown, call.writes(), &answer, asked, token)
                }
                Err(failure) => {
                    it.limiter.went_through();
                    let again = match &failure {
                        SendFailure::NotConnected { .. } => true,
                        SendFailure::TimedOut { .. } | SendFailure::Lost { .. } => !call.writes(),
                        SendFailure::Refused(_) | SendFailure::TooLarge { .. } => false,
                    };
                    let error = ScimError::from_failure(&call.shown, call.writes(), failure);
                    if !again {
                        return Err(error);
                    }
                    error
                }
            };
            drop(permit);
            let sent_write = call.writes() && error.status.is_some();
            let harmless = matches!(error.class, ScimErrorClass::Transient { .. })
                && !sent_write
                && (call.patient || error.status.is_none());
            if !harmless {
                return Err(self.understood(call, error).await);
            }
            failed += 1;
            match HARMLESS.after(failed, error.retry_after()) {
                Some(wait) if wait <= std::time::Duration::from_secs(120) => {
                    self.outgoing.timer().wait(wait).await;
                }
                _ => return Err(error),
            }
        }
    }

    /// What is about one account and not about the app, when the listing answers: some answer a web
    /// page where no account is, others hide one account behind 403.
    async fn understood(&self, call: &Call, error: ScimError) -> ScimError {
        let class = match (&error.class, error.status) {
            _ if !call.names_account => return error,
            (ScimErrorClass::Endpoint, Some(404 | 410)) => ScimErrorClass::NotFound,
            // What a refused write is about, `send_write` tells.
            (ScimErrorClass::Authorization, Some(403)) if !call.writes() => {
                ScimErrorClass::Forbidden
            }
            _ => return error,
        };
        match Box::pin(self.listing_answers()).await {
            true => error.of_class(class),
            false => error,
        }
    }

    async fn listing_answers(&self) -> bool {
        Page::read(self, "startIndex=1&count=1", false)
            .await
            .is_ok()
    }

    /// Sends a read and gives back its JSON.
    pub(super) async fn send_for_json(&self, call: &Call) -> Result<Value, ScimError> {
        let answer = self.send(call).await?;
        let status = Some(answer.status.as_u16());
        match answer.json() {
            Some(json) => Ok(json),
            None if answer.is_web_page() => Err(ScimError::endpoint(
                &call.shown,
                status,
                "the address answered a web page, not SCIM",
            )),
            None if answer.body.is_empty() => Err(ScimError::endpoint(
                &call.shown,
                status,
                "the answer is empty",
            )),
            None => Err(ScimError::endpoint(
                &call.shown,
                status,
                "the answer is not JSON",
            )),
        }
    }

    fn build(&self, call: &Call, body_type: BodyType) -> reqwest::RequestBuilder {
        let it = &*self.app;
        let mut request = self
            .outgoing
            .client()
            .request(call.method.clone(), call.url.clone())
            .bearer_auth(it.settings.token.expose_secret())
            .header(ACCEPT, ACCEPTED);
        if let Some(version) = &call.if_match {
            request = request.header(IF_MATCH, version);
        }
        if let Some(body) = &call.body {
            let content_type = match body_type {
                BodyType::ScimJson => "application/scim+json",
                BodyType::Json => "application/json",
            };
            request = request
                .header(CONTENT_TYPE, content_type)
                .body(body.clone());
        }
        request
    }
}
