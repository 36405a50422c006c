//! One installation of Rollcall as this process sees it: its settings, database, key and clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::audit::Seals;
use crate::clock::{Clock, SystemClock};
use crate::connectors::http::SetupError;
use crate::connectors::{Outgoing, TargetPolicy};
use crate::jobs::{self, JobError};
use crate::postgres::{Cluster, ClusterError, Durability};
use crate::secrets::{Keyring, KeyringError, Vault};
use crate::settings::{DATABASE_URL, MIGRATE_URL, SECRET_KEY, SECRET_KEY_FILE, Settings};
use crate::store::schema::{self, Standing};
use crate::sync::Engine;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const MOST_CONNECTIONS: u32 = 20;

#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    SecretKey(#[from] KeyringError),
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
    Migration(#[from] MigrateError),
    #[error("the database could not be brought up to date: {0}")]
    Jobs(#[from] JobError),
    #[error(
        "the database has migration {found} of a newer Rollcall, this program knows them up to {known}: start the newer version"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "{missing} migrations are missing, and the role of {DATABASE_URL} may not add them: run rollcall migrate with the owner of the tables in {MIGRATE_URL}"
    )]
    NotTheOwner { missing: usize },
    #[error("the role of {MIGRATE_URL} could not grant what the role of {DATABASE_URL} needs: {0}")]
    Grants(sqlx::Error),
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Outgoing(#[from] SetupError),
}

/// Everything that a command works with. Leave it with [`Installation::close`].
#[derive(Debug)]
pub struct Installation {
    pub settings: Settings,
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub keys: Keyring,
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
        let applied = installation.migrate().await?;
        Ok((installation, applied))
    }

    async fn migrate(&self) -> Result<usize, InstallationError> {
        let standing = {
            let mut db = self.pool.acquire().await?;
            schema::standing(&mut db).await?
        };
        let missing = match standing {
            Standing::Newer { found, known } => {
                return Err(InstallationError::Newer { found, known });
            }
            Standing::Behind { missing } => missing,
            Standing::Current => 0,
        };
        let Some(url) = &self.settings.migrate_url else {
            return migrate(&self.pool, missing).await;
        };
        let owner = connect(MIGRATE_URL, parse(MIGRATE_URL, url)?, 2).await?;
        let done = async {
            let applied = migrate(&owner, missing).await?;
            let process = schema::role_name(&mut *self.pool.acquire().await?).await?;
            schema::grant(&owner, &process)
                .await
                .map_err(InstallationError::Grants)?;
            Ok(applied)
        };
        let done = done.await;
        owner.close().await;
        done
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
        let keys = match (&settings.secret_keys, &cluster) {
            (Some(keys), _) => keys.clone(),
            (None, Some(_)) => Keyring::load_or_create(&settings.data_dir.join("secret-key"))?,
            (None, None) => return Err(InstallationError::NoSecretKey),
        };
        let keys = keys.with_older(settings.old_secret_keys.iter().cloned());
        let pool = connect(DATABASE_URL, options, MOST_CONNECTIONS).await?;
        let vault = Vault::new(&keys);
        let clock = Arc::new(SystemClock);
        Ok(Self {
            settings,
            pool,
            clock,
            keys,
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
            &self.keys,
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

/// A role that owns nothing can't migrate, and need not when nothing is missing.
async fn migrate(pool: &PgPool, missing: usize) -> Result<usize, InstallationError> {
    let refused = |error: InstallationError| match &error {
        InstallationError::Migration(MigrateError::Execute(cause)) if is_refused(cause) => {
            InstallationError::NotTheOwner { missing }
        }
        _ => error,
    };
    let applied = match missing {
        0 => 0,
        _ => schema::migrate(pool)
            .await
            .map_err(|error| refused(error.into()))?,
    };
    jobs::migrate(pool).await?;
    Ok(applied)
}

fn is_refused(error: &sqlx::Error) -> bool {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE))
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
