//! Seals the audit log, and proves it (S10.4).
//!
//! A seal is HMAC-SHA-256, under a key derived from the secret key, over the previous seal and the
//! event's canonical JSON (keys sorted). Whoever changes, drops or adds a row without the key
//! breaks the chain from there on. The head says under the same key where the chain ends, so that
//! a tail which is cut off is missed; checkpoints of it in a file outside the database also betray
//! a database that was put back to an earlier state.

mod checkpoints;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::secrets::{Purpose, SecretKey, keyed_hash};
use crate::store::StoreError;
use crate::store::events::{self, EventRow, Head};

pub use checkpoints::CheckpointError;
pub use verify::{Break, Proof};

const BATCH: i64 = 2000;
/// How long an event waits for its seal at the most while a process runs.
const SEAL_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the audit log is not as it was sealed: {0}")]
    Broken(Break),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The log's seals: what they are made with, and where its head is noted outside the database.
#[derive(Clone)]
pub struct Seals {
    pool: PgPool,
    key: Zeroizing<[u8; 32]>,
    clock: Arc<dyn Clock>,
    checkpoints: Option<PathBuf>,
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals").finish_non_exhaustive()
    }
}

impl Seals {
    /// `checkpoints`: a file that the head is added to whenever it moves.
    pub fn new(
        pool: PgPool,
        key: &SecretKey,
        clock: Arc<dyn Clock>,
        checkpoints: Option<PathBuf>,
    ) -> Self {
        Self {
            pool,
            key: key.derive(Purpose::Audit),
            clock,
            checkpoints,
        }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Seals everything that is committed, and notes the head. A log that does not end as it was
    /// sealed is not sealed further: that would hide what is missing.
    pub async fn seal(&self) -> Result<u64, SealError> {
        let mut sealed = 0;
        loop {
            let batch = self.seal_batch().await?;
            sealed += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(sealed);
            }
        }
    }

    async fn seal_batch(&self) -> Result<u64, SealError> {
        let mut transaction = self.pool.begin().await.map_err(StoreError::from)?;
        // Most of the time nothing is new: then nobody has to wait for a lock.
        if !events::any_unsealed(&mut transaction).await? {
            return Ok(0);
        }
        events::lock_seals(&mut transaction).await?;
        let head = events::head(&mut transaction).await?;
        let last = events::last_seal(&mut transaction).await?;
        let head = self.end_of_chain(head, last).map_err(SealError::Broken)?;
        let (mut previous, before) = head.map_or((Vec::new(), 0), |head| (head.hash, head.events));
        let batch = events::unsealed(&mut transaction, BATCH).await?;
        let Some(newest) = batch.last().map(|event| event.id) else {
            return Ok(0);
        };
        let mut seals = Vec::with_capacity(batch.len());
        for event in &batch {
            previous = self.hash(&previous, event);
            seals.push((event.id, previous.clone()));
        }
        events::add_seals(&mut transaction, &seals).await?;
        let sealed = seals.len() as u64;
        let events = before + i64::try_from(sealed).unwrap_or(i64::MAX);
        let head = self.head(newest, previous, events, self.clock.now());
        events::set_head(&mut transaction, &head).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        if let Some(file) = &self.checkpoints {
            checkpoints::add(file, &head).await?;
        }
        Ok(sealed)
    }

    /// The head, once it is authentic and is the last seal.
    fn end_of_chain(
        &self,
        head: Option<Head>,
        last: Option<(i64, Vec<u8>)>,
    ) -> Result<Option<Head>, Break> {
        let (head, last) = match (head, last) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(Break::HeadMissing),
            (Some(head), _) if !self.is_authentic(&head) => return Err(Break::HeadForged),
            (Some(head), None) => {
                return Err(Break::TailMissing {
                    expected: head.event_id,
                    found: None,
                });
            }
            (Some(head), Some(last)) => (head, last),
        };
        if last.0 < head.event_id {
            return Err(Break::TailMissing {
                expected: head.event_id,
                found: Some(last.0),
            });
        }
        if last.0 > head.event_id || last.1 != head.hash {
            return Err(Break::SealForged { event: last.0 });
        }
        Ok(Some(head))
    }

    fn head(&self, event_id: i64, hash: Vec<u8>, events: i64, at: DateTime<Utc>) -> Head {
        // As precise as the database keeps it.
        let sealed_at = DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at);
        let mac = self.authenticator(event_id, &hash, events, sealed_at);
        let mac = mac.finalize().into_bytes().to_vec();
        Head {
            event_id,
            hash,
            events,
            sealed_at,
            mac,
        }
    }

    fn authenticator(
        &self,
        event: i64,
        hash: &[u8],
        events: i64,
        at: DateTime<Utc>,
    ) -> Hmac<Sha256> {
        let mut mac = keyed_hash(&self.key);
        // A seal begins with the length of the one before it, which is never this.
        mac.update(&u64::MAX.to_be_bytes());
        for number in [event, events, at.timestamp_micros()] {
            mac.update(&number.to_be_bytes());
        }
        mac.update(hash);
        mac
    }

    fn is_authentic(&self, head: &Head) -> bool {
        self.authenticator(head.event_id, &head.hash, head.events, head.sealed_at)
            .verify_slice(&head.mac)
            .is_ok()
    }

    /// The seal of an event after the seal before it.
    fn hash(&self, previous: &[u8], event: &EventRow) -> Vec<u8> {
        let mut mac = keyed_hash(&self.key);
        mac.update(&(previous.len() as u64).to_be_bytes());
        mac.update(previous);
        mac.update(canonical(event).to_string().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// Seals again and again until the process ends.
    pub async fn keep(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.seal().await {
                tracing::error!(%error, "the audit log could not be sealed");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SEAL_EVERY) => {}
            }
        }
    }
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
