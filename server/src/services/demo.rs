//! The demo's own page: a newcomer changes the emulated directory and watches what follows.

use std::sync::Arc;

use app::api::demo::{
    DemoAccount, DemoChange, DemoCredentials, DemoDeed, DemoPage, DemoPerson, DemoQuery,
};
use app::api::directory::PersonState;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Demo};
use async_trait::async_trait;
use provisioning::event::EventName;
use serde_json::json;
use sqlx::PgPool;

use super::answers::{database, store};
use super::removals::{page_of, total};
use super::standing;
use crate::clock::Clock;
use crate::sandbox::{ADMINISTRATOR, Account, Directory, DirectoryError, Person, Rename, Sandbox};
use crate::store::apps::{self, AppState};
use crate::store::events::{self, NewEvent};

const PER_PAGE: u32 = 25;

#[derive(Clone, Debug)]
pub struct DemoService {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    sandbox: Sandbox,
    /// Where the sandbox listens.
    origin: String,
}

impl DemoService {
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>, sandbox: Sandbox, origin: String) -> Self {
        Self {
            pool,
            clock,
            sandbox,
            origin,
        }
    }

    fn shown(&self, directory: &Directory, person: &Person) -> DemoPerson {
        let account = self.sandbox.account(&person.primary_email).or_else(|| {
            person
                .aliases
                .iter()
                .find_map(|alias| self.sandbox.account(alias))
        });
        DemoPerson {
            id: person.id.as_str().to_owned(),
            given_name: person.given_name.clone(),
            family_name: person.family_name.clone(),
            email: person.primary_email.clone(),
            title: person.title(),
            org_unit: directory.path_of(&person.org_unit),
            state: state(person),
            account: account.map(shown_account),
        }
    }
}

fn state(person: &Person) -> PersonState {
    if person.deleted_at.is_some() {
        PersonState::Deleted
    } else if person.suspended_at.is_some() {
        PersonState::Suspended
    } else if person.archived_at.is_some() {
        PersonState::Archived
    } else {
        PersonState::Active
    }
}

