//! Signing in: a signed assertion is exchanged for an access token of one scope.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use http::header::DATE;
use jsonwebtoken::{Algorithm, Header};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::error::DirectoryError;
use super::request::LONGEST_WAIT;
use super::scope::Scope;
use super::{ConnectionSettings, Patience};
use crate::clock::Clock;
use crate::connectors::excerpt::excerpt;
use crate::connectors::http::{Answer, Outgoing, SendFailure, host_and_port};
use crate::connectors::retry::{http_date, retry_after};

/// A token is asked for anew this long before it lapses.
const MARGIN: TimeDelta = TimeDelta::minutes(5);
const LIFETIME: TimeDelta = TimeDelta::hours(1);
/// A clock that is wrong by more than this explains a refused assertion.
const SKEW: TimeDelta = TimeDelta::minutes(4);

#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<HashMap<Scope, CachedToken>>);

#[derive(Clone, Debug)]
struct CachedToken {
    secret: SecretString,
    until: DateTime<Utc>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<i64>,
}

#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenCache {
    /// A token for `scope`; asks for a new one when there is none or it is about to lapse.
    pub async fn token(
        &self,
        scope: Scope,
        settings: &ConnectionSettings,
        outgoing: &Outgoing,
        clock: &dyn Clock,
        patience: Patience,
    ) -> Result<SecretString, DirectoryError> {
        // Held while asking, so that many readers ask once.
        let mut cached = self.0.lock().await;
        if let Some(token) = cached.get(&scope)
            && token.until > clock.now()
        {
            return Ok(token.secret.clone());
        }
        let fresh = request_token(scope, settings, outgoing, clock, patience).await?;
        let secret = fresh.secret.clone();
        cached.insert(scope, fresh);
        Ok(secret)
    }

    pub async fn forget(&self, scope: Scope) {
        self.0.lock().await.remove(&scope);
    }
}

async fn request_token(
    scope: Scope,
    settings: &ConnectionSettings,
    outgoing: &Outgoing,
    clock: &dyn Clock,
    patience: Patience,
) -> Result<CachedToken, DirectoryError> {
    let what = || format!("the access token to {}", scope.purpose());
    let key = &settings.key;
    let mut failed = 0;
    loop {
        let now = clock.now();
        let claims = Claims {
            iss: key.client_email(),
            sub: &settings.admin_email,
            scope: scope.url(),
            aud: key.audience(),
            iat: now.timestamp(),
            exp: (now + LIFETIME).timestamp(),
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid = key.key_id().map(str::to_owned);
        let assertion = jsonwebtoken::encode(&header, &claims, key.signer()).map_err(|_| {
            DirectoryError::KeyRefused {
                client_email: key.client_email().to_owned(),
                detail: "the private key can't sign".to_owned(),
            }
        })?;
        let request = outgoing.client().post(key.token_uri().clone()).form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ]);
        outgoing.counts().count_directory();
        let outcome = outgoing.send(request).await;
        failed += 1;
        let asked = outcome
            .as_ref()
            .ok()
            .and_then(|answer| retry_after(&answer.headers, now));
        let error = match outcome {
            Ok(answer) if answer.status.is_success() => {
                return accept(&answer, now, &what());
            }
            Ok(answer) => {
                let (error, passing) = refuse(&answer, scope, settings, now, failed, &what());
                if !passing {
                    return Err(error);
                }
                error
            }
            Err(SendFailure::Refused(refusal)) => return Err(refusal.into()),
            Err(cause) => DirectoryError::Unreachable {
                what: what(),
                cause,
            },
        };
        let wait = patience.outage().after(failed, asked);
        // Everybody who needs a token waits for this one.
        let wait = wait.filter(|wait| *wait <= LONGEST_WAIT).ok_or(error)?;
        outgoing.timer().wait(wait).await;
    }
}

