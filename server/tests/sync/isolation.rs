//! A person's trouble is theirs alone; an app's trouble is the app's.

use chrono::TimeDelta;
use provisioning::config::PersonRef;
use provisioning::event::EventName;
use serde_json::json;
use server::sandbox::{Call, Failure, Fault, Quirks};
use server::store::failures::{self, FailureLine};
use server::store::operations;
use server::store::runs::{self, NewRun, RunId, RunKind, RunState};
use server::sync::run::carry_out;
use sqlx::PgPool;

use crate::house::House;
use crate::lifecycle::somebody;
use crate::once::newcomer;

pub const NORA: &str = "nora.newcomer@northmoor.example";
pub const OTTO: &str = "otto.newcomer@northmoor.example";

pub async fn failures(house: &House) -> Vec<FailureLine> {
    let mut db = house.engine.connection().await.unwrap();
    failures::all(&mut db, house.app).await.unwrap()
}

/// Operations of a run that were superseded, by person, with the code.
pub async fn superseded(house: &House, run: RunId) -> Vec<(String, String)> {
    let mut db = house.engine.connection().await.unwrap();
    operations::list(&mut db, run, None, Some("superseded"), None, 1000)
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.person_email, one.error_code.unwrap_or_default()))
        .collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn an_answer_with_somebody_elses_account_fails_that_person_and_nobody_else(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    house.sandbox.set_quirks(Quirks {
        name_is_id: true,
        ..Quirks::default()
    });
    newcomer(&house, NORA);
    newcomer(&house, OTTO);
    // The app will answer with an account that is linked already, as one that updates on POST does.
    sqlx::query(
        "UPDATE links SET account_id = $1 WHERE person_id = (SELECT min(person_id) FROM links)",
    )
    .bind(NORA)
    .execute(&house.engine.pool)
    .await
    .unwrap();
    let run = house.run().await;
    assert_eq!(
        (run.state, run.failed, run.applied.create),
        (RunState::Completed, 1, 1)
    );
    let failures = failures(&house).await;
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].person_email.as_str(), failures[0].code.as_str()),
        (NORA, "account-linked")
    );
    assert!(failures[0].permanent);
    let told = house.events(EventName::CreateUser.as_str()).await;
    let told = told.iter().find(|event| event.outcome == "failed").unwrap();
    let detail = told.detail.as_ref().unwrap();
    assert_eq!(
        (&detail["request"]["method"], &detail["response"]["status"]),
        (&json!("POST"), &json!(201)),
        "what was sent and answered, and not what was planned"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_look_up_that_is_not_answered_leaves_that_person_to_a_later_run(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NORA);
    newcomer(&house, OTTO);
    // One look-up with all its retries.
    let refused = Failure::Status { status: 503 };
    house
        .sandbox
        .inject(Fault::always(Call::AccountsList, refused).times(4));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!((run.applied.create, run.failed), (1, 1));
    assert_eq!(failures(&house).await.len(), 1);
    house.sandbox.forget_requests();
    assert_eq!(house.run().await.scim_reads, 0, "not before its time");
    house.pass(TimeDelta::hours(2));
    assert_eq!(house.run().await.applied.create, 1);
    assert_eq!(failures(&house).await.len(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_failed_for_good_waits_until_somebody_asks_for_it_again(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NORA);
    let refused = Failure::Status { status: 400 };
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, refused));
    assert_eq!(house.run().await.failed, 1);
    let told = house.events(EventName::CreateUser.as_str()).await.pop();
    let told = told.unwrap();
    assert_eq!(told.outcome, "failed");
    assert!(told.changes.is_some(), "the log keeps what was to change");
    house.pass(TimeDelta::days(3));
    house.sandbox.forget_requests();
    house.run().await;
    assert_eq!(house.sandbox.scim_writes(), 0);
    house.sandbox.clear_faults();
    let mut db = house.engine.connection().await.unwrap();
    failures::retry_now(&mut db, house.app, None).await.unwrap();
    assert_eq!(house.run().await.applied.create, 1);
    assert_eq!(failures(&house).await.len(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_suspension_that_failed_for_good_does_not_block_a_later_one(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    let sandbox = &house.sandbox;
    let suspend = || {
        sandbox
            .change_directory(|directory, now| directory.suspend(&email, now))
            .unwrap();
    };
    suspend();
    sandbox.inject(Fault::always(
        Call::AccountPatch,
        Failure::Status { status: 400 },
    ));
    sandbox.inject(Fault::always(
        Call::AccountReplace,
        Failure::Status { status: 400 },
    ));
    assert_eq!(house.run().await.failed, 1);
    sandbox.clear_faults();
    assert_eq!(house.run().await.scim_writes, 0, "it waits");
    sandbox
        .change_directory(|directory, _| directory.restore(&email))
        .unwrap();
    house.pass(TimeDelta::hours(1));
    house.run().await;
    assert_eq!(
        failures(&house).await.len(),
        0,
        "there is nothing left to do"
    );
    suspend();
    house.pass(TimeDelta::hours(1));
    assert_eq!(house.run().await.applied.suspend, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_fails_mostly_is_left_alone_early_and_the_log_tells_it_once(pool: PgPool) {
    let house = House::build(pool).await;
    let broken = Failure::Status { status: 400 };
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, broken));
    let run = house.run().await;
    assert!((8..60).contains(&run.failed), "{} failed", run.failed);
    let until = house.app().await.paused_until.unwrap();
    assert_eq!(until, house.engine.clock.now() + TimeDelta::hours(1));
    assert!(house.app().await.next_run_at.unwrap() >= until);
    assert_eq!(house.events("App paused").await.len(), 1);
    house.pass(TimeDelta::hours(1));
    house.run().await;
    let until = house.app().await.paused_until.unwrap();
    assert_eq!(until, house.engine.clock.now() + TimeDelta::hours(2));
    assert_eq!(house.events("App paused").await.len(), 1);
    house.sandbox.clear_faults();
    house.pass(TimeDelta::hours(2));
    let run = house.run().await;
    assert!(run.applied.create > 50, "{run:?}");
    assert_eq!(house.app().await.paused_until, None);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_long_pause_that_the_app_asks_for_ends_the_run_and_fails_nobody(pool: PgPool) {
    let house = House::build(pool).await;
    let pause = Failure::TooManyRequests {
        retry_after: Some(3600),
    };
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, pause).after(5));
    let run = house.run().await;
    assert_eq!((run.state, run.failed), (RunState::Completed, 0), "{run:?}");
    assert!(run.applied.create >= 5);
    let app = house.app().await;
    let until = app.paused_until.unwrap();
    let asked = until - house.engine.clock.now();
    assert!(
        asked > TimeDelta::minutes(50) && asked <= TimeDelta::hours(1),
        "{asked}"
    );
    assert!(app.next_run_at.unwrap() >= until);
    assert_eq!(house.events("App paused").await.len(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn somebody_protected_after_the_preview_keeps_their_account_when_it_is_approved(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    let queue = async |kind, plan_of| {
        let mut db = house.engine.connection().await.unwrap();
        let new = NewRun {
            app: house.app,
            kind,
            actor: "test",
            config_version: 1,
            fresh_import: true,
            plan_of,
        };
        let run = runs::queue(&mut db, &new, house.engine.clock.now())
            .await
            .unwrap()
            .0;
        carry_out(&house.engine.counting_anew(), run).await.unwrap();
        house.read(run).await
    };
    let preview = queue(RunKind::Preview, None).await;
    assert_eq!(preview.planned.suspend, 1);
    let id: String = house
        .sandbox
        .directory(|directory| directory.person(&email).unwrap().id.0.clone());
    house
        .change_config(|config| {
            config.safety.protected.push(PersonRef {
                email: email.clone(),
                id: Some(id.as_str().into()),
            });
        })
        .await;
    let run = queue(RunKind::Manual, Some(preview.id)).await;
    assert_eq!((run.applied.suspend, run.scim_writes), (0, 0));
    let left = superseded(&house, run.id).await;
    // Already the look at the whole plan finds what is not to be.
    assert_eq!(left, [(email, "contradiction".to_owned())]);
}
