//! Google's push (S8.10): a channel for each kind of event, renewed before it lapses. What comes
//! through is only a hint that people changed; the polling stays.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::Mac as _;
use uuid::Uuid;

use super::engine::Engine;
use super::import::ImportError;
use crate::connectors::google_directory::{OpenChannel, WatchedEvent};
use crate::connectors::{DirectoryError, GoogleDirectory};
use crate::secrets::keyed_hash;
use crate::store::push::{self, Channel, Opened};
use crate::store::{StoreError, connection};

/// Where Google posts, below the public address.
pub const PATH: &str = "/push/google";
/// After a refusal; sooner when it may pass by itself.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);
const TRY_SOON: TimeDelta = TimeDelta::minutes(5);
/// A channel is renewed when a quarter of its life is left, this much at least.
const MARGIN: TimeDelta = TimeDelta::minutes(5);
/// Without an answer for so long there will be none.
const ANSWER_LOST: TimeDelta = TimeDelta::minutes(10);

/// What is kept of a channel's token. Keyed by the channel, so that one fits no other.
fn mark(channel: Uuid, token: &str) -> hmac::Hmac<sha2::Sha256> {
    let mut key = [0; 32];
    key[..16].copy_from_slice(channel.as_bytes());
    keyed_hash(&key).chain_update(token.as_bytes())
}

/// Whether a token is the channel's own; takes the same time whatever is wrong with it.
pub fn is_token_of(channel: &Channel, token: &str) -> bool {
    mark(channel.id, token)
        .verify_slice(&channel.token_hash)
        .is_ok()
}

/// A channel that needs nothing yet.
fn is_good(channel: &Channel, event: WatchedEvent, address: &str, now: DateTime<Utc>) -> bool {
    channel.event == event.word()
        && !channel.replaced
        && channel.address == address
        && channel.renew_at.is_some_and(|at| at > now)
}

/// Replaced, lapsed, or never answered.
fn is_over(channel: &Channel, now: DateTime<Utc>) -> bool {
    match channel.expires_at {
        Some(at) => channel.replaced || at <= now,
        None => channel.replaced || channel.opened_at + ANSWER_LOST <= now,
    }
}

/// Whether [`keep`] has something to do.
pub async fn is_due(engine: &Engine) -> Result<bool, StoreError> {
    let now = engine.clock.now();
    let mut db = engine.connection().await?;
    let channels = push::channels(&mut db).await?;
    let Some(address) = engine.push_address() else {
        return Ok(!channels.is_empty());
    };
    if connection::read(&mut db).await?.is_none() {
        return Ok(false);
    }
    let state = push::state(&mut db, now).await?;
    if state.next_try_at.is_some_and(|at| at > now) {
        return Ok(false);
    }
    let complete = WatchedEvent::ALL
        .into_iter()
        .all(|event| channels.iter().any(|one| is_good(one, event, address, now)));
    Ok(!complete || channels.iter().any(|one| is_over(one, now)))
}

/// Opens what is missing, renews what lapses soon, and stops what was replaced.
pub async fn keep(engine: &Engine) -> Result<(), StoreError> {
    let directory = match engine.directory().await {
        Ok(directory) => directory,
        Err(ImportError::NotConnected) => return Ok(()),
        Err(ImportError::Store(error)) => return Err(error),
        Err(error) => return refused(engine, &error.to_string(), TRY_AGAIN).await,
    };
    match engine.push_address() {
        Some(address) => {
            if let Err(error) = open_missing(engine, &directory, address).await? {
                let pause = if error.class().may_pass() {
                    TRY_SOON
                } else {
                    TRY_AGAIN
                };
                refused(engine, &error.to_string(), pause).await?;
            } else {
                push::note(&mut *engine.connection().await?, None).await?;
            }
        }
        None => push::replace_all(&mut *engine.connection().await?).await?,
    }
    stop_old(engine, &directory).await
}

async fn refused(engine: &Engine, problem: &str, pause: TimeDelta) -> Result<(), StoreError> {
    tracing::warn!(
        problem,
        "Google opens no channel; the directory is read by schedule"
    );
    let next_try = engine.clock.now() + pause;
    push::note(&mut *engine.connection().await?, Some((problem, next_try))).await
}

/// The outer error is the database's, the inner one Google's.
async fn open_missing(
    engine: &Engine,
    directory: &GoogleDirectory,
    address: &str,
) -> Result<Result<(), DirectoryError>, StoreError> {
    let channels = push::channels(&mut *engine.connection().await?).await?;
    for event in WatchedEvent::ALL {
        let now = engine.clock.now();
        if channels.iter().any(|one| is_good(one, event, address, now)) {
            continue;
        }
        let id = Uuid::new_v4();
        let token = format!(
            "{:032x}{:032x}",
            rand::random::<u128>(),
            rand::random::<u128>()
        );
        let hash = mark(id, &token).finalize().into_bytes();
        let mut db = engine.connection().await?;
        push::begin(&mut db, id, event.word(), address, &hash, now).await?;
        drop(db);
        let wanted = OpenChannel {
            id: id.to_string(),
            address: address.to_owned(),
            token: token.into(),
        };
        match directory.watch(event, &wanted).await {
            Ok(channel) => {
                let life = (channel.expires_at - now).max(TimeDelta::zero());
                let margin = (life / 4).max(MARGIN).min(life / 2);
                let opened = Opened {
                    resource_id: channel.resource_id,
                    renew_at: channel.expires_at - margin,
                    expires_at: channel.expires_at,
                };
                let mut transaction = engine.pool.begin().await?;
                push::opened(&mut transaction, id, &opened).await?;
                transaction.commit().await?;
            }
            Err(error) => {
                push::forget(&mut *engine.connection().await?, id).await?;
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

/// A channel that could not be stopped lapses by itself, and until then nobody knows it here.
async fn stop_old(engine: &Engine, directory: &GoogleDirectory) -> Result<(), StoreError> {
    let now = engine.clock.now();
    let channels = push::channels(&mut *engine.connection().await?).await?;
    for channel in channels.iter().filter(|one| is_over(one, now)) {
        let lives = channel.expires_at.is_some_and(|at| at > now);
        if let Some(resource) = channel.resource_id.as_deref().filter(|_| lives)
            && let Err(error) = directory
                .stop_channel(&channel.id.to_string(), resource)
                .await
        {
            tracing::info!(channel = %channel.id, code = error.code(), "an old channel was not stopped");
        }
        push::forget(&mut *engine.connection().await?, channel.id).await?;
    }
    Ok(())
}
