//! What went wrong in other tools, in whole runs.

use chrono::TimeDelta;
use provisioning::config::{Policy, Window};
use server::sandbox::{Call, Failure, Fault, Quirks};
use server::store::runs::RunState;
use sqlx::PgPool;

use crate::house::House;
use crate::isolation::{NORA, failures};
use crate::lifecycle::somebody;
use crate::once::newcomer;
use crate::renamed::{id, readdress};

async fn link_state(house: &House, email: &str) -> String {
    sqlx::query_scalar("SELECT state FROM links WHERE lower(user_name) = lower($1)")
        .bind(email)
        .fetch_one(&house.engine.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn deleting_an_account_that_is_gone_already_is_a_success(pool: PgPool) {
    let policy = Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
    let house = House::build_with(
        pool,
        |_| {},
        |config| config.deprovisioning.deleted = policy,
    )
    .await;
    house.run().await;
    let email = somebody(&house).await;
    house
        .sandbox
        .change_directory(|directory, now| directory.delete(&email, now))
        .unwrap();
    assert!(house.sandbox.remove_account(&email));
    let run = house.run().await;
    assert_eq!((run.applied.delete, run.failed), (1, 0));
}

#[sqlx::test(migrations = "./migrations")]
async fn throttling_in_the_middle_of_a_run_costs_time_and_nobodys_account(pool: PgPool) {
    let house = House::build(pool).await;
    let busy = Failure::TooManyRequests {
        retry_after: Some(30),
    };
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, busy).after(30).times(20));
    let run = house.run().await;
    assert_eq!((run.state, run.failed), (RunState::Completed, 0));
    assert_eq!(run.applied.create, run.planned.create);
    assert_eq!(run.applied.link, run.planned.link);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_rename_onto_a_strangers_name_is_told_as_a_conflict_and_the_link_stays(pool: PgPool) {
    let house = House::build(pool).await;
    newcomer(&house, NORA);
    house.run().await;
    let nora = id(&house, NORA);
    let account = house.sandbox.account(NORA).unwrap().id;
    let known: Vec<String> = house.sandbox.directory(|directory| {
        let people = directory.people.values();
        people
            .map(|person| person.primary_email.to_lowercase())
            .collect()
    });
    let stranger = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .find(|name| !known.contains(&name.to_lowercase()))
        .unwrap();
    readdress(&house, &[(&nora, &stranger)]);
    let run = house.run().await;
    assert_eq!((run.failed, run.applied.update), (1, 0), "{run:?}");
    assert!(failures(&house).await[0].permanent);
    assert_eq!(link_state(&house, NORA).await, "active");
    assert_eq!(house.sandbox.account(NORA).unwrap().id, account);
    house.sandbox.forget_requests();
    house.run().await;
    assert_eq!(house.sandbox.scim_writes(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_that_exist_are_found_on_every_page_and_never_created_again(pool: PgPool) {
    let house = House::build(pool).await;
    let first = house.run().await;
    for table in ["links", "lifecycles"] {
        let forget = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(forget)
            .execute(&house.engine.pool)
            .await
            .unwrap();
    }
    house.sandbox.set_quirks(Quirks {
        page_cap: Some(10),
        ..Quirks::default()
    });
    house.sandbox.forget_requests();
    let run = house.run().await;
    assert_eq!(house.sandbox.count(Call::AccountCreate), 0);
    assert_eq!(run.applied.link, first.applied.create + first.applied.link);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_put_that_is_answered_with_404_takes_nobodys_account_for_gone(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    house.sandbox.set_quirks(Quirks {
        put_not_found: true,
        ..Quirks::default()
    });
    house
        .sandbox
        .change_directory(|directory, _| directory.set_title(&email, None))
        .unwrap();
    let run = house.run().await;
    assert_eq!(run.applied.create, 0);
    assert_eq!(link_state(&house, &email).await, "active");
    assert!(house.sandbox.account(&email).is_some());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_web_page_instead_of_an_account_is_no_success_and_is_tried_again(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NORA);
    let page = Failure::Html { status: 200 };
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, page));
    let run = house.run().await;
    assert_eq!((run.applied.create, run.failed), (0, 1));
    house.sandbox.clear_faults();
    house.pass(TimeDelta::hours(2));
    assert_eq!(house.run().await.applied.create, 1);
    assert_eq!(link_state(&house, NORA).await, "active");
}
