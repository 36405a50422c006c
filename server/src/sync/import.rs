//! Reads the directory whole, or not at all (S1.3, S1.4).
//!
//! Pages go to a staging table as they arrive and become the directory in one transaction at the
//! end. Whatever casts doubt on a listing ends the import, and the last complete one stays.

mod members;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use provisioning::event::EventName;
use provisioning::identity::{GroupId, Person, PersonId, Standing};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

pub(crate) use self::members::member_row;
pub use self::members::reach;

use super::engine::Engine;
use super::{alone, tenant};
use crate::connectors::{DirectoryError, GoogleDirectory, PersonLookup, UserListing};
use crate::store::events::{self, NewEvent};
use crate::store::imports::{
    self, DomainRow, GroupRow, ImportCounts, ImportId, OrgUnitRow, ReadPerson, SmallListings,
    Vanished,
};
use crate::store::{StoreError, connection, people, statistics};

/// More people without their flags than this share fail the import (S1.4).
const MOST_UNKNOWN_PERCENT: usize = 1;
/// Requests in flight where order does not matter; well under Google's concurrency quota.
const IN_FLIGHT: usize = 6;
/// Before Google's word that something is gone is taken, it is asked again this much later.
pub(super) const SECOND_LOOK: Duration = Duration::from_secs(5);
/// From so many people on, losing more than half of them at once has to be confirmed.
const FEWEST_TO_SHRINK: i64 = 20;
/// Of people who vanished in masses, so many are asked for by name.
const SAMPLE: usize = 20;
/// How many odd objects are kept by name; the rest is only counted.
const MOST_ODD_KEPT: usize = 200;

/// Why nothing came of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("No directory is connected. Connect Google Workspace first.")]
    NotConnected,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "The directory belongs to customer {seen_customer} with primary domain {seen_domain}, but {customer} with {domain} was recorded at the first import. Every app stops until an administrator confirms the change on the directory page."
    )]
    OtherTenant {
        customer: String,
        domain: String,
        seen_customer: String,
        seen_domain: String,
    },
    #[error(
        "Google listed {unknown} of {people} people without saying whether they are suspended or archived. Nothing is planned from such a reading; check that the administrator may read all users."
    )]
    FlagsMissing { unknown: usize, people: usize },
    #[error(
        "Google left {email} out of its listings, but knows them when asked. The listing is not complete, twice in a row. Nothing is planned from it; the next run tries again."
    )]
    LeftOut { email: String },
    #[error(
        "Google did not say whose directory this is (customer id and primary domain). Nothing is planned from such a reading."
    )]
    Nameless,
    #[error("Google listed nobody at all. Nothing is planned from such a reading.")]
    Nobody,
    #[error(
        "Only {listed} people are in the directory now, and {gone} of the {before} who were there last are not among them. Nothing is planned from such a reading until an administrator confirms it on the directory page or with rollcall directory confirm."
    )]
    Shrunk { before: i64, gone: i64, listed: i32 },
    #[error("The reading was ended before it was complete. Nothing is planned from it.")]
    Interrupted,
    #[error(
        "Another process gave up this reading of the directory, because it showed no sign of life."
    )]
    Lost,
    #[error("{0}")]
    Setup(String),
}

impl ImportError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConnected => "directory-not-connected",
            Self::Directory(error) => error.code(),
            Self::Store(_) => "database",
            Self::OtherTenant { .. } => "directory-changed",
            Self::FlagsMissing { .. } => "directory-flags-missing",
            Self::LeftOut { .. } | Self::Nobody | Self::Nameless => "directory-incomplete",
            Self::Shrunk { .. } => "directory-shrunk",
            Self::Interrupted => "import-interrupted",
            Self::Lost => "import-lost",
            Self::Setup(_) => "directory-settings",
        }
    }
}

