//! Runs: their lists and pages, and what an administrator may do to them.

use app::api::on_demand::PersonRun;
use app::api::runs::{
    OperationRow, OperationState, Operations, OperationsQuery, Run, RunKind, RunList, RunProblem,
    RunProgress, RunRow, RunState, SkipGroup, SkippedList, SkippedQuery, Stage, StageState,
};
use app::api::terms::Change;
use app::api::{ApiError, ErrorCode};
use app::format;
use app::services::{Actor, Answer, Runs};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use provisioning::event::EventName;
use provisioning::plan::OperationKind;
use sqlx::PgConnection;

use super::app_status::stop_reason;
use super::audit::shown;
use super::failures::kind_word;
use super::on_demand;
use super::run_lists::skipped_list;
use super::standing::{self, number};
use crate::jobs;
use crate::remedies;
use crate::store::apps::{App, AppState};
use crate::store::events::{self, NewEvent};
use crate::store::operations::{self, Operation};
use crate::store::pages::runs as run_pages;
use crate::store::runs::{
    self, NewRun, Run as StoredRun, RunKind as StoredKind, RunState as StoredState,
};
use crate::store::{StoreError, drifts, failures, imports};
use crate::sync::{Engine, inputs};

const PER_PAGE: u32 = 25;
const OPERATIONS_PER_PAGE: u32 = 50;
/// The stretch of which a run's pace is told.
const LATELY: TimeDelta = TimeDelta::seconds(10);
/// Reasons of which people are listed; a plan that has more names single people.
const MOST_SKIP_GROUPS: i64 = 40;

#[derive(Clone)]
pub struct RunsService {
    pub engine: Engine,
    pub queue: jobs::Queue,
}

