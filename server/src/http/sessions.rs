//! Sessions in Postgres, and the cookie that names them.

use std::sync::Arc;

use app::api::ApiError;
use app::services::{Actor, Answer, SessionAccess};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result, SessionStore};
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use uuid::Uuid;

use super::Web;
use crate::clock::Clock;
use crate::store::sessions::{self, StoredSession};

/// A session nobody used for so long is over.
pub const IDLE_LIFETIME: TimeDelta = TimeDelta::hours(8);
/// A session is over after so long in any case.
pub const ABSOLUTE_LIFETIME: TimeDelta = TimeDelta::days(7);
/// How exactly it is known when a session was last used.
const SEEN_STEP: TimeDelta = TimeDelta::minutes(1);

/// The session's one value: who is signed in.
const ADMINISTRATOR: &str = "administrator";

pub(super) fn layer(web: &Web) -> SessionManagerLayer<PgSessions> {
    let https = web
        .public_url
        .as_ref()
        .is_some_and(|url| url.scheme() == "https");
    let store = PgSessions {
        pool: web.pool.clone(),
        clock: web.clock.clone(),
    };
    SessionManagerLayer::new(store)
        .with_name(if https { "__Host-rollcall" } else { "rollcall" })
        .with_secure(https)
        .with_http_only(true)
        // Lax: a link in a chat or a mail leads into the console; what changes something is a POST.
        .with_same_site(SameSite::Lax)
        .with_expiry(Expiry::OnInactivity(Duration::seconds(
            ABSOLUTE_LIFETIME.num_seconds(),
        )))
}

/// Who is signed in; a request without the cookie costs no look into the store.
pub(super) async fn administrator(
    session: &Session,
) -> std::result::Result<Option<Uuid>, tower_sessions::session::Error> {
    session.get(ADMINISTRATOR).await
}

/// The request's session as the console sees it.
pub(super) struct BrowserSession(pub Session);

#[async_trait]
impl SessionAccess for BrowserSession {
    async fn start(&self, actor: &Actor) -> Answer<()> {
        let started = async {
            self.0.cycle_id().await?;
            self.0.clear().await;
            self.0.insert(ADMINISTRATOR, actor.id).await
        };
        started.await.map_err(|error| unsaved(&error))
    }

    async fn end(&self) -> Answer<()> {
        self.0.flush().await.map_err(|error| unsaved(&error))
    }
}

fn unsaved(error: &tower_sessions::session::Error) -> ApiError {
    tracing::error!(%error, "a session could not be stored");
    ApiError::internal()
}

/// Keeps sessions in the table of that name, and ends them by our clock.
#[derive(Clone, Debug)]
pub(super) struct PgSessions {
    pool: PgPool,
    clock: Arc<dyn Clock>,
}

impl PgSessions {
    async fn connection(&self) -> Result<PoolConnection<sqlx::Postgres>> {
        self.pool.acquire().await.map_err(backend)
    }

    fn idle_since(now: DateTime<Utc>) -> DateTime<Utc> {
        now - IDLE_LIFETIME
    }
}

#[async_trait]
impl SessionStore for PgSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let mut db = self.connection().await?;
        let now = self.clock.now();
        sessions::prune(&mut db, now, Self::idle_since(now))
            .await
            .map_err(backend)?;
        let session = StoredSession {
            data: encode(record)?,
            created_at: now,
            last_seen_at: now,
            expires_at: now + ABSOLUTE_LIFETIME,
        };
        while !sessions::create(&mut db, &hash(record.id), who(record), &session)
            .await
            .map_err(backend)?
        {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let mut db = self.connection().await?;
        let data = encode(record)?;
        let now = self.clock.now();
        // One that was revoked meanwhile stays revoked.
        sessions::save(&mut db, &hash(record.id), who(record), &data, now)
            .await
            .map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let mut db = self.connection().await?;
        let now = self.clock.now();
        let loaded = sessions::load(&mut db, &hash(*id), now, Self::idle_since(now)).await;
        let Some(session) = loaded.map_err(backend)? else {
            return Ok(None);
        };
        if now - session.last_seen_at >= SEEN_STEP {
            sessions::seen(&mut db, &hash(*id), now)
                .await
                .map_err(backend)?;
        }
        let data = serde_json::from_value(session.data);
        let expiry_date = tower_sessions::cookie::time::OffsetDateTime::from_unix_timestamp(
            session.expires_at.timestamp(),
        );
        Ok(Some(Record {
            id: *id,
            data: data.map_err(|error| Error::Decode(error.to_string()))?,
            expiry_date: expiry_date.map_err(|error| Error::Decode(error.to_string()))?,
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let mut db = self.connection().await?;
        sessions::delete(&mut db, &hash(*id)).await.map_err(backend)
    }
}

fn backend(error: sqlx::Error) -> Error {
    Error::Backend(error.to_string())
}

fn encode(record: &Record) -> Result<Value> {
    serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))
}

fn who(record: &Record) -> Option<Uuid> {
    record.data.get(ADMINISTRATOR)?.as_str()?.parse().ok()
}

fn hash(id: Id) -> [u8; 32] {
    Sha256::digest(id.0.to_le_bytes()).into()
}
