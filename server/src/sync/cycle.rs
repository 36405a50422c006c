//! One cycle in the foreground, as `rollcall sync` runs it, and its result as other programs read
//! it (S12.5).

use std::time::Duration;

use serde::Serialize;
use sqlx::PgConnection;

use super::engine::Engine;
use super::run::{Carried, carry_out};
use crate::connectors::RequestTotals;
use crate::store::StoreError;
use crate::store::apps::{App, AppState};
use crate::store::runs::{self, Counts, NewRun, Run, RunId, RunKind, RunState};

/// Codes of runs that ended because the configuration does not hold, or names what is not there.
const CONFIGURATION: [&str; 3] = [
    "configuration",
    "scope-unresolved",
    "directory-not-connected",
];
/// How often a run that another process works on is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The result of a cycle. Numbers are integers; `run` is the id that events carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CycleResult {
    pub run: Option<RunId>,
    pub app: String,
    pub outcome: CycleOutcome,
    pub plan: Counts,
    pub applied: Counts,
    pub failed: u64,
    pub held: u64,
    pub requests: RequestTotals,
    pub duration_ms: u64,
    pub error: Option<CycleError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleOutcome {
    Completed,
    Held,
    Stopped,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CycleError {
    pub code: String,
    pub message: String,
}

impl CycleResult {
    /// 0 completed, 1 failed or stopped, 2 for the configuration, 3 some people failed, 4 removals
    /// held; where two apply, the first of 2, 1, 4, 3.
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            CycleOutcome::Failed | CycleOutcome::Stopped => match &self.error {
                Some(error) if CONFIGURATION.contains(&error.code.as_str()) => 2,
                _ => 1,
            },
            CycleOutcome::Held => 4,
            CycleOutcome::Completed if self.failed > 0 => 3,
            CycleOutcome::Completed => 0,
        }
    }

    fn refused(app: &App, code: &str, message: String) -> Self {
        Self {
            run: None,
            app: app.slug.to_string(),
            outcome: CycleOutcome::Stopped,
            plan: Counts::default(),
            applied: Counts::default(),
            failed: 0,
            held: 0,
            requests: RequestTotals::default(),
            duration_ms: 0,
            error: Some(CycleError {
                code: code.to_owned(),
                message,
            }),
        }
    }

    fn of(app: &App, run: &Run) -> Self {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let small = |value: i32| u64::try_from(value).unwrap_or(0);
        let taken = run
            .finished_at
            .zip(run.started_at)
            .map(|(finished, started)| finished - started);
        Self {
            run: Some(run.id),
            app: app.slug.to_string(),
            outcome: match run.state {
                RunState::Completed => CycleOutcome::Completed,
                RunState::Held => CycleOutcome::Held,
                RunState::Stopped | RunState::Queued | RunState::Running => CycleOutcome::Stopped,
                RunState::Failed => CycleOutcome::Failed,
            },
            plan: run.planned,
            applied: run.applied,
            failed: small(run.failed),
            held: small(run.held),
            requests: RequestTotals {
                directory: number(run.directory_requests),
                scim_reads: number(run.scim_reads),
                scim_writes: number(run.scim_writes),
                ..RequestTotals::default()
            },
            duration_ms: taken.map_or(0, |taken| number(taken.num_milliseconds())),
            error: run.error_code.clone().map(|code| CycleError {
                code,
                message: run.error_message.clone().unwrap_or_default(),
            }),
        }
    }
}

/// Why an app can't be run for its state, if it can't.
pub(super) fn refusal(app: &App, preview: bool) -> Option<CycleResult> {
    let (code, message) = match &app.state {
        AppState::On => return None,
        AppState::NotConfigured => (
            "not_configured",
            format!("{} is not configured yet.", app.name),
        ),
        // A preview sends nothing, and is what one wants before turning on.
        AppState::Off | AppState::Stopped { .. } if preview => return None,
        AppState::Off => ("off", format!("{} is off: turn it on to run.", app.name)),
        AppState::Stopped { code, message } => (code.as_str(), message.clone()),
    };
    Some(CycleResult::refused(app, code, message))
}

/// Runs one cycle to its end, or follows the one that is under way (S12.5).
pub async fn run(
    engine: &Engine,
    app: &App,
    preview: bool,
    actor: &str,
) -> Result<CycleResult, StoreError> {
    if let Some(refused) = refusal(app, preview) {
        return Ok(refused);
    }
    let new = NewRun {
        app: app.id,
        kind: if preview {
            RunKind::Preview
        } else {
            RunKind::Shell
        },
        actor,
        config_version: app.config_version,
        fresh_import: true,
        plan_of: None,
    };
    loop {
        let mut db = engine.connection().await?;
        let (run, queued) = runs::queue(&mut db, &new, engine.clock.now()).await?;
        let for_some = !queued && is_for_some(&mut db, run).await?;
        drop(db);
        follow(engine, run).await?;
        // One for some people is not what was asked for; ours comes after it.
        if !for_some || engine.shutdown().is_cancelled() {
            return result(engine, app, run).await;
        }
    }
}

async fn is_for_some(db: &mut PgConnection, run: RunId) -> Result<bool, StoreError> {
    Ok(runs::get(db, run)
        .await?
        .is_some_and(|run| run.is_for_some()))
}

/// Carries a run to its end, or waits for whoever does.
pub(super) async fn follow(engine: &Engine, run: RunId) -> Result<(), StoreError> {
    let engine = engine.counting_anew();
    loop {
        match carry_out(&engine, run).await? {
            Carried::Finished(_) | Carried::Released => return Ok(()),
            Carried::TakenElsewhere => {
                let mut db = engine.connection().await?;
                match runs::get(&mut db, run).await? {
                    Some(other) if !other.state.is_over() => {}
                    _ => return Ok(()),
                }
                drop(db);
                tokio::select! {
                    () = engine.shutdown().cancelled() => return Ok(()),
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
            }
        }
    }
}

/// How a run stands by now.
pub(super) async fn result(
    engine: &Engine,
    app: &App,
    run: RunId,
) -> Result<CycleResult, StoreError> {
    let mut db = engine.connection().await?;
    Ok(match runs::get(&mut db, run).await? {
        Some(run) => CycleResult::of(app, &run),
        None => CycleResult::refused(
            app,
            "run-gone",
            "The run was removed while it was under way.".to_owned(),
        ),
    })
}
