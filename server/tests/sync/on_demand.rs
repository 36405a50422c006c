//! One person now (S8.3): the same run as any other, for one person who is read afresh.

use chrono::TimeDelta;
use provisioning::config::{GroupRef, Members, ScopeGroup};
use provisioning::identity::{GroupId, PersonId};
use provisioning::scope::Verdict;
use serde_json::json;
use server::clock::Clock as _;
use server::sandbox::{Call, Failure, Fault, NewPerson};
use server::store::imports::{self, ImportCounts, SmallListings};
use server::store::runs::{self, RunId, RunKind, RunState};
use server::store::{failures, people};
use server::sync::cycle::{self, CycleOutcome};
use server::sync::on_demand::{self, OnDemand};
use server::sync::run::carry_out;
use server::sync::trace::Stage;
use sqlx::PgPool;

use crate::house::House;
use crate::isolation::{NORA, OTTO};
use crate::lifecycle::somebody;
use crate::once::newcomer;
use crate::renamed::{id as id_of, readdress};

fn id(house: &House, key: &str) -> PersonId {
    let id = (house.sandbox)
        .directory(|directory| directory.person(key).unwrap().id.as_str().to_owned());
    PersonId::from(id)
}

async fn provision(house: &House, key: &str) -> OnDemand {
    let app = house.app().await;
    on_demand::provision(&house.engine, &app, &id(house, key), "test")
        .await
        .unwrap()
}

/// The stages in their order, each once, and whether any step refused.
fn told(done: &OnDemand) -> (Vec<Stage>, bool) {
    let mut stages: Vec<Stage> = done.steps.iter().map(|step| step.stage).collect();
    stages.dedup();
    let refused = (done.steps.iter()).any(|step| step.result == Verdict::Fail);
    (stages, refused)
}

fn hire(house: &House, given_name: &str) -> String {
    (house.sandbox)
        .change_directory(|directory, now| {
            let new = NewPerson {
                given_name: given_name.to_owned(),
                family_name: "Novak".to_owned(),
                ..NewPerson::default()
            };
            directory.add_person(new, now)
        })
        .unwrap()
        .primary_email
}

