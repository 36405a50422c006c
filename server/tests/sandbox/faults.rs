//! Faults fail as they are told to, where and as often as they are told to.

use reqwest::{Method, StatusCode};
use serde_json::json;
use server::sandbox::{Call, Failure, Fault, Flag, Scope};

use crate::harness::{GROUPS, USERS, start};

const EVERYBODY: (&str, &str) = ("customer", "my_customer");

#[tokio::test]
async fn a_fault_strikes_after_its_skip_as_often_as_it_should() {
    let running = start().await;
    running.sandbox.inject(
        Fault::always(Call::UsersList, Failure::UserRateLimitExceeded)
            .after(1)
            .times(2),
    );
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(running.google(USERS, &[EVERYBODY]).await.0.as_u16());
    }
    assert_eq!(statuses, [200, 403, 403, 200, 200]);
}

#[tokio::test]
async fn throttling_and_errors_look_like_those_of_google() {
    let running = start().await;
    let token = running.token(&Scope::ALL).await;
    for (failure, status, domain, reason) in [
        (
            Failure::UserRateLimitExceeded,
            403,
            "usageLimits",
            "userRateLimitExceeded",
        ),
        (Failure::QuotaExceeded, 403, "usageLimits", "quotaExceeded"),
        (Failure::Forbidden, 403, "global", "forbidden"),
        (Failure::Unauthorized, 401, "global", "authError"),
        (
            Failure::Status { status: 503 },
            503,
            "global",
            "backendError",
        ),
    ] {
        running
            .sandbox
            .inject(Fault::once(Call::GroupsList, failure));
        let (got, body) = running.google_as(&token, GROUPS, &[EVERYBODY]).await;
        assert_eq!(got.as_u16(), status);
        assert_eq!(body["error"]["errors"][0]["domain"], domain);
        assert_eq!(body["error"]["errors"][0]["reason"], reason);
    }
    running.sandbox.inject(Fault::once(
        Call::GroupsList,
        Failure::TooManyRequests {
            retry_after: Some(7),
        },
    ));
    let response = running
        .http
        .get(format!("{}{GROUPS}", running.base))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");
    running
        .sandbox
        .inject(Fault::once(Call::GroupsList, Failure::Html { status: 502 }));
    let (status, page) = running.google_as(&token, GROUPS, &[EVERYBODY]).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(page.as_str().unwrap().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn listings_can_lie_in_every_way() {
    let running = start().await;
    let once = |failure| {
        running
            .sandbox
            .inject(Fault::once(Call::UsersList, failure))
    };
    once(Failure::MissingCollection);
    let (status, page) = running.google(USERS, &[EVERYBODY]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.get("users").is_none());

    once(Failure::EndsEarly);
    let (_, page) = running.google(USERS, &[EVERYBODY]).await;
    assert_eq!(page["users"].as_array().unwrap().len(), 100);
    assert!(page.get("nextPageToken").is_none());

    for (failure, same) in [
        (Failure::RepeatedPageToken, true),
        (Failure::EndlessPages, false),
    ] {
        running
            .sandbox
            .inject(Fault::always(Call::UsersList, failure));
        let (_, first) = running.google(USERS, &[EVERYBODY]).await;
        let token = first["nextPageToken"].as_str().unwrap();
        let (_, second) = running
            .google(USERS, &[EVERYBODY, ("pageToken", token)])
            .await;
        assert_eq!(second["users"], first["users"]);
        assert_eq!(second["nextPageToken"] == first["nextPageToken"], same);
        running.sandbox.clear_faults();
    }
}

#[tokio::test]
async fn a_flag_can_be_forgotten_for_one_person_or_for_all() {
    let running = start().await;
    running
        .sandbox
        .hide_flag(Flag::Suspended, Some("Jennifer.Null@northmoor.example"));
    let path = format!("{USERS}/jennifer.null@northmoor.example");
    let (_, person) = running.google(&path, &[]).await;
    assert!(person.get("suspended").is_none() && person["archived"] == false);
    let others = running.all(USERS, "users", &[EVERYBODY]).await;
    assert_eq!(
        others
            .iter()
            .filter(|u| u.get("suspended").is_none())
            .count(),
        1
    );
    running.sandbox.hide_flag(Flag::Archived, None);
    let all = running.all(USERS, "users", &[EVERYBODY]).await;
    assert!(all.iter().all(|u| u.get("archived").is_none()));
    running.sandbox.clear_faults();
    let (_, person) = running.google(&path, &[]).await;
    assert_eq!(person["suspended"], false);
}

#[tokio::test]
async fn a_connection_can_drop_before_or_after_the_write() {
    let running = start().await;
    let user = |name: &str| Some(json!({ "userName": name, "active": true }).to_string());
    for (failure, name, kept) in [
        (Failure::DroppedBefore, "before@northmoor.example", false),
        (Failure::DroppedAfter, "after@northmoor.example", true),
    ] {
        running
            .sandbox
            .inject(Fault::once(Call::AccountCreate, failure).about(name));
        let lost = running
            .scim_request(Method::POST, "/Users")
            .body(user(name).unwrap())
            .send()
            .await;
        assert!(lost.is_err(), "no answer arrives");
        assert_eq!(running.sandbox.account(name).is_some(), kept);
    }
    let (status, _) = running.scim(Method::GET, "/Users", None).await;
    assert_eq!(status, StatusCode::OK, "the sandbox goes on");
}

#[tokio::test]
async fn a_fault_about_one_person_spares_the_others() {
    let running = start().await;
    running.sandbox.inject(
        Fault::always(Call::AccountCreate, Failure::Status { status: 400 })
            .about("odd@northmoor.example"),
    );
    for (name, expected) in [("odd", 400), ("even", 201), ("odd", 400)] {
        let document = json!({ "userName": format!("{name}@northmoor.example") });
        let (status, _) = running.scim(Method::POST, "/Users", Some(document)).await;
        assert_eq!(status.as_u16(), expected);
    }
}

#[tokio::test]
async fn faults_are_switched_over_http_too() {
    let running = start().await;
    let fault = json!({ "call": "org_units_list", "failure": "too_many_requests", "retry_after": 3, "times": 1 });
    let (status, _) = running.control("/sandbox/faults", fault).await;
    assert_eq!(status, StatusCode::OK);
    let path = "/admin/directory/v1/customer/my_customer/orgunits";
    assert_eq!(
        running.google(path, &[]).await.0,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(running.google(path, &[]).await.0, StatusCode::OK);
    let (status, _) = running
        .control("/sandbox/faults", json!({ "call": "nothing" }))
        .await;
    assert!(status.is_client_error());
}