/// Reads everything, with the members of `named` groups and of the groups nested in them.
///
/// `named_emails` are groups that a configuration file names by address and that have no id yet.
/// What became of it is told in the log as `actor`'s doing.
pub async fn read_directory(
    engine: &Engine,
    directory: &GoogleDirectory,
    import: ImportId,
    named: &BTreeSet<GroupId>,
    named_emails: &BTreeSet<String>,
    actor: &str,
) -> Result<ImportCounts, ImportError> {
    let identity = confirm_identity(engine, directory).await?;
    let mut reading = Reading {
        engine,
        directory,
        import,
        confirmed_people: identity.confirmed_people,
        odd: Odd::default(),
        counts: ImportCounts::default(),
        small: SmallListings::default(),
    };
    reading.small_listings().await?;
    reading.everybody().await?;
    reading.members(named, named_emails).await?;
    statistics::refresh_staging(&mut *engine.connection().await?).await?;

    let requests = engine.requests().directory;
    reading.counts.requests = i64::try_from(requests).unwrap_or(i64::MAX);
    let counts = reading.counts;
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    let odd = reading.odd.as_json();
    if !imports::merge(&mut transaction, import, &reading.small, &counts, &odd, now).await? {
        return Err(ImportError::Lost);
    }
    connection::record_identity(&mut transaction, &identity.customer, &identity.domain).await?;
    tenant::resume_apps(
        &mut transaction,
        actor,
        "The recorded directory answers again",
        now,
    )
    .await?;
    let found = format!(
        "{} people, {} groups, {} org units",
        counts.people, counts.groups, counts.org_units
    );
    let event = NewEvent::new(now, EventName::ImportCompleted, actor).reason(found);
    events::record(&mut transaction, &event).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    statistics::refresh(&mut *engine.connection().await?).await?;
    Ok(counts)
}

/// Whose directory it is, the same as was recorded if anything was.
pub(super) struct Identity {
    customer: String,
    domain: String,
    confirmed_people: Option<i32>,
}

/// Compares whose directory this is with what was recorded (S1.1).
pub(super) async fn confirm_identity(
    engine: &Engine,
    directory: &GoogleDirectory,
) -> Result<Identity, ImportError> {
    let customer = directory.customer().await?;
    let (Some(seen_customer), Some(seen_domain)) =
        (text(&customer, "id"), text(&customer, "customerDomain"))
    else {
        return Err(ImportError::Nameless);
    };
    let seen_domain = seen_domain.to_lowercase();
    let mut db = engine.connection().await?;
    let recorded = connection::read(&mut db)
        .await?
        .ok_or(ImportError::NotConnected)?;
    match (recorded.customer_id, recorded.primary_domain) {
        (Some(customer), Some(domain)) if customer != seen_customer || domain != seen_domain => {
            Err(ImportError::OtherTenant {
                customer,
                domain,
                seen_customer,
                seen_domain,
            })
        }
        _ => Ok(Identity {
            customer: seen_customer,
            domain: seen_domain,
            confirmed_people: recorded.confirmed_people,
        }),
    }
}

struct Reading<'a> {
    engine: &'a Engine,
    directory: &'a GoogleDirectory,
    import: ImportId,
    /// So few people are right, an administrator said.
    confirmed_people: Option<i32>,
    odd: Odd,
    counts: ImportCounts,
    small: SmallListings,
}

