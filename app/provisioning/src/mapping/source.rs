//! Paths to a person's directory attributes (S4.1).

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::scim_path::member;
use crate::identity::Person;

/// `organizations[primary].title`, `phones[type=work].value`, `customSchemas.Schema.field`,
/// `name.fullName`, `primaryEmail`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePath {
    steps: Vec<PathStep>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PathStep {
    name: String,
    select: Option<Select>,
}

/// Which entry of a list is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Select {
    /// The entry marked primary, else the first.
    Primary,
    /// The first entry whose member has this text.
    Equals(String, String),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path:?} is not a directory attribute ({why}); write it like primaryEmail, organizations[primary].title or phones[type=work].value"
)]
pub struct SourcePathProblem {
    pub path: String,
    pub why: &'static str,
}

impl SourcePathProblem {
    pub fn code(&self) -> &'static str {
        "bad-source"
    }
}

/// What a path may begin with.
const ROOTS: [&str; 14] = [
    "id",
    "primaryEmail",
    "aliases",
    "orgUnitPath",
    "isGuestUser",
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

impl SourcePath {
    pub fn parse(text: &str) -> Result<Self, SourcePathProblem> {
        let fail = |why| SourcePathProblem {
            path: text.to_owned(),
            why,
        };
        let mut steps = Vec::new();
        let mut rest = text.trim();
        loop {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let name = &rest[..end];
            if name.is_empty()
                || !name
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '))
            {
                return Err(fail(
                    "a name is missing or has a character that names do not have",
                ));
            }
            rest = &rest[end..];
            let mut select = None;
            if let Some(inner) = rest.strip_prefix('[') {
                let close = inner
                    .find(']')
                    .ok_or_else(|| fail("the bracket is not closed"))?;
                select = Some(Select::parse(&inner[..close]).ok_or_else(|| {
                    fail("between brackets stands primary, a number, or name=value")
                })?);
                rest = &inner[close + 1..];
            }
            steps.push(PathStep {
                name: name.to_owned(),
                select,
            });
            if rest.is_empty() {
                break;
            }
            rest = rest
                .strip_prefix('.')
                .ok_or_else(|| fail("after the bracket comes a dot"))?;
        }
        let root = steps
            .first()
            .map(|step| step.name.as_str())
            .unwrap_or_default();
        if !ROOTS.contains(&root) {
            return Err(fail("the directory has no such attribute"));
        }
        if root == "customSchemas" && steps.len() < 3 {
            return Err(fail("a custom attribute is customSchemas.Schema.field"));
        }
        Ok(Self { steps })
    }

    /// Whether it is the manager, whose value is an account of the app and not text.
    pub fn is_manager(&self) -> bool {
        self.steps.first().is_some_and(|step| {
            step.name == "relations"
                && matches!(&step.select, Some(Select::Equals(key, value))
                    if key == "type" && value.eq_ignore_ascii_case("manager"))
        })
    }

    /// The value, if the person has one. Lists without a selector give their primary or first
    /// entry, and an entry at the end of the path gives its `value`. Blank text is no value.
    pub fn read(&self, person: &Person) -> Option<Value> {
        let text = |text: &str| {
            let text = text.trim();
            (!text.is_empty()).then(|| Value::String(text.to_owned()))
        };
        let names: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        match names.as_slice() {
            ["id"] => return text(person.id.as_str()),
            ["primaryEmail"] => return text(&person.primary_email),
            ["orgUnitPath"] => return text(&person.org_unit_path),
            ["isGuestUser"] => return Some(Value::Bool(person.is_guest)),
            ["aliases"] => {
                let at = match &self.steps[0].select {
                    Some(Select::Index(at)) => *at,
                    _ => 0,
                };
                return person.aliases.get(at).and_then(|alias| text(alias));
            }
            ["name", "fullName"] => return text(&person.full_name()),
            ["name", "givenName"] => return text(&person.name.given),
            ["name", "familyName"] => return text(&person.name.family),
            _ => {}
        }
        let mut at = &person.attributes;
        for step in &self.steps {
            at = select(member(at, &step.name)?, step.select.as_ref())?;
        }
        // `phones[type=work]` and a multi-valued custom field end at an entry.
        let at = match at {
            Value::Object(_) => member(at, "value")?,
            other => other,
        };
        match at {
            Value::Null => None,
            Value::String(found) => text(found),
            other => Some(other.clone()),
        }
    }
}

impl Select {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "primary" {
            return Some(Self::Primary);
        }
        if let Ok(index) = text.parse() {
            return Some(Self::Index(index));
        }
        let (key, value) = text.split_once('=')?;
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        (!key.is_empty() && !value.is_empty())
            .then(|| Self::Equals(key.to_owned(), value.to_owned()))
    }
}

/// The meant entry. What should be a list but is a single value counts as a list of one.
fn select<'a>(value: &'a Value, which: Option<&Select>) -> Option<&'a Value> {
    let entries = match value {
        Value::Array(entries) => entries.as_slice(),
        single if which.is_none() => return Some(single),
        single => std::slice::from_ref(single),
    };
    match which {
        Some(Select::Index(index)) => entries.get(*index),
        Some(Select::Equals(key, wanted)) => entries.iter().find(|entry| {
            member(entry, key)
                .and_then(Value::as_str)
                .is_some_and(|is| is.eq_ignore_ascii_case(wanted))
        }),
        Some(Select::Primary) | None => entries
            .iter()
            .find(|entry| member(entry, "primary") == Some(&Value::Bool(true)))
            .or(entries.first()),
    }
}

