//! Signing in, and what everybody who is signed in decides about themselves.

use super::{Actor, Answer, Assured, RequestContext, Secret, Visitor};
use crate::api::account::*;
use async_trait::async_trait;

/// What comes after a right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInStep {
    Inside,
    SecondFactor,
    Enrolment,
}

#[async_trait]
pub trait SignIn: Send + Sync {
    /// Checks the password and starts the session. Wrong: `WrongCredentials` or
    /// `TooManyAttempts(seconds)`.
    async fn sign_in(
        &self,
        request: &RequestContext,
        email: String,
        password: Secret,
    ) -> Answer<SignInStep>;
    /// What can follow the password.
    async fn ways(&self, request: &RequestContext) -> Answer<Ways>;
    /// What the browser is to sign, for whoever the session belongs to; good once.
    async fn ask_passkey(&self, request: &RequestContext) -> Answer<String>;
    /// The second factor after the password. Field `code`.
    async fn second_factor(&self, request: &RequestContext, evidence: Evidence) -> Answer<()>;
    /// Proves once more who somebody is, by any of them. Fields `code`, `password`.
    async fn confirm(
        &self,
        request: &RequestContext,
        actor: &Actor,
        form: ConfirmForm,
    ) -> Answer<()>;
    async fn sign_out(&self, request: &RequestContext, actor: &Actor) -> Answer<()>;
}

/// One's own account. Who is at the door and has to enrol may use what takes a [`Visitor`].
#[async_trait]
pub trait Account: Send + Sync {
    async fn overview(&self, request: &RequestContext, actor: &Actor) -> Answer<MyAccount>;
    /// The QR code and secret to set up with, if that was begun.
    async fn enrolment(&self, visitor: &Visitor) -> Answer<Enrolment>;
    /// Makes a new secret; what was set up before holds until the new one is confirmed.
    async fn begin_enrolment(&self, enroller: Enroller) -> Answer<()>;
    /// Field `code`. Afterwards the recovery codes are shown.
    async fn finish_enrolment(
        &self,
        request: &RequestContext,
        enroller: Enroller,
        code: Secret,
    ) -> Answer<()>;
    /// What the browser is to make a passkey with; good once.
    async fn begin_passkey(&self, request: &RequestContext, enroller: Enroller) -> Answer<String>;
    /// Says whether there are new recovery codes to show, as with the first second factor.
    async fn add_passkey(
        &self,
        request: &RequestContext,
        enroller: Enroller,
        name: &str,
        passkey: &str,
    ) -> Answer<bool>;
    async fn rename_passkey(&self, actor: &Actor, id: uuid::Uuid, name: &str) -> Answer<()>;
    /// The last second factor stays with whoever may not go without.
    async fn remove_passkey(
        &self,
        request: &RequestContext,
        actor: &Assured,
        id: uuid::Uuid,
    ) -> Answer<()>;
    /// Takes the authenticator app off. Only who need not have a second factor, or has a passkey,
    /// may go without.
    async fn remove_second_factor(&self, request: &RequestContext, actor: &Assured) -> Answer<()>;
    async fn renew_recovery_codes(&self, actor: &Assured) -> Answer<()>;
    /// What is shown once, until it is put away or ten minutes have passed.
    async fn shown_once(&self, actor: &Actor) -> Answer<ShownOnce>;
    async fn put_away(&self, actor: &Actor) -> Answer<()>;
    /// Fields `current`, `password`, `repeated`. Ends every other session.
    async fn change_password(
        &self,
        request: &RequestContext,
        actor: &Actor,
        form: PasswordForm,
    ) -> Answer<()>;
    /// One session by its handle, or all but this one.
    async fn revoke(
        &self,
        request: &RequestContext,
        actor: &Actor,
        session: Option<String>,
    ) -> Answer<()>;
}

/// Who may set up a second factor: somebody assured, or somebody at the door who has to.
#[derive(Clone, Debug)]
pub enum Enroller {
    Assured(Assured),
    AtTheDoor(Visitor),
}

impl Enroller {
    #[must_use]
    pub fn id(&self) -> uuid::Uuid {
        match self {
            Self::Assured(actor) => actor.id,
            Self::AtTheDoor(visitor) => visitor.administrator,
        }
    }
}
