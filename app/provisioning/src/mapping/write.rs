//! Request bodies that change an account: PATCH in two styles, and PUT.

use serde_json::{Map, Value, json};

use super::body::set_schemas;
use super::scim_path::{Filter, manager, member};
use super::{ENTERPRISE_SCHEMA, FieldChange, MappingRow, PATCH_SCHEMA, ScimPath};
use crate::config::Missing;

/// PATCH with one operation per attribute (RFC 7644, 3.5.2): `replace` with a path, `remove` for
/// what is cleared. An entry that does not exist yet is sent with all others of its list, which
/// are taken from `current`, the account as just read: some apps take an addition for the whole
/// list. `body` is what the account shall hold afterwards; `active` is set when it is given.
pub fn patch_operations(
    changes: &[FieldChange],
    body: &Value,
    current: Option<&Value>,
    active: Option<bool>,
) -> Value {
    let mut operations = Vec::new();
    if let Some(active) = active {
        operations.push(json!({"op": "replace", "path": "active", "value": active}));
    }
    let mut lists = whole_lists(changes, body, current);
    let mut removed = Vec::new();
    let mut added: Vec<String> = Vec::new();
    for change in changes {
        let Ok(path) = ScimPath::parse(&change.attribute) else {
            continue;
        };
        let entry = ScimPath {
            sub: None,
            ..path.clone()
        };
        let list = list_of(&path);
        let whole_list = lists
            .iter_mut()
            .find(|(known, _)| path.filter.is_some() && known.same_as(&list));
        let Some(new) = &change.new else {
            // An entry is its value: without it nothing of the entry is left.
            let whole = path.filter.is_some()
                && path
                    .sub
                    .as_deref()
                    .is_some_and(|sub| sub.eq_ignore_ascii_case("value"));
            let target = if whole || path.is_manager() {
                &entry
            } else {
                &path
            };
            match whole_list {
                Some((_, account)) => target.remove(account),
                None => removed.push(json!({"op": "remove", "path": target.to_string()})),
            }
            continue;
        };
        if let Some((_, account)) = whole_list {
            path.write(account, new.clone());
        } else if path.is_manager() {
            let value = manager(new);
            operations.push(json!({"op": "replace", "path": entry.to_string(), "value": value}));
        } else if path.filter.is_some() && !existed(&entry, changes, body) {
            if added.contains(&entry.key()) {
                continue;
            }
            added.push(entry.key());
            // A filter that selects nothing is an error (RFC 7644, 3.5.2.3), so it is added whole.
            let value = entry.read(body).cloned().unwrap_or(Value::Null);
            operations.push(json!({"op": "add", "path": list.to_string(), "value": [value]}));
        } else {
            operations.push(json!({"op": "replace", "path": path.to_string(), "value": new}));
        }
    }
    for (list, account) in &lists {
        let value = list.read(account).cloned().unwrap_or_else(|| json!([]));
        operations.push(json!({"op": "replace", "path": list.to_string(), "value": value}));
    }
    // Last, so that an entry is not gone before another part of it is replaced.
    operations.append(&mut removed);
    json!({"schemas": [PATCH_SCHEMA], "Operations": operations})
}

/// The lists that get a new entry, each in a resource of its own, as the account holds them.
fn whole_lists(
    changes: &[FieldChange],
    body: &Value,
    current: Option<&Value>,
) -> Vec<(ScimPath, Value)> {
    let mut lists: Vec<(ScimPath, Value)> = Vec::new();
    let Some(current) = current else {
        return lists;
    };
    for change in changes {
        let Ok(path) = ScimPath::parse(&change.attribute) else {
            continue;
        };
        let list = list_of(&path);
        if !adds_entry(change, &path, changes, body)
            || lists.iter().any(|(known, _)| known.same_as(&list))
        {
            continue;
        }
        let mut account = Value::Object(Map::new());
        if let Some(known) = list.read(current) {
            list.write(&mut account, without_nulls(known));
        }
        mark_again(&mut account, &list, changes, body);
        lists.push((list, account));
    }
    lists
}

fn list_of(path: &ScimPath) -> ScimPath {
    ScimPath {
        filter: None,
        sub: None,
        ..path.clone()
    }
}

fn adds_entry(change: &FieldChange, path: &ScimPath, all: &[FieldChange], body: &Value) -> bool {
    let entry = ScimPath {
        sub: None,
        ..path.clone()
    };
    change.new.is_some() && path.filter.is_some() && !existed(&entry, all, body)
}

/// Whether a change makes an entry of a list that the app does not have yet.
pub fn adds_entries(changes: &[FieldChange], body: &Value) -> bool {
    changes.iter().any(|change| {
        ScimPath::parse(&change.attribute)
            .is_ok_and(|path| adds_entry(change, &path, changes, body))
    })
}

