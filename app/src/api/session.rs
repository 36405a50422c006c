//! Signing in and out.

use super::{ApiError, account::Ways};
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

/// Of somebody whose password was right, and who is not inside yet.
#[cfg(feature = "ssr")]
fn halfway() -> Result<crate::services::RequestContext, ApiError> {
    let request = super::request()?;
    match request.visitor {
        Some(visitor) if visitor.stage == crate::services::Stage::SecondFactor => Ok(request),
        _ => super::answer(Err(ApiError::new(super::ErrorCode::Unauthenticated))),
    }
}

/// What can follow the password. Callable after it.
#[server(endpoint = "sign_in_ways")]
pub async fn load_sign_in_ways() -> Result<Ways, ApiError> {
    let (request, services) = (halfway()?, super::services()?);
    super::answer(services.sign_in.ways(&request).await)
}

/// What the browser is asked to sign with a passkey. Callable after the password.
#[server(endpoint = "sign_in_passkey")]
pub async fn ask_passkey_at_the_door() -> Result<String, ApiError> {
    let (request, services) = (halfway()?, super::services()?);
    super::answer(services.sign_in.ask_passkey(&request).await)
}

/// Callable after the password; fields `code`, `passkey`: one of them is enough.
#[server(endpoint = "sign_in_code")]
pub async fn sign_in_code(
    #[server(default)] code: String,
    #[server(default)] passkey: String,
    #[server(default)] next: Option<String>,
) -> Result<(), ApiError> {
    use super::{FieldCode, account::Evidence};
    let (request, services) = (super::request()?, super::services()?);
    let evidence =
        Evidence::read(code, passkey).ok_or_else(|| ApiError::field("code", FieldCode::Required));
    let evidence = super::answer(evidence)?;
    super::answer(services.sign_in.second_factor(&request, evidence).await)?;
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
