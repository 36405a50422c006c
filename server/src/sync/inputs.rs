//! What planning looks at: the configuration laid against the last import, and people by page
//! with everything that rules ask of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use provisioning::Problem;
use provisioning::catalog::{self, CatalogEntry};
use provisioning::config::{AppConfig, Draft};
use provisioning::identity::{AccountId, GroupId, OrgUnitId, Person, PersonId, Standing};
use provisioning::lifecycle::Lifecycle;
use provisioning::mapping::{ManagerAccount, MappingRow, PreparedMapping, ScimPath};
use provisioning::plan::{Link, PlanContext};
use provisioning::scope::{
    self, DirectoryFacts, GroupFact, GroupMemberships, MemberKind, OrgUnit, Resolved,
};
use sqlx::PgConnection;

use super::client;
use super::engine::Engine;
use super::run::RunError;
use crate::connectors::{Learned, ScimApp};
use crate::store::apps::{self, App};
use crate::store::failures::{self, Failure};
use crate::store::person_decisions::{self, PersonDecision};
use crate::store::{StoreError, access_edits, connection, groups, lifecycles, links, people};

/// People that are planned together; what they need is fetched in a few queries.
pub const PAGE: i64 = 500;

/// Why planning of an app can't begin.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("{0}")]
    Configuration(String),
    #[error("Planning stops, and nothing is sent: {}", sentences(.0))]
    Unresolved(Vec<Problem>),
    #[error("{app} has no access token. Authorize it first.")]
    NoToken { app: String },
    #[error("The access token of {app} can't be read: {cause}")]
    Token { app: String, cause: String },
    #[error("The directory was not read yet.")]
    NoDirectory,
}

fn sentences(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

impl InputError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Configuration(_) => "configuration",
            // It is there, and Google did not show it.
            Self::Unresolved(problems)
                if problems.iter().all(|one| one.code == "group-not-readable") =>
            {
                "scope-unreadable"
            }
            Self::Unresolved(_) => "scope-unresolved",
            Self::NoToken { .. } => "reauthorize",
            Self::Token { .. } => "token-unreadable",
            Self::NoDirectory => "directory-not-read",
        }
    }
}

/// One configuration and one import: the same for everybody in a run.
#[derive(Debug)]
pub struct World {
    pub config: AppConfig,
    pub entry: CatalogEntry,
    pub facts: DirectoryFacts,
    pub resolved: Resolved,
    pub mapping: PreparedMapping,
    /// Matches in it are linked, because an administrator confirms the plan as a whole.
    pub first_plan: bool,
    pub now: DateTime<Utc>,
    pub last_run_at: Option<DateTime<Utc>>,
}

impl World {
    /// Before the app is configured, a preview plans from the wizard's draft.
    pub async fn load(engine: &Engine, app: &App, preview: bool) -> Result<Self, RunError> {
        let mut db = engine.connection().await?;
        let entry = catalog_entry(app)?;
        let mut config = match configuration(&mut db, app).await? {
            Some(config) => config,
            None if preview => draft(&mut db, app)
                .await?
                .unwrap_or_default()
                .complete(&entry)
                .map_err(|problems| InputError::Configuration(sentences(&problems)))?,
            None => {
                return Err(RunError::NotConfigured {
                    app: app.name.clone(),
                });
            }
        };
        leave_out_refused(app, &mut config, &entry);
        let facts = facts(&mut db, &config).await?;
        let problems = scope::unresolved(&config, &facts);
        if !problems.is_empty() {
            return Err(InputError::Unresolved(problems).into());
        }
        Ok(Self {
            resolved: Resolved::new(&config, &facts),
            mapping: PreparedMapping::new(&config.mapping, &entry),
            config,
            entry,
            facts,
            first_plan: !app.first_run_done,
            now: engine.clock.now(),
            last_run_at: app.last_run_at,
        })
    }

    /// The client of the app, within the catalogue's limits and the configuration's.
    pub async fn client(&self, engine: &Engine, app: &App) -> Result<ScimApp, RunError> {
        client::of(engine, app, &self.entry, &self.config).await
    }

    /// The same for everybody in the plan.
    pub fn context(&self) -> PlanContext<'_> {
        PlanContext::new(self.now, &self.config, &self.entry, &self.facts).after(self.last_run_at)
    }

    /// The user name that somebody's account shall have by now.
    pub fn user_name(&self, person: &Person) -> Option<String> {
        self.mapping
            .build(person, &ManagerAccount::None)
            .user_name()
            .map(str::to_owned)
    }
}

