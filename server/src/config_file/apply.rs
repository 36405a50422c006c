//! Makes the stored configuration what the file says, in the caller's transaction.

use provisioning::config::file::AppFile;
use provisioning::config::{AppConfig, Change};
use provisioning::event::EventName;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::ConfigFileError;
use super::material::{Wanted, WantedApp, WantedDirectory, change};
use crate::configuration::{self, By};
use crate::store::apps::{self, App, AppState};
use crate::store::connection::{self, ConnectionSettings};
use crate::store::credentials::{self, Credential};
use crate::store::events::{self, NewEvent};
use crate::sync::{Engine, inputs};

/// Lines for whoever applies the file.
#[derive(Default)]
pub(super) struct Told {
    pub changes: Vec<String>,
    /// Worth knowing, but no change.
    pub remarks: Vec<String>,
}

pub(super) async fn everything(
    engine: &Engine,
    db: &mut PgConnection,
    wanted: &Wanted,
    prune: bool,
    by: By<'_>,
) -> Result<Told, ConfigFileError> {
    let mut told = Told::default();
    if let Some(directory) = &wanted.directory {
        self::directory(engine, db, directory, by, &mut told).await?;
    }
    for app in &wanted.apps {
        self::app(engine, db, app, by, &mut told).await?;
    }
    for app in apps::list(&mut *db).await? {
        if wanted
            .apps
            .iter()
            .any(|wanted| wanted.file.slug == app.slug)
        {
            continue;
        }
        if prune && app.state != AppState::NotConfigured {
            configuration::delete(db, &app, by).await?;
            told.changes.push(format!(
                "{}: configuration deleted; its accounts stay as they are",
                app.slug
            ));
        } else {
            told.remarks
                .push(format!("{}: not in the file, left as it is", app.slug));
        }
    }
    Ok(told)
}

async fn directory(
    engine: &Engine,
    db: &mut PgConnection,
    wanted: &WantedDirectory,
    by: By<'_>,
    told: &mut Told,
) -> Result<(), ConfigFileError> {
    let stored = connection::read(&mut *db).await?;
    let stored_key = credentials::get(&mut *db, &engine.vault, Credential::DirectoryKey).await?;
    let new_key = wanted
        .key
        .as_ref()
        .filter(|(text, _)| !same_secret(stored_key.as_ref(), text));
    let of_stored = |part: fn(&connection::Connection) -> &String| {
        stored.as_ref().map(part).cloned().unwrap_or_default()
    };
    let mut settings = ConnectionSettings {
        endpoint: crate::authorization::endpoint_text(&wanted.endpoint),
        token_uri: of_stored(|stored| &stored.token_uri),
        admin_email: wanted.file.admin_email.clone(),
        customer: wanted.file.customer.clone(),
        client_email: of_stored(|stored| &stored.client_email),
        client_id: of_stored(|stored| &stored.client_id),
    };
    if let Some((_, key)) = &wanted.key {
        settings.token_uri = key.token_uri().to_string();
        settings.client_email = key.client_email().to_owned();
        settings.client_id = key.client_id().unwrap_or_default().to_owned();
    }
    let mut changes: Vec<Value> = Vec::new();
    for (name, old, new) in [
        (
            "endpoint",
            stored.as_ref().map(|s| s.endpoint.as_str()),
            &settings.endpoint,
        ),
        (
            "admin_email",
            stored.as_ref().map(|s| s.admin_email.as_str()),
            &settings.admin_email,
        ),
        (
            "customer",
            stored.as_ref().map(|s| s.customer.as_str()),
            &settings.customer,
        ),
        (
            "client_email",
            stored.as_ref().map(|s| s.client_email.as_str()),
            &settings.client_email,
        ),
        (
            "token_uri",
            stored.as_ref().map(|s| s.token_uri.as_str()),
            &settings.token_uri,
        ),
    ] {
        if old.map(|old| old.trim_end_matches('/')) != Some(new.trim_end_matches('/')) {
            changes.push(change(name, old, Some(new)));
        }
    }
    if new_key.is_some() {
        changes.push(change("key", None, Some("replaced")));
    }
    if changes.is_empty() {
        return Ok(());
    }
    connection::save(&mut *db, &settings, by.now, by.actor).await?;
    if let Some((text, _)) = new_key {
        credentials::put(
            &mut *db,
            &engine.vault,
            Credential::DirectoryKey,
            text,
            by.now,
        )
        .await?;
    }
    for change in &changes {
        told.changes.push(line("directory", change));
    }
    let name = if stored.is_none() {
        EventName::DirectoryConnected
    } else {
        EventName::DirectoryChanged
    };
    events::record(
        db,
        &NewEvent::new(by.now, name, by.actor).changes(Value::Array(changes)),
    )
    .await?;
    Ok(())
}

