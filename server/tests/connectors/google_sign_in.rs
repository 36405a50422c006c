use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use server::clock::FakeClock;
use server::connectors::google_directory::{Scope, ScopeResult};
use server::connectors::{DirectoryErrorClass, KeyProblem, ServiceAccountKey};
use wiremock::{Request, ResponseTemplate};

use crate::script::*;

fn problem(change: impl FnOnce(&mut Value)) -> KeyProblem {
    let mut file = key_file("https://oauth2.googleapis.com/token");
    change(&mut file);
    ServiceAccountKey::parse(&file.to_string()).unwrap_err()
}

#[test]
fn a_good_key_file_is_read() {
    let file = key_file("https://oauth2.googleapis.com/token").to_string();
    let key = ServiceAccountKey::parse(&format!("\u{feff}\n{file}\n")).unwrap();
    assert_eq!(
        key.client_email(),
        "rollcall@rollcall.iam.gserviceaccount.com"
    );
    assert_eq!(key.client_id(), Some("1122334455"));
    assert_eq!(key.delegation_name(), "client ID 1122334455");
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn each_bad_key_file_gets_one_line_that_repeats_nothing_of_it() {
    let pem = private_pem();
    let cut = pem[..pem.len() / 2].to_owned();
    let problems = [
        (ServiceAccountKey::parse("  ").unwrap_err(), "key-empty"),
        (
            ServiceAccountKey::parse(&format!("{{\"private_key\": {pem}")).unwrap_err(),
            "key-not-json",
        ),
        (
            ServiceAccountKey::parse("[]").unwrap_err(),
            "key-not-service-account",
        ),
        (
            ServiceAccountKey::parse("{}").unwrap_err(),
            "key-not-service-account",
        ),
        (
            ServiceAccountKey::parse(&"x".repeat(70_000)).unwrap_err(),
            "key-too-large",
        ),
        (
            ServiceAccountKey::parse(r#"{"installed": {"client_secret": "hush"}}"#).unwrap_err(),
            "key-not-service-account",
        ),
        (
            problem(|file| file["type"] = json!("authorized_user")),
            "key-not-service-account",
        ),
        (
            problem(|file| file["private_key"] = json!("")),
            "key-field-missing",
        ),
        (
            problem(|file| file["client_email"] = Value::Null),
            "key-field-missing",
        ),
        (
            problem(|file| file["token_uri"] = json!(7)),
            "key-field-missing",
        ),
        (
            problem(|file| file["token_uri"] = json!("nowhere")),
            "key-token-uri-invalid",
        ),
        (
            problem(|file| file["private_key"] = json!("not a key")),
            "key-private-key-unreadable",
        ),
        (
            problem(|file| file["private_key"] = json!(cut)),
            "key-private-key-unreadable",
        ),
    ];
    for (problem, code) in problems {
        assert_eq!(problem.code(), code);
        let line = problem.to_string();
        assert!(
            !line.contains('\n') && !line.contains("hush") && !line.contains("MII"),
            "{line}"
        );
        assert!(line.ends_with('.'), "{line}");
    }
}

#[tokio::test]
async fn the_assertion_is_signed_and_says_who_for_whom_and_what() {
    let script = Scripted::directory(|_| ok(json!({"users": [{"id": "1"}]}))).await;
    script
        .google()
        .users(server::connectors::UserListing::Current)
        .next_page()
        .await
        .unwrap();
    let requests = script.requests().await;
    assert_eq!(line(&requests[0]), "POST /token");
    let form: HashMap<String, String> = url::form_urlencoded::parse(&requests[0].body)
        .into_owned()
        .collect();
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let key = DecodingKey::from_rsa_pem(public_pem().as_bytes()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    let audience = script.url("/token");
    validation.set_audience(&[&audience]);
    validation.validate_exp = false;
    let token = jsonwebtoken::decode::<Value>(&form["assertion"], &key, &validation).unwrap();
    assert_eq!(token.header.kid.as_deref(), Some("key-1"));
    let now = noon().timestamp();
    assert_eq!(
        token.claims,
        json!({"iss": "rollcall@rollcall.iam.gserviceaccount.com", "sub": ADMIN, "aud": audience,
            "scope": Scope::Users.url(), "iat": now, "exp": now + 3600})
    );
    assert_eq!(requests[1].headers["authorization"], "Bearer ya29.secret");
}

fn token_requests(requests: &[Request]) -> usize {
    requests
        .iter()
        .filter(|request| request.url.path() == "/token")
        .count()
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_it_lapses() {
    let script = Scripted::directory(|_| ok(json!({"id": "C1"}))).await;
    let clock = Arc::new(FakeClock::at(noon()));
    let google = script.google_at(clock.clone());
    google.customer().await.unwrap();
    clock.advance(TimeDelta::minutes(54));
    google.customer().await.unwrap();
    assert_eq!(token_requests(&script.requests().await), 1);
    clock.advance(TimeDelta::minutes(1));
    google.customer().await.unwrap();
    assert_eq!(token_requests(&script.requests().await), 2);
}

#[tokio::test]
async fn a_refused_token_is_asked_for_anew_once() {
    let script = Scripted::directory_in_turn(vec![
        google_error(401, "global", "authError", "Invalid Credentials"),
        ok(json!({"id": "C1"})),
        google_error(401, "global", "authError", "Invalid Credentials"),
    ])
    .await;
    let google = script.google();
    assert_eq!(google.customer().await.unwrap()["id"], "C1");
    assert_eq!(token_requests(&script.requests().await), 2);
    let error = google.customer().await.unwrap_err();
    assert_eq!(error.code(), "directory-sign-in-refused");
    assert_eq!(token_requests(&script.requests().await), 3);
}

#[tokio::test]
async fn passing_trouble_of_the_token_endpoint_is_waited_out() {
    let script = Scripted::in_turn(vec![
        ResponseTemplate::new(503),
        status(400, json!({"error": "server_error"})),
        token_answer(),
        ok(json!({"id": "C1"})),
    ])
    .await;
    script.google().customer().await.unwrap();
    assert_eq!(script.timer.waits().len(), 2);
}

#[tokio::test]
async fn a_token_endpoint_that_wants_a_pause_of_hours_is_not_waited_for() {
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "7200");
    let script = Scripted::in_turn(vec![busy]).await;
    let error = script.google().customer().await.unwrap_err();
    assert!(error.class().may_pass(), "{error}");
    assert_eq!(script.requests().await.len(), 1);
    assert!(script.timer.waits().is_empty());
}

async fn refused_sign_in(body: Value) -> (&'static str, String) {
    let script = Scripted::in_turn(vec![status(400, body)]).await;
    let error = script.google().customer().await.unwrap_err();
    assert_eq!(script.requests().await.len(), 1, "{error}");
    (error.code(), error.to_string())
}

#[tokio::test]
async fn each_refusal_of_a_sign_in_names_its_cause() {
    for (error, description, code, said) in [
        (
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.",
            "directory-scope-missing",
            "admin.directory.customer.readonly (read the customer and its primary domain) is not granted: add it to client ID 1122334455 in the Admin console under Security > Access and data control > API controls > Domain-wide delegation.",
        ),
        (
            "invalid_grant",
            "Invalid email or User ID",
            "directory-administrator-unknown",
            ADMIN,
        ),
        (
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
            "directory-clock-skew",
            "set the clock",
        ),
        (
            "invalid_grant",
            "Invalid JWT Signature.",
            "directory-key-refused",
            "create a new key",
        ),
        (
            "invalid_grant",
            "Invalid grant: account not found",
            "directory-key-refused",
            "create a new key",
        ),
        (
            "invalid_client",
            "The OAuth client was not found.",
            "directory-key-refused",
            "create a new key",
        ),
        (
            "org_internal",
            "Restricted.",
            "directory-sign-in-refused",
            "org_internal: Restricted",
        ),
    ] {
        let body = json!({"error": error, "error_description": description});
        let (got, line) = refused_sign_in(body).await;
        assert_eq!(got, code, "{line}");
        assert!(line.contains(said), "{line}");
        assert!(!line.contains('\n'));
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_recognised_by_the_date_of_the_answer() {
    let refusal = status(
        400,
        json!({"error": "invalid_grant", "error_description": "Bad Request"}),
    );
    let date = "Fri, 15 Jan 2027 08:30:00 GMT";
    let script = Scripted::in_turn(vec![refusal.insert_header("date", date)]).await;
    let error = script.google().customer().await.unwrap_err();
    assert_eq!(error.code(), "directory-clock-skew");
    assert!(error.to_string().contains("30 minutes"), "{error}");
}

#[tokio::test]
async fn a_token_endpoint_that_answers_a_page_is_named() {
    let script = Scripted::in_turn(vec![web_page(404)]).await;
    let error = script.google().customer().await.unwrap_err();
    assert_eq!(error.class(), DirectoryErrorClass::Protocol);
    assert!(error.to_string().contains("token_uri"), "{error}");
}

fn scope_of(request: &Request) -> String {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body)
        .into_owned()
        .collect();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_rsa_pem(public_pem().as_bytes()).unwrap();
    let token = jsonwebtoken::decode::<Value>(&form["assertion"], &key, &validation).unwrap();
    token.claims["scope"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_scope_is_tested_with_a_token_and_a_request_of_its_own() {
    let script = Scripted::directory(|request| match request.url.path() {
        "/admin/directory/v1/groups" => ok(json!({"groups": [{"id": "g1"}]})),
        _ => ok(json!({"users": []})),
    })
    .await;
    let checks = script.google().test_scopes().await;
    assert!(checks.iter().all(|check| check.is_ok()), "{checks:?}");
    let requests = script.requests().await;
    let asked: Vec<String> = requests
        .iter()
        .filter(|request| request.url.path() == "/token")
        .map(scope_of)
        .collect();
    let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.url()).collect();
    assert_eq!(asked, all);
    let base = "GET /admin/directory/v1";
    assert_eq!(
        script.lines().await,
        [
            format!("{base}/users?customer=my_customer&maxResults=1"),
            format!("{base}/groups?customer=my_customer&maxResults=1"),
            format!("{base}/groups/g1/members?maxResults=1"),
            format!("{base}/customer/my_customer/orgunits?type=children"),
            format!("{base}/customers/my_customer"),
            format!("{base}/customer/my_customer/domains"),
        ]
    );
}

#[tokio::test]
async fn only_the_missing_scope_is_reported_and_in_one_sentence() {
    let script = Scripted::answering(|request| {
        if request.url.path() == "/token" && scope_of(request) == Scope::OrgUnits.url() {
            status(
                401,
                json!({"error": "unauthorized_client", "error_description": "no"}),
            )
        } else if request.url.path() == "/token" {
            token_answer()
        } else {
            ok(json!({}))
        }
    })
    .await;
    let checks = script.google().test_scopes().await;
    for check in checks {
        match check.result {
            ScopeResult::Ok => assert_ne!(check.scope, Scope::OrgUnits),
            ScopeResult::Missing { sentence } => {
                assert_eq!(check.scope, Scope::OrgUnits);
                assert!(sentence.contains(Scope::OrgUnits.url()), "{sentence}");
                assert!(sentence.contains("client ID 1122334455"), "{sentence}");
                assert_eq!(sentence.matches(". ").count(), 0, "{sentence}");
            }
            ScopeResult::Failed { sentence, .. } => panic!("{sentence}"),
        }
    }
}

#[tokio::test]
async fn an_administrator_without_rights_fails_where_the_right_is_missing() {
    let script = Scripted::directory(|request| match request.url.path() {
        path if path.ends_with("/users") => google_error(
            403,
            "global",
            "forbidden",
            "Not Authorized to access this resource/api",
        ),
        _ => ok(json!({})),
    })
    .await;
    let checks = script.google().test_scopes().await;
    let failed: Vec<_> = checks.iter().filter(|check| !check.is_ok()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].scope, Scope::Users);
    let sentence = failed[0].sentence().unwrap();
    assert!(
        sentence.contains("admin@example.com is not allowed to read people"),
        "{sentence}"
    );
    assert!(script.timer.waits().is_empty());
}

#[tokio::test]
async fn what_ails_the_sign_in_is_asked_once_and_told_of_every_scope() {
    let body = json!({"error": "invalid_grant", "error_description": "Invalid email or User ID"});
    let script = Scripted::in_turn(vec![status(400, body)]).await;
    let checks = script.google().test_scopes().await;
    assert_eq!(script.requests().await.len(), 1);
    assert!(checks.iter().all(|check| matches!(
        check.result,
        ScopeResult::Failed {
            code: "directory-administrator-unknown",
            ..
        }
    )));
}

#[tokio::test]
async fn a_disabled_api_and_a_narrow_token_are_told_apart_from_a_missing_right() {
    for (domain, reason, code) in [
        (
            "usageLimits",
            "accessNotConfigured",
            "directory-api-disabled",
        ),
        (
            "global",
            "insufficientPermissions",
            "directory-scope-missing",
        ),
        ("global", "forbidden", "directory-forbidden"),
    ] {
        let script =
            Scripted::directory_in_turn(vec![google_error(403, domain, reason, "No.")]).await;
        let error = script.google().customer().await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(error.class(), DirectoryErrorClass::Permission);
        assert!(
            script.timer.waits().is_empty(),
            "a permission is not waited for"
        );
    }
}
