use std::time::Duration;

use server::jobs::{self, Queue};
use server::store::runs::{self, NewRun, Run, RunKind, RunState};
use sqlx::PgPool;

use crate::house::House;

/// Looks at the app's first run until it is over. Bounded, and it does not sleep blindly: each
/// look is a query. (The engine's clock is the machine's, so that by a clock that was set earlier
/// the next run may be due at once.)
async fn until_over(house: &House) -> Run {
    let looking = async {
        loop {
            let mut db = house.engine.connection().await.unwrap();
            let first = runs::list(&mut db, house.app, false, 100)
                .await
                .unwrap()
                .pop();
            drop(db);
            if let Some(run) = first.filter(|run| run.state.is_over()) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), looking)
        .await
        .expect("no run ended")
}

fn by_hand(house: &House) -> NewRun<'static> {
    NewRun {
        app: house.app,
        kind: RunKind::Manual,
        actor: "ines.albrecht@northmoor.example",
        config_version: 1,
        fresh_import: true,
        plan_of: None,
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_started_twice_by_hand_is_one_run_and_the_worker_carries_it_out(pool: PgPool) {
    let house = House::build(pool).await;
    let queue = Queue::new(house.engine.clone());
    jobs::migrate(&house.engine.pool).await.unwrap();
    let (first, queued) = queue.start(&by_hand(&house)).await.unwrap();
    let (second, again) = queue.start(&by_hand(&house)).await.unwrap();
    assert_eq!((first, true, false), (second, queued, again));
    let worker = tokio::spawn(jobs::work(house.engine.clone()));
    let run = until_over(&house).await;
    assert_eq!((run.id, run.state), (first, RunState::Completed));
    assert!(run.applied.create > 100);
    house.engine.shutdown().cancel();
    worker.await.unwrap().unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_left_behind_by_a_dead_process_is_found_and_finished_by_a_worker(pool: PgPool) {
    let house = House::build(pool).await;
    jobs::migrate(&house.engine.pool).await.unwrap();
    let run = house.queue().await;
    // Taken by a process that is gone: nobody renews the lease, and no job is left.
    let mut db = house.engine.connection().await.unwrap();
    assert!(
        runs::take(&mut db, run, "gone", house.engine.clock.now())
            .await
            .unwrap()
            .is_some()
    );
    sqlx::query("UPDATE runs SET heartbeat_at = now() - interval '1 hour'")
        .execute(&mut *db)
        .await
        .unwrap();
    drop(db);
    let worker = tokio::spawn(jobs::work(house.engine.clone()));
    let ended = until_over(&house).await;
    assert_eq!((ended.id, ended.state), (run, RunState::Completed));
    house.engine.shutdown().cancel();
    worker.await.unwrap().unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_is_on_is_run_by_schedule_without_anybody_asking(pool: PgPool) {
    let house = House::build(pool).await;
    jobs::migrate(&house.engine.pool).await.unwrap();
    let worker = tokio::spawn(jobs::work(house.engine.clone()));
    let run = until_over(&house).await;
    assert_eq!(
        (run.kind, run.state),
        (RunKind::Scheduled, RunState::Completed)
    );
    let next = house.app().await.next_run_at.unwrap();
    assert_eq!(
        next - run.started_at.unwrap(),
        chrono::TimeDelta::minutes(60)
    );
    house.engine.shutdown().cancel();
    worker.await.unwrap().unwrap();
}
