//! Reads the directory whole, or not at all (S1.3, S1.4).
//!
//! Pages go to a staging table as they arrive and become the directory in one transaction at the
//! end. Whatever casts doubt on a listing ends the import, and the last complete one stays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use provisioning::identity::{GroupId, Person, PersonId, Standing};
use serde_json::{Value, json};

use super::engine::Engine;
use crate::connectors::{DirectoryError, GoogleDirectory, GroupLookup, PersonLookup, UserListing};
use crate::store::imports::{
    self, DomainRow, GroupRow, ImportCounts, ImportId, Member, OrgUnitRow, ReachRow, SmallListings,
};
use crate::store::{StoreError, connection, people};

/// More people without their flags than this share fail the import (S1.4).
const MOST_UNKNOWN_PERCENT: usize = 1;
/// Requests in flight where order does not matter; well under Google's concurrency quota.
const IN_FLIGHT: usize = 6;
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
            Self::Lost => "import-lost",
            Self::Setup(_) => "directory-settings",
        }
    }
}

/// Reads everything, with the members of `named` groups and of the groups nested in them.
///
/// `named_emails` are groups that a configuration file names by address and that have no id yet.
pub async fn read_directory(
    engine: &Engine,
    directory: &GoogleDirectory,
    import: ImportId,
    named: &BTreeSet<GroupId>,
    named_emails: &BTreeSet<String>,
) -> Result<ImportCounts, ImportError> {
    let identity = confirm_identity(engine, directory).await?;
    let mut reading = Reading {
        engine,
        directory,
        import,
        odd: Odd::default(),
        counts: ImportCounts::default(),
        small: SmallListings::default(),
    };
    reading.small_listings().await?;
    reading.everybody().await?;
    reading.members(named, named_emails).await?;

    let requests = engine.requests().directory;
    reading.counts.requests = i64::try_from(requests).unwrap_or(i64::MAX);
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    let merged = imports::merge(
        &mut transaction,
        import,
        &reading.small,
        &reading.counts,
        &reading.odd.as_json(),
        engine.clock.now(),
    )
    .await?;
    if !merged {
        return Err(ImportError::Lost);
    }
    if let Some((customer, domain)) = identity {
        connection::record_identity(&mut transaction, &customer, &domain).await?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(reading.counts)
}

/// Compares whose directory this is with what was recorded (S1.1). Returns what is to be recorded.
pub(super) async fn confirm_identity(
    engine: &Engine,
    directory: &GoogleDirectory,
) -> Result<Option<(String, String)>, ImportError> {
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
            connection::record_other_identity(&mut db, &seen_customer, &seen_domain).await?;
            Err(ImportError::OtherTenant {
                customer,
                domain,
                seen_customer,
                seen_domain,
            })
        }
        (Some(_), Some(_)) => Ok(None),
        _ => Ok(Some((seen_customer, seen_domain))),
    }
}

