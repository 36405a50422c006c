//! The source: connection, people, groups, org units.

use super::{
    ApiError,
    demo::DemoCredentials,
    on_demand::PersonRun,
    terms::{Outcome, Paging, PersonRef, Time, Trigger},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `None` until a connection is saved.
    pub saved: Option<SavedConnection>,
    pub default_endpoint: String,
    /// In the order in which Google's page lists them.
    pub scopes: Vec<ScopeCheck>,
    pub checked_at: Option<Time>,
    pub last_import: Option<ImportFacts>,
    pub last_complete: Option<ImportFacts>,
    pub running: Option<ImportProgress>,
    pub question: Option<DirectoryQuestion>,
    pub push: Push,
}

/// Whether Google says at once that people changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// No public https address is set.
    Unreachable,
    /// It is being set up.
    Starting,
    On {
        until: Time,
        last: Option<Time>,
    },
    Refused {
        problem: String,
        next_try: Option<Time>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedConnection {
    pub client_email: String,
    /// What to enter under domain-wide delegation in Google's Admin console.
    pub client_id: Option<String>,
    pub key_id: Option<String>,
    pub token_uri: String,
    pub admin_email: String,
    pub endpoint: String,
    pub customer: String,
    pub primary_domain: Option<String>,
    pub saved_at: Time,
    pub saved_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeCheck {
    /// The full URL of the scope.
    pub scope: String,
    /// What it is for: "Read people".
    pub purpose: String,
    pub result: ScopeResult,
    /// One sentence: what is missing and where to grant it.
    pub sentence: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeResult {
    Untested,
    Granted,
    Missing,
    Failed,
}

/// What nothing is planned from until an administrator confirms it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectoryQuestion {
    OtherDirectory(DirectoryChange),
    FarFewerPeople { before: u32, now: u32 },
}

/// What an administrator confirms, as the page showed it.
#[cfg(feature = "ssr")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    Directory { customer: String, domain: String },
    People(u32),
}

/// Another directory answered than at the first import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryChange {
    pub recorded_customer: String,
    pub seen_customer: String,
    pub recorded_domain: String,
    pub seen_domain: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFacts {
    pub started_at: Time,
    pub finished_at: Option<Time>,
    pub outcome: Outcome,
    /// What went wrong, what it means, in one or two sentences.
    pub problem: Option<String>,
    pub people: u32,
    pub deleted: u32,
    pub groups: u32,
    pub org_units: u32,
    pub requests: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    pub started_at: Time,
    /// "People", "Groups" and so on.
    pub stage: String,
    pub people: u32,
    pub groups: u32,
    pub pages: u32,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct ConnectionForm {
    /// The service-account key, a JSON text.
    pub key: Option<crate::services::Secret>,
    pub admin_email: String,
    pub endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PersonState {
    Active,
    Suspended,
    Archived,
    Deleted,
    /// Google did not say.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleQuery {
    pub q: Option<String>,
    pub state: Option<PersonState>,
    /// Path of an org unit, those below included.
    pub org_unit: Option<String>,
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    pub rows: Vec<PersonRow>,
    pub paging: Paging,
    pub read_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRow {
    pub person: PersonRef,
    pub state: PersonState,
    pub title: Option<String>,
    pub org_unit: String,
    /// Name of each app in which the person has an account.
    pub accounts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub person: PersonRef,
    pub state: PersonState,
    pub guest: bool,
    pub title: Option<String>,
    pub department: Option<String>,
    pub manager: Option<PersonRef>,
    pub org_unit: String,
    pub aliases: Vec<String>,
    /// Groups of which the memberships are known.
    pub groups: Vec<(String, String)>,
    pub read_at: Option<Time>,
    pub apps: Vec<PersonApp>,
    pub timeline: Vec<TimelineItem>,
    /// Whoever reads this may decide.
    pub may_decide: bool,
}

/// A person and one app: what is, why, and what comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonApp {
    pub slug: String,
    pub name: String,
    /// "Active", "Suspended", "None".
    pub account_state: String,
    pub account_id: Option<String>,
    pub since: Option<Time>,
    /// "Gets an account with the next run", "Has no account: in none of the groups".
    pub headline: String,
    pub rules: Vec<RuleLine>,
    pub next: Option<NextStep>,
    /// What an administrator decides, or decided, about the account.
    pub undecided: Option<super::accounts::UndecidedRow>,
    /// Removals never concern this person.
    pub protected: bool,
    /// Autoprovisioning is on.
    pub is_on: bool,
    /// The newest run for this person alone.
    pub run: Option<PersonRun>,
}

/// One rule of why or why not, in the order in which the rules are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    pub rule: String,
    pub result: RuleResult,
    /// Short: "active", "app is on", "in none of the three".
    pub answer: String,
    pub detail: String,
    pub decides: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleResult {
    Passed,
    Refused,
    Waits,
    NotAsked,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    pub step: super::terms::OperationKind,
    pub trigger: Option<Trigger>,
    /// `None`: at the next run.
    pub due: Option<Time>,
    pub held: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineItem {
    pub at: Time,
    pub event: String,
    /// Id of the event in the log.
    pub id: Option<String>,
    pub kind: Option<super::terms::OperationKind>,
    pub failed: bool,
    pub app: Option<String>,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsQuery {
    pub q: Option<String>,
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    pub rows: Vec<GroupRow>,
    pub paging: Paging,
    pub read_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    pub id: String,
    pub name: String,
    pub email: String,
    /// What Google says; includes groups and people from outside.
    pub direct: Option<u32>,
    /// People with those of nested groups; `None` when its memberships are not read.
    pub people: Option<u32>,
    /// Names of the apps whose scope or access names it.
    pub used_by: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPage {
    pub group: GroupRow,
    pub description: Option<String>,
    pub members: Vec<GroupMember>,
    pub paging: Paging,
    pub parents: Vec<(String, String)>,
    pub read_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    pub kind: MemberKind,
    pub id: String,
    pub name: String,
    pub email: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberKind {
    Person,
    Group,
    Outside,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgUnits {
    pub rows: Vec<OrgUnitRow>,
    pub read_at: Option<Time>,
}

/// In the tree's order: each unit right before those below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgUnitRow {
    pub id: String,
    pub path: String,
    pub name: String,
    /// 0 for the top.
    pub depth: u32,
    pub people: u32,
    pub people_below: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupOption {
    pub id: String,
    pub name: String,
    pub email: String,
    pub direct: Option<u32>,
    pub nested: Option<u32>,
    /// Names of the groups that hold it, as far as their members were read.
    pub inside: Vec<String>,
    /// Why it can't be chosen: "Only people from outside: nobody would be provisioned".
    pub refused: Option<String>,
}

/// The connection, and what a demo fills in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionPage {
    pub connection: Connection,
    pub demo: bool,
    /// No app was added yet: that is what comes next.
    pub no_app: bool,
    pub credentials: Option<DemoCredentials>,
}

#[server(endpoint = "connection")]
pub async fn load_connection(#[server(default)] fill: bool) -> Result<ConnectionPage, ApiError> {
    let (_, services) = super::signed_in()?;
    let connection = super::answer(services.directory.connection().await)?;
    let frame = super::shell::load_frame().await?;
    let credentials = super::demo::credentials_to_fill_in(&frame, fill).await?;
    Ok(ConnectionPage {
        connection,
        demo: frame.demo,
        no_app: frame.apps.is_empty(),
        credentials,
    })
}

#[server(endpoint = "save_connection")]
pub async fn save_connection(
    #[server(default)] key: Option<String>,
    admin_email: String,
    #[server(default)] endpoint: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let form = ConnectionForm {
        key: super::filled(key).map(crate::services::Secret::new),
        admin_email: admin_email.trim().to_owned(),
        endpoint: super::filled(endpoint),
    };
    super::answer(services.directory.save_connection(&actor, form).await)?;
    super::redirect_to("/directory/connection");
    Ok(())
}

#[server(endpoint = "test_connection")]
pub async fn test_connection() -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.directory.test_connection(&actor).await)?;
    super::redirect_to("/directory/connection");
    Ok(())
}

#[server(endpoint = "confirm_directory")]
pub async fn confirm_directory(
    #[server(default)] customer: String,
    #[server(default)] domain: String,
    #[server(default)] people: Option<u32>,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    let confirmed = match people {
        Some(people) => Confirmed::People(people),
        None => Confirmed::Directory { customer, domain },
    };
    super::answer(
        services
            .directory
            .confirm_directory(&actor, confirmed)
            .await,
    )?;
    super::redirect_to("/directory/connection");
    Ok(())
}

#[server(endpoint = "read_directory")]
pub async fn read_directory() -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.directory.read_now(&actor).await)?;
    super::redirect_to("/directory/connection");
    Ok(())
}

#[server(endpoint = "people")]
pub async fn load_people(#[server(default)] query: PeopleQuery) -> Result<People, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.directory.people(query).await)
}

#[server(endpoint = "person")]
pub async fn load_person(id: String) -> Result<Person, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.directory.person(&actor, &id).await)
}

#[server(endpoint = "groups")]
pub async fn load_groups(#[server(default)] query: GroupsQuery) -> Result<Groups, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.directory.groups(query).await)
}

#[server(endpoint = "group")]
pub async fn load_group(id: String, page: u32) -> Result<GroupPage, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.directory.group(&id, page).await)
}

#[server(endpoint = "org_units")]
pub async fn load_org_units() -> Result<OrgUnits, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.directory.org_units().await)
}

#[server(endpoint = "find_groups")]
pub async fn find_groups(letters: String) -> Result<Vec<GroupOption>, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.directory.find_groups(&letters).await)
}

#[server(endpoint = "find_people")]
pub async fn find_people(letters: String) -> Result<Vec<PersonRef>, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.directory.find_people(&letters).await)
}
