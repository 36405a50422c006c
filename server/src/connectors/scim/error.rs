//! What can go wrong with an app, classified for the caller to decide on.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::connectors::excerpt::{excerpt, shorten};
use crate::connectors::http::{Answer, SendFailure};
use crate::connectors::targets::TargetRefusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimErrorClass {
    /// 401, 402 or 403: the app's runs stop until a new token is given.
    Authorization,
    /// This account may not be written with a token that is good otherwise.
    Forbidden,
    /// The app has no seat or licence left: creates wait, everything else goes on.
    NoSeats,
    /// 429, after waiting for it within limits.
    RateLimited {
        retry_after: Option<Duration>,
    },
    /// May work when sent again; nothing was changed.
    Transient {
        retry_after: Option<Duration>,
    },
    /// A write that may or may not have been carried out: look before sending again.
    Ambiguous,
    /// 409, or 400 with scimType uniqueness.
    Conflict,
    NotFound,
    /// Refused for what it says; the same again is refused again.
    Rejected,
    /// Not SCIM: a web page, a redirect, another format.
    Endpoint,
    /// The app does not know this kind of request.
    Unsupported,
    /// The address is not allowed, so nothing was sent.
    Target,
    /// Its sender took it back before it left.
    Withheld,
}

impl ScimErrorClass {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Forbidden => "forbidden",
            Self::NoSeats => "no_seats",
            Self::RateLimited { .. } => "rate_limited",
            Self::Transient { .. } => "transient",
            Self::Ambiguous => "ambiguous",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::Rejected => "rejected",
            Self::Endpoint => "endpoint",
            Self::Unsupported => "unsupported",
            Self::Target => "target",
            Self::Withheld => "withheld",
        }
    }
}

/// An error of one request. Its text names what was done, the cause and the remedy, and holds no
/// secret and nothing that the account's owner would not want in a log but their own id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimError {
    pub class: ScimErrorClass,
    pub status: Option<u16>,
    /// `uniqueness`, `invalidPath` ... of RFC 7644.
    pub scim_type: Option<Box<str>>,
    /// What the app said, in short.
    pub detail: String,
    /// Method and path, such as `POST /Users`.
    pub request: Box<str>,
    /// The start of the answer, secrets removed.
    pub excerpt: Option<Box<str>>,
    code: &'static str,
}

impl std::error::Error for ScimError {}

impl std::fmt::Display for ScimError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let detail = self.detail.trim_end_matches('.');
        let status = self
            .status
            .map_or(String::new(), |status| format!(" with status {status}"));
        let request = &self.request;
        match &self.class {
            ScimErrorClass::Authorization if self.status.is_none() => write!(
                f,
                "The access token can't be used ({detail}): copy it again, whole, from the app."
            ),
            ScimErrorClass::Authorization => write!(
                f,
                "The app refused the access token{status} ({detail}): reauthorize with a token that may manage users."
            ),
            ScimErrorClass::Forbidden => write!(
                f,
                "The app lets this token read but refused {request}{status} ({detail}): look in the app whether the account has a role that the token may not change."
            ),
            ScimErrorClass::NoSeats => write!(
                f,
                "The app has no seat left{status} ({detail}): free one in the app or buy more. Until then no account is created; updates and suspensions go on."
            ),
            ScimErrorClass::RateLimited {
                retry_after: Some(wait),
            } => write!(
                f,
                "The app asks for fewer requests{status}: it wants a pause of {} seconds.",
                wait.as_secs().max(1)
            ),
            ScimErrorClass::RateLimited { retry_after: None } => write!(
                f,
                "The app asks for fewer requests{status}: lower the requests per minute, or try again later."
            ),
            ScimErrorClass::Transient { .. } => {
                write!(
                    f,
                    "{request} failed{status} ({detail}): it will be tried again."
                )
            }
            ScimErrorClass::Ambiguous => write!(
                f,
                "{request} may or may not have been carried out ({detail}): the account is looked up before it is sent again."
            ),
            ScimErrorClass::Conflict => write!(
                f,
                "The app says that another account is in the way{status} ({detail}): look for an account with the same user name or e-mail."
            ),
            ScimErrorClass::NotFound => write!(
                f,
                "The app does not know this account{status} ({detail}): it may have been removed there."
            ),
            ScimErrorClass::Rejected => write!(
                f,
                "The app refused {request}{status} ({detail}): correct the attribute in the directory or in the mapping."
            ),
            ScimErrorClass::Endpoint => write!(
                f,
                "{request} was not answered in SCIM ({detail}): check the endpoint of the app."
            ),
            ScimErrorClass::Unsupported => write!(
                f,
                "The app does not support {request}{status} ({detail}): check what it supports in its documentation."
            ),
            ScimErrorClass::Target => f.write_str(&self.detail),
            ScimErrorClass::Withheld => write!(f, "{request} was not sent: {detail}."),
        }
    }
}

