use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::expression::{Evaluated, Expression};
use super::value::convert;
use super::{FieldChange, MappingRow, Missing, ScimPath, Source, SourcePath, USER_SCHEMA};
use crate::catalog::{AttributeKind, CatalogAttribute, CatalogEntry};
use crate::identity::{AccountId, Person};
use crate::problem::Problem;

/// The account of a person's manager, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagerAccount {
    /// No row asks for it.
    #[default]
    NotMapped,
    /// The directory names no manager.
    None,
    Account(AccountId),
    /// The manager has no account. `expected`: they get one in this run, so the report keeps what
    /// it has and is planned again; otherwise it is a missing value.
    Unresolved {
        email: String,
        expected: bool,
    },
}

/// What one row gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowOutcome {
    /// SCIM path as in the mapping.
    pub attribute: String,
    pub mandatory: bool,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "value")]
pub enum Outcome {
    Value(Value),
    /// No value; the row's default is sent.
    Default(Value),
    /// No value; what the app has is cleared.
    Cleared,
    /// No value; the app keeps what it has.
    Kept,
    /// Sent once the manager with this address has an account.
    AwaitsManager(String),
    /// An expression, which only the server computes.
    OnServer,
    /// The value cannot be sent; the app keeps what it has.
    Problem(String),
}

impl Outcome {
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) | Self::Default(value) => Some(value),
            _ => None,
        }
    }

    /// Whether this row says what the app shall hold, be it nothing.
    fn decides(&self) -> bool {
        matches!(self, Self::Value(_) | Self::Default(_) | Self::Cleared)
    }
}

/// The mapped part of a SCIM User, without `active`, which the lifecycle decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappedBody {
    /// `schemas` and the mapped attributes; no nulls.
    pub body: Value,
    pub rows: Vec<RowOutcome>,
    /// What keeps the body from being sent: a mandatory attribute without a value, or with one
    /// that the app would refuse.
    pub problems: Vec<Problem>,
}

impl MappedBody {
    /// The mapped user name, by which accounts are matched.
    pub fn user_name(&self) -> Option<&str> {
        self.body.get("userName").and_then(Value::as_str)
    }

    /// The address of the manager who has to get an account first.
    pub fn awaits_manager(&self) -> Option<&str> {
        self.rows.iter().find_map(|row| match &row.outcome {
            Outcome::AwaitsManager(email) => Some(email.as_str()),
            _ => None,
        })
    }

    /// Paths of the rows that say what the app shall hold.
    pub fn decided_paths(&self) -> Vec<ScimPath> {
        self.paths(Outcome::decides)
    }

    fn paths(&self, which: impl Fn(&Outcome) -> bool) -> Vec<ScimPath> {
        self.rows
            .iter()
            .filter(|row| which(&row.outcome))
            .filter_map(|row| ScimPath::parse(&row.attribute).ok())
            .collect()
    }

    /// What has to change in an account that holds `acknowledged`. Rows that keep are not looked
    /// at, and neither is what no row maps.
    pub fn changes_from(&self, acknowledged: &Value) -> Vec<FieldChange> {
        super::changes(&self.decided_paths(), acknowledged, &self.body)
    }

    /// The body, and what `acknowledged` holds where a row keeps: what the app has afterwards.
    pub fn with_kept(&self, acknowledged: &Value) -> Value {
        let mut body = self.body.clone();
        for path in self.paths(|outcome| !outcome.decides()) {
            if let Some(value) = path.read(acknowledged) {
                path.write(&mut body, value.clone());
            }
        }
        set_schemas(&mut body);
        body
    }
}

/// A mapping made ready for many people. Rows that cannot be read are left out: validation names
/// them before they are stored.
#[derive(Debug)]
pub struct PreparedMapping {
    rows: Vec<PreparedRow>,
}

#[derive(Debug)]
struct PreparedRow {
    attribute: String,
    path: ScimPath,
    source: PreparedSource,
    missing: Missing,
    kind: Option<AttributeKind>,
    max_length: Option<usize>,
    mandatory: bool,
}

#[derive(Debug)]
enum PreparedSource {
    Attribute(SourcePath),
    Manager,
    Constant(Value),
    Expression(Expression),
}

impl PreparedMapping {
    pub fn new(rows: &[MappingRow], entry: &CatalogEntry) -> Self {
        let rows = rows
            .iter()
            .filter_map(|row| PreparedRow::new(row, entry))
            .collect();
        Self { rows }
    }

