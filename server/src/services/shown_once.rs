//! What its owner sees once: recovery codes and one-time links. Kept sealed until it is put away
//! or ten minutes have passed, so that a form can lead to the page that shows it.

use app::api::ApiError;
use app::api::account::ShownOnce;
use app::services::Answer;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::secrets::Vault;
use crate::store::credentials::{self, Credential};

/// How long it can be looked at.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

pub async fn put(
    db: &mut PgConnection,
    vault: &Vault,
    owner: Uuid,
    shown: &ShownOnce,
    now: DateTime<Utc>,
) -> Answer<()> {
    let text = serde_json::to_string(shown).map_err(|error| {
        tracing::error!(%error, "what is to be shown can't be written");
        ApiError::internal()
    })?;
    let place = Credential::ShownOnce(owner);
    credentials::put(db, vault, place, &SecretString::from(text), now).await?;
    Ok(())
}

pub async fn get(
    db: &mut PgConnection,
    vault: &Vault,
    owner: Uuid,
    now: DateTime<Utc>,
) -> Answer<ShownOnce> {
    let place = Credential::ShownOnce(owner);
    let stored = credentials::stored_at(&mut *db, place).await;
    let Some(stored) = stored.map_err(super::answers::database)? else {
        return Ok(ShownOnce::Nothing);
    };
    if now - stored >= LIFETIME {
        put_away(db, owner).await?;
        return Ok(ShownOnce::Nothing);
    }
    let text = credentials::get(db, vault, place).await?;
    let shown = text.and_then(|text| serde_json::from_str(text.expose_secret()).ok());
    Ok(shown.unwrap_or(ShownOnce::Nothing))
}

pub async fn put_away(db: &mut PgConnection, owner: Uuid) -> Answer<()> {
    let deleted = credentials::delete(db, Credential::ShownOnce(owner)).await;
    deleted.map_err(super::answers::database)?;
    Ok(())
}