impl From<TargetRefusal> for ScimError {
    fn from(refusal: TargetRefusal) -> Self {
        Self {
            class: ScimErrorClass::Target,
            status: None,
            scim_type: None,
            code: refusal.code(),
            detail: refusal.to_string(),
            request: Box::default(),
            excerpt: None,
        }
    }
}

impl ScimError {
    /// An operation without an account can't be sent; plans never hold one.
    pub fn incomplete_operation() -> Self {
        Self::unsupported("the operation", "it names no account")
    }

    /// Stable, for the log and for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self.class {
            ScimErrorClass::RateLimited { retry_after }
            | ScimErrorClass::Transient { retry_after } => retry_after,
            _ => None,
        }
    }

    pub fn is_authorization(&self) -> bool {
        self.class == ScimErrorClass::Authorization
    }

    pub fn is_not_found(&self) -> bool {
        self.class == ScimErrorClass::NotFound
    }

    /// An answer that is no SCIM, though its status may be a success.
    pub(super) fn endpoint(request: &str, status: Option<u16>, detail: &str) -> Self {
        Self {
            class: ScimErrorClass::Endpoint,
            status,
            scim_type: None,
            detail: detail.to_owned(),
            request: request.into(),
            excerpt: None,
            code: "scim-endpoint",
        }
    }

    /// The account was there a moment ago.
    pub(super) fn vanished(request: &str) -> Self {
        Self {
            class: ScimErrorClass::NotFound,
            code: "scim-not-found",
            ..Self::endpoint(request, None, "it is not there after the write")
        }
    }

    /// The same answer, understood better.
    pub(super) fn of_class(self, class: ScimErrorClass) -> Self {
        let code = match class {
            ScimErrorClass::NoSeats => "scim-no-seats",
            ScimErrorClass::Forbidden => "scim-forbidden",
            ScimErrorClass::NotFound => "scim-not-found",
            _ => self.code,
        };
        Self {
            class,
            code,
            ..self
        }
    }

    /// Whether a refusal is for want of seats, by `scimType` or by one of the words.
    pub(super) fn speaks_of_seats(&self, words: &[String]) -> bool {
        let refused = matches!(self.status, Some(400 | 402 | 403 | 409 | 422))
            && !self.scim_type.as_deref().is_some_and(|kind| {
                kind.eq_ignore_ascii_case("uniqueness") || kind.eq_ignore_ascii_case("invalidPath")
            });
        if !refused {
            return false;
        }
        let too_many = |kind: &str| kind.eq_ignore_ascii_case("tooMany");
        let said = spoken(&self.detail);
        self.scim_type.as_deref().is_some_and(too_many)
            || words.iter().any(|word| speaks_of(&said, &spoken(word)))
    }

    pub(super) fn ambiguous(request: &str, status: Option<u16>, detail: &str) -> Self {
        Self {
            class: ScimErrorClass::Ambiguous,
            code: "scim-ambiguous",
            ..Self::endpoint(request, status, detail)
        }
    }

    pub(super) fn withheld(request: &str) -> Self {
        Self {
            class: ScimErrorClass::Withheld,
            code: "scim-withheld",
            ..Self::endpoint(request, None, "the run was ended before its turn came")
        }
    }

    /// Nothing was sent: this can't be a token.
    pub(super) fn unusable_token(detail: &str) -> Self {
        Self {
            class: ScimErrorClass::Authorization,
            code: "scim-token-unusable",
            ..Self::endpoint("", None, detail)
        }
    }

    pub(super) fn unsupported(request: &str, detail: &str) -> Self {
        Self {
            class: ScimErrorClass::Unsupported,
            code: "scim-unsupported",
            ..Self::endpoint(request, None, detail)
        }
    }

    pub(super) fn paused(request: &str, class: ScimErrorClass) -> Self {
        Self {
            class,
            code: "scim-rate-limited",
            ..Self::endpoint(request, Some(429), "too many requests")
        }
    }

    pub(super) fn rejected(request: &str, detail: &str) -> Self {
        Self {
            class: ScimErrorClass::Rejected,
            code: "scim-rejected",
            ..Self::endpoint(request, None, detail)
        }
    }

    pub(super) fn from_failure(request: &str, writes: bool, failure: SendFailure) -> Self {
        let sent = failure.may_have_been_sent();
        let detail = failure.to_string();
        match failure {
            SendFailure::Refused(refusal) => Self {
                request: request.into(),
                ..Self::from(refusal)
            },
            SendFailure::TooLarge { .. } if !writes => Self::endpoint(request, None, &detail),
            _ if writes && sent => Self::ambiguous(request, None, &detail),
            _ => Self {
                class: ScimErrorClass::Transient { retry_after: None },
                code: if sent {
                    "scim-no-answer"
                } else {
                    "scim-unreachable"
                },
                ..Self::endpoint(request, None, &detail)
            },
        }
    }

    /// Reads an answer that is not a success.
    pub(super) fn from_answer(
        request: &str,
        writes: bool,
        answer: &Answer,
        retry_after: Option<Duration>,
        token: &str,
    ) -> Self {
        let status = answer.status;
        let said = Said::read(answer, token);
        let web_page = answer.is_web_page();
        let scim_type = said.scim_type.as_deref().unwrap_or_default();
        let uniqueness = scim_type.eq_ignore_ascii_case("uniqueness");
        let (class, code) = match status.as_u16() {
            401..=403 => (ScimErrorClass::Authorization, "scim-authorization"),
            429 => (
                ScimErrorClass::RateLimited { retry_after },
                "scim-rate-limited",
            ),
            300..=399 => (ScimErrorClass::Endpoint, "scim-redirect"),
            501 | 505 | 510 => (ScimErrorClass::Unsupported, "scim-unsupported"),
            // A gateway that gave up says nothing about what stands behind it.
            502 | 504 if writes => (ScimErrorClass::Ambiguous, "scim-ambiguous"),
            408 | 425 | 500..=599 => (ScimErrorClass::Transient { retry_after }, "scim-transient"),
            // Whoever words it, the method is not known here.
            405 => (ScimErrorClass::Unsupported, "scim-unsupported"),
            // Frameworks put a page of their own to it; somebody is in the way all the same.
            409 => (ScimErrorClass::Conflict, "scim-conflict"),
            // A web page says that the address is wrong, not that the account is gone.
            _ if web_page => (ScimErrorClass::Endpoint, "scim-web-page"),
            404 | 410 => (ScimErrorClass::NotFound, "scim-not-found"),
            400 if uniqueness => (ScimErrorClass::Conflict, "scim-conflict"),
            415 => (ScimErrorClass::Unsupported, "scim-media-type"),
            _ if !status.is_client_error() => (ScimErrorClass::Endpoint, "scim-endpoint"),
            _ => (ScimErrorClass::Rejected, "scim-rejected"),
        };
        let detail = match class {
            ScimErrorClass::Endpoint if web_page => {
                format!(
                    "the address answered a web page with status {}, not SCIM",
                    status.as_u16()
                )
            }
            ScimErrorClass::Endpoint if status.is_redirection() => format!(
                "the address answered a redirect with status {}, which is not followed with a token",
                status.as_u16()
            ),
            _ if !said.detail.is_empty() => said.detail,
            _ if web_page => "a web page instead of SCIM".to_owned(),
            _ => default_reason(status),
        };
        Self {
            class,
            status: Some(status.as_u16()),
            scim_type: said.scim_type.map(String::into_boxed_str),
            detail,
            request: request.into(),
            excerpt: said.excerpt.map(String::into_boxed_str),
            code,
        }
    }
}