    /// Whether a row asks for the manager's account.
    pub fn maps_manager(&self) -> bool {
        self.rows
            .iter()
            .any(|row| matches!(row.source, PreparedSource::Manager))
    }

    pub fn paths(&self) -> impl Iterator<Item = &ScimPath> {
        self.rows.iter().map(|row| &row.path)
    }

    pub fn build(&self, person: &Person, manager: &ManagerAccount) -> MappedBody {
        let mut google = None;
        let mut body = Value::Object(Map::new());
        let mut problems = Vec::new();
        let mut rows = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let outcome = row.outcome(person, manager, &mut google);
            if let Some(value) = outcome.value() {
                row.path.write(&mut body, value.clone());
            }
            if row.mandatory {
                problems.extend(row.mandatory_problem(&outcome));
            }
            rows.push(RowOutcome {
                attribute: row.attribute.clone(),
                mandatory: row.mandatory,
                outcome,
            });
        }
        set_schemas(&mut body);
        MappedBody {
            body,
            rows,
            problems,
        }
    }
}

impl PreparedRow {
    fn new(row: &MappingRow, entry: &CatalogEntry) -> Option<Self> {
        let path = ScimPath::parse(&row.attribute).ok()?;
        let known: Option<&CatalogAttribute> = entry.attribute(&path);
        let source = match &row.source {
            Source::Attribute(source) => {
                let source = SourcePath::parse(source).ok()?;
                if source.is_manager() && path.is_manager() {
                    PreparedSource::Manager
                } else {
                    PreparedSource::Attribute(source)
                }
            }
            Source::Constant(value) => PreparedSource::Constant(value.clone()),
            Source::Expression(text) => PreparedSource::Expression(Expression::parse(text).ok()?),
        };
        Some(Self {
            attribute: path.to_string(),
            path,
            source,
            missing: row.missing.clone(),
            kind: known.map(|attribute| attribute.kind),
            max_length: known.and_then(|attribute| attribute.max_length),
            mandatory: known.is_some_and(|attribute| attribute.mandatory),
        })
    }

    fn outcome(
        &self,
        person: &Person,
        manager: &ManagerAccount,
        google: &mut Option<Value>,
    ) -> Outcome {
        let found = match &self.source {
            PreparedSource::Attribute(path) => path.read(person),
            PreparedSource::Constant(value) => Some(value.clone()),
            PreparedSource::Manager => match manager {
                ManagerAccount::Account(id) => Some(json!(id)),
                ManagerAccount::Unresolved {
                    email,
                    expected: true,
                } => {
                    return Outcome::AwaitsManager(email.clone());
                }
                _ => None,
            },
            PreparedSource::Expression(expression) => {
                let google = google.get_or_insert_with(|| person.to_google());
                match expression.evaluate(google) {
                    Evaluated::Value(value) => Some(value),
                    Evaluated::Missing => None,
                    Evaluated::OnServer => return Outcome::OnServer,
                    Evaluated::Failed(why) => return Outcome::Problem(why),
                }
            }
        };
        let Some(found) = found.filter(|value| !value.is_null()) else {
            return match &self.missing {
                Missing::Keep => Outcome::Kept,
                Missing::Clear => Outcome::Cleared,
                Missing::Default(value) => match convert(value, self.kind, self.max_length) {
                    Ok(value) => Outcome::Default(value),
                    Err(why) => Outcome::Problem(format!("the default {why}")),
                },
            };
        };
        match convert(&found, self.kind, self.max_length) {
            Ok(value) => Outcome::Value(value),
            Err(why) => Outcome::Problem(why),
        }
    }

    fn mandatory_problem(&self, outcome: &Outcome) -> Option<Problem> {
        let field = format!("mapping.{:?}", self.attribute);
        let name = &self.attribute;
        match outcome {
            Outcome::Cleared | Outcome::Kept | Outcome::AwaitsManager(_) => Some(Problem::new(
                "mandatory-missing",
                field,
                format!(
                    "{name} is mandatory and has no value; fill it in the directory or set a default"
                ),
            )),
            Outcome::Problem(why) => Some(Problem::new(
                "mandatory-unusable",
                field,
                format!("{name} is mandatory and its value cannot be sent: {why}"),
            )),
            Outcome::Value(_) | Outcome::Default(_) | Outcome::OnServer => None,
        }
    }
}

