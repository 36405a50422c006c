//! Several programs share one database: workers, consoles, commands. Each run is carried once,
//! whoever asks for it, and outlives the process that carries it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

mod house;
#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::Value;
use server::sandbox::Call;
use sqlx::PgPool;

use house::House;

const SYNC: [&str; 4] = ["sync", "--app", "app", "--json"];

/// Everybody has one account, asked for once, and told once.
async fn assert_each_person_was_created_once(house: &House) {
    let wanted: BTreeSet<String> = program::in_scope(&house.sandbox).into_iter().collect();
    let creates: Vec<_> = house
        .sandbox
        .recorded()
        .into_iter()
        .filter(|one| one.call == Call::AccountCreate)
        .collect();
    assert!(creates.iter().all(|one| one.status == 201), "{creates:?}");
    let names: BTreeSet<String> = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .collect();
    assert_eq!(names, wanted);
    assert_eq!(creates.len(), wanted.len());
    let told = house
        .program
        .events("Create User By Auto Provisioning")
        .await;
    let people: BTreeSet<&str> = told
        .iter()
        .map(|event| event["person"]["id"].as_str().unwrap())
        .collect();
    assert_eq!((told.len(), people.len()), (wanted.len(), wanted.len()));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_asked_for_from_everywhere_is_one_run_and_outlives_the_worker_that_carries_it(
    pool: PgPool,
) {
    let house = House::open(pool).await;
    house.add_administrator().await;
    let mut consoles = Vec::new();
    for _ in 0..3 {
        consoles.push(house.console().await);
    }
    let asked = join_all(consoles.iter().map(|console| console.start_run())).await;
    let begun: Vec<i64> = asked.into_iter().flatten().collect();
    assert_eq!(begun, [1], "two of three are told that a run is under way");

    let mut workers = vec![house.start(&["worker"]), house.start(&["worker"])];
    house
        .until("a worker has created some accounts", async || {
            house.sandbox.count(Call::AccountCreate) > 20
        })
        .await;
    let syncs = [house.program.start(&SYNC), house.program.start(&SYNC)];
    let carrier = house.carrier().await.expect("nobody carries the run");
    let killed = workers
        .iter()
        .position(|worker| worker.id() == Some(carrier))
        .expect("a worker carries the run");
    let mut killed = workers.swap_remove(killed);
    killed.start_kill().unwrap();
    killed.wait().await.unwrap();
    let left = house.sandbox.account_count();
    assert!(left < program::in_scope(&house.sandbox).len(), "{left}");

    let ended = join_all(syncs.map(|sync| sync.wait_with_output())).await;
    let mut runs = BTreeSet::new();
    for output in ended {
        let output = output.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let result: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{result}");
        assert_eq!(result["outcome"], "completed", "{result}");
        runs.insert(result["run"].to_string());
    }
    assert_eq!(runs.len(), 1, "both followed the same run");
    assert_each_person_was_created_once(&house).await;
    house.until("the dead worker's job was recovered", async || {
        house.number("SELECT count(*) FROM graphile_worker._private_jobs WHERE locked_at IS NOT NULL")
            .await
            == 0
    })
    .await;
    assert_eq!(house.number("SELECT count(*) FROM runs").await, 1);
    assert_eq!(house.open_runs().await, 0, "a run is stuck");
}

#[sqlx::test(migrations = "./migrations")]
async fn syncs_started_at_once_are_one_run_and_another_goes_on_when_the_carrier_is_killed(
    pool: PgPool,
) {
    let house = House::open(pool).await;
    let mut syncs: Vec<_> = (0..3).map(|_| house.program.start(&SYNC)).collect();
    house
        .until("a sync has created some accounts", async || {
            house.sandbox.count(Call::AccountCreate) > 20
        })
        .await;
    let carrier = house.carrier().await.expect("nobody carries the run");
    let killed = syncs
        .iter()
        .position(|sync| sync.id() == Some(carrier))
        .expect("a sync carries the run");
    let mut killed = syncs.swap_remove(killed);
    killed.start_kill().unwrap();
    killed.wait().await.unwrap();
    for sync in syncs {
        let output = sync.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
    assert_each_person_was_created_once(&house).await;
    assert_eq!(house.number("SELECT count(*) FROM runs").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stop_at_one_console_ends_the_run_of_another_process_between_two_requests(pool: PgPool) {
    let house = House::open(pool).await;
    house.add_administrator().await;
    let (asking, stopping) = (house.console().await, house.console().await);
    let number = asking.start_run().await.unwrap();
    let _worker = house.start(&["worker"]);
    house
        .until("the worker has created some accounts", async || {
            house.sandbox.count(Call::AccountCreate) > 20
        })
        .await;
    stopping.stop_run(number).await;
    let at_the_stop = house.sandbox.scim_writes();
    house
        .until("the run is over", async || house.open_runs().await == 0)
        .await;
    let after = house.sandbox.scim_writes() - at_the_stop;
    // What was on its way may still arrive: no more than the app is ever sent at once.
    let at_once = house.most_at_once();
    assert!(after <= at_once, "{after} writes after the stop");
    let state: String = sqlx::query_scalar("SELECT state FROM runs")
        .fetch_one(&house.program.pool)
        .await
        .unwrap();
    assert_eq!(state, "stopped");
    let in_doubt = "SELECT count(*) FROM operations WHERE state IN ('planned', 'sending')";
    assert_eq!(house.number(in_doubt).await, 0);

    let (code, result) = house.program.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (0, &"completed".into()),
        "{result}"
    );
    assert_each_person_was_created_once(&house).await;
}
