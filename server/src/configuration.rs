//! Changes of an app's configuration and state, each with its event in the caller's transaction.
//! The console and the configuration file make them in the same way.

use chrono::{DateTime, Utc};
use provisioning::config::{self, AppConfig, Draft};
use provisioning::event::EventName;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::store::apps::{self, App, AppState};
use crate::store::credentials::{self, Credential};
use crate::store::events::{self, NewEvent};
use crate::store::{StoreError, runs};
use crate::sync::inputs;

/// Who changes an app, and when.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub actor: &'a str,
    pub now: DateTime<Utc>,
}

impl By<'_> {
    pub fn event<'b>(&'b self, name: EventName, app: &'b App) -> NewEvent<'b> {
        NewEvent::new(self.now, name, self.actor).app(app.slug.as_str())
    }
}

/// Saves a new version when something differs; says what. Ids that were only found out since are
/// filled in without one.
pub async fn save(
    db: &mut PgConnection,
    app: &App,
    stored: Option<&AppConfig>,
    new: &AppConfig,
    by: By<'_>,
    note: &str,
) -> Result<Vec<config::Change>, StoreError> {
    let changes = match stored {
        Some(stored) => config::diff(stored, new),
        None => Vec::new(),
    };
    match stored {
        Some(stored) if stored == new => return Ok(changes),
        Some(_) if changes.is_empty() => {
            apps::fill_config(db, app.id, app.config_version, new).await?;
            return Ok(changes);
        }
        _ => {}
    }
    apps::save_config(&mut *db, app.id, new, by.now, by.actor, note).await?;
    let (sso, others): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.key == "sso");
    if !sso.is_empty() {
        let event = by.event(EventName::SsoChanged, app).changes(listed(sso));
        events::record(db, &event).await?;
    }
    if stored.is_none() || !others.is_empty() {
        let mut event = by.event(EventName::ConfigurationChanged, app).reason(note);
        if stored.is_some() {
            event = event.changes(listed(others));
        }
        events::record(db, &event).await?;
    }
    Ok(changes)
}

/// Changes as every event lists them.
pub fn listed<'a>(changes: impl IntoIterator<Item = &'a config::Change>) -> Value {
    changes
        .into_iter()
        .map(|change| json!({ "attribute": change.key, "old": change.before, "new": change.after }))
        .collect()
}

/// Turns autoprovisioning on. False when it was on already.
pub async fn turn_on(db: &mut PgConnection, app: &App, by: By<'_>) -> Result<bool, StoreError> {
    let turned = apps::set_state(&mut *db, app.id, &AppState::On, by.now).await?;
    if turned {
        events::record(db, &by.event(EventName::TurnedOn, app)).await?;
    }
    Ok(turned)
}

/// Turns autoprovisioning off, between two requests of a run. False when it was off already.
pub async fn turn_off(db: &mut PgConnection, app: &App, by: By<'_>) -> Result<bool, StoreError> {
    let turned = apps::set_state(&mut *db, app.id, &AppState::Off, by.now).await?;
    if turned {
        events::record(db, &by.event(EventName::TurnedOff, app)).await?;
    }
    Ok(turned)
}

/// Whether a new token is what a stopped app waits for.
pub fn waits_for_token(app: &App) -> bool {
    matches!(&app.state, AppState::Stopped { code, .. } if code == "reauthorize")
}

/// Lets an app go on that was stopped for its token; mapping, links and timers are as they were.
pub async fn reauthorize(db: &mut PgConnection, app: &App, by: By<'_>) -> Result<bool, StoreError> {
    if !waits_for_token(app) || !apps::resume(&mut *db, app.id, "reauthorize", by.now).await? {
        return Ok(false);
    }
    events::record(db, &by.event(EventName::Reauthorized, app)).await?;
    Ok(true)
}

/// Takes the configuration away in any state (S7.2): token, mapping, scope, policies, links and
/// timers. How people sign in and for whom the app is on stay, and so do all accounts and the log.
pub async fn delete(db: &mut PgConnection, app: &App, by: By<'_>) -> Result<(), StoreError> {
    let kept = match inputs::configuration(db, app).await? {
        Some(config) => Draft {
            sso: config.sso,
            access: Some(config.access),
            ..Draft::default()
        },
        None => {
            let draft = inputs::draft(db, app).await?.unwrap_or_default();
            Draft {
                sso: draft.sso,
                access: draft.access,
                ..Draft::default()
            }
        }
    };
    if let Some(run) = runs::active(db, app.id).await? {
        runs::request_stop(db, run.id, by.actor).await?;
    }
    apps::set_state(db, app.id, &AppState::NotConfigured, by.now).await?;
    apps::forget_configuration(db, app.id).await?;
    runs::outdate_previews(db, app.id, by.now).await?;
    credentials::delete(db, Credential::AppToken(app.id.0)).await?;
    if kept != Draft::default() {
        apps::save_draft(db, app.id, &kept, by.now, by.actor).await?;
    }
    events::record(db, &by.event(EventName::ConfigurationDeleted, app)).await?;
    Ok(())
}
