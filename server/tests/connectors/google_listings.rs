use std::time::Duration;

use provisioning::identity::{GroupId, PersonId};
use serde_json::{Value, json};
use server::connectors::{
    DirectoryError, DirectoryErrorClass, GroupLookup, PersonLookup, UserListing,
};
use wiremock::ResponseTemplate;

use crate::script::*;

fn people(range: std::ops::Range<u32>) -> Vec<Value> {
    range.map(|n| json!({"id": n.to_string()})).collect()
}

fn page(range: std::ops::Range<u32>, next: Option<&str>) -> ResponseTemplate {
    let mut body = json!({"kind": "admin#directory#users", "users": people(range)});
    if let Some(next) = next {
        body["nextPageToken"] = json!(next);
    }
    ok(body)
}

async fn read_users(script: &Scripted) -> Result<usize, DirectoryError> {
    let mut listing = script.google().users(UserListing::Current);
    let mut count = 0;
    while let Some(page) = listing.next_page().await? {
        count += page.len();
    }
    assert_eq!(listing.next_page().await, Ok(None));
    Ok(count)
}

async fn failed_listing(answers: Vec<ResponseTemplate>) -> (DirectoryError, Scripted) {
    let script = Scripted::directory_in_turn(answers).await;
    let error = read_users(&script).await.unwrap_err();
    (error, script)
}

#[tokio::test]
async fn people_are_read_page_by_page_to_the_end() {
    let script = Scripted::directory_in_turn(vec![
        page(0..500, Some("a+b/c=")),
        page(500..1000, Some("t2")),
        page(1000..1001, None),
    ])
    .await;
    assert_eq!(read_users(&script).await, Ok(1001));
    let base = "GET /admin/directory/v1/users?customer=my_customer&projection=full&maxResults=500";
    assert_eq!(
        script.lines().await,
        [
            base.to_owned(),
            format!("{base}&pageToken=a%2Bb%2Fc%3D"),
            format!("{base}&pageToken=t2")
        ]
    );
    assert_eq!(script.totals().directory, 4, "one of them for the token");
}

#[tokio::test]
async fn a_listing_without_its_list_of_people_is_incomplete_on_any_page() {
    for answers in [
        vec![ok(json!({"kind": "admin#directory#users"}))],
        vec![ok(json!({"users": null}))],
        vec![
            page(0..2, Some("t")),
            ok(json!({"kind": "admin#directory#users"})),
        ],
        vec![ok(json!({"users": []}))],
    ] {
        let (error, _) = failed_listing(answers).await;
        assert_eq!(error.code(), "directory-listing-incomplete");
        assert_eq!(error.class(), DirectoryErrorClass::Incomplete);
        assert_eq!(
            error.to_string(),
            "The listing of people is not complete: an answer lacks the list of people. Nothing of it is used."
        );
    }
}

#[tokio::test]
async fn deleted_people_groups_and_members_may_leave_their_list_out() {
    let script = Scripted::directory(|_| ok(json!({"kind": "x"}))).await;
    let google = script.google();
    for listing in [
        google.users(UserListing::Deleted),
        google.groups(),
        google.members(&GroupId::new("g/1")),
    ] {
        assert_eq!(listing.all().await, Ok(Vec::new()));
    }
    assert_eq!(google.org_units().await, Ok(Vec::new()));
    assert_eq!(google.domains().await, Ok(Vec::new()));
    let base = "GET /admin/directory/v1";
    assert_eq!(
        script.lines().await,
        [
            format!(
                "{base}/users?customer=my_customer&projection=full&maxResults=500&showDeleted=true"
            ),
            format!("{base}/groups?customer=my_customer&maxResults=200"),
            format!("{base}/groups/g%2F1/members?maxResults=200"),
            format!("{base}/customer/my_customer/orgunits?type=all"),
            format!("{base}/customer/my_customer/domains"),
        ]
    );
}

#[tokio::test]
async fn a_list_that_is_null_is_empty_where_nobody_may_be_meant() {
    let script = Scripted::directory(|_| {
        ok(
            json!({"users": null, "groups": null, "members": null, "organizationUnits": null,
            "domains": null, "etag": 3, "somethingNew": [{}]}),
        )
    })
    .await;
    let google = script.google();
    for listing in [
        google.users(UserListing::Deleted),
        google.groups(),
        google.members(&GroupId::new("g/1")),
    ] {
        assert_eq!(listing.all().await, Ok(Vec::new()));
    }
    assert_eq!(google.org_units().await, Ok(Vec::new()));
    assert_eq!(google.domains().await, Ok(Vec::new()));
    assert!(google.users(UserListing::Current).all().await.is_err());
}

