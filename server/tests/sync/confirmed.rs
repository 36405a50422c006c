//! The cause of a removal is confirmed by what was read, never by what could not be read.

use provisioning::config::{GroupRef, Members, OrgUnitAccess, ScopeGroup};
use server::sandbox::{Call, Failure, Fault};
use server::store::operations;
use server::store::runs::{self, NewRun, Run, RunId, RunKind};
use server::sync::run::carry_out;
use sqlx::PgPool;

use crate::house::House;
use crate::once::newcomer;

const TEAM: &str = "roll.team@northmoor.example";
const STAFF: [&str; 3] = [
    "ada.member@northmoor.example",
    "ben.member@northmoor.example",
    "cyd.member@northmoor.example",
];

/// Three people have accounts through a group, and have just left it.
async fn a_team_that_left(pool: PgPool) -> House {
    let house = House::build_with(
        pool,
        |_| {},
        |config| {
            config.scope.everyone = false;
            config.scope.groups.push(ScopeGroup {
                group: GroupRef {
                    id: None,
                    email: TEAM.to_owned(),
                    name: None,
                },
                members: Members::Nested,
            });
        },
    )
    .await;
    for email in STAFF {
        newcomer(&house, email);
    }
    change(&house, |directory| {
        directory.add_group(TEAM, "Team").unwrap();
        STAFF
            .iter()
            .for_each(|one| directory.add_member(TEAM, one).unwrap());
    });
    assert_eq!(house.run().await.applied.create, 3);
    change(&house, |directory| {
        STAFF
            .iter()
            .for_each(|one| directory.remove_member(TEAM, one).unwrap());
    });
    house.sandbox.forget_requests();
    house
}

fn change(house: &House, how: impl FnOnce(&mut server::sandbox::Directory)) {
    house
        .sandbox
        .change_directory(|directory, _| {
            how(directory);
            Ok::<_, server::sandbox::DirectoryError>(())
        })
        .unwrap();
}

async fn queued(house: &House, kind: RunKind, plan_of: Option<RunId>) -> RunId {
    queued_as(house, kind, plan_of, 1).await
}

async fn queued_as(
    house: &House,
    kind: RunKind,
    plan_of: Option<RunId>,
    config_version: i32,
) -> RunId {
    let mut db = house.engine.connection().await.unwrap();
    let new = NewRun {
        app: house.app,
        kind,
        actor: "test",
        config_version,
        fresh_import: true,
        plan_of,
    };
    runs::queue(&mut db, &new, house.engine.clock.now())
        .await
        .unwrap()
        .0
}

async fn previewed(house: &House) -> RunId {
    let preview = queued(house, RunKind::Preview, None).await;
    carry_out(&house.engine.counting_anew(), preview)
        .await
        .unwrap();
    assert_eq!(house.read(preview).await.planned.suspend, 3);
    preview
}

async fn approved(house: &House, preview: RunId) -> Run {
    let run = queued(house, RunKind::Manual, Some(preview)).await;
    carry_out(&house.engine.counting_anew(), run).await.unwrap();
    house.read(run).await
}