/// The exact body for one person. For many people make a [`PreparedMapping`] once instead.
pub fn build_body(
    person: &Person,
    rows: &[MappingRow],
    manager: &ManagerAccount,
    entry: &CatalogEntry,
) -> MappedBody {
    PreparedMapping::new(rows, entry).build(person, manager)
}

/// `schemas` lists the core schema and every extension that the body uses (RFC 7643, 3).
pub(super) fn set_schemas(body: &mut Value) {
    let Some(members) = body.as_object_mut() else {
        return;
    };
    members.retain(|name, value| {
        !(name.starts_with("urn:") && value.as_object().is_some_and(Map::is_empty))
    });
    let mut schemas = vec![json!(USER_SCHEMA)];
    schemas.extend(
        members
            .keys()
            .filter(|name| name.starts_with("urn:"))
            .map(|name| json!(name)),
    );
    members.insert("schemas".to_owned(), Value::Array(schemas));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::entry;
    use crate::mapping::ENTERPRISE_SCHEMA;

    fn person(extra: Value) -> Person {
        let mut user = json!({"id": "1", "primaryEmail": "ann@example.com", "suspended": false,
            "archived": false, "orgUnitPath": "/", "name": {"fullName": "Ann Lee"}});
        for (key, value) in extra.as_object().unwrap() {
            user[key] = value.clone();
        }
        Person::from_google(&user, false).unwrap()
    }

    fn asana(extra: Value, manager: ManagerAccount) -> MappedBody {
        let asana = entry("asana").unwrap();
        build_body(&person(extra), &asana.default_mapping, &manager, asana)
    }

    #[test]
    fn the_body_has_no_nulls_and_names_the_extension_only_when_it_is_used() {
        let plain = asana(json!({}), ManagerAccount::None);
        assert_eq!(
            plain.body,
            json!({"schemas": [USER_SCHEMA], "userName": "ann@example.com",
                "name": {"formatted": "Ann Lee"},
                "emails": [{"primary": true, "value": "ann@example.com"}]})
        );
        assert_eq!(plain.problems, vec![]);
        let full = asana(
            json!({"organizations": [{"title": "Dev", "department": "R&D"}]}),
            ManagerAccount::Account("77".into()),
        );
        assert_eq!(
            full.body["schemas"],
            json!([USER_SCHEMA, ENTERPRISE_SCHEMA])
        );
        assert_eq!(
            full.body[ENTERPRISE_SCHEMA],
            json!({"department": "R&D", "manager": {"value": "77", "$ref": "../Users/77"}})
        );
    }

    #[test]
    fn an_expected_manager_is_awaited_and_another_one_is_missing() {
        let of = |expected| {
            asana(
                json!({}),
                ManagerAccount::Unresolved {
                    email: "m@example.com".into(),
                    expected,
                },
            )
        };
        assert_eq!(of(true).awaits_manager(), Some("m@example.com"));
        assert_eq!(of(false).awaits_manager(), None);
        let old = json!({ENTERPRISE_SCHEMA: {"manager": {"value": "old"}}});
        let manager = |body: &MappedBody| {
            body.changes_from(&old)
                .iter()
                .any(|change| change.attribute.ends_with("manager"))
        };
        assert!(!manager(&of(true)) && manager(&of(false)));
    }

    #[test]
    fn keep_clear_and_default_do_what_they_say() {
        let scim = entry("scim").unwrap();
        let row = |missing| MappingRow {
            missing,
            ..MappingRow::from_attribute("title", "organizations.title")
        };
        let of = |missing| {
            build_body(
                &person(json!({})),
                &[row(missing)],
                &ManagerAccount::NotMapped,
                scim,
            )
        };
        let old = json!({"title": "Old"});
        let keep = of(Missing::Keep);
        assert!(keep.changes_from(&old).is_empty());
        assert_eq!(keep.with_kept(&old)["title"], "Old");
        let clear = of(Missing::Clear).changes_from(&old);
        assert_eq!(
            clear[0],
            FieldChange {
                attribute: "title".into(),
                old: Some("Old".into()),
                new: None
            }
        );
        let default = of(Missing::Default("None".into()));
        assert_eq!(default.body["title"], "None");
    }

    #[test]
    fn a_mandatory_attribute_without_a_value_is_a_problem() {
        let asana = entry("asana").unwrap();
        let rows = [MappingRow::from_attribute(
            "userName",
            "emails[type=work].value",
        )];
        let body = build_body(&person(json!({})), &rows, &ManagerAccount::NotMapped, asana);
        assert_eq!(body.problems[0].code(), "mandatory-missing");
    }
}