#[tokio::test]
async fn people_whose_ids_are_numbers_are_somebody() {
    let script = Scripted::directory(|_| {
        ok(json!({"users": [{"id": 118_273_645_001_i64, "primaryEmail": "ann@example.com"}]}))
    })
    .await;
    let people = script.google().users(UserListing::Current).all().await;
    assert_eq!(people.map(|people| people.len()), Ok(1));
}

#[tokio::test]
async fn a_page_token_given_twice_ends_the_listing() {
    let (error, script) = failed_listing(vec![
        page(0..2, Some("one")),
        page(2..4, Some("two")),
        page(4..6, Some("one")),
    ])
    .await;
    assert_eq!(error.code(), "directory-listing-incomplete");
    assert!(
        error.to_string().contains("page token of page 3"),
        "{error}"
    );
    assert_eq!(script.lines().await.len(), 3);
}

#[tokio::test]
async fn pages_that_repeat_people_under_ever_new_tokens_end_the_listing() {
    let script = Scripted::directory(|request| {
        let token = query(request, "pageToken").unwrap_or_default();
        page(0..3, Some(&format!("{token}x")))
    })
    .await;
    let error = read_users(&script).await.unwrap_err();
    assert!(error.to_string().contains("page 2 repeats"), "{error}");
}

#[tokio::test]
async fn after_an_error_a_listing_does_not_pretend_to_have_ended() {
    let script = Scripted::directory_in_turn(vec![
        page(0..2, Some("t")),
        google_error(403, "global", "forbidden", "No."),
        page(2..4, None),
    ])
    .await;
    let mut listing = script.google().users(UserListing::Current);
    assert!(listing.next_page().await.unwrap().is_some());
    let error = listing.next_page().await.unwrap_err();
    assert_eq!(listing.next_page().await, Err(error));
}

#[tokio::test]
async fn a_lapsed_page_token_says_that_the_listing_has_to_start_again() {
    for code in [400, 410] {
        let (error, _) = failed_listing(vec![
            page(0..2, Some("t")),
            google_error(code, "global", "invalid", "Invalid Input: pageToken"),
        ])
        .await;
        assert_eq!(error.code(), "directory-listing-expired");
        assert!(matches!(
            error,
            DirectoryError::ListingExpired { page: 2, .. }
        ));
    }
    let (error, _) = failed_listing(vec![google_error(
        400,
        "global",
        "invalid",
        "Invalid Input",
    )])
    .await;
    assert_eq!(error.code(), "directory-rejected");
}

#[tokio::test]
async fn throttling_backs_off_exponentially_and_resumes_where_it_was() {
    let throttled = || google_error(403, "usageLimits", "userRateLimitExceeded", "Slow down.");
    let script = Scripted::directory_in_turn(vec![
        page(0..2, Some("t")),
        throttled(),
        google_error(403, "usageLimits", "quotaExceeded", "Slow down."),
        status(429, json!({})),
        throttled(),
        throttled(),
        page(2..4, None),
    ])
    .await;
    assert_eq!(read_users(&script).await, Ok(4));
    let waits = script.timer.waits();
    assert_eq!(waits.len(), 5);
    for (wait, seconds) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]) {
        let wait = wait.as_secs_f64();
        assert!(
            wait >= seconds && wait <= seconds * 1.25,
            "{wait} for {seconds}"
        );
    }
    assert_eq!(script.lines().await.len(), 7);
}

#[tokio::test]
async fn throttling_that_never_ends_ends_the_listing() {
    let (error, script) = failed_listing(vec![google_error(
        403,
        "usageLimits",
        "userRateLimitExceeded",
        "Slow down.",
    )])
    .await;
    assert_eq!(error.class(), DirectoryErrorClass::Throttled);
    assert_eq!(script.lines().await.len(), 8);
    let waited: Duration = script.timer.waits().iter().sum();
    assert!(
        waited >= Duration::from_secs(60),
        "longer than Google's minute: {waited:?}"
    );
}

#[tokio::test]
async fn a_wished_pause_is_kept_in_both_forms() {
    let date = (noon() + chrono::TimeDelta::seconds(40))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    for (value, seconds) in [("25", 25.0), (&*date, 40.0)] {
        let pause = status(429, json!({})).insert_header("retry-after", value);
        let script = Scripted::directory_in_turn(vec![pause, page(0..1, None)]).await;
        assert_eq!(read_users(&script).await, Ok(1));
        let wait = script.timer.waits()[0].as_secs_f64();
        assert!(wait >= seconds && wait < seconds + 1.0, "{value}: {wait}");
    }
}

