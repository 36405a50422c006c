use provisioning::identity::Standing;
use server::store::runs::RunState;
use server::store::{operations, people};
use sqlx::PgPool;

use crate::house::House;

const CREATE: &str = "Create User By Auto Provisioning";

#[sqlx::test(migrations = "./migrations")]
async fn the_first_run_gives_everybody_in_scope_one_account_and_logs_each(pool: PgPool) {
    let house = House::build(pool).await;
    let strangers = house.sandbox.accounts().len();
    let run = house.run().await;
    assert_eq!(run.error_message, None);
    assert_eq!(run.state, RunState::Completed);
    assert_eq!(run.failed, 0);
    assert!(run.applied.create > 100, "{:?}", run.applied);
    // What is more than planned closes rings of managers, who can't all come first.
    let rings = run.applied.update - run.planned.update;
    assert!(rings <= 4, "{rings} more updates than planned");
    assert_eq!(
        (run.applied.create, run.applied.link),
        (run.planned.create, run.planned.link)
    );
    assert_eq!(
        house.sandbox.account_count() as u64,
        strangers as u64 + run.applied.create
    );
    assert_eq!(house.events(CREATE).await.len() as u64, run.applied.create);
    // Everyone is accounted for: operations and reasons add up to the whole.
    let counts = run.planned;
    let mut db = house.engine.connection().await.unwrap();
    let everybody = people::page(&mut db, None, 10_000).await.unwrap();
    assert_eq!(
        counts.create + counts.link + counts.unchanged + counts.skipped,
        everybody.len() as u64
    );
    let active = everybody
        .iter()
        .filter(|one| one.person.standing == Standing::Active)
        .count() as u64;
    assert!(counts.create + counts.link <= active);
}

#[sqlx::test(migrations = "./migrations")]
async fn one_listing_and_one_write_an_account_are_all_that_the_first_run_asks(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.run().await;
    let writes = run.applied.create + run.applied.update;
    assert_eq!(house.sandbox.scim_writes(), writes);
    assert_eq!(run.scim_writes as u64, writes);
    // Clearing takes a PUT there, and a PUT the account as it is.
    let recorded = house.sandbox.recorded();
    let puts = recorded.iter().filter(|call| call.method == "PUT").count() as i64;
    let reads = run.scim_reads - puts;
    assert!(reads <= 6, "{reads} reads beside {puts} PUTs");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_second_run_sends_the_app_no_request_at_all(pool: PgPool) {
    // Many people, so that rings of managers are worked on side by side.
    let house = House::build_with(pool, |sandbox| sandbox.people = 400, |_| {}).await;
    let first = house.run().await;
    house.sandbox.forget_requests();
    let second = house.run().await;
    assert_eq!(second.state, RunState::Completed);
    assert_eq!(
        house.sandbox.scim_requests(),
        0,
        "{:?}",
        house.sandbox.recorded()
    );
    assert_eq!((second.scim_reads, second.scim_writes), (0, 0));
    assert_eq!(
        second.planned.unchanged,
        first.applied.create + first.applied.link
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn reports_are_created_with_their_managers_account_in_one_write_each(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.run().await;
    assert_eq!(
        house.sandbox.scim_writes(),
        run.applied.create + run.applied.update
    );
    let with_manager = house
        .sandbox
        .accounts()
        .iter()
        .filter(|account| {
            account
                .enterprise("manager")
                .is_some_and(|manager| manager.get("value").is_some())
        })
        .count();
    assert!(
        with_manager > 100,
        "{with_manager} of {}",
        house.sandbox.account_count()
    );
    let ids: Vec<String> = house
        .sandbox
        .accounts()
        .iter()
        .map(|account| account.id.clone())
        .collect();
    for account in house.sandbox.accounts() {
        if let Some(manager) = account
            .enterprise("manager")
            .and_then(|manager| manager["value"].as_str())
        {
            assert!(
                ids.contains(&manager.to_owned()),
                "{manager} is nobody's account"
            );
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_that_exist_only_in_the_app_are_never_touched(pool: PgPool) {
    let house = House::build(pool).await;
    let before = house.sandbox.accounts();
    house.run().await;
    let mut db = house.engine.connection().await.unwrap();
    for account in before {
        if people::find(&mut db, &account.user_name)
            .await
            .unwrap()
            .is_empty()
        {
            let now = house.sandbox.account(&account.user_name).unwrap();
            assert_eq!(
                serde_json::to_value(now).unwrap(),
                serde_json::to_value(account).unwrap()
            );
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_is_left_out_is_listed_once_with_the_rule_that_decided(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.run().await;
    let mut db = house.engine.connection().await.unwrap();
    let skipped = operations::skipped(&mut db, run.id, None, 10_000)
        .await
        .unwrap();
    assert_eq!(skipped.len() as u64, run.planned.skipped);
    let details: Vec<&str> = skipped.iter().map(|line| line.detail.as_str()).collect();
    for reason in [
        "Suspended in Google",
        "Archived, not managed",
        "Guest",
        "Secondary domain northmoor-labs.example",
    ] {
        assert!(
            details.contains(&reason),
            "nobody is left out for: {reason}; {details:?}"
        );
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_changed_title_is_one_write_and_a_renamed_person_keeps_their_account(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let (email, id) = {
        let account = house
            .sandbox
            .recorded()
            .into_iter()
            .find(|call| call.method == "POST")
            .unwrap();
        let email = account.body["userName"].as_str().unwrap().to_owned();
        let id = house.sandbox.account(&email).unwrap().id;
        (email, id)
    };
    house.sandbox.forget_requests();
    house
        .sandbox
        .change_directory(|directory, _| directory.set_title(&email, Some("Keeper of the rolls")))
        .unwrap();
    let run = house.run().await;
    assert_eq!(
        (run.applied.update, run.scim_writes, run.scim_reads),
        (1, 1, 0)
    );
    assert_eq!(
        house.sandbox.account(&email).unwrap().title(),
        Some("Keeper of the rolls")
    );

    let renamed = "renamed.person@northmoor.example";
    house
        .sandbox
        .change_directory(|directory, _| {
            let rename = server::sandbox::Rename {
                primary_email: Some(renamed.to_owned()),
                ..Default::default()
            };
            directory.rename(&email, rename)
        })
        .unwrap();
    let run = house.run().await;
    assert_eq!(run.applied.create, 0);
    assert_eq!(house.sandbox.account(renamed).unwrap().id, id);
}