/// Optional rows that the app refuses to hear of: nothing is planned from them.
fn leave_out_refused(app: &App, config: &mut AppConfig, entry: &CatalogEntry) {
    let learned = serde_json::from_value::<Learned>(app.learned.clone()).unwrap_or_default();
    let mandatory = |row: &MappingRow| {
        ScimPath::parse(&row.attribute)
            .ok()
            .and_then(|path| entry.attribute(&path))
            .is_some_and(|attribute| attribute.mandatory)
    };
    config
        .mapping
        .retain(|row| mandatory(row) || !learned.refuses(&row.attribute));
}

/// The catalogue entry that an app was added from, with the attributes that the app itself named.
pub fn catalog_entry(app: &App) -> Result<CatalogEntry, InputError> {
    let entry = catalog::entry(&app.catalog).ok_or_else(|| {
        InputError::Configuration(format!(
            "{} was added from the catalogue entry {:?}, which this version does not have.",
            app.name, app.catalog
        ))
    })?;
    let discovered = app
        .facts
        .get("schemas")
        .map(catalog::attributes_from_schemas)
        .unwrap_or_default();
    Ok(if entry.open_attributes {
        entry.clone().with_discovered(discovered)
    } else {
        entry.clone()
    })
}

/// The configuration that counts, `None` while the app is not configured.
pub async fn configuration(
    connection: &mut PgConnection,
    app: &App,
) -> Result<Option<AppConfig>, StoreError> {
    match apps::config(connection, app.id).await? {
        Some(stored) if app.config_version > 0 => {
            crate::store::decode(stored.config, "app_configs", "config", &app.slug).map(Some)
        }
        _ => Ok(None),
    }
}

pub async fn draft(connection: &mut PgConnection, app: &App) -> Result<Option<Draft>, StoreError> {
    match apps::draft(connection, app.id).await? {
        Some(stored) => {
            crate::store::decode(stored.draft, "app_drafts", "draft", &app.slug).map(Some)
        }
        None => Ok(None),
    }
}

/// What the last complete import says of the directory as a whole.
pub async fn facts(
    connection: &mut PgConnection,
    config: &AppConfig,
) -> Result<DirectoryFacts, RunError> {
    let identity = connection::read(connection)
        .await?
        .ok_or(InputError::NoDirectory)?;
    let (Some(customer_id), Some(primary_domain)) = (identity.customer_id, identity.primary_domain)
    else {
        return Err(InputError::NoDirectory.into());
    };
    let units = groups::org_units(connection).await?;
    let paths: BTreeMap<String, String> = units
        .iter()
        .map(|unit| (unit.id.clone(), unit.path.clone()))
        .collect();
    let all_groups = groups::all(connection).await?;
    let read = groups::read_in_import(connection).await?;
    let facts = DirectoryFacts {
        customer_id,
        primary_domain,
        domains: groups::domains(connection)
            .await?
            .into_iter()
            .map(|domain| domain.name)
            .collect(),
        org_units: units
            .into_iter()
            .map(|unit| OrgUnit {
                id: OrgUnitId::from(unit.id),
                path: unit.path,
                name: unit.name,
                parent_path: unit
                    .parent_id
                    .and_then(|parent| paths.get(&parent).cloned()),
            })
            .collect(),
        groups: all_groups
            .into_iter()
            .map(|group| {
                let fact = GroupFact {
                    email: group.email,
                    name: group.name,
                    aliases: group.aliases,
                };
                (GroupId::from(group.id), fact)
            })
            .collect(),
        unreadable_groups: BTreeSet::new(),
    };
    let named = Resolved::new(config, &facts).named_groups();
    let unreadable_groups = named
        .into_iter()
        .filter(|group| !read.contains(group.as_str()))
        .collect();
    Ok(DirectoryFacts {
        unreadable_groups,
        ..facts
    })
}

/// A person with everything that rules ask of them, matches apart.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub person: Person,
    pub purged: bool,
    pub memberships: GroupMemberships,
    pub link: Option<Link>,
    pub lifecycle: Lifecycle,
    pub failure: Option<Failure>,
    pub manager: Option<Manager>,
    /// What an administrator decided about them.
    pub decision: Option<PersonDecision>,
}

/// Whom the person's manager relation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    Unknown {
        email: String,
    },
    Person {
        email: String,
        id: PersonId,
        account: Option<AccountId>,
        /// They are in scope: an account may come in this very run.
        expected: bool,
    },
}

