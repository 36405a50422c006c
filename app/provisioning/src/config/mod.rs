//! The configuration of one app: what the console stores, versioned, and the file describes.

mod diff;
mod draft;
pub mod file;
mod policy;
mod validate;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::identity::{GroupId, OrgUnitId, PersonId, same_address};
pub use crate::mapping::{MappingRow, Missing, Source};
use crate::scope::path_key;

pub use diff::{Change, diff};
pub use draft::Draft;
pub use policy::{DeprovisioningPolicies, Policy, PolicyProblem, Step, Trigger, Window};
pub use validate::{
    validate_access, validate_limits, validate_mapping, validate_policies, validate_safety,
    validate_scope, validate_sso,
};

/// Everything that decides who gets an account in one app and when it ends.
///
/// Built by [`Draft::complete`] (wizard) or [`file::ConfigFile::parse`], which check the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    #[serde(default)]
    pub access: Access,
    #[serde(default)]
    pub scope: Scope,
    pub mapping: Vec<MappingRow>,
    #[serde(default)]
    pub deprovisioning: DeprovisioningPolicies,
    #[serde(default)]
    pub safety: Safety,
    #[serde(default)]
    pub linking: Linking,
    /// Minutes from the start of one scheduled run to the next.
    #[serde(default = "AppConfig::default_interval")]
    pub interval_minutes: u32,
    /// `None`: as many as the catalogue allows.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Writes in flight; `None`: as many as the catalogue allows.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// Hours between two readings of the app for drift.
    #[serde(default = "AppConfig::default_drift_interval")]
    pub drift_interval_hours: u32,
    /// `None`: SSO is not set up, so autoprovisioning cannot be turned on (S2.2).
    #[serde(default)]
    pub sso: Option<Sso>,
}

impl AppConfig {
    pub const DEFAULT_INTERVAL_MINUTES: u32 = 60;
    pub const DEFAULT_DRIFT_INTERVAL_HOURS: u32 = 24;

    fn default_interval() -> u32 {
        Self::DEFAULT_INTERVAL_MINUTES
    }

    fn default_drift_interval() -> u32 {
        Self::DEFAULT_DRIFT_INTERVAL_HOURS
    }

    /// Access off everywhere, the given mapping, everything else as by default.
    pub fn with_mapping(mapping: Vec<MappingRow>) -> Self {
        Self {
            access: Access::default(),
            scope: Scope::default(),
            mapping,
            deprovisioning: DeprovisioningPolicies::default(),
            safety: Safety::default(),
            linking: Linking::default(),
            interval_minutes: Self::DEFAULT_INTERVAL_MINUTES,
            requests_per_minute: None,
            concurrency: None,
            drift_interval_hours: Self::DEFAULT_DRIFT_INTERVAL_HOURS,
            sso: None,
        }
    }

    /// The groups that this configuration names, access and scope together, in their order.
    pub fn groups(&self) -> impl Iterator<Item = &GroupRef> + Clone {
        self.access
            .groups_on
            .iter()
            .chain(self.scope.groups.iter().map(|group| &group.group))
    }

    /// Takes over the ids (and names, and how they are spelt) that `stored` already knows for the
    /// same path or address, so that applying a file, which has none, changes nothing.
    pub fn keep_ids_of(&mut self, stored: &Self) {
        for unit in self
            .access
            .org_units
            .iter_mut()
            .filter(|unit| unit.id.is_none())
        {
            let known = (stored.access.org_units.iter())
                .find(|known| path_key(&known.path) == path_key(&unit.path));
            if let Some(known) = known {
                unit.id = known.id.clone();
                unit.path = known.path.clone();
            }
        }
        let keep = |group: &mut GroupRef| {
            let mut same = stored
                .groups()
                .filter(|known| same_address(&known.email, &group.email));
            let known = same
                .clone()
                .find(|known| known.id.is_some())
                .or_else(|| same.next());
            if let Some(known) = known {
                group.id = group.id.take().or_else(|| known.id.clone());
                group.name = group.name.take().or_else(|| known.name.clone());
                group.email = known.email.clone();
            }
        };
        self.access.groups_on.iter_mut().for_each(keep);
        self.scope
            .groups
            .iter_mut()
            .map(|group| &mut group.group)
            .for_each(keep);
        for person in self
            .safety
            .protected
            .iter_mut()
            .filter(|person| person.id.is_none())
        {
            let mut same = (stored.safety.protected.iter())
                .filter(|known| same_address(&known.email, &person.email));
            // An address that two of them had says of neither that it is them.
            if let (Some(known), None) = (same.next(), same.next()) {
                person.id = known.id.clone();
            }
        }
    }
}

