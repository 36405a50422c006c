//! Accidents that other tools had with Google's directory, each as a whole run that survives it.

use chrono::TimeDelta;
use provisioning::Digest;
use provisioning::config::{AppConfig, GroupRef, Members, ScopeGroup};
use server::sandbox::{ADMINISTRATOR, Call, Failure, Fault, Flag, Rename, Sandbox, SandboxOptions};
use server::store::apps::AppState;
use server::store::imports;
use server::store::runs::{Run, RunState};
use sqlx::PgPool;

use crate::house::House;

const CREW: &str = "crew@northmoor.example";
const NIGHT: &str = "night-crew@northmoor.example";

fn small(options: &mut SandboxOptions) {
    options.people = 60;
}

/// Only members of this group, the nested ones included.
fn only(group: &str) -> impl FnOnce(&mut AppConfig) {
    let group = GroupRef {
        id: None,
        email: group.to_owned(),
        name: None,
    };
    move |config| {
        config.scope.everyone = false;
        config.scope.groups = vec![ScopeGroup {
            group,
            members: Members::Nested,
        }];
    }
}

/// People of the primary domain who are neither suspended nor archived nor guests.
fn staff(sandbox: &Sandbox) -> Vec<String> {
    sandbox.directory(|directory| {
        directory
            .living()
            .filter(|person| {
                person.suspended_at.is_none()
                    && person.archived_at.is_none()
                    && person.guest_of.is_none()
                    && person.primary_email.ends_with("@northmoor.example")
            })
            .map(|person| person.primary_email.clone())
            .collect()
    })
}

/// Six people in a group, six more in a group that is nested in it.
fn crews(sandbox: &Sandbox) {
    let staff = staff(sandbox);
    sandbox.change_directory(|directory, _| {
        directory.add_group(CREW, "Crew").unwrap();
        directory.add_group(NIGHT, "Night crew").unwrap();
        directory.add_member(CREW, NIGHT).unwrap();
        for (group, people) in [(CREW, &staff[..6]), (NIGHT, &staff[6..12])] {
            for person in people {
                directory.add_member(group, person).unwrap();
            }
        }
    });
}

fn id_of(sandbox: &Sandbox, group: &str) -> String {
    sandbox.directory(|directory| directory.group(group).unwrap().id.as_str().to_owned())
}

/// A company of two crews, all twelve of whom have an account.
async fn crewed(pool: PgPool) -> House {
    let house = House::build_with(pool, small, only(CREW)).await;
    crews(&house.sandbox);
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{run:?}");
    assert_eq!(run.applied.create + run.applied.link, 12);
    house.sandbox.forget_requests();
    house.pass(TimeDelta::days(2));
    house
}

fn nothing_was_sent(house: &House, run: &Run, code: &str) {
    assert_eq!(
        (run.state, run.error_code.as_deref()),
        (RunState::Failed, Some(code)),
        "{:?}",
        run.error_message
    );
    assert_eq!(house.sandbox.scim_writes(), 0);
}

async fn all_is_well_again(house: &House) {
    house.sandbox.clear_faults();
    house.pass(TimeDelta::hours(1));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!(house.sandbox.scim_writes(), 0, "{run:?}");
}

// A short answer read as a mass deletion.

