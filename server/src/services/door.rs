//! What all who decide about coming in have in common.

use std::sync::Arc;

use app::api::ApiError;
use app::services::{Answer, Stage};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::PgPool;

use super::answers::database;
use super::breached::BreachedPasswords;
use super::second_factor::{self, FactorError};
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
}

impl Door {
    pub fn new(engine: &Engine, scrutiny: Scrutiny, breached: BreachedPasswords) -> Self {
        Self {
            pool: engine.pool.clone(),
            clock: engine.clock.clone(),
            vault: engine.vault.clone(),
            scrutiny,
            breached,
        }
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

impl From<FactorError> for ApiError {
    fn from(error: FactorError) -> Self {
        tracing::error!(%error, "a second factor could not be used");
        Self::internal()
    }
}
