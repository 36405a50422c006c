use chrono::TimeDelta;
use provisioning::config::{Policy, Window};
use server::sandbox::NewPerson;
use server::store::runs::RunState;
use sqlx::PgPool;

use crate::house::House;

/// Somebody who got an account and manages nobody, so that nothing else changes with them.
pub async fn somebody(house: &House) -> String {
    let managers: Vec<String> = house
        .sandbox
        .recorded()
        .iter()
        .filter_map(|call| {
            let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
            Some(
                call.body
                    .get(enterprise)?
                    .get("manager")?
                    .get("value")?
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    house
        .sandbox
        .recorded()
        .iter()
        .filter(|call| call.method == "POST")
        .filter_map(|call| call.body["userName"].as_str().map(str::to_owned))
        .find(|email| {
            let account = house.sandbox.account(email).unwrap();
            !managers.contains(&account.id) && email != server::sandbox::ADMINISTRATOR
        })
        .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_suspended_person_is_suspended_at_the_next_run_and_unsuspended_when_restored(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    house.pass(TimeDelta::hours(1));
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    let run = house.run().await;
    assert_eq!((run.applied.suspend, run.scim_writes), (1, 1), "{run:?}");
    assert!(!house.sandbox.account(&email).unwrap().active);

    house.pass(TimeDelta::hours(1));
    let run = house.run().await;
    assert_eq!(run.scim_writes, 0, "a suspension is not sent twice");

    house
        .sandbox
        .change_directory(|directory, _| {
            directory.restore(&email).unwrap();
            directory.set_title(&email, Some("Back again"))
        })
        .unwrap();
    let run = house.run().await;
    assert_eq!(
        (run.applied.unsuspend, run.applied.update, run.scim_writes),
        (1, 0, 1)
    );
    let account = house.sandbox.account(&email).unwrap();
    assert!(account.active);
    assert_eq!(account.title(), Some("Back again"));
    assert_eq!(house.events("Suspend Auto Provisioned User").await.len(), 1);
    assert_eq!(
        house.events("Unsuspend Auto Provisioned User").await.len(),
        1
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn nothing_is_removed_before_its_time_and_the_cause_ending_cancels_it(pool: PgPool) {
    let week = Policy::new(Some(Window::SEVEN_DAYS), None).unwrap();
    let house = House::build_with(
        pool,
        |_| {},
        |config| config.deprovisioning.suspended = week,
    )
    .await;
    house.run().await;
    let email = somebody(&house).await;
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    house.run().await;
    house.pass(TimeDelta::days(7) - TimeDelta::seconds(1));
    let run = house.run().await;
    assert_eq!(run.scim_writes, 0, "one second too early");
    house
        .sandbox
        .change_directory(|directory, _| directory.restore(&email))
        .unwrap();
    house.run().await;
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    house.run().await;
    house.pass(TimeDelta::days(6));
    assert_eq!(house.run().await.scim_writes, 0, "the clock began anew");
    house.pass(TimeDelta::days(1));
    assert_eq!(house.run().await.applied.suspend, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_deleted_person_is_suspended_first_and_deleted_after_the_longer_window(pool: PgPool) {
    let policy = Policy::new(Some(Window::WITHIN_24_HOURS), Some(Window::SEVEN_DAYS)).unwrap();
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
    assert_eq!(house.run().await.applied.suspend, 1);
    house.pass(TimeDelta::days(7) - TimeDelta::seconds(1));
    assert_eq!(house.run().await.scim_writes, 0);
    house.pass(TimeDelta::seconds(1));
    let run = house.run().await;
    assert_eq!(run.applied.delete, 1);
    assert!(house.sandbox.account(&email).is_none());
    house.pass(TimeDelta::days(30));
    assert_eq!(
        house.run().await.scim_writes,
        0,
        "a deletion is not sent twice"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_is_deleted_after_whoever_names_it_as_their_managers_was_written(pool: PgPool) {
    let policy = Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
    let house = House::build_with(
        pool,
        |_| {},
        |config| config.deprovisioning.suspended = policy,
    )
    .await;
    house.run().await;
    let manager = somebody(&house).await;
    (house.sandbox)
        .change_directory(|directory, now| {
            let new = NewPerson {
                given_name: "Nadia".to_owned(),
                family_name: "Novak".to_owned(),
                ..NewPerson::default()
            };
            let report = directory.add_person(new, now)?.primary_email;
            let relation = serde_json::json!([{ "type": "manager", "value": manager }]);
            directory.set_free(&report, "relations", Some(&relation))?;
            directory.suspend(&manager, now)
        })
        .unwrap();
    let run = house.run().await;
    assert_eq!((run.applied.create, run.applied.delete), (1, 1), "{run:?}");
    assert_eq!(run.failed, 0);
    let kinds: Vec<String> =
        sqlx::query_scalar("SELECT kind FROM operations WHERE run_id = $1 AND kind IN ('create', 'delete') ORDER BY wave")
            .bind(run.id.0)
            .fetch_all(&house.engine.pool)
            .await
            .unwrap();
    let waves: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT wave) FROM operations WHERE run_id = $1 AND kind IN ('create', 'delete')",
    )
    .bind(run.id.0)
    .fetch_one(&house.engine.pool)
    .await
    .unwrap();
    assert_eq!(
        (kinds, waves),
        (vec!["create".to_owned(), "delete".to_owned()], 2)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_a_deletion_only_deactivated_is_linked_and_active_again(pool: PgPool) {
    let policy = Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
    let house = House::build_with(
        pool,
        |_| {},
        |config| config.deprovisioning.suspended = policy,
    )
    .await;
    house.run().await;
    house.sandbox.set_quirks(server::sandbox::Quirks {
        delete_deactivates: true,
        ..Default::default()
    });
    let email = somebody(&house).await;
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    assert_eq!(house.run().await.applied.delete, 1);
    assert!(!house.sandbox.account(&email).unwrap().active);
    house
        .sandbox
        .change_directory(|directory, _| directory.restore(&email))
        .unwrap();
    let run = house.run().await;
    assert_eq!((run.applied.link, run.applied.unsuspend), (1, 1), "{run:?}");
    assert!(house.sandbox.account(&email).unwrap().active);
    house.sandbox.forget_requests();
    house.run().await;
    assert_eq!(house.sandbox.scim_requests(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn turning_the_app_off_for_everybody_is_held_and_removes_nobody(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    house.sandbox.forget_requests();
    house
        .change_config(|config| config.access.org_units[0].on = false)
        .await;
    let run = house.run().await;
    assert_eq!(run.state, RunState::Held);
    assert!(run.held > 100);
    assert_eq!(house.sandbox.scim_writes(), 0);
    assert_eq!(house.events("Removals held").await.len(), 1);
    let again = house.run().await;
    assert_eq!(
        (again.held, again.scim_writes),
        (run.held, 0),
        "a hold stays until it is decided"
    );
    assert_eq!(
        house.events("Removals held").await.len(),
        1,
        "and is told once"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_who_came_back_between_import_and_removal_keeps_the_account(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    // The listing says suspended; asked individually, Google says restored.
    house.sandbox.forget_requests();
    let run = house.queue().await;
    let sandbox = house.sandbox.clone();
    let engine = house.engine.counting_anew();
    let carried = tokio::spawn(async move { server::sync::run::carry_out(&engine, run).await });
    while !carried.is_finished() && sandbox.count(server::sandbox::Call::UsersList) == 0 {
        tokio::task::yield_now().await;
    }
    while !carried.is_finished() && sandbox.count(server::sandbox::Call::DeletedUsersList) == 0 {
        tokio::task::yield_now().await;
    }
    house
        .sandbox
        .change_directory(|directory, _| directory.restore(&email))
        .unwrap();
    carried.await.unwrap().unwrap();
    assert!(house.sandbox.account(&email).unwrap().active);
    assert_eq!(house.sandbox.scim_writes(), 0);
}