async fn app(
    engine: &Engine,
    db: &mut PgConnection,
    wanted: &WantedApp,
    by: By<'_>,
    told: &mut Told,
) -> Result<(), ConfigFileError> {
    let slug = wanted.file.slug.as_str();
    let app = match apps::by_slug(&mut *db, slug).await? {
        Some(app) => {
            move_or_rename(db, &app, wanted, by, told).await?;
            app
        }
        None => add(db, &wanted.file, &wanted.endpoint_text(), by, told).await?,
    };
    let new_token = token(engine, db, &app, wanted, by, told).await?;
    if let Some(accepted) = &wanted.accepted {
        apps::set_authorized(&mut *db, app.id, &accepted.facts, by.now).await?;
    } else if new_token {
        apps::forget_authorization(&mut *db, app.id).await?;
    }
    let stored = inputs::configuration(&mut *db, &app).await?;
    let mut config = wanted.file.config.clone();
    if let Some(stored) = &stored {
        keep_order(&mut config, stored);
    }
    let changes = configuration::save(
        &mut *db,
        &app,
        stored.as_ref(),
        &config,
        by,
        "Configuration file",
    )
    .await?;
    if stored.is_none() {
        apps::discard_draft(&mut *db, app.id).await?;
        told.changes.push(format!("{slug}: configured"));
    }
    told.changes
        .extend(changes.iter().map(|change| line(slug, &as_value(change))));
    state(db, &app, wanted, new_token, by, told).await
}

async fn add(
    db: &mut PgConnection,
    file: &AppFile,
    endpoint: &str,
    by: By<'_>,
    told: &mut Told,
) -> Result<App, ConfigFileError> {
    let slug = file.slug.as_str();
    apps::add(
        &mut *db,
        &file.slug,
        &file.catalog,
        &file.name,
        endpoint,
        by.now,
    )
    .await?;
    let app = apps::by_slug(&mut *db, slug)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    events::record(
        db,
        &by.event(EventName::AppAdded, &app)
            .reason(file.name.clone()),
    )
    .await?;
    told.changes
        .push(format!("{slug}: added as {}, at {endpoint}", file.name));
    Ok(app)
}

async fn move_or_rename(
    db: &mut PgConnection,
    app: &App,
    wanted: &WantedApp,
    by: By<'_>,
    told: &mut Told,
) -> Result<(), ConfigFileError> {
    let endpoint = wanted.endpoint_text();
    let mut changes = Vec::new();
    if app.name != wanted.file.name {
        changes.push(change("name", Some(&app.name), Some(&wanted.file.name)));
    }
    if app.endpoint.trim_end_matches('/') != endpoint {
        changes.push(change("endpoint", Some(&app.endpoint), Some(&endpoint)));
    }
    if changes.is_empty() {
        return Ok(());
    }
    apps::rename(&mut *db, app.id, &wanted.file.name, &endpoint).await?;
    told.changes
        .extend(changes.iter().map(|change| line(app.slug.as_str(), change)));
    events::record(
        db,
        &by.event(EventName::ConfigurationChanged, app)
            .changes(Value::Array(changes)),
    )
    .await?;
    Ok(())
}