/// The next people in id order. Nobody is held longer than their page.
pub async fn page(
    connection: &mut PgConnection,
    app: &App,
    world: &World,
    after: Option<&PersonId>,
) -> Result<Vec<Candidate>, StoreError> {
    let people = people::page(connection, after, PAGE).await?;
    complete(connection, app, world, people).await
}

/// These people, those whom the directory has.
pub async fn some(
    connection: &mut PgConnection,
    app: &App,
    world: &World,
    ids: &[String],
) -> Result<Vec<Candidate>, StoreError> {
    let people = people::by_ids(connection, ids).await?;
    complete(connection, app, world, people).await
}

/// The same without those whose plan can't have changed since they were settled under this world.
pub async fn page_to_plan(
    connection: &mut PgConnection,
    app: &App,
    world: &World,
    hash: &[u8],
    after: Option<&PersonId>,
) -> Result<Vec<Candidate>, StoreError> {
    let people = people::page_to_plan(connection, app.id, hash, after, PAGE).await?;
    complete(connection, app, world, people).await
}

pub async fn one(
    connection: &mut PgConnection,
    app: &App,
    world: &World,
    id: &PersonId,
) -> Result<Option<Candidate>, StoreError> {
    let people: Vec<_> = people::get(connection, id).await?.into_iter().collect();
    Ok(complete(connection, app, world, people).await?.pop())
}

async fn complete(
    connection: &mut PgConnection,
    app: &App,
    world: &World,
    people: Vec<people::StoredPerson>,
) -> Result<Vec<Candidate>, StoreError> {
    let ids: Vec<String> = people
        .iter()
        .map(|stored| stored.person.id.to_string())
        .collect();
    let mut memberships = memberships(connection, &ids).await?;
    let mut links: BTreeMap<PersonId, Link> = links::of_people(connection, app.id, &ids)
        .await?
        .into_iter()
        .collect();
    let mut clocks: BTreeMap<PersonId, Lifecycle> = lifecycles::of_people(connection, app.id, &ids)
        .await?
        .into_iter()
        .collect();
    let mut decided = person_decisions::of_people(connection, app.id, &ids).await?;
    let mut failed: BTreeMap<String, Failure> = failures::of_people(connection, app.id, &ids)
        .await?
        .into_iter()
        .map(|failure| (failure.person_id.clone(), failure))
        .collect();
    let mut emails: Vec<String> = people
        .iter()
        .filter_map(|stored| manager_key(&stored.person))
        .collect();
    emails.sort();
    emails.dedup();
    let managers: BTreeMap<String, people::Addressed> =
        people::addressed(connection, app.id.0, &emails)
            .await?
            .into_iter()
            .map(|addressed| (addressed.address.clone(), addressed))
            .collect();
    let expected = expected_managers(connection, world, managers.values()).await?;
    Ok(people
        .into_iter()
        .map(|stored| {
            let id = stored.person.id.clone();
            let manager = manager_key(&stored.person).map(|email| match managers.get(&email) {
                None => Manager::Unknown { email },
                Some(found) => Manager::Person {
                    email,
                    id: PersonId::from(found.person_id.clone()),
                    account: live_account(found),
                    expected: expected.contains(&found.person_id),
                },
            });
            Candidate {
                memberships: memberships.remove(id.as_str()).unwrap_or_default(),
                link: links.remove(&id),
                lifecycle: clocks.remove(&id).unwrap_or_default(),
                failure: failed.remove(id.as_str()),
                decision: decided.remove(&id),
                manager,
                purged: stored.purged,
                person: stored.person,
            }
        })
        .collect())
}

/// The account of a candidate's manager, for a mapping that asks for it.
pub fn manager_account(mapping: &PreparedMapping, candidate: &Candidate) -> ManagerAccount {
    if !mapping.maps_manager() {
        return ManagerAccount::NotMapped;
    }
    match &candidate.manager {
        None => ManagerAccount::None,
        Some(Manager::Unknown { email }) => ManagerAccount::Unresolved {
            email: email.clone(),
            expected: false,
        },
        Some(Manager::Person {
            account: Some(account),
            ..
        }) => ManagerAccount::Account(account.clone()),
        Some(Manager::Person {
            email,
            expected,
            account: None,
            ..
        }) => ManagerAccount::Unresolved {
            email: email.clone(),
            expected: *expected,
        },
    }
}

