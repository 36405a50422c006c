//! A reading of the directory as a whole: it ends when it may not go on, and is told as it is kept.

use std::time::Duration;

use server::sandbox::{Call, Failure, Fault};
use server::store::imports;
use server::store::runs::{self, RunState};
use server::store::statistics;
use server::sync::cycle;
use server::sync::run::{self, Carried, carry_out};
use sqlx::{PgConnection, PgPool};

use crate::house::House;

/// Google answers the first page of people, and then nothing for an hour.
async fn stuck(pool: PgPool) -> House {
    let house = House::build_with(pool, |sandbox| sandbox.people = 600, |_| {}).await;
    let hour = Failure::Latency {
        milliseconds: 3_600_000,
    };
    house
        .sandbox
        .inject(Fault::always(Call::UsersList, hour).after(1));
    house
}

async fn second_page_is_asked_for(house: &House) {
    while house.sandbox.count(Call::UsersList) < 2 {
        tokio::task::yield_now().await;
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reading_ends_when_the_process_shuts_down_and_another_can_begin_at_once(pool: PgPool) {
    let house = stuck(pool).await;
    let queued = house.queue().await;
    let engine = house.engine.counting_anew();
    let carrying = tokio::spawn(async move { carry_out(&engine, queued).await });
    second_page_is_asked_for(&house).await;
    house.engine.shutdown().cancel();
    let carried = tokio::time::timeout(Duration::from_secs(60), carrying)
        .await
        .expect("it goes on reading")
        .unwrap()
        .unwrap();
    assert_eq!(carried, Carried::Released);
    assert_eq!(house.read(queued).await.state, RunState::Running);
    assert!(run::begin_reading(&house.engine).await.unwrap().is_some());
    assert!(house.events("Import failed").await.is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reading_ends_when_its_run_is_stopped(pool: PgPool) {
    let house = stuck(pool).await;
    let queued = house.queue().await;
    let engine = house.engine.counting_anew();
    let carrying = tokio::spawn(async move { carry_out(&engine, queued).await });
    second_page_is_asked_for(&house).await;
    let mut db = house.engine.connection().await.unwrap();
    assert!(runs::request_stop(&mut db, queued, "ines").await.unwrap());
    drop(db);
    tokio::time::timeout(Duration::from_secs(60), carrying)
        .await
        .expect("it goes on reading")
        .unwrap()
        .unwrap();
    let run = house.read(queued).await;
    assert_eq!(
        (run.state, run.error_code.as_deref()),
        (RunState::Stopped, Some("stopped"))
    );
    assert_eq!(house.sandbox.scim_requests(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reading_counts_only_together_with_its_line_in_the_log(pool: PgPool) {
    let house = House::build_with(pool, |sandbox| sandbox.people = 60, |_| {}).await;
    for statement in [
        "CREATE FUNCTION refuse_events() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.event = 'Import completed' THEN RAISE EXCEPTION 'no log'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER refuse_events BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_events()",
    ] {
        sqlx::query(statement).execute(&house.engine.pool).await.unwrap();
    }
    let import = run::begin_reading(&house.engine).await.unwrap().unwrap();
    run::read_begun(&house.engine, import, "test")
        .await
        .unwrap_err();
    let mut db = house.engine.connection().await.unwrap();
    assert!(imports::latest_complete(&mut db).await.unwrap().is_none());
}

/// How many rows the database expects of what this import staged.
async fn expected(db: &mut PgConnection, import: i64) -> i64 {
    let explain =
        format!("EXPLAIN (FORMAT JSON) SELECT FROM people_seen_staging WHERE import_id = {import}");
    let plan: serde_json::Value = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .fetch_one(db)
        .await
        .unwrap();
    plan[0]["Plan"]["Plan Rows"].as_i64().unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn the_database_knows_how_much_an_import_staged_before_it_compares_it(pool: PgPool) {
    let mut db = pool.acquire().await.unwrap();
    for statement in [
        "INSERT INTO people_seen_staging SELECT 1, gen_random_uuid() FROM generate_series(1, 20000)",
        "ANALYZE people_seen_staging",
        "DELETE FROM people_seen_staging",
        "INSERT INTO people_seen_staging SELECT 2, gen_random_uuid() FROM generate_series(1, 20000)",
    ] {
        sqlx::query(statement).execute(&mut *db).await.unwrap();
    }
    let before = expected(&mut db, 2).await;
    assert!(before < 100, "{before}: else this shows nothing");
    statistics::refresh_staging(&mut db).await.unwrap();
    let after = expected(&mut db, 2).await;
    assert!((15_000..25_000).contains(&after), "{after}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_each_minute_reads_the_directory_itself(pool: PgPool) {
    let house = House::build_with(
        pool,
        |sandbox| sandbox.people = 20,
        |config| config.interval_minutes = 1,
    )
    .await;
    house.run_scheduled().await;
    house.sandbox.forget_requests();
    house.pass(chrono::TimeDelta::minutes(1));
    house.run_scheduled().await;
    assert!(house.sandbox.count(Call::UsersList) > 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn without_a_directory_a_cycle_ends_as_a_matter_of_configuration(pool: PgPool) {
    let house = House::build_with(pool, |sandbox| sandbox.people = 20, |_| {}).await;
    sqlx::query("DELETE FROM directory_connection")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    let app = house.app().await;
    let cycle = cycle::run(&house.engine, &app, false, "test")
        .await
        .unwrap();
    assert_eq!(cycle.exit_code(), 2, "{cycle:?}");
}