#[async_trait]
impl Runs for RunsService {
    async fn list(&self, slug: &str, page: u32) -> Answer<RunList> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let total = run_pages::count(&mut db, app.id).await?;
        let first = run_pages::first_number(&mut db, app.id).await?;
        let paging = standing::paging(page, PER_PAGE, total);
        let part = standing::part(paging.page, PER_PAGE);
        let runs = runs::page(&mut db, app.id, part).await?;
        Ok(RunList {
            head: standing::head(&mut db, &app).await?,
            rows: runs.iter().map(|run| row(run, first)).collect(),
            paging,
        })
    }

    async fn run(&self, slug: &str, number: i64) -> Answer<Run> {
        let mut db = self.engine.connection().await?;
        let (app, run) = find(&mut db, slug, number).await?;
        let first = run_pages::first_number(&mut db, app.id).await?;
        let now = self.engine.clock.now();
        let import = match run.import_id {
            Some(id) => imports::get(&mut db, imports::ImportId(id)).await?,
            None => None,
        };
        let skipped = run_pages::skipped_by_reason(&mut db, run.id, MOST_SKIP_GROUPS).await?;
        let (run, progress) = so_far(&mut db, &app, run, now).await?;
        Ok(Run {
            head: standing::head(&mut db, &app).await?,
            row: row(&run, first),
            finished_at: run.finished_at,
            stages: stages(&run, import.as_ref()),
            progress,
            directory_read_at: import.as_ref().and_then(|import| import.finished_at),
            problem: problem(&app, &run),
            // The pace lives in the worker; what it did is in the figures.
            throttled: None,
            requests: standing::number(run.directory_requests + run.scim_reads + run.scim_writes),
            skipped: skipped.into_iter().map(skip_group).collect(),
        })
    }

    async fn operations(
        &self,
        slug: &str,
        number: i64,
        query: OperationsQuery,
    ) -> Answer<Operations> {
        let mut db = self.engine.connection().await?;
        let (_, run) = find(&mut db, slug, number).await?;
        let (kind, state) = (query.kind.map(kind_word), query.state.map(state_word));
        let total = run_pages::count_operations(&mut db, run.id, kind, state).await?;
        let paging = standing::paging(query.page, OPERATIONS_PER_PAGE, total);
        let part = standing::part(paging.page, OPERATIONS_PER_PAGE);
        let rows = operations::page(&mut db, run.id, kind, state, part).await?;
        let people: Vec<String> = rows.iter().map(|row| row.person_id.to_string()).collect();
        let failures = failures::of_people(&mut db, run.app, &people).await?;
        Ok(Operations {
            rows: rows
                .into_iter()
                .map(|row| {
                    let next_try = failures
                        .iter()
                        .find(|failure| failure.person_id == row.person_id.as_str())
                        .and_then(|failure| failure.next_try_at);
                    operation(row, next_try)
                })
                .collect(),
            paging,
        })
    }

    async fn skipped(&self, slug: &str, number: i64, query: SkippedQuery) -> Answer<SkippedList> {
        let mut db = self.engine.connection().await?;
        let (app, run) = find(&mut db, slug, number).await?;
        skipped_list(&mut db, &app, &run, query).await
    }

    async fn start(&self, actor: &Actor, slug: &str) -> Answer<i64> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        drop(db);
        may_run(&app)?;
        let new = NewRun {
            app: app.id,
            kind: StoredKind::Manual,
            actor: &actor.email,
            config_version: app.config_version,
            fresh_import: true,
            plan_of: None,
        };
        self.begin(&app, &new).await
    }

    async fn read_back(&self, actor: &Actor, slug: &str) -> Answer<i64> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        may_run(&app)?;
        drifts::ask(&mut db, app.id).await?;
        drop(db);
        self.start(actor, slug).await
    }

    async fn preview(&self, actor: &Actor, slug: &str) -> Answer<i64> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        drop(db);
        if app.state == AppState::NotConfigured {
            return Err(ApiError::new(ErrorCode::NotConfigured));
        }
        let new = NewRun {
            app: app.id,
            kind: StoredKind::Preview,
            actor: &actor.email,
            config_version: app.config_version,
            fresh_import: true,
            plan_of: None,
        };
        self.begin(&app, &new).await
    }

    async fn approve(&self, actor: &Actor, slug: &str, number: i64) -> Answer<i64> {
        let mut db = self.engine.connection().await?;
        let (app, preview) = find(&mut db, slug, number).await?;
        let newest = runs::latest_preview(&mut db, app.id).await?;
        drop(db);
        if preview.kind != StoredKind::Preview {
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        let is_newest = newest.is_some_and(|newest| newest.id == preview.id);
        let ready = preview.state == StoredState::Completed;
        if !(ready && is_newest && preview.config_version == app.config_version) {
            return Err(ApiError::new(ErrorCode::PlanOutdated));
        }
        may_run(&app)?;
        let new = NewRun {
            app: app.id,
            kind: StoredKind::Manual,
            actor: &actor.email,
            config_version: app.config_version,
            fresh_import: false,
            plan_of: Some(preview.id),
        };
        self.begin(&app, &new).await
    }

    async fn stop(&self, actor: &Actor, slug: &str, number: i64) -> Answer<()> {
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let (app, run) = find(&mut transaction, slug, number).await?;
        if !runs::request_stop(&mut transaction, run.id, &actor.email).await? {
            return Err(ApiError::new(ErrorCode::RunNotActive));
        }
        let event = NewEvent::new(now, EventName::RunStopped, &actor.email)
            .app(app.slug.as_str())
            .run(run.id.0)
            .reason("Stopping takes effect between two requests");
        events::record(&mut transaction, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(())
    }

    async fn retry(&self, actor: &Actor, slug: &str, operation: &str) -> Answer<()> {
        let now = self.engine.clock.now();
        let id: i64 = operation.parse().map_err(|_| ApiError::not_found())?;
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let app = standing::app(&mut transaction, slug).await?;
        let owner = run_pages::operation_owner(&mut transaction, app.id, id)
            .await?
            .ok_or_else(ApiError::not_found)?;
        may_run(&app)?;
        let person = provisioning::identity::PersonId::from(owner.person_id.clone());
        if failures::retry_now(&mut transaction, app.id, Some(&person))
            .await?
            .is_empty()
        {
            // It worked meanwhile, or it never failed.
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        let event = NewEvent::new(now, EventName::FailureRetried, &actor.email)
            .app(app.slug.as_str())
            .person(&owner.person_id, &owner.person_email)
            .run(owner.run);
        events::record(&mut transaction, &event).await?;
        let new = NewRun {
            app: app.id,
            kind: StoredKind::Manual,
            actor: &actor.email,
            config_version: app.config_version,
            fresh_import: false,
            plan_of: None,
        };
        let (run, queued) = runs::queue(&mut transaction, &new, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        // A run that is under way has its plan; the next one tries again.
        if queued {
            self.queue.hand_out(run).await?;
        }
        Ok(())
    }

    async fn provision(&self, actor: &Actor, slug: &str, person: &str) -> Answer<i64> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        drop(db);
        may_run(&app)?;
        on_demand::start(&self.engine, &self.queue, &app, actor, person).await
    }

    async fn person_run(&self, slug: &str, person: &str) -> Answer<Option<PersonRun>> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        on_demand::newest(&mut db, &app, &person.into()).await
    }
}

impl RunsService {
    /// Queues a run together with its event; the number by which it is found.
    async fn begin(&self, app: &App, new: &NewRun<'_>) -> Answer<i64> {
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let (id, queued) = runs::queue(&mut transaction, new, now).await?;
        if !queued {
            return Err(ApiError::new(ErrorCode::RunActive));
        }
        let reason = match (new.kind, new.plan_of) {
            (StoredKind::Preview, _) => "Preview: nothing is sent",
            (_, Some(_)) => "With the plan that was approved",
            _ => "By hand",
        };
        let event = NewEvent::new(now, EventName::RunStarted, new.actor)
            .app(app.slug.as_str())
            .run(id.0)
            .reason(reason);
        events::record(&mut transaction, &event).await?;
        let run = runs::get(&mut transaction, id)
            .await?
            .ok_or_else(ApiError::internal)?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.queue.hand_out(id).await?;
        Ok(run.number)
    }
}

pub(super) async fn find(
    db: &mut PgConnection,
    slug: &str,
    number: i64,
) -> Answer<(App, StoredRun)> {
    let app = standing::app(&mut *db, slug).await?;
    let run = runs::by_number(db, app.id, number)
        .await?
        .ok_or_else(ApiError::not_found)?;
    Ok((app, run))
}

/// A run that writes needs an app that is on.
fn may_run(app: &App) -> Answer<()> {
    let code = match &app.state {
        AppState::On => return Ok(()),
        AppState::NotConfigured => ErrorCode::NotConfigured,
        AppState::Off => ErrorCode::AlreadyOff,
        AppState::Stopped { code, .. } => match stop_reason(code) {
            app::api::terms::StopReason::NeedsReauthorization => ErrorCode::TokenRefused,
            app::api::terms::StopReason::DirectoryChanged => ErrorCode::DirectoryChanged,
            _ => ErrorCode::Conflict,
        },
    };
    Err(ApiError::new(code))
}

/// A run as a line of a list. `first` is the number of the app's first run.
pub fn row(run: &StoredRun, first: Option<i64>) -> RunRow {
    let started_at = run.started_at.unwrap_or(run.queued_at);
    RunRow {
        number: run.number,
        kind: match run.kind {
            StoredKind::Preview => RunKind::Preview,
            _ if run.only_people.len() == 1 => RunKind::OnePerson,
            _ if run.is_for_some() => RunKind::SomePeople,
            _ if first == Some(run.number) => RunKind::First,
            StoredKind::Scheduled => RunKind::Scheduled,
            StoredKind::Manual | StoredKind::Shell => RunKind::ByHand,
        },
        state: state(run),
        by: (run.kind != StoredKind::Scheduled).then(|| run.actor.clone()),
        started_at,
        seconds: run
            .finished_at
            .map(|end| number((end - started_at).num_seconds().max(0))),
        planned: standing::counts(&run.planned),
        done: standing::counts(&run.applied),
        failed: number(run.failed),
        held: number(run.held),
    }
}

pub(super) fn state(run: &StoredRun) -> RunState {
    match run.state {
        StoredState::Queued => RunState::Waiting,
        StoredState::Running => RunState::Running,
        StoredState::Completed if run.kind == StoredKind::Preview => RunState::Planned,
        StoredState::Completed if run.failed > 0 => RunState::CompletedWithFailures,
        StoredState::Completed => RunState::Completed,
        StoredState::Held => RunState::Held,
        StoredState::Stopped => RunState::Stopped,
        StoredState::Failed => RunState::Failed,
    }
}

fn stages(run: &StoredRun, import: Option<&imports::ImportSummary>) -> Vec<Stage> {
    use runs::Stage as S;
    let preview = run.kind == StoredKind::Preview;
    let over = run.state.is_over();
    let went_well = matches!(run.state, StoredState::Completed | StoredState::Held);
    [S::Import, S::Plan, S::Check, S::Apply, S::Record]
        .into_iter()
        .filter(|stage| !preview || *stage <= S::Check)
        .map(|stage| {
            let state = if went_well || stage < run.stage {
                StageState::Done
            } else if stage > run.stage || run.state == StoredState::Queued {
                StageState::ToCome
            } else if over {
                StageState::Failed
            } else {
                StageState::Current
            };
            let detail = match (stage, state) {
                (_, StageState::ToCome) => "to come".to_owned(),
                (_, StageState::Failed) => "ended here".to_owned(),
                (S::Import, StageState::Done) if run.is_for_some() => {
                    format!("{} read", format::people(number(run.only_people.len())))
                }
                (S::Import, StageState::Done) => imported(import),
                (S::Import, StageState::Current) => "reading the directory".to_owned(),
                (S::Plan, StageState::Done) => format::counted(
                    standing::counts(&run.planned).operations(),
                    "operation",
                    "operations",
                ),
                (S::Plan, StageState::Current) => {
                    format!("{} so far", format::people(number(run.people)))
                }
                (S::Check, StageState::Done) if run.held > 0 => {
                    format!(
                        "{} held",
                        format::counted(number(run.held), "removal", "removals")
                    )
                }
                (S::Check, StageState::Done) => "nothing held".to_owned(),
                (S::Apply, StageState::Done) => applied(run),
                (S::Apply, StageState::Current) => {
                    format!(
                        "{} of {}",
                        format::number(run.done),
                        format::number(run.total)
                    )
                }
                (S::Record, StageState::Done) => "in the audit log".to_owned(),
                (S::Check | S::Record, StageState::Current) => "in progress".to_owned(),
            };
            Stage {
                name: stage_name(stage).to_owned(),
                state,
                detail,
            }
        })
        .collect()
}

fn stage_name(stage: runs::Stage) -> &'static str {
    match stage {
        runs::Stage::Import => "Import",
        runs::Stage::Plan => "Plan",
        runs::Stage::Check => "Check",
        runs::Stage::Apply => "Apply",
        runs::Stage::Record => "Record",
    }
}

