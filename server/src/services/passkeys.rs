//! Passkeys (WebAuthn) as a second factor. What is signed is a challenge of ours, for our address,
//! by somebody whom the authenticator recognized.

use std::sync::Arc;

use app::api::account::PasskeyView;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use url::{Host, Url};
use uuid::Uuid;
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::{AllowedCredentials, AuthenticationVerificationOptions};
use webauthn_rp::request::register::{
    PublicKeyCredentialUserEntity, RegistrationVerificationOptions, ResidentKeyRequirement,
    UserHandle, Username,
};
use webauthn_rp::request::{
    AsciiDomain, Credentials as _, PublicKeyCredentialDescriptor, RpId, UserVerificationRequirement,
};
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, NonDiscoverableAuthentication16,
    NonDiscoverableAuthenticationServerState, NonDiscoverableCredentialRequestOptions,
    PublicKeyCredentialCreationOptions, Registration, RegistrationServerState,
};

use crate::store::passkeys::{self, Passkey, Purpose};

/// How long somebody may take to reach for their key. The library holds it, too.
const CHALLENGE_LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// A name for who gives none.
const NAMELESS: &str = "Passkey";
/// A list that a person still reads.
const MOST: usize = 20;

type Handle = UserHandle<16>;
type Made = StaticState<CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>>;

/// The address at which browsers make and use passkeys.
#[derive(Clone, Debug)]
pub struct Site {
    origin: String,
    id: Arc<RpId>,
}

