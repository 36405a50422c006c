//! What is done when another directory answers than the recorded one, or one that lost most of
//! its people: every app stops, or nothing is planned, until an administrator confirms (S1.1).

use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use serde_json::json;
use sqlx::PgConnection;

use super::engine::Engine;
use super::import::ImportError;
use crate::store::events::{self, NewEvent};
use crate::store::{StoreError, apps, connection};

/// Why an app is stopped while another directory than the recorded one answers.
pub const DIRECTORY_CHANGED: &str = "directory-changed";

/// Keeps what an import met that somebody must confirm, in the caller's transaction.
pub async fn note(
    db: &mut PgConnection,
    error: &ImportError,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    match error {
        ImportError::OtherTenant {
            seen_customer,
            seen_domain,
            ..
        } => {
            connection::record_other_identity(db, seen_customer, seen_domain).await?;
            stop_apps(db, &error.to_string(), now).await
        }
        ImportError::Shrunk { before, listed, .. } => {
            let before = i32::try_from(*before).unwrap_or(i32::MAX);
            connection::record_shrinking(db, before, *listed).await
        }
        _ => Ok(()),
    }
}

/// Stops every app that is on; runs that are sending end between two requests.
async fn stop_apps(
    db: &mut PgConnection,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for app in apps::list(db).await? {
        if apps::stop(db, app.id, DIRECTORY_CHANGED, message, now).await? {
            let event = NewEvent::new(now, EventName::AppStopped, "Rollcall")
                .app(app.slug.as_str())
                .reason(message)
                .failed(DIRECTORY_CHANGED, message);
            events::record(db, &event).await?;
        }
    }
    Ok(())
}

/// Lets the apps go on that stopped for the directory; says which.
pub async fn resume_apps(
    db: &mut PgConnection,
    actor: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let mut resumed = Vec::new();
    for app in apps::list(db).await? {
        if apps::resume(db, app.id, DIRECTORY_CHANGED, now).await? {
            let event = NewEvent::new(now, EventName::TurnedOn, actor)
                .app(app.slug.as_str())
                .reason(reason);
            events::record(db, &event).await?;
            resumed.push(app.slug.to_string());
        }
    }
    Ok(resumed)
}

/// What waits for a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Another customer or primary domain answered.
    Tenant {
        recorded_customer: String,
        recorded_domain: String,
        customer: String,
        domain: String,
    },
    /// So many people are left of so many.
    Shrunk { from: i32, to: i32 },
}

/// What an administrator confirms, as it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    Tenant { customer: String, domain: String },
    People(i32),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("No directory is connected. Connect Google Workspace first.")]
    NotConnected,
    #[error("Nothing waits for this confirmation; what waits may be another one by now.")]
    NotAsked,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What waits for an administrator, if anything does.
pub fn question(saved: &connection::Connection) -> Option<Question> {
    let tenant = || {
        Some(Question::Tenant {
            recorded_customer: saved.customer_id.clone()?,
            recorded_domain: saved.primary_domain.clone()?,
            customer: saved.seen_customer_id.clone()?,
            domain: saved.seen_primary_domain.clone()?,
        })
    };
    let shrunk = || {
        Some(Question::Shrunk {
            from: saved.shrunk_from?,
            to: saved.shrunk_to?,
        })
    };
    tenant().or_else(shrunk)
}

/// Takes a confirmation of exactly what waits for one. Returns the apps that go on.
pub async fn confirm(
    engine: &Engine,
    actor: &str,
    confirmation: &Confirmation,
) -> Result<Vec<String>, ConfirmError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    let saved = connection::read(&mut transaction)
        .await?
        .ok_or(ConfirmError::NotConnected)?;
    let resumed = match (question(&saved), confirmation) {
        (
            Some(Question::Tenant {
                recorded_customer,
                recorded_domain,
                customer,
                domain,
            }),
            Confirmation::Tenant {
                customer: confirmed_customer,
                domain: confirmed_domain,
            },
        ) if (&customer, &domain) == (confirmed_customer, confirmed_domain) => {
            connection::record_identity(&mut transaction, &customer, &domain).await?;
            let changes = json!([
                { "attribute": "customer", "old": recorded_customer, "new": customer },
                { "attribute": "primary domain", "old": recorded_domain, "new": domain },
            ]);
            let event = NewEvent::new(now, EventName::DirectoryChanged, actor)
                .reason("Another directory was confirmed")
                .changes(changes);
            events::record(&mut transaction, &event).await?;
            resume_apps(&mut transaction, actor, "The directory was confirmed", now).await?
        }
        (Some(Question::Shrunk { from, to }), Confirmation::People(people)) if to == *people => {
            connection::confirm_shrinking(&mut transaction, to).await?;
            let changes = json!([{ "attribute": "people", "old": from, "new": to }]);
            let event = NewEvent::new(now, EventName::DirectoryChanged, actor)
                .reason("A directory with far fewer people was confirmed")
                .changes(changes);
            events::record(&mut transaction, &event).await?;
            Vec::new()
        }
        _ => return Err(ConfirmError::NotAsked),
    };
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(resumed)
}
