//! What is sent is sent once, whoever sends it and whatever becomes of the answer.

use chrono::TimeDelta;
use provisioning::config::{Linking, Policy, Window};
use server::sandbox::{Call, Failure, Fault, NewPerson};
use server::store::apps::{self, AppState};
use server::store::operations::{self, OperationState};
use server::store::runs::{self, RunState};
use server::sync::run::carry_out;
use sqlx::PgPool;

use crate::house::House;
use crate::lifecycle::somebody;

const CREATE: &str = "Create User By Auto Provisioning";
const NEWCOMER: &str = "nora.newcomer@northmoor.example";

/// Somebody new in the directory, manager and reports apart.
pub fn newcomer(house: &House, email: &str) {
    let new = NewPerson {
        given_name: "Nora".to_owned(),
        family_name: "Newcomer".to_owned(),
        primary_email: Some(email.to_owned()),
        ..NewPerson::default()
    };
    house
        .sandbox
        .change_directory(|directory, now| directory.add_person(new, now))
        .unwrap();
}

async fn in_doubt(house: &House) -> usize {
    let mut db = house.engine.connection().await.unwrap();
    operations::in_doubt(&mut db, house.app)
        .await
        .unwrap()
        .len()
}

fn posts(house: &House, email: &str) -> usize {
    house
        .sandbox
        .recorded()
        .iter()
        .filter(|call| call.method == "POST" && call.body["userName"] == email)
        .count()
}

