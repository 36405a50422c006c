//! Paths to attributes of a SCIM resource (RFC 7644, 3.5.2, the part of it that mappings need).

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{ENTERPRISE_SCHEMA, USER_SCHEMA, same_value};

/// `[schema:]attribute[filter].sub`.
///
/// At most one level of sub-attribute, at most one `eq` filter on text or boolean.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScimPath {
    /// The extension's URN; `None` for the core schema.
    pub schema: Option<String>,
    pub attribute: String,
    pub filter: Option<Filter>,
    pub sub: Option<String>,
}

/// `[type eq "work"]`, `[primary eq true]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub attribute: String,
    pub value: FilterValue,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FilterValue {
    Text(String),
    Bool(bool),
}

impl FilterValue {
    pub fn json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Bool(flag) => Value::Bool(*flag),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path:?} is not an attribute path ({why}); write it like title, name.formatted or emails[type eq \"work\"].value"
)]
pub struct ScimPathProblem {
    pub path: String,
    pub why: &'static str,
}

impl ScimPathProblem {
    pub fn code(&self) -> &'static str {
        "bad-attribute-path"
    }
}

impl ScimPath {
    pub fn parse(text: &str) -> Result<Self, ScimPathProblem> {
        let fail = |why| ScimPathProblem {
            path: text.to_owned(),
            why,
        };
        let text_trimmed = text.trim();
        let (head, filter, tail) = match text_trimmed.split_once('[') {
            None => (text_trimmed, None, None),
            Some((head, rest)) => {
                let close =
                    closing_bracket(rest).ok_or_else(|| fail("the bracket is not closed"))?;
                let filter = Filter::parse(&rest[..close]).map_err(fail)?;
                let tail = match &rest[close + 1..] {
                    "" => None,
                    tail => Some(tail.strip_prefix('.').ok_or_else(|| {
                        fail("after the bracket comes a dot and a sub-attribute")
                    })?),
                };
                (head, Some(filter), tail)
            }
        };
        let (schema, name) = match head.rsplit_once(':') {
            Some((schema, name))
                if schema
                    .get(..4)
                    .is_some_and(|head| head.eq_ignore_ascii_case("urn:")) =>
            {
                (Some(schema), name)
            }
            Some(_) => return Err(fail("a prefix must be a schema URN")),
            None => (None, head),
        };
        let (attribute, sub) = match (name.split_once('.'), tail) {
            (None, tail) => (name, tail),
            (Some((attribute, sub)), None) if filter.is_none() => (attribute, Some(sub)),
            _ => return Err(fail("the filter stands after the attribute")),
        };
        // RFC 7643, 2.1: ATTRNAME = ALPHA *(nameChar); `$ref` is the one exception.
        let is_name = |name: &str| {
            name == "$ref"
                || (name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        };
        if !is_name(attribute) {
            return Err(fail(
                "the name of the attribute is missing or has a character that names do not have",
            ));
        }
        if sub.is_some_and(|sub| !is_name(sub)) {
            return Err(fail(
                "the name of the sub-attribute is missing or has a character that names do not have",
            ));
        }
        let schema = schema
            .filter(|schema| !schema.eq_ignore_ascii_case(USER_SCHEMA))
            .map(|schema| {
                if schema.eq_ignore_ascii_case(ENTERPRISE_SCHEMA) {
                    ENTERPRISE_SCHEMA.to_owned()
                } else {
                    schema.to_owned()
                }
            });
        Ok(Self {
            schema,
            attribute: attribute.to_owned(),
            filter,
            sub: sub.map(str::to_owned),
        })
    }

    /// Same attribute: names compared without case (RFC 7643, 2.1).
    pub fn same_as(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// For comparing and for looking up; not for sending.
    pub fn key(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }

    /// The enterprise manager, with or without `.value` (RFC 7643, 4.3).
    pub fn is_manager(&self) -> bool {
        self.schema.as_deref() == Some(ENTERPRISE_SCHEMA)
            && self.attribute.eq_ignore_ascii_case("manager")
            && self
                .sub
                .as_deref()
                .is_none_or(|sub| sub.eq_ignore_ascii_case("value"))
    }

    /// The value at this path of a resource; null counts as none. The manager is its id, whether
    /// the app gives text or an object.
    pub fn read<'a>(&self, resource: &'a Value) -> Option<&'a Value> {
        let mut at = resource;
        if let Some(schema) = &self.schema {
            at = member(at, schema)?;
        }
        at = member(at, &self.attribute)?;
        if let Some(filter) = &self.filter {
            at = at.as_array()?.iter().find(|entry| filter.selects(entry))?;
        }
        if self.is_manager() {
            at = member(at, "value").unwrap_or(at);
        } else if let Some(sub) = &self.sub {
            if let Value::Array(entries) = at {
                at = entries
                    .iter()
                    .find(|e| member(e, "primary").is_some_and(|flag| is_flag(flag, true)))
                    .or(entries.first())?;
            }
            at = member(at, sub)?;
        }
        (!at.is_null()).then_some(at)
    }

