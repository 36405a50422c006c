//! Accounts in an app.

use super::{
    ApiError,
    terms::{AppHead, Change, OperationKind, Paging, PersonRef, Time},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    Active,
    Suspended,
    /// It is no longer in the app; somebody has to decide.
    Gone,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsQuery {
    pub q: Option<String>,
    pub state: Option<AccountState>,
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountList {
    pub head: AppHead,
    pub rows: Vec<AccountRow>,
    pub paging: Paging,
    pub active: u32,
    pub suspended: u32,
    pub gone: u32,
    /// People about whose account only an administrator decides.
    pub undecided: Vec<UndecidedRow>,
    /// Accounts that were not as Rollcall left them when the app was read back last.
    pub differing: u32,
    /// Whoever reads this may decide.
    pub may_decide: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndecidedRow {
    pub person: PersonRef,
    /// Why nothing is done by itself.
    pub why: String,
    /// The account that is gone from the app.
    pub gone: Option<String>,
    /// Accounts with the person's user name.
    pub accounts: Vec<FoundAccount>,
    pub decided: Option<Decided>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundAccount {
    pub id: String,
    pub user_name: String,
    pub active: bool,
}

/// What was decided and is not carried out yet, or stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    Link,
    Leave,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountChoice {
    Link,
    Leave,
    TakeBack,
    CreateAgain,
    Unlink,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    pub person: PersonRef,
    pub account: String,
    pub user_name: String,
    pub state: AccountState,
    /// When it was created or linked.
    pub since: Time,
    pub changed_at: Option<Time>,
    pub next: Option<(OperationKind, Option<Time>)>,
}

/// The question before a link is ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlinkQuestion {
    pub head: AppHead,
    pub person: PersonRef,
    pub account: String,
    pub user_name: String,
    pub state: AccountState,
    /// Whether a step waits that ends with the link.
    pub waits: bool,
    pub may_decide: bool,
}

/// Where the app differs from what Rollcall left there, as last read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    pub head: AppHead,
    pub read_at: Option<Time>,
    /// How often scheduled runs read back; 0 is never.
    pub every_hours: u32,
    pub rows: Vec<DifferenceRow>,
    pub paging: Paging,
    /// The app is on, and whoever reads this may start a run.
    pub may_read: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceRow {
    pub person: PersonRef,
    pub account: String,
    pub kind: DifferenceKind,
    /// What Rollcall had left, and what is there now.
    pub changes: Vec<Change>,
    pub first_found: Time,
    pub last_found: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// Suspended by Rollcall, and active again.
    Active,
    /// Suspended there by somebody else.
    Inactive,
    Values,
    Gone,
}

#[server(endpoint = "differences")]
pub async fn load_differences(slug: String, page: u32) -> Result<Differences, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.accounts.differences(&actor, &slug, page).await)
}

#[server(endpoint = "unlink_question")]
pub async fn load_unlink(slug: String, person: String) -> Result<UnlinkQuestion, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.accounts.unlinking(&actor, &slug, &person).await)
}

#[server(endpoint = "accounts")]
pub async fn load_accounts(
    slug: String,
    #[server(default)] query: AccountsQuery,
) -> Result<AccountList, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.accounts.accounts(&actor, &slug, query).await)
}

/// `account` is the one to link; `back` the page to go back to.
#[server(endpoint = "decide_account")]
pub async fn decide_account(
    slug: String,
    person: String,
    choice: AccountChoice,
    #[server(default)] account: Option<String>,
    #[server(default)] back: String,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let decided = (services.accounts)
        .decide(&actor, &slug, &person, choice, super::filled(account))
        .await;
    super::answer(decided)?;
    if back.is_empty() {
        super::redirect_to(&format!("/apps/{slug}/accounts"));
    } else {
        super::redirect_to(&back);
    }
    Ok(())
}