#[tokio::test]
async fn outages_are_tried_again_and_a_page_that_keeps_failing_ends_the_listing() {
    let script = Scripted::directory_in_turn(vec![
        ResponseTemplate::new(503),
        web_page(502),
        ResponseTemplate::new(200).set_body_string("{\"users\": [{\"id\""),
        ResponseTemplate::new(408),
        page(0..1, None),
    ])
    .await;
    assert_eq!(read_users(&script).await, Ok(1));
    let (error, script) = failed_listing(vec![page(0..2, Some("t")), status(500, json!({}))]).await;
    assert_eq!(error.class(), DirectoryErrorClass::Unreachable);
    assert!(error.to_string().contains("people, page 2"), "{error}");
    assert_eq!(script.lines().await.len(), 1 + 6);
}

#[tokio::test]
async fn answers_that_are_not_the_api_are_called_so() {
    for answer in [
        web_page(200),
        web_page(404),
        status(404, json!({"error": {"code": 404, "message": "Not Found"}})),
        ResponseTemplate::new(302).insert_header("location", "https://elsewhere.example/"),
        ok(json!({"users": {"id": "1"}})),
        ok(json!({"users": [], "nextPageToken": 7})),
    ] {
        let (error, script) = failed_listing(vec![answer]).await;
        assert_eq!(error.class(), DirectoryErrorClass::Protocol, "{error}");
        assert_eq!(script.lines().await.len(), 1, "{error}");
    }
}

#[tokio::test]
async fn one_person_is_found_deleted_or_not_found() {
    let script = Scripted::directory_in_turn(vec![
        ok(json!({"id": "7"})),
        google_error(412, "global", "conditionNotMet", "User is deleted."),
        google_error(404, "global", "notFound", "Resource Not Found: userKey"),
        google_error(403, "global", "forbidden", "No."),
    ])
    .await;
    let google = script.google();
    let person = PersonId::new("7");
    assert_eq!(
        google.user(&person).await,
        Ok(PersonLookup::Found(json!({"id": "7"})))
    );
    assert_eq!(google.user(&person).await, Ok(PersonLookup::Deleted));
    assert_eq!(google.user(&person).await, Ok(PersonLookup::NotFound));
    assert!(google.user(&person).await.is_err());
    assert_eq!(
        script.lines().await[0],
        "GET /admin/directory/v1/users/7?projection=full"
    );
}

#[tokio::test]
async fn a_group_that_is_gone_is_not_an_empty_group() {
    let gone = || google_error(404, "global", "notFound", "Resource Not Found: groupKey");
    let script = Scripted::directory_in_turn(vec![ok(json!({"id": "g"})), gone(), gone()]).await;
    let google = script.google();
    let group = GroupId::new("g");
    assert_eq!(
        google.group(&group).await,
        Ok(GroupLookup::Found(json!({"id": "g"})))
    );
    assert_eq!(google.group(&group).await, Ok(GroupLookup::NotFound));
    let error = google.members(&group).next_page().await.unwrap_err();
    assert_eq!(error.class(), DirectoryErrorClass::NotFound);
    assert_eq!(
        error.to_string(),
        "The directory has no members of group g."
    );
}

#[tokio::test]
async fn members_of_every_kind_are_handed_on_as_they_are() {
    let members = json!([
        {"id": "1", "type": "USER", "status": "ACTIVE", "role": "MEMBER"},
        {"id": "2", "type": "GROUP"},
        {"email": "x@elsewhere.example", "type": "EXTERNAL"},
        {"type": "CUSTOMER", "id": "C1"}]);
    let script = Scripted::directory_in_turn(vec![ok(json!({"members": members}))]).await;
    let all = script
        .google()
        .members(&GroupId::new("g"))
        .all()
        .await
        .unwrap();
    assert_eq!(json!(all), members);
}

#[tokio::test]
async fn no_secret_shows_in_errors_or_in_debug() {
    let echo = status(
        400,
        json!({"error": {"code": 400, "message": "token ya29.secret is odd"}}),
    );
    let script = Scripted::directory_in_turn(vec![echo]).await;
    let google = script.google();
    let error = google.customer().await.unwrap_err();
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{google:?}"),
    ] {
        assert!(
            !text.contains("ya29") && !text.contains("PRIVATE"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn empty_pages_that_always_promise_another_end_the_listing_soon() {
    let script = Scripted::directory(|request| {
        let token = query(request, "pageToken").unwrap_or_default();
        ok(json!({"users": [], "nextPageToken": format!("{token}x")}))
    })
    .await;
    let error = read_users(&script).await.unwrap_err();
    assert_eq!(error.code(), "directory-listing-incomplete");
    assert!(
        error.to_string().contains("20 pages in a row are empty"),
        "{error}"
    );
    assert_eq!(script.lines().await.len(), 20);
}

#[tokio::test]
async fn a_page_that_is_empty_before_the_last_is_borne() {
    let script = Scripted::directory_in_turn(vec![
        page(0..2, Some("one")),
        page(0..0, Some("two")),
        page(2..4, None),
    ])
    .await;
    assert_eq!(read_users(&script).await, Ok(4));
}
