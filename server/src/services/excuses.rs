//! Errors of the server as the codes that the console shows. What went wrong inside is logged.

use app::api::{ApiError, ErrorCode, FieldCode};

use crate::connectors::targets::TargetRefusal;
use crate::connectors::{DirectoryError, DirectoryErrorClass, ScimError, ScimErrorClass};
use crate::sync::import::ImportError;
use crate::sync::inputs::InputError;
use crate::sync::run::RunError;

/// For what only an operator can look into.
pub fn internal(error: impl std::error::Error) -> ApiError {
    tracing::error!(%error, "a request of the console failed");
    ApiError::internal()
}

pub fn directory(error: DirectoryError) -> ApiError {
    tracing::warn!(
        code = error.code(),
        "the directory did not do what the console asked"
    );
    ApiError::new(match error.class() {
        DirectoryErrorClass::NotFound => ErrorCode::NotFound,
        DirectoryErrorClass::Permission | DirectoryErrorClass::Credentials => {
            ErrorCode::DirectoryRefused
        }
        DirectoryErrorClass::Unreachable
        | DirectoryErrorClass::Throttled
        | DirectoryErrorClass::Incomplete
        | DirectoryErrorClass::Protocol => ErrorCode::DirectoryUnreachable,
    })
}

pub fn import(error: ImportError) -> ApiError {
    match error {
        ImportError::NotConnected => ApiError::new(ErrorCode::DirectoryNotConnected),
        ImportError::Directory(error) => directory(error),
        ImportError::Store(error) => error.into(),
        ImportError::OtherTenant { .. } => ApiError::new(ErrorCode::DirectoryChanged),
        error => internal(error),
    }
}

pub fn run(error: RunError) -> ApiError {
    match error {
        RunError::Import(error) => import(error),
        RunError::Store(error) => error.into(),
        RunError::Input(InputError::NoDirectory) => ApiError::new(ErrorCode::DirectoryNotRead),
        RunError::Input(InputError::NoToken { .. }) => ApiError::new(ErrorCode::TokenMissing),
        RunError::NotConfigured { .. } => ApiError::new(ErrorCode::NotConfigured),
        RunError::App(error) => scim(&error),
        error => internal(error),
    }
}

/// An address that may not be used, on the form's control.
pub fn target(field: &str, refusal: &TargetRefusal) -> ApiError {
    ApiError::field(
        field,
        match refusal {
            TargetRefusal::NoHost { .. } => FieldCode::NotAUrl,
            TargetRefusal::NotHttps { .. } => FieldCode::NotHttps,
            _ => FieldCode::TargetNotAllowed,
        },
    )
}

/// What an app answered, when no control of a form is to blame.
pub fn scim(error: &ScimError) -> ApiError {
    match &error.class {
        ScimErrorClass::Authorization => ApiError::new(ErrorCode::TokenRefused),
        ScimErrorClass::RateLimited { .. } => ApiError::new(ErrorCode::AppThrottled),
        ScimErrorClass::Target => ApiError::new(ErrorCode::TargetNotAllowed),
        ScimErrorClass::Transient { .. } | ScimErrorClass::Ambiguous => {
            ApiError::new(ErrorCode::AppUnreachable)
        }
        // Short and harmless: what it looked like, not what it said.
        _ => ApiError::new(ErrorCode::AppAnsweredOddly).with(match error.code() {
            "scim-web-page" => "a web page".to_owned(),
            "scim-redirect" => "a redirect".to_owned(),
            _ => error.status.map_or_else(
                || "something else".to_owned(),
                |status| format!("status {status}"),
            ),
        }),
    }
}
