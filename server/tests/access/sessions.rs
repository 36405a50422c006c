//! Sessions as their owners see them: listed, ended one by one or all together.

use app::api::account::MyAccount;
use app::api::{ErrorCode, FieldCode};
use chrono::TimeDelta;
use sqlx::PgPool;

use super::house::{Browser, House, PASSWORD_TYPED, now_of};

async fn account(browser: &Browser<'_>) -> MyAccount {
    serde_json::from_str(&browser.post("/api/my_account", "").await.body).unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn sessions_are_listed_with_what_their_owner_knows_them_by(pool: PgPool) {
    let house = House::new(pool);
    let (_, otto) = house.auditor("otto@example.com").await;
    house.wait(TimeDelta::minutes(5));
    let mut phone = house.browser();
    phone.address = "[2001:db8::7]:1234".parse().unwrap();
    phone.sign_in("otto@example.com").await.succeeded();
    let sessions = account(&otto).await.sessions;
    assert_eq!(sessions.len(), 2);
    let mine = sessions.iter().find(|one| one.this_one).unwrap();
    let other = sessions.iter().find(|one| !one.this_one).unwrap();
    assert_eq!(mine.address.as_deref(), Some("192.0.2.1"));
    assert_eq!(other.address.as_deref(), Some("2001:db8::7"));
    assert_eq!(mine.browser, "Firefox on Linux");
    assert_eq!(other.began_at - mine.began_at, TimeDelta::minutes(5));
    let cookie = otto.cookie().unwrap();
    let value = cookie.split_once('=').unwrap().1.to_owned();
    let page = otto.get("/account").await.body;
    assert!(page.contains("2001:db8::7") && page.contains("This one"));
    assert!(!page.contains(&value), "what opens a session is on no page");
}

#[sqlx::test(migrations = "./migrations")]
async fn one_session_or_all_others_can_be_ended_and_nobody_elses(pool: PgPool) {
    let house = House::new(pool);
    let (_, otto) = house.auditor("otto@example.com").await;
    let (_, eve) = house.auditor("eve@example.com").await;
    let (phone, tablet) = (house.browser(), house.browser());
    for one in [&phone, &tablet] {
        one.sign_in("otto@example.com").await.succeeded();
    }
    let handle_of_phone = account(&phone).await.sessions;
    let handle = handle_of_phone
        .iter()
        .find(|one| one.this_one)
        .unwrap()
        .handle
        .clone();
    let form = format!("session={handle}");
    let foreign = eve.post("/api/revoke_session", &form).await;
    assert_eq!(foreign.code(), ErrorCode::NotFound);
    assert!(phone.is_in().await);
    otto.post("/api/revoke_session", &form).await.succeeded();
    assert!(!phone.is_in().await && tablet.is_in().await);
    otto.post("/api/revoke_session", "").await.succeeded();
    assert!(!tablet.is_in().await && otto.is_in().await && eve.is_in().await);
    assert_eq!(house.told("Session revoked").await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_password_needs_the_old_one_and_ends_other_sessions(pool: PgPool) {
    let house = House::new(pool);
    let (_, otto) = house.auditor("otto@example.com").await;
    let phone = house.browser();
    phone.sign_in("otto@example.com").await.succeeded();
    let change =
        |current: &str, new: &str| format!("current={current}&password={new}&repeated={new}");
    let wrong = otto
        .post(
            "/api/change_password",
            &change("wrong", "another+good+phrase"),
        )
        .await;
    assert_eq!(wrong.error().fields[0].code, FieldCode::PasswordWrong);
    let weak = otto
        .post("/api/change_password", &change(PASSWORD_TYPED, "short"))
        .await;
    assert_eq!(weak.error().fields[0].code, FieldCode::TooShort);
    assert!(phone.is_in().await, "nothing was changed");
    let cookie = otto.cookie();
    let right = change(PASSWORD_TYPED, "another+good+phrase");
    otto.post("/api/change_password", &right).await.succeeded();
    assert!(otto.is_in().await && !phone.is_in().await);
    otto.set_cookie(cookie);
    assert!(!otto.is_in().await, "the session has a fresh id");
    let old = house.browser().sign_in("otto@example.com").await;
    assert_eq!(old.code(), ErrorCode::WrongCredentials);
}

#[sqlx::test(migrations = "./migrations")]
async fn shorter_times_hold_at_once_and_for_everybody(pool: PgPool) {
    let house = House::new(pool);
    let (_, otto) = house.auditor("otto@example.com").await;
    let (_, ada) = house.super_administrator("ada@example.com").await;
    for (form, field) in [
        ("idle_minutes=4&longest_hours=12", "idle_minutes"),
        ("idle_minutes=1441&longest_hours=12", "idle_minutes"),
        ("idle_minutes=30&longest_hours=0", "longest_hours"),
        ("idle_minutes=30&longest_hours=721", "longest_hours"),
        ("idle_minutes=30&longest_hours=soon", "longest_hours"),
    ] {
        let wrong = ada.post("/api/save_session_limits", form).await.error();
        assert_eq!(wrong.fields.len(), 1, "{form}");
        assert_eq!(wrong.fields[0].field, field, "{form}");
        assert_eq!(wrong.fields[0].code, FieldCode::OutOfRange, "{form}");
    }
    let form = "idle_minutes=30&longest_hours=2";
    let refused = otto.post("/api/save_session_limits", form).await;
    assert_eq!(refused.code(), ErrorCode::Forbidden);
    ada.post("/api/save_session_limits", form).await.succeeded();
    assert_eq!(house.told("Settings changed").await, 1);
    let page = otto.get("/settings/sessions").await.body;
    assert!(page.contains("after 30 minutes without use, after 2 hours in any case"));

    let ends = account(&otto).await.sessions[0].ends_at;
    assert_eq!(ends - now_of(&house), TimeDelta::hours(2));
    for _ in 0..4 {
        house.wait(TimeDelta::minutes(29));
        assert!(otto.is_in().await, "it is in use");
    }
    assert!(!ada.is_in().await, "nobody used it for half an hour");
    house.wait(TimeDelta::minutes(4));
    assert!(!otto.is_in().await, "two hours are over");

    let next = house.browser();
    next.sign_in("otto@example.com").await.succeeded();
    house.wait(TimeDelta::minutes(31));
    assert!(!next.is_in().await);
}

#[sqlx::test(migrations = "./migrations")]
async fn longer_times_hold_for_whoever_signs_in_afterwards(pool: PgPool) {
    let house = House::new(pool);
    let (_, otto) = house.auditor("otto@example.com").await;
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let before = account(&otto).await.sessions[0].ends_at;
    let form = "idle_minutes=1440&longest_hours=720";
    ada.post("/api/save_session_limits", form).await.succeeded();
    assert_eq!(account(&otto).await.sessions[0].ends_at, before);
    let next = house.browser();
    next.sign_in("otto@example.com").await.succeeded();
    house.wait(TimeDelta::hours(23));
    assert!(next.is_in().await && otto.is_in().await);
    let sessions = account(&next).await.sessions;
    let mine = sessions.iter().find(|one| one.this_one).unwrap();
    assert_eq!(mine.ends_at - mine.began_at, TimeDelta::days(30));
}
