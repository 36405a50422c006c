//! Administrators about each other: inviting, changing, shutting out, removing.

use app::api::ErrorCode;
use axum::http::StatusCode;
use chrono::TimeDelta;
use server::store::administrators::{self, Role};
use sqlx::PgPool;
use uuid::Uuid;

use super::house::{Browser, House};

async fn change(browser: &Browser<'_>, id: Uuid, change: &str) -> Option<ErrorCode> {
    let form = format!("id={id}&change={change}");
    let answer = browser.post("/api/change_administrator", &form).await;
    (answer.status != StatusCode::OK).then(|| answer.code())
}

async fn remove(browser: &Browser<'_>, id: Uuid) -> Option<ErrorCode> {
    let answer = browser
        .post("/api/remove_administrator", &format!("id={id}"))
        .await;
    (answer.status != StatusCode::OK).then(|| answer.code())
}

fn token_on(page: &str) -> String {
    let rest = page.split_once("/setup?token=").unwrap().1;
    rest.split(['<', '"']).next().unwrap().to_owned()
}

#[sqlx::test(migrations = "./migrations")]
async fn an_invitation_is_shown_once_and_lets_somebody_in_once(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let form = "email=Grace@Example.com&role=super-administrator";
    let made = ada.post("/api/invite_administrator", form).await;
    assert!(
        made.location
            .starts_with("/shown-once?next=/administrators/"),
        "{made:?}"
    );
    let token = token_on(&ada.get("/shown-once").await.body);
    let early = house.browser().sign_in("grace@example.com").await;
    assert_eq!(
        early.code(),
        ErrorCode::WrongCredentials,
        "there is no password yet"
    );
    let again = ada.post("/api/invite_administrator", form).await;
    assert_eq!(again.error().fields[0].field, "email");

    house.wait(TimeDelta::hours(23));
    let grace = house.browser();
    assert!(
        grace
            .get(&format!("/setup?token={token}"))
            .await
            .body
            .contains("grace@example.com")
    );
    let phrase = "another+good+phrase";
    let form = format!("token={token}&email=&password={phrase}&repeated={phrase}");
    let taken = grace.post("/api/redeem_link", &form).await;
    assert_eq!(taken.location, "/second-factor");
    let twice = house.browser().post("/api/redeem_link", &form).await;
    assert_eq!(twice.code(), ErrorCode::LinkUsed);
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_is_disabled_is_out_at_once_and_comes_back_when_enabled(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let (otto_id, otto) = house.auditor("otto@example.com").await;
    assert_eq!(change(&ada, otto_id, "disable").await, None);
    assert!(!otto.is_in().await);
    let refused = house.browser().sign_in("otto@example.com").await;
    assert_eq!(
        refused.code(),
        ErrorCode::WrongCredentials,
        "as if there were nobody"
    );
    assert_eq!(change(&ada, otto_id, "enable").await, None);
    assert!(!otto.is_in().await, "an old session stays over");
    assert_eq!(
        house.browser().sign_in("otto@example.com").await.location,
        "/"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_role_counts_at_once_and_asks_for_what_it_needs(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let (otto_id, otto) = house.auditor("otto@example.com").await;
    assert_eq!(
        change(&ada, otto_id, "make-super-administrator").await,
        None
    );
    assert!(!otto.is_in().await);
    assert_eq!(
        otto.sign_in("otto@example.com").await.location,
        "/second-factor"
    );
    otto.enrol(otto_id).await.succeeded();
    assert_eq!(change(&ada, otto_id, "reset-second-factor").await, None);
    assert!(!otto.is_in().await);
    assert_eq!(
        otto.sign_in("otto@example.com").await.location,
        "/second-factor"
    );
    assert_eq!(remove(&ada, otto_id).await, None);
    let gone = house.browser().sign_in("otto@example.com").await;
    assert_eq!(gone.code(), ErrorCode::WrongCredentials);
    assert_eq!(house.told("Administrator removed").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_changes_themselves(pool: PgPool) {
    let house = House::new(pool);
    let (ada_id, ada) = house.super_administrator("ada@example.com").await;
    house.super_administrator("grace@example.com").await;
    for what in ["make-auditor", "disable", "reset-second-factor"] {
        assert_eq!(
            change(&ada, ada_id, what).await,
            Some(ErrorCode::NotYourself)
        );
    }
    assert_eq!(remove(&ada, ada_id).await, Some(ErrorCode::NotYourself));
    assert!(ada.is_in().await);
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_who_shut_each_other_out_at_once_one_stays(pool: PgPool) {
    let house = House::new(pool.clone());
    for what in ["disable", "make-auditor", "remove"] {
        let (first_email, second_email) =
            (format!("a-{what}@x.example"), format!("b-{what}@x.example"));
        let (first_id, first) = house.super_administrator(&first_email).await;
        let (second_id, second) = house.super_administrator(&second_email).await;
        // Nobody else could.
        sqlx::query("UPDATE administrators SET role = 'auditor' WHERE id NOT IN ($1, $2)")
            .bind(first_id)
            .bind(second_id)
            .execute(&pool)
            .await
            .unwrap();
        let against = |browser, id| async move {
            match what {
                "remove" => remove(browser, id).await,
                _ => change(browser, id, what).await,
            }
        };
        let (one, other) = tokio::join!(against(&first, second_id), against(&second, first_id));
        assert!(
            one.is_none() != other.is_none(),
            "{what}: {one:?} {other:?}"
        );
        let mut db = pool.acquire().await.unwrap();
        let able = administrators::list(&mut db).await.unwrap();
        let able = able.iter().filter(|entry| {
            entry.can_sign_in() && entry.administrator.role == Role::SuperAdministrator
        });
        assert_eq!(able.count(), 1, "{what}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn somebody_who_can_not_sign_in_does_not_count_as_the_one_who_stays(pool: PgPool) {
    let house = House::new(pool);
    let (ada_id, ada) = house.super_administrator("ada@example.com").await;
    let (_, otto) = house.auditor("otto@example.com").await;
    let form = "email=grace@example.com&role=super-administrator";
    ada.post("/api/invite_administrator", form)
        .await
        .succeeded();
    let page = ada.get(&format!("/administrators/{ada_id}")).await.body;
    assert!(page.contains("This is you"));
    let seen = otto.get(&format!("/administrators/{ada_id}")).await.body;
    assert!(!seen.contains("/api/") || !seen.contains("change_administrator"));
    let list = otto.get("/administrators").await.body;
    assert!(list.contains("Invited") && !list.contains("Invite an administrator"));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_super_administrator_ends_sessions_of_others(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let (otto_id, otto) = house.auditor("otto@example.com").await;
    let page = ada.get(&format!("/administrators/{otto_id}")).await.body;
    assert!(page.contains("Firefox on Linux"));
    let form = format!("id={otto_id}");
    ada.post("/api/revoke_administrator_session", &form)
        .await
        .succeeded();
    assert!(!otto.is_in().await && ada.is_in().await);
}
