//! Errors as Google words them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

/// An answer that is not the one that was asked for.
#[derive(Debug)]
pub(super) struct Refusal(Box<Kind>);

#[derive(Debug)]
enum Kind {
    Error {
        status: StatusCode,
        body: Value,
        retry_after: Option<u64>,
        challenge: Option<String>,
    },
    Html(StatusCode),
}

impl Refusal {
    fn new(status: StatusCode, message: &str, domain: &str, reason: &str) -> Self {
        Self::with(status, message, domain, reason, |_, _| {})
    }

    fn with(
        status: StatusCode,
        message: &str,
        domain: &str,
        reason: &str,
        more: impl FnOnce(&mut Value, &mut Value),
    ) -> Self {
        let mut entry = json!({ "message": message, "domain": domain, "reason": reason });
        let mut error = json!({ "code": status.as_u16(), "message": message });
        more(&mut error, &mut entry);
        if let Some(error) = error.as_object_mut() {
            error.insert("errors".to_owned(), json!([entry]));
        }
        Self(Box::new(Kind::Error {
            status,
            body: json!({ "error": error }),
            retry_after: None,
            challenge: None,
        }))
    }

    /// An OAuth error of the token endpoint.
    pub(super) fn oauth(status: StatusCode, error: &str, description: &str) -> Self {
        Self(Box::new(Kind::Error {
            status,
            body: json!({ "error": error, "error_description": description }),
            retry_after: None,
            challenge: None,
        }))
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, "global", "badRequest")
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, "global", "invalid")
    }

    pub(super) fn invalid_parameter(name: &str, value: &str, rule: &str) -> Self {
        Self::with(
            StatusCode::BAD_REQUEST,
            &format!("Invalid value '{value}'. {rule}"),
            "global",
            "invalidParameter",
            |_, entry| {
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("locationType".to_owned(), "parameter".into());
                    entry.insert("location".to_owned(), name.into());
                }
            },
        )
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            &format!("Resource Not Found: {what}"),
            "global",
            "notFound",
        )
    }

    pub(super) fn domain_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Domain not found.",
            "global",
            "notFound",
        )
    }

    pub(super) fn user_is_deleted() -> Self {
        Self::with(
            StatusCode::PRECONDITION_FAILED,
            "User is deleted.",
            "global",
            "conditionNotMet",
            |_, entry| {
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("locationType".to_owned(), "header".into());
                    entry.insert("location".to_owned(), "If-Match".into());
                }
            },
        )
    }

    pub(super) fn wrong_kind_of_key() -> Self {
        Self::invalid("Type not supported: userKey")
    }

    /// 403: this administrator, or nobody, may do this.
    pub(super) fn not_authorized() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Not Authorized to access this resource/API",
            "global",
            "forbidden",
        )
    }

    pub(super) fn insufficient_scopes(scope: &str) -> Self {
        let mut refusal = Self::with(
            StatusCode::FORBIDDEN,
            "Request had insufficient authentication scopes.",
            "global",
            "insufficientPermissions",
            |error, entry| {
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("message".to_owned(), "Insufficient Permission".into());
                }
                if let Some(error) = error.as_object_mut() {
                    error.insert("status".to_owned(), "PERMISSION_DENIED".into());
                    error.insert(
                        "details".to_owned(),
                        json!([{
                            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                            "domain": "googleapis.com",
                            "metadata": { "service": "admin.googleapis.com" },
                        }]),
                    );
                }
            },
        );
        refusal.challenge(format!(
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"{scope}\""
        ));
        refusal
    }

    pub(super) fn invalid_credentials() -> Self {
        let mut refusal = Self::with(
            StatusCode::UNAUTHORIZED,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
            "global",
            "authError",
            |error, entry| {
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("message".to_owned(), "Invalid Credentials".into());
                    entry.insert("locationType".to_owned(), "header".into());
                    entry.insert("location".to_owned(), "Authorization".into());
                }
                if let Some(error) = error.as_object_mut() {
                    error.insert("status".to_owned(), "UNAUTHENTICATED".into());
                }
            },
        );
        refusal.challenge(
            "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"".to_owned(),
        );
        refusal
    }

    pub(super) fn usage_limit(reason: &str, message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message, "usageLimits", reason)
    }

    pub(super) fn too_many(retry_after: Option<u64>) -> Self {
        let mut refusal = Self::with(
            StatusCode::TOO_MANY_REQUESTS,
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'.",
            "global",
            "rateLimitExceeded",
            |error, _| {
                if let Some(error) = error.as_object_mut() {
                    error.insert("status".to_owned(), "RESOURCE_EXHAUSTED".into());
                }
            },
        );
        if let Kind::Error {
            retry_after: slot, ..
        } = &mut *refusal.0
        {
            *slot = retry_after;
        }
        refusal
    }

    pub(super) fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reason = if status.is_server_error() {
            "backendError"
        } else {
            "invalid"
        };
        Self::new(
            status,
            status.canonical_reason().unwrap_or("Error"),
            "global",
            reason,
        )
    }

    pub(super) fn html(status: u16) -> Self {
        Self(Box::new(Kind::Html(
            StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        )))
    }

    fn challenge(&mut self, text: String) {
        if let Kind::Error { challenge, .. } = &mut *self.0 {
            *challenge = Some(text);
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match *self.0 {
            Kind::Html(status) => (
                status,
                Html("<!DOCTYPE html><html lang=en><title>Error (Server Error)!!1</title><p>The server encountered a temporary error.</p></html>"),
            )
                .into_response(),
            Kind::Error {
                status,
                body,
                retry_after,
                challenge,
            } => {
                let mut response = (status, axum::Json(body)).into_response();
                let headers = response.headers_mut();
                if let Some(seconds) = retry_after {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                if let Some(value) = challenge.and_then(|c| HeaderValue::from_str(&c).ok()) {
                    headers.insert(header::WWW_AUTHENTICATE, value);
                }
                response
            }
        }
    }
}
