use super::*;

fn path(text: &str) -> ScimPath {
    text.parse().unwrap()
}

#[test]
fn paths_round_trip_through_text() {
    for text in [
        "userName",
        "name.formatted",
        "emails[type eq \"work\"].value",
        "emails[primary eq true].value",
        "addresses[type eq \"work\"].country",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        "phoneNumbers[type eq \"odd ] \\\" one\"].value",
    ] {
        assert_eq!(path(text).to_string(), text);
    }
    assert_eq!(
        path("urn:ietf:params:scim:schemas:core:2.0:User:title").to_string(),
        "title"
    );
    assert_eq!(
        path(" emails[ type  EQ  \"work\" ].value").to_string(),
        "emails[type eq \"work\"].value"
    );
}

#[test]
fn what_is_not_a_path_says_why() {
    for bad in [
        "",
        ".",
        "name.",
        ".formatted",
        "a.b.c",
        "emails[type eq \"work\".value",
        "emails[type eq work].value",
        "emails[type ne \"work\"].value",
        "emails[].value",
        "emails[type eq \"work\"]value",
        "name.sub[type eq \"x\"]",
        "1abc",
        "a b",
        "x:y",
        "emails[type eq \"work\"].",
        "urn:ietf:params:scim:schemas:core:2.0:User:",
    ] {
        assert!(bad.parse::<ScimPath>().is_err(), "{bad:?}");
    }
}

#[test]
fn written_values_are_read_back_and_removed_without_a_trace() {
    for text in [
        "title",
        "name.formatted",
        "emails[type eq \"work\"].value",
        "emails[primary eq true].value",
        "addresses[type eq \"work\"].country",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
    ] {
        let mut resource = json!({});
        path(text).write(&mut resource, json!("x"));
        assert_eq!(path(text).read(&resource), Some(&json!("x")), "{text}");
        path(text).remove(&mut resource);
        assert_eq!(path(text).read(&resource), None, "{text}");
    }
}

#[test]
fn entries_of_others_stay_when_one_is_written_or_removed() {
    let mut resource = json!({"emails": [{"type": "home", "value": "h"}, {"type": "Work", "value": "old", "display": "d"}]});
    path("emails[type eq \"work\"].value").write(&mut resource, json!("new"));
    assert_eq!(
        resource["emails"][1],
        json!({"type": "Work", "value": "new", "display": "d"})
    );
    path("emails[type eq \"work\"].value").remove(&mut resource);
    assert_eq!(
        resource,
        json!({"emails": [{"type": "home", "value": "h"}]})
    );
}

#[test]
fn a_new_primary_entry_takes_the_mark_from_the_others() {
    let mut resource = json!({"emails": [{"type": "home", "value": "h", "primary": false}]});
    path("emails[primary eq true].value").write(&mut resource, json!("p"));
    assert_eq!(
        resource["emails"],
        json!([{"type": "home", "value": "h"}, {"primary": true, "value": "p"}])
    );
}

#[test]
fn a_primary_mark_that_an_app_gives_as_text_is_one_too() {
    let mut resource = json!({"emails": [{"value": "h", "primary": "false"}, {"value": "old", "primary": "True"}]});
    let primary = path("emails[primary eq true].value");
    assert_eq!(primary.read(&resource), Some(&json!("old")));
    assert_eq!(path("emails.value").read(&resource), Some(&json!("old")));
    let other = path("emails[primary eq false].value");
    assert_eq!(other.read(&resource), Some(&json!("h")));
    primary.write(&mut resource, json!("new"));
    assert_eq!(
        resource["emails"],
        json!([{"value": "h", "primary": "false"}, {"value": "new", "primary": "True"}])
    );
}

#[test]
fn the_manager_is_an_object_with_a_value_and_reads_as_its_id() {
    let manager = path("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager");
    let mut resource = json!({});
    manager.write(&mut resource, json!("42"));
    assert_eq!(
        resource[ENTERPRISE_SCHEMA],
        json!({"manager": {"value": "42", "$ref": "../Users/42"}})
    );
    manager.write(&mut resource, json!("a+b@c.d"));
    assert_eq!(
        resource[ENTERPRISE_SCHEMA]["manager"]["$ref"],
        "../Users/a%2Bb%40c.d"
    );
    let flat = json!({ENTERPRISE_SCHEMA: {"manager": "42"}});
    assert_eq!(manager.read(&flat), Some(&json!("42")));
}
