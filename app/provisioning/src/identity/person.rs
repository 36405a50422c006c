use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PersonId;
use crate::digest::Digest;

/// A person of the directory, as the last complete import saw them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    pub primary_email: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub name: PersonName,
    pub standing: Standing,
    #[serde(default)]
    pub is_guest: bool,
    /// Always starts with `/`; the root is `/`.
    pub org_unit_path: String,
    /// The kept fields of Google's user as they came ([`Person::KEPT`]), of whatever shape.
    #[serde(default)]
    pub attributes: Value,
}

/// Google's `name` object. Any part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    #[serde(default)]
    pub given: String,
    #[serde(default)]
    pub family: String,
    #[serde(default)]
    pub full: String,
}

/// What Google says of a person, in the one word that the rules ask for.
///
/// Deleted wins over everything and archived over suspended. Unknown: Google left out the
/// `suspended` or the `archived` flag, so nothing may be done to this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Active,
    Suspended,
    Archived,
    Deleted,
    Unknown,
}

impl Standing {
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Suspended,
        Self::Archived,
        Self::Deleted,
        Self::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|standing| standing.as_str() == text)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a listed user is not a person; the import records it and goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonProblem {
    #[error("Google returned a user that is not a JSON object")]
    NotAnObject,
    #[error("Google returned a user without an id")]
    NoId,
    #[error("Google returned the user {0} without a primary e-mail address")]
    NoPrimaryEmail(PersonId),
    /// More than an index of the store holds: keeping it would fail the import of everybody.
    #[error("Google returned a user with a {field} of {length} bytes; at most {LONGEST} are read")]
    TooLong { field: &'static str, length: usize },
}

/// In bytes, of whatever a person is found by. Google allows far less.
const LONGEST: usize = 1_000;

impl PersonProblem {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "user-not-an-object",
            Self::NoId => "user-without-id",
            Self::NoPrimaryEmail(_) => "user-without-primary-email",
            Self::TooLong { .. } => "user-too-long",
        }
    }
}

fn bounded(field: &'static str, text: &str) -> Result<(), PersonProblem> {
    let length = text.len();
    if length <= LONGEST {
        return Ok(());
    }
    Err(PersonProblem::TooLong { field, length })
}

impl Person {
    /// Under which reading of Google's users a person was made; another one reads everybody anew.
    pub const READ_AS: &str = crate::RULES;

    /// The fields of Google's user that are kept in `attributes`.
    pub const KEPT: [&'static str; 9] = [
        "name",
        "emails",
        "organizations",
        "phones",
        "addresses",
        "relations",
        "externalIds",
        "languages",
        "customSchemas",
    ];

