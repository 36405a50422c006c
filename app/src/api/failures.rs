//! What did not work for somebody in an app, why, and what helps (S8.6).

use super::{
    ApiError,
    terms::{AppHead, OperationKind, Paging, PersonRef, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// How a failure goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureState {
    /// It is tried again at `next_try`, or with the next run.
    TriedAgain,
    /// Not before something changes or somebody asks.
    ForGood,
    /// Somebody chose to ignore it until its cause changes.
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRow {
    pub person: PersonRef,
    pub kind: OperationKind,
    pub state: FailureState,
    /// Short: "The user name is taken".
    pub title: String,
    /// What the app answered, or what was found, in a sentence.
    pub cause: String,
    pub remedy: String,
    /// As in the log, for searching.
    pub code: String,
    pub attempts: u32,
    pub first_at: Time,
    pub last_at: Time,
    pub next_try: Option<Time>,
    /// The run in which it failed last.
    pub run: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureList {
    pub head: AppHead,
    pub now: Time,
    pub rows: Vec<FailureRow>,
    pub paging: Paging,
    /// How many wait for another try, failed for good, and are ignored; whatever is filtered.
    pub tried_again: u32,
    pub for_good: u32,
    pub ignored: u32,
    pub may_decide: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailuresQuery {
    /// Part of a name, an address or a cause.
    pub q: Option<String>,
    /// Nothing chosen: all that are not ignored.
    pub state: Option<FailureState>,
    pub kind: Option<OperationKind>,
    pub page: u32,
}

#[server(endpoint = "failures")]
pub async fn load_failures(
    slug: String,
    #[server(default)] query: FailuresQuery,
) -> Result<FailureList, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.failures.list(&actor, &slug, query).await)
}

/// Tries again at once; an ignored failure is not ignored any more. Without a person: all that are
/// not ignored.
#[server(endpoint = "retry_failure")]
pub async fn retry_failure(
    slug: String,
    #[server(default)] person: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let person = super::filled(person);
    let retried = (services.failures)
        .retry(&actor, &slug, person.as_deref())
        .await;
    super::answer(retried)?;
    super::redirect_to(&format!("/apps/{slug}/failures"));
    Ok(())
}

/// Ignores it until its cause changes.
#[server(endpoint = "ignore_failure")]
pub async fn ignore_failure(slug: String, person: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.failures.ignore(&actor, &slug, &person).await)?;
    super::redirect_to(&format!("/apps/{slug}/failures"));
    Ok(())
}