    /// Puts a value at this path, making what is needed on the way. Entries of other filters stay.
    pub fn write(&self, resource: &mut Value, value: Value) {
        let Some(parent) = self.parent(resource) else {
            return;
        };
        if self.is_manager() {
            let value = if value.is_object() {
                value
            } else {
                manager(&value)
            };
            set(parent, &self.attribute, value);
            return;
        }
        let Some(filter) = &self.filter else {
            match &self.sub {
                None => set(parent, &self.attribute, value),
                Some(sub) => {
                    let complex = child(parent, &self.attribute, || Value::Object(Map::new()));
                    // A multi-valued attribute without a filter: its first entry.
                    let complex = match complex {
                        Value::Array(entries) => {
                            if entries.is_empty() {
                                entries.push(Value::Object(Map::new()));
                            }
                            &mut entries[0]
                        }
                        single => single,
                    };
                    if let Some(complex) = object(complex) {
                        set(complex, sub, value);
                    }
                }
            }
            return;
        };
        let list = child(parent, &self.attribute, || Value::Array(Vec::new()));
        if !list.is_array() {
            *list = Value::Array(Vec::new());
        }
        let Value::Array(entries) = list else { return };
        let at = match entries.iter().position(|entry| filter.selects(entry)) {
            Some(at) => at,
            None => {
                if filter.is_primary() {
                    // At most one entry is primary (RFC 7643, 2.4).
                    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                        entry.remove("primary");
                    }
                }
                let mut entry = Map::new();
                entry.insert(filter.attribute.clone(), filter.value.json());
                entries.push(Value::Object(entry));
                entries.len() - 1
            }
        };
        match &self.sub {
            Some(sub) => {
                if let Some(entry) = object(&mut entries[at]) {
                    set(entry, sub, value);
                }
            }
            None => {
                let mut value = value;
                if let Value::Object(entry) = &mut value {
                    set(entry, &filter.attribute, filter.value.json());
                }
                entries[at] = value;
            }
        }
    }

    /// Some apps keep the entry and drop the mark by which it is told: then the one without a mark
    /// that holds one of these values, and is not `claimed`, gets it again, instead of a second one
    /// beside it.
    pub(super) fn mark_again(
        &self,
        resource: &mut Value,
        values: &[&Value],
        claimed: impl Fn(&Value) -> bool,
    ) {
        let (Some(filter), Some(sub)) = (&self.filter, &self.sub) else {
            return;
        };
        let Some(parent) = self.parent(resource) else {
            return;
        };
        let Some(entries) = name_in(parent, &self.attribute)
            .and_then(|name| parent.get_mut(&name))
            .and_then(Value::as_array_mut)
        else {
            return;
        };
        if entries.iter().any(|entry| filter.selects(entry)) {
            return;
        }
        let unmarked = entries.iter_mut().find(|entry| {
            member(entry, &filter.attribute).is_none_or(Value::is_null)
                && member(entry, sub)
                    .is_some_and(|held| values.iter().any(|value| same_value(held, value)))
                && !claimed(entry)
        });
        if let Some(entry) = unmarked.and_then(object) {
            set(entry, &filter.attribute, filter.value.json());
        }
    }

    /// Takes the value at this path away, and what is empty then.
    pub fn remove(&self, resource: &mut Value) {
        let Some(parent) = self.parent(resource) else {
            return;
        };
        let Some(name) = name_in(parent, &self.attribute) else {
            return;
        };
        if self.is_manager() {
            parent.remove(&name);
            return;
        }
        let Some(at) = parent.get_mut(&name) else {
            return;
        };
        let empty = match (&self.filter, &self.sub) {
            (None, None) => true,
            (None, Some(sub)) => match at {
                Value::Object(complex) => {
                    unset(complex, sub);
                    complex.is_empty()
                }
                _ => false,
            },
            (Some(filter), sub) => match at {
                Value::Array(entries) => {
                    entries.retain_mut(|entry| {
                        if !filter.selects(entry) {
                            return true;
                        }
                        match (sub, entry.as_object_mut()) {
                            (Some(sub), Some(entry)) if !sub.eq_ignore_ascii_case("value") => {
                                unset(entry, sub);
                                entry.keys().any(|key| {
                                    !key.eq_ignore_ascii_case(&filter.attribute)
                                        && !key.eq_ignore_ascii_case("primary")
                                        && !key.eq_ignore_ascii_case("type")
                                })
                            }
                            _ => false,
                        }
                    });
                    entries.is_empty()
                }
                _ => false,
            },
        };
        if empty {
            parent.remove(&name);
        }
    }

    fn parent<'a>(&self, resource: &'a mut Value) -> Option<&'a mut Map<String, Value>> {
        let root = object(resource)?;
        match &self.schema {
            None => Some(root),
            Some(schema) => object(child(root, schema, || Value::Object(Map::new()))),
        }
    }
}

