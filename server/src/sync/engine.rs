//! What a run works with: the database, the clock, the vault and the way out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use secrecy::ExposeSecret as _;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::import::ImportError;
use super::push;
use crate::clock::Clock;
use crate::connectors::TargetPolicy;
use crate::connectors::http::SetupError;
use crate::connectors::{
    ConnectionSettings, GoogleDirectory, Outgoing, RequestCounts, RequestTotals, ScimApp,
    ScimError, ServiceAccountKey,
};
use crate::installation::Installation;
use crate::secrets::Vault;
use crate::store::apps::AppId;
use crate::store::credentials::{self, Credential, CredentialError};
use crate::store::{StoreError, connection};

/// Cheap to clone; clones count requests together until [`Engine::counting_anew`].
#[derive(Debug, Clone)]
pub struct Engine {
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub vault: Vault,
    outgoing: Outgoing,
    /// Names this process as the holder of leases.
    owner: Arc<str>,
    /// Clients of apps are kept, so that their limits hold across runs.
    apps: Arc<Mutex<HashMap<AppId, KeptClient>>>,
    app_counts: Arc<OnceLock<AppCounts>>,
    shutdown: CancellationToken,
    /// Where Google can reach this installation, if it can.
    push_address: Option<Arc<str>>,
    /// Where browsers reach the console, for links in messages.
    public_origin: Option<Arc<str>>,
}

/// A client with its own counters: its limiter outlives runs, so counts are told apart by difference.
#[derive(Debug, Clone)]
struct KeptClient {
    fingerprint: u64,
    app: ScimApp,
    counts: RequestCounts,
}

/// The counters of the app that this run talks to, and where they stood when it began.
#[derive(Debug)]
struct AppCounts {
    counts: RequestCounts,
    before: RequestTotals,
}

impl Engine {
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>, vault: Vault, outgoing: Outgoing) -> Self {
        let owner = format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
        Self {
            pool,
            clock,
            vault,
            outgoing,
            owner: owner.into(),
            apps: Arc::default(),
            app_counts: Arc::default(),
            shutdown: CancellationToken::new(),
            push_address: None,
            public_origin: None,
        }
    }

    /// Lets Google notify this installation at its public address. Google only posts to https; an
    /// emulator on this machine does without, where such targets are allowed.
    #[must_use]
    pub fn reachable_at(mut self, public_url: &Url, allow_loopback: bool) -> Self {
        let is_loopback = match public_url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let origin = public_url.origin().ascii_serialization();
        self.public_origin = Some(origin.as_str().into());
        if public_url.scheme() == "https" || allow_loopback && is_loopback {
            self.push_address = Some(format!("{origin}{}", push::PATH).into());
        }
        self
    }

    /// Where browsers reach the console; `None` when nobody told.
    pub fn public_origin(&self) -> Option<&str> {
        self.public_origin.as_deref()
    }

    /// Where Google posts its notifications; `None` when nobody outside can reach this installation.
    pub fn push_address(&self) -> Option<&str> {
        self.push_address.as_deref()
    }

    /// The engine of an installation, allowed to reach what its settings allow.
    pub fn open(installation: &Installation) -> Result<Self, SetupError> {
        let allowed = installation.settings.allowed_targets;
        let policy = TargetPolicy {
            allow_loopback: allowed.loopback,
            allow_private: allowed.private,
        };
        Ok(Self::new(
            installation.pool.clone(),
            installation.clock.clone(),
            installation.vault.clone(),
            Outgoing::new(policy)?,
        ))
    }

    /// Runs end between two requests once this is cancelled, and are taken up again later.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    pub fn owner(&self) -> &str {
        &self.owner
    }

    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// The same engine with counters that start at zero, for one run.
    pub fn counting_anew(&self) -> Self {
        Self {
            outgoing: self.outgoing.clone().counting(RequestCounts::default()),
            app_counts: Arc::default(),
            ..self.clone()
        }
    }

    /// What was asked of the directory and of the run's app since the counters began.
    pub fn requests(&self) -> RequestTotals {
        let mut totals = self.outgoing.counts().totals();
        if let Some(app) = self.app_counts.get() {
            let now = app.counts.totals();
            totals.scim_reads += now.scim_reads - app.before.scim_reads;
            totals.scim_writes += now.scim_writes - app.before.scim_writes;
        }
        totals
    }

    pub async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.pool.acquire().await?)
    }

    /// The client of the connected directory.
    pub async fn directory(&self) -> Result<GoogleDirectory, ImportError> {
        let mut db = self.connection().await?;
        let saved = connection::read(&mut db)
            .await?
            .ok_or(ImportError::NotConnected)?;
        let key = credentials::get(&mut db, &self.vault, Credential::DirectoryKey)
            .await
            .map_err(|error| ImportError::Setup(error.to_string()))?
            .ok_or(ImportError::NotConnected)?;
        drop(db);
        let key = ServiceAccountKey::parse(key.expose_secret())
            .map_err(|problem| ImportError::Setup(problem.to_string()))?;
        let endpoint = Url::parse(&saved.endpoint).map_err(|cause| {
            ImportError::Setup(format!(
                "The directory's endpoint {} is not an address: {cause}.",
                saved.endpoint
            ))
        })?;
        let settings = ConnectionSettings {
            endpoint,
            admin_email: saved.admin_email,
            customer: saved.customer,
            key,
        };
        Ok(GoogleDirectory::new(
            settings,
            self.outgoing.clone(),
            self.clock.clone(),
        )?)
    }

    /// The token of an app, if one is stored.
    pub async fn token(
        &self,
        app: AppId,
    ) -> Result<Option<secrecy::SecretString>, CredentialError> {
        let mut db = self.pool.acquire().await?;
        credentials::get(&mut db, &self.vault, Credential::AppToken(app.0)).await
    }

    /// The client of an app, kept between runs so that its pace stays; made anew when its
    /// settings (which `fingerprint` stands for) changed.
    pub(super) fn client(
        &self,
        app: AppId,
        fingerprint: u64,
        make: impl FnOnce(Outgoing) -> Result<ScimApp, ScimError>,
    ) -> Result<ScimApp, ScimError> {
        let mut kept = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match kept.get(&app) {
            Some(client) if client.fingerprint == fingerprint => client.clone(),
            _ => {
                let counts = RequestCounts::default();
                let made = make(self.outgoing.clone().counting(counts.clone()))?;
                let client = KeptClient {
                    fingerprint,
                    app: made,
                    counts,
                };
                kept.insert(app, client.clone());
                client
            }
        };
        let before = client.counts.totals();
        // A run talks to one app; whoever asked first has counted from there.
        let _ = self.app_counts.set(AppCounts {
            counts: client.counts,
            before,
        });
        Ok(client.app)
    }
}