/// Whether the app has the entry already: one of its parts had a value, or keeps the one it has.
fn existed(entry: &ScimPath, changes: &[FieldChange], body: &Value) -> bool {
    let mut changed = Vec::new();
    for change in changes {
        let Ok(path) = ScimPath::parse(&change.attribute) else {
            continue;
        };
        if (ScimPath {
            sub: None,
            ..path.clone()
        })
        .same_as(entry)
        {
            if change.old.is_some() {
                return true;
            }
            changed.extend(path.sub.map(|sub| sub.to_ascii_lowercase()));
        }
    }
    let mark = entry
        .filter
        .as_ref()
        .map(|filter| filter.attribute.to_ascii_lowercase());
    entry
        .read(body)
        .and_then(Value::as_object)
        .is_some_and(|parts| {
            parts
                .keys()
                .map(|key| key.to_ascii_lowercase())
                .any(|key| Some(&key) != mark.as_ref() && !changed.contains(&key))
        })
}

/// PATCH with one `replace` without a path and an object as value (Asana's documented style).
///
/// `None` when a change clears an attribute, which this style cannot say. Lists are replaced as a
/// whole by it, so the entries of others are taken from `current`, the account as just read.
pub fn patch_value_style(
    changes: &[FieldChange],
    body: &Value,
    current: Option<&Value>,
    active: Option<bool>,
) -> Option<Value> {
    let mut value = Value::Object(Map::new());
    for change in changes {
        let new = change.new.as_ref()?;
        let path = ScimPath::parse(&change.attribute).ok()?;
        if path.filter.is_some() {
            let list = ScimPath {
                filter: None,
                sub: None,
                ..path.clone()
            };
            if list.read(&value).is_none() {
                let known = current
                    .and_then(|current| list.read(current))
                    .or_else(|| list.read(body));
                if let Some(known) = known {
                    list.write(&mut value, known.clone());
                    mark_again(&mut value, &list, changes, body);
                }
            }
        }
        path.write(&mut value, new.clone());
    }
    if let (Some(active), Some(members)) = (active, value.as_object_mut()) {
        members.insert("active".to_owned(), Value::Bool(active));
    }
    Some(json!({"schemas": [PATCH_SCHEMA], "Operations": [{"op": "replace", "value": value}]}))
}