    /// Reads a user of the Directory API (`users.list`/`users.get` with `projection=full`).
    ///
    /// `deleted_listing` is true for what came from the `showDeleted=true` listing.
    /// Any field may be absent or of another shape (Google declares most as `any`): only an id and
    /// a primary address are required.
    pub fn from_google(user: &Value, deleted_listing: bool) -> Result<Self, PersonProblem> {
        let user = user.as_object().ok_or(PersonProblem::NotAnObject)?;
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => clean(text),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let id = text(user.get("id"));
        if id.is_empty() {
            return Err(PersonProblem::NoId);
        }
        bounded("id", &id)?;
        let id = PersonId::new(id);
        let primary_email = text(user.get("primaryEmail")).trim().to_owned();
        if primary_email.is_empty() {
            return Err(PersonProblem::NoPrimaryEmail(id));
        }
        bounded("primaryEmail", &primary_email)?;
        let name = user.get("name");
        let part = |key: &str| text(name.and_then(|name| name.get(key))).trim().to_owned();
        let path = text(user.get("orgUnitPath"));
        for key in ["givenName", "familyName", "fullName"] {
            bounded(key, &part(key))?;
        }
        bounded("orgUnitPath", &path)?;
        let attributes: Map<String, Value> = Self::KEPT
            .iter()
            .filter_map(|key| {
                user.get(*key)
                    .filter(|value| !value.is_null())
                    .map(|value| ((*key).to_owned(), without_nul(value)))
            })
            .collect();
        Ok(Self {
            id,
            primary_email,
            aliases: match user.get("aliases") {
                Some(Value::Array(aliases)) => aliases
                    .iter()
                    .filter_map(Value::as_str)
                    .map(clean)
                    .filter(|alias| alias.len() <= LONGEST)
                    .collect(),
                _ => Vec::new(),
            },
            name: PersonName {
                given: part("givenName"),
                family: part("familyName"),
                full: part("fullName"),
            },
            standing: standing(user, deleted_listing),
            is_guest: user
                .get("isGuestUser")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            org_unit_path: if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            },
            attributes: Value::Object(attributes),
        })
    }

    /// The full name, or given and family name, or what stands before the `@`.
    pub fn full_name(&self) -> String {
        let full = self.name.full.trim();
        if !full.is_empty() {
            return full.to_owned();
        }
        let both = format!("{} {}", self.name.given.trim(), self.name.family.trim());
        let both = both.trim();
        if !both.is_empty() {
            return both.to_owned();
        }
        let local = self.primary_email.rsplit_once('@').map(|(local, _)| local);
        local.unwrap_or(&self.primary_email).to_owned()
    }

    /// Over everything that rules and mapping can see of a person.
    pub fn fingerprint(&self) -> Digest {
        fingerprint(self)
    }

    /// Whether `address` is the primary address or an alias of this person.
    pub fn has_address(&self, address: &str) -> bool {
        super::same_address(&self.primary_email, address)
            || self
                .aliases
                .iter()
                .any(|alias| super::same_address(alias, address))
    }

    /// The address or id of the manager as the directory has it: `relations` of type `manager`.
    /// Free text at Google, normally an e-mail address.
    pub fn manager_reference(&self) -> Option<&str> {
        let relations = match self.attributes.get("relations")? {
            Value::Array(relations) => relations.as_slice(),
            single => std::slice::from_ref(single),
        };
        relations
            .iter()
            .filter(|relation| {
                relation
                    .get("type")
                    .and_then(Value::as_str)
                    .is_some_and(|kind| kind.eq_ignore_ascii_case("manager"))
            })
            .find_map(|relation| relation.get("value").and_then(Value::as_str))
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    /// The user as expressions see it: Google's own names, kept fields only.
    pub fn to_google(&self) -> Value {
        let mut user = match &self.attributes {
            Value::Object(kept) => kept.clone(),
            _ => Map::new(),
        };
        user.insert("id".into(), json!(self.id));
        user.insert("primaryEmail".into(), json!(self.primary_email));
        user.insert("aliases".into(), json!(self.aliases));
        user.insert("orgUnitPath".into(), json!(self.org_unit_path));
        user.insert("isGuestUser".into(), json!(self.is_guest));
        let mut name = match user.remove("name") {
            Some(Value::Object(name)) => name,
            _ => Map::new(),
        };
        name.insert("givenName".into(), json!(self.name.given));
        name.insert("familyName".into(), json!(self.name.family));
        name.insert("fullName".into(), json!(self.full_name()));
        user.insert("name".into(), Value::Object(name));
        Value::Object(user)
    }
}

/// Over everything that rules and mapping can see of a person.
pub fn fingerprint(person: &Person) -> Digest {
    Digest::of_json(&json!({
        "id": person.id,
        "primaryEmail": person.primary_email,
        "aliases": person.aliases,
        "name": [person.name.given, person.name.family, person.name.full],
        "standing": person.standing,
        "guest": person.is_guest,
        "orgUnitPath": person.org_unit_path,
        "attributes": person.attributes,
    }))
}

fn standing(user: &Map<String, Value>, deleted_listing: bool) -> Standing {
    let flag = |name: &str| user.get(name).and_then(Value::as_bool);
    let deleted = deleted_listing
        || user
            .get("deletionTime")
            .is_some_and(|time| time.as_str().is_some_and(|t| !t.is_empty()));
    match (deleted, flag("archived"), flag("suspended")) {
        (true, _, _) => Standing::Deleted,
        (_, None, _) | (_, _, None) => Standing::Unknown,
        (_, Some(true), _) => Standing::Archived,
        (_, _, Some(true)) => Standing::Suspended,
        _ => Standing::Active,
    }
}

