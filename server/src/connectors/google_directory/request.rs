//! One request to the Directory API: token, throttling, retries and the reading of errors.

use std::time::Duration;

use http::StatusCode;
use http::header::USER_AGENT;
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::error::DirectoryError;
use super::scope::Scope;
use super::{GoogleDirectory, Patience, protocol};
use crate::connectors::excerpt::excerpt;
use crate::connectors::http::{Answer, SendFailure};
use crate::connectors::path::{PathError, join};
use crate::connectors::retry::retry_after;

/// Google compresses only for those who also say so here.
const AGENT: &str = concat!("Rollcall/", env!("CARGO_PKG_VERSION"), " (gzip)");
/// Longer than this nobody waits within a run.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

/// What to ask for.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub scope: Scope,
    pub what: String,
    base: &'static [&'static str],
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    /// Posted when there is one; everything else is read.
    body: Option<Value>,
}

impl Call {
    pub fn new(scope: Scope, what: &str, path: &[&str]) -> Self {
        Self::at(&["admin", "directory", "v1"], scope, what, path)
    }

    pub fn at(base: &'static [&'static str], scope: Scope, what: &str, path: &[&str]) -> Self {
        Self {
            scope,
            what: what.to_owned(),
            base,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    pub fn posting(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    /// Whether a person or group is named, so that a 404 means that one and not the address.
    fn names_one(&self) -> bool {
        self.body.is_none()
            && matches!(
                self.path.first().map(String::as_str),
                Some("users" | "groups")
            )
            && self.path.len() > 1
    }

    fn url(&self, endpoint: &Url) -> Result<Url, PathError> {
        let parts = self
            .base
            .iter()
            .copied()
            .chain(self.path.iter().map(String::as_str));
        let mut url = join(endpoint, parts)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// How an answer that is not a success is dealt with.
enum Verdict {
    Final(DirectoryError),
    Throttled(DirectoryError),
    Outage(DirectoryError),
    /// The token is refused; a new one may do.
    Unauthorized(DirectoryError),
}

impl GoogleDirectory {
    /// Only gets a token.
    pub(super) async fn sign_in(
        &self,
        scope: Scope,
        patience: Patience,
    ) -> Result<(), DirectoryError> {
        let it = &self.0;
        it.tokens.forget(scope).await;
        it.tokens
            .token(scope, &it.settings, &it.outgoing, &*it.clock, patience)
            .await
            .map(drop)
    }

    /// Reads one JSON object, with all the retries that are due.
    pub(super) async fn read(
        &self,
        call: &Call,
        patience: Patience,
    ) -> Result<Value, DirectoryError> {
        self.read_as(call, patience, |answer| match answer.json() {
            _ if answer.status == StatusCode::NO_CONTENT => Some(Value::Null),
            Some(json @ Value::Object(_)) => Some(json),
            _ => None,
        })
        .await
    }

    /// The same, in whatever shape `decode` makes of a success; `None` means that it is not JSON.
    pub(super) async fn read_as<T>(
        &self,
        call: &Call,
        patience: Patience,
        decode: impl Fn(&Answer) -> Option<T>,
    ) -> Result<T, DirectoryError> {
        let it = &*self.0;
        let url = call
            .url(&it.settings.endpoint)
            .map_err(|error| protocol(&call.what, &error.to_string()))?;
        let (mut throttled, mut outages, mut renewed) = (0, 0, false);
        loop {
            let token = it
                .tokens
                .token(call.scope, &it.settings, &it.outgoing, &*it.clock, patience)
                .await?;
            self.keep_quiet().await;
            let request = match &call.body {
                Some(body) => it.outgoing.client().post(url.clone()).json(body),
                None => it.outgoing.client().get(url.clone()),
            };
            let request = request
                .header(USER_AGENT, AGENT)
                .bearer_auth(token.expose_secret());
            it.outgoing.counts().count_directory();
            let outcome = it.outgoing.send(request).await;
            let asked = outcome
                .as_ref()
                .ok()
                .and_then(|answer| retry_after(&answer.headers, it.clock.now()));
            let verdict = match outcome {
                Ok(answer)
                    if answer.status == StatusCode::OK
                        || answer.status == StatusCode::NO_CONTENT && call.body.is_some() =>
                {
                    match decode(&answer) {
                        Some(decoded) => return Ok(decoded),
                        // A cut-off or foreign body: once more may bring the right one.
                        _ if answer.is_web_page() => {
                            Verdict::Final(protocol(&call.what, "the address answered a web page"))
                        }
                        _ => Verdict::Outage(protocol(&call.what, "it is not JSON")),
                    }
                }
                Ok(answer) => self.judge(call, &answer, token.expose_secret(), throttled, outages),
                Err(SendFailure::Refused(refusal)) => Verdict::Final(refusal.into()),
                Err(cause @ SendFailure::TooLarge { .. }) => {
                    Verdict::Final(protocol(&call.what, &cause.to_string()))
                }
                Err(cause) => Verdict::Outage(DirectoryError::Unreachable {
                    what: call.what.clone(),
                    cause,
                }),
            };
            match verdict {
                Verdict::Final(error) => return Err(error),
                Verdict::Unauthorized(error) if renewed => return Err(error),
                Verdict::Unauthorized(_) => {
                    renewed = true;
                    it.tokens.forget(call.scope).await;
                }
                Verdict::Throttled(error) => {
                    throttled += 1;
                    let wait = patience.throttling().after(throttled, asked);
                    let wait = wait.filter(|wait| *wait <= LONGEST_WAIT).ok_or(error)?;
                    it.outgoing.counts().count_wait();
                    let until = self.quiet_for(wait);
                    it.outgoing.timer().until(until).await;
                }
                Verdict::Outage(error) => {
                    outages += 1;
                    let wait = patience.outage().after(outages, asked);
                    let wait = wait.filter(|wait| *wait <= LONGEST_WAIT).ok_or(error)?;
                    it.outgoing.timer().wait(wait).await;
                }
            }
        }
    }

    /// Waits while somebody else's request is being throttled.
    async fn keep_quiet(&self) {
        let until = *self.quiet_until();
        if let Some(until) = until
            && until > self.0.outgoing.timer().now()
        {
            self.0.outgoing.timer().until(until).await;
        }
    }

    fn judge(
        &self,
        call: &Call,
        answer: &Answer,
        token: &str,
        throttled: u32,
        outages: u32,
    ) -> Verdict {
        let settings = &self.0.settings;
        let status = answer.status.as_u16();
        let said = GoogleError::read(answer);
        let what = call.what.clone();
        let detail = match &said {
            Some(error) => excerpt(&error.message, &[token])
                .trim_end_matches('.')
                .to_owned(),
            None if answer.is_web_page() => "a web page".to_owned(),
            None => excerpt(&String::from_utf8_lossy(&answer.body), &[token]),
        };
        let detail = if detail.is_empty() {
            format!("status {status}")
        } else {
            detail
        };
        let usage_limit = said.as_ref().is_some_and(GoogleError::is_usage_limit);
        match status {
            403 | 429 if status == 429 || usage_limit => {
                Verdict::Throttled(DirectoryError::Throttled {
                    what,
                    attempts: throttled + 1,
                    retry_after: retry_after(&answer.headers, self.0.clock.now()),
                })
            }
            408 | 500..=599 => Verdict::Outage(DirectoryError::Unavailable {
                what,
                status,
                attempts: outages + 1,
                detail,
            }),
            // A proxy or a wrong address, not Google's answer.
            _ if said.is_none() && answer.is_web_page() => Verdict::Final(protocol(
                &call.what,
                &format!("the address answered a web page with status {status}"),
            )),
            300..=399 => Verdict::Final(protocol(
                &call.what,
                &format!("the address answered a redirect with status {status}"),
            )),
            401 => Verdict::Unauthorized(DirectoryError::SignInRefused {
                admin_email: settings.admin_email.clone(),
                detail,
            }),
            403 if said.as_ref().is_some_and(GoogleError::is_disabled_api) => {
                Verdict::Final(DirectoryError::ApiDisabled {
                    client_email: settings.key.client_email().to_owned(),
                })
            }
            403 if said.as_ref().is_some_and(GoogleError::is_scope) => {
                Verdict::Final(DirectoryError::ScopeMissing {
                    scope: call.scope,
                    delegation: settings.key.delegation_name(),
                })
            }
            403 => Verdict::Final(DirectoryError::Forbidden {
                admin_email: settings.admin_email.clone(),
                purpose: call.scope.purpose(),
                detail,
            }),
            404 if call.names_one() => Verdict::Final(DirectoryError::NotFound { what }),
            404 => Verdict::Final(protocol(&call.what, &format!("status 404, {detail}"))),
            _ => Verdict::Final(DirectoryError::Rejected {
                what,
                status,
                detail,
            }),
        }
    }
}

/// Google's error body: `{"error":{"code":403,"message":"..","errors":[{"domain","reason"}]}}`.
struct GoogleError {
    message: String,
    status: String,
    domains: Vec<String>,
    reasons: Vec<String>,
}

impl GoogleError {
    fn read(answer: &Answer) -> Option<Self> {
        let json = answer.json()?;
        let error = json.get("error")?;
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let parts = |key: &str| {
            let list = error.get(key).and_then(Value::as_array);
            list.map(Vec::as_slice).unwrap_or_default()
        };
        let all = || parts("errors").iter().chain(parts("details"));
        Some(Self {
            message: match error.as_str() {
                Some(plain) => plain.to_owned(),
                None => text(error.get("message")),
            },
            status: text(error.get("status")),
            domains: all().map(|part| text(part.get("domain"))).collect(),
            reasons: all().map(|part| text(part.get("reason"))).collect(),
        })
    }

    fn has_reason(&self, wanted: &[&str]) -> bool {
        self.reasons
            .iter()
            .any(|reason| wanted.contains(&reason.as_str()))
    }

    fn is_usage_limit(&self) -> bool {
        self.domains.iter().any(|domain| domain == "usageLimits") && !self.is_disabled_api()
            || self.has_reason(&[
                "userRateLimitExceeded",
                "rateLimitExceeded",
                "quotaExceeded",
            ])
            || self.status == "RESOURCE_EXHAUSTED"
    }

    /// Google files a disabled API under usage limits too, but waiting does not enable it.
    fn is_disabled_api(&self) -> bool {
        self.has_reason(&["accessNotConfigured", "SERVICE_DISABLED"])
    }

    fn is_scope(&self) -> bool {
        self.has_reason(&["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"])
            || self
                .message
                .to_ascii_lowercase()
                .contains("insufficient authentication scopes")
    }
}
