use provisioning::identity::AccountId;
use serde_json::{Value, json};
use server::connectors::ScimErrorClass;
use server::connectors::scim::FilterWorth;
use wiremock::{Request, ResponseTemplate};

use crate::script::*;

fn people() -> Vec<Value> {
    [
        "anna@example.com",
        "Bo@Example.com",
        "a+b@example.com",
        "o\"q@example.com",
    ]
    .iter()
    .enumerate()
    .map(|(at, name)| account(&format!("id-{at}"), name))
    .collect()
}

/// The value asked for by `userName eq "…"`.
fn asked(request: &Request) -> Option<String> {
    let filter = query(request, "filter")?;
    serde_json::from_str(filter.strip_prefix("userName eq ")?).ok()
}

fn by_id(request: &Request) -> Option<ResponseTemplate> {
    let id = request
        .url
        .path()
        .strip_prefix("/scim/v2/Users/")?
        .to_owned();
    Some(
        match people().into_iter().find(|person| person["id"] == *id) {
            Some(person) => ok(person),
            None => scim_error(404, None, "not found"),
        },
    )
}

fn everybody() -> ResponseTemplate {
    ok(list(people().len(), &people()))
}

/// Filters as the standard says.
fn honest(request: &Request) -> ResponseTemplate {
    match asked(request) {
        Some(name) => {
            let hits: Vec<Value> = people()
                .into_iter()
                .filter(|person| {
                    person["userName"]
                        .as_str()
                        .unwrap()
                        .eq_ignore_ascii_case(&name)
                })
                .collect();
            ok(list(hits.len(), &hits))
        }
        None => by_id(request).unwrap_or_else(everybody),
    }
}

async fn ids(script: &Scripted, name: &str) -> Vec<String> {
    let found = script.app().find_by_user_name(name).await.unwrap();
    found
        .into_iter()
        .map(|account| account.id.into_string())
        .collect()
}

#[tokio::test]
async fn a_name_is_found_without_case_and_with_every_sign_in_it() {
    let script = Scripted::answering(honest).await;
    for (name, id) in [
        ("anna@example.com", "id-0"),
        ("bo@example.com", "id-1"),
        ("a+b@example.com", "id-2"),
        ("o\"q@example.com", "id-3"),
    ] {
        assert_eq!(ids(&script, name).await, [id], "{name}");
    }
    assert_eq!(script.lines().await.len(), 4);
    assert!(ids(&script, "nobody@example.com").await.is_empty());
    assert_eq!(script.lines().await.len(), 5);
    let encoded = "GET /scim/v2/Users?filter=userName%20eq%20%22a%2Bb%40example.com%22";
    assert_eq!(script.lines().await[2], encoded);
}

#[tokio::test]
async fn a_filter_that_is_ignored_is_found_out_and_the_listing_searched_once() {
    let script = Scripted::answering(|request| by_id(request).unwrap_or_else(everybody)).await;
    let app = script.app();
    let found = app.find_by_user_name("BO@example.com").await.unwrap();
    assert_eq!(found[0].id.as_str(), "id-1");
    assert_eq!(app.learned().filter, Some(FilterWorth::Ignored));
    assert!(
        app.find_by_user_name("nobody@example.com")
            .await
            .unwrap()
            .is_empty()
    );
    let listings = script
        .lines()
        .await
        .iter()
        .filter(|line| line.contains("startIndex"))
        .count();
    assert_eq!(listings, 1);
}

#[tokio::test]
async fn a_filter_that_is_refused_is_replaced_by_the_listing() {
    for refusal in [400, 501] {
        let script = Scripted::answering(move |request| match asked(request) {
            Some(_) => scim_error(refusal, Some("invalidFilter"), "no filters here"),
            None => by_id(request).unwrap_or_else(everybody),
        })
        .await;
        let app = script.app();
        let found = app.find_by_user_name("anna@example.com").await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(app.learned().filter, Some(FilterWorth::Unsupported));
    }
}

#[tokio::test]
async fn a_filter_that_is_refused_with_a_web_page_is_replaced_by_the_listing() {
    let script = Scripted::answering(|request| match asked(request) {
        Some(_) => web_page(400),
        None => by_id(request).unwrap_or_else(everybody),
    })
    .await;
    let app = script.app();
    let found = app.find_by_user_name("anna@example.com").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(app.learned().filter, Some(FilterWorth::Unsupported));
}

#[tokio::test]
async fn a_server_that_decodes_twice_still_finds_a_plus() {
    let script = Scripted::answering(|request| {
        let name = asked(request).unwrap_or_default();
        let twice = name.replace('+', " ").replace("%2B", "+");
        let hits: Vec<Value> = people()
            .into_iter()
            .filter(|person| person["userName"] == *twice)
            .collect();
        ok(list(hits.len(), &hits))
    })
    .await;
    assert_eq!(ids(&script, "a+b@example.com").await, ["id-2"]);
}

#[tokio::test]
async fn not_found_as_the_answer_to_a_filter_is_nobody() {
    let script = Scripted::in_turn(vec![scim_error(404, None, "no match")]).await;
    assert!(ids(&script, "anna@example.com").await.is_empty());
    let script = Scripted::in_turn(vec![web_page(404)]).await;
    let error = script
        .app()
        .find_by_user_name("anna@example.com")
        .await
        .unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Endpoint);
}