/// Stores the token when it is another one.
async fn token(
    engine: &Engine,
    db: &mut PgConnection,
    app: &App,
    wanted: &WantedApp,
    by: By<'_>,
    told: &mut Told,
) -> Result<bool, ConfigFileError> {
    let Some(token) = &wanted.token else {
        return Ok(false);
    };
    let credential = Credential::AppToken(app.id.0);
    let stored = credentials::get(&mut *db, &engine.vault, credential).await?;
    if same_secret(stored.as_ref(), token) {
        return Ok(false);
    }
    credentials::put(&mut *db, &engine.vault, credential, token, by.now).await?;
    events::record(db, &by.event(EventName::TokenChanged, app)).await?;
    let what = if stored.is_some() {
        "replaced"
    } else {
        "stored"
    };
    told.changes
        .push(format!("{}: access token {what}", app.slug));
    Ok(true)
}

async fn state(
    db: &mut PgConnection,
    app: &App,
    wanted: &WantedApp,
    new_token: bool,
    by: By<'_>,
    told: &mut Told,
) -> Result<(), ConfigFileError> {
    let slug = &app.slug;
    match (&app.state, wanted.file.autoprovisioning) {
        (AppState::On, true) | (AppState::Off, false) => {}
        (AppState::NotConfigured, false) => {
            apps::set_state(db, app.id, &AppState::Off, by.now).await?;
        }
        (AppState::NotConfigured | AppState::Off, true) => {
            apps::confirm_first_plan(&mut *db, app.id).await?;
            configuration::turn_on(db, app, by).await?;
            told.changes
                .push(format!("{slug}: autoprovisioning turned on"));
        }
        (AppState::On | AppState::Stopped { .. }, false) => {
            configuration::turn_off(db, app, by).await?;
            told.changes
                .push(format!("{slug}: autoprovisioning turned off"));
        }
        (AppState::Stopped { message, .. }, true) => {
            if new_token && configuration::reauthorize(db, app, by).await? {
                told.changes
                    .push(format!("{slug}: resumed with the new access token"));
            } else {
                told.remarks.push(format!("{slug}: is stopped: {message}"));
            }
        }
    }
    Ok(())
}

/// The order of groups and rows has no meaning, so it alone is no change.
fn keep_order(config: &mut AppConfig, stored: &AppConfig) {
    let place = |at: Option<usize>| at.unwrap_or(usize::MAX);
    config.access.org_units.sort_by_key(|unit| {
        place(
            stored
                .access
                .org_units
                .iter()
                .position(|known| known.path == unit.path),
        )
    });
    config.access.groups_on.sort_by_key(|group| {
        place(
            stored
                .access
                .groups_on
                .iter()
                .position(|known| known.email == group.email),
        )
    });
    config.scope.groups.sort_by_key(|group| {
        place(
            stored
                .scope
                .groups
                .iter()
                .position(|known| known.group.email == group.group.email),
        )
    });
    config.mapping.sort_by_key(|row| {
        place(
            stored
                .mapping
                .iter()
                .position(|known| known.attribute == row.attribute),
        )
    });
}

fn same_secret(stored: Option<&SecretString>, given: &SecretString) -> bool {
    stored.is_some_and(|stored| stored.expose_secret() == given.expose_secret())
}

fn as_value(change: &Change) -> Value {
    json!({ "attribute": change.key, "old": change.before, "new": change.after })
}

/// `asana: mapping."title": "a" -> "b"`.
fn line(subject: &str, change: &Value) -> String {
    let shown = |value: &Value| {
        if value.is_null() {
            "(nothing)".to_owned()
        } else {
            value.to_string()
        }
    };
    format!(
        "{subject}: {}: {} -> {}",
        change["attribute"].as_str().unwrap_or_default(),
        shown(&change["old"]),
        shown(&change["new"])
    )
}
