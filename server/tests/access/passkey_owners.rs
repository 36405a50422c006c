//! Whose a passkey is, at which address, and what else is worth nothing when it is held against it.

use app::api::ErrorCode;
use chrono::TimeDelta;
use server::store::administrators::Role;
use server::store::passkeys::{self, Passkey};
use sqlx::PgPool;
use uuid::Uuid;

use super::authenticator::Key;
use super::house::House;
use super::passkeys::{
    ADA, ORIGIN, SITE, add, asks, at_the_door, base64_of, encoded, send, with_passkey,
};

/// One that nobody can sign with.
fn empty() -> Passkey {
    Passkey {
        id: Uuid::now_v7(),
        name: "Other".to_owned(),
        site: SITE.to_owned(),
        credential_id: Uuid::now_v7().as_bytes().to_vec(),
        transports: 0,
        made: Vec::new(),
        state: Vec::new(),
        created_at: chrono::DateTime::UNIX_EPOCH,
        used_at: None,
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_passkey_is_found_for_its_owner_at_its_site_and_by_its_own_name_only(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (ada, _, hers) = with_passkey(&house, ADA).await;
    let (eve, _, others) = with_passkey(&house, "eve@example.com").await;
    let mut db = house.pool.acquire().await.unwrap();
    for (who, site, id, found) in [
        (ada, SITE, hers.id, true),
        (eve, SITE, others.id, true),
        (eve, SITE, hers.id, false),
        (ada, SITE, others.id, false),
        (ada, "example.com", hers.id, false),
    ] {
        let passkey = passkeys::find(&mut db, who, site, &id).await.unwrap();
        assert_eq!(passkey.is_some(), found);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_signatures_that_are_judged_at_once_one_counts(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (ada, ..) = with_passkey(&house, ADA).await;
    let mut db = house.pool.acquire().await.unwrap();
    let judged = passkeys::of(&mut db, ada).await.unwrap().remove(0);
    let now = judged.created_at + TimeDelta::minutes(1);
    for (state, counts) in [(b"one", true), (b"two", false)] {
        let counted = passkeys::used(&mut db, &judged, state, now).await.unwrap();
        assert_eq!(counted, counts);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_passkey_is_asked_for_only_at_the_address_where_it_was_made(pool: PgPool) {
    let house = House::at(pool.clone(), ORIGIN);
    let (_, ada, key) = with_passkey(&house, ADA).await;
    let asked = asks(&ada, "/api/begin_passkey").await;
    assert!(
        asked.contains(&base64_of(&key.id)),
        "the same key is not added twice"
    );

    let moved = House::at(pool, "https://console.example.net");
    let ada = moved.browser();
    assert_eq!(ada.sign_in(ADA).await.location, "/sign-in/code");
    let ways = ada.post("/api/sign_in_ways", "").await;
    assert!(ways.body.contains("\"passkeys_at\":null"), "{ways:?}");
    let nothing = ada.post("/api/sign_in_passkey", "").await;
    assert_eq!(nothing.code(), ErrorCode::NotFound);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_challenge_to_add_a_passkey_is_used_up_by_a_wrong_answer(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, ada) = house.super_administrator(ADA).await;
    let asked = asks(&ada, "/api/begin_passkey").await;
    let mut key = Key::new("https://evil.example", SITE);
    for _ in 0..2 {
        let form = format!("passkey={}", encoded(&key.made(&asked)));
        let refused = ada.post("/api/add_passkey", &form).await;
        assert_eq!(refused.code(), ErrorCode::PasskeyRefused);
        key.origin = ORIGIN.to_owned();
    }
    add(&ada, &key, "k").await.succeeded();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_second_factor_that_came_meanwhile_shuts_the_door_to_enrolling(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let ada = house.add(ADA, Role::SuperAdministrator).await;
    let thief = house.browser();
    assert_eq!(thief.sign_in(ADA).await.location, "/second-factor");
    // As if it were stored between the look at the thief's session and what the thief adds.
    let mut db = house.pool.acquire().await.unwrap();
    assert!(passkeys::add(&mut db, ada, &empty()).await.unwrap());
    let refused = add(&thief, &Key::new(ORIGIN, SITE), "thief").await;
    assert_eq!(refused.code(), ErrorCode::Conflict);
    assert_eq!(passkeys::of(&mut db, ada).await.unwrap().len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_came_in_before_a_passkey_was_added_or_removed_comes_in_again(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (id, ada, mut key) = with_passkey(&house, ADA).await;
    let mut db = house.pool.acquire().await.unwrap();
    for added in [false, true] {
        let (other, asked) = at_the_door(&house, ADA).await;
        send(&other, "/api/sign_in_code", &key.signed(&asked))
            .await
            .succeeded();
        assert!(other.is_in().await);
        if added {
            add(&ada, &Key::new(ORIGIN, SITE), "k").await.succeeded();
        } else {
            let spare = empty();
            assert!(passkeys::add(&mut db, id, &spare).await.unwrap());
            ada.post("/api/remove_passkey", &format!("id={}", spare.id))
                .await
                .succeeded();
        }
        assert!(ada.is_in().await && !other.is_in().await, "added: {added}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn wrong_passkeys_are_delayed_as_wrong_codes_are(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (_, _, mut key) = with_passkey(&house, ADA).await;
    let (thief, mut asked) = at_the_door(&house, ADA).await;
    let mut forger = Key::new(ORIGIN, SITE);
    let mut tries = 0;
    loop {
        let refused = send(&thief, "/api/sign_in_code", &forger.signed(&asked)).await;
        asked = asks(&thief, "/api/sign_in_passkey").await;
        if refused.code() == ErrorCode::TooManyAttempts {
            break;
        }
        assert_eq!(refused.code(), ErrorCode::PasskeyRefused);
        tries += 1;
        assert!(tries < 10, "there is no delay");
    }
    let right = send(&thief, "/api/sign_in_code", &key.signed(&asked)).await;
    assert_eq!(right.code(), ErrorCode::TooManyAttempts);
    assert!(!thief.is_in().await);
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_has_more_than_twenty_passkeys(pool: PgPool) {
    let house = House::at(pool, ORIGIN);
    let (id, ada, _) = with_passkey(&house, ADA).await;
    let mut db = house.pool.acquire().await.unwrap();
    for _ in 1..20 {
        assert!(passkeys::add(&mut db, id, &empty()).await.unwrap());
    }
    let refused = ada.post("/api/begin_passkey", "").await;
    assert_eq!(refused.code(), ErrorCode::TooManyPasskeys);
}
