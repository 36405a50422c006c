//! One's own account: second factor, password, sessions, and confirming who one is.

use super::{ApiError, terms::Role, terms::Time};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyAccount {
    pub email: String,
    pub role: Role,
    /// Since when there is an authenticator app.
    pub app_since: Option<Time>,
    pub passkeys: Vec<PasskeyView>,
    /// Where passkeys can be added; `None` where browsers offer none.
    pub passkeys_at: Option<String>,
    pub recovery_codes_left: u32,
    /// Whether the role may not go without a second factor.
    pub must_have_second_factor: bool,
    pub sessions: Vec<SessionView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyView {
    pub id: Uuid,
    pub name: String,
    /// The name of the address that it was made for.
    pub site: String,
    /// Whether that is the console's address now.
    pub here: bool,
    pub added_at: Time,
    pub used_at: Option<Time>,
}

/// What proves somebody after the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    pub app: bool,
    /// Where they can use a passkey, if they have one.
    pub passkeys_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Names the session, and opens nothing.
    pub handle: String,
    pub began_at: Time,
    pub used_at: Time,
    pub ends_at: Time,
    pub address: Option<String>,
    /// In words: "Firefox on Linux".
    pub browser: String,
    pub this_one: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    pub email: String,
    /// Whether something is set up already, which the new one replaces.
    pub replaces: bool,
    /// `None` until it is begun.
    pub secret: Option<EnrolmentSecret>,
    /// Where a passkey can be added instead.
    pub passkeys_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentSecret {
    /// In groups of four, to be typed.
    pub text: String,
    pub qr: QrCode,
}

/// A picture of squares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QrCode {
    /// Squares a side, the quiet zone included.
    pub size: u32,
    /// An SVG path of the dark ones.
    pub path: String,
}

/// What only its owner may see, and only now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum ShownOnce {
    RecoveryCodes {
        codes: Vec<String>,
    },
    Link {
        email: String,
        address: String,
        until: Time,
    },
    /// Nothing, or no longer.
    Nothing,
}

/// What somebody proves themselves with.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub enum Evidence {
    /// Of the authenticator app, or a recovery code.
    Code(crate::services::Secret),
    /// What the browser made of the challenge, as JSON.
    Passkey(String),
}

#[cfg(feature = "ssr")]
impl Evidence {
    pub(super) fn read(code: String, passkey: String) -> Option<Self> {
        if passkey.is_empty() {
            typed(code).map(Self::Code)
        } else {
            Some(Self::Passkey(passkey))
        }
    }
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct ConfirmForm {
    pub evidence: Option<Evidence>,
    pub password: Option<crate::services::Secret>,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct PasswordForm {
    pub current: crate::services::Secret,
    pub password: Option<crate::services::Secret>,
    pub repeated: Option<crate::services::Secret>,
}

#[cfg(feature = "ssr")]
fn typed(text: String) -> Option<crate::services::Secret> {
    let text = text.trim();
    (!text.is_empty()).then(|| crate::services::Secret::new(text.to_owned()))
}

/// A password may begin and end with a space.
#[cfg(feature = "ssr")]
fn typed_password(text: String) -> Option<crate::services::Secret> {
    (!text.is_empty()).then(|| crate::services::Secret::new(text))
}

/// Somebody signed in and assured, or somebody at the door who has to enrol.
#[cfg(feature = "ssr")]
fn enroller() -> Result<(crate::services::Enroller, crate::services::Services), ApiError> {
    use crate::services::{Enroller, Stage};
    let request = super::request()?;
    match request.visitor {
        Some(visitor) if visitor.stage == Stage::Enrolment => {
            Ok((Enroller::AtTheDoor(visitor), super::services()?))
        }
        _ => {
            super::signed_in()?;
            let (actor, services) = super::assured_self()?;
            Ok((Enroller::Assured(actor), services))
        }
    }
}

#[server(endpoint = "my_account")]
pub async fn load_my_account() -> Result<MyAccount, ApiError> {
    let (request, (actor, services)) = (super::request()?, super::signed_in()?);
    super::answer(services.account.overview(&request, &actor).await)
}

/// Fields `code`, `passkey`, `password`: one of them is enough.
#[server(endpoint = "confirm_identity")]
pub async fn confirm_identity(
    #[server(default)] code: String,
    #[server(default)] passkey: String,
    #[server(default)] password: String,
    #[server(default)] next: Option<String>,
) -> Result<(), ApiError> {
    let (request, (actor, services)) = (super::request()?, super::signed_in()?);
    let form = ConfirmForm {
        evidence: Evidence::read(code, passkey),
        password: typed_password(password),
    };
    super::answer(services.sign_in.confirm(&request, &actor, form).await)?;
    super::redirect_to(super::local_path(next.as_deref()));
    Ok(())
}

/// Callable at the door by whoever has to enrol.
#[server(endpoint = "enrolment")]
pub async fn load_enrolment() -> Result<Enrolment, ApiError> {
    use crate::services::Stage;
    let (request, services) = (super::request()?, super::services()?);
    let visitor = request
        .visitor
        .filter(|visitor| visitor.stage != Stage::SecondFactor);
    let visitor =
        super::answer(visitor.ok_or_else(|| ApiError::new(super::ErrorCode::Unauthenticated)))?;
    super::answer(services.account.enrolment(&visitor).await)
}

/// Callable at the door by whoever has to enrol.
#[server(endpoint = "begin_enrolment")]
pub async fn begin_enrolment(#[server(default)] next: Option<String>) -> Result<(), ApiError> {
    let (enroller, services) = enroller()?;
    super::answer(services.account.begin_enrolment(enroller).await)?;
    super::redirect_to(&super::with_next("/second-factor", next.as_deref()));
    Ok(())
}

/// Callable at the door by whoever has to enrol; field `code`.
#[server(endpoint = "finish_enrolment")]
pub async fn finish_enrolment(
    code: String,
    #[server(default)] next: Option<String>,
) -> Result<(), ApiError> {
    let request = super::request()?;
    let (enroller, services) = enroller()?;
    let code = crate::services::Secret::new(code);
    super::answer(
        services
            .account
            .finish_enrolment(&request, enroller, code)
            .await,
    )?;
    super::redirect_to(&super::with_next("/shown-once", next.as_deref()));
    Ok(())
}

/// What the browser is asked to make a passkey with. Callable at the door by whoever has to enrol.
#[server(endpoint = "begin_passkey")]
pub async fn begin_passkey() -> Result<String, ApiError> {
    let request = super::request()?;
    let (enroller, services) = enroller()?;
    super::answer(services.account.begin_passkey(&request, enroller).await)
}

/// Callable at the door by whoever has to enrol. `passkey` is what the browser made.
#[server(endpoint = "add_passkey")]
pub async fn add_passkey(
    passkey: String,
    #[server(default)] name: String,
    #[server(default)] next: Option<String>,
) -> Result<(), ApiError> {
    let request = super::request()?;
    let (enroller, services) = enroller()?;
    let account = &services.account;
    let has_codes = account.add_passkey(&request, enroller, &name, &passkey);
    if super::answer(has_codes.await)? {
        super::redirect_to(&super::with_next("/shown-once", next.as_deref()));
    } else {
        super::redirect_to(super::local_path(next.as_deref()));
    }
    Ok(())
}

#[server(endpoint = "rename_passkey")]
pub async fn rename_passkey(id: Uuid, name: String) -> Result<(), ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.account.rename_passkey(&actor, id, &name).await)?;
    super::redirect_to("/account");
    Ok(())
}