fn imported(import: Option<&imports::ImportSummary>) -> String {
    let Some(import) = import else {
        return "as in the approved plan".to_owned();
    };
    let people = format::people(number(import.counts.people));
    match import.finished_at {
        Some(end) => format!(
            "{people}, {}",
            format::duration((end - import.started_at).num_seconds())
        ),
        None => people,
    }
}

fn applied(run: &StoredRun) -> String {
    let done = format::counted(standing::counts(&run.applied).operations(), "done", "done");
    if run.failed > 0 {
        format!("{done}, {} failed", format::number(run.failed))
    } else {
        done
    }
}

/// A run that sends, with its figures as they are now: it writes them down itself only now and
/// then, and what it did only at its end.
async fn so_far(
    db: &mut PgConnection,
    app: &App,
    mut run: StoredRun,
    now: DateTime<Utc>,
) -> Answer<(StoredRun, Option<RunProgress>)> {
    if run.state != StoredState::Running || run.stage < runs::Stage::Apply {
        return Ok((run, None));
    }
    let pace = run_pages::pace(&mut *db, run.id, now - LATELY).await?;
    let sum = |part: fn(&run_pages::Pace) -> i64| pace.iter().map(part).sum::<i64>();
    let (ended, total) = (sum(|one| one.ended), sum(|one| one.total));
    let counted = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    run.applied = applied_so_far(&pace);
    run.failed = counted(sum(|one| one.failed));
    (run.done, run.total) = (counted(ended), counted(total));
    if run.stage != runs::Stage::Apply {
        return Ok((run, None));
    }
    let elapsed = run
        .apply_started_at
        .map_or(0, |start| (now - start).num_seconds());
    let left = (total - ended).max(0);
    let seconds_left = (ended > 0 && elapsed > 0)
        .then(|| left * elapsed / ended)
        .map(number);
    let per_10_seconds = match elapsed >= LATELY.num_seconds() {
        true => Some(sum(|one| one.lately)),
        false => (elapsed > 0).then(|| ended * LATELY.num_seconds() / elapsed),
    };
    let entry = inputs::catalog_entry(app).ok();
    let chosen = inputs::configuration(db, app)
        .await?
        .and_then(|config| config.concurrency);
    let progress = RunProgress {
        done: number(ended),
        of: number(total),
        per_10_seconds: per_10_seconds.map(number),
        seconds_left,
        concurrency: entry.map_or(1, |entry| entry.limits.writes_at_once(chosen)),
    };
    Ok((run, Some(progress)))
}

