//! Seals the audit log: every event's hash covers the one before it (S10.4).
//!
//! A seal is HMAC-SHA-256, under a key derived from the secret key, over the previous seal and the
//! event's canonical JSON (keys sorted). Whoever changes, drops or adds a row without the key
//! breaks the chain from there on.

use hmac::Mac as _;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::secrets::{Purpose, SecretKey, keyed_hash};
use crate::store::Result;
use crate::store::events::{self, EventRow};

const BATCH: i64 = 2000;

/// Seals everything that is committed; called before each export.
pub async fn seal(pool: &PgPool, key: &SecretKey) -> Result<u64> {
    let key = key.derive(Purpose::Audit);
    let mut sealed = 0;
    loop {
        let mut transaction = pool.begin().await?;
        events::lock_seals(&mut transaction).await?;
        let mut previous = events::last_seal(&mut transaction)
            .await?
            .map_or_else(Vec::new, |(_, hash)| hash);
        let batch = events::unsealed(&mut transaction, BATCH).await?;
        let mut seals = Vec::with_capacity(batch.len());
        for event in &batch {
            previous = hash(&key, &previous, event);
            seals.push((event.id, previous.clone()));
        }
        events::add_seals(&mut transaction, &seals).await?;
        transaction.commit().await?;
        sealed += seals.len() as u64;
        if (seals.len() as i64) < BATCH {
            return Ok(sealed);
        }
    }
}

/// The seal of an event after the seal before it.
pub fn hash(key: &[u8; 32], previous: &[u8], event: &EventRow) -> Vec<u8> {
    let mut mac = keyed_hash(key);
    mac.update(&(previous.len() as u64).to_be_bytes());
    mac.update(previous);
    mac.update(canonical(event).to_string().as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The event as it is sealed. `serde_json` sorts the keys of its maps.
fn canonical(event: &EventRow) -> Value {
    json!({
        "id": event.id,
        "time": event.time.timestamp_micros(),
        "event": event.event,
        "outcome": event.outcome,
        "actor": event.actor,
        "app": event.app,
        "person_id": event.person_id,
        "person_email": event.person_email,
        "account_id": event.account_id,
        "run_id": event.run_id,
        "reason": event.reason,
        "changes": event.changes,
        "error": event.error,
        "detail": event.detail,
    })
}
