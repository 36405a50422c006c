use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ScimPath;

/// One attribute whose value differs. `None`: no value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// SCIM path.
    pub attribute: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// What differs between two resources at the given paths; nothing else is looked at.
pub fn changes<'a>(
    paths: impl IntoIterator<Item = &'a ScimPath>,
    old: &Value,
    new: &Value,
) -> Vec<FieldChange> {
    paths
        .into_iter()
        .filter_map(|path| {
            let (before, after) = (path.read(old), path.read(new));
            let same = match (before, after) {
                (None, None) => true,
                (Some(before), Some(after)) => same_value(before, after),
                _ => false,
            };
            (!same).then(|| FieldChange {
                attribute: path.to_string(),
                old: before.cloned(),
                new: after.cloned(),
            })
        })
        .collect()
}

/// Whether an app that gave `a` holds `b`: some apps give ids as numbers and flags as text.
pub fn same_value(a: &Value, b: &Value) -> bool {
    fn text(value: &Value) -> Option<String> {
        match value {
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }
    match (a, b) {
        (Value::String(a), b) if !b.is_string() => {
            text(b).is_some_and(|b| a.eq_ignore_ascii_case(&b))
        }
        (a, Value::String(b)) if !a.is_string() => {
            text(a).is_some_and(|a| b.eq_ignore_ascii_case(&a))
        }
        (a, b) => a == b,
    }
}

/// The part of a resource that lies at the given paths.
pub fn project<'a>(resource: &Value, paths: impl IntoIterator<Item = &'a ScimPath>) -> Value {
    let mut part = Value::Object(Map::new());
    for path in paths {
        if let Some(value) = path.read(resource) {
            path.write(&mut part, value.clone());
        }
    }
    part
}