/// User access (S2.3): on or off per org unit, inherited down the tree; on for groups on top.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    #[serde(default)]
    pub org_units: Vec<OrgUnitAccess>,
    #[serde(default)]
    pub groups_on: Vec<GroupRef>,
}

/// One setting of the tree. `path` is what was chosen; once `id` is known, the id counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrgUnitAccess {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<OrgUnitId>,
    pub on: bool,
}

/// A group. Once `id` is known, the id counts, so a rename changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<GroupId>,
    pub email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl GroupRef {
    /// The name if it is known, else the address.
    pub fn label(&self) -> &str {
        self.name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.email)
    }
}

/// Provisioning scope (S5). No groups: everybody for whom the app is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    #[serde(default)]
    pub groups: Vec<ScopeGroup>,
    /// An administrator confirmed that there are no groups on purpose.
    #[serde(default)]
    pub everyone: bool,
    /// Domains besides the primary one whose people are provisioned too.
    #[serde(default)]
    pub secondary_domains: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeGroup {
    pub group: GroupRef,
    pub members: Members,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    Direct,
    /// Direct and nested members.
    Nested,
}

impl Members {
    pub fn key(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nested => "nested",
        }
    }

    pub fn parse(key: &str) -> Option<Self> {
        [Self::Direct, Self::Nested]
            .into_iter()
            .find(|members| members.key() == key)
    }
}

/// What becomes of accounts found in the app after the confirmed first plan (S4.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linking {
    #[default]
    Automatic,
    /// An administrator decides about each match.
    Review,
}

impl Linking {
    pub fn key(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Review => "review",
        }
    }

    pub fn parse(key: &str) -> Option<Self> {
        [Self::Automatic, Self::Review]
            .into_iter()
            .find(|linking| linking.key() == key)
    }
}

/// When removals are held for review (S9.1, S9.6) and who is never removed (S9.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    pub hold_count: u32,
    /// Percent of the linked accounts, 0 to 100.
    pub hold_percent: u32,
    pub hold_max: u32,
    /// More creates than this in one run are held; `None`: never.
    pub hold_creates: Option<u32>,
    pub protected: Vec<PersonRef>,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            hold_count: 10,
            hold_percent: 5,
            hold_max: 50,
            hold_creates: None,
            protected: vec![],
        }
    }
}

impl Safety {
    /// Whether this person is never suspended or deleted. By id; by address only until the id is
    /// known.
    pub fn protects(&self, person: &crate::identity::Person) -> bool {
        self.protected.iter().any(|protected| match &protected.id {
            Some(id) => *id == person.id,
            None => person.has_address(&protected.email),
        })
    }
}

/// A person, by id once it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PersonId>,
    pub email: String,
}

impl PersonRef {
    /// What tells this person from the others of a list: the address, or the id where there is none
    /// or somebody else of them has had it too.
    pub fn name_among<'a>(&'a self, all: &[Self]) -> &'a str {
        let shared = || {
            let same = (all.iter()).filter(|other| same_address(&other.email, &self.email));
            same.count() > 1
        };
        match &self.id {
            Some(id) if self.email.is_empty() || shared() => id.as_str(),
            _ => &self.email,
        }
    }
}

/// How people sign in to the app (S2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "method", deny_unknown_fields)]
pub enum Sso {
    /// The app signs in with Google; the administrator confirmed it.
    Google,
    /// Read from the identity provider's metadata.
    Saml {
        entity_id: String,
        sign_in_url: String,
        /// `None` when the metadata names no certificate.
        #[serde(default)]
        certificate_expires: Option<DateTime<Utc>>,
    },
}
