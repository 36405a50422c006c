//! Passkeys: adding, using, and everything that proves nothing.

use app::api::ErrorCode;
use chrono::TimeDelta;
use server::store::administrators::Role;
use server::store::passkeys;
use sqlx::PgPool;
use uuid::Uuid;

use super::authenticator::Key;
use super::house::{Answer, Browser, House};

pub const ORIGIN: &str = "https://rollcall.example.com";
pub const SITE: &str = "rollcall.example.com";
pub const ADA: &str = "ada@example.com";

/// What makes a passkey another one than it should be.
type Forge = fn(&mut Key);

pub fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub async fn asks(browser: &Browser<'_>, function: &str) -> String {
    let answer = browser.post(function, "").await;
    answer.succeeded();
    serde_json::from_str(&answer.body).unwrap()
}

pub async fn add(browser: &Browser<'_>, key: &Key, name: &str) -> Answer {
    let asked = asks(browser, "/api/begin_passkey").await;
    let made = encoded(&key.made(&asked));
    let form = format!("passkey={made}&name={name}&next=/account");
    browser.post("/api/add_passkey", &form).await
}

pub async fn send(browser: &Browser<'_>, function: &str, signed: &str) -> Answer {
    let form = format!("passkey={}", encoded(signed));
    browser.post(function, &form).await
}

/// Signs in with the password, and is asked for a passkey.
pub async fn at_the_door<'a>(house: &'a House, email: &str) -> (Browser<'a>, String) {
    let browser = house.browser();
    let step = browser.sign_in(email).await;
    assert_eq!(step.location, "/sign-in/code");
    let asked = asks(&browser, "/api/sign_in_passkey").await;
    (browser, asked)
}

/// An administrator with an app and a passkey.
pub async fn with_passkey<'a>(house: &'a House, email: &str) -> (Uuid, Browser<'a>, Key) {
    let (id, browser) = house.super_administrator(email).await;
    let key = Key::new(ORIGIN, SITE);
    let added = add(&browser, &key, "Blue+key").await;
    assert_eq!(added.location, "/account");
    (id, browser, key)
}