/// The words of a text, in lower case. Parts of an address, a path or a name such as
/// `license.type` are no words of their own, and addresses none at all.
fn spoken(text: &str) -> Vec<String> {
    let joins = |sign: char| sign.is_alphanumeric() || "@.-_+':/".contains(sign);
    let lower = text.to_lowercase();
    lower
        .split(|sign: char| !joins(sign))
        .filter(|word| !word.contains('@'))
        .map(|word| word.trim_matches(|sign: char| !sign.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether the words of a phrase follow each other in a text, each also in the plural.
fn speaks_of(said: &[String], phrase: &[String]) -> bool {
    let follow = |words: &[String]| {
        let mut pairs = words.iter().zip(phrase);
        pairs.all(|(word, wanted)| is_word(word, wanted))
    };
    !phrase.is_empty() && said.windows(phrase.len()).any(follow)
}

fn is_word(word: &str, wanted: &str) -> bool {
    word == wanted || word.strip_suffix('s') == Some(wanted)
}

fn default_reason(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => reason.to_ascii_lowercase(),
        None => "no reason given".to_owned(),
    }
}

/// The parts of an error body that we know how to read.
struct Said {
    detail: String,
    scim_type: Option<String>,
    excerpt: Option<String>,
}

impl Said {
    fn read(answer: &Answer, token: &str) -> Self {
        let text = String::from_utf8_lossy(&answer.body);
        let shown = excerpt(&text, &[token]);
        let excerpt_text = (!shown.is_empty()).then(|| shown.clone());
        let Some(json) = answer.json() else {
            let plain = if answer.is_web_page() {
                String::new()
            } else {
                shorten(&shown, 160)
            };
            return Self {
                detail: plain,
                scim_type: None,
                excerpt: excerpt_text,
            };
        };
        // Some nest the error in a list, Asana's REST answers have "errors", others one "error".
        let first = json.get("errors").and_then(|errors| errors.get(0));
        let body = match &json {
            Value::Array(list) => list.first().unwrap_or(&json),
            _ => &json,
        };
        let text_at = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let detail = [
            "detail",
            "message",
            "error_description",
            "description",
            "title",
        ]
        .iter()
        .find_map(|name| text_at(body.get(*name)))
        .or_else(|| {
            let first = first?;
            text_at(Some(first))
                .or_else(|| text_at(first.get("message")))
                .or_else(|| text_at(first.get("detail")))
                .or_else(|| text_at(first.get("description")))
        })
        .or_else(|| text_at(body.get("error")))
        .or_else(|| text_at(body.pointer("/error/message")));
        let scim_type = text_at(body.get("scimType"))
            .or_else(|| first.and_then(|first| text_at(first.get("scimType"))))
            .filter(|kind| !kind.is_empty())
            .map(|kind| shorten(&kind, 40));
        let detail = match detail {
            Some(detail) => shorten(&excerpt(&detail, &[token]), 200),
            None => shorten(&shown, 160),
        };
        Self {
            detail: detail.trim_end_matches('.').to_owned(),
            scim_type,
            excerpt: excerpt_text,
        }
    }
}