impl Filter {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let (attribute, rest) = text
            .split_once(char::is_whitespace)
            .ok_or("a filter is like type eq \"work\"")?;
        let (operator, value) = rest
            .trim_start()
            .split_once(char::is_whitespace)
            .ok_or("a filter is like type eq \"work\"")?;
        if !operator.eq_ignore_ascii_case("eq") {
            return Err("the only operator of a filter is eq");
        }
        let value = match value.trim() {
            "true" => FilterValue::Bool(true),
            "false" => FilterValue::Bool(false),
            quoted => match serde_json::from_str::<String>(quoted) {
                Ok(text) => FilterValue::Text(text),
                Err(_) => {
                    return Err("the value of a filter is text in double quotes, true or false");
                }
            },
        };
        if !attribute.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err("the attribute of a filter has a character that names do not have");
        }
        Ok(Self {
            attribute: attribute.to_owned(),
            value,
        })
    }

    pub fn is_primary(&self) -> bool {
        self.attribute.eq_ignore_ascii_case("primary") && self.value == FilterValue::Bool(true)
    }

    /// Whether an entry of a multi-valued attribute is meant. Text compared without case.
    pub fn selects(&self, entry: &Value) -> bool {
        match (member(entry, &self.attribute), &self.value) {
            (Some(Value::String(text)), FilterValue::Text(wanted)) => {
                text.to_lowercase() == wanted.to_lowercase()
            }
            (Some(flag), FilterValue::Bool(wanted)) => is_flag(flag, *wanted),
            (None, FilterValue::Bool(wanted)) => !wanted,
            _ => false,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} eq {}", self.attribute, self.value.json())
    }
}

impl fmt::Display for ScimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}:")?;
        }
        f.write_str(&self.attribute)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        if let Some(sub) = &self.sub {
            write!(f, ".{sub}")?;
        }
        Ok(())
    }
}

impl FromStr for ScimPath {
    type Err = ScimPathProblem;

    fn from_str(text: &str) -> Result<Self, ScimPathProblem> {
        Self::parse(text)
    }
}

/// The manager with this account id. RFC 7643, 4.3 asks for the reference besides the value, and
/// strict servers refuse a manager without it; it is relative to the account, as in the RFC.
pub(super) fn manager(id: &Value) -> Value {
    let text = match id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut reference = "../Users/".to_owned();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            reference.push(char::from(byte));
        } else {
            reference.push_str(&format!("%{byte:02X}"));
        }
    }
    json!({ "value": id, "$ref": reference })
}

/// Where the bracket ends that was opened just before `text`; quoted text may hold brackets.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether a flag is as wanted; some apps give flags as text.
fn is_flag(flag: &Value, wanted: bool) -> bool {
    same_value(flag, &Value::Bool(wanted))
}

/// A member by its name, exactly or else without case.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let members = value.as_object()?;
    members.get(name).or_else(|| {
        members
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
    })
}

fn name_in(members: &Map<String, Value>, name: &str) -> Option<String> {
    if members.contains_key(name) {
        return Some(name.to_owned());
    }
    members
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name))
        .cloned()
}

fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    let name = name_in(members, name).unwrap_or_else(|| name.to_owned());
    members.insert(name, value);
}

fn unset(members: &mut Map<String, Value>, name: &str) {
    if let Some(name) = name_in(members, name) {
        members.remove(&name);
    }
}

fn child<'a>(
    members: &'a mut Map<String, Value>,
    name: &str,
    make: impl FnOnce() -> Value,
) -> &'a mut Value {
    let name = name_in(members, name).unwrap_or_else(|| name.to_owned());
    members.entry(name).or_insert_with(make)
}

/// The value as an object; anything else becomes an empty one first.
fn object(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

#[cfg(test)]
mod tests;
