//! PATCH: operations with a path, or with an object of values.

use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::quirks::Quirks;
use super::schema::{ENTERPRISE, USER};

const MESSAGE: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// Where an operation goes: `attribute[key eq value].sub`, below an extension or not.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    extension: bool,
    attribute: &'a str,
    filter: Option<(&'a str, Value)>,
    sub: Option<&'a str>,
}

/// Applies a message to an account's document.
pub fn apply(
    document: &mut Map<String, Value>,
    message: &Map<String, Value>,
    quirks: &Quirks,
) -> Result<(), ScimError> {
    let schemas = message.get("schemas").and_then(Value::as_array);
    if !schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == MESSAGE)) {
        return Err(ScimError::bad_request(
            "invalidSyntax",
            "schemas must contain the PatchOp schema",
        ));
    }
    let operations = message
        .get("Operations")
        .and_then(Value::as_array)
        .filter(|operations| !operations.is_empty())
        .ok_or_else(|| ScimError::bad_request("invalidSyntax", "Operations must be a list"))?;
    for operation in operations {
        let op = match operation["op"]
            .as_str()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("add") => Op::Add,
            Some("replace") => Op::Replace,
            Some("remove") => Op::Remove,
            _ => {
                return Err(ScimError::bad_request(
                    "invalidSyntax",
                    "op is missing or unknown",
                ));
            }
        };
        let value = operation.get("value").cloned().unwrap_or(Value::Null);
        let op = match op {
            Op::Add if quirks.add_replaces && value.is_array() => Op::Replace,
            op => op,
        };
        match operation.get("path").and_then(Value::as_str) {
            Some(_) if quirks.patch_ignores_paths => {}
            Some(path) => set(document, path, op, value)?,
            None if op == Op::Remove => {
                return Err(ScimError::bad_request("noTarget", "remove needs a path"));
            }
            None => {
                let Value::Object(values) = value else {
                    return Err(ScimError::bad_request(
                        "invalidValue",
                        "an operation without a path needs an object as its value",
                    ));
                };
                for (name, value) in values {
                    merge(document, &name, op, value)?;
                }
            }
        }
    }
    Ok(())
}

/// One member of a value object: a path, an extension, or an attribute.
fn merge(
    document: &mut Map<String, Value>,
    name: &str,
    op: Op,
    value: Value,
) -> Result<(), ScimError> {
    match value {
        Value::Object(values) if name.eq_ignore_ascii_case(ENTERPRISE) => {
            for (sub, value) in values {
                set(document, &format!("{ENTERPRISE}:{sub}"), op, value)?;
            }
            Ok(())
        }
        Value::Object(values) if !name.contains(['.', '[']) => {
            for (sub, value) in values {
                set(document, &format!("{name}.{sub}"), op, value)?;
            }
            Ok(())
        }
        value if name.eq_ignore_ascii_case("schemas") => {
            drop(value);
            Ok(())
        }
        value => set(document, name, op, value),
    }
}

