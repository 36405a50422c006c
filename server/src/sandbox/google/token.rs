//! The token endpoint: a signed assertion in, an access token out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::Refusal;
use crate::sandbox::faults::Call;
use crate::sandbox::key::CLIENT_EMAIL;
use crate::sandbox::seed::Seeded;
use crate::sandbox::{Sandbox, SandboxError, lock, read};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const PREFIX: &str = "https://www.googleapis.com/auth/";
const LIFETIME: TimeDelta = TimeDelta::seconds(3_599);

/// A scope of the Directory API, in its narrowest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    #[serde(rename = "admin.directory.user.readonly")]
    User,
    #[serde(rename = "admin.directory.group.readonly")]
    Group,
    #[serde(rename = "admin.directory.group.member.readonly")]
    Member,
    #[serde(rename = "admin.directory.orgunit.readonly")]
    OrgUnit,
    #[serde(rename = "admin.directory.customer.readonly")]
    Customer,
    #[serde(rename = "admin.directory.domain.readonly")]
    Domain,
}

impl Scope {
    /// Every scope that the sandbox knows.
    pub const ALL: [Self; 6] = [
        Self::User,
        Self::Group,
        Self::Member,
        Self::OrgUnit,
        Self::Customer,
        Self::Domain,
    ];

    /// The scope without its prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "admin.directory.user.readonly",
            Self::Group => "admin.directory.group.readonly",
            Self::Member => "admin.directory.group.member.readonly",
            Self::OrgUnit => "admin.directory.orgunit.readonly",
            Self::Customer => "admin.directory.customer.readonly",
            Self::Domain => "admin.directory.domain.readonly",
        }
    }

    /// The scope as it is requested.
    pub fn url(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    fn parse(url: &str) -> Option<Self> {
        let name = url.strip_prefix(PREFIX)?;
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

#[derive(Debug, Clone)]
struct Grant {
    subject: Option<String>,
    scopes: Vec<Scope>,
    expires: DateTime<Utc>,
}

/// The access tokens that were given out.
pub struct Grants {
    key: DecodingKey,
    issued: AtomicU64,
    valid: Mutex<HashMap<String, Grant>>,
}

impl Grants {
    /// Nothing given out yet; assertions are checked with this key.
    pub fn new(public_pem: &str) -> Result<Self, SandboxError> {
        Ok(Self {
            key: DecodingKey::from_rsa_pem(public_pem.as_bytes())
                .map_err(|error| SandboxError::Key(error.to_string()))?,
            issued: AtomicU64::new(0),
            valid: Mutex::default(),
        })
    }

    /// Makes all tokens invalid.
    pub fn clear(&self) {
        lock(&self.valid).clear();
    }

    fn issue(&self, grant: Grant, now: DateTime<Utc>) -> String {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let stamp = now.timestamp_micros().unsigned_abs();
        let token = format!(
            "ya29.sandbox-{}",
            Seeded::new(stamp, &format!("token {number}")).letters(60)
        );
        let mut valid = lock(&self.valid);
        valid.retain(|_, grant| grant.expires > now);
        valid.insert(token.clone(), grant);
        token
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    assertion: String,
}

#[derive(Debug, Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    sub: Option<String>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    aud: String,
    iat: Option<i64>,
    exp: Option<i64>,
}

fn invalid_grant(description: &str) -> Refusal {
    Refusal::oauth(StatusCode::BAD_REQUEST, "invalid_grant", description)
}

/// `POST /token`.
pub(super) async fn token(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    form: Result<Form<Request>, axum::extract::rejection::FormRejection>,
) -> Result<Response, Refusal> {
    let twist = super::enter(&sandbox, Call::Token, None).await?;
    let invalid_request =
        |description: &str| Refusal::oauth(StatusCode::BAD_REQUEST, "invalid_request", description);
    let Form(request) = form.map_err(|_| invalid_request("The request is not a form."))?;
    if request.grant_type != GRANT_TYPE {
        return Err(Refusal::oauth(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            &format!("Invalid grant_type: {}", request.grant_type),
        ));
    }
    let claims = sandbox.verify(&request.assertion)?;
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(|authority| authority.as_str()))
        .unwrap_or_default();
    let audiences = [
        format!("http://{host}/token"),
        format!("https://{host}/token"),
        "https://oauth2.googleapis.com/token".to_owned(),
    ];
    if !audiences.contains(&claims.aud) {
        return Err(invalid_grant(&format!(
            "Invalid JWT: Failed audience check. The right audience is http://{host}/token"
        )));
    }
    let now = sandbox.0.clock.now();
    let scopes = sandbox.delegated_scopes(&claims.scope)?;
    if let Some(subject) = &claims.sub {
        sandbox.check_subject(subject)?;
    }
    let access_token = sandbox.0.grants.issue(
        Grant {
            subject: claims.sub,
            scopes,
            expires: now + LIFETIME,
        },
        now,
    );
    super::answer(
        twist,
        &json!({
            "access_token": access_token,
            "expires_in": LIFETIME.num_seconds(),
            "token_type": "Bearer",
        }),
    )
}

impl Sandbox {
    fn verify(&self, assertion: &str) -> Result<Claims, Refusal> {
        let mut validation = Validation::new(Algorithm::RS256);
        // Times are checked below against the sandbox's clock, the audience by the caller.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(assertion, &self.0.grants.key, &validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => {
                    invalid_grant("Invalid JWT Signature.")
                }
                _ => invalid_grant("Invalid JWT: the assertion could not be read."),
            })?
            .claims;
        if claims.iss != CLIENT_EMAIL {
            return Err(invalid_grant("Invalid grant: account not found"));
        }
        let now = self.0.clock.now().timestamp();
        let in_time = match (claims.iat, claims.exp) {
            (Some(iat), Some(exp)) => {
                exp > iat && exp - iat <= 3_600 && exp > now && iat <= now + 300
            }
            _ => false,
        };
        if !in_time {
            return Err(invalid_grant(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
            ));
        }
        Ok(claims)
    }

    fn delegated_scopes(&self, requested: &str) -> Result<Vec<Scope>, Refusal> {
        let access = read(&self.0.access);
        let mut scopes = Vec::new();
        for url in requested.split_whitespace() {
            match Scope::parse(url).filter(|scope| access.delegated.contains(scope)) {
                Some(scope) => scopes.push(scope),
                None => {
                    return Err(Refusal::oauth(
                        StatusCode::UNAUTHORIZED,
                        "unauthorized_client",
                        "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.",
                    ));
                }
            }
        }
        if scopes.is_empty() {
            return Err(Refusal::oauth(
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "Empty or missing scope not allowed.",
            ));
        }
        Ok(scopes)
    }

    /// Anybody of the domain may be impersonated; what they may do is another matter.
    fn check_subject(&self, subject: &str) -> Result<(), Refusal> {
        let directory = read(&self.0.directory);
        let usable = directory.person(subject).is_some_and(|person| {
            person.deleted_at.is_none()
                && person.suspended_at.is_none()
                && person.archived_at.is_none()
        });
        if usable {
            Ok(())
        } else {
            Err(invalid_grant("Invalid email or User ID"))
        }
    }

    /// Lets a request in that carries a good token with this scope, for a
    /// super administrator.
    pub(super) fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<(), Refusal> {
        self.authorize_any(headers, &[scope])
    }

    /// The same for methods that take one of several scopes.
    pub(super) fn authorize_any(
        &self,
        headers: &HeaderMap,
        scopes: &[Scope],
    ) -> Result<(), Refusal> {
        let grant = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| lock(&self.0.grants.valid).get(token).cloned())
            .filter(|grant| grant.expires > self.0.clock.now())
            .ok_or_else(Refusal::invalid_credentials)?;
        if !scopes.iter().any(|scope| grant.scopes.contains(scope)) {
            let wanted: Vec<String> = scopes.iter().map(|scope| scope.url()).collect();
            return Err(Refusal::insufficient_scopes(&wanted.join(" ")));
        }
        let directory = read(&self.0.directory);
        let is_admin = grant
            .subject
            .as_deref()
            .and_then(|subject| directory.person(subject))
            .is_some_and(|person| {
                person.is_admin && person.deleted_at.is_none() && person.suspended_at.is_none()
            });
        if is_admin {
            Ok(())
        } else {
            Err(Refusal::not_authorized())
        }
    }
}
