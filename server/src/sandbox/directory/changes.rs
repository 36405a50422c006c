//! What an administrator can change in the directory.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    Directory, Group, GroupId, KEPT_AFTER_DELETION, Member, Membership, OutsiderType, Person,
    PersonId, Role,
};
use crate::sandbox::seed::Seeded;

/// Why the directory refused a change.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("nobody in the directory has the id or address {0:?}")]
    UnknownPerson(String),
    #[error("no group has the id or address {0:?}")]
    UnknownGroup(String),
    #[error("there is no org unit {0:?}; paths start with a slash")]
    UnknownOrgUnit(String),
    #[error("the address {0:?} is taken; choose another")]
    AddressTaken(String),
    #[error("the address {0:?} is in no domain of this directory")]
    AddressOutside(String),
    #[error("{0:?} is deleted; undelete that person first")]
    Deleted(String),
    #[error("{0:?} is not deleted, or was deleted more than 20 days ago")]
    NotRestorable(String),
    #[error("a name is missing: give givenName and familyName")]
    NameMissing,
}

/// What a new person starts with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPerson {
    pub given_name: String,
    pub family_name: String,
    /// Made of the names when absent.
    pub primary_email: Option<String>,
    /// The root when absent.
    pub org_unit_path: Option<String>,
    pub title: Option<String>,
    pub department: Option<String>,
    pub manager: Option<String>,
}

/// What a rename changes; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rename {
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub primary_email: Option<String>,
}