/// PUT (RFC 7644, 3.5.1): the account as just read, without its read-only attributes and nulls,
/// with the mapped values replaced and what `changes` clears removed. Whatever else the account
/// holds stays.
pub fn replace_body(
    read_back: &Value,
    body: &Value,
    rows: &[MappingRow],
    changes: &[FieldChange],
    active: Option<bool>,
) -> Value {
    let mut account = without_nulls(read_back);
    if !account.is_object() {
        account = Value::Object(Map::new());
    }
    if let Some(members) = account.as_object_mut() {
        // Read-only for clients (RFC 7643, 3.1 and 4.1.2).
        members.retain(|name, _| {
            !["id", "meta", "groups"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        });
        if let Some(manager_read) = (members.get_mut(ENTERPRISE_SCHEMA))
            .and_then(|extension| extension.get_mut("manager"))
            .and_then(Value::as_object_mut)
        {
            // Read-only (RFC 7643, 4.3), and the reference goes with the value.
            manager_read.retain(|name, _| !name.eq_ignore_ascii_case("displayName"));
            if let (Some(id), None) = (manager_read.get("value"), manager_read.get("$ref")) {
                let reference = manager(id)["$ref"].take();
                manager_read.insert("$ref".to_owned(), reference);
            }
        }
        if let Some(active) = active {
            members.retain(|name, _| !name.eq_ignore_ascii_case("active"));
            members.insert("active".to_owned(), Value::Bool(active));
        } else if let Some(text) = member(read_back, "active").and_then(Value::as_str) {
            let active = text.eq_ignore_ascii_case("true");
            members.retain(|name, _| !name.eq_ignore_ascii_case("active"));
            members.insert("active".to_owned(), Value::Bool(active));
        }
    }
    for row in rows {
        let Ok(path) = ScimPath::parse(&row.attribute) else {
            continue;
        };
        // What a row keeps is the app's business: the value that is there counts, not the one that
        // was acknowledged once.
        let changed = (changes.iter()).any(|change| change.attribute == row.attribute);
        let keeps = row.missing == Missing::Keep && !changed && path.read(&account).is_some();
        mark_one_again(&mut account, &path, &row.attribute, changes, body);
        if let Some(value) = path.read(body).filter(|_| !keeps) {
            path.write(&mut account, value.clone());
        }
    }
    for change in changes.iter().filter(|change| change.new.is_none()) {
        if let Ok(path) = ScimPath::parse(&change.attribute) {
            path.remove(&mut account);
        }
    }
    set_schemas(&mut account);
    account
}

/// Entries of a list, told again by what they held, where the app dropped their marks.
fn mark_again(account: &mut Value, list: &ScimPath, changes: &[FieldChange], body: &Value) {
    for change in changes {
        if let Ok(path) = ScimPath::parse(&change.attribute)
            && list_of(&path).same_as(list)
        {
            mark_one_again(account, &path, &change.attribute, changes, body);
        }
    }
}

fn mark_one_again(
    account: &mut Value,
    path: &ScimPath,
    attribute: &str,
    changes: &[FieldChange],
    body: &Value,
) {
    let old = (changes.iter())
        .find(|change| change.attribute == attribute)
        .and_then(|change| change.old.as_ref());
    let values: Vec<&Value> = old.into_iter().chain(path.read(body)).collect();
    let Some(filter) = &path.filter else { return };
    let list = list_of(path);
    // An entry that another row means stays that row's.
    let others: Vec<Filter> = (changes.iter())
        .filter_map(|change| ScimPath::parse(&change.attribute).ok())
        .filter(|other| list_of(other).same_as(&list))
        .filter_map(|other| other.filter)
        .filter(|other| other != filter)
        .collect();
    let mapped = list.read(body).and_then(Value::as_array);
    let mapped = mapped.map_or(&[][..], Vec::as_slice);
    path.mark_again(account, &values, |entry| {
        let same_mark = |one: &Value| {
            ["type", "primary"].iter().any(|mark| {
                let mark = member(one, mark).zip(member(entry, mark));
                mark.is_some_and(|(a, b)| a == b && !a.is_null())
            })
        };
        others.iter().any(|other| other.selects(entry))
            || (mapped.iter()).any(|one| !filter.selects(one) && same_mark(one))
    });
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .filter(|item| !item.is_null())
                .map(without_nulls)
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: &str = "addresses[type eq \"work\"]";

    fn change(attribute: &str, old: Option<&str>, new: Option<&str>) -> FieldChange {
        FieldChange {
            attribute: attribute.into(),
            old: old.map(Value::from),
            new: new.map(Value::from),
        }
    }

    fn manager_path() -> String {
        format!("{ENTERPRISE_SCHEMA}:manager")
    }

    #[test]
    fn patch_replaces_adds_entries_once_and_removes_what_is_cleared() {
        let body = json!({"title": "T", "addresses": [{"type": "work", "country": "DE", "region": "BY"}],
            ENTERPRISE_SCHEMA: {"manager": {"value": "7"}}});
        let changes = [
            change("title", None, Some("T")),
            change("nickName", Some("n"), None),
            change(&format!("{WORK}.country"), None, Some("DE")),
            change(&format!("{WORK}.region"), None, Some("BY")),
            change(&manager_path(), Some("6"), Some("7")),
            change("phoneNumbers[type eq \"work\"].value", Some("1"), None),
        ];
        assert_eq!(
            patch_operations(&changes, &body, None, Some(true))["Operations"],
            json!([
                {"op": "replace", "path": "active", "value": true},
                {"op": "replace", "path": "title", "value": "T"},
                {"op": "add", "path": "addresses", "value": [{"type": "work", "country": "DE", "region": "BY"}]},
                {"op": "replace", "path": manager_path(), "value": {"value": "7", "$ref": "../Users/7"}},
                {"op": "remove", "path": "nickName"},
                {"op": "remove", "path": "phoneNumbers[type eq \"work\"]"},
            ])
        );
    }

    #[test]
    fn a_new_entry_is_sent_with_the_entries_of_others() {
        let body =
            json!({"emails": [{"type": "work", "value": "w"}, {"primary": true, "value": "p"}]});
        let current =
            json!({"emails": [{"type": "home", "value": "h"}, {"primary": true, "value": "old"}]});
        let changes = [
            change("emails[type eq \"work\"].value", None, Some("w")),
            change("emails[primary eq true].value", Some("old"), Some("p")),
        ];
        assert!(adds_entries(&changes, &body));
        assert_eq!(
            patch_operations(&changes, &body, Some(&current), None)["Operations"],
            json!([{"op": "replace", "path": "emails", "value": [
                {"type": "home", "value": "h"}, {"primary": true, "value": "p"}, {"type": "work", "value": "w"}]}])
        );
    }

    #[test]
    fn an_entry_that_the_app_has_is_changed_and_not_added_again() {
        let body = json!({"addresses": [{"type": "work", "country": "DE", "region": "BY"}]});
        let region = [change(&format!("{WORK}.region"), None, Some("BY"))];
        let operations = &patch_operations(&region, &body, None, None)["Operations"];
        assert_eq!(operations[0]["op"], "replace");
        assert_eq!(operations[0]["path"], format!("{WORK}.region"));
    }

    #[test]
    fn the_value_style_keeps_the_entries_of_others_and_cannot_clear() {
        let body =
            json!({"emails": [{"type": "work", "value": "new"}], "name": {"formatted": "N"}});
        let current =
            json!({"emails": [{"type": "home", "value": "h"}, {"type": "work", "value": "old"}]});
        let changes = [
            change("emails[type eq \"work\"].value", Some("old"), Some("new")),
            change("name.formatted", None, Some("N")),
        ];
        let patch = patch_value_style(&changes, &body, Some(&current), Some(false)).unwrap();
        assert_eq!(
            patch["Operations"],
            json!([{"op": "replace", "value": {
                "emails": [{"type": "home", "value": "h"}, {"type": "work", "value": "new"}],
                "name": {"formatted": "N"}, "active": false}}])
        );
        assert_eq!(
            patch_value_style(&[change("title", Some("x"), None)], &body, None, None),
            None
        );
    }

    #[test]
    fn put_leaves_what_a_row_keeps_as_the_app_has_it() {
        let read_back = json!({"userName": "u", "title": "Set in the app"});
        let body = json!({"userName": "u", "title": "Sent long ago", "nickName": "N"});
        let mut rows = ["userName", "title", "nickName"]
            .map(|attribute| MappingRow::from_attribute(attribute, "primaryEmail"));
        rows[1].missing = Missing::Keep;
        let nick = [change("nickName", None, Some("N"))];
        let put = replace_body(&read_back, &body, &rows, &nick, None);
        assert_eq!(
            (&put["title"], &put["nickName"]),
            (&json!("Set in the app"), &json!("N"))
        );
        let title = [change("title", Some("Sent long ago"), Some("New"))];
        let body = json!({"userName": "u", "title": "New"});
        let put = replace_body(&read_back, &body, &rows, &title, None);
        assert_eq!(put["title"], "New");
    }

    #[test]
    fn an_entry_whose_mark_the_app_dropped_is_changed_and_gets_no_second_beside_it() {
        let read_back = json!({"emails": [{"value": "old", "primary": true}]});
        let body = json!({"emails": [{"type": "work", "value": "new"}]});
        let work = "emails[type eq \"work\"].value";
        let rows = [MappingRow::from_attribute(work, "primaryEmail")];
        let renamed = [change(work, Some("old"), Some("new"))];
        let expected = json!([{"value": "new", "primary": true, "type": "work"}]);
        let put = replace_body(&read_back, &body, &rows, &renamed, None);
        assert_eq!(put["emails"], expected);
        let value = patch_value_style(&renamed, &body, Some(&read_back), None).unwrap();
        assert_eq!(value["Operations"][0]["value"]["emails"], expected);
        // Somebody else's address stays.
        let other = json!({"emails": [{"value": "private"}]});
        let put = replace_body(&other, &body, &rows, &renamed, None);
        assert_eq!(
            put["emails"],
            json!([{"value": "private"}, {"type": "work", "value": "new"}])
        );
    }

    #[test]
    fn put_sends_back_what_was_read_without_read_only_attributes_and_nulls() {
        let read_back = json!({"id": "1", "meta": {}, "groups": [], "schemas": ["odd"], "active": "True",
            "userName": "old", "nickName": null, "title": "t", "locale": "de",
            "emails": [{"type": "home", "value": "h", "display": null}],
            ENTERPRISE_SCHEMA: {"manager": {"value": "6", "displayName": "Boss"}}});
        let body = json!({"userName": "new", "emails": [{"type": "work", "value": "w"}]});
        let rows = ["userName", "title", "emails[type eq \"work\"].value"]
            .map(|attribute| MappingRow::from_attribute(attribute, "primaryEmail"));
        let put = replace_body(
            &read_back,
            &body,
            &rows,
            &[change("title", Some("t"), None)],
            None,
        );
        assert_eq!(
            put,
            json!({"schemas": [super::super::USER_SCHEMA, ENTERPRISE_SCHEMA], "active": true,
                "userName": "new", "locale": "de",
                "emails": [{"type": "home", "value": "h"}, {"type": "work", "value": "w"}],
                ENTERPRISE_SCHEMA: {"manager": {"value": "6", "$ref": "../Users/6"}}})
        );
    }
}
