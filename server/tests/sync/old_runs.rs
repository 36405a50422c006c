//! An installation that is left alone does not grow by its runs.

use chrono::TimeDelta;
use server::store::measures;
use server::store::old_runs::SKIPPED_PEOPLE_OF_RUNS;
use server::store::runs::Run;
use sqlx::PgPool;

use crate::house::House;
use crate::preview::{file, ines};

async fn numbers(house: &House, of: &str) -> Vec<i64> {
    let query = match of {
        "runs" => "SELECT number FROM runs ORDER BY number",
        _ => {
            "SELECT r.number FROM runs r WHERE EXISTS (SELECT FROM skipped s WHERE s.run_id = r.id) ORDER BY r.number"
        }
    };
    sqlx::query_scalar(query)
        .fetch_all(&house.engine.pool)
        .await
        .unwrap()
}

async fn quiet(house: &House) -> Run {
    let run = house.run().await;
    assert_eq!(run.total, 0, "{run:?}");
    assert!(run.planned.skipped > 0, "somebody is left out: {run:?}");
    run
}

#[sqlx::test(migrations = "./migrations")]
async fn who_was_skipped_is_kept_for_the_newest_runs_only(pool: PgPool) {
    let house = House::build_with(pool, |options| options.people = 20, |_| {}).await;
    house.run().await;
    let mut all = Vec::new();
    for _ in 0..SKIPPED_PEOPLE_OF_RUNS + 3 {
        all.push(quiet(&house).await.number);
    }
    let newest = &all[all.len() - usize::try_from(SKIPPED_PEOPLE_OF_RUNS).unwrap()..];
    assert_eq!(numbers(&house, "skipped").await, newest);
    assert_eq!(numbers(&house, "runs").await.len(), all.len() + 1);
    let forgotten = "who they were is kept for the newest 20 runs";
    let (_, of_old) = file(&house, Some(ines()), all[0]).await;
    assert!(of_old.contains(forgotten), "{of_old}");
    let (_, of_new) = file(&house, Some(ines()), *newest.last().unwrap()).await;
    assert!(!of_new.contains(forgotten), "{of_new}");
}

#[sqlx::test(migrations = "./migrations")]
async fn runs_are_forgotten_when_they_are_old_and_nothing_of_them_is_open(pool: PgPool) {
    let house = House::build_with(pool, |options| options.people = 20, |_| {}).await;
    let first = house.run().await;
    assert!(first.total > 0);
    quiet(&house).await;

    let counted = async || {
        let mut db = house.engine.connection().await.unwrap();
        let runs = measures::runs(&mut db).await.unwrap();
        let requests = measures::requests(&mut db).await.unwrap();
        let runs: i64 = runs.iter().map(|one| one.count).sum();
        (runs, requests[0].directory)
    };
    let before = counted().await;
    house.clock.advance(TimeDelta::days(31));
    let month_later = quiet(&house).await;
    assert_eq!(
        numbers(&house, "runs").await,
        [first.number, month_later.number]
    );
    let after = (before.0 + 1, before.1 + month_later.directory_requests);
    assert_eq!(counted().await, after, "counters never go back");
    let month_later = month_later.number;

    house.clock.advance(TimeDelta::days(401));
    let doubtful = sqlx::query("UPDATE operations SET state = 'sending' WHERE run_id = $1 AND id = (SELECT max(id) FROM operations)")
        .bind(first.id.0)
        .execute(&house.engine.pool)
        .await
        .unwrap();
    assert_eq!(doubtful.rows_affected(), 1);
    let mut db = house.engine.connection().await.unwrap();
    let now = server::clock::Clock::now(&house.clock);
    server::store::old_runs::forget(&mut db, house.app, now)
        .await
        .unwrap();
    assert!(
        numbers(&house, "runs").await.contains(&first.number),
        "what is in doubt stays"
    );
    sqlx::query("UPDATE operations SET state = 'done' WHERE state = 'sending'")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    server::store::old_runs::forget(&mut db, house.app, now)
        .await
        .unwrap();
    assert_eq!(numbers(&house, "runs").await, [month_later]);
}