impl Site {
    /// `None` where browsers offer no passkeys: without TLS, or at an address that has no name.
    /// This machine itself has one.
    pub fn of(origin: &str) -> Option<Self> {
        let mut url = Url::parse(origin).ok()?;
        let is_here = match url.host()? {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if is_here && !matches!(url.host()?, Host::Domain(_)) {
            url.set_host(Some("localhost")).ok()?;
        }
        if url.scheme() != "https" && !is_here {
            return None;
        }
        let Host::Domain(name) = url.host()? else {
            return None;
        };
        let id = AsciiDomain::try_from(name.to_owned()).ok()?;
        Some(Self {
            origin: url.origin().ascii_serialization(),
            id: Arc::new(RpId::Domain(id)),
        })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    fn name(&self) -> &str {
        (*self.id).as_ref()
    }

    pub fn is_of(&self, passkey: &Passkey) -> bool {
        passkey.site == self.name()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// What the browser sent proves nothing.
    #[error("{0}")]
    Refused(String),
    /// There are as many as there may be.
    #[error("an administrator has no more than {MOST} passkeys")]
    TooMany,
    /// What is stored, or what we ask for, can't be used.
    #[error("{0}")]
    Broken(String),
}

fn refused(error: impl ToString) -> PasskeyError {
    PasskeyError::Refused(error.to_string())
}

fn broken(error: impl ToString) -> PasskeyError {
    PasskeyError::Broken(error.to_string())
}

/// Whose, and in which of their sessions.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub administrator: Uuid,
    pub session_hash: &'a [u8],
    pub now: DateTime<Utc>,
}

impl Asked<'_> {
    async fn keep(
        &self,
        db: &mut PgConnection,
        purpose: Purpose,
        state: &[u8],
    ) -> Result<(), sqlx::Error> {
        let until = self.now + CHALLENGE_LIFETIME;
        passkeys::put_challenge(db, self.session_hash, purpose, state, until).await
    }

    /// Used up, whatever comes of it.
    async fn take(&self, db: &mut PgConnection, purpose: Purpose) -> Result<Vec<u8>, PasskeyError> {
        let taken = passkeys::take_challenge(db, self.session_hash, purpose, self.now).await?;
        taken.ok_or_else(|| refused("nothing was asked, or too long ago"))
    }

    fn handle(&self) -> Result<Handle, PasskeyError> {
        Handle::decode(self.administrator.into_bytes()).map_err(broken)
    }
}

/// What the browser is asked, as the JSON that it understands, to make a new passkey.
pub async fn begin_adding(
    db: &mut PgConnection,
    site: &Site,
    asked: Asked<'_>,
    email: &str,
) -> Result<String, PasskeyError> {
    let there = passkeys::of(&mut *db, asked.administrator).await?;
    if there.len() >= MOST {
        return Err(PasskeyError::TooMany);
    }
    let there = descriptors(there.iter().filter(|passkey| site.is_of(passkey)))?;
    let handle = asked.handle()?;
    let mut user = PublicKeyCredentialUserEntity::from(&handle);
    // Only for people to tell their passkeys apart; a name that the standard refuses is left out.
    if let Ok(name) = Username::try_from(email) {
        user.name = name;
    }
    let mut options = PublicKeyCredentialCreationOptions::second_factor(&site.id, user, there);
    let wanted = &mut options.authenticator_selection;
    wanted.user_verification = UserVerificationRequirement::Required;
    // It is asked for after the password, so it need not be found without one.
    wanted.resident_key = ResidentKeyRequirement::Discouraged;
    let (state, asks) = options.start_ceremony().map_err(broken)?;
    let state = state.encode().map_err(broken)?;
    asked.keep(db, Purpose::Add, &state).await?;
    serde_json::to_string(&asks).map_err(broken)
}

/// Keeps the passkey that the browser made. `None` when it is known already.
pub async fn finish_adding(
    db: &mut PgConnection,
    site: &Site,
    asked: Asked<'_>,
    name: &str,
    answer: &str,
) -> Result<Option<String>, PasskeyError> {
    let state = asked.take(&mut *db, Purpose::Add).await?;
    let state = RegistrationServerState::<16>::decode(&state).map_err(broken)?;
    let answer = Registration::from_json_relaxed(answer.as_bytes()).map_err(refused)?;
    let rules = RegistrationVerificationOptions::<&str, &str> {
        allowed_origins: &[site.origin()],
        error_on_unsolicited_extensions: false,
        ..RegistrationVerificationOptions::default()
    };
    let made = state.verify(&site.id, &answer, &rules).map_err(refused)?;
    let name = tidy(name);
    let passkey = Passkey {
        id: Uuid::now_v7(),
        name: name.clone(),
        site: site.name().to_owned(),
        credential_id: made.id().as_ref().to_vec(),
        transports: i16::from(made.transports().encode().map_err(broken)?),
        made: made.static_state().encode().map_err(broken)?,
        state: made.dynamic_state().encode().map_err(broken)?.to_vec(),
        created_at: asked.now,
        used_at: None,
    };
    let added = passkeys::add(db, asked.administrator, &passkey).await?;
    Ok(added.then_some(name))
}

/// What the browser is asked to prove with one of the passkeys; `None` without any for this site.
pub async fn begin_proving(
    db: &mut PgConnection,
    site: &Site,
    asked: Asked<'_>,
) -> Result<Option<String>, PasskeyError> {
    let there = passkeys::of(&mut *db, asked.administrator).await?;
    let there = descriptors(there.iter().filter(|passkey| site.is_of(passkey)))?;
    if there.is_empty() {
        return Ok(None);
    }
    let mut allowed = AllowedCredentials::with_capacity(there.len());
    for descriptor in there {
        allowed.push(descriptor.into());
    }
    let mut options = NonDiscoverableCredentialRequestOptions::second_factor(&site.id, allowed)
        .map_err(broken)?;
    options.options().user_verification = UserVerificationRequirement::Required;
    let (state, asks) = options.start_ceremony().map_err(broken)?;
    let state = state.encode().map_err(broken)?;
    asked.keep(db, Purpose::Prove, &state).await?;
    serde_json::to_string(&asks).map(Some).map_err(broken)
}

/// Fails unless one of this administrator's passkeys signed what this session was asked.
pub async fn prove(
    db: &mut PgConnection,
    site: &Site,
    asked: Asked<'_>,
    answer: &str,
) -> Result<(), PasskeyError> {
    let state = asked.take(&mut *db, Purpose::Prove).await?;
    let state = NonDiscoverableAuthenticationServerState::decode(&state).map_err(broken)?;
    let answer =
        NonDiscoverableAuthentication16::from_json_relaxed(answer.as_bytes()).map_err(refused)?;
    let id = answer.raw_id();
    let found = passkeys::find(&mut *db, asked.administrator, site.name(), id.as_ref()).await?;
    let passkey = found.ok_or_else(|| refused("this passkey is not one of theirs"))?;
    let handle = asked.handle()?;
    let mut credential = AuthenticatedCredential::new(
        id,
        &handle,
        Made::decode(&passkey.made).map_err(broken)?,
        dynamic(&passkey)?,
    )
    .map_err(broken)?;
    let rules = AuthenticationVerificationOptions::<&str, &str> {
        allowed_origins: &[site.origin()],
        error_on_unsolicited_extensions: false,
        ..AuthenticationVerificationOptions::default()
    };
    // The counter of signatures is among what is checked: a copy of the key falls behind.
    state
        .verify(&site.id, &answer, &mut credential, &rules)
        .map_err(refused)?;
    let now = credential.dynamic_state().encode().map_err(broken)?;
    if !passkeys::used(db, &passkey, &now, asked.now).await? {
        return Err(refused("another signature came first"));
    }
    Ok(())
}

fn dynamic(passkey: &Passkey) -> Result<DynamicState, PasskeyError> {
    let state = passkey.state.as_slice().try_into();
    DynamicState::decode(state.map_err(broken)?).map_err(broken)
}

fn descriptors<'a>(
    passkeys: impl Iterator<Item = &'a Passkey>,
) -> Result<Vec<PublicKeyCredentialDescriptor<Vec<u8>>>, PasskeyError> {
    passkeys
        .map(|passkey| {
            let transports = u8::try_from(passkey.transports).map_err(broken)?;
            Ok(PublicKeyCredentialDescriptor {
                id: CredentialId::<Vec<u8>>::decode(passkey.credential_id.clone())
                    .map_err(broken)?,
                transports: AuthTransports::decode(transports).map_err(broken)?,
            })
        })
        .collect()
}

