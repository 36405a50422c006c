//! What the demo's page and the tests change, and that it lasts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use server::sandbox::{Sandbox, SandboxOptions};

use crate::harness::{USERS, noon, start, start_with};

const JENNIFER: &str = "jennifer.null@northmoor.example";

#[tokio::test]
async fn every_change_to_a_person_shows_at_the_directory_api() {
    let running = start().await;
    let path = format!("/sandbox/people/{JENNIFER}");
    let id = running.look(&path).await["id"].as_str().unwrap().to_owned();
    for (action, change, member, expected) in [
        (
            "rename",
            json!({ "familyName": "Void" }),
            "/name/fullName",
            json!("Jennifer Void"),
        ),
        (
            "move",
            json!({ "orgUnitPath": "/Contractors" }),
            "/orgUnitPath",
            json!("/Contractors"),
        ),
        (
            "title",
            json!({ "title": "Consultant" }),
            "/organizations/0/title",
            json!("Consultant"),
        ),
        ("suspend", json!({}), "/suspended", json!(true)),
        ("restore", json!({}), "/suspended", json!(false)),
        ("archive", json!({}), "/archived", json!(true)),
        ("unarchive", json!({}), "/archived", json!(false)),
        (
            "rename",
            json!({ "primaryEmail": "jen@northmoor.example" }),
            "/primaryEmail",
            json!("jen@northmoor.example"),
        ),
    ] {
        let (status, answer) = running
            .control(&format!("/sandbox/people/{id}/{action}"), change)
            .await;
        assert_eq!(status, StatusCode::OK, "{action}: {answer}");
        let (_, person) = running.google(&format!("{USERS}/{id}"), &[]).await;
        assert_eq!(
            person.pointer(member),
            Some(&expected),
            "{action}: {person}"
        );
    }
    let (status, _) = running
        .control(&format!("/sandbox/people/{id}/delete"), json!({}))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        running.google(&format!("{USERS}/{id}"), &[]).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    running
        .control(&format!("/sandbox/people/{id}/undelete"), json!({}))
        .await;
    assert_eq!(
        running.google(&format!("{USERS}/{id}"), &[]).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_with_its_reason() {
    let running = start().await;
    let path = format!("/sandbox/people/{JENNIFER}");
    for (action, change, expected) in [
        (
            "move",
            json!({ "orgUnitPath": "/Nowhere" }),
            StatusCode::NOT_FOUND,
        ),
        (
            "rename",
            json!({ "primaryEmail": "ai.ng@northmoor.example" }),
            StatusCode::CONFLICT,
        ),
        (
            "rename",
            json!({ "primaryEmail": "jen@elsewhere.example" }),
            StatusCode::BAD_REQUEST,
        ),
        ("undelete", json!({}), StatusCode::BAD_REQUEST),
        ("promote", json!({}), StatusCode::NOT_FOUND),
        (
            "title",
            json!({ "tittle": "typo" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (status, _) = running.control(&format!("{path}/{action}"), change).await;
        assert_eq!(status, expected, "{action}");
    }
    let plain = running
        .http
        .post(format!("{}{path}/suspend", running.base))
        .send()
        .await
        .unwrap();
    assert_eq!(
        plain.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "no form of another site gets in"
    );
    assert_eq!(running.look(&path).await["state"], "active");
}

#[tokio::test]
async fn a_new_person_joins_a_group_and_leaves_it() {
    let running = start().await;
    let new = json!({ "givenName": "Zoë", "familyName": "O'Hara", "orgUnitPath": "/IT", "title": "Analyst" });
    let (status, person) = running.control("/sandbox/people", new.clone()).await;
    assert_eq!(status, StatusCode::OK, "{person}");
    assert_eq!(person["primaryEmail"], "zo.ohara@northmoor.example");
    let (_, second) = running.control("/sandbox/people", new).await;
    assert_eq!(second["primaryEmail"], "zo.ohara2@northmoor.example");
    let group = "/sandbox/groups/it@northmoor.example/members";
    let members = "/admin/directory/v1/groups/it@northmoor.example/members";
    let has = async || {
        running
            .all(members, "members", &[])
            .await
            .iter()
            .any(|m| m["id"] == person["id"])
    };
    assert!(!has().await);
    running
        .control(group, json!({ "add": ["zo.ohara@northmoor.example"] }))
        .await;
    assert!(has().await);
    running
        .control(group, json!({ "remove": ["zo.ohara@northmoor.example"] }))
        .await;
    assert!(!has().await);
}

#[tokio::test]
async fn state_and_searches_tell_what_is_there() {
    let running = start().await;
    let state = running.look("/sandbox/state").await;
    assert_eq!(state["organization"], "Northmoor Instruments");
    assert_eq!(
        (&state["people"], &state["groups"], &state["orgUnits"]),
        (&json!(250), &json!(41), &json!(17))
    );
    assert_eq!(state["accounts"]["total"], 47);
    let found = running.look("/sandbox/people?search=null").await;
    assert_eq!(found["people"][0]["primaryEmail"], JENNIFER);
    assert_eq!(
        running.look("/sandbox/people?limit=3").await["people"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        running.look("/sandbox/groups?search=desi").await["total"],
        4
    );
    assert_eq!(running.look("/sandbox/org-units").await["orgUnits"][0], "/");
    assert_eq!(
        running.look("/sandbox/accounts?search=asana").await["total"],
        1
    );
    let credentials = running.look("/sandbox/credentials").await;
    assert_eq!(credentials["google"]["endpoint"], running.base.as_str());
    assert_eq!(
        credentials["google"]["serviceAccountKey"]["token_uri"],
        format!("{}/token", running.base)
    );
    assert_eq!(credentials["asana"]["token"], running.sandbox.asana_token());
}

#[tokio::test]
async fn a_restarted_sandbox_knows_its_people_accounts_key_and_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbox.json");
    let running = start_with(|options| options.data_file = Some(file.clone())).await;
    let user = json!({ "userName": "kept@northmoor.example", "title": "Kept" });
    let (_, account) = running.scim(Method::POST, "/Users", Some(user)).await;
    // Nothing is closed or flushed: what was answered is in the file.
    let in_file = || std::fs::read_to_string(&file).unwrap();
    assert!(in_file().contains("kept@northmoor.example"));
    running
        .control(&format!("/sandbox/people/{JENNIFER}/suspend"), json!({}))
        .await;
    running
        .control("/sandbox/token/revoke", json!({ "rotate": true }))
        .await;

    let again = Sandbox::new(SandboxOptions {
        data_file: Some(file.clone()),
        seed: 99,
        ..SandboxOptions::default()
    })
    .unwrap();
    assert_eq!(
        again.account("kept@northmoor.example").unwrap().id,
        account["id"].as_str().unwrap()
    );
    assert_eq!(again.accounts(), running.sandbox.accounts());
    assert_eq!(again.asana_token(), running.sandbox.asana_token());
    assert_eq!(
        again.key().private_pem(),
        running.sandbox.key().private_pem()
    );
    assert!(again.directory(|d| d.person(JENNIFER).unwrap().suspended_at == Some(noon())));

    std::fs::write(&file, "{").unwrap();
    let error = Sandbox::new(SandboxOptions {
        data_file: Some(file),
        ..SandboxOptions::default()
    })
    .unwrap_err();
    assert!(error.to_string().contains("sandbox.json"), "{error}");
}

#[tokio::test]
async fn the_data_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deeper").join("sandbox.json");
    let _running = start_with(|options| options.data_file = Some(file.clone())).await;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(saved["version"], 1);
}
