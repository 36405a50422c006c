//! One person now (S8.3): what happened for somebody in an app, step by step.

use super::{
    ApiError,
    runs::{RunProblem, RunState},
    terms::{Change, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// A run for one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRun {
    pub number: i64,
    pub state: RunState,
    /// Who asked for it; `None` when Google told of a change.
    pub by: Option<String>,
    pub started_at: Time,
    pub finished_at: Option<Time>,
    /// In the order in which they happened; fewer while it is under way.
    pub steps: Vec<PersonStep>,
    /// Why it ended early.
    pub problem: Option<RunProblem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    Passed,
    Refused,
    /// Said for information: nothing decides by it.
    Noted,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonStep {
    /// "Google", "User access", "Mapping", "Plan", "Sent", "Answer" ...
    pub name: String,
    pub result: StepResult,
    pub detail: String,
    /// Old and new values of what was planned.
    pub changes: Vec<Change>,
    /// What was sent, or answered, as text of several lines.
    pub content: Option<String>,
}

/// Provisions one person in one app. Comes back when it is done, or after some seconds. Nothing is
/// done before its time, as by `StepChoice::Now`, so it takes no confirmation.
#[server(endpoint = "provision_now")]
pub async fn provision_now(slug: String, person: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let started = services.runs.provision(&actor, &slug, &person).await;
    super::answer(started)?;
    let person = crate::format::query_value(&person);
    super::redirect_to(&format!("/directory/people/{person}"));
    Ok(())
}

/// The newest run for this person alone, if there ever was one.
#[server(endpoint = "person_run")]
pub async fn load_person_run(slug: String, person: String) -> Result<Option<PersonRun>, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.runs.person_run(&slug, &person).await)
}
