//! Accounts in an app.

use super::{
    ApiError,
    terms::{AppHead, OperationKind, Paging, PersonRef, Time},
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

#[server(endpoint = "accounts")]
pub async fn load_accounts(
    slug: String,
    #[server(default)] query: AccountsQuery,
) -> Result<AccountList, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.accounts.accounts(&slug, query).await)
}

/// `account` is the one to link.
#[server(endpoint = "decide_account")]
pub async fn decide_account(
    slug: String,
    person: String,
    choice: AccountChoice,
    #[server(default)] account: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let decided = (services.accounts)
        .decide(&actor, &slug, &person, choice, super::filled(account))
        .await;
    super::answer(decided)?;
    super::redirect_to(&format!("/apps/{slug}/accounts"));
    Ok(())
}
