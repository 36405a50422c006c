//! Paths, parameters and members agree with Google's discovery document; the
//! fixture holds the names taken from it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{GROUPS, Running, USERS, start};

fn fixture() -> Value {
    serde_json::from_str(include_str!("directory_v1.json")).unwrap()
}

/// Fails when a member is not in the document, or of another type.
fn assert_members(fixture: &Value, schema: &str, object: &Value) {
    for (name, value) in object.as_object().unwrap() {
        let kind = fixture["members"][schema][name]
            .as_str()
            .unwrap_or_else(|| panic!("{schema} has no member {name}"));
        let fits = match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "any" => true,
            other => panic!("unexpected type {other}"),
        };
        assert!(fits, "{schema}.{name} should be {kind}: {value}");
    }
}

#[tokio::test]
async fn every_member_of_every_answer_is_in_the_discovery_document() {
    let running = start().await;
    let fixture = fixture();
    for (path, key, list, one) in [
        (USERS, "users", "Users", "User"),
        (GROUPS, "groups", "Groups", "Group"),
        (
            "/admin/directory/v1/customer/my_customer/orgunits",
            "organizationUnits",
            "OrgUnits",
            "OrgUnit",
        ),
        (
            "/admin/directory/v1/customer/my_customer/domains",
            "domains",
            "Domains2",
            "Domains",
        ),
        (
            "/admin/directory/v1/groups/project-aurora@northmoor.example/members",
            "members",
            "Members",
            "Member",
        ),
    ] {
        let query: &[(&str, &str)] = match path {
            USERS => &[
                ("customer", "my_customer"),
                ("projection", "full"),
                ("maxResults", "500"),
            ],
            GROUPS => &[("customer", "my_customer")],
            _ => &[("type", "all")],
        };
        let (status, body) = running.google(path, query).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert_members(&fixture, list, &body);
        let entries = body[key].as_array().unwrap();
        assert!(!entries.is_empty(), "{path} lists nothing");
        for entry in entries {
            assert_members(&fixture, one, entry);
            if one == "User" {
                assert_members(&fixture, "UserName", &entry["name"]);
            }
        }
    }
    let (_, customer) = running
        .google("/admin/directory/v1/customers/my_customer", &[])
        .await;
    assert_members(&fixture, "Customer", &customer);
    assert_eq!(customer["customerDomain"], "northmoor.example");
}

/// A path of the document with its placeholders filled in.
fn filled(path: &str) -> String {
    [
        ("{userKey}", "ines.albrecht@northmoor.example"),
        ("{groupKey}", "eng@northmoor.example"),
        ("{customerId}", "my_customer"),
        ("{customerKey}", "my_customer"),
        ("{customer}", "my_customer"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (name, value)| {
        path.replace(name, value)
    })
}

async fn status_of(running: &Running, name: &str, method: &Value, token: &str) -> StatusCode {
    let path = filled(method["path"].as_str().unwrap());
    let verb = method["method"].as_str().unwrap().parse().unwrap();
    let mut request = running
        .http
        .request(verb, format!("{}{path}", running.base))
        .bearer_auth(token);
    if ["users.list", "groups.list"].contains(&name) {
        request = request.query(&[("customer", "my_customer")]);
    }
    if name == "users.watch" {
        request = request
            .query(&[("customer", "my_customer"), ("event", "update")])
            .json(&json!({
                "id": uuid::Uuid::new_v4().to_string(),
                "type": "web_hook",
                "address": "https://rollcall.example.com/push/google",
            }));
    }
    if name == "channels.stop" {
        request = request.json(&json!({ "id": "nobody's", "resourceId": "nothing" }));
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn every_method_is_served_and_takes_exactly_the_scopes_of_the_document() {
    use server::sandbox::Scope;
    let running = start().await;
    for (name, method) in fixture()["methods"].as_object().unwrap() {
        let works = match name.as_str() {
            "channels.stop" => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        };
        for scope in Scope::ALL {
            let token = running.token(&[scope]).await;
            let accepted = method["scopes"]
                .as_array()
                .unwrap()
                .iter()
                .any(|s| s == scope.name());
            let expected = if accepted {
                works
            } else {
                StatusCode::FORBIDDEN
            };
            let status = status_of(&running, name, method, &token).await;
            assert_eq!(status, expected, "{name} with {}", scope.name());
        }
    }
}

#[tokio::test]
async fn ranges_and_enums_of_parameters_are_those_of_the_document() {
    let running = start().await;
    for (name, value) in [
        ("maxResults", "0"),
        ("maxResults", "501"),
        ("maxResults", "many"),
        ("projection", "whole"),
        ("orderBy", "age"),
        ("sortOrder", "UPWARD"),
        ("viewType", "everything"),
        ("pageToken", "made-up"),
        ("query", "shoeSize=43"),
        ("customer", "C99999999"),
    ] {
        let mut query = vec![(name, value)];
        if name != "customer" {
            query.push(("customer", "my_customer"));
        }
        let (status, body) = running.google(USERS, &query).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}={value}");
        assert_eq!(body["error"]["code"], 400);
        assert_eq!(body["error"]["errors"][0]["domain"], "global");
    }
    let (status, _) = running.google(USERS, &[]).await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "neither customer nor domain"
    );
    let (_, page) = running.google(USERS, &[("customer", "my_customer")]).await;
    assert_eq!(
        page["users"].as_array().unwrap().len(),
        100,
        "the default page"
    );
}