struct Reading<'a> {
    engine: &'a Engine,
    directory: &'a GoogleDirectory,
    import: ImportId,
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
        let mut second_try = false;
        loop {
            let odd_people = self.both_listings().await?;
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
        let mut listed = 0;
        let mut unknown = 0;
        for (kind, deleted) in [(UserListing::Current, false), (UserListing::Deleted, true)] {
            let mut staged = 0;
            let mut listing = self.directory.users(kind);
            while let Some(page) = listing.next_page().await? {
                let mut parsed = Vec::with_capacity(page.len());
                for user in &page {
                    match Person::from_google(user, deleted) {
                        Ok(person) => {
                            unknown += usize::from(person.standing == Standing::Unknown);
                            parsed.push(person);
                        }
                        Err(problem) => {
                            let id = text(user, "id");
                            self.odd.note("person", id.clone(), &problem.to_string());
                            odd_people.extend(id);
                        }
                    }
                }
                listed += page.len();
                let mut db = self.engine.connection().await?;
                staged += imports::stage_people(&mut db, self.import, &parsed).await?;
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
        let ids =
            imports::missing_people(&mut *self.engine.connection().await?, self.import).await?;
        let ids: Vec<String> = ids
            .into_iter()
            .filter(|id| !odd_people.contains(id))
            .collect();
        let directory = self.directory;
        let mut lookups = stream::iter(ids)
            .map(|id| async move {
                let id = PersonId::from(id);
                directory.user(&id).await.map(|lookup| (id, lookup))
            })
            .buffered(IN_FLIGHT);
        let mut purged = Vec::new();
        let mut deleted = Vec::new();
        while let Some((id, lookup)) = lookups.try_next().await? {
            match lookup {
                PersonLookup::Found(user) => {
                    return Ok(Some(
                        text(&user, "primaryEmail").unwrap_or_else(|| id.to_string()),
                    ));
                }
                PersonLookup::Deleted => deleted.push(id),
                PersonLookup::NotFound => purged.push(id.to_string()),
            }
        }
        drop(lookups);
        let mut db = self.engine.connection().await?;
        let mut staged = Vec::with_capacity(deleted.len());
        for id in deleted {
            if let Some(stored) = people::get(&mut db, &id).await? {
                staged.push(Person {
                    standing: Standing::Deleted,
                    ..stored.person
                });
            }
        }
        imports::stage_people(&mut db, self.import, &staged).await?;
        self.counts.deleted_people += count(staged.len() + purged.len());
        self.small.purged = purged;
        Ok(None)
    }

    /// Direct members of the named groups and of every group nested in them; cycles end.
    async fn members(
        &mut self,
        named: &BTreeSet<GroupId>,
        named_emails: &BTreeSet<String>,
    ) -> Result<(), ImportError> {
        let known: BTreeSet<String> = self
            .small
            .groups
            .iter()
            .map(|group| group.id.clone())
            .collect();
        let roots: BTreeSet<String> = self
            .small
            .groups
            .iter()
            .filter(|group| {
                named.contains(&GroupId::from(group.id.clone()))
                    || std::iter::once(&group.email)
                        .chain(&group.aliases)
                        .any(|address| named_emails.contains(&address.to_lowercase()))
            })
            .map(|group| group.id.clone())
            .collect();
        let directory = self.directory;
        let mut nesting: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut odd = Vec::new();
        let mut to_read: Vec<String> = roots.iter().cloned().collect();
        let mut read: BTreeSet<String> = roots.clone();
        while !to_read.is_empty() {
            let listings: Vec<(String, Vec<Value>)> = stream::iter(std::mem::take(&mut to_read))
                .map(|group| async move {
                    let members = all_members(directory, &group).await?;
                    Ok::<_, ImportError>((group, members))
                })
                .buffered(IN_FLIGHT)
                .try_collect()
                .await?;
            for (group, members) in listings {
                let mut rows = Vec::with_capacity(members.len());
                for member in &members {
                    let Some(row) = member_row(&group, member) else {
                        odd.push((
                            text(member, "email"),
                            format!("a member of {group} has no id"),
                        ));
                        continue;
                    };
                    if row.member_type == "GROUP" {
                        nesting
                            .entry(group.clone())
                            .or_default()
                            .push(row.member_id.clone());
                        if !known.contains(&row.member_id) {
                            odd.push((
                                Some(row.email.clone()),
                                "a nested group from outside the directory".to_owned(),
                            ));
                        } else if read.insert(row.member_id.clone()) {
                            to_read.push(row.member_id.clone());
                        }
                    }
                    rows.push(row);
                }
                self.counts.memberships += count(rows.len());
                for page in rows.chunks(1000) {
                    let mut db = self.engine.connection().await?;
                    imports::stage_members(&mut db, self.import, page).await?;
                }
            }
            self.beat().await?;
        }
        for (who, why) in odd {
            self.odd.note("member", who, &why);
        }
        self.small.reach = roots
            .iter()
            .flat_map(|root| reach(root, &nesting, &read))
            .collect();
        self.small.read_groups = read.into_iter().collect();
        Ok(())
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

async fn all_members(directory: &GoogleDirectory, group: &str) -> Result<Vec<Value>, ImportError> {
    let id = GroupId::from(group);
    let mut listing = directory.members(&id);
    let mut all = Vec::new();
    loop {
        match listing.next_page().await {
            Ok(Some(page)) => all.extend(page),
            Ok(None) => return Ok(all),
            // Deleted between two listings, or shown late: the group itself decides.
            Err(error @ DirectoryError::NotFound { .. }) => {
                return match directory.group(&id).await? {
                    GroupLookup::NotFound => Ok(Vec::new()),
                    GroupLookup::Found(_) => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Every group that a root reaches, with the shortest way there; the root itself has an empty one.
pub fn reach(
    root: &str,
    nesting: &BTreeMap<String, Vec<String>>,
    read: &BTreeSet<String>,
) -> Vec<ReachRow> {
    let mut ways: BTreeMap<&str, Vec<String>> = BTreeMap::from([(root, Vec::new())]);
    let mut queue = VecDeque::from([root]);
    while let Some(group) = queue.pop_front() {
        let way = ways.get(group).cloned().unwrap_or_default();
        for nested in nesting.get(group).into_iter().flatten() {
            if read.contains(nested) && !ways.contains_key(nested.as_str()) {
                let mut longer = way.clone();
                longer.push(nested.clone());
                ways.insert(nested, longer);
                queue.push_back(nested);
            }
        }
    }
    ways.into_iter()
        .map(|(group, path)| ReachRow {
            root_id: root.to_owned(),
            group_id: group.to_owned(),
            path,
        })
        .collect()
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

fn org_unit(unit: &Value) -> Option<OrgUnitRow> {
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
        // Google writes this number as a string.
        direct_members: group
            .get("directMembersCount")
            .and_then(|value| {
                value
                    .as_str()
                    .and_then(|text| text.parse().ok())
                    .or_else(|| value.as_i64())
            })
            .unwrap_or(0),
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

pub(crate) fn member_row(group: &str, member: &Value) -> Option<Member> {
    Some(Member {
        group_id: group.to_owned(),
        member_id: text(member, "id")?,
        member_type: text(member, "type").unwrap_or_default(),
        email: text(member, "email").unwrap_or_default(),
        role: text(member, "role").unwrap_or_default(),
        status: text(member, "status").unwrap_or_default(),
    })
}

/// How often somebody who waits for another process's import looks again.
pub const LOOK_AGAIN: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(group, nested)| {
                (
                    (*group).to_owned(),
                    nested.iter().map(|id| (*id).to_owned()).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn a_cycle_of_groups_ends_and_the_shortest_way_is_kept() {
        let nesting = groups(&[
            ("a", &["b", "c"]),
            ("b", &["c", "a"]),
            ("c", &["d"]),
            ("d", &["a"]),
        ]);
        let read = ["a", "b", "c", "d"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let reached = reach("a", &nesting, &read);
        let ways: Vec<_> = reached
            .iter()
            .map(|row| (row.group_id.as_str(), row.path.join(">")))
            .collect();
        assert_eq!(
            ways,
            [
                ("a", String::new()),
                ("b", "b".into()),
                ("c", "c".into()),
                ("d", "c>d".into())
            ]
        );
    }

    #[test]
    fn a_nested_group_from_outside_is_not_reached() {
        let nesting = groups(&[("a", &["outside"])]);
        let read = ["a".to_owned()].into();
        assert_eq!(reach("a", &nesting, &read).len(), 1);
    }
}
