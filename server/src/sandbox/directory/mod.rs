//! The emulated directory: its people, groups and org units, and everything
//! that an administrator at Google can do to them.

mod changes;
mod model;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::seed::Seeded;

pub use changes::{DirectoryError, NewPerson, Rename};
pub use model::{
    Domain, Free, Group, GroupId, Member, Membership, OrgUnit, OrgUnitId, OutsiderType, Person,
    PersonId, Role,
};

/// How long a deleted person can be restored.
pub const KEPT_AFTER_DELETION: TimeDelta = TimeDelta::days(20);

/// The whole directory of one customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Directory {
    pub seed: u64,
    pub name: String,
    pub customer_id: String,
    pub domains: Vec<Domain>,
    pub org_units: BTreeMap<OrgUnitId, OrgUnit>,
    pub people: BTreeMap<PersonId, Person>,
    pub groups: BTreeMap<GroupId, Group>,
    /// Numbers everything that is added, so that ids never repeat.
    pub serial: u64,
    /// Lower-case addresses of people that are not deleted.
    #[serde(skip)]
    addresses: HashMap<String, PersonId>,
    /// Lower-case addresses of groups.
    #[serde(skip)]
    group_addresses: HashMap<String, GroupId>,
}

impl Directory {
    /// A customer without anybody in it.
    pub fn empty(seed: u64, name: &str, customer_id: &str, domains: Vec<Domain>) -> Self {
        Self {
            seed,
            name: name.to_owned(),
            customer_id: customer_id.to_owned(),
            domains,
            org_units: BTreeMap::new(),
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            serial: 0,
            addresses: HashMap::new(),
            group_addresses: HashMap::new(),
        }
    }

    /// Fills the indexes after the directory was read from a file.
    pub fn index(&mut self) {
        self.addresses.clear();
        self.group_addresses.clear();
        for person in self.people.values().filter(|p| p.deleted_at.is_none()) {
            for address in std::iter::once(&person.primary_email).chain(&person.aliases) {
                self.addresses
                    .insert(address.to_lowercase(), person.id.clone());
            }
        }
        for group in self.groups.values() {
            for address in std::iter::once(&group.email).chain(&group.aliases) {
                self.group_addresses
                    .insert(address.to_lowercase(), group.id.clone());
            }
        }
    }

    /// The next number for [`Seeded`] ids.
    pub fn next_id(&mut self, kind: &str) -> Seeded {
        self.serial += 1;
        Seeded::new(self.seed, &format!("{kind} {}", self.serial))
    }

    /// The primary domain's name.
    pub fn primary_domain(&self) -> &str {
        self.domains
            .iter()
            .find(|d| d.primary)
            .map_or("", |d| d.name.as_str())
    }

    /// Whether an address belongs to one of the customer's domains.
    pub fn owns(&self, address: &str) -> bool {
        address.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && self
                    .domains
                    .iter()
                    .any(|d| d.name.eq_ignore_ascii_case(domain))
        })
    }

    /// Adds a person as they are.
    pub fn insert_person(&mut self, person: Person) {
        if person.deleted_at.is_none() {
            for address in std::iter::once(&person.primary_email).chain(&person.aliases) {
                self.addresses
                    .insert(address.to_lowercase(), person.id.clone());
            }
        }
        self.people.insert(person.id.clone(), person);
    }

    /// Adds a group as it is.
    pub fn insert_group(&mut self, group: Group) {
        self.group_addresses
            .insert(group.email.to_lowercase(), group.id.clone());
        self.groups.insert(group.id.clone(), group);
    }

    /// Whether somebody or something has the address.
    pub fn is_taken(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        self.addresses.contains_key(&address) || self.group_addresses.contains_key(&address)
    }

    /// The person with this id, address or alias, deleted ones by id and by
    /// their last address.
    pub fn person(&self, key: &str) -> Option<&Person> {
        if let Some(person) = self.people.get(&PersonId(key.to_owned())) {
            return Some(person);
        }
        if let Some(id) = self.addresses.get(&key.to_lowercase()) {
            return self.people.get(id);
        }
        self.people
            .values()
            .filter(|p| p.deleted_at.is_some() && p.primary_email.eq_ignore_ascii_case(key))
            .max_by_key(|p| p.deleted_at)
    }

    /// The group with this id or address.
    pub fn group(&self, key: &str) -> Option<&Group> {
        self.groups.get(&GroupId(key.to_owned())).or_else(|| {
            let id = self.group_addresses.get(&key.to_lowercase())?;
            self.groups.get(id)
        })
    }

    /// The org unit at a path.
    pub fn org_unit_at(&self, path: &str) -> Option<&OrgUnit> {
        let path = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            path
        };
        self.org_units
            .values()
            .find(|unit| self.path_of(&unit.id).eq_ignore_ascii_case(path))
    }

    /// The path of an org unit, `/` for the root.
    pub fn path_of(&self, id: &OrgUnitId) -> String {
        let mut names = Vec::new();
        let mut next = self.org_units.get(id);
        while let Some(unit) = next {
            let Some(parent) = &unit.parent else { break };
            names.push(unit.name.as_str());
            next = self.org_units.get(parent);
        }
        names.reverse();
        format!("/{}", names.join("/"))
    }

    /// People that are not deleted.
    pub fn living(&self) -> impl Iterator<Item = &Person> {
        self.people.values().filter(|p| p.deleted_at.is_none())
    }

    /// Whether the API lists this membership: people who are deleted vanish.
    pub fn is_listed(&self, membership: &Membership) -> bool {
        match &membership.member {
            Member::Person(id) => self
                .people
                .get(id)
                .is_some_and(|person| person.deleted_at.is_none()),
            Member::Group(id) => self.groups.contains_key(id),
            Member::Customer | Member::Outsider { .. } => true,
        }
    }

    /// The members of a group, with those of the groups in it when `derived`:
    /// each once, cycles walked once.
    pub fn members(&self, group: &Group, derived: bool) -> Vec<Membership> {
        let direct = group.members.iter().filter(|m| self.is_listed(m)).cloned();
        if !derived {
            return direct.collect();
        }
        let mut listed: Vec<Membership> = Vec::new();
        let mut people = BTreeSet::new();
        let mut groups = BTreeSet::from([group.id.clone()]);
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            for membership in group.members.iter().filter(|m| self.is_listed(m)) {
                let fresh = match &membership.member {
                    Member::Person(id) => people.insert(id.0.clone()),
                    Member::Outsider { id, .. } => people.insert(id.clone()),
                    Member::Customer => people.insert(self.customer_id.clone()),
                    Member::Group(id) => {
                        let fresh = groups.insert(id.clone());
                        if let Some(nested) = self.groups.get(id).filter(|_| fresh) {
                            open.push(nested);
                        }
                        fresh
                    }
                };
                if fresh {
                    listed.push(membership.clone());
                }
            }
        }
        listed
    }
}
