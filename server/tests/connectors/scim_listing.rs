use serde_json::{Value, json};
use server::connectors::scim::Trust;
use server::connectors::{ScimApp, ScimError, ScimErrorClass};
use wiremock::{Request, ResponseTemplate};

use crate::script::*;

fn accounts(range: std::ops::Range<usize>) -> Vec<Value> {
    range
        .map(|n| account(&n.to_string(), &format!("p{n}@example.com")))
        .collect()
}

fn number(request: &Request, name: &str) -> Option<usize> {
    query(request, name).map(|value| value.parse().unwrap())
}

/// A server of `total` accounts that gives at most `cap` at a time.
fn paged(total: usize, cap: usize) -> impl Fn(&Request) -> ResponseTemplate + Send + Sync {
    move |request| {
        let start = number(request, "startIndex").unwrap_or(1) - 1;
        let count = number(request, "count").unwrap_or(cap).min(cap);
        ok(list(
            total,
            &accounts(start.min(total)..(start + count).min(total)),
        ))
    }
}

async fn read(app: &ScimApp) -> Result<(usize, Trust), ScimError> {
    let mut listing = app.accounts();
    let mut count = 0;
    while let Some(page) = listing.next_page().await? {
        count += page.len();
    }
    assert_eq!(listing.next_page().await, Ok(None));
    Ok((count, listing.trust()))
}

fn why(trust: Trust) -> String {
    match trust {
        Trust::Trusted => "trusted".to_owned(),
        Trust::Untrusted { why } => why,
    }
}

#[tokio::test]
async fn pages_are_counted_by_what_came_and_not_by_what_was_asked() {
    let script = Scripted::answering(paged(250, 100)).await;
    assert_eq!(read(&script.app()).await, Ok((250, Trust::Trusted)));
    let base = "GET /scim/v2/Users?startIndex";
    assert_eq!(
        script.lines().await,
        [
            format!("{base}=1&count=1000"),
            format!("{base}=101&count=1000"),
            format!("{base}=201&count=1000"),
        ]
    );
}

