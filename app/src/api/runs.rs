//! Runs: what was planned, how far it is, what was done, and what failed.

use super::{
    ApiError,
    terms::{AppHead, Change, Counts, OperationKind, Paging, PersonRef, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    First,
    Scheduled,
    ByHand,
    Preview,
    /// For one person, or a few, who were read alone.
    OnePerson,
    SomePeople,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    Waiting,
    Running,
    Completed,
    /// Completed, and some people failed.
    CompletedWithFailures,
    /// Completed, and removals are held.
    Held,
    Stopped,
    Failed,
    /// A preview that is ready to be looked at.
    Planned,
}

impl RunState {
    /// Nothing more will happen by itself.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    pub number: i64,
    pub kind: RunKind,
    pub state: RunState,
    pub by: Option<String>,
    pub started_at: Time,
    pub seconds: Option<u32>,
    pub planned: Counts,
    pub done: Counts,
    pub failed: u32,
    pub held: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    pub head: AppHead,
    pub rows: Vec<RunRow>,
    pub paging: Paging,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub head: AppHead,
    pub row: RunRow,
    pub finished_at: Option<Time>,
    /// Import, Plan, Check, Apply, Record.
    pub stages: Vec<Stage>,
    pub progress: Option<RunProgress>,
    pub directory_read_at: Option<Time>,
    pub problem: Option<RunProblem>,
    /// The app asked to slow down.
    pub throttled: Option<Throttled>,
    pub requests: u32,
    pub skipped: Vec<SkipGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    pub name: String,
    pub state: StageState,
    /// "250 people, 3 s", "nothing held", "to come".
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    Done,
    Current,
    ToCome,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    pub done: u32,
    pub of: u32,
    /// Operations in 10 seconds.
    pub per_10_seconds: Option<u32>,
    pub seconds_left: Option<u32>,
    pub concurrency: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProblem {
    pub title: String,
    pub cause: String,
    pub remedy: String,
    pub next_try: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttled {
    pub at: Time,
    pub seconds: u32,
}

/// People for whom nothing is done, by the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkipGroup {
    pub reason: String,
    pub count: u32,
    pub first: Vec<PersonRef>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedQuery {
    /// Key of the rule that decided.
    pub rule: Option<String>,
    /// What that rule said, exactly.
    pub why: Option<String>,
    /// Letters of a name or an address.
    pub q: Option<String>,
    #[serde(default)]
    pub page: u32,
}

/// Everybody for whom a run does nothing, each with the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedList {
    pub head: AppHead,
    pub number: i64,
    /// People whom the run counted; who they were is kept for an app's newest runs.
    pub counted: u32,
    /// Key, name and number of people.
    pub rules: Vec<(String, String, u32)>,
    pub rows: Vec<super::concerned::ConcernedRow>,
    pub paging: Paging,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    Planned,
    Sending,
    Done,
    Failed,
    Held,
    Superseded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRow {
    pub id: String,
    pub person: PersonRef,
    pub kind: OperationKind,
    pub state: OperationState,
    pub changes: Vec<Change>,
    pub reason: String,
    pub failure: Option<RunProblem>,
    pub at: Option<Time>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationsQuery {
    pub kind: Option<OperationKind>,
    pub state: Option<OperationState>,
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    pub rows: Vec<OperationRow>,
    pub paging: Paging,
}

#[server(endpoint = "runs")]
pub async fn load_runs(slug: String, page: u32) -> Result<RunList, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.runs.list(&slug, page).await)
}

/// A run with what it did, and first what did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPage {
    pub run: Run,
    pub failures: Operations,
    pub operations: Operations,
}

#[server(endpoint = "run")]
pub async fn load_run(
    slug: String,
    number: i64,
    #[server(default)] kind: Option<OperationKind>,
    #[server(default)] page: Option<u32>,
) -> Result<RunPage, ApiError> {
    let (_, services) = super::signed_in()?;
    let run = super::answer(services.runs.run(&slug, number).await)?;
    let of = |kind, state, page| {
        let query = OperationsQuery { kind, state, page };
        services.runs.operations(&slug, number, query)
    };
    let failed = of(None, Some(OperationState::Failed), 1);
    Ok(RunPage {
        run,
        failures: super::answer(failed.await)?,
        operations: super::answer(of(kind, None, page.unwrap_or(1)).await)?,
    })
}

#[server(endpoint = "skipped")]
pub async fn load_skipped(
    slug: String,
    number: i64,
    #[server(default)] query: SkippedQuery,
) -> Result<SkippedList, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.runs.skipped(&slug, number, query).await)
}

#[server(endpoint = "start_run")]
pub async fn start_run(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let number = super::answer(services.runs.start(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/runs/{number}"));
    Ok(())
}

#[server(endpoint = "read_back")]
pub async fn read_back(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let number = super::answer(services.runs.read_back(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/runs/{number}"));
    Ok(())
}

#[server(endpoint = "preview_run")]
pub async fn preview_run(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let number = super::answer(services.runs.preview(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/runs/{number}"));
    Ok(())
}

#[server(endpoint = "approve_run")]
pub async fn approve_run(slug: String, number: i64) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let number = super::answer(services.runs.approve(&actor, &slug, number).await)?;
    super::redirect_to(&format!("/apps/{slug}/runs/{number}"));
    Ok(())
}

#[server(endpoint = "stop_run")]
pub async fn stop_run(slug: String, number: i64) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.runs.stop(&actor, &slug, number).await)?;
    super::redirect_to(&format!("/apps/{slug}/runs/{number}"));
    Ok(())
}

#[server(endpoint = "retry_operation")]
pub async fn retry_operation(slug: String, number: i64, operation: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.runs.retry(&actor, &slug, &operation).await)?;
    super::redirect_to(&format!("/apps/{slug}/runs/{number}"));
    Ok(())
}
