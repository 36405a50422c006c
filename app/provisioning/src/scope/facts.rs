use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::resolve::path_key;
use crate::identity::{GroupId, OrgUnitId};

/// What the last complete import says of the directory as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryFacts {
    pub customer_id: String,
    /// In lower case.
    pub primary_domain: String,
    /// All domains, the primary one too; aliases of domains are not among them.
    pub domains: BTreeSet<String>,
    pub org_units: Vec<OrgUnit>,
    /// The groups that exist and whose members could be read.
    pub groups: BTreeMap<GroupId, GroupFact>,
    /// Groups that exist but whose members could not be read.
    #[serde(default)]
    pub unreadable_groups: BTreeSet<GroupId>,
}

impl DirectoryFacts {
    /// Whether an org unit was there. Of one that was renamed or made since, nothing can be decided.
    pub fn knows_org_unit(&self, path: &str) -> bool {
        let key = path_key(path);
        key == "/" || (self.org_units.iter()).any(|unit| path_key(&unit.path) == key)
    }
}

/// `orgunits.list`. The root (`/`) is not listed by Google; it exists all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgUnit {
    pub id: OrgUnitId,
    pub path: String,
    pub name: String,
    pub parent_path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFact {
    pub email: String,
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl GroupFact {
    pub fn label(&self) -> &str {
        if self.name.is_empty() {
            &self.email
        } else {
            &self.name
        }
    }
}