/// The name that somebody gives a passkey.
pub fn tidy(name: &str) -> String {
    let letters = name.trim().chars().filter(|letter| !letter.is_control());
    let name: String = letters.take(60).collect();
    match name.is_empty() {
        true => NAMELESS.to_owned(),
        false => name,
    }
}

pub fn view(passkey: Passkey, site: Option<&Site>) -> PasskeyView {
    PasskeyView {
        here: site.is_some_and(|site| site.is_of(&passkey)),
        id: passkey.id,
        name: passkey.name,
        site: passkey.site,
        added_at: passkey.created_at,
        used_at: passkey.used_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_a_name_that_browsers_trust() {
        for (origin, name, at) in [
            ("https://rollcall.example.com", "rollcall.example.com", None),
            (
                "https://rollcall.example.com:8443",
                "rollcall.example.com",
                None,
            ),
            ("http://localhost:3000", "localhost", None),
            (
                "http://127.0.0.1:3000",
                "localhost",
                Some("http://localhost:3000"),
            ),
            (
                "http://[::1]:3000",
                "localhost",
                Some("http://localhost:3000"),
            ),
        ] {
            let site = Site::of(origin).unwrap();
            assert_eq!(site.name(), name, "{origin}");
            assert_eq!(site.origin(), at.unwrap_or(origin), "{origin}");
        }
        for origin in [
            "http://rollcall.example.com",
            "https://192.0.2.1",
            "http://192.0.2.1:3000",
            "nonsense",
        ] {
            assert!(Site::of(origin).is_none(), "{origin}");
        }
    }

    #[test]
    fn a_passkey_always_has_a_short_name() {
        assert_eq!(tidy("  My laptop\u{0} "), "My laptop");
        assert_eq!(tidy(" \n"), "Passkey");
        assert_eq!(tidy(&"é".repeat(99)).chars().count(), 60);
    }
}
