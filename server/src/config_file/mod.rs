//! The configuration file (S12.4): applied as a whole or not at all, compared, and written out.
//!
//! Applying and comparing are one and the same: a comparison is an application that is rolled
//! back, so what it prints is exactly what applying would do.

mod apply;
mod check;
mod export;
mod material;

use std::io;
use std::path::{Path, PathBuf};

use provisioning::config::file::{ConfigFile, FileProblem};

use crate::store::StoreError;
use crate::store::credentials::CredentialError;
use crate::sync::Engine;

pub use export::export;

/// A configuration is a few kilobytes; this is room for thousands of apps.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What is asked for, besides the file.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Ask directory and apps whether they accept what the file says, before anything is changed.
    pub check: bool,
    /// Delete the configuration of apps that the file does not name.
    pub prune: bool,
    /// Reads an environment variable.
    pub variable: fn(&str) -> Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            check: false,
            prune: false,
            variable: |name| std::env::var(name).ok(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("can't read the configuration file {}: {cause}", .path.display())]
    File { path: PathBuf, cause: String },
    /// Everything that is wrong with the file; nothing was changed.
    #[error("the configuration file {} is not valid: {}", .path.display(), lines(.problems).join("; "))]
    Invalid {
        path: PathBuf,
        problems: Vec<FileProblem>,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("can't write what changed: {0}")]
    Output(#[from] io::Error),
}

impl From<sqlx::Error> for ConfigFileError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

fn lines(problems: &[FileProblem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

impl ConfigFileError {
    /// One line for each thing that is wrong, for stderr.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Invalid { problems, .. } => lines(problems),
            other => vec![other.to_string()],
        }
    }

    /// 2 when the file is to blame, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Invalid { .. } => 2,
            Self::Store(_) | Self::Credential(_) | Self::Output(_) => 1,
        }
    }
}

/// Applies the file as `actor` and writes a line for each change. True when there was any.
pub async fn apply(
    engine: &Engine,
    path: &Path,
    options: Options,
    actor: &str,
    out: &mut (dyn io::Write + Send),
) -> Result<bool, ConfigFileError> {
    run(engine, path, options, actor, true, out).await
}

/// Writes what applying the file would change. True when there is anything.
pub async fn diff(
    engine: &Engine,
    path: &Path,
    options: Options,
    out: &mut (dyn io::Write + Send),
) -> Result<bool, ConfigFileError> {
    run(
        engine,
        path,
        Options {
            check: false,
            ..options
        },
        "rollcall config diff",
        false,
        out,
    )
    .await
}

async fn run(
    engine: &Engine,
    path: &Path,
    options: Options,
    actor: &str,
    keep: bool,
    out: &mut (dyn io::Write + Send),
) -> Result<bool, ConfigFileError> {
    let invalid = |problems| ConfigFileError::Invalid {
        path: path.to_owned(),
        problems,
    };
    let text = material::text(path, MOST_BYTES).map_err(|cause| ConfigFileError::File {
        path: path.to_owned(),
        cause,
    })?;
    let file = match ConfigFile::parse(&text) {
        Ok(file) => file,
        Err(mut problems) => {
            problems.extend(material::pointed_at(engine, path, &text, options.variable));
            return Err(invalid(problems));
        }
    };
    let wanted = material::gather(engine, path, file, options.variable).map_err(invalid)?;

    let mut transaction = engine.pool.begin().await?;
    let (wanted, problems) = check::against_stored(engine, &mut transaction, wanted).await?;
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    let wanted = if options.check {
        // No transaction is held while somebody else is asked.
        drop(transaction);
        let wanted = check::over_the_network(engine, wanted)
            .await
            .map_err(invalid)?;
        transaction = engine.pool.begin().await?;
        wanted
    } else {
        wanted
    };
    let by = crate::configuration::By {
        actor,
        now: engine.clock.now(),
    };
    let told = apply::everything(engine, &mut transaction, &wanted, options.prune, by).await?;
    if keep {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    for line in &told.changes {
        writeln!(out, "{line}")?;
    }
    for line in &told.remarks {
        writeln!(out, "{line}")?;
    }
    if told.changes.is_empty() {
        writeln!(out, "Nothing differs from the file.")?;
    }
    Ok(!told.changes.is_empty())
}
