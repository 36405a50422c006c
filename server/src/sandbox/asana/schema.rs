//! The attributes that Asana keeps, and the shape in which it keeps them.

use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::quirks::Quirks;

/// The schema of users.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of the enterprise extension.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const PLAIN: &[&str] = &["title", "preferredLanguage"];
const ENTERPRISE_PLAIN: &[&str] = &[
    "employeeNumber",
    "costCenter",
    "organization",
    "division",
    "department",
];
/// Known to the protocol, taken without complaint, never kept.
const IGNORED: &[&str] = &[
    "schemas",
    "id",
    "meta",
    "externalId",
    "displayName",
    "nickName",
    "locale",
    "timezone",
    "userType",
    "profileUrl",
    "groups",
    "roles",
    "photos",
    "password",
];

/// What a document says of an account.
#[derive(Debug)]
pub struct Content {
    pub user_name: String,
    pub active: bool,
    /// Everything else that is kept.
    pub attributes: Map<String, Value>,
}

fn wrong_type(name: &str, wanted: &str) -> ScimError {
    ScimError::bad_request("invalidValue", &format!("{name} must be {wanted}"))
}

/// The member with this name, without case.
fn take(document: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = document
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name))?
        .clone();
    document.remove(&key).filter(|value| !value.is_null())
}

fn text(name: &str, value: Value) -> Result<Value, ScimError> {
    match value {
        Value::String(_) => Ok(value),
        _ => Err(wrong_type(name, "a string")),
    }
}

/// Reads a whole account, dropping what is not kept.
pub fn read(mut document: Map<String, Value>, quirks: &Quirks) -> Result<Content, ScimError> {
    let user_name = match take(&mut document, "userName") {
        Some(Value::String(name)) if !name.trim().is_empty() => name,
        Some(Value::String(_)) | None => {
            return Err(ScimError::bad_request(
                "invalidValue",
                "userName is required",
            ));
        }
        Some(_) => return Err(wrong_type("userName", "a string")),
    };
    let active = match take(&mut document, "active") {
        None => true,
        Some(Value::Bool(active)) => active,
        Some(_) => return Err(wrong_type("active", "a boolean")),
    };
    for name in IGNORED {
        if !quirks.keeps_everything || ["schemas", "id", "meta"].contains(name) {
            take(&mut document, name);
        }
    }
    let mut attributes = Map::new();
    let default_name = user_name.split('@').next().unwrap_or_default().to_owned();
    attributes.insert(
        "name".to_owned(),
        read_name(take(&mut document, "name"), &default_name, quirks)?,
    );
    let emails = match take(&mut document, "emails") {
        Some(Value::Array(entries)) if !entries.is_empty() => {
            read_entries("emails", entries, &["value", "primary", "type"])?
        }
        Some(Value::Array(_)) | None => vec![json!({ "value": user_name, "primary": true })],
        Some(_) => return Err(wrong_type("emails", "a list")),
    };
    attributes.insert("emails".to_owned(), emails.into());
    for name in PLAIN {
        if let Some(value) = take(&mut document, name) {
            attributes.insert((*name).to_owned(), text(name, value)?);
        }
    }
    for (name, kept) in [
        ("phoneNumbers", &["value", "type", "primary"][..]),
        (
            "addresses",
            &[
                "type",
                "primary",
                "country",
                "region",
                "locality",
                "formatted",
            ][..],
        ),
    ] {
        match take(&mut document, name) {
            None => {}
            Some(Value::Array(entries)) => {
                let entries = read_entries(name, entries, kept)?;
                if !entries.is_empty() {
                    attributes.insert(name.to_owned(), entries.into());
                }
            }
            Some(_) => return Err(wrong_type(name, "a list")),
        }
    }
    if let Some(extension) = take(&mut document, ENTERPRISE)
        && !quirks.drops_enterprise
    {
        let extension = read_enterprise(extension)?;
        if !extension.is_empty() {
            attributes.insert(ENTERPRISE.to_owned(), extension.into());
        }
    }
    if quirks.refuses_unknown
        && let Some(name) = document.keys().next()
    {
        return Err(ScimError::bad_request(
            "invalidSyntax",
            &format!("Unknown attribute {name}"),
        ));
    }
    if quirks.keeps_everything {
        document.retain(|_, value| !value.is_null());
        attributes.append(&mut document);
    }
    for name in &quirks.drops {
        attributes.remove(name);
    }
    Ok(Content {
        user_name,
        active,
        attributes,
    })
}

/// Asana keeps one name; the parts are made for services that keep them.
fn read_name(name: Option<Value>, default: &str, quirks: &Quirks) -> Result<Value, ScimError> {
    let mut name = match name {
        None => Map::new(),
        Some(Value::Object(name)) => name,
        Some(_) => return Err(wrong_type("name", "an object")),
    };
    let formatted = match take(&mut name, "formatted") {
        Some(value) => text("name.formatted", value)?,
        None => {
            let part = |key: &str| name.get(key).and_then(Value::as_str).unwrap_or_default();
            let joined = format!("{} {}", part("givenName"), part("familyName"));
            match joined.trim() {
                "" => default.into(),
                joined => joined.into(),
            }
        }
    };
    if !quirks.keeps_everything {
        name.clear();
    }
    name.retain(|_, value| !value.is_null());
    name.insert("formatted".to_owned(), formatted);
    Ok(name.into())
}

fn read_entries(name: &str, entries: Vec<Value>, kept: &[&str]) -> Result<Vec<Value>, ScimError> {
    entries
        .into_iter()
        .map(|entry| match entry {
            Value::Object(mut entry) => {
                entry.retain(|key, value| kept.contains(&key.as_str()) && !value.is_null());
                for (key, value) in &entry {
                    let fits = match key.as_str() {
                        "primary" => value.is_boolean(),
                        _ => value.is_string(),
                    };
                    if !fits {
                        return Err(wrong_type(&format!("{name}.{key}"), "of another type"));
                    }
                }
                Ok(Value::Object(entry))
            }
            _ => Err(wrong_type(name, "a list of objects")),
        })
        .collect()
}

fn read_enterprise(extension: Value) -> Result<Map<String, Value>, ScimError> {
    let Value::Object(mut extension) = extension else {
        return Err(wrong_type(ENTERPRISE, "an object"));
    };
    let mut kept = Map::new();
    for name in ENTERPRISE_PLAIN {
        if let Some(value) = take(&mut extension, name) {
            kept.insert((*name).to_owned(), text(name, value)?);
        }
    }
    match take(&mut extension, "manager") {
        None => {}
        Some(Value::Object(manager)) => match manager.get("value") {
            Some(Value::String(id)) if !id.is_empty() => {
                kept.insert("manager".to_owned(), json!({ "value": id }));
            }
            Some(Value::String(_) | Value::Null) | None => {}
            Some(_) => return Err(wrong_type("manager.value", "a string")),
        },
        Some(_) => return Err(wrong_type("manager", "an object")),
    }
    Ok(kept)
}