#[tokio::test]
async fn after_a_conflict_an_account_is_found_though_the_filter_compares_with_case() {
    let script = Scripted::answering(|request| match query(request, "filter") {
        Some(filter) => {
            let name = filter
                .rsplit("eq ")
                .next()
                .unwrap()
                .trim_matches('"')
                .to_owned();
            let hits: Vec<Value> = people()
                .into_iter()
                .filter(|person| person["userName"] == *name)
                .collect();
            ok(list(hits.len(), &hits))
        }
        None => by_id(request).unwrap_or_else(everybody),
    })
    .await;
    let app = script.app();
    assert!(
        app.find_by_user_name("bo@example.com")
            .await
            .unwrap()
            .is_empty()
    );
    let found = app.find_in_the_way("bo@example.com", None).await.unwrap();
    assert_eq!(found[0].id.as_str(), "id-1");
    assert_eq!(app.learned().filter, Some(FilterWorth::Misses));
    let again = app.find_by_user_name("bo@example.com").await.unwrap();
    assert_eq!(again[0].id.as_str(), "id-1", "and is not forgotten");
}

#[tokio::test]
async fn after_a_conflict_the_external_id_is_asked_for_when_the_name_is_nowhere() {
    let script = Scripted::answering(|request| match query(request, "filter").as_deref() {
        Some("externalId eq \"x-1\"") => {
            let mut other = account("id-9", "anna.other");
            other["externalId"] = json!("x-1");
            ok(list(1, &[other]))
        }
        _ => ok(list(0, &[])),
    })
    .await;
    let found = script
        .app()
        .find_in_the_way("anna@example.com", Some("x-1"))
        .await
        .unwrap();
    assert_eq!(found[0].id.as_str(), "id-9");
}

#[tokio::test]
async fn a_filter_that_fails_is_given_up_only_when_the_listing_works() {
    let script = Scripted::answering(|request| match query(request, "filter") {
        Some(_) => ResponseTemplate::new(500),
        None => by_id(request).unwrap_or_else(everybody),
    })
    .await;
    let app = script.app();
    assert_eq!(
        app.find_by_user_name("anna@example.com")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(app.learned().filter, Some(FilterWorth::Unsupported));
    let down = Scripted::answering(|_| ResponseTemplate::new(500)).await;
    let app = down.app();
    app.find_by_user_name("anna@example.com").await.unwrap_err();
    assert_eq!(app.learned().filter, None);
}

#[tokio::test]
async fn what_is_written_is_found_where_the_listing_stands_in_for_the_filter() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "POST" => status(201, account("id-7", "new@example.com")),
        "PATCH" => ok(account("id-0", "renamed@example.com")),
        "DELETE" => ResponseTemplate::new(204),
        _ => match request.url.path() {
            "/scim/v2/Users/id-7" => ok(account("id-7", "new@example.com")),
            "/scim/v2/Users/id-0" => ok(account("id-0", "renamed@example.com")),
            _ => by_id(request).unwrap_or_else(everybody),
        },
    })
    .await;
    let app = script.app_with(|settings| settings.learned.filter = Some(FilterWorth::Ignored));
    let ids = async |name: &str| {
        let found = app.find_by_user_name(name).await.unwrap();
        found
            .into_iter()
            .map(|account| account.id.into_string())
            .collect::<Vec<_>>()
    };
    assert!(ids("new@example.com").await.is_empty());
    app.create(&json!({"userName": "new@example.com"}))
        .await
        .unwrap();
    assert_eq!(ids("new@example.com").await, ["id-7"]);
    let body = json!({"userName": "renamed@example.com"});
    let rename = provisioning::mapping::FieldChange {
        attribute: "userName".to_owned(),
        old: Some(json!("anna@example.com")),
        new: Some(json!("renamed@example.com")),
    };
    let update = server::connectors::Update {
        body: &body,
        changes: &[rename],
        rows: &[],
        active: None,
        current: None,
    };
    app.update(&AccountId::new("id-0"), update).await.unwrap();
    assert_eq!(ids("renamed@example.com").await, ["id-0"]);
    let listings = script.lines().await;
    let listings = listings.iter().filter(|line| line.contains("startIndex"));
    assert_eq!(listings.count(), 1, "the listing is read once");
    app.forget_names().await;
    ids("anna@example.com").await;
    let listings = script.lines().await;
    let listings = listings.iter().filter(|line| line.contains("startIndex"));
    assert_eq!(listings.count(), 2, "and again on demand");
}

#[tokio::test]
async fn an_account_is_read_by_its_id_as_one_segment_and_never_by_its_location() {
    let script = Scripted::answering(|_| ok(account("a/b@x+y", "anna@example.com"))).await;
    let found = script
        .app()
        .get(&AccountId::new("a/b@x+y"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.id.as_str(), "a/b@x+y");
    assert_eq!(script.lines().await, ["GET /scim/v2/Users/a%2Fb%40x%2By"]);
}

#[tokio::test]
async fn a_missing_account_is_none_and_a_foreign_answer_is_an_error() {
    let script = Scripted::in_turn(vec![scim_error(404, None, "gone")]).await;
    assert_eq!(script.app().get(&AccountId::new("7")).await, Ok(None));
    for answer in [
        ok(json!([])),
        ok(json!({"userName": "x"})),
        ResponseTemplate::new(200),
    ] {
        let script = Scripted::in_turn(vec![answer]).await;
        let error = script.app().get(&AccountId::new("7")).await.unwrap_err();
        assert_eq!(error.class, ScimErrorClass::Endpoint);
    }
}

#[tokio::test]
async fn an_id_that_is_no_path_segment_is_never_sent() {
    let script = Scripted::in_turn(vec![ResponseTemplate::new(204)]).await;
    for id in ["", ".", ".."] {
        let error = script.app().delete(&AccountId::new(id)).await.unwrap_err();
        assert_eq!(error.class, ScimErrorClass::Rejected);
    }
    assert!(script.lines().await.is_empty());
}
