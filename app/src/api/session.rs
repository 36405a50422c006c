//! Signing in and out.

use super::ApiError;
use leptos::prelude::*;

/// Callable without a session.
#[server(endpoint = "sign_in")]
pub async fn sign_in(
    email: String,
    password: String,
    next: Option<String>,
) -> Result<(), ApiError> {
    use crate::services::SignInStep;
    let (request, services) = (super::request()?, super::services()?);
    let password = crate::services::Secret::new(password);
    let step = super::answer(services.sign_in.sign_in(&request, email, password).await)?;
    let next = super::local_path(next.as_deref());
    match step {
        SignInStep::Inside => super::redirect_to(next),
        step => super::redirect_to(&super::with_next(after(step), Some(next))),
    }
    Ok(())
}

/// The page that comes after a right password.
#[cfg(feature = "ssr")]
pub(super) fn after(step: crate::services::SignInStep) -> &'static str {
    use crate::services::SignInStep;
    match step {
        SignInStep::Inside => "/",
        SignInStep::SecondFactor => "/sign-in/code",
        SignInStep::Enrolment => "/second-factor",
    }
}

/// Callable after the password; field `code`.
#[server(endpoint = "sign_in_code")]
pub async fn sign_in_code(
    code: String,
    #[server(default)] next: Option<String>,
) -> Result<(), ApiError> {
    let (request, services) = (super::request()?, super::services()?);
    let code = crate::services::Secret::new(code.trim().to_owned());
    super::answer(services.sign_in.second_factor(&request, code).await)?;
    super::redirect_to(super::local_path(next.as_deref()));
    Ok(())
}

#[server(endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), ApiError> {
    let (request, (actor, services)) = (super::request()?, super::signed_in()?);
    super::answer(services.sign_in.sign_out(&request, &actor).await)?;
    super::redirect_to("/sign-in");
    Ok(())
}
