//! Seals the audit log, and proves it (S10.4).
//!
//! A seal is HMAC-SHA-256, under a key derived from the secret key, over the previous seal and the
//! event's canonical JSON (keys sorted). Whoever changes, drops or adds a row without the key
//! breaks the chain from there on. The head says under the same key where the chain ends, so that
//! a tail which is cut off is missed; checkpoints of it in a file outside the database also betray
//! a database that was put back to an earlier state.
//!
//! When the secret key is rotated, the chain goes on in a new segment under the new key. Its first
//! seal covers the last one of the old key, so that whoever gets hold of the old key can't rewrite
//! what was sealed with it. Pruning leaves a record of where it cut, authenticated like the head.

mod chain;
mod checkpoints;
mod prune;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::secrets::{KeyId, Keyring, Vault, VaultError};
use crate::store::settings::{self, BrokenLog};
use crate::store::{StoreError, seals};

pub use checkpoints::CheckpointError;
pub use prune::{LEAST_RETENTION, Pruned};
pub use verify::{Break, Proof};

const BATCH: i64 = 2000;
/// How long an event waits for its seal at the most while a process runs.
const SEAL_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether a month is old enough to go.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the audit log is not as it was sealed: {0}")]
    Broken(Break),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "the audit log is sealed with secret key {sealed_with}, and this process has {have}: give it both keys and run rollcall secrets rotate, or give it the right one"
    )]
    OtherKey { sealed_with: KeyId, have: KeyId },
    #[error(
        "the key of the audit log from event {from_event} on is missing: add the old secret key {key} to the keys of this process"
    )]
    KeyMissing { key: KeyId, from_event: i64 },
    #[error(transparent)]
    Vault(VaultError),
}

/// The log's seals: what they are made with, and where its head is noted outside the database.
#[derive(Clone)]
pub struct Seals {
    pool: PgPool,
    keys: Keyring,
    vault: Vault,
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
        keys: impl Into<Keyring>,
        clock: Arc<dyn Clock>,
        checkpoints: Option<PathBuf>,
    ) -> Self {
        let keys = keys.into();
        Self {
            pool,
            vault: Vault::new(&keys),
            keys,
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
        if !seals::any_unsealed(&mut transaction).await? {
            return Ok(0);
        }
        seals::lock_seals(&mut transaction).await?;
        let head = seals::head(&mut transaction).await?;
        let last = seals::last_seal(&mut transaction).await?;
        let chain = self.chain(&mut transaction, head.as_ref()).await?;
        let head = chain.end(head, last).map_err(SealError::Broken)?;
        let (mut previous, before) = head.map_or((Vec::new(), 0), |head| (head.hash, head.events));
        let batch = seals::unsealed(&mut transaction, BATCH).await?;
        let Some(newest) = batch.last().map(|event| event.id) else {
            return Ok(0);
        };
        if !chain.is_stored {
            let (from, key) = (chain.first_event(), chain.key_id());
            seals::begin_segment(&mut transaction, from, key).await?;
        }
        let mut made = Vec::with_capacity(batch.len());
        for event in &batch {
            previous = chain.seal(&previous, event);
            made.push((event.id, previous.clone()));
        }
        seals::add_seals(&mut transaction, &made).await?;
        let sealed = made.len() as u64;
        let events = before + i64::try_from(sealed).unwrap_or(i64::MAX);
        let head = chain.head(newest, previous, events, self.clock.now());
        seals::set_head(&mut transaction, &head).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        if let Some(file) = &self.checkpoints {
            checkpoints::add(file, &head).await?;
        }
        Ok(sealed)
    }

    /// Seals again and again until the process ends, and now and then prunes by the setting.
    pub async fn keep(self, stop: CancellationToken) {
        let mut prune_at = Instant::now();
        let mut told = None;
        loop {
            let sealed = self.seal().await;
            if let Err(error) = &sealed {
                tracing::error!(%error, "the audit log could not be sealed");
            }
            self.tell_of_break(&sealed, &mut told).await;
            if Instant::now() >= prune_at {
                prune_at = Instant::now() + PRUNE_EVERY;
                match self.prune_by_setting().await {
                    Ok(None) => {}
                    Ok(Some(Pruned { events, months })) => {
                        tracing::info!(events, ?months, "the audit log was pruned");
                    }
                    Err(error) => tracing::error!(%error, "the audit log could not be pruned"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SEAL_EVERY) => {}
            }
        }
    }
}

impl Seals {
    /// A log that is broken needs somebody, who is told by the notifications.
    async fn tell_of_break(&self, sealed: &Result<u64, SealError>, told: &mut Option<BrokenLog>) {
        let found = match sealed {
            Ok(_) => BrokenLog(None),
            Err(SealError::Broken(broken)) => BrokenLog(Some(broken.to_string())),
            Err(_) => return,
        };
        if told.as_ref() == Some(&found) {
            return;
        }
        let kept = async {
            let mut db = self.pool.acquire().await.map_err(StoreError::from)?;
            if settings::get::<BrokenLog>(&mut db).await? != found {
                settings::put(&mut db, &found, self.clock.now(), "Rollcall").await?;
            }
            Ok::<(), StoreError>(())
        };
        match kept.await {
            Ok(()) => *told = Some(found),
            Err(error) => tracing::warn!(%error, "how the audit log stands could not be noted"),
        }
    }
}
