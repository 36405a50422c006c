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
    let (request, services) = (super::request()?, super::services()?);
    let password = crate::services::Secret::new(password);
    super::answer(services.sign_in.sign_in(&request, email, password).await)?;
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
