//! How autoprovisioning of an app stands, in the console's terms (S7.1).

use app::api::terms::{AppStatus, StopReason};
use sqlx::PgConnection;

use super::standing::number;
use crate::store::apps::{App, AppState};
use crate::store::{Result, runs};
use crate::sync::pending;

/// The state that an administrator sees: of an app that is on, what it is doing comes first.
pub async fn app_status(db: &mut PgConnection, app: &App) -> Result<AppStatus> {
    Ok(match &app.state {
        AppState::NotConfigured => AppStatus::NotConfigured,
        AppState::Off => AppStatus::Off,
        AppState::Stopped { code, .. } => AppStatus::Stopped {
            reason: stop_reason(code),
        },
        AppState::On => match runs::active(db, app.id).await? {
            Some(run) => AppStatus::Running { run: run.number },
            None => match pending::count_under_review(db, app).await? {
                0 => AppStatus::On,
                held => AppStatus::Held {
                    removals: number(held),
                },
            },
        },
    })
}

/// How many removals wait for review in an app that is on. While a run is under way, its status
/// tells of that instead.
pub async fn held_removals(db: &mut PgConnection, app: &App, status: &AppStatus) -> Result<u32> {
    Ok(match status {
        AppStatus::Held { removals } => *removals,
        AppStatus::Running { .. } => number(pending::count_under_review(db, app).await?),
        AppStatus::NotConfigured | AppStatus::Off | AppStatus::On | AppStatus::Stopped { .. } => 0,
    })
}

/// The reason behind a stored code.
pub fn stop_reason(code: &str) -> StopReason {
    match code {
        "reauthorize" => StopReason::NeedsReauthorization,
        "directory-changed" => StopReason::DirectoryChanged,
        "scope-unresolved" | "scope-unreadable" => StopReason::ScopeUnreadable,
        "too-many-failures" => StopReason::TooManyFailures,
        "app-unreachable" => StopReason::AppUnreachable,
        _ => StopReason::ByAdministrator,
    }
}