fn applied_so_far(pace: &[run_pages::Pace]) -> runs::Counts {
    let mut applied = runs::Counts::default();
    for one in pace {
        if let Some(kind) = OperationKind::parse(&one.kind) {
            applied.add(kind, u64::try_from(one.done).unwrap_or_default());
        }
    }
    applied
}

/// Why a run ended early, and what helps.
pub(super) fn problem(app: &App, run: &StoredRun) -> Option<RunProblem> {
    let code = run.error_code.as_deref()?;
    let cause = run.error_message.clone().unwrap_or_default();
    let (title, remedy) = explained(code, run.state == StoredState::Stopped);
    Some(RunProblem {
        title: title.to_owned(),
        cause,
        remedy: remedy.to_owned(),
        next_try: app
            .paused_until
            .or(app.next_run_at)
            .filter(|_| app.state == AppState::On),
    })
}

/// Title and remedy of an error code, for a run and for the last import alike.
pub fn explained(code: &str, stopped: bool) -> (&'static str, &'static str) {
    match code {
        "reauthorize" => (
            "The app refused the access token",
            "Reauthorize with a new token. Mapping, scope, links and timers are kept.",
        ),
        "stopped" => (
            "The run was stopped",
            "What was sent stays. The next run plans the rest anew.",
        ),
        "off" => (
            "Autoprovisioning was turned off",
            "Turn it on again to run.",
        ),
        "not_configured" => (
            "Autoprovisioning is not configured",
            "Finish its setup and turn it on.",
        ),
        "directory-changed" => (
            "Another directory answered",
            "Look at the connection page and confirm the change, or enter the right key.",
        ),
        "directory-not-connected" => (
            "The directory is not connected",
            "Connect the directory first.",
        ),
        "directory-not-read" => (
            "The directory was not read yet",
            "Read it on the connection page.",
        ),
        "directory-incomplete"
        | "directory-flags-missing"
        | "directory-listing-incomplete"
        | "directory-listing-expired" => (
            "Google did not answer in full",
            "Nothing is planned from it. The last complete reading stays; the next run tries again.",
        ),
        "directory-scope-missing" | "directory-forbidden" => (
            "Google does not let Rollcall read everything",
            "Test the connection on its page; it names the scope and where to grant it.",
        ),
        "directory-key-refused"
        | "directory-sign-in-refused"
        | "directory-administrator-unknown"
        | "directory-api-disabled" => (
            "Google refused the key",
            "Check key, administrator and delegation on the connection page.",
        ),
        "directory-unreachable" | "directory-unavailable" | "directory-throttled" => (
            "Google did not answer",
            "Nothing is planned from it. The next run tries again.",
        ),
        "outdated" => (
            "The plan is no longer true",
            "The set-up was changed since. Preview again and look at what is different.",
        ),
        "scim-endpoint" | "scim-web-page" | "scim-redirect" => (
            "The app did not answer in SCIM",
            "Check that the endpoint is the SCIM one and not a web page.",
        ),
        "scim-no-answer" | "scim-unreachable" | "scim-transient" | "scim-rate-limited" => (
            "The app could not be reached",
            "What was sent stays. The next run goes on from there.",
        ),
        "scope-unresolved" => (
            "A group or org unit can't be found",
            "Choose another one in scope or access, or remove it there.",
        ),
        "scope-unreadable" => (
            "A group could not be read in full",
            "Nothing is planned without its members. Check the administrator's rights; the next run tries again.",
        ),
        "configuration" => (
            "The configuration does not hold",
            "Open the section that is named and save it again.",
        ),
        "token-unreadable" => (
            "The stored access token can't be read",
            "Start Rollcall with the secret key that it was stored with, or authorize the app again.",
        ),
        "database" => (
            "The database did not answer",
            "See the server's log. The run is taken up again by itself.",
        ),
        _ if stopped => ("The run was stopped", "The next run plans the rest anew."),
        _ => (
            "The run ended early",
            "The next run tries again. If it stays, read the cause above.",
        ),
    }
}