/// Postgres keeps no NUL in text or JSON, and no name has one.
fn clean(text: &str) -> String {
    if text.contains('\0') {
        text.replace('\0', "")
    } else {
        text.to_owned()
    }
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => Value::Array(items.iter().map(without_nul).collect()),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (clean(name), without_nul(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(extra: Value) -> Value {
        let mut user = json!({"id": "1", "primaryEmail": "a@example.com",
            "suspended": false, "archived": false, "orgUnitPath": "/Eng"});
        for (key, value) in extra.as_object().unwrap() {
            user[key] = value.clone();
        }
        user
    }

    fn standing_of(extra: Value, deleted: bool) -> Standing {
        Person::from_google(&user(extra), deleted).unwrap().standing
    }

    #[test]
    fn deleted_wins_over_archived_and_archived_over_suspended() {
        assert_eq!(standing_of(json!({}), false), Standing::Active);
        assert_eq!(
            standing_of(json!({"suspended": true}), false),
            Standing::Suspended
        );
        assert_eq!(
            standing_of(json!({"suspended": true, "archived": true}), false),
            Standing::Archived
        );
        assert_eq!(
            standing_of(json!({"archived": true}), true),
            Standing::Deleted
        );
    }

    #[test]
    fn a_missing_or_odd_flag_makes_the_standing_unknown() {
        assert_eq!(
            standing_of(json!({"suspended": null}), false),
            Standing::Unknown
        );
        assert_eq!(
            standing_of(json!({"archived": "false"}), false),
            Standing::Unknown
        );
        assert_eq!(
            standing_of(json!({"archived": true, "suspended": null}), false),
            Standing::Unknown
        );
        assert_eq!(
            standing_of(json!({"suspended": null}), true),
            Standing::Deleted
        );
    }

    #[test]
    fn odd_shapes_are_tolerated_and_kept() {
        let odd = user(
            json!({"organizations": {"title": "x"}, "phones": "123", "emails": null,
            "name": [], "aliases": "x", "isGuestUser": "yes", "thumbnailPhotoUrl": "drop\u{0}"}),
        );
        let person = Person::from_google(&odd, false).unwrap();
        assert_eq!(person.attributes["organizations"]["title"], "x");
        assert_eq!(person.attributes["phones"], "123");
        assert!(person.attributes.get("emails").is_none());
        assert!(person.attributes.get("thumbnailPhotoUrl").is_none());
        assert!(!person.is_guest && person.aliases.is_empty());
        assert_eq!(person.full_name(), "a");
    }

    #[test]
    fn a_user_without_id_or_address_is_a_problem_of_its_own() {
        assert_eq!(
            Person::from_google(&json!("x"), false),
            Err(PersonProblem::NotAnObject)
        );
        assert_eq!(
            Person::from_google(&json!({"primaryEmail": "a@b.c"}), false),
            Err(PersonProblem::NoId)
        );
        assert_eq!(
            Person::from_google(&json!({"id": "9"}), false),
            Err(PersonProblem::NoPrimaryEmail(PersonId::new("9")))
        );
    }

    #[test]
    fn the_fingerprint_sees_what_rules_see_and_nothing_else() {
        let a = Person::from_google(&user(json!({"etag": "1"})), false).unwrap();
        let b =
            Person::from_google(&user(json!({"etag": "2", "lastLoginTime": "x"})), false).unwrap();
        let c = Person::from_google(&user(json!({"phones": []})), false).unwrap();
        assert_eq!(a.fingerprint(), b.fingerprint());
        assert_ne!(a.fingerprint(), c.fingerprint());
    }

    #[test]
    fn the_manager_is_read_from_relations_of_any_shape() {
        let of = |relations: Value| {
            Person::from_google(&user(json!({"relations": relations})), false)
                .unwrap()
                .manager_reference()
                .map(str::to_owned)
        };
        assert_eq!(
            of(json!([{"type": "spouse", "value": "x"}, {"type": "manager", "value": " m@b.c "}])),
            Some("m@b.c".into())
        );
        assert_eq!(
            of(json!({"type": "Manager", "value": "m"})),
            Some("m".into())
        );
        assert_eq!(of(json!("m")), None);
        assert_eq!(of(json!([{"type": "manager", "value": ""}])), None);
    }
}
