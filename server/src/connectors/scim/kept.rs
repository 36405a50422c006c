//! What an app kept of what it was sent, as far as its answer shows.

use std::collections::BTreeSet;

use provisioning::mapping::same_value;
use serde_json::{Map, Value};

/// Paths of mapped attributes by what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub kept: BTreeSet<String>,
    pub lost: BTreeSet<String>,
}

/// Compares the values that were sent with the account that came back. An answer that shows none
/// of them is a short one and proves nothing.
pub(super) fn compare(sent: &Value, answered: &Value) -> Kept {
    let mut compared = Kept::default();
    if let (Some(sent), Some(answered)) = (sent.as_object(), answered.as_object()) {
        for (name, value) in sent {
            match name.as_str() {
                // Set by Rollcall or judged on its own.
                "schemas" | "active" | "userName" => {}
                urn if urn.starts_with("urn:") => {
                    let held = member(answered, urn).and_then(Value::as_object);
                    for (name, value) in value.as_object().into_iter().flatten() {
                        let held = held.and_then(|held| member(held, name));
                        compared.attribute(&format!("{urn}:{name}"), name, value, held);
                    }
                }
                name => compared.attribute(name, name, value, member(answered, name)),
            }
        }
    }
    if compared.kept.is_empty() {
        return Kept::default();
    }
    compared
}

impl Kept {
    fn attribute(&mut self, path: &str, name: &str, sent: &Value, held: Option<&Value>) {
        match sent {
            // The manager is one attribute, whatever it is made of.
            Value::Object(manager) if name == "manager" => {
                let held = held.and_then(Value::as_object);
                let held = held.and_then(|held| member(held, "value"));
                self.note(path.to_owned(), manager.get("value"), held);
            }
            Value::Object(parts) => {
                let held = held.and_then(Value::as_object);
                for (sub, value) in parts {
                    let held = held.and_then(|held| member(held, sub));
                    self.note(format!("{path}.{sub}"), Some(value), held);
                }
            }
            Value::Array(entries) => {
                let held = held
                    .and_then(Value::as_array)
                    .map_or(&[][..], Vec::as_slice);
                for entry in entries.iter().filter_map(Value::as_object) {
                    self.entry(path, entry, held);
                }
            }
            value => self.note(path.to_owned(), Some(value), held),
        }
    }

    fn entry(&mut self, path: &str, entry: &Map<String, Value>, held: &[Value]) {
        let (mark, filter) = match entry.get("type").and_then(Value::as_str) {
            Some(kind) => ("type", format!("type eq {}", Value::from(kind))),
            None if entry.get("primary") == Some(&Value::Bool(true)) => {
                ("primary", "primary eq true".to_owned())
            }
            None => return,
        };
        let wanted = entry.get(mark);
        let held = || held.iter().filter_map(Value::as_object);
        let marked = held().find(|candidate| {
            let value = member(candidate, mark);
            value.zip(wanted).is_some_and(|(a, b)| same(a, b))
        });
        // Some keep the entry and drop the mark.
        let found = marked.or_else(|| {
            held().find(|candidate| {
                let value = member(candidate, "value").zip(entry.get("value"));
                member(candidate, mark).is_none() && value.is_some_and(|(a, b)| same(a, b))
            })
        });
        for (sub, value) in entry
            .iter()
            .filter(|(sub, _)| *sub != "type" && *sub != "primary")
        {
            let held = found.and_then(|found| member(found, sub));
            self.note(format!("{path}[{filter}].{sub}"), Some(value), held);
        }
    }

    fn note(&mut self, path: String, sent: Option<&Value>, held: Option<&Value>) {
        let Some(sent) = sent else { return };
        if held.is_some_and(|held| same(held, sent)) {
            self.kept.insert(path);
        } else {
            self.lost.insert(path);
        }
    }
}

pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // Addresses and codes come back in another case and are the same.
        (Value::String(a), Value::String(b)) => a.to_lowercase() == b.to_lowercase(),
        _ => same_value(a, b),
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).or_else(|| {
        members
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    #[test]
    fn what_comes_back_missing_or_different_was_not_kept() {
        let sent = json!({"schemas": [], "userName": "a@b.c", "title": "T", "displayName": "A",
            "name": {"formatted": "A"},
            "emails": [{"type": "work", "value": "A@b.c"}, {"primary": true, "value": "p@b.c"}],
            ENTERPRISE: {"department": "D", "manager": {"value": "7", "$ref": "../Users/7"}}});
        let answered = json!({"id": "1", "userName": "a@b.c", "title": "Sir", "name": {"formatted": "A"},
            "emails": [{"type": "work", "value": "a@b.c"}],
            ENTERPRISE: {"manager": {"value": 7}}});
        let compared = compare(&sent, &answered);
        let paths = |paths: &BTreeSet<String>| paths.iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            paths(&compared.lost),
            [
                "displayName",
                "emails[primary eq true].value",
                "title",
                &format!("{ENTERPRISE}:department"),
            ]
        );
        assert_eq!(
            paths(&compared.kept),
            [
                "emails[type eq \"work\"].value",
                "name.formatted",
                &format!("{ENTERPRISE}:manager"),
            ]
        );
    }

    #[test]
    fn a_short_answer_proves_nothing() {
        let sent = json!({"userName": "a@b.c", "title": "T"});
        let answered = json!({"id": "1", "userName": "a@b.c", "meta": {}});
        assert_eq!(compare(&sent, &answered), Kept::default());
    }
}