impl Directory {
    fn change(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut Person),
    ) -> Result<Person, DirectoryError> {
        let id = self.known(key)?;
        let person = self
            .people
            .get_mut(&id)
            .ok_or_else(|| DirectoryError::UnknownPerson(key.to_owned()))?;
        change(person);
        person.revision += 1;
        Ok(person.clone())
    }

    fn known(&self, key: &str) -> Result<PersonId, DirectoryError> {
        let person = self
            .person(key)
            .ok_or_else(|| DirectoryError::UnknownPerson(key.to_owned()))?;
        if person.deleted_at.is_some() {
            return Err(DirectoryError::Deleted(key.to_owned()));
        }
        Ok(person.id.clone())
    }

    fn free_address(&self, address: &str, owner: Option<&PersonId>) -> Result<(), DirectoryError> {
        if !self.owns(address) {
            return Err(DirectoryError::AddressOutside(address.to_owned()));
        }
        let lower = address.to_lowercase();
        let taken = self.group_addresses.contains_key(&lower)
            || self
                .addresses
                .get(&lower)
                .is_some_and(|id| Some(id) != owner);
        if taken {
            return Err(DirectoryError::AddressTaken(address.to_owned()));
        }
        Ok(())
    }

    /// Changes names and address. The old address stays as an alias, as at Google.
    pub fn rename(&mut self, key: &str, rename: Rename) -> Result<Person, DirectoryError> {
        let id = self.known(key)?;
        if let Some(address) = &rename.primary_email {
            self.free_address(address, Some(&id))?;
        }
        let person = self.change(id.as_str(), |person| {
            if let Some(name) = rename.given_name {
                person.given_name = name;
                person.display_name = None;
            }
            if let Some(name) = rename.family_name {
                person.family_name = name;
                person.display_name = None;
            }
            if let Some(address) = rename.primary_email {
                let old = std::mem::replace(&mut person.primary_email, address);
                let new = person.primary_email.to_lowercase();
                person.aliases.retain(|alias| alias.to_lowercase() != new);
                if old.to_lowercase() != new {
                    person.aliases.push(old);
                }
            }
        })?;
        self.addresses
            .insert(person.primary_email.to_lowercase(), id);
        Ok(person)
    }

    /// Moves a person to another org unit.
    pub fn move_to(&mut self, key: &str, path: &str) -> Result<Person, DirectoryError> {
        let unit = self
            .org_unit_at(path)
            .ok_or_else(|| DirectoryError::UnknownOrgUnit(path.to_owned()))?
            .id
            .clone();
        self.change(key, |person| person.org_unit = unit)
    }

    /// Suspends a person.
    pub fn suspend(&mut self, key: &str, now: DateTime<Utc>) -> Result<Person, DirectoryError> {
        self.change(key, |person| {
            person.suspended_at.get_or_insert(now);
        })
    }

    /// Ends a suspension.
    pub fn restore(&mut self, key: &str) -> Result<Person, DirectoryError> {
        self.change(key, |person| person.suspended_at = None)
    }

    /// Archives a person.
    pub fn archive(&mut self, key: &str, now: DateTime<Utc>) -> Result<Person, DirectoryError> {
        self.change(key, |person| {
            person.archived_at.get_or_insert(now);
        })
    }

    /// Takes a person out of the archive.
    pub fn unarchive(&mut self, key: &str) -> Result<Person, DirectoryError> {
        self.change(key, |person| person.archived_at = None)
    }

    /// Deletes a person; they can be restored for 20 days.
    pub fn delete(&mut self, key: &str, now: DateTime<Utc>) -> Result<Person, DirectoryError> {
        let person = self.change(key, |person| person.deleted_at = Some(now))?;
        self.addresses.retain(|_, id| *id != person.id);
        Ok(person)
    }

    /// Restores a deleted person, unless their address was given away.
    pub fn undelete(&mut self, key: &str, now: DateTime<Utc>) -> Result<Person, DirectoryError> {
        let person = self
            .person(key)
            .ok_or_else(|| DirectoryError::UnknownPerson(key.to_owned()))?;
        let restorable = person
            .deleted_at
            .is_some_and(|at| now - at <= KEPT_AFTER_DELETION);
        if !restorable {
            return Err(DirectoryError::NotRestorable(key.to_owned()));
        }
        let mut person = person.clone();
        self.free_address(&person.primary_email, Some(&person.id))?;
        person.deleted_at = None;
        person.revision += 1;
        self.insert_person(person.clone());
        Ok(person)
    }

    /// Sets or clears the title of the primary organization, else of the first.
    pub fn set_title(&mut self, key: &str, title: Option<&str>) -> Result<Person, DirectoryError> {
        self.set_organization(key, "title", title)
    }

    /// Sets or clears one member of the primary organization, else of the first.
    pub fn set_organization(
        &mut self,
        key: &str,
        member: &str,
        value: Option<&str>,
    ) -> Result<Person, DirectoryError> {
        self.change(key, |person| {
            let mut entries: Vec<serde_json::Value> = person
                .organizations
                .as_ref()
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default();
            if entries.is_empty() {
                entries.push(serde_json::json!({ "primary": true, "type": "work" }));
            }
            let index = entries
                .iter()
                .position(|entry| entry["primary"] == true)
                .unwrap_or(0);
            if let Some(entry) = entries.get_mut(index).and_then(|e| e.as_object_mut()) {
                match value {
                    Some(value) => {
                        entry.insert(member.to_owned(), value.into());
                    }
                    None => {
                        entry.remove(member);
                    }
                }
            }
            person.organizations = serde_json::value::to_raw_value(&entries).ok();
        })
    }

    /// Replaces a free-form member (`phones`, `customSchemas` ...) by any JSON.
    pub fn set_free(
        &mut self,
        key: &str,
        member: &str,
        value: Option<&serde_json::Value>,
    ) -> Result<Person, DirectoryError> {
        let raw = value.and_then(|value| serde_json::value::to_raw_value(value).ok());
        self.change(key, |person| {
            let slot = match member {
                "organizations" => &mut person.organizations,
                "phones" => &mut person.phones,
                "addresses" => &mut person.addresses,
                "relations" => &mut person.relations,
                "externalIds" => &mut person.external_ids,
                "languages" => &mut person.languages,
                _ => &mut person.custom_schemas,
            };
            *slot = raw;
        })
    }

    /// Adds somebody new.
    pub fn add_person(
        &mut self,
        new: NewPerson,
        now: DateTime<Utc>,
    ) -> Result<Person, DirectoryError> {
        if new.given_name.trim().is_empty() || new.family_name.trim().is_empty() {
            return Err(DirectoryError::NameMissing);
        }
        let path = new.org_unit_path.as_deref().unwrap_or("/");
        let org_unit = self
            .org_unit_at(path)
            .ok_or_else(|| DirectoryError::UnknownOrgUnit(path.to_owned()))?
            .id
            .clone();
        let primary_email = match new.primary_email {
            Some(address) => address,
            None => self.address_for(&new.given_name, &new.family_name),
        };
        self.free_address(&primary_email, None)?;
        let id = PersonId(self.next_id("person").digits(21));
        let mut organization = serde_json::Map::new();
        organization.insert("primary".into(), true.into());
        organization.insert("type".into(), "work".into());
        for (member, value) in [("title", new.title), ("department", new.department)] {
            if let Some(value) = value {
                organization.insert(member.into(), value.into());
            }
        }
        let relations = new
            .manager
            .map(|manager| serde_json::json!([{ "type": "manager", "value": manager }]));
        let person = Person {
            id,
            primary_email,
            given_name: new.given_name,
            family_name: new.family_name,
            display_name: None,
            aliases: Vec::new(),
            org_unit,
            is_admin: false,
            is_delegated_admin: false,
            guest_of: None,
            suspended_at: None,
            archived_at: None,
            deleted_at: None,
            created_at: now,
            last_login_at: None,
            organizations: serde_json::value::to_raw_value(&[organization]).ok(),
            phones: None,
            addresses: None,
            relations: relations.and_then(|r| serde_json::value::to_raw_value(&r).ok()),
            external_ids: None,
            languages: None,
            custom_schemas: None,
            revision: 1,
        };
        self.insert_person(person.clone());
        Ok(person)
    }

    fn address_for(&self, given: &str, family: &str) -> String {
        let plain = |name: &str| -> String {
            name.to_lowercase()
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect()
        };
        let local = match (plain(given), plain(family)) {
            (given, family) if given.is_empty() && family.is_empty() => "person".to_owned(),
            (given, family) if given.is_empty() || family.is_empty() => given + &family,
            (given, family) => format!("{given}.{family}"),
        };
        let domain = self.primary_domain();
        let mut address = format!("{local}@{domain}");
        let mut number = 1;
        while self.is_taken(&address) {
            number += 1;
            address = format!("{local}{number}@{domain}");
        }
        address
    }

    /// What an address would be as a member: a person, a group or an outsider.
    pub fn member_for(&self, address: &str) -> Member {
        if let Some(group) = self.group(address) {
            return Member::Group(group.id.clone());
        }
        match self.person(address) {
            Some(person) if person.deleted_at.is_none() => Member::Person(person.id.clone()),
            _ => Member::Outsider {
                id: Seeded::new(self.seed, address).digits(21),
                email: address.to_owned(),
                r#type: OutsiderType::External,
            },
        }
    }

    /// Adds a member to a group; a second time changes nothing.
    pub fn add_member(&mut self, group: &str, address: &str) -> Result<(), DirectoryError> {
        let member = self.member_for(address);
        let group = self.group_mut(group)?;
        if group.members.iter().all(|m| m.member != member) {
            group.members.push(Membership {
                member,
                role: Role::Member,
            });
            group.revision += 1;
        }
        Ok(())
    }

    /// Removes a member from a group; one who is not in it changes nothing.
    pub fn remove_member(&mut self, group: &str, address: &str) -> Result<(), DirectoryError> {
        let member = self.member_for(address);
        let group = self.group_mut(group)?;
        group.members.retain(|m| m.member != member);
        group.revision += 1;
        Ok(())
    }

    /// Adds an empty group.
    pub fn add_group(&mut self, email: &str, name: &str) -> Result<Group, DirectoryError> {
        self.free_address(email, None)?;
        let group = Group {
            id: GroupId(format!("01{}", self.next_id("group").letters(13))),
            email: email.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            aliases: Vec::new(),
            members: Vec::new(),
            revision: 1,
        };
        self.insert_group(group.clone());
        Ok(group)
    }

    /// Deletes a group; groups that held it forget it.
    pub fn delete_group(&mut self, key: &str) -> Result<(), DirectoryError> {
        let id = self.group_mut(key)?.id.clone();
        self.groups.remove(&id);
        self.group_addresses.retain(|_, group| *group != id);
        let member = Member::Group(id);
        for group in self.groups.values_mut() {
            group.members.retain(|m| m.member != member);
        }
        Ok(())
    }

    fn group_mut(&mut self, key: &str) -> Result<&mut Group, DirectoryError> {
        let id = self
            .group(key)
            .ok_or_else(|| DirectoryError::UnknownGroup(key.to_owned()))?
            .id
            .clone();
        self.groups
            .get_mut(&id)
            .ok_or_else(|| DirectoryError::UnknownGroup(key.to_owned()))
    }

    /// Renames an org unit in place; its id and its people stay.
    pub fn rename_org_unit(&mut self, path: &str, name: &str) -> Result<(), DirectoryError> {
        let id = self
            .org_unit_at(path)
            .ok_or_else(|| DirectoryError::UnknownOrgUnit(path.to_owned()))?
            .id
            .clone();
        if let Some(unit) = self.org_units.get_mut(&id) {
            name.clone_into(&mut unit.name);
        }
        Ok(())
    }
}
