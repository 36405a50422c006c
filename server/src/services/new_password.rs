//! A new password, as it was typed twice.

use app::api::{ApiError, ErrorCode, FieldCode, FieldError};
use app::services::{Answer, Secret};
use secrecy::SecretString;

use super::breached::BreachedPasswords;
use super::passwords::{self, PasswordProblem};

/// Fields `password` and `repeated`.
pub async fn check(
    breached: &BreachedPasswords,
    password: Option<&Secret>,
    repeated: Option<&Secret>,
    email: &str,
) -> Answer<SecretString> {
    let mut problems = ApiError::new(ErrorCode::Invalid);
    let mut refuse = |field: &str, code, args| {
        problems.fields.push(FieldError {
            field: field.to_owned(),
            code,
            args,
        });
    };
    let Some(password) = password else {
        return Err(ApiError::field("password", FieldCode::Required));
    };
    let text = SecretString::from(password.reveal());
    match passwords::check(&text, email) {
        Ok(()) => {
            let known = breached.contain(&text).await.map_err(|error| {
                tracing::error!(%error, "a new password could not be checked");
                ApiError::internal()
            })?;
            if known {
                refuse("password", FieldCode::PasswordTooCommon, Vec::new());
            }
        }
        Err(PasswordProblem::TooShort) => {
            let shortest = vec![passwords::SHORTEST.to_string()];
            refuse("password", FieldCode::TooShort, shortest);
        }
        Err(PasswordProblem::TooLong) => {
            let longest = vec![passwords::LONGEST.to_string()];
            refuse("password", FieldCode::TooLong, longest);
        }
        Err(PasswordProblem::TooCommon) => {
            refuse("password", FieldCode::PasswordTooCommon, Vec::new());
        }
    }
    if repeated.map(Secret::reveal) != Some(password.reveal()) {
        refuse("repeated", FieldCode::PasswordsDiffer, Vec::new());
    }
    problems.into_result()?;
    Ok(text)
}