fn skip_group(line: run_pages::SkippedLine) -> SkipGroup {
    let names = line.names.into_iter().zip(line.emails);
    SkipGroup {
        reason: line.detail,
        count: number(line.count),
        first: line
            .ids
            .into_iter()
            .zip(names)
            .map(|(id, (name, email))| standing::person(id, name, email))
            .collect(),
    }
}

pub(super) fn operation(operation: Operation, next_try: Option<DateTime<Utc>>) -> OperationRow {
    let is_failure = operation.state == operations::OperationState::Failed;
    let (failure, reason) = match operation.error_message {
        Some(cause) if is_failure => {
            let (title, remedy) =
                remedies::of_operation(operation.error_code.as_deref().unwrap_or_default());
            let problem = RunProblem {
                title: title.to_owned(),
                cause,
                remedy: remedy.to_owned(),
                next_try,
            };
            (Some(problem), operation.reason)
        }
        // Held, or no longer true: that it was not sent matters more than why it was planned.
        Some(message) if !message.is_empty() => (None, message),
        _ => (None, operation.reason),
    };
    OperationRow {
        id: operation.id.0.to_string(),
        person: standing::person(
            operation.person_id.to_string(),
            operation.person_name,
            operation.person_email,
        ),
        kind: standing::kind(operation.plan.kind),
        state: match operation.state {
            operations::OperationState::Planned => OperationState::Planned,
            operations::OperationState::Sending => OperationState::Sending,
            operations::OperationState::Done => OperationState::Done,
            operations::OperationState::Failed => OperationState::Failed,
            operations::OperationState::Held => OperationState::Held,
            operations::OperationState::Superseded => OperationState::Superseded,
        },
        changes: operation
            .plan
            .changes
            .iter()
            .map(|change| Change {
                attribute: standing::attribute(&change.attribute),
                old: change.old.as_ref().and_then(shown),
                new: change.new.as_ref().and_then(shown),
            })
            .collect(),
        reason: standing::in_words(&reason),
        failure,
        at: operation.finished_at,
    }
}

fn state_word(state: OperationState) -> &'static str {
    match state {
        OperationState::Planned => "planned",
        OperationState::Sending => "sending",
        OperationState::Done => "done",
        OperationState::Failed => "failed",
        OperationState::Held => "held",
        OperationState::Superseded => "superseded",
    }
}