fn set(
    document: &mut Map<String, Value>,
    path: &str,
    op: Op,
    value: Value,
) -> Result<(), ScimError> {
    let target = parse(path)?;
    let holder = if target.extension {
        document
            .entry(ENTERPRISE)
            .or_insert_with(|| Value::Object(Map::new()))
            .as_object_mut()
            .ok_or_else(|| invalid_path(path))?
    } else {
        document
    };
    let name = holder
        .keys()
        .find(|key| key.eq_ignore_ascii_case(target.attribute))
        .cloned()
        .unwrap_or_else(|| target.attribute.to_owned());
    let gone = op == Op::Remove || value.is_null();
    match (target.filter, target.sub) {
        (None, None) if gone => drop(holder.remove(&name)),
        (None, None) => {
            let slot = holder.entry(name).or_insert(Value::Null);
            match (slot, value) {
                (Value::Array(old), Value::Array(new)) if op == Op::Add => {
                    for entry in new {
                        if !old.contains(&entry) {
                            old.push(entry);
                        }
                    }
                }
                (slot, value) => *slot = value,
            }
        }
        (None, Some(sub)) => {
            let slot = holder
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            match slot {
                Value::Object(slot) => put(slot, sub, gone, value),
                // A path without a filter means every entry of a list.
                Value::Array(entries) => {
                    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                        put(entry, sub, gone, value.clone());
                    }
                }
                slot => *slot = json!({ sub: value }),
            }
        }
        (Some((key, wanted)), sub) => {
            let entries = holder
                .entry(name)
                .or_insert_with(|| Value::Array(Vec::new()))
                .as_array_mut()
                .ok_or_else(|| invalid_path(path))?;
            let found = entries
                .iter()
                .position(|entry| matches(entry, key, &wanted));
            match (found, sub) {
                (Some(at), None) if gone => drop(entries.remove(at)),
                (None, _) if gone => {}
                (at, sub) => {
                    let at = at.unwrap_or_else(|| {
                        entries.push(json!({ key: wanted }));
                        entries.len() - 1
                    });
                    let entry = entries
                        .get_mut(at)
                        .and_then(Value::as_object_mut)
                        .ok_or_else(|| invalid_path(path))?;
                    match (sub, value) {
                        (Some(sub), value) => put(entry, sub, gone, value),
                        (None, Value::Object(values)) => {
                            for (sub, value) in values {
                                put(entry, &sub, false, value);
                            }
                        }
                        (None, _) => return Err(invalid_path(path)),
                    }
                }
            }
        }
    }
    Ok(())
}

fn matches(entry: &Value, key: &str, wanted: &Value) -> bool {
    match (entry.get(key), wanted) {
        (Some(Value::String(a)), Value::String(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == Some(b),
    }
}

fn put(holder: &mut Map<String, Value>, name: &str, gone: bool, value: Value) {
    if gone || value.is_null() {
        holder.remove(name);
    } else {
        holder.insert(name.to_owned(), value);
    }
}

fn invalid_path(path: &str) -> ScimError {
    ScimError::bad_request("invalidPath", &format!("The path {path} is not supported"))
}

fn parse(path: &str) -> Result<Target<'_>, ScimError> {
    let lower = path.to_ascii_lowercase();
    let within = |schema: &str| lower.starts_with(&format!("{}:", schema.to_ascii_lowercase()));
    let (extension, rest) = if within(ENTERPRISE) {
        (true, &path[ENTERPRISE.len() + 1..])
    } else if within(USER) {
        (false, &path[USER.len() + 1..])
    } else {
        (false, path)
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '$' | '-' | '_' | ':'))
    };
    let (attribute, filter, after) = match rest.split_once('[') {
        Some((attribute, after)) => {
            let (filter, after) = after.split_once(']').ok_or_else(|| invalid_path(path))?;
            (attribute, Some(read_filter(filter, path)?), after)
        }
        None => match rest.find('.') {
            Some(at) => (&rest[..at], None, &rest[at..]),
            None => (rest, None, ""),
        },
    };
    let sub = match after {
        "" => None,
        after => Some(after.strip_prefix('.').ok_or_else(|| invalid_path(path))?),
    };
    if !is_name(attribute) || !sub.is_none_or(is_name) {
        return Err(invalid_path(path));
    }
    Ok(Target {
        extension,
        attribute,
        filter,
        sub,
    })
}

fn read_filter<'a>(filter: &'a str, path: &str) -> Result<(&'a str, Value), ScimError> {
    let mut parts = filter.trim().splitn(3, ' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(key), Some(operator), Some(value)) if operator.eq_ignore_ascii_case("eq") => {
            let value = serde_json::from_str(value.trim()).map_err(|_| invalid_path(path))?;
            Ok((key, value))
        }
        _ => Err(invalid_path(path)),
    }
}