impl FromStr for SourcePath {
    type Err = SourcePathProblem;

    fn from_str(text: &str) -> Result<Self, SourcePathProblem> {
        Self::parse(text)
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&step.name)?;
            match &step.select {
                None => {}
                Some(Select::Primary) => f.write_str("[primary]")?,
                Some(Select::Index(index)) => write!(f, "[{index}]")?,
                Some(Select::Equals(key, value)) => write!(f, "[{key}={value}]")?,
            }
        }
        Ok(())
    }
}

/// A source as the mapping page offers it. Custom attributes come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceChoice {
    pub path: &'static str,
    pub label: &'static str,
}

macro_rules! choices {
    ($($path:literal = $label:literal),+ $(,)?) => {
        &[$(SourceChoice { path: $path, label: $label }),+]
    };
}

pub const SOURCE_CHOICES: &[SourceChoice] = choices! {
    "primaryEmail" = "Primary e-mail",
    "name.fullName" = "Name, full",
    "name.givenName" = "Name, given",
    "name.familyName" = "Name, family",
    "aliases" = "Alias, first",
    "id" = "Directory id",
    "orgUnitPath" = "Org unit path",
    "organizations[primary].title" = "Organization (primary), title",
    "organizations[primary].department" = "Organization (primary), department",
    "organizations[primary].name" = "Organization (primary), name",
    "organizations[primary].costCenter" = "Organization (primary), cost centre",
    "organizations[primary].location" = "Organization (primary), location",
    "organizations[primary].description" = "Organization (primary), description",
    "relations[type=manager].value" = "Relation, manager",
    "externalIds[type=organization].value" = "Employee id",
    "phones[type=work].value" = "Phone, work",
    "phones[type=mobile].value" = "Phone, mobile",
    "emails[type=work].value" = "E-mail, work",
    "emails[type=home].value" = "E-mail, home",
    "addresses[type=work].streetAddress" = "Address (work), street",
    "addresses[type=work].locality" = "Address (work), city",
    "addresses[type=work].region" = "Address (work), region",
    "addresses[type=work].postalCode" = "Address (work), postal code",
    "addresses[type=work].country" = "Address (work), country",
    "addresses[type=work].countryCode" = "Address (work), country code",
    "languages[preference=preferred].languageCode" = "Language, preferred",
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person() -> Person {
        let user = json!({"id": "1", "primaryEmail": "ann@example.com", "suspended": false,
            "archived": false, "orgUnitPath": "/", "aliases": ["a@example.com"],
            "name": {"givenName": "Ann", "familyName": "Lee", "fullName": " "},
            "organizations": [{"title": "First"}, {"title": "Main", "primary": true, "department": "  "}],
            "phones": {"type": "Work", "value": "+1"},
            "addresses": "somewhere",
            "relations": [{"type": "manager", "value": "boss@example.com"}],
            "customSchemas": {"HR data": {"level": 7, "remote": true, "skills": [{"value": "rust"}]}}});
        Person::from_google(&user, false).unwrap()
    }

    fn read(path: &str) -> Option<Value> {
        SourcePath::parse(path).unwrap().read(&person())
    }

    #[test]
    fn values_are_read_by_path_and_odd_shapes_give_none() {
        assert_eq!(read("primaryEmail"), Some(json!("ann@example.com")));
        assert_eq!(read("name.fullName"), Some(json!("Ann Lee")));
        assert_eq!(read("aliases"), Some(json!("a@example.com")));
        assert_eq!(read("organizations[primary].title"), Some(json!("Main")));
        assert_eq!(read("organizations.title"), Some(json!("Main")));
        assert_eq!(read("organizations[0].title"), Some(json!("First")));
        assert_eq!(read("organizations[primary].department"), None);
        assert_eq!(read("phones[type=work].value"), Some(json!("+1")));
        assert_eq!(read("phones[type=mobile].value"), None);
        assert_eq!(read("addresses[type=work].country"), None);
        assert_eq!(
            read("relations[type=manager].value"),
            Some(json!("boss@example.com"))
        );
        assert_eq!(read("customSchemas.HR data.level"), Some(json!(7)));
        assert_eq!(read("customSchemas.HR data.remote"), Some(json!(true)));
        assert_eq!(read("customSchemas.HR data.skills"), Some(json!("rust")));
        assert_eq!(read("customSchemas.Other.level"), None);
        assert_eq!(read("emails[type=work]"), None);
    }

    #[test]
    fn without_a_primary_mark_the_first_entry_counts() {
        let mut person = person();
        person.attributes = json!({"organizations": [{"title": "First"}, {"title": "Second"}]});
        let path = SourcePath::parse("organizations[primary].title").unwrap();
        assert_eq!(path.read(&person), Some(json!("First")));
    }

    #[test]
    fn every_choice_parses_and_what_is_no_path_does_not() {
        for choice in SOURCE_CHOICES {
            assert_eq!(
                SourcePath::parse(choice.path).unwrap().to_string(),
                choice.path
            );
        }
        for bad in [
            "",
            "nickname",
            "name.",
            "phones[",
            "phones[]",
            "phones[type]",
            "phones[type=work]value",
            "customSchemas.X",
            "a$b",
            ".name",
            "phones[type=].value",
        ] {
            assert!(SourcePath::parse(bad).is_err(), "{bad}");
        }
    }
}