#[sqlx::test(migrations = "./migrations")]
async fn a_group_that_answers_without_its_members_empties_no_app(pool: PgPool) {
    let house = crewed(pool).await;
    for group in [CREW, NIGHT] {
        let id = id_of(&house.sandbox, group);
        house
            .sandbox
            .inject(Fault::always(Call::MembersList, Failure::MissingCollection).about(&id));
        let run = house.run().await;
        nothing_was_sent(&house, &run, "scope-unreadable");
        let message = run.error_message.unwrap();
        assert!(message.contains("Crew"), "{message}");
        all_is_well_again(&house).await;
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_group_whose_members_come_short_once_is_listed_again_and_the_run_goes_on(pool: PgPool) {
    let house = crewed(pool).await;
    let id = id_of(&house.sandbox, CREW);
    house
        .sandbox
        .inject(Fault::once(Call::MembersList, Failure::MissingCollection).about(&id));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!(
        (run.planned.unchanged, house.sandbox.scim_writes()),
        (12, 0)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_list_of_groups_that_leaves_out_a_nested_one_removes_none_of_its_members(pool: PgPool) {
    let house = crewed(pool).await;
    for (group, code) in [(NIGHT, "scope-unreadable"), (CREW, "scope-unresolved")] {
        house.sandbox.leave_out(&id_of(&house.sandbox, group));
        let run = house.run().await;
        nothing_was_sent(&house, &run, code);
        all_is_well_again(&house).await;
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_answered_as_unknown_is_not_taken_for_an_empty_company(pool: PgPool) {
    let house = House::build_with(pool, small, |_| {}).await;
    house.run().await;
    house.sandbox.forget_requests();
    house.pass(TimeDelta::days(30));
    // A proxy or a wrong tenant: one person is listed, and nobody else is known.
    let administrator = house.sandbox.directory(|directory| {
        directory
            .person(ADMINISTRATOR)
            .unwrap()
            .id
            .as_str()
            .to_owned()
    });
    let everybody = house.sandbox.directory(Clone::clone);
    house.sandbox.change_directory(|directory, _| {
        directory
            .people
            .retain(|id, _| id.as_str() == administrator);
    });
    let run = house.run().await;
    nothing_was_sent(&house, &run, "directory-shrunk");
    assert!(
        house.sandbox.count(Call::UserGet) <= 20,
        "everybody was asked for by name"
    );
    // The same again: waiting makes it no truer.
    let run = house.run().await;
    nothing_was_sent(&house, &run, "directory-shrunk");
    house
        .sandbox
        .change_directory(|directory, _| *directory = everybody);
    all_is_well_again(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_nested_group_that_was_made_while_groups_were_read_loses_nobody(pool: PgPool) {
    let house = crewed(pool).await;
    let day = "day-crew@northmoor.example";
    let moved = staff(&house.sandbox)[6..12].to_vec();
    house.sandbox.change_directory(|directory, _| {
        directory.add_group(day, "Day crew").unwrap();
        directory.add_member(CREW, day).unwrap();
        for person in &moved {
            directory.add_member(day, person).unwrap();
            directory.remove_member(NIGHT, person).unwrap();
        }
    });
    // The listing of groups was read before; only the members of the crew name it.
    house.sandbox.leave_out(&id_of(&house.sandbox, day));
    let run = house.run().await;
    nothing_was_sent(&house, &run, "scope-unreadable");
    all_is_well_again(&house).await;
}

// One odd object that ends everything.

#[sqlx::test(migrations = "./migrations")]
async fn a_name_that_is_longer_than_an_index_holds_stops_nobody_else(pool: PgPool) {
    let house = crewed(pool).await;
    let staff = staff(&house.sandbox);
    let name = |given: &str| Rename {
        given_name: Some(given.to_owned()),
        ..Rename::default()
    };
    // Nothing that repeats: the database would make it short.
    let endless: String = (0..200)
        .map(|n| Digest::of_json(&serde_json::json!(n)).to_string())
        .collect();
    house.sandbox.change_directory(|directory, _| {
        directory.rename(&staff[0], name(&endless)).unwrap();
        directory.rename(&staff[1], name("Another")).unwrap();
    });
    let before = house.sandbox.account(&staff[0]);
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    let removals = run.planned.suspend + run.planned.delete;
    assert_eq!((run.applied.update, removals), (1, 0), "{run:?}");
    assert_eq!(house.sandbox.account(&staff[0]), before);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_group_that_may_not_be_read_stops_only_the_apps_that_name_it(pool: PgPool) {
    let house = crewed(pool).await;
    let other = house.add_app("fieldnote", |_| {}).await;
    let id = id_of(&house.sandbox, CREW);
    house
        .sandbox
        .inject(Fault::always(Call::MembersList, Failure::Forbidden).about(&id));
    let run = house.run().await;
    nothing_was_sent(&house, &run, "scope-unreadable");
    assert!(run.error_message.unwrap().contains("could not be read"));
    let run = house.run_of(other).await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!(house.app().await.state, AppState::On);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_nested_group_that_may_not_be_read_makes_the_group_around_it_unreadable(pool: PgPool) {
    let house = crewed(pool).await;
    let id = id_of(&house.sandbox, NIGHT);
    for failure in [Failure::Forbidden, Failure::Status { status: 404 }] {
        house
            .sandbox
            .inject(Fault::always(Call::MembersList, failure).about(&id));
        let run = house.run().await;
        nothing_was_sent(&house, &run, "scope-unreadable");
        all_is_well_again(&house).await;
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_named_group_that_vanishes_while_groups_are_read_is_not_an_empty_group(pool: PgPool) {
    let house = crewed(pool).await;
    let id = id_of(&house.sandbox, CREW);
    // In the list of groups, and gone when its members are asked for.
    for call in [Call::MembersList, Call::GroupGet] {
        house
            .sandbox
            .inject(Fault::always(call, Failure::Status { status: 404 }).about(&id));
    }
    let run = house.run().await;
    nothing_was_sent(&house, &run, "scope-unresolved");
    assert!(run.error_message.unwrap().contains("not in the directory"));
    all_is_well_again(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_whom_google_once_does_not_find_is_not_gone(pool: PgPool) {
    let house = House::build_with(pool, small, |_| {}).await;
    house.run().await;
    house.sandbox.forget_requests();
    let email = staff(&house.sandbox).pop().unwrap();
    let id = house
        .sandbox
        .directory(|directory| directory.person(&email).unwrap().id.as_str().to_owned());
    house
        .sandbox
        .change_directory(|directory, now| directory.delete(&email, now))
        .unwrap();
    // The listing of deleted people leaves them out, and the first look-up misses them.
    house.sandbox.inject(Fault::always(
        Call::DeletedUsersList,
        Failure::MissingCollection,
    ));
    house
        .sandbox
        .inject(Fault::once(Call::UserGet, Failure::Status { status: 404 }).about(&id));
    house.run().await;
    let mut db = house.engine.connection().await.unwrap();
    let person = provisioning::identity::PersonId::from(id.as_str());
    let stored = server::store::people::get(&mut db, &person)
        .await
        .unwrap()
        .unwrap();
    assert!(!stored.purged, "one 404 was final");
    assert_eq!(
        stored.person.standing,
        provisioning::identity::Standing::Deleted
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_confirmed_404_is_final_and_not_asked_again(pool: PgPool) {
    let house = House::build_with(pool, small, |_| {}).await;
    house.run().await;
    let email = staff(&house.sandbox).pop().unwrap();
    house
        .sandbox
        .change_directory(|directory, now| directory.delete(&email, now))
        .unwrap();
    house.pass(TimeDelta::days(21));
    house.sandbox.forget_requests();
    house.run().await;
    let mut db = house.engine.connection().await.unwrap();
    let everybody = server::store::people::page(&mut db, None, 10_000)
        .await
        .unwrap();
    drop(db);
    let purged = everybody.iter().filter(|one| one.purged).count();
    assert!(purged > 0);
    assert!(
        house.sandbox.count(Call::UserGet) >= 2 * purged as u64,
        "each 404 is asked again"
    );
    house.sandbox.forget_requests();
    house.run().await;
    assert_eq!(house.sandbox.count(Call::UserGet), 0);
}

// Throttling that kills the reading.

#[sqlx::test(migrations = "./migrations")]
async fn a_throttled_reading_goes_on_where_it_was(pool: PgPool) {
    let house = House::build_with(pool, small, only(CREW)).await;
    crews(&house.sandbox);
    for call in [
        Call::UsersList,
        Call::GroupsList,
        Call::MembersList,
        Call::OrgUnitsList,
    ] {
        house
            .sandbox
            .inject(Fault::once(call, Failure::QuotaExceeded).times(3));
        house.sandbox.inject(
            Fault::once(
                call,
                Failure::TooManyRequests {
                    retry_after: Some(20),
                },
            )
            .times(2),
        );
    }
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!(run.applied.create + run.applied.link, 12);
}

// What Google leaves unsaid is no news.

#[sqlx::test(migrations = "./migrations")]
async fn more_than_one_percent_without_their_flags_fails_however_many_are_deleted(pool: PgPool) {
    let house = House::build_with(pool, |sandbox| sandbox.people = 250, |_| {}).await;
    house.run().await;
    let staff = staff(&house.sandbox);
    house.sandbox.change_directory(|directory, now| {
        for person in &staff[..60] {
            directory.delete(person, now).unwrap();
        }
    });
    // Two of 190 are more than one percent; two of all 250 are not.
    for person in &staff[100..102] {
        house.sandbox.hide_flag(Flag::Suspended, Some(person));
    }
    house.sandbox.forget_requests();
    let run = house.run().await;
    nothing_was_sent(&house, &run, "directory-flags-missing");
}

// A scope that changed since the directory was last read.

#[sqlx::test(migrations = "./migrations")]
async fn a_reading_that_did_not_list_a_group_is_not_shared_with_the_app_that_names_it_since(
    pool: PgPool,
) {
    let house = House::build_with(pool, small, |_| {}).await;
    crews(&house.sandbox);
    house.run().await;
    house.change_config(only(CREW)).await;
    house.pass(TimeDelta::seconds(5));
    let run = house.run_scheduled().await;
    assert_eq!(run.error_message, None);
    let mut db = house.engine.connection().await.unwrap();
    let first = imports::latest_complete(&mut db).await.unwrap().unwrap().id;
    drop(db);
    house.pass(TimeDelta::seconds(5));
    house.run_scheduled().await;
    let mut db = house.engine.connection().await.unwrap();
    let second = imports::latest_complete(&mut db).await.unwrap().unwrap().id;
    assert_eq!(first, second, "a reading that suffices is shared");
}

// Page tokens that never end.

#[sqlx::test(migrations = "./migrations")]
async fn a_listing_that_never_ends_plans_nothing(pool: PgPool) {
    let house = crewed(pool).await;
    for call in [Call::UsersList, Call::GroupsList, Call::MembersList] {
        for failure in [Failure::RepeatedPageToken, Failure::EndlessPages] {
            house.sandbox.inject(Fault::always(call, failure));
            let run = house.run().await;
            nothing_was_sent(&house, &run, "directory-listing-incomplete");
            all_is_well_again(&house).await;
        }
    }
}

// A suspension that never arrives in the app.

#[sqlx::test(migrations = "./migrations")]
async fn a_suspension_arrives_in_the_app_though_the_reading_failed_when_it_happened(pool: PgPool) {
    let house = House::build_with(pool, small, |_| {}).await;
    house.run().await;
    let email = staff(&house.sandbox).pop().unwrap();
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    house
        .sandbox
        .inject(Fault::always(Call::UsersList, Failure::MissingCollection));
    house.sandbox.forget_requests();
    let run = house.run().await;
    nothing_was_sent(&house, &run, "directory-listing-incomplete");
    assert!(house.sandbox.account(&email).unwrap().active);
    house.sandbox.clear_faults();
    let run = house.run().await;
    assert_eq!(run.applied.suspend, 1, "{run:?}");
    assert!(!house.sandbox.account(&email).unwrap().active);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_left_out_of_every_listing_for_a_while_keeps_their_account(pool: PgPool) {
    let house = House::build_with(pool, small, |_| {}).await;
    house.run().await;
    house.sandbox.forget_requests();
    let email = staff(&house.sandbox).pop().unwrap();
    let id = house
        .sandbox
        .directory(|directory| directory.person(&email).unwrap().id.as_str().to_owned());
    house.sandbox.leave_out(&id);
    let run = house.run().await;
    nothing_was_sent(&house, &run, "directory-incomplete");
    assert!(run.error_message.unwrap().contains(&email));
    all_is_well_again(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_page_token_that_lapses_starts_the_listing_again_once(pool: PgPool) {
    let house = House::build_with(pool, |sandbox| sandbox.people = 600, |_| {}).await;
    let lapsed = Fault::once(Call::UsersList, Failure::Status { status: 410 }).after(1);
    house.sandbox.inject(lapsed.clone());
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!(house.sandbox.count(Call::UsersList), 4);
    house.sandbox.inject(lapsed.clone());
    house.sandbox.inject(lapsed.after(2));
    house.sandbox.forget_requests();
    let run = house.run().await;
    nothing_was_sent(&house, &run, "directory-listing-expired");
}

#[sqlx::test(migrations = "./migrations")]
async fn members_from_outside_and_rings_of_groups_end_no_reading(pool: PgPool) {
    let house = House::build_with(pool, small, only(CREW)).await;
    crews(&house.sandbox);
    let gone = staff(&house.sandbox).pop().unwrap();
    house.sandbox.change_directory(|directory, now| {
        directory
            .add_member(CREW, "somebody@elsewhere.example")
            .unwrap();
        directory.add_member(NIGHT, CREW).unwrap();
        directory.add_member(CREW, &gone).unwrap();
        directory.delete(&gone, now).unwrap();
    });
    house
        .sandbox
        .inject(Fault::always(Call::UserGet, Failure::Forbidden));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "{:?}", run.error_message);
    assert_eq!(run.applied.create + run.applied.link, 12);
    assert_eq!(
        house.sandbox.count(Call::UserGet),
        0,
        "no member is asked for"
    );
}