#[tokio::test]
async fn an_app_without_accounts_is_read_with_one_request() {
    for empty in [json!({"totalResults": 0}), list(0, &[])] {
        let script = Scripted::in_turn(vec![ok(empty)]).await;
        assert_eq!(read(&script.app()).await, Ok((0, Trust::Trusted)));
        assert_eq!(script.lines().await.len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_ignores_paging_with_a_true_total_is_trusted() {
    let script = Scripted::answering(|_| ok(list(137, &accounts(0..137)))).await;
    assert_eq!(read(&script.app()).await, Ok((137, Trust::Trusted)));
    assert_eq!(script.lines().await.len(), 1);
}

#[tokio::test]
async fn a_total_that_is_only_the_size_of_the_page_is_found_out() {
    let script = Scripted::answering(|request| {
        let start = number(request, "startIndex").unwrap_or(1) - 1;
        let page = accounts(start.min(130)..(start + 50).min(130));
        ok(list(page.len(), &page))
    })
    .await;
    let (count, trust) = read(&script.app()).await.unwrap();
    assert_eq!(count, 130);
    assert!(why(trust).contains("more accounts than it says"));
}

#[tokio::test]
async fn a_full_page_that_is_all_there_is_costs_one_more_request_and_is_trusted() {
    for past_the_end in [
        ok(list(100, &[])),
        ok(list(100, &accounts(0..100))),
        scim_error(400, None, "startIndex"),
        scim_error(404, None, "none"),
    ] {
        let all = ok(list(100, &accounts(0..100)));
        let script = Scripted::in_turn(vec![all, past_the_end]).await;
        assert_eq!(read(&script.app()).await, Ok((100, Trust::Trusted)));
        assert_eq!(script.lines().await.len(), 2);
    }
}

#[tokio::test]
async fn the_first_page_again_and_again_is_not_the_whole() {
    let script = Scripted::answering(|_| ok(list(500, &accounts(0..100)))).await;
    let (count, trust) = read(&script.app()).await.unwrap();
    assert_eq!(count, 100);
    assert_eq!(why(trust), "it ended after 100 of 500 accounts");
    assert_eq!(script.lines().await.len(), 2);
}

#[tokio::test]
async fn the_first_account_is_found_where_an_app_counts_from_zero() {
    let script = Scripted::answering(|request| {
        let start = number(request, "startIndex").unwrap_or(0);
        let end = (start + 3).min(7);
        ok(list(7, &accounts(start.min(7)..end)))
    })
    .await;
    assert_eq!(read(&script.app()).await.unwrap(), (7, Trust::Trusted));
}

#[tokio::test]
async fn an_empty_page_before_the_total_is_not_the_whole() {
    let script = Scripted::in_turn(vec![ok(list(20, &accounts(0..7))), ok(list(20, &[]))]).await;
    let (count, trust) = read(&script.app()).await.unwrap();
    assert_eq!(
        (count, why(trust)),
        (7, "it ended after 7 of 20 accounts".to_owned())
    );
}

#[tokio::test]
async fn without_a_total_only_an_empty_page_ends_the_listing_in_trust() {
    let untold = |range: std::ops::Range<usize>| ok(json!({"Resources": accounts(range)}));
    let script = Scripted::in_turn(vec![untold(0..3), untold(3..5), untold(0..0)]).await;
    assert_eq!(read(&script.app()).await, Ok((5, Trust::Trusted)));
    let script = Scripted::in_turn(vec![untold(0..3)]).await;
    let (count, trust) = read(&script.app()).await.unwrap();
    assert_eq!(count, 3);
    assert!(why(trust).contains("repeats the first page"));
}

#[tokio::test]
async fn accounts_that_move_between_pages_cast_doubt() {
    let overlap = Scripted::in_turn(vec![
        ok(list(5, &accounts(0..3))),
        ok(list(5, &accounts(2..5))),
    ])
    .await;
    let (count, trust) = read(&overlap.app()).await.unwrap();
    assert_eq!(
        (count, why(trust)),
        (5, "accounts were repeated on a later page".to_owned())
    );
    let shrinking = Scripted::in_turn(vec![
        ok(list(5, &accounts(0..3))),
        ok(list(4, &accounts(4..5))),
    ])
    .await;
    let (_, trust) = read(&shrinking.app()).await.unwrap();
    assert_eq!(
        why(trust),
        "the number of accounts changed from 5 to 4 meanwhile"
    );
}

#[tokio::test]
async fn an_account_without_an_id_casts_doubt_and_the_rest_is_read() {
    let script = Scripted::in_turn(vec![ok(list(
        2,
        &[json!({"userName": "x"}), account("1", "a")],
    ))])
    .await;
    let (count, trust) = read(&script.app()).await.unwrap();
    assert_eq!(count, 1);
    assert!(why(trust).contains("without an id"));
}

#[tokio::test]
async fn the_largest_page_that_works_is_found_and_remembered_for_a_week() {
    let picky = |request: &Request| match number(request, "count") {
        Some(count) if count > 200 => scim_error(400, None, "count is too large"),
        _ => paged(150, 100)(request),
    };
    let script = Scripted::answering(picky).await;
    let app = script.app();
    assert_eq!(read(&app).await, Ok((150, Trust::Trusted)));
    assert_eq!(app.learned().page_size, Some(100));
    let again = script.app_with(|settings| settings.learned = app.learned());
    read(&again).await.unwrap();
    let large = async || {
        let lines = script.lines().await;
        (lines.iter().filter(|line| line.ends_with("count=1000"))).count()
    };
    assert_eq!(large().await, 1);
    let later = script.app_with(|settings| {
        settings.learned = app.learned();
        settings.learned.page_size_at = Some(noon() - chrono::TimeDelta::days(7));
    });
    read(&later).await.unwrap();
    assert_eq!(large().await, 2, "apps are mended, too");
}

#[tokio::test]
async fn a_server_that_bears_no_count_is_asked_without() {
    let script = Scripted::answering(|request| match number(request, "count") {
        Some(_) => ResponseTemplate::new(500),
        None => paged(30, 20)(request),
    })
    .await;
    let app = script.app();
    assert_eq!(read(&app).await, Ok((30, Trust::Trusted)));
    assert_eq!(app.learned().page_size, Some(0));
    let lines = script.lines().await;
    assert_eq!(lines[2], "GET /scim/v2/Users");
    assert_eq!(
        lines[3], "GET /scim/v2/Users?startIndex=1&count=100",
        "to be sure"
    );
    assert_eq!(lines[4..], ["GET /scim/v2/Users?startIndex=21"]);
}

#[tokio::test]
async fn a_server_error_that_passes_says_nothing_about_the_size_of_pages() {
    let failures = std::sync::atomic::AtomicU32::new(0);
    let script = Scripted::answering(move |request| {
        match failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 => ResponseTemplate::new(500),
            _ => paged(150, 1000)(request),
        }
    })
    .await;
    let app = script.app();
    assert_eq!(read(&app).await, Ok((150, Trust::Trusted)));
    assert_eq!(app.learned().page_size, None);
}

#[tokio::test]
async fn a_later_page_that_fails_leaves_an_untrusted_listing() {
    let script = Scripted::in_turn(vec![
        ok(list(5, &accounts(0..3))),
        scim_error(400, None, "Your result is too large"),
    ])
    .await;
    let (count, trust) = read(&script.app()).await.unwrap();
    assert_eq!(count, 3);
    assert!(why(trust).contains("page 2 could not be read"));
}

#[tokio::test]
async fn a_refused_token_ends_a_listing_with_an_error() {
    let script = Scripted::in_turn(vec![
        ok(list(5, &accounts(0..3))),
        scim_error(401, None, "expired"),
    ])
    .await;
    let error = read(&script.app()).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Authorization);
}

#[tokio::test]
async fn a_listing_that_was_not_read_to_its_end_is_not_trusted() {
    let script = Scripted::answering(paged(250, 100)).await;
    let mut listing = script.app().accounts();
    listing.next_page().await.unwrap();
    assert_ne!(listing.trust(), Trust::Trusted);
}
