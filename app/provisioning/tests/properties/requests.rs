//! Every way of writing an account gives the mapped values and keeps the rest.

use proptest::prelude::*;
use provisioning::config::MappingRow;
use provisioning::mapping::{
    FieldChange, ScimPath, changes, patch_operations, patch_value_style, project, replace_body,
};
use serde_json::{Value, json};

use crate::{cases, contains_null};

const ATTRIBUTES: [&str; 9] = [
    "userName",
    "title",
    "name.formatted",
    "emails[type eq \"work\"].value",
    "emails[primary eq true].value",
    "addresses[type eq \"work\"].country",
    "addresses[type eq \"work\"].region",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
];

fn paths() -> Vec<ScimPath> {
    ATTRIBUTES
        .iter()
        .map(|text| text.parse().unwrap())
        .collect()
}

/// An account with a value or none for each attribute.
fn account_values() -> impl Strategy<Value = Value> {
    prop::collection::vec(prop::option::of("[a-c]{1,2}"), ATTRIBUTES.len()).prop_map(|values| {
        let mut account = json!({});
        for (path, value) in paths().iter().zip(values) {
            if let Some(value) = value {
                path.write(&mut account, json!(value));
            }
        }
        account
    })
}

/// What a conforming server makes of a PATCH, as far as our requests go (RFC 7644, 3.5.2).
fn patched(account: &Value, request: &Value) -> Value {
    let mut account = account.clone();
    for operation in request["Operations"].as_array().unwrap() {
        let value = operation.get("value").cloned();
        assert!(!contains_null(operation), "no nulls: {operation}");
        let Some(path) = operation.get("path").and_then(Value::as_str) else {
            merge(&mut account, &value.unwrap());
            continue;
        };
        let path: ScimPath = path.parse().unwrap();
        match operation["op"].as_str().unwrap() {
            "add" => {
                let mut list = path.read(&account).cloned().unwrap_or(json!([]));
                let added = value.unwrap();
                if added[0]["primary"] == json!(true) {
                    for entry in list.as_array_mut().unwrap() {
                        entry.as_object_mut().unwrap().remove("primary");
                    }
                }
                list.as_array_mut()
                    .unwrap()
                    .extend(added.as_array().unwrap().clone());
                path.write(&mut account, list);
            }
            "replace" => {
                if let (Some(_), whole) = (
                    &path.filter,
                    ScimPath {
                        sub: None,
                        ..path.clone()
                    },
                ) {
                    assert!(whole.read(&account).is_some(), "noTarget: {path}");
                }
                path.write(&mut account, value.unwrap());
            }
            "remove" => path.remove(&mut account),
            other => panic!("op {other}"),
        }
    }
    account
}

fn merge(account: &mut Value, value: &Value) {
    for (name, value) in value.as_object().unwrap() {
        match (account.get_mut(name), value) {
            (Some(known @ Value::Object(_)), Value::Object(_)) => merge(known, value),
            _ => account[name] = value.clone(),
        }
    }
}

/// The account in the app: what was acknowledged, and entries of others.
fn with_others(account: &Value) -> Value {
    let mut account = account.clone();
    account["id"] = json!("a1");
    account["nickName"] = json!("Nick");
    for list in ["emails", "addresses"] {
        let mut entries = account
            .get(list)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        entries.insert(0, json!({"type": "home", "value": "h", "formatted": "h"}));
        account[list] = json!(entries);
    }
    account
}

fn has_others(account: &Value) -> bool {
    let home = |list: &str| {
        account[list]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["type"] == "home")
    };
    home("emails") && home("addresses") && account["nickName"] == "Nick"
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_way_of_writing_gives_the_mapped_values_and_keeps_the_rest(
        old in account_values(),
        new in account_values(),
    ) {
        let paths = paths();
        let rows = ATTRIBUTES.map(|attribute| MappingRow::from_attribute(attribute, "primaryEmail"));
        let differs = changes(&paths, &old, &new);
        let app = with_others(&old);
        let same = |account: &Value| changes(&paths, account, &new);

        for current in [None, Some(&app)] {
            let request = patch_operations(&differs, &new, current, Some(true));
            let result = patched(&app, &request);
            prop_assert_eq!(same(&result), vec![], "PATCH");
            prop_assert!(has_others(&result), "PATCH keeps others: {}", result);
            prop_assert_eq!(&result["active"], &json!(true));
        }

        match patch_value_style(&differs, &new, Some(&app), None) {
            Some(request) => {
                let result = patched(&app, &request);
                prop_assert_eq!(same(&result), vec![], "PATCH by value");
                prop_assert!(has_others(&result), "PATCH by value keeps others: {}", result);
            }
            None => prop_assert!(differs.iter().any(|change| change.new.is_none())),
        }

        let put = replace_body(&app, &new, &rows, &differs, None);
        prop_assert_eq!(same(&put), vec![], "PUT");
        prop_assert!(has_others(&put) && put.get("id").is_none(), "PUT keeps others: {}", put);
        prop_assert!(!contains_null(&put));
    }

    #[test]
    fn a_projection_differs_in_nothing_and_holds_nothing_else(account in account_values()) {
        let paths = paths();
        let part = project(&with_others(&account), &paths);
        prop_assert_eq!(changes(&paths, &account, &part), Vec::<FieldChange>::new());
        prop_assert!(part.get("nickName").is_none());
    }
}
