//! People and texts of any shape.

use proptest::prelude::*;
use provisioning::Digest;
use provisioning::catalog::entry;
use provisioning::config::{Window, file::ConfigFile};
use provisioning::identity::Person;
use provisioning::mapping::{ManagerAccount, ScimPath, build_body};
use serde_json::{Value, json};

use crate::{cases, contains_null};

fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        Just(json!("work")),
        Just(json!("manager")),
    ];
    let key = prop::sample::select(vec!["type", "value", "primary", "title", "x", "givenName"]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn people_of_any_shape_are_planned_without_nulls(
        fields in prop::collection::btree_map(
            prop::sample::select(vec!["name", "organizations", "relations", "phones", "emails",
                "addresses", "customSchemas", "aliases", "languages", "suspended", "isGuestUser"]),
            odd_json(), 0..8),
    ) {
        let mut user = json!({"id": "1", "primaryEmail": "ann@example.com", "suspended": false,
            "archived": false, "orgUnitPath": "/Eng"});
        for (key, value) in fields {
            user[key] = value;
        }
        let person = Person::from_google(&user, false).unwrap();
        let _ = person.manager_reference();
        for key in ["asana", "scim"] {
            let entry = entry(key).unwrap();
            let mapped = build_body(&person, &entry.default_mapping, &ManagerAccount::None, entry);
            prop_assert!(!contains_null(&mapped.body));
            let stored = serde_json::to_string(&person).unwrap();
            let again: Person = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(again.fingerprint(), person.fingerprint());
            prop_assert_eq!(Digest::of_json(&build_body(&again, &entry.default_mapping, &ManagerAccount::None, entry).body), Digest::of_json(&mapped.body));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(
        text in "\\PC{0,40}",
        path in "[a-zA-Z:.\\[\\]\" =]{0,30}",
        cut in 0..2000usize,
        put in "[\\[\\]{}=\"a-z.\n]{0,5}",
    ) {
        for text in [&text, &path] {
            if let Ok(path) = ScimPath::parse(text) {
                let mut resource = json!({"emails": "odd", "name": []});
                path.write(&mut resource, json!("x"));
                path.remove(&mut resource);
                prop_assert_eq!(ScimPath::parse(&path.to_string()), Ok(path));
            }
            let _ = provisioning::mapping::SourcePath::parse(text);
            let _ = text.parse::<Window>();
            let _ = ConfigFile::parse(text);
        }
        let mut file = include_str!("../complete.toml").to_owned();
        let cut = (0..=cut.min(file.len())).rev().find(|at| file.is_char_boundary(*at)).unwrap();
        file.insert_str(cut, &put);
        if let Err(problems) = ConfigFile::parse(&file) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| !problem.to_string().contains('\n')));
        }
    }
}