/// Of which named groups these people are members, by their ids.
pub async fn memberships(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<BTreeMap<String, GroupMemberships>, StoreError> {
    let mut memberships: BTreeMap<String, GroupMemberships> = BTreeMap::new();
    for reached in people::reached(connection, ids).await? {
        let of_person = memberships.entry(reached.person_id).or_default();
        let root = GroupId::from(reached.root_id);
        let path: Vec<GroupId> = reached.path.into_iter().map(GroupId::from).collect();
        let kind = if path.is_empty() {
            MemberKind::Direct
        } else {
            MemberKind::Nested { path }
        };
        let better = match (of_person.get(&root), &kind) {
            (None, _) | (Some(MemberKind::Nested { .. }), MemberKind::Direct) => true,
            (Some(MemberKind::Nested { path: known }), MemberKind::Nested { path }) => {
                (path.len(), path) < (known.len(), known)
            }
            (Some(MemberKind::Direct), _) => false,
        };
        if better {
            of_person.insert(root, kind);
        }
    }
    Ok(memberships)
}

/// An account that was deleted or is gone is nobody's manager.
fn live_account(found: &people::Addressed) -> Option<AccountId> {
    let live = matches!(
        found.link_state.as_deref(),
        Some("active" | "suspended_by_us")
    );
    found
        .account_id
        .clone()
        .filter(|_| live)
        .map(AccountId::from)
}

/// Managers who have no account yet and are in scope, so that one may come in this run.
async fn expected_managers(
    connection: &mut PgConnection,
    world: &World,
    managers: impl Iterator<Item = &people::Addressed>,
) -> Result<BTreeSet<String>, StoreError> {
    let ids: Vec<String> = managers
        .filter(|found| live_account(found).is_none())
        .map(|found| found.person_id.clone())
        .collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let memberships = memberships(connection, &ids).await?;
    let nowhere = GroupMemberships::default();
    Ok(people::by_ids(connection, &ids)
        .await?
        .into_iter()
        .filter(|stored| {
            let of_person = memberships
                .get(stored.person.id.as_str())
                .unwrap_or(&nowhere);
            stored.person.standing == Standing::Active
                && world.resolved.decide(&stored.person, of_person).in_scope
        })
        .map(|stored| stored.person.id.into_string())
        .collect())
}

fn manager_key(person: &Person) -> Option<String> {
    person.manager_reference().map(str::to_lowercase)
}

/// Groups whose members an import must list: those that any configuration or draft names.
pub async fn named_groups(
    engine: &Engine,
) -> Result<(BTreeSet<GroupId>, BTreeSet<String>), RunError> {
    let mut db = engine.connection().await?;
    let (mut ids, mut emails) = (BTreeSet::new(), BTreeSet::new());
    for app in apps::list(&mut db).await? {
        let mut note = |group: &provisioning::config::GroupRef| match &group.id {
            Some(id) => drop(ids.insert(id.clone())),
            None => drop(emails.insert(group.email.to_lowercase())),
        };
        if let Some(config) = configuration(&mut db, &app).await? {
            config.groups().for_each(&mut note);
        }
        if let Some(draft) = draft(&mut db, &app).await? {
            let access = draft.access.iter().flat_map(|access| &access.groups_on);
            let scope = draft
                .scope
                .iter()
                .flat_map(|scope| scope.groups.iter().map(|entry| &entry.group));
            access.chain(scope).for_each(&mut note);
        }
        if let Some(edit) = access_edits::get(&mut db, app.id).await? {
            edit.groups_on.iter().for_each(&mut note);
        }
    }
    Ok((ids, emails))
}

/// Fills in ids and present names of groups, org units and protected people after an import.
/// That is no change of the configuration, so it makes no version of it.
pub async fn resolve_names(engine: &Engine) -> Result<(), RunError> {
    let mut db = engine.connection().await?;
    for app in apps::list(&mut db).await? {
        let Some(mut config) = configuration(&mut db, &app).await? else {
            continue;
        };
        let facts = facts(&mut db, &config).await?;
        let mut changed = config.resolve_ids(&facts);
        for protected in config
            .safety
            .protected
            .iter_mut()
            .filter(|person| person.id.is_none())
        {
            if let [only] = people::find(&mut db, &protected.email).await?.as_slice() {
                protected.id = Some(only.clone());
                changed = true;
            }
        }
        if changed {
            apps::fill_config(&mut db, app.id, app.config_version, &config).await?;
        }
    }
    Ok(())
}
