//! Reading the app back: what became of linked accounts behind Rollcall's back.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use server::clock::{Clock, FakeClock};
use server::sandbox::{ADMINISTRATOR, Call, Failure, Fault, Quirks};
use server::store::drifts;
use server::store::runs::{self, NewRun, Run, RunKind, RunState};
use server::sync::run::carry_out;
use sqlx::PgPool;

use crate::house::House;

const DRIFT: &str = "Drift found";

async fn company(pool: PgPool, quirks: Quirks) -> House {
    let small = |options: &mut server::sandbox::SandboxOptions| {
        options.people = 60;
        options.accounts = 12;
        options.quirks = quirks;
    };
    let house = House::build_with(pool, small, |_| {}).await;
    house.run().await;
    house.sandbox.forget_requests();
    house
}

async fn scheduled(house: &House) -> Run {
    let mut db = house.engine.connection().await.unwrap();
    let new = NewRun {
        app: house.app,
        kind: RunKind::Scheduled,
        actor: "test",
        config_version: 1,
        fresh_import: true,
        plan_of: None,
    };
    let (run, _) = runs::queue(&mut db, &new, house.clock.now()).await.unwrap();
    drop(db);
    carry_out(&house.engine.counting_anew(), run).await.unwrap();
    let run = house.read(run).await;
    assert_eq!(run.error_message, None);
    run
}

/// A run in which somebody asked for the app to be read back.
async fn read_back(house: &House) -> Run {
    let mut db = house.engine.connection().await.unwrap();
    drifts::ask(&mut db, house.app).await.unwrap();
    drop(db);
    let run = house.run().await;
    assert_eq!(run.error_message, None);
    run
}

/// People with a linked account who manage nobody, so that nothing else changes with them.
async fn linked(house: &House) -> Vec<String> {
    let mut db = house.engine.connection().await.unwrap();
    let links = drifts::linked(&mut db, house.app, "", 1000).await.unwrap();
    let accounts = house.sandbox.accounts();
    let manages = |id: &str| {
        accounts.iter().any(|account| {
            account
                .enterprise("manager")
                .is_some_and(|manager| manager["value"] == *id)
        })
    };
    links
        .into_iter()
        .filter(|link| link.user_name != ADMINISTRATOR && !manages(link.account.as_str()))
        .map(|link| link.user_name)
        .collect()
}

