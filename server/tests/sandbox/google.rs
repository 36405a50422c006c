//! Sign-in, listings, people and groups of the emulated directory.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::sandbox::{ADMINISTRATOR, Scope, ServiceAccountKey};

use crate::harness::{GROUPS, USERS, claims, sign, start};

const EVERYBODY: (&str, &str) = ("customer", "my_customer");

fn ids(entries: &[Value]) -> BTreeSet<String> {
    entries
        .iter()
        .map(|entry| entry["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_assertion_with_one_thing_wrong_gets_no_token() {
    let running = start().await;
    let good = claims(&running, &[Scope::User]);
    let pem = running.sandbox.key().private_pem().to_owned();
    let spoiled = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        sign(&pem, &claims)
    };
    let later = good["iat"].as_i64().unwrap();
    let cases = [
        (
            spoiled("iss", json!("somebody@else.example")),
            "invalid_grant",
        ),
        (
            spoiled("sub", json!("nobody@northmoor.example")),
            "invalid_grant",
        ),
        (
            spoiled("aud", json!("https://elsewhere.example/token")),
            "invalid_grant",
        ),
        (spoiled("exp", json!(later + 3_601)), "invalid_grant"),
        (spoiled("exp", json!(later - 1)), "invalid_grant"),
        (spoiled("iat", json!(later + 900)), "invalid_grant"),
        (spoiled("scope", json!("")), "invalid_scope"),
        (
            spoiled(
                "scope",
                json!("https://www.googleapis.com/auth/admin.directory.user"),
            ),
            "unauthorized_client",
        ),
        ("not.an.assertion".to_owned(), "invalid_grant"),
    ];
    for (assertion, error) in cases {
        let (status, body) = running.ask_token(&assertion).await;
        assert!(status.is_client_error(), "{body}");
        assert_eq!(body["error"], error, "{body}");
        assert!(body["error_description"].is_string());
    }
    let stranger = ServiceAccountKey::generate().unwrap();
    let (_, body) = running
        .ask_token(&sign(stranger.private_pem(), &good))
        .await;
    assert_eq!(body["error_description"], "Invalid JWT Signature.");
    let (status, body) = running.ask_token(&sign(&pem, &good)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["token_type"], "Bearer");
}

#[tokio::test]
async fn the_key_file_is_all_that_is_needed_to_sign_in() {
    let running = start().await;
    let file: Value =
        serde_json::from_str(&running.sandbox.service_account_key_json(&running.base)).unwrap();
    assert_eq!(file["type"], "service_account");
    let mut claims = claims(&running, &[Scope::User]);
    claims["iss"] = file["client_email"].clone();
    claims["aud"] = file["token_uri"].clone();
    let (status, body) = running
        .ask_token(&sign(file["private_key"].as_str().unwrap(), &claims))
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[tokio::test]
async fn a_scope_that_was_not_delegated_refuses_the_token_and_no_other() {
    let running = start().await;
    running.sandbox.delegate(Scope::OrgUnit, false);
    let pem = running.sandbox.key().private_pem();
    let (status, body) = running
        .ask_token(&sign(pem, &claims(&running, &[Scope::OrgUnit])))
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["error"], "unauthorized_client");
    running.token(&[Scope::User, Scope::Group]).await;
}

#[tokio::test]
async fn somebody_without_rights_gets_a_token_and_is_then_refused() {
    let running = start().await;
    let mut claims = claims(&running, &[Scope::User]);
    claims["sub"] = json!("jennifer.null@northmoor.example");
    let (status, token) = running
        .ask_token(&sign(running.sandbox.key().private_pem(), &claims))
        .await;
    assert_eq!(status, StatusCode::OK);
    let token = token["access_token"].as_str().unwrap();
    let (status, body) = running.google_as(token, USERS, &[EVERYBODY]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(body["error"]["errors"][0]["reason"], "forbidden");
}

#[tokio::test]
async fn tokens_end_after_an_hour_and_when_they_are_revoked() {
    let running = start().await;
    let token = running.token(&[Scope::User]).await;
    assert_eq!(
        running.google_as(&token, USERS, &[EVERYBODY]).await.0,
        StatusCode::OK
    );
    running.clock.advance(TimeDelta::minutes(60));
    let (status, body) = running.google_as(&token, USERS, &[EVERYBODY]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["error"]["errors"][0]["reason"], "authError");
    let token = running.token(&[Scope::User]).await;
    running.sandbox.revoke_google_tokens();
    assert_eq!(
        running.google_as(&token, USERS, &[EVERYBODY]).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        running.google_as("", USERS, &[EVERYBODY]).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_missing_scope_is_told_apart_from_a_missing_right() {
    let running = start().await;
    let token = running.token(&[Scope::Group]).await;
    let (status, body) = running.google_as(&token, USERS, &[EVERYBODY]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        body["error"]["errors"][0]["reason"],
        "insufficientPermissions"
    );
    assert_eq!(
        body["error"]["details"][0]["reason"],
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    );
}

#[tokio::test]
async fn pages_of_any_size_and_order_list_everybody_once() {
    let running = start().await;
    let whole = running
        .all(USERS, "users", &[EVERYBODY, ("maxResults", "500")])
        .await;
    assert_eq!(whole.len(), 250);
    for size in ["1", "7", "100", "250"] {
        let found = running
            .all(USERS, "users", &[EVERYBODY, ("maxResults", size)])
            .await;
        assert_eq!(found.len(), 250, "pages of {size}");
        assert_eq!(ids(&found), ids(&whole));
    }
    let sorted = running
        .all(
            USERS,
            "users",
            &[
                EVERYBODY,
                ("maxResults", "40"),
                ("orderBy", "email"),
                ("sortOrder", "DESCENDING"),
            ],
        )
        .await;
    let emails: Vec<_> = sorted
        .iter()
        .map(|u| u["primaryEmail"].as_str().unwrap())
        .collect();
    assert!(emails.windows(2).all(|pair| pair[0] > pair[1]));
    assert_eq!(ids(&sorted), ids(&whole));
}

#[tokio::test]
async fn custom_schemas_come_with_the_full_projection_only() {
    let running = start().await;
    let has = |users: &[Value]| users.iter().any(|u| !u["customSchemas"].is_null());
    let basic = running.all(USERS, "users", &[EVERYBODY]).await;
    let full = running
        .all(USERS, "users", &[EVERYBODY, ("projection", "full")])
        .await;
    assert!(!has(&basic) && has(&full));
}

#[tokio::test]
async fn deleted_people_are_listed_apart_for_twenty_days_and_read_as_412_then_404() {
    let running = start().await;
    let before = running
        .all(USERS, "users", &[EVERYBODY, ("showDeleted", "true")])
        .await;
    assert_eq!(before.len(), 2);
    assert!(before.iter().all(|u| u["deletionTime"].is_string()));
    let id = running
        .sandbox
        .change_directory(|d, now| d.delete("jennifer.null@northmoor.example", now).unwrap().id);
    let path = format!("{USERS}/{}", id.as_str());
    let living = running.all(USERS, "users", &[EVERYBODY]).await;
    assert_eq!(living.len(), 249);
    assert!(!ids(&living).contains(id.as_str()));
    let deleted = running
        .all(USERS, "users", &[EVERYBODY, ("showDeleted", "true")])
        .await;
    assert!(ids(&deleted).contains(id.as_str()));
    for key in [
        path.clone(),
        format!("{USERS}/jennifer.null@northmoor.example"),
    ] {
        let (status, body) = running.google(&key, &[]).await;
        assert_eq!(status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(body["error"]["message"], "User is deleted.");
        assert_eq!(body["error"]["errors"][0]["reason"], "conditionNotMet");
    }
    running
        .clock
        .advance(TimeDelta::days(20) + TimeDelta::seconds(1));
    let (status, body) = running.google(&path, &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(body["error"]["errors"][0]["reason"], "notFound");
    let (_, gone) = running
        .google(USERS, &[EVERYBODY, ("showDeleted", "true")])
        .await;
    assert!(
        gone.get("users").is_none(),
        "an empty listing leaves its key out"
    );
    assert!(
        running
            .sandbox
            .change_directory(|d, now| d.undelete(id.as_str(), now))
            .is_err()
    );
}

#[tokio::test]
async fn a_person_is_read_by_id_address_and_alias() {
    let running = start().await;
    running.sandbox.change_directory(|d, _| {
        d.rename(
            "jennifer.null@northmoor.example",
            server::sandbox::Rename {
                primary_email: Some("jennifer.void@northmoor.example".to_owned()),
                ..Default::default()
            },
        )
        .unwrap()
    });
    let (_, by_new) = running
        .google(&format!("{USERS}/Jennifer.Void@northmoor.example"), &[])
        .await;
    let (_, by_alias) = running
        .google(&format!("{USERS}/jennifer.null@northmoor.example"), &[])
        .await;
    let id = by_new["id"].as_str().unwrap();
    let (_, by_id) = running.google(&format!("{USERS}/{id}"), &[]).await;
    assert_eq!(by_new, by_id);
    assert_eq!(by_new, by_alias);
    assert_eq!(by_id["aliases"], json!(["jennifer.null@northmoor.example"]));
    for (key, status, reason) in [
        (
            "nobody@northmoor.example",
            StatusCode::NOT_FOUND,
            "notFound",
        ),
        ("123", StatusCode::NOT_FOUND, "notFound"),
        ("anna@partner.example", StatusCode::FORBIDDEN, "forbidden"),
        ("eng@northmoor.example", StatusCode::BAD_REQUEST, "invalid"),
    ] {
        let (got, body) = running.google(&format!("{USERS}/{key}"), &[]).await;
        assert_eq!(got, status, "{key}");
        assert_eq!(body["error"]["errors"][0]["reason"], reason, "{key}");
    }
}

#[tokio::test]
async fn queries_find_prefixes_flags_and_org_units() {
    let running = start().await;
    let count = async |query: &str| {
        running
            .all(USERS, "users", &[EVERYBODY, ("query", query)])
            .await
            .len()
    };
    assert_eq!(count("email:ines.albr*").await, 1);
    assert_eq!(count("name:Chukwue*").await, 1);
    assert_eq!(count("name:佐*").await, 1);
    let suspended = count("isSuspended=true").await;
    assert!(suspended > 0);
    assert_eq!(count("isSuspended=false").await, 250 - suspended);
    assert_eq!(count("orgUnitPath='/Contractors'").await, 22);
    assert_eq!(
        count("orgUnitPath='/Contractors/Long-term contractors'").await,
        6
    );
    assert_eq!(count("orgUnitPath='/Product' email:misaki*").await, 1);
    let groups = running
        .all(GROUPS, "groups", &[EVERYBODY, ("query", "name:Desi*")])
        .await;
    assert_eq!(groups.len(), 2, "{groups:?}");
    let groups = running
        .all(GROUPS, "groups", &[EVERYBODY, ("query", "email:design*")])
        .await;
    assert_eq!(groups.len(), 3);
}

#[tokio::test]
async fn a_domain_lists_its_own_people() {
    let running = start().await;
    let labs = running
        .all(USERS, "users", &[("domain", "northmoor-labs.example")])
        .await;
    assert_eq!(labs.len(), 14);
    let (status, _) = running
        .google(USERS, &[("domain", "elsewhere.example")])
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, domains) = running
        .google("/admin/directory/v1/customer/my_customer/domains", &[])
        .await;
    let primary: Vec<_> = domains["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["isPrimary"])
        .collect();
    assert_eq!(primary, [&json!(true), &json!(false)]);
}

#[tokio::test]
async fn members_come_direct_or_derived_and_a_ring_ends() {
    let running = start().await;
    let members = async |group: &str, derived: &str, size: &str| {
        let path = format!("{GROUPS}/{group}@northmoor.example/members");
        let query = [("includeDerivedMembership", derived), ("maxResults", size)];
        running.all(&path, "members", &query).await
    };
    let of_type =
        |members: &[Value], kind: &str| members.iter().filter(|m| m["type"] == kind).count();
    let direct = members("eng", "false", "200").await;
    let derived = members("eng", "true", "200").await;
    assert_eq!(of_type(&direct, "GROUP"), 3);
    assert_eq!(of_type(&direct, "USER"), 30);
    assert_eq!(
        of_type(&derived, "USER"),
        30 + 25 + 30 + 8,
        "each person once"
    );
    assert_eq!(of_type(&derived, "GROUP"), 4);
    assert_eq!(
        ids(&members("eng", "true", "9").await),
        ids(&derived),
        "in pages of nine"
    );
    let ring = members("project-aurora", "true", "200").await;
    assert_eq!(
        of_type(&ring, "GROUP"),
        2,
        "the two others of the ring, once"
    );
    assert_eq!(ids(&ring).len(), ring.len());
    let outside = members("design-suppliers", "false", "200").await;
    assert_eq!(of_type(&outside, "EXTERNAL"), 1);
    let everyone = members("everyone", "false", "200").await;
    assert_eq!(everyone[0]["type"], "CUSTOMER");
    assert!(everyone[0].get("email").is_none());
    let path = format!("{GROUPS}/nobody-yet@northmoor.example/members");
    let (status, empty) = running.google(&path, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(empty.get("members").is_none());
    let (status, _) = running
        .google(&format!("{GROUPS}/none@northmoor.example/members"), &[])
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn groups_tell_their_size_as_text_and_are_found_by_member() {
    let running = start().await;
    let (_, group) = running
        .google(&format!("{GROUPS}/design@northmoor.example"), &[])
        .await;
    assert_eq!(group["directMembersCount"], "21");
    let groups = running
        .all(GROUPS, "groups", &[("userKey", ADMINISTRATOR)])
        .await;
    let emails: BTreeSet<_> = groups
        .iter()
        .map(|g| g["email"].as_str().unwrap())
        .collect();
    assert!(emails.contains("it@northmoor.example") && !emails.contains("eng@northmoor.example"));
    let all = running
        .all(GROUPS, "groups", &[EVERYBODY, ("maxResults", "10")])
        .await;
    assert_eq!(ids(&all).len(), 41);
    let (status, _) = running
        .google(GROUPS, &[EVERYBODY, ("userKey", ADMINISTRATOR)])
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn org_units_come_as_children_as_all_and_with_the_root() {
    let running = start().await;
    let units = async |query: &[(&str, &str)]| {
        let path = "/admin/directory/v1/customer/my_customer/orgunits";
        let (_, body) = running.google(path, query).await;
        body["organizationUnits"].as_array().cloned()
    };
    let children = units(&[]).await.unwrap();
    let all = units(&[("type", "all")]).await.unwrap();
    let with_root = units(&[("type", "allIncludingParent")]).await.unwrap();
    assert_eq!(all.len(), 16);
    assert_eq!(with_root.len(), 17);
    assert!(children.iter().all(|u| u["parentOrgUnitPath"] == "/"));
    let root = with_root.iter().find(|u| u["orgUnitPath"] == "/").unwrap();
    assert!(root.get("parentOrgUnitId").is_none());
    assert!(
        children
            .iter()
            .all(|u| u["parentOrgUnitId"] == root["orgUnitId"])
    );
    assert!(
        units(&[("orgUnitPath", "/IT")]).await.is_none(),
        "the key is absent"
    );
    let users = running.all(USERS, "users", &[EVERYBODY]).await;
    let paths: BTreeSet<_> = with_root
        .iter()
        .map(|u| u["orgUnitPath"].as_str().unwrap())
        .collect();
    assert!(
        users
            .iter()
            .all(|u| paths.contains(u["orgUnitPath"].as_str().unwrap()))
    );
}