#[sqlx::test(migrations = "./migrations")]
async fn a_passkey_signs_in_and_confirms(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, ada, mut key) = with_passkey(&house, ADA).await;
    assert!(ada.get("/account").await.body.contains("Blue key"));

    let (next, asked) = at_the_door(&house, ADA).await;
    assert!(asked.contains("\"userVerification\":\"required\"") && asked.contains(SITE));
    let form = format!("passkey={}&next=/audit", encoded(&key.signed(&asked)));
    let inside = next.post("/api/sign_in_code", &form).await;
    assert_eq!(inside.location, "/audit");
    assert!(next.is_in().await);

    house.wait(TimeDelta::minutes(11));
    let renewed = next.post("/api/renew_recovery_codes", "").await;
    assert_eq!(renewed.code(), ErrorCode::ConfirmFirst);
    let asked = asks(&next, "/api/ask_passkey").await;
    send(&next, "/api/confirm_identity", &key.signed(&asked))
        .await
        .succeeded();
    let renewed = next.post("/api/renew_recovery_codes", "").await;
    assert_eq!(renewed.location, "/shown-once?next=/account");
    let events = house.events().await;
    let by_passkey = events
        .iter()
        .filter(|one| one.reason.as_deref() == Some("Passkey"));
    assert_eq!(by_passkey.count(), 2, "once at the door, once inside");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_passkey_may_be_the_first_second_factor(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    house.add(ADA, Role::SuperAdministrator).await;
    let ada = house.browser();
    assert_eq!(ada.sign_in(ADA).await.location, "/second-factor");
    let mut key = Key::new(ORIGIN, SITE);
    let added = add(&ada, &key, "").await;
    assert_eq!(added.location, "/shown-once?next=%2Faccount");
    assert!(ada.is_in().await);
    let page = ada.get("/shown-once").await.body;
    let code = page.split("<code class=\"secret\">").nth(1).unwrap();
    let code = code.split('<').next().unwrap();

    let (next, asked) = at_the_door(&house, ADA).await;
    send(&next, "/api/sign_in_code", &key.signed(&asked))
        .await
        .succeeded();
    assert!(next.is_in().await);

    let lost = house.browser();
    lost.sign_in(ADA).await.succeeded();
    lost.post("/api/sign_in_code", &format!("code={code}"))
        .await
        .succeeded();
    assert!(lost.is_in().await, "a recovery code stands in for it");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_signed_once_is_worth_nothing_the_second_time(pool: PgPool) {
    let house = House::at(pool.clone(), ORIGIN);
    let (_, _, mut key) = with_passkey(&house, ADA).await;
    let (ada, asked) = at_the_door(&house, ADA).await;
    let signed = key.signed(&asked);

    let (thief, _) = at_the_door(&house, ADA).await;
    let stolen = send(&thief, "/api/sign_in_code", &signed).await;
    assert_eq!(
        stolen.code(),
        ErrorCode::PasskeyRefused,
        "another's challenge"
    );
    let again = send(&thief, "/api/sign_in_code", &signed).await;
    assert_eq!(again.code(), ErrorCode::PasskeyRefused);
    assert!(!thief.is_in().await);

    send(&ada, "/api/sign_in_code", &signed).await.succeeded();
    let replayed = send(&ada, "/api/confirm_identity", &signed).await;
    assert_eq!(replayed.code(), ErrorCode::PasskeyRefused, "replayed");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM passkey_challenges")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 0, "wrong or right, a challenge is used up");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_challenge_is_good_for_five_minutes_and_for_one_purpose(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, ada, mut key) = with_passkey(&house, ADA).await;
    let asked = asks(&ada, "/api/ask_passkey").await;
    house.wait(TimeDelta::minutes(5));
    let late = send(&ada, "/api/confirm_identity", &key.signed(&asked)).await;
    assert_eq!(late.code(), ErrorCode::PasskeyRefused);

    let other = Key::new(ORIGIN, SITE);
    let asked = asks(&ada, "/api/ask_passkey").await;
    let form = format!("passkey={}", encoded(&other.made(&asked)));
    let crossed = ada.post("/api/add_passkey", &form).await;
    assert_eq!(crossed.code(), ErrorCode::PasskeyRefused);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_passkey_counts_at_our_address_by_its_owner_and_signed_by_its_key_only(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, _, mut key) = with_passkey(&house, ADA).await;
    let forged: [(&str, Forge); 6] = [
        ("a site that looks like ours", |key| {
            key.origin = "https://rollcall.example.org".to_owned();
        }),
        ("another port of ours", |key| {
            key.origin = "https://rollcall.example.com:8443".to_owned();
        }),
        ("ours without TLS", |key| {
            key.origin = "http://rollcall.example.com".to_owned();
        }),
        ("for another site", |key| {
            key.site = "example.com".to_owned()
        }),
        ("nobody was recognized", |key| key.verifies = false),
        ("another key under its name", |key| {
            let id = key.id;
            *key = Key::new(ORIGIN, SITE);
            (key.id, key.counter) = (id, 100);
        }),
    ];
    for (what, forge) in forged {
        let mut forger = key.clone();
        forge(&mut forger);
        let (thief, asked) = at_the_door(&house, ADA).await;
        let refused = send(&thief, "/api/sign_in_code", &forger.signed(&asked)).await;
        assert_eq!(refused.code(), ErrorCode::PasskeyRefused, "{what}");
        assert!(!thief.is_in().await, "{what}");
        // Past the delay that grows with wrong tries.
        house.wait(TimeDelta::hours(1));
    }
    let (ada, asked) = at_the_door(&house, ADA).await;
    send(&ada, "/api/sign_in_code", &key.signed(&asked))
        .await
        .succeeded();
    assert!(ada.is_in().await, "no wrong one moved its counter");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_passkey_is_added_at_our_address_by_its_owner_only(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, ada) = house.super_administrator(ADA).await;
    let mut elsewhere = Key::new("https://evil.example", SITE);
    let refused = add(&ada, &elsewhere, "x").await;
    assert_eq!(refused.code(), ErrorCode::PasskeyRefused);
    elsewhere.origin = ORIGIN.to_owned();
    elsewhere.verifies = false;
    let refused = add(&ada, &elsewhere, "x").await;
    assert_eq!(refused.code(), ErrorCode::PasskeyRefused);
    elsewhere.verifies = true;
    add(&ada, &elsewhere, "x").await.succeeded();
    let twice = add(&ada, &elsewhere, "x").await;
    assert_eq!(twice.code(), ErrorCode::Conflict);
}

#[sqlx::test(migrations = "./migrations")]
async fn anothers_passkey_proves_nothing(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (ada_id, ada, _) = with_passkey(&house, ADA).await;
    let (_, eve, mut hers) = with_passkey(&house, "eve@example.com").await;
    let (thief, asked) = at_the_door(&house, ADA).await;
    assert!(!asked.contains(&base64_of(&hers.id)));
    let refused = send(&thief, "/api/sign_in_code", &hers.signed(&asked)).await;
    assert_eq!(refused.code(), ErrorCode::PasskeyRefused);
    assert!(!thief.is_in().await);
    let events = house.events().await;
    let failed = events.iter().filter(|one| one.event == "Failed sign in");
    assert_eq!(failed.count(), 1);
    // And she can neither rename nor remove what is not hers.
    let form = format!("id={}&name=Mine", passkey_of(&house, ada_id).await);
    for function in ["/api/rename_passkey", "/api/remove_passkey"] {
        let refused = eve.post(function, &form).await;
        assert_eq!(refused.code(), ErrorCode::NotFound);
    }
    let page = ada.get("/account").await.body;
    assert!(page.contains("Blue key") && !page.contains("Mine"));
}

async fn passkey_of(house: &House, administrator: Uuid) -> Uuid {
    let mut db = house.pool.acquire().await.unwrap();
    passkeys::of(&mut db, administrator).await.unwrap()[0].id
}

pub fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[sqlx::test(migrations = "./migrations")]
async fn a_copied_key_is_found_by_its_counter(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, ada, mut key) = with_passkey(&house, ADA).await;
    let mut copy = key.clone();
    for _ in 0..2 {
        let asked = asks(&ada, "/api/ask_passkey").await;
        send(&ada, "/api/confirm_identity", &key.signed(&asked))
            .await
            .succeeded();
    }
    let asked = asks(&ada, "/api/ask_passkey").await;
    let behind = send(&ada, "/api/confirm_identity", &copy.signed(&asked)).await;
    assert_eq!(behind.code(), ErrorCode::PasskeyRefused);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_last_second_factor_of_a_super_administrator_stays(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (id, ada, _) = with_passkey(&house, ADA).await;
    let passkey = passkey_of(&house, id).await;
    let form = format!("id={passkey}&name=+Green+key+");
    ada.post("/api/rename_passkey", &form).await.succeeded();
    assert!(ada.get("/account").await.body.contains("Green key"));

    ada.post("/api/remove_second_factor", "").await.succeeded();
    let last = ada.post("/api/remove_passkey", &form).await;
    assert_eq!(last.code(), ErrorCode::SecondFactorNeeded);
    assert!(ada.get("/account").await.body.contains("Green key"));

    ada.post("/api/begin_enrolment", "").await.succeeded();
    ada.enrol(id).await.succeeded();
    ada.post("/api/remove_passkey", &form).await.succeeded();
    assert!(!ada.get("/account").await.body.contains("Green key"));
    let told: Vec<_> = house.events().await;
    let told: Vec<_> = told
        .iter()
        .filter_map(|one| one.reason.as_deref())
        .collect();
    for change in [
        "Passkey added",
        "Passkey renamed",
        "Passkey removed",
        "Authenticator app taken off",
    ] {
        assert!(told.contains(&change), "{change}: {told:?}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_may_take_the_last_passkey_off_and_resetting_takes_all(pool: PgPool) {
    let house = House::at(pool.clone(), ORIGIN);
    let (otto_id, otto) = house.auditor("otto@example.com").await;
    let key = Key::new(ORIGIN, SITE);
    add(&otto, &key, "k").await.succeeded();
    let (next, _) = at_the_door(&house, "otto@example.com").await;
    drop(next);
    let (_, ada) = house.super_administrator(ADA).await;
    let form = format!("id={otto_id}&change=reset-second-factor");
    ada.post("/api/change_administrator", &form)
        .await
        .succeeded();
    assert!(!otto.is_in().await);
    assert_eq!(otto.sign_in("otto@example.com").await.location, "/");
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM passkeys) + (SELECT count(*) FROM recovery_codes WHERE administrator_id = $1)",
    )
    .bind(otto_id)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(left, 0);

    add(&otto, &key, "k").await.succeeded();
    let form = format!("id={}", passkey_of(&house, otto_id).await);
    otto.post("/api/remove_passkey", &form).await.succeeded();
    let next = house.browser();
    assert_eq!(next.sign_in("otto@example.com").await.location, "/");
}

#[sqlx::test(migrations = "./migrations")]
async fn at_the_door_nobody_adds_a_passkey_to_another_factor(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    house.add(ADA, Role::SuperAdministrator).await;
    let (thief, ada) = (house.browser(), house.browser());
    thief.sign_in(ADA).await.succeeded();
    ada.sign_in(ADA).await.succeeded();
    let asked = asks(&thief, "/api/begin_passkey").await;
    let cookie = thief.cookie();
    let key = Key::new(ORIGIN, SITE);
    add(&ada, &key, "first").await.succeeded();
    thief.set_cookie(cookie);
    let form = format!("passkey={}", encoded(&Key::new(ORIGIN, SITE).made(&asked)));
    let refused = thief.post("/api/add_passkey", &form).await;
    assert_eq!(
        refused.code(),
        ErrorCode::Unauthenticated,
        "its session is over"
    );
    let (halfway, _) = at_the_door(&house, ADA).await;
    let refused = halfway.post("/api/begin_passkey", "").await;
    assert_eq!(refused.code(), ErrorCode::Unauthenticated);
}

#[sqlx::test(migrations = "./migrations")]
async fn without_tls_and_a_name_there_are_no_passkeys(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator(ADA).await;
    let refused = ada.post("/api/begin_passkey", "").await;
    assert_eq!(refused.code(), ErrorCode::PasskeysImpossible);
    let page = ada.get("/account").await.body;
    assert!(page.contains("over https") && !page.contains("/api/add_passkey"));
}