impl Reading<'_> {
    async fn small_listings(&mut self) -> Result<(), ImportError> {
        for unit in self.directory.org_units().await? {
            match org_unit(&unit) {
                Some(row) => self.small.org_units.push(row),
                None => self.odd.note(
                    "org unit",
                    text(&unit, "orgUnitPath"),
                    "it has no id or no path",
                ),
            }
        }
        for domain in self.directory.domains().await? {
            if let Some(name) = text(&domain, "domainName") {
                self.small.domains.push(DomainRow {
                    name: name.to_lowercase(),
                    is_primary: domain
                        .get("isPrimary")
                        .and_then(Value::as_bool)
                        .unwrap_or(false),
                });
            }
        }
        let mut listing = self.directory.groups();
        while let Some(page) = listing.next_page().await? {
            for group in page {
                match group_row(&group) {
                    Some(row) => self.small.groups.push(row),
                    None => {
                        self.odd
                            .note("group", text(&group, "email"), "it has no id or no address")
                    }
                }
            }
            self.beat().await?;
        }
        self.counts.org_units = count(self.small.org_units.len());
        self.counts.groups = count(self.small.groups.len());
        Ok(())
    }

    /// Both listings of people, and everybody who is in neither but was there last time.
    async fn everybody(&mut self) -> Result<(), ImportError> {
        let (mut second_try, mut lapsed) = (false, false);
        loop {
            let odd_people = match self.both_listings().await {
                // Google gives a page token three days; one that lapses is worth one new start.
                Err(ImportError::Directory(DirectoryError::ListingExpired { .. })) if !lapsed => {
                    lapsed = true;
                    let mut db = self.engine.connection().await?;
                    imports::clear_staged_people(&mut db, self.import).await?;
                    continue;
                }
                listed => listed?,
            };
            match self.missing(&odd_people).await? {
                None => return Ok(()),
                Some(email) if second_try => return Err(ImportError::LeftOut { email }),
                Some(email) => {
                    tracing::warn!(
                        import = self.import.0,
                        "a person was left out of the listing; reading it again"
                    );
                    drop(email);
                    second_try = true;
                    let mut db = self.engine.connection().await?;
                    imports::clear_staged_people(&mut db, self.import).await?;
                }
            }
        }
    }

    async fn both_listings(&mut self) -> Result<BTreeSet<String>, ImportError> {
        let mut odd_people = BTreeSet::new();
        let (mut listed, mut unknown) = (0, 0);
        let mut db = self.engine.connection().await?;
        let written = imports::written(&mut db).await?;
        drop(db);
        for (kind, deleted) in [(UserListing::Current, false), (UserListing::Deleted, true)] {
            let mut staged = 0;
            let mut listing = self.directory.users(kind);
            while let Some(page) = listing.next_page_unread().await? {
                let mut seen = Vec::with_capacity(page.len());
                let mut parsed = Vec::new();
                for user in &page {
                    let hash = written_as(user.digest(), kind);
                    if written.contains(&hash) {
                        seen.push(hash);
                        continue;
                    }
                    let user = user.json();
                    match Person::from_google(&user, deleted) {
                        Ok(person) => {
                            unknown += usize::from(person.standing == Standing::Unknown);
                            parsed.push(ReadPerson {
                                person,
                                written: Some(hash),
                            });
                        }
                        Err(problem) => {
                            let id = text(&user, "id");
                            self.odd.note("person", id.clone(), &problem.to_string());
                            odd_people.extend(id);
                        }
                    }
                }
                // Deleted people would only thin out those who are there.
                listed += if deleted { 0 } else { page.len() };
                let mut db = self.engine.connection().await?;
                if !seen.is_empty() {
                    staged += imports::stage_seen(&mut db, self.import, &seen).await?;
                }
                if !parsed.is_empty() {
                    staged += imports::stage_people(&mut db, self.import, &parsed).await?;
                }
                drop(db);
                self.beat().await?;
            }
            let staged = i32::try_from(staged).unwrap_or(i32::MAX);
            if deleted {
                self.counts.deleted_people = staged;
            } else {
                self.counts.people = staged;
                if staged == 0 {
                    return Err(ImportError::Nobody);
                }
            }
        }
        let mut db = self.engine.connection().await?;
        statistics::refresh_staging(&mut db).await?;
        let seen = imports::seen_without_flags(&mut db, self.import).await?;
        drop(db);
        unknown += usize::try_from(seen).unwrap_or(0);
        let people = listed.max(1);
        if unknown * 100 > people * MOST_UNKNOWN_PERCENT {
            return Err(ImportError::FlagsMissing { unknown, people });
        }
        self.counts.unknown_people = count(unknown);
        Ok(odd_people)
    }

    /// Reads everybody individually who was there last time and is in neither listing now.
    /// Returns the address of somebody who is still there: then the listing was not complete.
    async fn missing(
        &mut self,
        odd_people: &BTreeSet<String>,
    ) -> Result<Option<String>, ImportError> {
        let odd: Vec<String> = odd_people.iter().cloned().collect();
        let mut db = self.engine.connection().await?;
        let missing = imports::missing_people(&mut db, self.import, &odd).await?;
        let vanished = imports::vanished(&mut db, self.import, &odd).await?;
        let unlisted = imports::unlisted_people(&mut db, self.import).await?;
        drop(db);
        // Google shows somebody new when asked before it lists them.
        let unlisted: Vec<PersonId> = unlisted.into_iter().map(PersonId::from).collect();
        alone::look_up(self.engine, self.directory, &unlisted).await?;
        let mut missing: Vec<PersonId> = missing.into_iter().map(PersonId::from).collect();
        // A wrong tenant or a broken proxy answers "unknown" for everybody, as often as it is asked.
        if self.is_implausible(vanished) {
            missing.truncate(SAMPLE);
            let sample = self.look_up(missing).await?;
            return match sample.found {
                Some(email) => Ok(Some(email)),
                None => Err(ImportError::Shrunk {
                    before: vanished.before,
                    gone: vanished.gone,
                    listed: self.counts.people,
                }),
            };
        }
        let first = self.look_up(missing).await?;
        if first.found.is_some() {
            return Ok(first.found);
        }
        let mut deleted = first.deleted;
        let mut purged = Vec::new();
        if !first.unknown.is_empty() {
            self.engine.outgoing().timer().wait(SECOND_LOOK).await;
            let second = self.look_up(first.unknown).await?;
            if second.found.is_some() {
                return Ok(second.found);
            }
            deleted.extend(second.deleted);
            purged = second.unknown;
        }
        let mut db = self.engine.connection().await?;
        let mut staged = Vec::with_capacity(deleted.len());
        for id in deleted {
            if let Some(stored) = people::get(&mut db, &id).await? {
                let person = Person {
                    standing: Standing::Deleted,
                    ..stored.person
                };
                staged.push(ReadPerson {
                    person,
                    written: None,
                });
            }
        }
        imports::stage_people(&mut db, self.import, &staged).await?;
        self.counts.deleted_people += count(staged.len() + purged.len());
        self.small.purged = purged.into_iter().map(PersonId::into_string).collect();
        Ok(None)
    }

    fn is_implausible(&self, vanished: Vanished) -> bool {
        let confirmed = self
            .confirmed_people
            .is_some_and(|confirmed| self.counts.people.saturating_mul(2) >= confirmed);
        vanished.gone >= FEWEST_TO_SHRINK && vanished.gone * 2 > vanished.before && !confirmed
    }

    /// Asks for people one by one; ends with the first who is found.
    async fn look_up(&self, people: Vec<PersonId>) -> Result<LookedUp, ImportError> {
        let directory = self.directory;
        let mut lookups = stream::iter(people)
            .map(|id| async move { directory.user(&id).await.map(|lookup| (id, lookup)) })
            .buffered(IN_FLIGHT);
        let mut looked_up = LookedUp::default();
        while let Some((id, lookup)) = lookups.try_next().await? {
            match lookup {
                PersonLookup::Found(user) => {
                    let email = text(&user, "primaryEmail").unwrap_or_else(|| id.to_string());
                    looked_up.found = Some(email);
                    break;
                }
                PersonLookup::Deleted => looked_up.deleted.push(id),
                PersonLookup::NotFound => looked_up.unknown.push(id),
            }
        }
        Ok(looked_up)
    }

    async fn beat(&self) -> Result<(), ImportError> {
        let mut db = self.engine.connection().await?;
        if imports::beat(&mut db, self.import).await? {
            Ok(())
        } else {
            Err(ImportError::Lost)
        }
    }
}

