//! The emulated Asana as it is documented, and with its quirks.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use server::sandbox::{Call, Failure, Fault, Limits, Quirks};

use crate::harness::{Running, body, start, start_with};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "userName": name,
        "name": { "formatted": "Nuala Byrne", "givenName": "Nuala", "familyName": "Byrne" },
        "displayName": "Nuala",
        "externalId": "x-1",
        "emails": [{ "value": name, "primary": true, "type": "work" }],
        "active": true,
        "title": "Engineer",
        ENTERPRISE: { "department": "Platform", "costCenter": "NM-1" },
    })
}

fn patch(operations: Value) -> Option<Value> {
    Some(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    }))
}

async fn created(running: &Running, name: &str) -> String {
    let (status, body) = running.scim(Method::POST, "/Users", Some(user(name))).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

async fn found(running: &Running, name: &str) -> Vec<Value> {
    let request = running
        .scim_request(Method::GET, "/Users")
        .query(&[("filter", format!("userName eq {}", json!(name)))]);
    let (status, page) = body(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["Resources"].as_array().unwrap().clone()
}

async fn page(running: &Running, query: &str) -> Value {
    let (status, page) = running
        .scim(Method::GET, &format!("/Users?{query}"), None)
        .await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page
}

#[tokio::test]
async fn a_created_account_is_answered_with_what_is_kept_of_it() {
    let running = start().await;
    let response = running
        .scim_request(Method::POST, "/Users")
        .body(user("nuala.byrne@northmoor.example").to_string())
        .send()
        .await
        .unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, account) = body(response).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = account["id"].as_str().unwrap();
    assert!(id.parse::<u64>().is_ok(), "a number as text");
    assert_eq!(
        location,
        format!("{}/api/1.0/scim/Users/{id}", running.base)
    );
    assert_eq!(account["name"], json!({ "formatted": "Nuala Byrne" }));
    assert_eq!(account["title"], "Engineer");
    assert_eq!(account[ENTERPRISE]["department"], "Platform");
    assert!(account.get("displayName").is_none() && account.get("externalId").is_none());
    let (status, read) = running
        .scim(Method::GET, &format!("/Users/{id}"), None)
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(read, account);
}

#[tokio::test]
async fn a_name_can_be_taken_once_whatever_its_case() {
    let running = start().await;
    created(&running, "nuala.byrne@northmoor.example").await;
    let again = user("Nuala.Byrne@Northmoor.example");
    let (status, error) = running.scim(Method::POST, "/Users", Some(again)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(error["scimType"], "uniqueness");
    assert_eq!(error["status"], "409");
    assert_eq!(
        found(&running, "NUALA.byrne@northmoor.example").await.len(),
        1
    );
    assert_eq!(found(&running, "nobody@northmoor.example").await.len(), 0);
    created(&running, "Odd.Case@northmoor.example").await;
    assert_eq!(found(&running, "odd.case@northmoor.example").await.len(), 1);
}

#[tokio::test]
async fn nonsense_is_refused_and_nothing_is_made() {
    let running = start().await;
    let before = running.sandbox.account_count();
    let name = "nuala.byrne@northmoor.example";
    let with = |member: &str, value: Value| {
        let mut user = user(name);
        user[member] = value;
        user
    };
    for document in [
        with("userName", json!("no address")),
        with("userName", json!("nuala@elsewhere.example")),
        with("userName", Value::Null),
        with("active", json!("true")),
        with("title", json!(7)),
        with("emails", json!({ "value": name })),
        with(ENTERPRISE, json!({ "manager": { "value": "1" } })),
        json!([]),
    ] {
        let (status, error) = running.scim(Method::POST, "/Users", Some(document)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
        assert!(error["detail"].is_string());
    }
    assert_eq!(running.sandbox.account_count(), before);
}

#[tokio::test]
async fn put_removes_what_it_leaves_out() {
    let running = start().await;
    let id = created(&running, "nuala.byrne@northmoor.example").await;
    let document = json!({
        "userName": "nuala.quinn@northmoor.example",
        "name": { "formatted": "Nuala Quinn" },
        "active": false,
    });
    let (status, account) = running
        .scim(Method::PUT, &format!("/Users/{id}"), Some(document))
        .await;
    assert_eq!(status, StatusCode::OK, "{account}");
    assert_eq!(account["id"], id.as_str());
    assert_eq!(account["active"], false);
    assert!(account.get("title").is_none() && account.get(ENTERPRISE).is_none());
    assert!(
        found(&running, "nuala.byrne@northmoor.example")
            .await
            .is_empty()
    );
    assert_eq!(
        found(&running, "nuala.quinn@northmoor.example").await.len(),
        1
    );
}

#[tokio::test]
async fn patch_takes_an_object_of_values_as_well_as_paths() {
    let running = start().await;
    let id = created(&running, "nuala.byrne@northmoor.example").await;
    let boss = created(&running, "boss@northmoor.example").await;
    let path = format!("/Users/{id}");
    let (status, account) = running
        .scim(
            Method::PATCH,
            &path,
            patch(json!([{ "op": "replace", "value": {
            "title": "Lead",
            "name": { "formatted": "Nuala B." },
            ENTERPRISE: { "department": "Labs", "manager": { "value": boss } },
            "name.familyName": "Ignored",
        } }])),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{account}");
    assert_eq!(account["title"], "Lead");
    assert_eq!(account["name"], json!({ "formatted": "Nuala B." }));
    assert_eq!(account[ENTERPRISE]["department"], "Labs");
    assert_eq!(account[ENTERPRISE]["costCenter"], "NM-1", "the rest stays");
    assert_eq!(account[ENTERPRISE]["manager"]["value"], boss.as_str());

    let (status, account) = running
        .scim(Method::PATCH, &path, patch(json!([
            { "op": "Replace", "path": "name.formatted", "value": "N. Byrne" },
            { "op": "remove", "path": "title" },
            { "op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "Design" },
            { "op": "add", "path": "phoneNumbers[type eq \"work\"].value", "value": "+44 1" },
            { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "n@northmoor.example" },
            { "op": "replace", "path": "active", "value": false },
        ])))
        .await;
    assert_eq!(status, StatusCode::OK, "{account}");
    assert_eq!(account["name"]["formatted"], "N. Byrne");
    assert!(account.get("title").is_none());
    assert_eq!(account[ENTERPRISE]["department"], "Design");
    assert_eq!(
        account["phoneNumbers"],
        json!([{ "type": "work", "value": "+44 1" }])
    );
    assert_eq!(account["emails"][0]["value"], "n@northmoor.example");
    assert_eq!(account["active"], false);
}

#[tokio::test]
async fn an_account_whose_manager_was_deleted_can_be_suspended_and_names_no_other_stranger() {
    let running = start().await;
    let boss = created(&running, "boss@northmoor.example").await;
    let mut report = user("nuala.byrne@northmoor.example");
    report[ENTERPRISE]["manager"] = json!({ "value": boss });
    let (_, account) = running.scim(Method::POST, "/Users", Some(report)).await;
    let path = format!("/Users/{}", account["id"].as_str().unwrap());
    let (status, _) = running
        .scim(Method::DELETE, &format!("/Users/{boss}"), None)
        .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let suspend = patch(json!([{ "op": "replace", "value": { "active": false } }]));
    let (status, account) = running.scim(Method::PATCH, &path, suspend).await;
    assert_eq!(
        (status, &account["active"]),
        (StatusCode::OK, &false.into())
    );
    let other = patch(json!([{ "op": "replace",
        "value": { ENTERPRISE: { "manager": { "value": "1" } } } }]));
    let (status, _) = running.scim(Method::PATCH, &path, other).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_bad_patch_changes_nothing() {
    let running = start().await;
    let id = created(&running, "nuala.byrne@northmoor.example").await;
    created(&running, "taken@northmoor.example").await;
    let path = format!("/Users/{id}");
    let before = running
        .sandbox
        .account("nuala.byrne@northmoor.example")
        .unwrap();
    for (operations, expected) in [
        (
            json!([{ "op": "replace", "path": "active", "value": "False" }]),
            StatusCode::BAD_REQUEST,
        ),
        (
            json!([{ "op": "replace", "path": "title[", "value": "x" }]),
            StatusCode::BAD_REQUEST,
        ),
        (
            json!([{ "op": "swap", "path": "title", "value": "x" }]),
            StatusCode::BAD_REQUEST,
        ),
        (json!([{ "op": "remove" }]), StatusCode::BAD_REQUEST),
        (json!([]), StatusCode::BAD_REQUEST),
        (
            json!([{ "op": "replace", "value": { "title": "x", "userName": "taken@northmoor.example" } }]),
            StatusCode::CONFLICT,
        ),
    ] {
        let (status, error) = running.scim(Method::PATCH, &path, patch(operations)).await;
        assert_eq!(status, expected, "{error}");
    }
    let (status, _) = running
        .scim(
            Method::PATCH,
            &path,
            Some(json!({ "Operations": [{ "op": "remove", "path": "title" }] })),
        )
        .await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "the PatchOp schema is missing"
    );
    assert_eq!(
        running
            .sandbox
            .account("nuala.byrne@northmoor.example")
            .unwrap(),
        before
    );
}

#[tokio::test]
async fn delete_removes_the_account_and_a_second_one_finds_nothing() {
    let running = start().await;
    let id = created(&running, "nuala.byrne@northmoor.example").await;
    let path = format!("/Users/{id}");
    assert_eq!(
        running.scim(Method::DELETE, &path, None).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        running.scim(Method::GET, &path, None).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        running.scim(Method::DELETE, &path, None).await.0,
        StatusCode::NOT_FOUND
    );
    let new = created(&running, "nuala.byrne@northmoor.example").await;
    assert_ne!(new, id, "ids are never given twice");
}

#[tokio::test]
async fn the_list_is_whole_or_in_pages() {
    let running = start().await;
    let whole = page(&running, "").await;
    assert_eq!(whole["totalResults"], 47);
    assert_eq!(whole["Resources"].as_array().unwrap().len(), 47);
    let mut seen = BTreeSet::new();
    for start in ["1", "21", "41"] {
        let page = page(&running, &format!("startIndex={start}&count=20")).await;
        for account in page["Resources"].as_array().unwrap() {
            assert!(seen.insert(account["id"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(seen.len(), 47);
}

#[tokio::test]
async fn forty_one_people_have_accounts_and_six_accounts_have_nobody() {
    let running = start().await;
    let accounts = running.sandbox.accounts();
    let (known, strangers): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| {
        running
            .sandbox
            .directory(|d| d.person(&account.user_name).is_some())
    });
    assert_eq!((known.len(), strangers.len()), (41, 6));
    let name_differs = known.iter().filter(|account| {
        running.sandbox.directory(|d| {
            d.person(&account.user_name).unwrap().full_name() != account.name().unwrap()
        })
    });
    assert!(name_differs.count() > 10);
    assert!(
        known
            .iter()
            .any(|a| a.user_name != a.user_name.to_lowercase())
    );
    assert!(known.iter().any(|a| !a.active) && strangers.iter().any(|a| !a.active));
}

#[tokio::test]
async fn only_the_token_of_the_day_opens_the_app() {
    let running = start().await;
    let old = running.sandbox.asana_token();
    let status = async |token: &str| {
        let url = format!("{}/api/1.0/scim/ServiceProviderConfig", running.base);
        running
            .http
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(status(&old).await, StatusCode::OK);
    assert_eq!(status("wrong").await, StatusCode::UNAUTHORIZED);
    let (_, answer) = running.control("/sandbox/token/revoke", json!({})).await;
    assert_eq!(answer, json!({}));
    assert_eq!(status(&old).await, StatusCode::UNAUTHORIZED);
    let (_, answer) = running
        .control("/sandbox/token/revoke", json!({ "rotate": true }))
        .await;
    let new = answer["token"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(status(new).await, StatusCode::OK);
}

#[tokio::test]
async fn metadata_describes_the_service() {
    let running = start().await;
    let (_, config) = running
        .scim(Method::GET, "/ServiceProviderConfig", None)
        .await;
    assert_eq!(config["patch"]["supported"], true);
    let (_, types) = running.scim(Method::GET, "/ResourceTypes", None).await;
    assert_eq!(types["Resources"][0]["endpoint"], "/Users");
    let (_, schemas) = running.scim(Method::GET, "/Schemas", None).await;
    let names: Vec<_> = schemas["Resources"][0]["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"userName") && names.contains(&"title"));
    assert_eq!(schemas["Resources"][1]["id"], ENTERPRISE);
}

#[tokio::test]
async fn more_requests_than_the_rate_allows_wait_and_count() {
    let running = start_with(|options| {
        options.limits = Limits {
            requests_per_minute: Some(60),
            burst: 3,
            ..Limits::none()
        };
    })
    .await;
    let mut refused = 0;
    for _ in 0..5 {
        let response = running
            .scim_request(Method::GET, "/Users?count=1")
            .send()
            .await
            .unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            let wait: u64 = response.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(wait >= 1);
        }
    }
    assert_eq!(refused, 2);
    assert_eq!(
        running.sandbox.count(Call::AccountsList),
        5,
        "refused ones are counted"
    );
    assert_eq!(running.sandbox.count(Call::UsersList), 0);
}

#[tokio::test]
async fn more_writes_at_once_than_allowed_are_refused() {
    let running = start_with(|options| {
        options.limits = Limits {
            writes_in_flight: Some(2),
            ..Limits::none()
        };
    })
    .await;
    running.sandbox.inject(Fault::always(
        Call::AccountCreate,
        Failure::Latency { milliseconds: 300 },
    ));
    let requests = (0..5).map(|n| {
        let document = user(&format!("person{n}@northmoor.example"));
        running.scim(Method::POST, "/Users", Some(document))
    });
    let answers = futures::future::join_all(requests).await;
    let refused = answers
        .iter()
        .filter(|(s, _)| *s == StatusCode::TOO_MANY_REQUESTS)
        .count();
    assert_eq!(refused, 3);
    assert_eq!(running.sandbox.peak_concurrency().1, 5);
}

async fn with_quirks(quirks: Quirks) -> Running {
    start_with(|options| options.quirks = quirks).await
}

#[tokio::test]
async fn each_quirk_of_writing_shows() {
    let name = "nuala.byrne@northmoor.example";
    let replace_title = || patch(json!([{ "op": "replace", "path": "title", "value": "Lead" }]));

    let running = with_quirks(Quirks {
        patch_unsupported: true,
        put_not_found: true,
        ..Quirks::default()
    })
    .await;
    let path = format!("/Users/{}", created(&running, name).await);
    assert_eq!(
        running.scim(Method::PATCH, &path, replace_title()).await.0,
        StatusCode::NOT_IMPLEMENTED
    );
    assert_eq!(
        running.scim(Method::PUT, &path, Some(user(name))).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        running.scim(Method::GET, &path, None).await.0,
        StatusCode::OK,
        "the account is still there"
    );

    let running = with_quirks(Quirks {
        patch_no_content: true,
        drops_enterprise: true,
        drops: vec!["title".into()],
        ..Quirks::default()
    })
    .await;
    let path = format!("/Users/{}", created(&running, name).await);
    let (status, nothing) = running.scim(Method::PATCH, &path, replace_title()).await;
    assert_eq!((status, nothing), (StatusCode::NO_CONTENT, json!("")));
    let account = running.sandbox.account(name).unwrap();
    assert!(account.title().is_none() && account.enterprise("department").is_none());

    let running = with_quirks(Quirks {
        delete_deactivates: true,
        no_reactivation: true,
        conflict_without_type: true,
        ..Quirks::default()
    })
    .await;
    let path = format!("/Users/{}", created(&running, name).await);
    assert_eq!(
        running.scim(Method::DELETE, &path, None).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        running.scim(Method::GET, &path, None).await.1["active"],
        false
    );
    let (status, error) = running.scim(Method::POST, "/Users", Some(user(name))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(error.get("scimType").is_none());
    let on = patch(json!([{ "op": "replace", "path": "active", "value": true }]));
    assert_eq!(
        running.scim(Method::PATCH, &path, on).await.1["active"],
        false
    );

    let running = with_quirks(Quirks {
        refuses_unknown: true,
        ..Quirks::default()
    })
    .await;
    let mut odd = user(name);
    odd["shoeSize"] = json!(43);
    assert_eq!(
        running
            .scim(Method::POST, "/Users", Some(odd.clone()))
            .await
            .0,
        StatusCode::BAD_REQUEST
    );
    running.sandbox.set_quirks(Quirks {
        keeps_everything: true,
        name_is_id: true,
        ..Quirks::default()
    });
    let (_, kept) = running.scim(Method::POST, "/Users", Some(odd)).await;
    assert_eq!(
        (kept["shoeSize"].as_i64(), kept["id"].as_str()),
        (Some(43), Some(name))
    );
    assert_eq!(kept["name"]["givenName"], "Nuala");
    let path = format!("/Users/{}", name.replace('@', "%40"));
    assert_eq!(
        running.scim(Method::GET, &path, None).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn each_quirk_of_listing_shows() {
    let quirks = |adapt: fn(&mut Quirks)| {
        let mut quirks = Quirks::default();
        adapt(&mut quirks);
        quirks
    };
    let running = with_quirks(quirks(|q| q.filter_ignored = true)).await;
    assert_eq!(found(&running, "nobody@northmoor.example").await.len(), 47);

    running
        .sandbox
        .set_quirks(quirks(|q| q.filter_case_sensitive = true));
    let name = running.sandbox.accounts()[0].user_name.clone();
    assert_eq!(found(&running, &name).await.len(), 1);
    assert_eq!(found(&running, &name.to_uppercase()).await.len(), 0);

    running.sandbox.set_quirks(quirks(|q| {
        q.page_cap = Some(20);
        q.start_index_repeats = true;
    }));
    let first = page(&running, "startIndex=1&count=100").await;
    assert_eq!(first["Resources"].as_array().unwrap().len(), 20);
    assert_eq!(first["totalResults"], 47);
    let beyond = page(&running, "startIndex=48&count=100").await;
    assert_eq!(beyond["Resources"], first["Resources"]);

    running.sandbox.set_quirks(quirks(|q| {
        q.paging_ignored = true;
        q.no_total_results = true;
    }));
    let whole = page(&running, "startIndex=5&count=2").await;
    assert_eq!(whole["Resources"].as_array().unwrap().len(), 47);
    assert!(whole.get("totalResults").is_none());

    running.sandbox.set_quirks(quirks(|q| {
        q.count_refused = true;
        q.html_errors = true;
        q.no_discovery = true;
    }));
    let (status, html) = running.scim(Method::GET, "/Users?count=2", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(html.as_str().unwrap().contains("<html>"));
    assert_eq!(
        running.scim(Method::GET, "/Schemas", None).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn random_failures_do_nothing_and_pass_when_sent_again() {
    let running = with_quirks(Quirks {
        random_failures: 40,
        ..Quirks::default()
    })
    .await;
    let mut failures = 0;
    for n in 0..20 {
        let name = format!("person{n}@northmoor.example");
        loop {
            let (status, _) = running
                .scim(Method::POST, "/Users", Some(user(&name)))
                .await;
            if status == StatusCode::CREATED {
                break;
            }
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            failures += 1;
        }
    }
    assert!(failures > 0);
    assert_eq!(running.sandbox.account_count(), 67);
}

#[tokio::test]
async fn every_request_is_recorded_with_its_body_and_answer() {
    let running = start().await;
    let name = "nuala.byrne@northmoor.example";
    created(&running, name).await;
    running.scim(Method::POST, "/Users", Some(user(name))).await;
    let recorded = running.sandbox.recorded();
    let seen: Vec<_> = recorded.iter().map(|r| (r.call, r.status)).collect();
    assert_eq!(
        seen,
        [(Call::AccountCreate, 201), (Call::AccountCreate, 409)]
    );
    assert_eq!(recorded[0].body, user(name));
    assert_eq!(recorded[0].path, "/api/1.0/scim/Users");
    assert_eq!(running.sandbox.scim_writes(), 2);
    let shown = running.look("/sandbox/requests?bodies=true").await;
    assert_eq!(shown["counts"]["account_create"], 2);
    assert_eq!(shown["recorded"][1]["status"], 409);
}