#[sqlx::test(migrations = "./migrations")]
async fn people_who_left_the_group_are_suspended_after_one_listing_of_it(pool: PgPool) {
    let house = a_team_that_left(pool).await;
    let preview = previewed(&house).await;
    house.sandbox.forget_requests();
    assert_eq!(approved(&house, preview).await.applied.suspend, 3);
    assert_eq!(house.sandbox.count(Call::MembersList), 1);
    assert_eq!(house.sandbox.count(Call::CustomerGet), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_group_that_can_not_be_listed_removes_nobody_and_is_not_asked_for_each_person(
    pool: PgPool,
) {
    let house = a_team_that_left(pool).await;
    let preview = previewed(&house).await;
    house.sandbox.forget_requests();
    house.sandbox.inject(Fault::always(
        Call::MembersList,
        Failure::Status { status: 404 },
    ));
    let run = approved(&house, preview).await;
    assert_eq!((run.applied.suspend, run.scim_writes), (0, 0));
    assert_eq!(house.sandbox.count(Call::MembersList), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_nested_group_that_is_newer_than_the_import_is_looked_into(pool: PgPool) {
    let house = a_team_that_left(pool).await;
    let preview = previewed(&house).await;
    let nested = "roll.nested@northmoor.example";
    change(&house, |directory| {
        directory.add_group(nested, "Nested").unwrap();
        directory.add_member(TEAM, nested).unwrap();
        directory.add_member(nested, STAFF[0]).unwrap();
    });
    let run = approved(&house, preview).await;
    assert_eq!(run.applied.suspend, 2);
    assert!(house.sandbox.account(STAFF[0]).unwrap().active);
}

#[sqlx::test(migrations = "./migrations")]
async fn another_customers_directory_confirms_nothing(pool: PgPool) {
    let house = a_team_that_left(pool).await;
    let preview = previewed(&house).await;
    sqlx::query("UPDATE directory_connection SET customer_id = 'C0another'")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    let run = approved(&house, preview).await;
    assert_eq!((run.applied.suspend, run.scim_writes), (0, 0));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_removal_that_was_begun_before_a_crash_is_confirmed_with_its_groups(pool: PgPool) {
    let house = a_team_that_left(pool).await;
    let preview = previewed(&house).await;
    // The process died right after the journal's entry, before anything left.
    let run = queued(&house, RunKind::Manual, Some(preview)).await;
    let mut db = house.engine.connection().await.unwrap();
    operations::copy_plan(&mut db, preview, run).await.unwrap();
    sqlx::query(
        "UPDATE runs SET state = 'running', stage = 'apply', started_at = queued_at WHERE id = $1",
    )
    .bind(run.0)
    .execute(&mut *db)
    .await
    .unwrap();
    sqlx::query("UPDATE operations SET state = 'sending', attempts = 1 WHERE run_id = $1")
        .bind(run.0)
        .execute(&mut *db)
        .await
        .unwrap();
    drop(db);
    change(&house, |directory| {
        directory.add_member(TEAM, STAFF[1]).unwrap();
    });
    carry_out(&house.engine.counting_anew(), run).await.unwrap();
    assert_eq!(house.read(run).await.applied.suspend, 2);
    assert!(house.sandbox.account(STAFF[1]).unwrap().active);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_org_unit_that_was_renamed_since_the_import_removes_nobody(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let (path, name) = house.sandbox.directory(|directory| {
        let person = (directory.living())
            .filter(|person| person.suspended_at.is_none())
            .find(|person| directory.path_of(&person.org_unit) != "/")
            .unwrap();
        let path = directory.path_of(&person.org_unit);
        let name = path.rsplit('/').next().unwrap().to_owned();
        (path, name)
    });
    house
        .change_config(|config| {
            config.safety.hold_count = 1000;
            config.safety.hold_max = 1000;
            config.safety.hold_percent = 100;
            config.access.org_units.push(OrgUnitAccess {
                path: path.clone(),
                id: None,
                on: false,
            });
        })
        .await;
    let preview = queued_as(&house, RunKind::Preview, None, 2).await;
    carry_out(&house.engine.counting_anew(), preview)
        .await
        .unwrap();
    let planned = house.read(preview).await.planned.suspend;
    assert!(planned > 0);
    change(&house, |directory| {
        let renamed = format!("{name} of late");
        directory.rename_org_unit(&path, &renamed).unwrap();
    });
    let run = queued_as(&house, RunKind::Manual, Some(preview), 2).await;
    carry_out(&house.engine.counting_anew(), run).await.unwrap();
    let run = house.read(run).await;
    assert_eq!(run.applied.suspend, 0, "{run:?}");
    assert_eq!(house.run().await.applied.suspend, planned, "by its id");
}