fn shown_account(account: Account) -> DemoAccount {
    let text = |pointer: &str| {
        let value = serde_json::Value::Object(account.attributes.clone());
        value
            .pointer(pointer)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let whole = text("/name/formatted").or_else(|| text("/displayName"));
    let name = whole.unwrap_or_else(|| {
        let part = |pointer| text(pointer).unwrap_or_default();
        format!("{} {}", part("/name/givenName"), part("/name/familyName"))
            .trim()
            .to_owned()
    });
    DemoAccount {
        title: text("/title"),
        name,
        id: account.id,
        user_name: account.user_name,
        active: account.active,
    }
}

#[async_trait]
impl Demo for DemoService {
    async fn credentials(&self) -> Answer<DemoCredentials> {
        Ok(DemoCredentials {
            key: self.sandbox.service_account_key_json(&self.origin),
            admin_email: ADMINISTRATOR.to_owned(),
            directory_endpoint: self.origin.clone(),
            app_endpoint: Sandbox::scim_endpoint(&self.origin),
            app_token: self.sandbox.asana_token(),
        })
    }

    async fn directory(&self, query: DemoQuery) -> Answer<DemoPage> {
        let wanted = query.q.unwrap_or_default().trim().to_lowercase();
        let (people, total, chosen, org_units) = self.sandbox.directory(|directory| {
            let mut found: Vec<_> = directory
                .people
                .values()
                .filter(|person| {
                    let text = format!("{} {}", person.full_name(), person.primary_email);
                    text.to_lowercase().contains(&wanted)
                })
                .collect();
            found.sort_by_key(|person| person.full_name().to_lowercase());
            let total = total(found.len());
            let people: Vec<_> = page_of(found, query.page, PER_PAGE)
                .into_iter()
                .map(|person| self.shown(directory, person))
                .collect();
            let chosen = query
                .person
                .as_deref()
                .and_then(|key| directory.person(key));
            let chosen = chosen.map(|person| self.shown(directory, person));
            let mut units: Vec<_> = directory
                .org_units
                .keys()
                .map(|unit| directory.path_of(unit))
                .collect();
            units.sort();
            (people, total, chosen, units)
        });
        let mut db = self.pool.acquire().await.map_err(database)?;
        let apps = apps::list(&mut db).await.map_err(store)?;
        let on = apps.into_iter().filter(|app| app.state == AppState::On);
        Ok(DemoPage {
            people,
            paging: standing::paging(query.page, PER_PAGE, total),
            chosen,
            org_units,
            apps: on.map(|app| (app.slug.to_string(), app.name)).collect(),
        })
    }

    async fn change(&self, actor: &Actor, change: DemoChange) -> Answer<()> {
        let key = change.person.as_str();
        let filled = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let told = json!({ "change": &change.deed });
        let sentence = sentence(&change.deed);
        let changed = self
            .sandbox
            .change_directory(|directory, now| match change.deed {
                DemoDeed::Rename {
                    given_name,
                    family_name,
                } => match (filled(given_name), filled(family_name)) {
                    (Some(given_name), Some(family_name)) => directory.rename(
                        key,
                        Rename {
                            given_name: Some(given_name),
                            family_name: Some(family_name),
                            primary_email: None,
                        },
                    ),
                    _ => Err(DirectoryError::NameMissing),
                },
                DemoDeed::ChangeEmail { email } => {
                    let primary_email = Some(email.trim().to_owned());
                    directory.rename(
                        key,
                        Rename {
                            primary_email,
                            ..Rename::default()
                        },
                    )
                }
                DemoDeed::ChangeTitle { title } => {
                    directory.set_title(key, filled(title).as_deref())
                }
                DemoDeed::Move { org_unit } => directory.move_to(key, &org_unit),
                DemoDeed::Suspend => directory.suspend(key, now),
                DemoDeed::Restore => directory.restore(key),
                DemoDeed::Archive => directory.archive(key, now),
                DemoDeed::Unarchive => directory.unarchive(key),
                DemoDeed::Delete => directory.delete(key, now),
                DemoDeed::Undelete => directory.undelete(key, now),
            });
        let person = changed.map_err(|error| refused(&error))?;
        let now = self.clock.now();
        let mut db = self.pool.acquire().await.map_err(database)?;
        let event = NewEvent::new(now, EventName::SandboxChanged, &actor.email)
            .person(person.id.as_str(), &person.primary_email)
            .reason(sentence)
            .detail(told);
        events::record(&mut db, &event).await.map_err(store)?;
        Ok(())
    }
}

/// The change in the log's words.
fn sentence(deed: &DemoDeed) -> &'static str {
    match deed {
        DemoDeed::Rename { .. } => "Renamed in the emulated directory",
        DemoDeed::ChangeEmail { .. } => "Given another address in the emulated directory",
        DemoDeed::ChangeTitle { .. } => "Given another title in the emulated directory",
        DemoDeed::Move { .. } => "Moved to another org unit of the emulated directory",
        DemoDeed::Suspend => "Suspended in the emulated directory",
        DemoDeed::Restore => "Restored in the emulated directory",
        DemoDeed::Archive => "Archived in the emulated directory",
        DemoDeed::Unarchive => "No longer archived in the emulated directory",
        DemoDeed::Delete => "Deleted from the emulated directory",
        DemoDeed::Undelete => "Undeleted in the emulated directory",
    }
}

fn refused(error: &DirectoryError) -> ApiError {
    use DirectoryError as E;
    match error {
        E::UnknownPerson(_) => ApiError::not_found(),
        E::UnknownOrgUnit(_) => ApiError::field("org_unit", FieldCode::OrgUnitUnknown),
        E::AddressTaken(_) => ApiError::field("email", FieldCode::Taken),
        E::AddressOutside(_) => ApiError::field("email", FieldCode::NotAnEmail),
        E::NameMissing => ApiError::field("given_name", FieldCode::Required),
        E::UnknownGroup(_) | E::Deleted(_) | E::NotRestorable(_) => {
            ApiError::new(ErrorCode::Conflict)
        }
    }
}
