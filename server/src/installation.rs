//! One installation of Rollcall as this process sees it: its settings, database, key and clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::audit::Seals;
use crate::clock::{Clock, SystemClock};
use crate::connectors::http::SetupError;
use crate::connectors::{Outgoing, TargetPolicy};
use crate::jobs::{self, JobError};
use crate::postgres::{Cluster, ClusterError, Durability};
use crate::secrets::{SecretKey, SecretKeyError, Vault};
use crate::settings::{DATABASE_URL, MIGRATE_URL, SECRET_KEY, SECRET_KEY_FILE, Settings};
use crate::store::schema;
use crate::sync::Engine;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const MOST_CONNECTIONS: u32 = 20;

#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    #[error(
        "{SECRET_KEY} is not set: with {DATABASE_URL}, give the key that encrypts secrets in {SECRET_KEY} or {SECRET_KEY_FILE} (openssl rand -base64 32)"
    )]
    NoSecretKey,
    #[error("{variable} can't be used: {cause}")]
    Unreachable {
        variable: &'static str,
        cause: String,
    },
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the database could not be brought up to date: {0}")]
    Jobs(#[from] JobError),
    #[error(transparent)]
    Outgoing(#[from] SetupError),
}

/// Everything that a command works with. Leave it with [`Installation::close`].
#[derive(Debug)]
pub struct Installation {
    pub settings: Settings,
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub secret_key: SecretKey,
    pub vault: Vault,
    cluster: Option<Cluster>,
}

impl Installation {
    /// Opens the database, starting the embedded cluster when none is named, and migrates it.
    pub async fn open(settings: Settings) -> Result<Self, InstallationError> {
        let (installation, applied) = Self::open_and_migrate(settings).await?;
        if applied > 0 {
            tracing::info!(applied, "the database was brought up to date");
        }
        Ok(installation)
    }

    /// As [`Installation::open`]; says how many migrations were applied.
    pub async fn open_and_migrate(settings: Settings) -> Result<(Self, usize), InstallationError> {
        let installation = Self::reach(settings).await?;
        let applied = match &installation.settings.migrate_url {
            Some(url) => {
                let owner = connect(MIGRATE_URL, parse(MIGRATE_URL, url)?, 1).await?;
                let applied = migrate(&owner).await;
                owner.close().await;
                applied?
            }
            None => migrate(&installation.pool).await?,
        };
        Ok((installation, applied))
    }

    /// Opens the database as it is, whatever its schema.
    pub async fn reach(settings: Settings) -> Result<Self, InstallationError> {
        let (cluster, options) = match &settings.database_url {
            Some(url) => (None, parse(DATABASE_URL, url)?),
            None => {
                let bin = settings.postgres_bin.as_deref();
                let cluster = Cluster::join(&settings.data_dir, bin, Durability::Durable).await?;
                let options = cluster.options();
                (Some(cluster), options)
            }
        };
        let secret_key = match (&settings.secret_key, &cluster) {
            (Some(key), _) => key.clone(),
            (None, Some(_)) => SecretKey::load_or_create(&settings.data_dir.join("secret-key"))?,
            (None, None) => return Err(InstallationError::NoSecretKey),
        };
        let pool = connect(DATABASE_URL, options, MOST_CONNECTIONS).await?;
        let vault = Vault::new(&secret_key);
        let clock = Arc::new(SystemClock);
        Ok(Self {
            settings,
            pool,
            clock,
            secret_key,
            vault,
            cluster,
        })
    }

    /// Where this installation keeps what is not in the database.
    pub fn data_dir(&self) -> &PathBuf {
        &self.settings.data_dir
    }

    /// What seals the audit log, and proves it.
    pub fn seals(&self) -> Seals {
        let checkpoints = self.settings.audit_checkpoints.clone();
        Seals::new(
            self.pool.clone(),
            &self.secret_key,
            self.clock.clone(),
            checkpoints,
        )
    }

    /// What runs and the console work with.
    pub fn engine(&self) -> Result<Engine, InstallationError> {
        let policy = TargetPolicy {
            allow_loopback: self.settings.allowed_targets.loopback,
            allow_private: self.settings.allowed_targets.private,
        };
        let outgoing = Outgoing::new(policy)?;
        let engine = Engine::new(
            self.pool.clone(),
            self.clock.clone(),
            self.vault.clone(),
            outgoing,
        );
        Ok(match &self.settings.public_url {
            Some(url) => engine.reachable_at(url, policy.allow_loopback),
            None => engine,
        })
    }

    /// Closes the connections and leaves the embedded cluster; nothing was changed.
    pub async fn leave(self) {
        self.pool.close().await;
        if let Some(cluster) = self.cluster {
            cluster.leave().await;
        }
    }

    /// Seals what was recorded, closes the connections and leaves the embedded cluster.
    pub async fn close(self) {
        if let Err(error) = self.seals().seal().await {
            tracing::error!(%error, "the audit log could not be sealed");
        }
        self.leave().await;
    }
}

async fn migrate(pool: &PgPool) -> Result<usize, InstallationError> {
    let applied = schema::migrate(pool).await?;
    jobs::migrate(pool).await?;
    Ok(applied)
}

fn parse(
    variable: &'static str,
    url: &SecretString,
) -> Result<PgConnectOptions, InstallationError> {
    let options: Result<PgConnectOptions, sqlx::Error> = url.expose_secret().parse();
    let options = options.map_err(|error| InstallationError::Unreachable {
        variable,
        cause: error.to_string(),
    })?;
    Ok(options.application_name("rollcall"))
}

async fn connect(
    variable: &'static str,
    options: PgConnectOptions,
    most: u32,
) -> Result<PgPool, InstallationError> {
    let unreachable = |cause: String| InstallationError::Unreachable { variable, cause };
    // A pool keeps trying and in the end knows only that time is up; one connection knows why.
    let first = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect_with(&options));
    let first = first
        .await
        .map_err(|_| unreachable("the server does not answer".to_owned()))?;
    let closed = first
        .map_err(|error| unreachable(error.to_string()))?
        .close()
        .await;
    closed.map_err(|error| unreachable(error.to_string()))?;
    let pool = PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(CONNECT_LIMIT);
    Ok(pool.connect_lazy_with(options))
}
