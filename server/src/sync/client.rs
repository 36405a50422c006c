//! The client of an app: made from its token, its catalogue entry and what was learned of it, and
//! told to remember what it learns.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use provisioning::catalog::{CatalogEntry, ReadOnly};
use provisioning::config::AppConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::watch;
use url::Url;

use super::engine::Engine;
use super::inputs::{InputError, catalog_entry};
use super::run::RunError;
use crate::authorization;
use crate::connectors::{Learned, ScimApp, ScimLimits, ScimSettings};
use crate::store::apps::{self, App, AppId};

/// An app with open attributes tells them itself. One that was configured by file is asked at its
/// first run, once: what it does not tell is known to be missing then.
pub async fn discover(engine: &Engine, app: &App) -> Result<App, RunError> {
    let entry = catalog_entry(app)?;
    let asked = app.facts.as_object().is_some_and(|facts| !facts.is_empty());
    if asked || !entry.open_attributes {
        return Ok(app.clone());
    }
    let token = token(engine, app).await?;
    let endpoint = endpoint(app)?;
    let told = match authorization::check(engine, &entry, endpoint, token).await {
        Ok(told) => told,
        Err(error) if error.is_authorization() => return Err(error.into()),
        Err(error) => {
            tracing::info!(app = %app.slug, code = error.code(), "the app could not be asked what it knows");
            return Ok(app.clone());
        }
    };
    let mut db = engine.connection().await?;
    apps::set_authorized(&mut db, app.id, &told.facts, engine.clock.now()).await?;
    if app.learned == json!({}) {
        apps::set_learned(&mut db, app.id, &told.learned).await?;
    }
    let known = apps::get(&mut db, app.id).await?;
    Ok(known.unwrap_or_else(|| app.clone()))
}

async fn token(engine: &Engine, app: &App) -> Result<SecretString, RunError> {
    let token = engine
        .token(app.id)
        .await
        .map_err(|error| InputError::Token {
            app: app.name.clone(),
            cause: error.to_string(),
        })?;
    Ok(token.ok_or_else(|| InputError::NoToken {
        app: app.name.clone(),
    })?)
}

fn endpoint(app: &App) -> Result<Url, InputError> {
    Url::parse(&app.endpoint).map_err(|cause| {
        InputError::Configuration(format!(
            "The endpoint {} of {} is not an address: {cause}.",
            app.endpoint, app.name
        ))
    })
}

/// A client for an app with its stored token.
pub async fn of(
    engine: &Engine,
    app: &App,
    entry: &CatalogEntry,
    config: &AppConfig,
) -> Result<ScimApp, RunError> {
    let token = token(engine, app).await?;
    let endpoint = endpoint(app)?;
    let limits = ScimLimits::of(
        entry.limits.rate(config.requests_per_minute),
        entry.limits.read_concurrency,
        entry.limits.writes_at_once(config.concurrency),
    );
    let mut fingerprint = DefaultHasher::new();
    token.expose_secret().hash(&mut fingerprint);
    endpoint.as_str().hash(&mut fingerprint);
    format!("{limits:?} {:?}", entry.quirks).hash(&mut fingerprint);
    let read_only = app.facts.get("schemas").map(ReadOnly::from_schemas);
    read_only.hash(&mut fingerprint);
    let learned = serde_json::from_value::<Learned>(app.learned.clone()).unwrap_or_default();
    let settings = ScimSettings::new(endpoint, token, limits)
        .with_quirks(&entry.quirks)
        .leaving_away(read_only.unwrap_or_default())
        .knowing(learned);
    let clock = engine.clock.clone();
    Ok(engine.client(app.id, fingerprint.finish(), |outgoing| {
        let made = ScimApp::new(settings, outgoing, clock)?;
        let (pool, endpoint) = (engine.pool.clone(), app.endpoint.clone());
        tokio::spawn(keep_learned(pool, app.id, endpoint, made.learning()));
        Ok(made)
    })?)
}

/// Stores what a client learns as soon as it does, for as long as the client lives: a run that
/// ends early has learned all the same.
async fn keep_learned(
    pool: PgPool,
    app: AppId,
    endpoint: String,
    mut learning: watch::Receiver<Learned>,
) {
    while learning.changed().await.is_ok() {
        let learned = serde_json::to_value(&*learning.borrow_and_update());
        let kept = async {
            let learned = learned.map_err(|error| error.to_string())?;
            let mut db = pool.acquire().await.map_err(|error| error.to_string())?;
            apps::keep_learned(&mut db, app, &endpoint, &learned)
                .await
                .map_err(|error| error.to_string())
        };
        if let Err(error) = kept.await {
            tracing::warn!(app = %app.0, error, "what was learned of the app could not be stored");
        }
    }
}
