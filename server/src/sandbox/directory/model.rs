//! What a directory is made of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

macro_rules! id {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as Google writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(PersonId, "A person's id at Google: 21 digits.");
id!(GroupId, "A group's id at Google.");
id!(
    OrgUnitId,
    "An org unit's id at Google, with its `id:` in front."
);

/// A list or object that the API declares as free JSON, kept as text.
pub type Free = Option<Box<RawValue>>;

/// A person of the directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    pub primary_email: String,
    pub given_name: String,
    pub family_name: String,
    #[serde(default)]
    pub display_name: Option<String>,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub org_unit: OrgUnitId,
    #[serde(default)]
    pub is_admin: bool,
    #[serde(default)]
    pub is_delegated_admin: bool,
    /// The outside address of a guest; `None` for everybody else.
    #[serde(default)]
    pub guest_of: Option<String>,
    #[serde(default)]
    pub suspended_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub archived_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub deleted_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    #[serde(default)]
    pub last_login_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub organizations: Free,
    #[serde(default)]
    pub phones: Free,
    #[serde(default)]
    pub addresses: Free,
    #[serde(default)]
    pub relations: Free,
    #[serde(default)]
    pub external_ids: Free,
    #[serde(default)]
    pub languages: Free,
    #[serde(default)]
    pub custom_schemas: Free,
    /// Counts the changes; etags are made of it.
    #[serde(default)]
    pub revision: u64,
}

impl Person {
    /// Given and family name, as Google joins them.
    pub fn full_name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
            .trim()
            .to_owned()
    }

    /// The title of the primary organization, else of the first.
    pub fn title(&self) -> Option<String> {
        let organizations: Vec<serde_json::Value> =
            serde_json::from_str(self.organizations.as_ref()?.get()).ok()?;
        let primary = organizations
            .iter()
            .find(|entry| entry["primary"] == true)
            .or_else(|| organizations.first())?;
        primary["title"].as_str().map(str::to_owned)
    }
}

/// An org unit; the root has no parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrgUnit {
    pub id: OrgUnitId,
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub parent: Option<OrgUnitId>,
}

/// A role in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    Owner,
    Manager,
    Member,
}

/// What Google calls an address that it does not know as its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OutsiderType {
    User,
    External,
}

/// Somebody or something in a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    Person(PersonId),
    Group(GroupId),
    /// Everybody in the customer.
    Customer,
    /// An address from elsewhere, or one that outlived its person.
    Outsider {
        id: String,
        email: String,
        r#type: OutsiderType,
    },
}

/// A member with its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub member: Member,
    pub role: Role,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub email: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub members: Vec<Membership>,
    #[serde(default)]
    pub revision: u64,
}

/// A domain of the customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Domain {
    pub name: String,
    pub primary: bool,
    pub created_at: DateTime<Utc>,
}