#[sqlx::test(migrations = "./migrations")]
async fn a_newcomer_gets_an_account_at_once_and_every_step_is_told(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let before = house.app().await;
    let listings = house.sandbox.count(Call::UsersList);
    house.pass(TimeDelta::minutes(5));
    let email = hire(&house, "Nadia");
    let done = provision(&house, &email).await;
    assert_eq!(done.cycle.outcome, CycleOutcome::Completed, "{done:?}");
    assert_eq!(done.cycle.applied.create, 1);
    assert_eq!(done.cycle.requests.scim_writes, 1);
    assert!(
        done.cycle.requests.directory <= 8,
        "{:?}",
        done.cycle.requests
    );
    assert_eq!(
        house.sandbox.count(Call::UsersList),
        listings,
        "nobody else is read"
    );
    let (stages, refused) = told(&done);
    assert_eq!(
        stages,
        [
            Stage::Directory,
            Stage::Rule,
            Stage::Plan,
            Stage::Sent,
            Stage::Answer
        ]
    );
    assert!(!refused);
    let sent = done.steps.iter().find(|step| step.stage == Stage::Sent);
    let sent = sent.unwrap().data.as_ref().unwrap();
    assert_eq!(
        (&sent["method"], &sent["path"]),
        (&"POST".into(), &"/Users".into())
    );
    assert_eq!(sent["body"]["userName"], email);
    assert!(house.sandbox.account(&email).unwrap().active);

    let after = house.app().await;
    assert_eq!(
        (after.next_run_at, after.last_run_at),
        (before.next_run_at, before.last_run_at),
        "the schedule is that of runs for everybody"
    );
    assert_eq!(house.events("Run started").await.len(), 1);

    // Google may list somebody new later than it knows them.
    let person = id(&house, &email);
    house.sandbox.leave_out(person.as_str());
    house.pass(TimeDelta::hours(1));
    let run = house.run().await;
    assert_eq!(
        (run.state, run.scim_writes),
        (RunState::Completed, 0),
        "{run:?}"
    );
    assert!(house.sandbox.account(&email).unwrap().active);
    house.sandbox.clear_faults();
    house.pass(TimeDelta::hours(1));
    assert_eq!(house.run().await.scim_writes, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn who_reports_to_a_manager_with_a_new_account_follows_with_the_next_run_for_everybody(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    house.run().await;
    let report = somebody(&house).await;
    (house.sandbox)
        .change_directory(|directory, _| {
            let manager = json!([{ "type": "manager", "value": "nadia.novak@northmoor.example" }]);
            directory.set_free(&report, "relations", Some(&manager))
        })
        .unwrap();
    house.run().await;
    house.run().await;
    let manager = hire(&house, "Nadia");
    let done = provision(&house, &manager).await;
    assert_eq!(done.cycle.applied.create, 1);
    assert_eq!(done.cycle.requests.scim_writes, 1, "nobody else is written");
    assert_eq!(house.run().await.applied.update, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_due_is_sent_once_and_the_next_time_nothing(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    (house.sandbox)
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    house.pass(TimeDelta::minutes(5));
    let done = provision(&house, &email).await;
    assert_eq!(
        (done.cycle.applied.suspend, done.cycle.requests.scim_writes),
        (1, 1)
    );
    assert!(!house.sandbox.account(&email).unwrap().active);
    house.pass(TimeDelta::minutes(5));
    let again = provision(&house, &email).await;
    assert_eq!(again.cycle.requests.scim_writes, 0);
    assert_eq!(again.cycle.exit_code(), 0);
    assert_eq!(told(&again).0, [Stage::Directory, Stage::Rule, Stage::Plan]);
    house.pass(TimeDelta::hours(1));
    assert_eq!(house.run().await.scim_writes, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_deleted_person_and_a_purged_one_are_told_apart_and_both_lose_their_account(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    let person = id(&house, &email);
    (house.sandbox)
        .change_directory(|directory, now| directory.delete(&email, now))
        .unwrap();
    house.sandbox.inject(
        Fault::always(Call::UserGet, Failure::Status { status: 404 }).about(person.as_str()),
    );
    house.pass(TimeDelta::minutes(5));
    let app = house.app().await;
    let done = on_demand::provision(&house.engine, &app, &person, "test")
        .await
        .unwrap();
    assert_eq!(done.cycle.applied.suspend, 1, "{done:?}");
    let gets = house.sandbox.count(Call::UserGet);
    assert_eq!(
        gets, 3,
        "twice before it is believed, once before it is sent"
    );
    let mut db = house.engine.connection().await.unwrap();
    let stored = people::get(&mut db, &person).await.unwrap().unwrap();
    assert!(stored.purged);
    let by_address = people::find_purged(&mut db, &email.to_uppercase()).await;
    assert_eq!(by_address.unwrap(), [person], "the shell still names them");
}

#[sqlx::test(migrations = "./migrations")]
async fn protected_people_keep_their_account_and_whoever_is_held_stays_held(pool: PgPool) {
    let house = House::build_with(pool, |sandbox| sandbox.people = 60, |_| {}).await;
    house.run().await;
    let patches = house.sandbox.count(Call::AccountPatch);
    let emails: Vec<String> = (house.sandbox.recorded().into_iter())
        .filter(|call| call.method == "POST")
        .filter_map(|call| Some(call.body.get("userName")?.as_str()?.to_owned()))
        .filter(|email| email != server::sandbox::ADMINISTRATOR)
        .take(13)
        .collect();
    let suspend = |email: &str| {
        (house.sandbox)
            .change_directory(|directory, now| directory.suspend(email, now))
            .unwrap();
    };
    emails[..11].iter().for_each(|email| suspend(email));
    house.pass(TimeDelta::hours(1));
    let run = house.run().await;
    assert_eq!((run.state, run.held), (RunState::Held, 11), "{run:?}");

    let held = provision(&house, &emails[0]).await;
    assert_eq!(held.cycle.exit_code(), 4, "{held:?}");
    assert_eq!(told(&held).0.last(), Some(&Stage::Check));
    // One more is no way around the review.
    suspend(&emails[11]);
    let more = provision(&house, &emails[11]).await;
    assert_eq!(more.cycle.exit_code(), 4, "{more:?}");

    house
        .change_config(|stored| {
            stored.safety.protected = vec![provisioning::config::PersonRef {
                id: Some(id(&house, &emails[12])),
                email: emails[12].clone(),
            }];
        })
        .await;
    suspend(&emails[12]);
    let kept = provision(&house, &emails[12]).await;
    assert_eq!(kept.cycle.exit_code(), 0);
    assert!(
        (kept.steps.iter()).any(|step| step.step == "protected"),
        "{kept:?}"
    );
    assert_eq!(house.sandbox.count(Call::AccountPatch), patches);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_failed_is_tried_again_at_once_and_told_when_it_fails_again(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = hire(&house, "Nadia");
    let refused = Fault::always(Call::AccountCreate, Failure::Status { status: 400 });
    house.sandbox.inject(refused);
    house.pass(TimeDelta::hours(1));
    assert_eq!(house.run().await.failed, 1);
    house.pass(TimeDelta::minutes(1));
    let failed = provision(&house, &email).await;
    assert_eq!(failed.cycle.exit_code(), 3, "{failed:?}");
    let answer = failed.steps.last().unwrap();
    assert_eq!(
        (answer.stage, answer.result),
        (Stage::Answer, Verdict::Fail)
    );
    assert_eq!(answer.data.as_ref().unwrap()["status"], 400);
    house.sandbox.clear_faults();
    assert_eq!(provision(&house, &email).await.cycle.applied.create, 1);
    let mut db = house.engine.connection().await.unwrap();
    assert!(failures::all(&mut db, house.app).await.unwrap().is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn groups_are_those_that_google_says_now_and_a_moved_org_unit_means_a_whole_reading(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    let (group, address) = (house.sandbox)
        .change_directory(|directory, _| {
            let group = directory.add_group("pilots@northmoor.example", "Pilots")?;
            directory.add_member(&group.email, server::sandbox::ADMINISTRATOR)?;
            Ok::<_, server::sandbox::DirectoryError>((group.id.as_str().to_owned(), group.email))
        })
        .unwrap();
    house
        .change_config(|config| {
            config.scope.groups = vec![ScopeGroup {
                group: GroupRef {
                    id: Some(GroupId::from(group.clone())),
                    email: address.clone(),
                    name: None,
                },
                members: Members::Direct,
            }];
        })
        .await;
    let run = house.run().await;
    assert_eq!(run.applied.create + run.applied.link, 1, "{run:?}");
    let email = hire(&house, "Nadia");
    house.pass(TimeDelta::minutes(5));
    let outside = provision(&house, &email).await;
    assert_eq!(outside.cycle.applied.skipped, 1, "{outside:?}");
    (house.sandbox)
        .change_directory(|directory, _| directory.add_member(&address, &email))
        .unwrap();
    let members = house.sandbox.count(Call::MembersList);
    let inside = provision(&house, &email).await;
    assert_eq!(inside.cycle.applied.create, 1, "{inside:?}");
    assert_eq!(house.sandbox.count(Call::MembersList), members);

    let unit = (house.sandbox).directory(|directory| {
        let units = directory.org_units.values();
        units
            .map(|unit| directory.path_of(&unit.id))
            .find(|path| path.matches('/').count() == 1 && path.len() > 1)
    });
    (house.sandbox)
        .change_directory(|directory, _| directory.rename_org_unit(&unit.unwrap(), "Renamed"))
        .unwrap();
    let listings = house.sandbox.count(Call::UsersList);
    let whole = provision(&house, &email).await;
    assert_eq!(whole.cycle.exit_code(), 0, "{whole:?}");
    assert!(house.sandbox.count(Call::UsersList) > listings);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_for_everybody_comes_after_one_for_some_and_is_not_mistaken_for_it(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    hire(&house, "Nadia");
    house.pass(TimeDelta::hours(1));
    let app = house.app().await;
    let mut db = house.engine.connection().await.unwrap();
    let person = id(&house, &email);
    let queued = on_demand::queue(
        &mut db,
        &house.engine,
        &app,
        &person,
        RunKind::Manual,
        "test",
    );
    let for_one: RunId = queued.await.unwrap().unwrap();
    let refused = on_demand::queue(
        &mut db,
        &house.engine,
        &app,
        &person,
        RunKind::Manual,
        "test",
    );
    assert_eq!(refused.await.unwrap(), None, "one run at a time");
    let cycle = cycle::run(&house.engine, &app, false, "test")
        .await
        .unwrap();
    assert_ne!(cycle.run, Some(for_one));
    assert_eq!(cycle.applied.create, 1, "{cycle:?}");
    let first = runs::get(&mut db, for_one).await.unwrap().unwrap();
    assert_eq!((first.state, first.people), (RunState::Completed, 1));
    let carried = carry_out(&house.engine, for_one).await.unwrap();
    assert_eq!(carried, server::sync::run::Carried::TakenElsewhere);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_listing_from_before_does_not_undo_what_was_read_alone_since(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    let person = id(&house, &email);
    house.pass(TimeDelta::minutes(5));
    let mut db = house.engine.connection().await.unwrap();
    let begun = imports::begin(&mut db, house.clock.now()).await.unwrap();
    let import = begun.unwrap();
    let listed = people::get(&mut db, &person).await.unwrap().unwrap().person;
    let listed = imports::ReadPerson {
        person: listed,
        written: None,
    };
    imports::stage_people(&mut db, import, &[listed])
        .await
        .unwrap();
    house.pass(TimeDelta::minutes(1));
    (house.sandbox)
        .change_directory(|directory, _| directory.set_title(&email, Some("Newer")))
        .unwrap();
    assert_eq!(provision(&house, &email).await.cycle.applied.update, 1);
    let (small, counts) = (SmallListings::default(), ImportCounts::default());
    let odd = serde_json::json!([]);
    let now = house.clock.now();
    assert!(
        imports::merge(&mut db, import, &small, &counts, &odd, now)
            .await
            .unwrap()
    );
    let kept = people::get(&mut db, &person).await.unwrap().unwrap().person;
    let title = kept.attributes["organizations"][0]["title"].as_str();
    assert_eq!(title, Some("Newer"));
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_takes_a_name_alone_waits_for_the_run_that_frees_it_and_is_no_failure(
    pool: PgPool,
) {
    let house = House::build(pool).await;
    newcomer(&house, NORA);
    newcomer(&house, OTTO);
    house.run().await;
    let (nora, otto) = (id_of(&house, NORA), id_of(&house, OTTO));
    house.pass(TimeDelta::minutes(5));
    readdress(
        &house,
        &[(&otto, "third.name@northmoor.example"), (&nora, OTTO)],
    );
    let alone = provision(&house, nora.as_str()).await;
    assert_eq!(alone.cycle.requests.scim_writes, 0, "{alone:?}");
    let last = alone.steps.last().unwrap();
    assert_eq!((last.stage, last.result), (Stage::Check, Verdict::Fail));
    house.pass(TimeDelta::hours(1));
    let run = house.run().await;
    assert_eq!((run.applied.update, run.failed), (2, 0), "{run:?}");
}
