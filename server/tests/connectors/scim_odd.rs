//! What servers of others were seen to do that the standard does not have, or that few do.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Method;
use provisioning::identity::AccountId;
use provisioning::mapping::{FieldChange, MappingRow};
use serde_json::{Value, json};
use server::connectors::scim::IfMatch;
use server::connectors::{ScimErrorClass, Update};
use url::Url;
use wiremock::{Request, ResponseTemplate};

use crate::script::*;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn ann(id: &str) -> Value {
    json!({"schemas": [CORE, ENTERPRISE], "userName": format!("ann{id}@example.com"),
        "active": true, "title": "T", "emails": [{"type": "work", "value": "ann@example.com"}],
        ENTERPRISE: {"department": "D"}})
}

fn made(request: &Request) -> ResponseTemplate {
    let mut body: Value = request.body_json().unwrap();
    body["id"] = json!("7");
    status(201, body)
}

fn holds(request: &Request, name: &str) -> bool {
    request
        .body_json::<Value>()
        .is_ok_and(|body| body.get(name).is_some())
}

#[tokio::test]
async fn an_extension_that_an_app_refuses_is_left_out_and_not_sent_again() {
    let script = Scripted::answering(|request| match holds(request, ENTERPRISE) {
        true => scim_error(
            400,
            None,
            "Extra inputs are not permitted [type=extra_forbidden]",
        ),
        false => made(request),
    })
    .await;
    let app = script.app();
    app.create(&ann("1")).await.unwrap();
    app.create(&ann("2")).await.unwrap();
    let sent = script.bodies("POST").await;
    let with: Vec<bool> = sent
        .iter()
        .map(|body| body.get(ENTERPRISE).is_some())
        .collect();
    assert_eq!(with, [true, false, false]);
    assert_eq!(sent[1]["schemas"], json!([CORE]));
    let learned = app.learned();
    assert!(learned.refuses(&format!("{ENTERPRISE}:department")) && !learned.refuses("title"));
}

#[tokio::test]
async fn marks_of_entries_that_an_app_refuses_are_left_out_one_after_the_other() {
    let script = Scripted::answering(|request| {
        let body: Value = request.body_json().unwrap();
        let said = if body["emails"][0].get("type").is_some() {
            "Extra inputs are not permitted: emails[0].type"
        } else if body.get("title").is_some() {
            "Unrecognized attribute 'title'"
        } else {
            return made(request);
        };
        scim_error(400, Some("invalidSyntax"), said)
    })
    .await;
    script.app().create(&ann("1")).await.unwrap();
    let sent = script.bodies("POST").await;
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2]["emails"], json!([{"value": "ann@example.com"}]));
    assert_eq!(sent[2][ENTERPRISE], json!({"department": "D"}));
}

#[tokio::test]
async fn a_refused_value_costs_nobody_an_attribute() {
    let script = Scripted::answering(|request| {
        let body: Value = request.body_json().unwrap();
        if body["userName"] == "ann1@example.com" {
            return scim_error(
                400,
                Some("invalidValue"),
                "department has more than 20 characters",
            );
        }
        if body["userName"] == "ann3@example.com" {
            return scim_error(400, None, "bad request");
        }
        made(request)
    })
    .await;
    let app = script.app();
    let error = app.create(&ann("1")).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Rejected);
    app.create(&ann("2")).await.unwrap();
    // The app has taken the extension by now, so it is not what it refuses.
    app.create(&ann("3")).await.unwrap_err();
    assert_eq!(script.bodies("POST").await.len(), 3);
    assert!(app.learned().refused.is_empty());
}

#[tokio::test]
async fn what_is_taken_from_one_is_not_left_out_because_another_was_refused_meanwhile() {
    let script = Scripted::answering(|request| {
        let body: Value = request.body_json().unwrap();
        if body["userName"] == "ann1@example.com" && body.get(ENTERPRISE).is_some() {
            return ResponseTemplate::new(400);
        }
        // The refusal comes first: after an acceptance it would count as something else.
        let later = Duration::from_millis(u64::from(body["userName"] == "ann2@example.com") * 500);
        made(request).set_delay(later)
    })
    .await;
    let app = script.app();
    let (one, two) = (ann("1"), ann("2"));
    let (one, two) = tokio::join!(app.create(&one), app.create(&two));
    assert!(one.is_ok() && two.is_ok());
    assert!(app.learned().refused.is_empty());
}

#[tokio::test]
async fn a_change_of_what_an_app_refuses_is_not_sent_and_the_rest_is() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "POST" if holds(request, ENTERPRISE) => scim_error(400, Some("invalidPath"), "no"),
        "POST" => made(request),
        _ => ResponseTemplate::new(204),
    })
    .await;
    let app = script.app();
    let account = app.create(&ann("1")).await.unwrap();
    let change = |attribute: &str| FieldChange {
        attribute: attribute.to_owned(),
        old: None,
        new: Some(json!("X")),
    };
    let (department, title) = (change(&format!("{ENTERPRISE}:department")), change("title"));
    let body = ann("1");
    for (changes, writes) in [(vec![department.clone(), title], 1), (vec![department], 0)] {
        let before = script.bodies("PATCH").await.len();
        let update = Update {
            body: &body,
            changes: &changes,
            rows: &[],
            active: None,
            current: None,
        };
        app.update(&account.id, update).await.unwrap();
        assert_eq!(script.bodies("PATCH").await.len() - before, writes);
    }
    let sent = &script.bodies("PATCH").await[0]["Operations"];
    assert_eq!(*sent, json!([{"op": "replace", "value": {"title": "X"}}]));
}