/// What somebody came with, as it is kept. In the listing of deleted people the same words mean
/// another thing, and so they may to another version of this program.
fn written_as(digest: Uuid, listing: UserListing) -> Uuid {
    let hash = Sha256::new()
        .chain_update(digest)
        .chain_update(Person::READ_AS)
        .chain_update([u8::from(listing == UserListing::Deleted)])
        .finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(half)
}

/// What came of asking for people one by one.
#[derive(Default)]
struct LookedUp {
    /// The address of the first who is still there.
    found: Option<String>,
    deleted: Vec<PersonId>,
    /// Answered with a 404.
    unknown: Vec<PersonId>,
}

#[derive(Default)]
struct Odd {
    kept: Vec<Value>,
    more: usize,
}

impl Odd {
    fn note(&mut self, kind: &str, who: Option<String>, why: &str) {
        if self.kept.len() < MOST_ODD_KEPT {
            self.kept
                .push(json!({ "kind": kind, "who": who, "why": why }));
        } else {
            self.more += 1;
        }
    }

    fn as_json(&self) -> Value {
        let mut all = self.kept.clone();
        if self.more > 0 {
            all.push(json!({ "kind": "more", "who": null, "why": format!("{} more", self.more) }));
        }
        Value::Array(all)
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

pub(super) fn org_unit(unit: &Value) -> Option<OrgUnitRow> {
    Some(OrgUnitRow {
        id: text(unit, "orgUnitId")?,
        path: text(unit, "orgUnitPath")?,
        name: text(unit, "name").unwrap_or_default(),
        parent_id: text(unit, "parentOrgUnitId"),
    })
}

fn group_row(group: &Value) -> Option<GroupRow> {
    let email = text(group, "email")?;
    Some(GroupRow {
        id: text(group, "id")?,
        name: text(group, "name")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| email.clone()),
        email,
        description: text(group, "description").unwrap_or_default(),
        direct_members: direct_members(group),
        aliases: group
            .get("aliases")
            .and_then(Value::as_array)
            .map(|aliases| {
                aliases
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
    })
}

/// Google writes this number as a string; 0 also says that it is not told.
fn direct_members(group: &Value) -> i64 {
    let stated = group.get("directMembersCount").and_then(|value| {
        let text = value.as_str().and_then(|text| text.parse().ok());
        text.or_else(|| value.as_i64())
    });
    stated.unwrap_or(0)
}
