//! Errors as RFC 7644 words them, and as proxies spoil them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Why a request was refused.
#[derive(Debug)]
pub struct ScimError {
    status: StatusCode,
    scim_type: Option<&'static str>,
    detail: String,
    retry_after: Option<u64>,
    html: bool,
}

impl ScimError {
    /// An error with a status and nothing special.
    pub fn status(status: u16, detail: &str) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            scim_type: None,
            detail: detail.to_owned(),
            retry_after: None,
            html: false,
        }
    }

    /// 400 with its `scimType`.
    pub fn bad_request(scim_type: &'static str, detail: &str) -> Self {
        Self {
            scim_type: Some(scim_type),
            ..Self::status(400, detail)
        }
    }

    /// 409: the name is taken.
    pub fn taken(user_name: &str, with_type: bool) -> Self {
        Self {
            scim_type: with_type.then_some("uniqueness"),
            ..Self::status(
                409,
                &format!("A user with userName {user_name} already exists"),
            )
        }
    }

    /// 404.
    pub fn no_such(id: &str) -> Self {
        Self::status(404, &format!("User {id} not found"))
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::status(401, "Not Authorized")
    }

    /// 429.
    pub fn too_many(retry_after: Option<u64>) -> Self {
        Self {
            retry_after,
            ..Self::status(
                429,
                "You have made too many requests recently. Please, be chill.",
            )
        }
    }

    /// An error page of something in between.
    pub fn html(status: u16) -> Self {
        Self {
            html: true,
            ..Self::status(status, "")
        }
    }

    /// The answer; as HTML when the app is told to.
    pub fn respond(self, as_html: bool) -> Response {
        let mut response = if self.html || as_html {
            let title = self.status.canonical_reason().unwrap_or("Error");
            (
                self.status,
                Html(format!(
                    "<html><head><title>{0} {title}</title></head><body><center><h1>{0} {title}</h1></center></body></html>",
                    self.status.as_u16()
                )),
            )
                .into_response()
        } else {
            let mut body = json!({
                "schemas": [SCHEMA],
                "status": self.status.as_u16().to_string(),
                "detail": self.detail,
            });
            if let (Some(scim_type), Some(body)) = (self.scim_type, body.as_object_mut()) {
                body.insert("scimType".to_owned(), scim_type.into());
            }
            (
                self.status,
                [(header::CONTENT_TYPE, super::MEDIA_TYPE)],
                body.to_string(),
            )
                .into_response()
        };
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
