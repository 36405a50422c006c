//! One-time links: first-run setup, a reset password, the demo's door.

use super::{ApiError, terms::Time};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkPurpose {
    /// Nobody can sign in yet: asks for e-mail and password.
    FirstAdministrator,
    /// Asks for a first password.
    Invitation,
    /// Asks for a new password.
    ResetPassword,
    /// Demo: asks for nothing but a click.
    DemoSignIn,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeLink {
    pub purpose: LinkPurpose,
    /// Whose password is reset or who signs in.
    pub email: Option<String>,
    pub expires_at: Time,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct RedeemForm {
    pub email: Option<String>,
    pub password: Option<crate::services::Secret>,
    pub repeated: Option<crate::services::Secret>,
}

/// Callable without a session; looking does not use the link up.
#[server(endpoint = "one_time_link")]
pub async fn load_one_time_link(token: String) -> Result<OneTimeLink, ApiError> {
    let services = super::services()?;
    super::answer(
        services
            .setup
            .link(&crate::services::Secret::new(token))
            .await,
    )
}

/// Callable without a session; fields `email`, `password`, `repeated`.
#[server(endpoint = "redeem_link")]
pub async fn redeem_link(
    token: String,
    email: Option<String>,
    password: Option<String>,
    repeated: Option<String>,
) -> Result<(), ApiError> {
    use crate::services::Secret;
    let (request, services) = (super::request()?, super::services()?);
    let form = RedeemForm {
        email: super::filled(email),
        password: password.filter(|text| !text.is_empty()).map(Secret::new),
        repeated: repeated.filter(|text| !text.is_empty()).map(Secret::new),
    };
    let step = super::answer(
        services
            .setup
            .redeem(&request, Secret::new(token), form)
            .await,
    )?;
    super::redirect_to(super::session::after(step));
    Ok(())
}