async fn findings(house: &House) -> i64 {
    let mut db = house.engine.connection().await.unwrap();
    drifts::count(&mut db, house.app).await.unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_scheduled_run_reads_the_app_back_once_in_its_interval(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    assert_eq!(scheduled(&house).await.scim_reads, 0, "not due yet");
    house.pass(TimeDelta::hours(24));
    let run = scheduled(&house).await;
    assert!(run.scim_reads > 0);
    assert_eq!(run.scim_writes, 0);
    assert_eq!(house.app().await.last_drift_at, Some(house.clock.now()));
    assert_eq!(findings(&house).await, 0);
    assert!(house.events(DRIFT).await.is_empty());
    assert_eq!(scheduled(&house).await.scim_reads, 0, "done for today");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_title_that_was_changed_in_the_app_is_found_and_sent_again(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    let email = &linked(&house).await[0];
    let ours = house.sandbox.account(email).unwrap();
    house.sandbox.change_account(email, |account| {
        account.attributes.insert("title".to_owned(), json!("King"));
    });
    house.sandbox.forget_requests();
    let run = read_back(&house).await;
    assert_eq!((run.applied.update, run.scim_writes), (1, 1), "{run:?}");
    let patch = house
        .sandbox
        .recorded()
        .into_iter()
        .find(|call| call.method == "PATCH");
    let sent = patch.unwrap().body["Operations"][0]["value"].clone();
    assert_eq!(sent, json!({"title": ours.title()}), "and nothing else");
    let event = &house.events(DRIFT).await[0];
    assert_eq!(event.person_email.as_deref(), Some(email.as_str()));
    assert_eq!(event.changes.as_ref().unwrap()[0]["new"], "King");
    house.pass(TimeDelta::hours(1));
    assert_eq!(read_back(&house).await.scim_writes, 0);
    assert_eq!(findings(&house).await, 0);
    assert_eq!(house.events(DRIFT).await.len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_the_app_never_kept_is_no_drift(pool: PgPool) {
    let quirks = Quirks {
        drops_enterprise: true,
        drops: vec!["title".to_owned()],
        ..Quirks::default()
    };
    let house = company(pool, quirks).await;
    let run = read_back(&house).await;
    assert_eq!(run.scim_writes, 0);
    assert_eq!(findings(&house).await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_is_active_though_we_suspended_it_is_told(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    let email = &linked(&house).await[0];
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(email, now))
        .unwrap();
    assert_eq!(house.run().await.applied.suspend, 1);
    house
        .sandbox
        .change_account(email, |account| account.active = true);
    read_back(&house).await;
    let events = house.events(DRIFT).await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0].reason.as_deref(),
        Some("The account is active though Rollcall suspended it")
    );
    house.pass(TimeDelta::hours(1));
    read_back(&house).await;
    assert_eq!(house.events(DRIFT).await.len(), 1, "once");
    assert_eq!(findings(&house).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_was_suspended_in_the_app_is_told_and_left_alone(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    let email = &linked(&house).await[0];
    house
        .sandbox
        .change_account(email, |account| account.active = false);
    let run = read_back(&house).await;
    assert_eq!(run.scim_writes, 0);
    let events = house.events(DRIFT).await;
    assert_eq!(
        events[0].reason.as_deref(),
        Some("The account is inactive though it should be active")
    );
    house
        .sandbox
        .change_account(email, |account| account.active = true);
    house.pass(TimeDelta::hours(1));
    read_back(&house).await;
    assert_eq!(findings(&house).await, 0, "it is as it should be again");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_was_removed_in_the_app_is_gone_and_not_made_again(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    let email = &linked(&house).await[0];
    house.sandbox.remove_account(email);
    let run = read_back(&house).await;
    assert_eq!((run.applied.create, run.scim_writes), (0, 0), "{run:?}");
    let event = &house.events(DRIFT).await[0];
    assert!(
        event
            .reason
            .as_deref()
            .unwrap()
            .contains("is gone from Asana")
    );
    assert_eq!(house.run().await.applied.create, 0);
    assert!(house.sandbox.account(email).is_none());
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_are_read_one_by_one_where_the_listing_leaves_them_out(pool: PgPool) {
    let quirks = Quirks {
        page_cap: Some(5),
        paging_ignored: true,
        ..Quirks::default()
    };
    let house = company(pool, quirks).await;
    let people = linked(&house).await;
    house
        .sandbox
        .change_account(people.last().unwrap(), |account| {
            account.attributes.insert("title".to_owned(), json!("King"));
        });
    let run = read_back(&house).await;
    assert_eq!(run.applied.update, 1, "{run:?}");
    assert_eq!(findings(&house).await, 1);
    let mut db = house.engine.connection().await.unwrap();
    let live = drifts::linked(&mut db, house.app, "", 1000).await.unwrap();
    assert!(live.len() > 20, "nobody is gone");
}

#[sqlx::test(migrations = "./migrations")]
async fn when_nobody_is_there_no_link_is_changed_and_the_log_says_so(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    for account in house.sandbox.accounts() {
        house.sandbox.remove_account(&account.user_name);
    }
    let run = read_back(&house).await;
    assert_eq!((run.state, run.scim_writes), (RunState::Completed, 0));
    let event = &house.events(DRIFT).await[0];
    assert_eq!(event.error.as_ref().unwrap()["code"], "accounts-missing");
    let mut db = house.engine.connection().await.unwrap();
    let live = drifts::linked(&mut db, house.app, "", 1000).await.unwrap();
    assert!(live.len() > 20);
}

/// Goes on with every look at it, as real clocks do.
#[derive(Debug)]
struct Ticking(FakeClock);

impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        self.0.advance(TimeDelta::milliseconds(1));
        self.0.now()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_found_stays_found_though_time_passes_while_the_app_is_read(pool: PgPool) {
    let mut house = company(pool, Quirks::default()).await;
    house.engine.clock = Arc::new(Ticking(house.clock.clone()));
    let email = &linked(&house).await[0];
    house
        .sandbox
        .change_account(email, |account| account.active = false);
    read_back(&house).await;
    assert_eq!(findings(&house).await, 1);
    house.pass(TimeDelta::hours(1));
    read_back(&house).await;
    assert_eq!(findings(&house).await, 1);
    assert_eq!(house.events(DRIFT).await.len(), 1, "once");
}

fn crown(house: &House, email: &str) {
    house.sandbox.change_account(email, |account| {
        account.attributes.insert("title".to_owned(), json!("King"));
    });
}

/// One account can't be read; what was found about it stays, and the others are read.
async fn all_but_one_are_read(pool: PgPool, failure: Failure) {
    let house = company(pool, Quirks::default()).await;
    let people = linked(&house).await;
    let (hidden, changed) = (&people[0], people.last().unwrap());
    let activate = |active| {
        house
            .sandbox
            .change_account(hidden, |account| account.active = active);
    };
    activate(false);
    read_back(&house).await;
    assert_eq!(findings(&house).await, 1);
    let id = house.sandbox.account(hidden).unwrap().id;
    house
        .sandbox
        .inject(Fault::always(Call::AccountGet, failure).about(&id));
    crown(&house, changed);
    house.pass(TimeDelta::hours(1));
    let run = read_back(&house).await;
    assert_eq!(run.applied.update, 1, "{run:?}");
    assert_eq!(house.app().await.last_drift_at, Some(house.clock.now()));
    assert_eq!(findings(&house).await, 2);
    house.sandbox.clear_faults();
    activate(true);
    house.pass(TimeDelta::hours(1));
    read_back(&house).await;
    assert_eq!(findings(&house).await, 0);
    assert_eq!(house.events(DRIFT).await.len(), 2, "each once");
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_may_not_be_read_is_left_as_it_is_and_the_others_are_read(pool: PgPool) {
    all_but_one_are_read(pool, Failure::Forbidden).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_whose_reading_always_fails_is_left_as_it_is_and_the_others_are_read(
    pool: PgPool,
) {
    all_but_one_are_read(pool, Failure::Status { status: 500 }).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_answers_for_no_account_is_read_back_the_next_time(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    for account in house.sandbox.accounts() {
        crown(&house, &account.user_name);
    }
    let before = house.app().await.last_drift_at;
    house.sandbox.inject(Fault::always(
        Call::AccountGet,
        Failure::Status { status: 500 },
    ));
    house.pass(TimeDelta::hours(1));
    let run = read_back(&house).await;
    assert_eq!((run.state, run.scim_writes), (RunState::Completed, 0));
    assert_eq!(house.app().await.last_drift_at, before);
    let asked = house.sandbox.count(Call::AccountGet);
    assert!((20..=100).contains(&asked), "{asked} times");
    house.sandbox.clear_faults();
    // The next run does it, though nobody asks again.
    assert!(house.run().await.applied.update > 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_without_a_link_are_not_looked_at(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    let people = linked(&house).await;
    let strangers: Vec<String> = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .filter(|name| !people.contains(name))
        .collect();
    let mut db = house.engine.connection().await.unwrap();
    let links = drifts::linked(&mut db, house.app, "", 1000).await.unwrap();
    drop(db);
    let stranger = strangers
        .iter()
        .find(|name| {
            !links
                .iter()
                .any(|link| link.user_name.eq_ignore_ascii_case(name))
        })
        .unwrap();
    house.sandbox.change_account(stranger, |account| {
        account.active = false;
        account.attributes.insert("title".to_owned(), json!("King"));
    });
    let run = read_back(&house).await;
    assert_eq!(run.scim_writes, 0);
    assert_eq!(findings(&house).await, 0);
}
