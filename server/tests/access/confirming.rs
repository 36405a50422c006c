//! Proving once more who somebody is, before what does harm (S13).

use app::api::{ErrorCode, FieldCode};
use axum::http::StatusCode;
use chrono::TimeDelta;
use sqlx::PgPool;

use super::house::{House, PASSWORD_TYPED};

const HARM: (&str, &str) = ("/api/turn_on", "slug=none");

#[sqlx::test(migrations = "./migrations")]
async fn a_confirmation_by_code_or_password_holds_for_ten_minutes_in_its_session(pool: PgPool) {
    let house = House::new(pool);
    let (id, ada) = house.super_administrator("ada@example.com").await;
    house.wait(TimeDelta::minutes(11));
    let (path, form) = HARM;
    assert_eq!(ada.post(path, form).await.code(), ErrorCode::ConfirmFirst);
    let other = house.browser();
    other.sign_in("ada@example.com").await.succeeded();
    let code = house.code(id).await;
    other
        .post("/api/sign_in_code", &format!("code={code}"))
        .await
        .succeeded();
    assert_eq!(
        ada.post(path, form).await.code(),
        ErrorCode::ConfirmFirst,
        "another session's confirmation is not this one's"
    );
    house.wait(TimeDelta::seconds(30));
    let code = house.code(id).await;
    for proof in [format!("code={code}"), format!("password={PASSWORD_TYPED}")] {
        let before = ada.cookie();
        let done = ada
            .post("/api/confirm_identity", &format!("{proof}&next=/audit"))
            .await;
        assert_eq!(done.location, "/audit");
        assert_ne!(ada.cookie(), before, "with a fresh session id");
        assert_eq!(ada.post(path, form).await.code(), ErrorCode::NotFound);
        house.wait(TimeDelta::minutes(10));
        assert_eq!(ada.post(path, form).await.code(), ErrorCode::ConfirmFirst);
    }
    assert_eq!(house.told("Identity confirmed").await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_wrong_confirmation_confirms_nothing_and_is_delayed(pool: PgPool) {
    let house = House::new(pool);
    let (id, ada) = house.super_administrator("ada@example.com").await;
    let used = house.code(id).await;
    house.wait(TimeDelta::minutes(11));
    for (form, field, code) in [
        (
            "password=wrong".to_owned(),
            "password",
            FieldCode::PasswordWrong,
        ),
        ("code=000000".to_owned(), "code", FieldCode::CodeWrong),
        (format!("code={used}"), "code", FieldCode::CodeWrong),
        (
            "password=wrong".to_owned(),
            "password",
            FieldCode::PasswordWrong,
        ),
    ] {
        let error = ada.post("/api/confirm_identity", &form).await.error();
        assert_eq!(
            (error.fields[0].field.as_str(), error.fields[0].code),
            (field, code)
        );
    }
    let (path, form) = HARM;
    assert_eq!(ada.post(path, form).await.code(), ErrorCode::ConfirmFirst);
    let right = format!("password={PASSWORD_TYPED}");
    let early = ada.post("/api/confirm_identity", &right).await;
    assert_eq!(early.code(), ErrorCode::TooManyAttempts);
    house.wait(TimeDelta::seconds(1));
    ada.post("/api/confirm_identity", &right).await.succeeded();
}

#[sqlx::test(migrations = "./migrations")]
async fn confirming_again_and_again_does_not_make_a_session_live_longer(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let confirm = format!("password={PASSWORD_TYPED}");
    for _ in 0..23 {
        house.wait(TimeDelta::hours(7));
        ada.post("/api/confirm_identity", &confirm)
            .await
            .succeeded();
    }
    house.wait(TimeDelta::hours(7));
    assert!(!ada.is_in().await, "a week is over");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_form_without_scripts_is_led_to_the_question_and_back_with_nothing_secret(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    house.wait(TimeDelta::minutes(11));
    let from = "/apps/asana/autoprovisioning/authorize?demo=1&__path=%2Fapi%2Fx&__err=abc";
    let form = "slug=asana&token=a-very-secret-token&live=true";
    let asked = ada.submit(from, "/api/save_authorize", form).await;
    assert_eq!(asked.status, StatusCode::FOUND);
    assert_eq!(
        asked.location,
        "/confirm-identity?next=%2Fapps%2Fasana%2Fautoprovisioning%2Fauthorize%3Fdemo%3D1"
    );
    let page = ada.get(&asked.location).await.body;
    assert!(page.contains("action=\"/api/confirm_identity\"") && page.contains("name=\"code\""));
    let form = format!("code=&password={PASSWORD_TYPED}&next=/apps/asana");
    let back = ada
        .submit(&asked.location, "/api/confirm_identity", &form)
        .await;
    assert_eq!(back.location, "/apps/asana");
    let elsewhere = format!("password={PASSWORD_TYPED}&next=//evil.example/");
    let stays = ada
        .submit("/confirm-identity", "/api/confirm_identity", &elsewhere)
        .await;
    assert_eq!(stays.location, "/");
}

#[sqlx::test(migrations = "./migrations")]
async fn pages_ask_before_they_show_a_form_whose_content_could_be_lost(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let (form, question) = (
        "action=\"/api/save_connection\"",
        "First confirm that it is you",
    );
    let fresh = ada.get("/directory/connection").await.body;
    assert!(fresh.contains(form) && !fresh.contains(question));
    house.wait(TimeDelta::minutes(11));
    let stale = ada.get("/directory/connection").await.body;
    assert!(!stale.contains(form) && stale.contains(question));
    assert!(
        stale.contains("value=\"/directory/connection\""),
        "and leads back"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_channel_falls_silent_only_by_whoever_just_confirmed(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let form = "name=Hook&url=https://hooks.example.com/rollcall";
    let page = ada.post("/api/save_webhook_channel", form).await.location;
    assert!(page.starts_with("/settings/notifications/"), "{page}");
    let confirm = "href=\"/confirm-identity?next=";
    let forms = [
        (page.clone(), "value=\"turn-off\""),
        (format!("{page}/delete"), "value=\"delete\""),
    ];
    for (page, form) in &forms {
        let fresh = ada.get(page).await.body;
        assert!(fresh.contains(form) && !fresh.contains(confirm), "{page}");
    }
    house.wait(TimeDelta::minutes(11));
    for (page, form) in &forms {
        let stale = ada.get(page).await.body;
        assert!(!stale.contains(form), "{page}");
        assert_eq!(stale.matches(confirm).count(), 1, "{page}: asked once");
    }
    let id = page.trim_start_matches("/settings/notifications/");
    for change in ["turn-off", "delete"] {
        let form = format!("id={id}&change={change}");
        let refused = ada.post("/api/change_channel", &form).await;
        assert_eq!(refused.code(), ErrorCode::ConfirmFirst);
    }
    let stays = ada.get("/settings/notifications").await.body;
    assert!(stays.contains("hooks.example.com"));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_setting_that_needs_a_confirmation_is_shown_and_can_t_be_filled_in_before(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let pages = [
        (
            "/settings/retention",
            "/api/save_retention",
            "name=\"days\"",
        ),
        (
            "/settings/sessions",
            "/api/save_session_limits",
            "name=\"idle_minutes\"",
        ),
        (
            "/settings/notifications/email",
            "/api/save_email_channel",
            "name=\"recipients\"",
        ),
        (
            "/settings/notifications/webhook",
            "/api/save_webhook_channel",
            "name=\"url\"",
        ),
    ];
    let locked = "<fieldset disabled class=\"locked\">";
    for (page, action, field) in pages {
        let fresh = ada.get(page).await.body;
        assert!(fresh.contains(action) && fresh.contains(field), "{page}");
        assert!(!fresh.contains(locked), "{page}");
    }
    house.wait(TimeDelta::minutes(11));
    for (page, action, field) in pages {
        let stale = ada.get(page).await.body;
        assert!(!stale.contains(action), "{page}");
        let (_, form) = stale
            .split_once(locked)
            .unwrap_or_else(|| panic!("{page}: {stale}"));
        assert!(form.contains(field), "{page}");
        assert_eq!(
            stale.matches("href=\"/confirm-identity?next=").count(),
            1,
            "{page}"
        );
    }
}
