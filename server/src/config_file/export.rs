//! Writes the configuration as a file that, applied, changes nothing.

use std::io;

use provisioning::config::file::{AppFile, ConfigFile, DirectoryFile};

use super::ConfigFileError;
use crate::store::apps::{self, AppState};
use crate::store::connection;
use crate::sync::{Engine, inputs};

/// Secrets are left out; a file without them keeps the stored ones. Apps that are not configured
/// have nothing that a file could hold, and are named in a comment.
pub async fn export(
    engine: &Engine,
    out: &mut (dyn io::Write + Send),
) -> Result<(), ConfigFileError> {
    let mut transaction = engine.pool.begin().await?;
    let db = &mut transaction;
    let directory = connection::read(db).await?.map(|stored| DirectoryFile {
        service_account_file: None,
        admin_email: stored.admin_email,
        customer: stored.customer,
        endpoint: stored.endpoint,
    });
    let mut file = ConfigFile {
        directory,
        apps: Vec::new(),
    };
    let mut comments = Vec::new();
    for app in apps::list(db).await? {
        match inputs::configuration(db, &app).await? {
            Some(config) => file.apps.push(AppFile {
                autoprovisioning: matches!(app.state, AppState::On | AppState::Stopped { .. }),
                slug: app.slug,
                catalog: app.catalog,
                name: app.name,
                endpoint: app.endpoint,
                token: None,
                sso_metadata_file: None,
                config,
            }),
            None => comments.push(format!(
                "# {} is not configured yet, so it is not in this file.",
                app.slug
            )),
        }
    }
    transaction.rollback().await?;
    write!(out, "{}", file.render())?;
    for comment in comments {
        writeln!(out, "{comment}")?;
    }
    Ok(())
}