fn accept(answer: &Answer, now: DateTime<Utc>, what: &str) -> Result<CachedToken, DirectoryError> {
    // The answer holds a secret: nothing of it goes into the error.
    let token: TokenAnswer =
        serde_json::from_slice(&answer.body).map_err(|_| DirectoryError::Protocol {
            what: what.to_owned(),
            detail: "it holds no access_token; check token_uri in the key file".to_owned(),
        })?;
    let lifetime = token
        .expires_in
        .and_then(TimeDelta::try_seconds)
        .map_or(LIFETIME, |given| given.clamp(TimeDelta::zero(), LIFETIME));
    // A short-lived token is used for half of its life at least.
    let margin = MARGIN.min(lifetime / 2);
    Ok(CachedToken {
        secret: SecretString::from(token.access_token),
        until: now + lifetime - margin,
    })
}

/// The error, and whether it may pass by itself.
fn refuse(
    answer: &Answer,
    scope: Scope,
    settings: &ConnectionSettings,
    now: DateTime<Utc>,
    attempts: u32,
    what: &str,
) -> (DirectoryError, bool) {
    let status = answer.status.as_u16();
    let key = &settings.key;
    let text = String::from_utf8_lossy(&answer.body);
    let refusal = serde_json::from_slice::<TokenRefusal>(&answer.body).ok();
    let server_error = refusal
        .as_ref()
        .is_some_and(|refusal| matches!(&*refusal.error, "server_error" | "internal_failure"));
    if answer.status.is_server_error() || matches!(status, 408 | 429) || server_error {
        let error = DirectoryError::Unavailable {
            what: what.to_owned(),
            status,
            attempts,
            detail: excerpt(&text, &[]),
        };
        return (error, true);
    }
    let Some(refusal) = refusal else {
        let detail = if answer.is_web_page() {
            format!(
                "{} answered a web page with status {status}; check token_uri in the key file",
                host_and_port(key.token_uri())
            )
        } else {
            format!("status {status}; check token_uri in the key file")
        };
        let what = what.to_owned();
        return (DirectoryError::Protocol { what, detail }, false);
    };
    let said = excerpt(&refusal.error_description, &[]);
    let detail = if said.is_empty() {
        excerpt(&refusal.error, &[])
    } else {
        format!(
            "{}: {}",
            excerpt(&refusal.error, &[]),
            said.trim_end_matches('.')
        )
    };
    let lower = said.to_ascii_lowercase();
    let error = match &*refusal.error {
        "unauthorized_client" | "access_denied" | "invalid_scope" => DirectoryError::ScopeMissing {
            scope,
            delegation: key.delegation_name(),
        },
        // "Invalid email or User ID"
        "invalid_grant" if lower.contains("email") || lower.contains("user id") => {
            DirectoryError::AdministratorUnknown {
                admin_email: settings.admin_email.clone(),
            }
        }
        // "Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check
        // your iat and exp values"
        "invalid_grant"
            if ["timeframe", "short-lived", "iat", "clock"]
                .iter()
                .any(|word| lower.contains(word)) =>
        {
            DirectoryError::ClockSkew {
                seconds: skewed(answer, now),
            }
        }
        // "Invalid JWT Signature", "Invalid grant: account not found"
        "invalid_grant"
            if ["signature", "account not found", "issuer"]
                .iter()
                .any(|word| lower.contains(word)) =>
        {
            DirectoryError::KeyRefused {
                client_email: key.client_email().to_owned(),
                detail,
            }
        }
        "invalid_grant" if skewed(answer, now).is_some() => DirectoryError::ClockSkew {
            seconds: skewed(answer, now),
        },
        "invalid_client" | "deleted_client" | "disabled_client" => DirectoryError::KeyRefused {
            client_email: key.client_email().to_owned(),
            detail,
        },
        _ => DirectoryError::SignInRefused {
            admin_email: settings.admin_email.clone(),
            detail,
        },
    };
    (error, false)
}

fn skewed(answer: &Answer, now: DateTime<Utc>) -> Option<i64> {
    let date = answer.headers.get(DATE)?.to_str().ok()?;
    let off = now - http_date(date)?;
    (off.abs() > SKEW).then(|| off.num_seconds())
}