/// How often the log tells of something done to this person.
async fn told(house: &House, event: &str, email: &str) -> usize {
    house
        .events(event)
        .await
        .iter()
        .filter(|event| event.person_email.as_deref() == Some(email) && event.outcome == "ok")
        .count()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_taken_again_beside_its_first_task_sends_each_create_once(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.queue().await;
    let engine = house.engine.counting_anew();
    let first = tokio::spawn(async move { carry_out(&engine, run).await });
    while house.sandbox.scim_writes() < 20 && !first.is_finished() {
        tokio::task::yield_now().await;
    }
    // The process stood still for longer than its lease; its own worker takes the run again.
    sqlx::query("UPDATE runs SET heartbeat_at = now() - interval '1 hour'")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    carry_out(&house.engine.counting_anew(), run).await.unwrap();
    first.await.unwrap().unwrap();
    let ended = house.read(run).await;
    assert_eq!((ended.state, ended.failed), (RunState::Completed, 0));
    let created = house.events(CREATE).await;
    assert_eq!(ended.applied.create as usize, created.len());
    let asked = house
        .sandbox
        .recorded()
        .iter()
        .filter(|call| call.method == "POST")
        .count();
    assert_eq!(asked, created.len(), "each account was asked for once");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_earlier_takes_of_a_run_asked_is_counted_with_the_rest(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.queue().await;
    sqlx::query("UPDATE runs SET scim_reads = 1000, scim_writes = 2000, directory_requests = 3000")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    carry_out(&house.engine.counting_anew(), run).await.unwrap();
    let ended = house.read(run).await;
    assert_eq!(ended.scim_writes as u64, 2000 + house.sandbox.scim_writes());
    assert!(ended.scim_reads > 1000 && ended.directory_requests > 3000);
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_lost_a_run_can_write_nothing_of_it_any_more(pool: PgPool) {
    let house = House::build(pool).await;
    let run = house.queue().await;
    let now = house.engine.clock.now();
    let mut db = house.engine.connection().await.unwrap();
    let before = runs::take(&mut db, run, "one", now).await.unwrap().unwrap();
    assert_eq!(runs::take(&mut db, run, "two", now).await.unwrap(), None);
    sqlx::query("UPDATE runs SET heartbeat_at = now() - interval '31 seconds'")
        .execute(&mut *db)
        .await
        .unwrap();
    let after = runs::take(&mut db, run, "one", now).await.unwrap().unwrap();
    let plan = runs::Stage::Plan;
    assert!(
        !runs::set_stage(&mut db, run, before, plan, now)
            .await
            .unwrap()
    );
    assert!(!runs::hold(&mut db, run, before).await.unwrap());
    assert!(
        !runs::beat(&mut db, run, before, 0, (0, 0, 0))
            .await
            .unwrap()
            .ours
    );
    let ending = runs::Ending {
        lease: Some(before),
        state: RunState::Failed,
        applied: &runs::Counts::default(),
        failed: 0,
        error: None,
        requests: (0, 0, 0),
    };
    assert!(!runs::finish(&mut db, run, &ending, now).await.unwrap());
    assert!(
        runs::set_stage(&mut db, run, after, plan, now)
            .await
            .unwrap()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_create_in_doubt_is_settled_first_by_the_next_run_and_told_as_that_create_once(
    pool: PgPool,
) {
    // Under review, an account found without a link would wait for somebody's decision.
    let house = House::build_with(pool, |_| {}, |config| config.linking = Linking::Review).await;
    house.run().await;
    newcomer(&house, NEWCOMER);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    // The look-up of the plan is answered, those after the lost answer are not.
    sandbox.inject(Fault::always(Call::AccountsList, Failure::Status { status: 500 }).after(1));
    let run = house.run().await;
    assert_eq!(
        (run.state, run.failed, run.applied.create),
        (RunState::Completed, 1, 0)
    );
    assert_eq!(in_doubt(&house).await, 1);

    sandbox.clear_faults();
    sandbox.forget_requests();
    let next = house.run().await;
    assert_eq!(
        (next.planned.create, next.planned.link, next.scim_writes),
        (0, 0, 0)
    );
    assert_eq!(in_doubt(&house).await, 0);
    assert_eq!(told(&house, CREATE, NEWCOMER).await, 1);
    let sent = house.read(run.id).await;
    assert_eq!(
        (sent.applied.create, sent.failed),
        (1, 0),
        "it counts where it was sent"
    );
    sandbox.forget_requests();
    house.run().await;
    assert_eq!(sandbox.scim_requests(), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn while_the_app_can_not_be_asked_a_person_in_doubt_is_left_alone(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NEWCOMER);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    sandbox.inject(Fault::always(Call::AccountsList, Failure::Status { status: 500 }).after(1));
    house.run().await;
    sandbox.forget_requests();
    let next = house.run().await;
    assert_eq!(next.state, RunState::Completed, "{:?}", next.error_message);
    assert_eq!((next.planned.create, next.scim_writes), (0, 0));
    assert_eq!(in_doubt(&house).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_was_made_inactive_is_found_and_not_made_twice(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NEWCOMER);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    sandbox.inject(Fault::always(Call::AccountsList, Failure::Status { status: 500 }).after(1));
    house.run().await;
    sandbox.clear_faults();
    let account = sandbox.account(NEWCOMER).unwrap();
    let url = format!("{}/Users/{}", house.app().await.endpoint, account.id);
    let off = serde_json::json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "active", "value": false }],
    });
    let answer = house
        .engine
        .outgoing()
        .client()
        .patch(url)
        .bearer_auth(sandbox.asana_token())
        .header("content-type", "application/scim+json")
        .body(off.to_string())
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
    sandbox.forget_requests();
    house.run().await;
    assert_eq!(posts(&house, NEWCOMER), 0);
    assert_eq!(told(&house, CREATE, NEWCOMER).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_of_somebody_else_is_never_taken_for_a_lost_create(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NEWCOMER);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    sandbox.inject(Fault::always(Call::AccountsList, Failure::Status { status: 500 }).after(1));
    house.run().await;
    sandbox.clear_faults();
    let account = sandbox.account(NEWCOMER).unwrap();
    sqlx::query(
        "UPDATE links SET account_id = $1 WHERE person_id = (SELECT min(person_id) FROM links)",
    )
    .bind(&account.id)
    .execute(&house.engine.pool)
    .await
    .unwrap();
    sandbox.forget_requests();
    house.run().await;
    assert_eq!(
        posts(&house, NEWCOMER),
        0,
        "nothing is sent while a hit is unclear"
    );
    assert_eq!(told(&house, CREATE, NEWCOMER).await, 0);
    let mut db = house.engine.connection().await.unwrap();
    let failures = server::store::failures::all(&mut db, house.app)
        .await
        .unwrap();
    let codes: Vec<&str> = failures.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["account-unclear"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_refused_at_the_look_up_leaves_the_create_in_doubt_for_the_resumed_app(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NEWCOMER);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    sandbox.inject(Fault::always(Call::AccountsList, Failure::Unauthorized).after(1));
    let run = house.run().await;
    assert_eq!(run.error_code.as_deref(), Some("reauthorize"));
    assert_eq!(in_doubt(&house).await, 1);
    sandbox.clear_faults();
    let mut db = house.engine.connection().await.unwrap();
    apps::set_state(&mut db, house.app, &AppState::On, house.engine.clock.now())
        .await
        .unwrap();
    sandbox.forget_requests();
    house.run().await;
    assert_eq!(posts(&house, NEWCOMER), 0);
    assert_eq!(told(&house, CREATE, NEWCOMER).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_lost_create_that_shows_late_is_known_by_the_conflict_it_causes(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    newcomer(&house, NEWCOMER);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    // "Not found" is what some apps say for an empty list: the account does not show yet.
    sandbox.inject(Fault::always(Call::AccountsList, Failure::Status { status: 404 }).times(4));
    sandbox.forget_requests();
    let run = house.run().await;
    assert_eq!(
        (run.applied.create, run.applied.link, run.failed),
        (1, 0, 0)
    );
    assert_eq!(posts(&house, NEWCOMER), 2, "the second one is refused");
    assert_eq!(told(&house, CREATE, NEWCOMER).await, 1);
}

/// Suspends, brings back, renames and deletes; each answer is lost and can't be looked up in the
/// run that sent it.
#[sqlx::test(migrations = "./migrations")]
async fn a_lost_suspension_return_change_or_deletion_is_settled_by_the_next_run(pool: PgPool) {
    let policy = Policy::new(Some(Window::WITHIN_24_HOURS), Some(Window::SEVEN_DAYS)).unwrap();
    let adapt = |config: &mut provisioning::config::AppConfig| {
        config.deprovisioning.suspended = policy;
    };
    let house = House::build_with(pool, |_| {}, adapt).await;
    house.run().await;
    let email = somebody(&house).await;
    let sandbox = &house.sandbox;
    let steps: [(&str, Call, TimeDelta, &dyn Fn()); 5] = [
        (
            "Update Auto Provisioned User",
            Call::AccountPatch,
            TimeDelta::zero(),
            &|| {
                sandbox
                    .change_directory(|directory, _| directory.set_title(&email, Some("Settled")))
                    .unwrap();
            },
        ),
        (
            "Suspend Auto Provisioned User",
            Call::AccountPatch,
            TimeDelta::zero(),
            &|| {
                sandbox
                    .change_directory(|directory, now| directory.suspend(&email, now))
                    .unwrap();
            },
        ),
        (
            "Unsuspend Auto Provisioned User",
            Call::AccountPatch,
            TimeDelta::zero(),
            &|| {
                sandbox
                    .change_directory(|directory, _| directory.restore(&email))
                    .unwrap();
            },
        ),
        (
            "Suspend Auto Provisioned User",
            Call::AccountPatch,
            TimeDelta::zero(),
            &|| {
                sandbox
                    .change_directory(|directory, now| directory.suspend(&email, now))
                    .unwrap();
            },
        ),
        (
            "Delete Auto Provisioned User",
            Call::AccountDelete,
            TimeDelta::days(8),
            &|| {},
        ),
    ];
    for (event, call, wait, change) in steps {
        let before = told(&house, event, &email).await;
        change();
        house.pass(wait);
        sandbox.inject(Fault::once(call, Failure::DroppedAfter));
        sandbox.inject(Fault::always(
            Call::AccountGet,
            Failure::Status { status: 500 },
        ));
        house.run().await;
        assert_eq!(in_doubt(&house).await, 1, "{event}");
        sandbox.clear_faults();
        sandbox.forget_requests();
        house.run().await;
        assert_eq!(
            (in_doubt(&house).await, sandbox.scim_writes()),
            (0, 0),
            "{event}"
        );
        assert_eq!(told(&house, event, &email).await, before + 1, "{event}");
    }
    assert!(sandbox.account(&email).is_none());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stop_or_an_app_turned_off_ends_between_two_requests_with_nothing_in_doubt(pool: PgPool) {
    let house = House::build(pool).await;
    for off in [false, true] {
        let run = house.queue().await;
        let engine = house.engine.counting_anew();
        house.sandbox.forget_requests();
        let carrying = tokio::spawn(async move { carry_out(&engine, run).await });
        while house.sandbox.scim_writes() < 10 && !carrying.is_finished() {
            tokio::task::yield_now().await;
        }
        let mut db = house.engine.connection().await.unwrap();
        let now = house.engine.clock.now();
        if off {
            apps::set_state(&mut db, house.app, &AppState::Off, now)
                .await
                .unwrap();
        } else {
            runs::request_stop(&mut db, run, "somebody").await.unwrap();
        }
        let at = house.sandbox.scim_writes();
        carrying.await.unwrap().unwrap();
        let ended = house.read(run).await;
        assert_eq!(ended.state, RunState::Stopped);
        let more = house.sandbox.scim_writes() - at;
        assert!(more <= 20, "{more} writes after the stop");
        assert_eq!(in_doubt(&house).await, 0);
        let open = operations::list(
            &mut db,
            run,
            None,
            Some(OperationState::Sending.word()),
            None,
            10,
        );
        assert!(open.await.unwrap().is_empty());
        let applied = ended.applied.create + ended.applied.update;
        assert_eq!(applied, house.sandbox.scim_writes());
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stop_ends_a_reading_of_the_directory_wherever_it_is(pool: PgPool) {
    let house = House::build(pool).await;
    let never = Failure::Latency {
        milliseconds: 600_000,
    };
    house.sandbox.inject(Fault::always(Call::UsersList, never));
    let run = house.queue().await;
    let engine = house.engine.counting_anew();
    let carrying = tokio::spawn(async move { carry_out(&engine, run).await });
    while house.sandbox.count(Call::UsersList) == 0 && !carrying.is_finished() {
        tokio::task::yield_now().await;
    }
    let mut db = house.engine.connection().await.unwrap();
    runs::request_stop(&mut db, run, "somebody").await.unwrap();
    let bound = std::time::Duration::from_secs(30);
    tokio::time::timeout(bound, carrying)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(house.read(run).await.state, RunState::Stopped);
    house.sandbox.clear_faults();
    assert_eq!(
        house.run().await.state,
        RunState::Completed,
        "the next reading begins at once"
    );
}
