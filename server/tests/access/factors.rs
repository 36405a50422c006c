//! The second factor: setting up, using, losing and renewing it.

use app::api::{ErrorCode, FieldCode};
use axum::http::StatusCode;
use chrono::TimeDelta;
use server::services::one_time_links as links;
use server::store::administrators::Role;
use server::store::one_time_links::Purpose;
use sqlx::PgPool;

use super::house::{House, now_of};

/// The codes on the page that shows them once.
fn codes_of(page: &str) -> Vec<String> {
    let parts = page.split("<code class=\"secret\">").skip(1);
    parts
        .map(|part| part.split('<').next().unwrap().to_owned())
        .collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_super_administrator_sets_up_an_app_before_anything_else(pool: PgPool) {
    let house = House::new(pool);
    let id = house.add("ada@example.com", Role::SuperAdministrator).await;
    let ada = house.browser();
    assert_eq!(
        ada.sign_in("ada@example.com").await.location,
        "/second-factor"
    );
    let page = ada.get("/second-factor").await.body;
    assert!(page.contains("class=\"qr\"") && page.contains("<path d=\"M4 4h1v1h-1z"));
    assert!(ada.get("/").await.location.starts_with("/second-factor"));
    let before = ada.cookie();
    let wrong = ada.post("/api/finish_enrolment", "code=000000").await;
    assert_eq!(wrong.error().fields[0].code, FieldCode::CodeWrong);
    let done = ada.enrol(id).await;
    assert_eq!(done.location, "/shown-once");
    assert_ne!(ada.cookie(), before, "a step on has a fresh session id");
    assert!(ada.is_in().await);
    ada.set_cookie(before);
    assert!(!ada.is_in().await, "and the one before is worthless");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_code_signs_in_once_and_a_wrong_one_never(pool: PgPool) {
    let house = House::new(pool);
    let (id, _) = house.super_administrator("ada@example.com").await;
    // The code that confirmed the app is used up already.
    let used = house.code(id).await;
    let ada = house.browser();
    assert_eq!(
        ada.sign_in("ada@example.com").await.location,
        "/sign-in/code"
    );
    let replayed = ada.post("/api/sign_in_code", &format!("code={used}")).await;
    assert_eq!(replayed.code(), ErrorCode::WrongCode);
    house.wait(TimeDelta::seconds(30));
    let code = house.code(id).await;
    // As people type it.
    let typed = format!("code={}+{}&next=/audit", &code[..3], &code[3..]);
    let right = ada.post("/api/sign_in_code", &typed).await;
    assert_eq!(right.location, "/audit");
    assert!(ada.is_in().await);

    let thief = house.browser();
    thief.sign_in("ada@example.com").await.succeeded();
    let again = thief
        .post("/api/sign_in_code", &format!("code={code}"))
        .await;
    assert_eq!(again.code(), ErrorCode::WrongCode, "seen over a shoulder");
    // The code of the half minute before is right for a slow hand, but it is older than the last.
    let older = thief
        .post("/api/sign_in_code", &format!("code={used}"))
        .await;
    assert_eq!(older.code(), ErrorCode::WrongCode);
    assert_eq!(house.told("Failed sign in").await, 3);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_right_password_does_not_reset_the_delay_on_wrong_codes(pool: PgPool) {
    let house = House::new(pool);
    house.super_administrator("ada@example.com").await;
    let thief = house.browser();
    for _ in 0..4 {
        thief.set_cookie(None);
        assert_eq!(
            thief.sign_in("ada@example.com").await.location,
            "/sign-in/code"
        );
        let wrong = thief.post("/api/sign_in_code", "code=000000").await;
        assert_eq!(wrong.code(), ErrorCode::WrongCode);
    }
    let early = thief.post("/api/sign_in_code", "code=000000").await;
    assert_eq!(early.code(), ErrorCode::TooManyAttempts);
    assert_eq!(early.status, StatusCode::TOO_MANY_REQUESTS);
    let password = thief.sign_in("ada@example.com").await;
    assert_eq!(password.code(), ErrorCode::TooManyAttempts);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_second_factor_has_to_follow_the_password_within_ten_minutes(pool: PgPool) {
    let house = House::new(pool);
    let (id, _) = house.super_administrator("ada@example.com").await;
    let ada = house.browser();
    ada.sign_in("ada@example.com").await.succeeded();
    house.wait(TimeDelta::minutes(10));
    let code = house.code(id).await;
    let late = ada.post("/api/sign_in_code", &format!("code={code}")).await;
    assert_eq!(late.code(), ErrorCode::Unauthenticated);
}

#[sqlx::test(migrations = "./migrations")]
async fn recovery_codes_are_shown_once_and_each_signs_in_once(pool: PgPool) {
    let house = House::new(pool.clone());
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let codes = codes_of(&ada.get("/shown-once").await.body);
    assert_eq!(codes.len(), 10);
    let dump: String = sqlx::query_scalar(
        "SELECT concat((SELECT string_agg(c::text, ' ') FROM credentials c),
                       (SELECT string_agg(s::text, ' ') FROM sessions s),
                       (SELECT string_agg(r::text, ' ') FROM recovery_codes r),
                       (SELECT string_agg(e::text, ' ') FROM events e))",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    for code in &codes {
        let bare = code.replace('-', "");
        assert!(!dump.contains(code.as_str()) && !dump.contains(&bare));
    }
    ada.post("/api/put_away", "next=/account").await.succeeded();
    assert!(codes_of(&ada.get("/shown-once").await.body).is_empty());

    let lost = house.browser();
    lost.sign_in("ada@example.com").await.succeeded();
    let form = format!("code={}", codes[3].to_uppercase());
    lost.post("/api/sign_in_code", &form).await.succeeded();
    assert!(lost.is_in().await);
    assert!(
        lost.get("/account").await.body.contains(">9<"),
        "9 are left"
    );
    let again = house.browser();
    again.sign_in("ada@example.com").await.succeeded();
    let refused = again.post("/api/sign_in_code", &form).await;
    assert_eq!(refused.code(), ErrorCode::WrongCode);

    lost.post("/api/renew_recovery_codes", "").await.succeeded();
    let renewed = codes_of(&lost.get("/shown-once").await.body);
    assert!(renewed.len() == 10 && !renewed.contains(&codes[0]));
    let old = again
        .post("/api/sign_in_code", &format!("code={}", codes[0]))
        .await;
    assert_eq!(
        old.code(),
        ErrorCode::WrongCode,
        "the old ones are worthless"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_shown_once_is_gone_after_ten_minutes(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    house.wait(TimeDelta::minutes(10));
    assert!(codes_of(&ada.get("/shown-once").await.body).is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn another_app_replaces_the_first_and_ends_other_sessions(pool: PgPool) {
    let house = House::new(pool);
    let (id, ada) = house.super_administrator("ada@example.com").await;
    let elsewhere = house.browser();
    house.wait(TimeDelta::seconds(30));
    elsewhere.sign_in("ada@example.com").await.succeeded();
    let code = house.code(id).await;
    elsewhere
        .post("/api/sign_in_code", &format!("code={code}"))
        .await
        .succeeded();
    house.wait(TimeDelta::seconds(30));
    let old = house.code(id).await;
    ada.post("/api/begin_enrolment", "").await.succeeded();
    assert_eq!(house.code(id).await, old, "the first one works until then");
    ada.enrol(id).await.succeeded();
    assert_ne!(house.code(id).await, old);
    assert!(ada.is_in().await && !elsewhere.is_in().await);
    let off = ada.post("/api/remove_second_factor", "").await;
    assert_eq!(off.code(), ErrorCode::SecondFactorNeeded);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_may_have_a_second_factor_and_go_without(pool: PgPool) {
    let house = House::new(pool);
    let (id, otto) = house.auditor("otto@example.com").await;
    otto.post("/api/begin_enrolment", "").await.succeeded();
    otto.enrol(id).await.succeeded();
    let next = house.browser();
    assert_eq!(
        next.sign_in("otto@example.com").await.location,
        "/sign-in/code"
    );
    otto.post("/api/remove_second_factor", "").await.succeeded();
    assert_eq!(next.sign_in("otto@example.com").await.location, "/");
    assert_eq!(house.told("Second factor changed").await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_password_by_link_keeps_the_second_factor_unless_the_shell_made_it(pool: PgPool) {
    let house = House::new(pool.clone());
    let (id, ada) = house.super_administrator("ada@example.com").await;
    for (purpose, next) in [
        (Purpose::ResetPassword(id), "/sign-in/code"),
        (Purpose::ResetAccess(id), "/second-factor"),
    ] {
        let mut db = pool.acquire().await.unwrap();
        let link = links::issue(&mut db, purpose, now_of(&house), "http://h").await;
        drop(db);
        let token = link.unwrap().split_once("token=").unwrap().1.to_owned();
        let browser = house.browser();
        let phrase = "another+good+phrase";
        let form = format!("token={token}&email=&password={phrase}&repeated={phrase}");
        let answer = browser.post("/api/redeem_link", &form).await;
        assert_eq!(answer.location, next, "{purpose:?}");
        assert!(!browser.is_in().await && !ada.is_in().await);
    }
}
