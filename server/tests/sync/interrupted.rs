use std::collections::BTreeSet;

use server::sandbox::{Call, Failure, Fault};
use server::store::apps::AppState;
use server::store::credentials::{self, Credential};
use server::store::runs::{RunId, RunState};
use server::sync::run::{Carried, carry_out};
use sqlx::PgPool;

use crate::house::House;

/// Ends the lease of a run as the database's clock would after a process died.
async fn let_the_lease_lapse(house: &House, run: RunId) {
    sqlx::query("UPDATE runs SET heartbeat_at = now() - interval '1 hour' WHERE id = $1")
        .bind(run.0)
        .execute(&house.engine.pool)
        .await
        .unwrap();
    sqlx::query("UPDATE imports SET heartbeat_at = now() - interval '1 hour'")
        .execute(&house.engine.pool)
        .await
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_whose_process_died_is_finished_with_each_account_created_once(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.queue().await;
    // Every time it is carried on it dies after some more writes, each at another place.
    for writes in [0, 1, 40, 90, 130] {
        let engine = house.engine.counting_anew();
        let carrying = tokio::spawn(async move { carry_out(&engine, run).await });
        while house.sandbox.scim_writes() < writes && !carrying.is_finished() {
            tokio::task::yield_now().await;
        }
        carrying.abort();
        let _ = carrying.await;
        let_the_lease_lapse(&house, run).await;
    }
    // Of a task, unlike a process, a last heartbeat may still reach the database.
    let mut carried = Carried::TakenElsewhere;
    while carried == Carried::TakenElsewhere && !house.read(run).await.state.is_over() {
        let_the_lease_lapse(&house, run).await;
        carried = carry_out(&house.engine.counting_anew(), run).await.unwrap();
    }
    assert_eq!(carried, Carried::Finished(house.app));
    let ended = house.read(run).await;
    assert_eq!(ended.state, RunState::Completed, "{ended:?}");
    let names: Vec<String> = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    let created = house.events("Create User By Auto Provisioning").await;
    let people: BTreeSet<_> = created
        .iter()
        .map(|event| event.person_id.clone())
        .collect();
    assert_eq!(
        people.len(),
        created.len(),
        "every create is in the log once"
    );
    assert_eq!(ended.applied.create as usize, created.len());
    house.sandbox.forget_requests();
    let next = house.run().await;
    assert_eq!((next.planned.create, next.scim_writes), (0, 0));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_create_whose_answer_was_lost_is_found_and_not_sent_again(pool: PgPool) {
    let house = House::build(pool).await;
    house
        .sandbox
        .inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter).times(5));
    let run = house.run().await;
    assert_eq!((run.state, run.failed), (RunState::Completed, 0));
    let names: Vec<String> = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(
        house.events("Create User By Auto Provisioning").await.len() as u64,
        run.applied.create
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_refused_token_stops_the_app_and_a_new_one_resumes_with_nothing_lost(pool: PgPool) {
    let house = House::build(pool).await;
    house.sandbox.revoke_asana_token(false);
    let run = house.run().await;
    assert_eq!(run.state, RunState::Stopped);
    assert_eq!(run.error_code.as_deref(), Some("reauthorize"));
    let AppState::Stopped { code, .. } = house.app().await.state else {
        panic!("the app goes on")
    };
    assert_eq!(code, "reauthorize");
    assert_eq!(house.sandbox.scim_writes(), 0);
    assert_eq!(house.events("App stopped").await.len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_without_a_token_is_not_run_and_asks_for_one(pool: PgPool) {
    let house = House::build(pool).await;
    let mut db = house.engine.connection().await.unwrap();
    let token = Credential::AppToken(house.app.0);
    assert!(credentials::delete(&mut db, token).await.unwrap());
    drop(db);
    let run = house.run().await;
    let ended = (run.state, run.error_code.as_deref());
    assert_eq!(ended, (RunState::Stopped, Some("reauthorize")));
    assert_eq!(house.sandbox.scim_requests(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_answer_without_people_plans_nothing(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    house.sandbox.forget_requests();
    house
        .sandbox
        .inject(Fault::always(Call::UsersList, Failure::MissingCollection));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(
        run.error_code.as_deref(),
        Some("directory-listing-incomplete"),
        "{:?}",
        run.error_message
    );
    assert_eq!(house.sandbox.scim_requests(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_listing_that_ends_early_plans_nothing_because_those_left_out_are_asked_for(
    pool: PgPool,
) {
    let house = House::build_with(pool, |sandbox| sandbox.people = 600, |_| {}).await;
    house.run().await;
    house.sandbox.forget_requests();
    house
        .sandbox
        .inject(Fault::always(Call::UsersList, Failure::EndsEarly));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(
        run.error_code.as_deref(),
        Some("directory-incomplete"),
        "{:?}",
        run.error_message
    );
    assert_eq!(house.sandbox.scim_requests(), 0);
}