#[tokio::test]
async fn an_empty_answer_with_the_type_of_a_web_page_is_a_success() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "GET" => scim_error(404, None, "no"),
        "DELETE" => ResponseTemplate::new(204).insert_header("content-type", "text/html"),
        _ => ResponseTemplate::new(200).insert_header("content-type", "text/html; charset=utf-8"),
    })
    .await;
    let app = script.app();
    let changes = [FieldChange {
        attribute: "title".to_owned(),
        old: None,
        new: Some(json!("X")),
    }];
    let body = json!({"userName": "ann@example.com", "title": "X"});
    let update = Update {
        body: &body,
        changes: &changes,
        rows: &[],
        active: None,
        current: None,
    };
    assert_eq!(
        app.update(&AccountId::new("7"), update).await.unwrap(),
        None
    );
    app.delete(&AccountId::new("7")).await.unwrap();
}

#[tokio::test]
async fn a_web_page_for_a_missing_account_is_understood_where_the_listing_answers() {
    let script = Scripted::answering(|request| match request.url.path() {
        "/scim/v2/Users" => ok(list(0, &[])),
        _ => web_page(404),
    })
    .await;
    let app = script.app();
    assert_eq!(app.get(&AccountId::new("7")).await, Ok(None));
    app.delete(&AccountId::new("7")).await.unwrap();
}

#[tokio::test]
async fn one_account_that_may_not_be_read_is_not_the_tokens_trouble() {
    let script = Scripted::answering(|request| match request.url.path() {
        "/scim/v2/Users" => ok(list(0, &[])),
        _ => scim_error(403, None, "no"),
    })
    .await;
    let error = script.app().get(&AccountId::new("7")).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Forbidden);
    let script = Scripted::answering(|_| scim_error(403, None, "no")).await;
    let error = script.app().get(&AccountId::new("7")).await.unwrap_err();
    assert!(error.is_authorization());
}

#[tokio::test]
async fn an_id_alone_names_the_new_account() {
    let script = Scripted::answering(|_| {
        ResponseTemplate::new(201).set_body_raw("\u{feff}{\"id\": 41}", "application/json")
    })
    .await;
    let account = script.app().create(&ann("1")).await.unwrap();
    assert_eq!(
        (account.id.as_str(), account.user_name.as_str()),
        ("41", "ann1@example.com")
    );
    assert_eq!(script.lines().await.len(), 1);
}

#[tokio::test]
async fn the_version_of_an_account_is_named_where_the_app_insists() {
    for (any, learned) in [(true, IfMatch::Any), (false, IfMatch::Version)] {
        let version = AtomicU32::new(1);
        let script = Scripted::answering(move |request| {
            let now = format!("W/\"{}\"", version.load(Ordering::SeqCst));
            let named = request
                .headers
                .get("if-match")
                .map(|value| value.to_str().unwrap());
            if request.method == Method::GET {
                let mut account = account("7", "ann@example.com");
                account["meta"]["version"] = json!(now);
                return ok(account);
            }
            match named {
                None => scim_error(428, None, "If-Match is missing"),
                Some("*") if any => ResponseTemplate::new(204),
                Some(named) if named == now => {
                    version.fetch_add(1, Ordering::SeqCst);
                    ResponseTemplate::new(204)
                }
                Some(_) => scim_error(412, None, "another version"),
            }
        })
        .await;
        let app = script.app();
        let rows = [MappingRow::from_attribute("title", "primaryEmail")];
        let body = json!({"userName": "ann@example.com", "title": "X"});
        let changes = [FieldChange {
            attribute: "title".to_owned(),
            old: None,
            new: Some(json!("X")),
        }];
        for _ in 0..2 {
            let update = Update {
                body: &body,
                changes: &changes,
                rows: &rows,
                active: None,
                current: None,
            };
            app.update(&AccountId::new("7"), update).await.unwrap();
        }
        assert_eq!(app.learned().if_match, Some(learned));
        let writes = script.bodies("PATCH").await.len();
        assert_eq!(writes, if any { 3 } else { 4 });
    }
}

#[tokio::test]
async fn the_query_of_an_endpoint_goes_with_every_request() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "POST" => made(request),
        _ => ok(list(0, &[])),
    })
    .await;
    let endpoint = Url::parse(&script.url("/scim/v2?tenant=7")).unwrap();
    let app = script.app_with(|settings| settings.endpoint = endpoint);
    app.find_by_user_name("a").await.unwrap();
    app.create(&ann("1")).await.unwrap();
    let lines = script.lines().await;
    assert_eq!(
        lines[0],
        "GET /scim/v2/Users?tenant=7&filter=userName%20eq%20%22a%22"
    );
    assert_eq!(lines[1], "POST /scim/v2/Users?tenant=7");
}
