//! Sessions in Postgres, and the cookie that names them.

use std::net::IpAddr;
use std::sync::Arc;

use app::api::ApiError;
use app::services::{Actor, Answer, SessionAccess, Stage};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool};
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result, SessionStore};
use tower_sessions::{Expiry, Session, SessionManagerLayer};

use super::Web;
use crate::clock::Clock;
use crate::services::session_views::{SignedIn, handle};
use crate::store::sessions::{self, StoredSession};
use crate::store::settings::{self, SessionLimits};

/// How long the second factor may take after the password.
const DOOR_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// How exactly it is known when a session was last used.
const SEEN_STEP: TimeDelta = TimeDelta::minutes(1);

/// The session's one value.
const SIGNED_IN: &str = "signed_in";

pub(super) fn layer(web: &Web, https: bool) -> SessionManagerLayer<PgSessions> {
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
        // The cookie may outlive its session, which ends where it is stored.
        .with_expiry(Expiry::OnInactivity(Duration::hours(
            (*SessionLimits::LONGEST_HOURS.end()).into(),
        )))
}

/// Who is signed in; a request without the cookie costs no look into the store.
pub(super) async fn signed_in(
    session: &Session,
    now: DateTime<Utc>,
) -> std::result::Result<Option<SignedIn>, tower_sessions::session::Error> {
    let found: Option<SignedIn> = session.get(SIGNED_IN).await?;
    Ok(found.filter(|one| one.stage == Stage::Inside || now - one.began_at < DOOR_LIFETIME))
}

/// The request's session as the console sees it.
pub(super) struct BrowserSession {
    pub session: Session,
    pub clock: Arc<dyn Clock>,
    pub address: Option<IpAddr>,
    /// As the browser calls itself.
    pub browser: Option<String>,
}

impl BrowserSession {
    async fn put(
        &self,
        signed_in: &SignedIn,
    ) -> std::result::Result<(), tower_sessions::session::Error> {
        self.session.cycle_id().await?;
        self.session.clear().await;
        self.session.insert(SIGNED_IN, signed_in).await
    }
}

#[async_trait]
impl SessionAccess for BrowserSession {
    async fn start(&self, actor: &Actor, stage: Stage) -> Answer<()> {
        let now = self.clock.now();
        let signed_in = SignedIn {
            administrator: actor.id,
            stage,
            began_at: now,
            confirmed_at: (stage == Stage::Inside).then_some(now),
            address: self.address,
            browser: self.browser.clone(),
        };
        self.put(&signed_in).await.map_err(|error| unsaved(&error))
    }

    async fn confirm(&self) -> Answer<()> {
        let confirmed = async {
            let found: Option<SignedIn> = self.session.get(SIGNED_IN).await?;
            let Some(mut signed_in) = found else {
                return Ok(false);
            };
            signed_in.stage = Stage::Inside;
            signed_in.confirmed_at = Some(self.clock.now());
            self.put(&signed_in).await?;
            Ok(true)
        };
        match confirmed.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApiError::new(app::api::ErrorCode::Unauthenticated)),
            Err(error) => Err(unsaved(&error)),
        }
    }

    async fn end(&self) -> Answer<()> {
        self.session.flush().await.map_err(|error| unsaved(&error))
    }

    fn handle(&self) -> Option<String> {
        self.session.id().map(|id| handle(&hash(id)))
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

    async fn limits(db: &mut PgConnection) -> Result<SessionLimits> {
        let limits = settings::get::<SessionLimits>(db).await;
        limits.map_err(|error| Error::Backend(error.to_string()))
    }
}

#[async_trait]
impl SessionStore for PgSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let mut db = self.connection().await?;
        let now = self.clock.now();
        let limits = Self::limits(&mut db).await?;
        sessions::prune(&mut db, now, now - limits.idle())
            .await
            .map_err(backend)?;
        let signed_in = signed_in_of(record);
        // A session that goes on under a new id has no longer life for it.
        let began = signed_in.as_ref().map_or(now, |one| one.began_at);
        let session = StoredSession {
            data: encode(record)?,
            created_at: began,
            last_seen_at: now,
            expires_at: began + limits.longest(),
        };
        let administrator = signed_in.map(|one| one.administrator);
        while !sessions::create(&mut db, &hash(record.id), administrator, &session)
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
        let administrator = signed_in_of(record).map(|one| one.administrator);
        // One that was revoked meanwhile stays revoked.
        sessions::save(&mut db, &hash(record.id), administrator, &data, now)
            .await
            .map_err(backend)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let mut db = self.connection().await?;
        let now = self.clock.now();
        let limits = Self::limits(&mut db).await?;
        let loaded = sessions::load(&mut db, &hash(*id), now, now - limits.idle()).await;
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

fn signed_in_of(record: &Record) -> Option<SignedIn> {
    serde_json::from_value(record.data.get(SIGNED_IN)?.clone()).ok()
}

fn hash(id: Id) -> [u8; 32] {
    Sha256::digest(id.0.to_le_bytes()).into()
}
