//! How autoprovisioning of an app stands, in the console's terms (S7.1).

use app::api::terms::{AppStatus, StopReason};
use sqlx::PgConnection;

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
                    removals: u32::try_from(held).unwrap_or(u32::MAX),
                },
            },
        },
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
