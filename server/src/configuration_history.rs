//! Versions of an app's configuration: what changed between two, and putting one back (S9.5). The
//! console and the shell do it in the same way.

use provisioning::config::{AppConfig, Change, diff};
use provisioning::problem::Problem;
use sqlx::PgConnection;

use crate::configuration::{self, By};
use crate::store::apps::{self, App, ConfigVersion};
use crate::store::{Result, StoreError, decode};
use crate::sync::inputs;

/// A version that can be looked at and put back.
#[derive(Debug)]
pub struct Earlier {
    pub version: ConfigVersion,
    /// What is in force.
    pub current: AppConfig,
    /// What would be, with every id that was found since.
    pub restored: AppConfig,
    /// From what is in force to what would be.
    pub changes: Vec<Change>,
    /// Why it can't be put back.
    pub problems: Vec<Problem>,
    /// From groups to none.
    pub opens_to_everybody: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("there is no such version")]
    NoSuchVersion,
    #[error("the configuration was changed meanwhile")]
    ChangedMeanwhile,
    #[error("it can't be put back: {}", .0.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))]
    NotValid(Vec<Problem>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub fn configuration_of(version: &ConfigVersion) -> Result<AppConfig> {
    decode(
        version.config.clone(),
        "app_configs",
        "config",
        version.version,
    )
}

/// An earlier version beside what is in force; `None` when there is no such version.
pub async fn earlier(
    connection: &mut PgConnection,
    app: &App,
    version: i32,
) -> Result<Option<Earlier>> {
    let Some(current) = inputs::configuration(&mut *connection, app).await? else {
        return Ok(None);
    };
    let Some(version) = apps::config_version(connection, app.id, version).await? else {
        return Ok(None);
    };
    let mut restored = configuration_of(&version)?;
    restored.keep_ids_of(&current);
    let opens_to_everybody = restored.scope.groups.is_empty() && !current.scope.groups.is_empty();
    if opens_to_everybody {
        // Whoever puts it back was told, and that is the confirmation.
        restored.scope.everyone = true;
    }
    let problems = match inputs::catalog_entry(app) {
        Ok(entry) => restored.validate(&entry, Some(&current)),
        Err(error) => vec![Problem::new("catalog", "catalog", error.to_string())],
    };
    Ok(Some(Earlier {
        changes: diff(&current, &restored),
        version,
        current,
        restored,
        problems,
        opens_to_everybody,
    }))
}

/// Makes an earlier version the newest one, in the caller's transaction. Token and state stay.
/// `seen` is the newest version as whoever decided saw it.
pub async fn restore(
    connection: &mut PgConnection,
    app: &App,
    version: i32,
    seen: i32,
    by: By<'_>,
) -> std::result::Result<Vec<Change>, RestoreError> {
    if app.config_version != seen {
        return Err(RestoreError::ChangedMeanwhile);
    }
    let earlier = earlier(&mut *connection, app, version)
        .await?
        .ok_or(RestoreError::NoSuchVersion)?;
    if !earlier.problems.is_empty() {
        return Err(RestoreError::NotValid(earlier.problems));
    }
    let note = format!("Restored version {version}");
    let (current, restored) = (&earlier.current, &earlier.restored);
    Ok(configuration::save(connection, app, Some(current), restored, by, &note).await?)
}