#[server(endpoint = "remove_passkey")]
pub async fn remove_passkey(id: Uuid) -> Result<(), ApiError> {
    let (request, (actor, services)) = (super::request()?, super::assured_self()?);
    super::answer(services.account.remove_passkey(&request, &actor, id).await)?;
    super::redirect_to("/account");
    Ok(())
}

/// What the browser is asked to sign with a passkey, to confirm who it is.
#[server(endpoint = "ask_passkey")]
pub async fn ask_passkey() -> Result<String, ApiError> {
    super::signed_in()?;
    let (request, services) = (super::request()?, super::services()?);
    super::answer(services.sign_in.ask_passkey(&request).await)
}

#[server(endpoint = "remove_second_factor")]
pub async fn remove_second_factor() -> Result<(), ApiError> {
    let (request, (actor, services)) = (super::request()?, super::assured_self()?);
    super::answer(
        services
            .account
            .remove_second_factor(&request, &actor)
            .await,
    )?;
    super::redirect_to("/account");
    Ok(())
}

#[server(endpoint = "renew_recovery_codes")]
pub async fn renew_recovery_codes() -> Result<(), ApiError> {
    let (actor, services) = super::assured_self()?;
    super::answer(services.account.renew_recovery_codes(&actor).await)?;
    super::redirect_to("/shown-once?next=/account");
    Ok(())
}

#[server(endpoint = "shown_once")]
pub async fn load_shown_once() -> Result<ShownOnce, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.account.shown_once(&actor).await)
}

#[server(endpoint = "put_away")]
pub async fn put_away(#[server(default)] next: Option<String>) -> Result<(), ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.account.put_away(&actor).await)?;
    super::redirect_to(super::local_path(next.as_deref()));
    Ok(())
}

/// Fields `current`, `password`, `repeated`.
#[server(endpoint = "change_password")]
pub async fn change_password(
    current: String,
    password: String,
    repeated: String,
) -> Result<(), ApiError> {
    let (request, (actor, services)) = (super::request()?, super::signed_in()?);
    let form = PasswordForm {
        current: crate::services::Secret::new(current),
        password: typed_password(password),
        repeated: typed_password(repeated),
    };
    super::answer(
        services
            .account
            .change_password(&request, &actor, form)
            .await,
    )?;
    super::redirect_to("/account");
    Ok(())
}

/// Without `session`: every one but this.
#[server(endpoint = "revoke_session")]
pub async fn revoke_session(#[server(default)] session: Option<String>) -> Result<(), ApiError> {
    let (request, (actor, services)) = (super::request()?, super::signed_in()?);
    let session = super::filled(session);
    super::answer(services.account.revoke(&request, &actor, session).await)?;
    super::redirect_to("/account");
    Ok(())
}
