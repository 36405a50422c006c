//! Whose directory it is, and which apps stop and go on with it (S1.1, S3.2, S7.1).

use server::clock::Clock as _;
use server::configuration::{self, By};
use server::sandbox::Call;
use server::store::apps::{self, AppId, AppState};
use server::store::connection;
use server::store::runs::{RunKind, RunState};
use server::sync::run;
use sqlx::PgPool;

use crate::house::House;

async fn state(house: &House, app: AppId) -> AppState {
    let mut db = house.engine.connection().await.unwrap();
    apps::get(&mut db, app).await.unwrap().unwrap().state
}

async fn set(house: &House, app: AppId, state: AppState) {
    let mut db = house.engine.connection().await.unwrap();
    apps::set_state(&mut db, app, &state, house.clock.now())
        .await
        .unwrap();
}

fn code(state: &AppState) -> &str {
    match state {
        AppState::Stopped { code, .. } => code,
        other => other.word(),
    }
}

fn another_customer_answers(house: &House) -> String {
    house.sandbox.change_directory(|directory, _| {
        std::mem::replace(&mut directory.customer_id, "C0another".to_owned())
    })
}

async fn small(pool: PgPool) -> House {
    House::build_with(pool, |sandbox| sandbox.people = 60, |_| {}).await
}

#[sqlx::test(migrations = "./migrations")]
async fn a_refused_token_in_a_preview_leaves_the_app_as_it_was(pool: PgPool) {
    let house = small(pool).await;
    house.sandbox.revoke_asana_token(false);
    for before in [AppState::Off, AppState::NotConfigured, AppState::On] {
        set(&house, house.app, before.clone()).await;
        let run = house.run_as(house.app, RunKind::Preview).await;
        assert_eq!(run.error_code.as_deref(), Some("reauthorize"));
        assert_eq!(state(&house, house.app).await, before);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_is_turned_off_meanwhile_stays_off_whatever_its_run_met(pool: PgPool) {
    let house = small(pool).await;
    let as_it_was = house.app().await;
    set(&house, house.app, AppState::Off).await;
    run::stop_app(&house.engine, &as_it_was, "reauthorize", "refused")
        .await
        .unwrap();
    assert_eq!(state(&house, house.app).await, AppState::Off);
    assert!(house.events("App stopped").await.is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_token_resumes_only_what_is_configured_and_still_stopped(pool: PgPool) {
    let house = small(pool).await;
    let stopped = AppState::Stopped {
        code: "reauthorize".to_owned(),
        message: "refused".to_owned(),
    };
    set(&house, house.app, stopped).await;
    let as_it_was = house.app().await;
    set(&house, house.app, AppState::Off).await;
    let by = By {
        actor: "test",
        now: house.clock.now(),
    };
    let mut db = house.engine.connection().await.unwrap();
    assert!(
        !configuration::reauthorize(&mut db, &as_it_was, by)
            .await
            .unwrap()
    );
    assert_eq!(state(&house, house.app).await, AppState::Off);
}

#[sqlx::test(migrations = "./migrations")]
async fn every_app_that_is_on_stops_when_another_customer_answers(pool: PgPool) {
    let house = small(pool).await;
    let second = house.add_app("second", |_| {}).await;
    let off = house.add_app("third", |_| {}).await;
    set(&house, off, AppState::Off).await;
    house.run().await;
    house.sandbox.forget_requests();
    another_customer_answers(&house);
    let run = house.run().await;
    assert_eq!(
        (run.state, run.error_code.as_deref()),
        (RunState::Stopped, Some("directory-changed"))
    );
    for app in [house.app, second] {
        assert_eq!(code(&state(&house, app).await), "directory-changed");
    }
    assert_eq!(state(&house, off).await, AppState::Off);
    assert_eq!(house.events("App stopped").await.len(), 2);
    assert_eq!(house.sandbox.scim_requests(), 0);
    assert_eq!(house.sandbox.count(Call::UsersList), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn apps_go_on_when_the_recorded_directory_answers_again(pool: PgPool) {
    let house = small(pool).await;
    house.run().await;
    let recorded = another_customer_answers(&house);
    house.run().await;
    let off = house.add_app("second", |_| {}).await;
    set(&house, off, AppState::Off).await;
    house
        .sandbox
        .change_directory(|directory, _| directory.customer_id = recorded);
    let import = run::begin_reading(&house.engine).await.unwrap().unwrap();
    run::read_begun(&house.engine, import, "ines@northmoor.example")
        .await
        .unwrap();
    assert_eq!(state(&house, house.app).await, AppState::On);
    assert_eq!(state(&house, off).await, AppState::Off);
    let mut db = house.engine.connection().await.unwrap();
    let saved = connection::read(&mut db).await.unwrap().unwrap();
    assert_eq!(
        (saved.seen_customer_id, saved.seen_primary_domain),
        (None, None)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_that_is_sending_ends_between_two_requests_when_another_customer_answers(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    let import = run::begin_reading(&house.engine).await.unwrap().unwrap();
    run::read_begun(&house.engine, import, "Rollcall")
        .await
        .unwrap();
    let queued = house.queue_as(house.app, RunKind::Scheduled).await;
    let engine = house.engine.counting_anew();
    let carrying = tokio::spawn(async move { run::carry_out(&engine, queued).await });
    while house.sandbox.scim_writes() < 3 && !carrying.is_finished() {
        tokio::task::yield_now().await;
    }
    another_customer_answers(&house);
    let import = run::begin_reading(&house.engine).await.unwrap().unwrap();
    run::read_begun(&house.engine, import, "Rollcall")
        .await
        .unwrap_err();
    let stopped_at = house.sandbox.scim_writes();
    carrying.await.unwrap().unwrap();
    let run = house.read(queued).await;
    assert_eq!(run.state, RunState::Stopped, "{run:?}");
    let in_flight = 15;
    assert!(
        house.sandbox.scim_writes() <= stopped_at + in_flight,
        "{} after {stopped_at}",
        house.sandbox.scim_writes()
    );
}
