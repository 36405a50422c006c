//! What all who decide about coming in have in common.

use std::sync::Arc;

use app::api::{ApiError, ErrorCode};
use app::services::{Answer, RequestContext, Stage};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::PgPool;

use super::answers::database;
use super::breached::BreachedPasswords;
use super::passkeys::{PasskeyError, Site};
use super::second_factor::{self, FactorError};
use super::session_views;
use crate::clock::Clock;
use crate::secrets::Vault;
use crate::store::administrators::{Administrator, Role};
use crate::store::second_factors;
use crate::sync::Engine;

/// Whether second factors and confirmations are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrutiny {
    Full,
    /// Somebody who tries the demo is asked for neither.
    Demo,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub vault: Vault,
    pub scrutiny: Scrutiny,
    pub breached: BreachedPasswords,
    /// Where passkeys are made and used, if browsers offer them there.
    pub site: Option<Site>,
}

impl Door {
    pub fn new(
        engine: &Engine,
        scrutiny: Scrutiny,
        breached: BreachedPasswords,
        site: Option<Site>,
    ) -> Self {
        Self {
            pool: engine.pool.clone(),
            clock: engine.clock.clone(),
            vault: engine.vault.clone(),
            scrutiny,
            breached,
            site,
        }
    }

    /// Passkeys, where there can be any.
    pub fn passkey_site(&self) -> Answer<&Site> {
        let site = self.site.as_ref();
        site.ok_or_else(|| ApiError::new(ErrorCode::PasskeysImpossible))
    }

    pub fn must_have_second_factor(&self, role: Role) -> bool {
        role == Role::SuperAdministrator && self.scrutiny == Scrutiny::Full
    }

    /// How far a right password leads. Who has to set up a second factor finds one begun.
    pub async fn after_password(
        &self,
        db: &mut PgConnection,
        administrator: &Administrator,
        now: DateTime<Utc>,
    ) -> Answer<Stage> {
        let factor = second_factors::find(&mut *db, administrator.id).await;
        if factor.map_err(database)?.is_some() {
            return Ok(Stage::SecondFactor);
        }
        if !self.must_have_second_factor(administrator.role) {
            return Ok(Stage::Inside);
        }
        second_factor::begin(db, &self.vault, administrator.id, now).await?;
        Ok(Stage::Enrolment)
    }
}

/// What is stored of the id of the request's session.
pub fn session_of(request: &RequestContext) -> Answer<Vec<u8>> {
    let handle = request.session.handle();
    let hash = handle.as_deref().and_then(session_views::id_hash);
    hash.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))
}

impl From<FactorError> for ApiError {
    fn from(error: FactorError) -> Self {
        tracing::error!(%error, "a second factor could not be used");
        Self::internal()
    }
}

impl From<PasskeyError> for ApiError {
    fn from(error: PasskeyError) -> Self {
        match error {
            PasskeyError::Refused(cause) => {
                tracing::info!(cause, "a passkey was refused");
                Self::new(ErrorCode::PasskeyRefused)
            }
            PasskeyError::TooMany => Self::new(ErrorCode::TooManyPasskeys),
            PasskeyError::Database(_) | PasskeyError::Broken(_) => {
                tracing::error!(%error, "a passkey could not be used");
                Self::internal()
            }
        }
    }
}
