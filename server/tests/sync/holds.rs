//! Holds and decisions that nothing loses, and clocks that nothing makes come early (S6, S9).

use chrono::TimeDelta;
use provisioning::config::{DeprovisioningPolicies, Policy, Trigger, Window};
use provisioning::identity::PersonId;
use provisioning::lifecycle::{Lifecycle, Step};
use server::clock::Clock as _;
use server::configuration::{self, By};
use server::sandbox::{Call, Failure, Fault, Flag, NewPerson};
use server::services::app_status::app_status;
use server::store::apps::{self, AppState};
use server::store::lifecycles;
use server::store::runs::RunState;
use server::sync::decisions::{self, Decision, Subject};
use server::sync::run::{self, carry_out};
use server::sync::{explain, pending};
use sqlx::PgPool;

use crate::house::{House, noon};
use crate::lifecycle::somebody;

fn within(suspend: Option<Window>, delete: Option<Window>) -> Policy {
    Policy::new(suspend, delete).unwrap()
}

async fn week_house(pool: PgPool) -> (House, String) {
    let house = House::build_with(
        pool,
        |_| {},
        |config| config.deprovisioning.suspended = within(Some(Window::SEVEN_DAYS), None),
    )
    .await;
    house.run().await;
    let email = somebody(&house).await;
    house.suspend(&email);
    house.run().await;
    (house, email)
}

impl House {
    fn suspend(&self, email: &str) {
        self.sandbox
            .change_directory(|directory, now| directory.suspend(email, now))
            .unwrap();
    }

    fn restore(&self, email: &str) {
        self.sandbox
            .change_directory(|directory, _| directory.restore(email))
            .unwrap();
    }

    fn person_id(&self, email: &str) -> PersonId {
        let id = self
            .sandbox
            .directory(|directory| directory.person(email).unwrap().id.as_str().to_owned());
        PersonId::from(id)
    }

    async fn clocks(&self, email: &str) -> Lifecycle {
        let mut db = self.engine.connection().await.unwrap();
        lifecycles::get(&mut db, self.app, &self.person_id(email))
            .await
            .unwrap()
    }

    async fn decide(&self, email: &str, decision: Decision) {
        let subjects = [Subject::from(self.person_id(email))];
        let app = self.app().await;
        let without = decisions::decide(&self.engine, &app, &subjects, decision, "test")
            .await
            .unwrap();
        assert_eq!(without, [], "{decision:?} finds its step");
    }

    async fn under_review(&self) -> usize {
        let mut db = self.engine.connection().await.unwrap();
        let app = self.app().await;
        pending::under_review(&mut db, &app, self.clock.now())
            .await
            .unwrap()
            .len()
    }

    async fn turn(&self, on: bool) {
        let mut db = self.engine.connection().await.unwrap();
        let app = self.app().await;
        let by = By {
            actor: "test",
            now: self.clock.now(),
        };
        if on {
            configuration::turn_on(&mut db, &app, by).await.unwrap();
        } else {
            configuration::turn_off(&mut db, &app, by).await.unwrap();
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_step_cancelled_while_a_run_is_planning_stays_cancelled(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    house.pass(TimeDelta::days(7));
    // Somebody new is looked up, slowly, after everybody was read.
    house
        .sandbox
        .change_directory(|directory, now| {
            let new = NewPerson {
                given_name: "Nadia".to_owned(),
                family_name: "Novak".to_owned(),
                ..NewPerson::default()
            };
            directory.add_person(new, now)
        })
        .unwrap();
    let slow = Failure::Latency { milliseconds: 3000 };
    house.sandbox.forget_requests();
    house.sandbox.inject(Fault::once(Call::AccountsList, slow));
    let run = house.queue().await;
    let engine = house.engine.counting_anew();
    let carried = tokio::spawn(async move { carry_out(&engine, run).await });
    while !carried.is_finished() && house.sandbox.count(Call::AccountsList) == 0 {
        tokio::task::yield_now().await;
    }
    house.decide(&email, Decision::Cancel).await;
    carried.await.unwrap().unwrap();

    let run = house.read(run).await;
    assert_eq!((run.applied.create, run.applied.suspend), (1, 0), "{run:?}");
    let clocks = house.clocks(&email).await;
    assert!(
        clocks.clocks[&Trigger::Suspended]
            .waived
            .contains_key(&Step::Suspend)
    );
    house.pass(TimeDelta::days(30));
    assert_eq!(house.run().await.scim_writes, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn two_changes_of_the_same_clocks_at_once_are_both_kept(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    let person = [house.person_id(&email)];
    let policies = DeprovisioningPolicies::default();
    let now = house.clock.now();
    let mut first = house.engine.pool.begin().await.unwrap();
    let cancel = |_: &PersonId, clocks: &mut Lifecycle| {
        clocks.waive(Trigger::Suspended, Step::Suspend, now);
    };
    lifecycles::change(&mut first, house.app, &person, &policies, now, cancel)
        .await
        .unwrap();
    let (pool, app, people) = (house.engine.pool.clone(), house.app, person.clone());
    let second = tokio::spawn(async move {
        let mut second = pool.begin().await.unwrap();
        let hold = |_: &PersonId, clocks: &mut Lifecycle| {
            clocks.hold(Trigger::Suspended, Step::Delete);
        };
        lifecycles::change(&mut second, app, &people, &policies, now, hold)
            .await
            .unwrap();
        second.commit().await.unwrap();
    });
    tokio::task::yield_now().await;
    first.commit().await.unwrap();
    second.await.unwrap();
    let clock = &house.clocks(&email).await.clocks[&Trigger::Suspended];
    assert!(clock.waived.contains_key(&Step::Suspend) && clock.held.contains(&Step::Delete));
}

#[sqlx::test(migrations = "./migrations")]
async fn what_fell_due_while_the_app_was_off_is_held_even_when_the_first_run_fails(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    house.turn(false).await;
    house.pass(TimeDelta::days(30));
    house.turn(true).await;
    let forbidden = Fault::always(Call::UsersList, Failure::Forbidden);
    house.sandbox.inject(forbidden);
    assert_eq!(house.run().await.state, RunState::Failed);
    house.sandbox.clear_faults();

    for _ in 0..2 {
        let run = house.run().await;
        assert_eq!((run.state, run.held), (RunState::Held, 1), "{run:?}");
        assert!(house.sandbox.account(&email).unwrap().active);
        house.pass(TimeDelta::hours(1));
        // Neither a run that fails nor one that is stopped forgets the hold.
        house
            .sandbox
            .inject(Fault::always(Call::UsersList, Failure::Forbidden));
        assert_eq!(house.run().await.state, RunState::Failed);
        house.sandbox.clear_faults();
        assert_eq!(house.under_review().await, 1);
    }
    let mut db = house.engine.connection().await.unwrap();
    let status = app_status(&mut db, &house.app().await).await.unwrap();
    assert_eq!(status, app::api::terms::AppStatus::Held { removals: 1 });
    drop(db);
    assert_eq!(house.events("Removals held").await.len(), 1, "told once");
    house.decide(&email, Decision::Allow).await;
    assert_eq!(house.run().await.applied.suspend, 1);
    assert_eq!(house.under_review().await, 0);
    assert_eq!(house.events("Hold approved").await.len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_dismissed_hold_is_told_and_does_not_come_back(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    house.turn(false).await;
    house.pass(TimeDelta::days(30));
    house.turn(true).await;
    assert_eq!(house.run().await.held, 1);
    house.decide(&email, Decision::Dismiss).await;
    assert_eq!(house.events("Hold dismissed").await.len(), 1);
    let run = house.run().await;
    assert_eq!((run.state, run.scim_writes), (RunState::Completed, 0));
    assert_eq!(house.under_review().await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn every_way_back_to_on_after_more_than_a_day_holds_what_is_overdue(pool: PgPool) {
    let (house, _) = week_house(pool).await;
    let mut db = house.engine.connection().await.unwrap();
    let stopped = |code: &str| AppState::Stopped {
        code: code.to_owned(),
        message: "because".to_owned(),
    };
    for (state, hours, held) in [
        (AppState::Off, 24, false),
        (AppState::Off, 25, true),
        (stopped("reauthorize"), 25, true),
        (stopped("directory-changed"), 25, true),
    ] {
        sqlx::query("UPDATE apps SET overdue_before = NULL")
            .execute(&mut *db)
            .await
            .unwrap();
        apps::set_state(&mut db, house.app, &state, house.clock.now())
            .await
            .unwrap();
        house.pass(TimeDelta::hours(12));
        // From stopped to off is no way back.
        apps::set_state(&mut db, house.app, &AppState::Off, house.clock.now())
            .await
            .unwrap();
        apps::set_state(&mut db, house.app, &state, house.clock.now())
            .await
            .unwrap();
        house.pass(TimeDelta::hours(hours - 12));
        let now = house.clock.now();
        let by = By { actor: "test", now };
        let app = house.app().await;
        // The console, the wizard and the configuration file call these two; the directory's
        // confirmation sets the state itself.
        if configuration::waits_for_token(&app) {
            configuration::reauthorize(&mut db, &app, by).await.unwrap();
        } else if state == AppState::Off {
            configuration::turn_on(&mut db, &app, by).await.unwrap();
        } else {
            apps::set_state(&mut db, app.id, &AppState::On, now)
                .await
                .unwrap();
        }
        let pending = house.app().await.overdue_before;
        assert_eq!(pending, held.then_some(now), "{state:?} for {hours} hours");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn while_the_clock_is_behind_nobody_is_removed_and_afterwards_everything_goes_on(
    pool: PgPool,
) {
    let (house, email) = week_house(pool).await;
    house.clock.set(noon() + TimeDelta::days(6));
    house.run().await;
    house.clock.set(noon() + TimeDelta::days(5));
    house.decide(&email, Decision::Now).await;
    let other = second(&house, &email);
    house.suspend(&other);
    for _ in 0..2 {
        let run = house.run().await;
        assert_eq!((run.state, run.held), (RunState::Completed, 0), "{run:?}");
        assert_eq!(run.scim_writes, 0, "the second run is guarded as well");
    }
    assert_eq!(house.events("Clock behind").await.len(), 2);
    let since = house.clocks(&other).await.clocks[&Trigger::Suspended].since;
    assert_eq!(since, noon() + TimeDelta::days(6), "nothing is early later");

    house
        .clock
        .set(noon() + TimeDelta::days(6) + TimeDelta::hours(1));
    let run = house.run().await;
    assert_eq!((run.applied.suspend, run.held), (1, 0), "{run:?}");
    assert!(!house.sandbox.account(&email).unwrap().active);
}

/// Somebody else who has an account.
fn second(house: &House, but: &str) -> String {
    house
        .sandbox
        .accounts()
        .iter()
        .map(|account| account.user_name.clone())
        .find(|email| {
            email != but
                && email != server::sandbox::ADMINISTRATOR
                && house.sandbox.directory(|directory| {
                    directory
                        .person(email)
                        .is_some_and(|person| person.suspended_at.is_none())
                })
        })
        .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_cause_that_another_import_saw_end_starts_anew_while_the_app_is_off(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    house.turn(false).await;
    let read = async || {
        let import = run::begin_reading(&house.engine).await.unwrap().unwrap();
        run::read_begun(&house.engine, import, "test")
            .await
            .unwrap();
    };
    house.pass(TimeDelta::days(3));
    house.restore(&email);
    read().await;
    assert_eq!(house.clocks(&email).await, Lifecycle::default());
    house.suspend(&email);
    house.pass(TimeDelta::hours(1));
    read().await;
    let since = house.clocks(&email).await.clocks[&Trigger::Suspended].since;
    assert_eq!(since, house.clock.now());
}

#[sqlx::test(migrations = "./migrations")]
async fn allowing_concerns_the_removal_that_is_held_and_no_other_step(pool: PgPool) {
    let house = House::build_with(
        pool,
        |_| {},
        |config| {
            config.deprovisioning.suspended = within(None, Some(Window::ONE_DAY));
            config.safety.hold_max = 0;
        },
    )
    .await;
    house.run().await;
    let email = somebody(&house).await;
    house.suspend(&email);
    // Both causes hold; the step of one is held by hand and is the earlier one.
    let unit = house.sandbox.directory(|directory| {
        let person = directory.person(&email).unwrap();
        directory.path_of(&person.org_unit)
    });
    house
        .change_config(|config| {
            config
                .access
                .org_units
                .push(provisioning::config::OrgUnitAccess {
                    path: unit,
                    id: None,
                    on: false,
                });
        })
        .await;
    house.run().await;
    let subject = Subject {
        person: house.person_id(&email),
        step: Some((Trigger::AppTurnedOff, Step::Suspend)),
    };
    let app = house.app().await;
    decisions::decide(&house.engine, &app, &[subject], Decision::Hold, "test")
        .await
        .unwrap();
    house.pass(TimeDelta::days(1));
    house.run().await;
    house.decide(&email, Decision::Allow).await;
    let clocks = house.clocks(&email).await;
    assert!(
        clocks.clocks[&Trigger::Suspended]
            .allowed
            .contains_key(&Step::Delete)
    );
    assert!(clocks.clocks[&Trigger::AppTurnedOff].allowed.is_empty());
    assert!(
        house.app().await.next_run_at <= Some(house.clock.now()),
        "a run comes at once"
    );
    assert_eq!(house.run().await.applied.delete, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_queue_lists_every_step_by_the_policies_as_they_are_now(pool: PgPool) {
    let (house, _) = week_house(pool).await;
    let both = within(Some(Window::ONE_DAY), Some(Window::TWENTY_ONE_DAYS));
    house
        .change_config(|config| config.deprovisioning.suspended = both)
        .await;
    let mut db = house.engine.connection().await.unwrap();
    let steps = pending::steps(&mut db, &house.app().await, house.clock.now())
        .await
        .unwrap();
    let due: Vec<_> = (steps.iter())
        .map(|pending| (pending.step.step, pending.step.due_at - noon()))
        .collect();
    assert_eq!(
        due,
        [
            (Step::Suspend, TimeDelta::days(1)),
            (Step::Delete, TimeDelta::days(21))
        ]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn creates_over_the_ceiling_are_told_and_go_ahead_once_they_are_allowed(pool: PgPool) {
    let house =
        House::build_with(pool, |_| {}, |config| config.safety.hold_creates = Some(5)).await;
    let run = house.run().await;
    assert_eq!((run.state, run.applied.create), (RunState::Held, 0));
    assert_eq!(house.events("Creates held").await.len(), 1);
    assert_eq!(house.run().await.applied.create, 0);
    assert_eq!(house.events("Creates held").await.len(), 1, "told once");

    let mut db = house.engine.connection().await.unwrap();
    let held = server::store::person_decisions::held_creates(&mut db, house.app, None)
        .await
        .unwrap();
    drop(db);
    let people: Vec<PersonId> = held
        .iter()
        .map(|(person, _)| person.clone())
        .take(7)
        .collect();
    let app = house.app().await;
    let allowed = decisions::allow_creates(&house.engine, &app, &people, "test")
        .await
        .unwrap();
    assert_eq!(allowed, 7);
    let run = house.run().await;
    assert_eq!(
        (run.applied.create, run.state),
        (7, RunState::Held),
        "{run:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn explain_tells_of_an_account_that_an_earlier_run_found(pool: PgPool) {
    let house = House::build_with(
        pool,
        |options| options.accounts = 0,
        |config| config.linking = provisioning::config::Linking::Review,
    )
    .await;
    house.run().await;
    house.stranger_arrives().await;
    house.run().await;
    let explained = explain::explain(&house.engine, &house.app().await, &house.person_id(NADIA))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(explained.state, "skipped");
    let rule = explained
        .rules
        .iter()
        .find(|line| line.rule.key() == "match");
    assert!(rule.unwrap().detail.contains("decide whether to link it"));
}

pub const NADIA: &str = "nadia.novak@northmoor.example";

impl House {
    /// Somebody new, who made an account in the app by herself.
    pub async fn stranger_arrives(&self) {
        let domain = self
            .sandbox
            .directory(|directory| directory.primary_domain().to_owned());
        assert_eq!(NADIA, format!("nadia.novak@{domain}"));
        let created = reqwest::Client::new()
            .post(format!("{}/Users", self.app().await.endpoint))
            .bearer_auth(self.sandbox.asana_token())
            .json(&serde_json::json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": NADIA, "name": {"formatted": "Nadia Novak"}, "active": true,
            }))
            .send()
            .await
            .unwrap();
        assert_eq!(created.status(), 201);
        self.sandbox
            .change_directory(|directory, now| {
                let new = NewPerson {
                    given_name: "Nadia".to_owned(),
                    family_name: "Novak".to_owned(),
                    primary_email: Some(NADIA.to_owned()),
                    ..NewPerson::default()
                };
                directory.add_person(new, now)
            })
            .unwrap();
        self.sandbox.forget_requests();
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn what_fell_due_while_the_app_was_off_is_held_though_nothing_can_be_said_of_the_person(
    pool: PgPool,
) {
    let (house, email) = week_house(pool).await;
    house.turn(false).await;
    house.pass(TimeDelta::days(10));
    house.turn(true).await;
    // Google leaves a flag out: the person is unknown for this run.
    house.sandbox.hide_flag(Flag::Suspended, Some(&email));
    assert_eq!(house.run().await.applied.suspend, 0);
    house.sandbox.clear_faults();
    let run = house.run().await;
    assert_eq!((run.applied.suspend, run.held), (0, 1), "{run:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn clocks_turn_while_a_group_of_the_scope_can_not_be_found(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    house
        .change_config(|config| {
            config.scope.everyone = false;
            config.scope.groups = vec![provisioning::config::ScopeGroup {
                group: provisioning::config::GroupRef {
                    id: None,
                    email: "gone@northmoor.example".to_owned(),
                    name: None,
                },
                members: provisioning::config::Members::Direct,
            }];
        })
        .await;
    house.restore(&email);
    assert_eq!(house.run().await.state, RunState::Failed);
    assert_eq!(house.clocks(&email).await, Lifecycle::default());
    house.pass(TimeDelta::days(1));
    house.suspend(&email);
    house.run().await;
    let since = house.clocks(&email).await.clocks[&Trigger::Suspended].since;
    assert_eq!(since, house.clock.now());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_permission_does_not_come_back_with_the_policy_under_which_it_was_given(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    house.decide(&email, Decision::Now).await;
    let month = within(Some(Window::TWENTY_ONE_DAYS), None);
    house
        .change_config(|config| config.deprovisioning.suspended = month)
        .await;
    assert_eq!(house.run().await.applied.suspend, 0);
    let week = within(Some(Window::SEVEN_DAYS), None);
    house
        .change_config(|config| config.deprovisioning.suspended = week)
        .await;
    assert_eq!(house.run().await.applied.suspend, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_create_that_was_allowed_is_allowed_once(pool: PgPool) {
    let house =
        House::build_with(pool, |_| {}, |config| config.safety.hold_creates = Some(5)).await;
    house.run().await;
    let mut db = house.engine.connection().await.unwrap();
    let held = server::store::person_decisions::held_creates(&mut db, house.app, None)
        .await
        .unwrap();
    let people: Vec<PersonId> = held.into_iter().map(|(person, _)| person).take(2).collect();
    let app = house.app().await;
    decisions::allow_creates(&house.engine, &app, &people, "test")
        .await
        .unwrap();
    assert_eq!(house.run().await.applied.create, 2);
    let ids: Vec<String> = people.iter().map(ToString::to_string).collect();
    let kept = server::store::person_decisions::of_people(&mut db, house.app, &ids)
        .await
        .unwrap();
    assert!(kept.is_empty(), "{kept:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn of_somebody_who_is_archived_no_step_is_announced(pool: PgPool) {
    let (house, email) = week_house(pool).await;
    let announced = async || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM lifecycles WHERE next_step IS NOT NULL")
            .fetch_one(&house.engine.pool)
            .await
            .unwrap()
    };
    assert_eq!(announced().await, 1);
    house
        .sandbox
        .change_directory(|directory, now| directory.archive(&email, now))
        .unwrap();
    house.run().await;
    assert_eq!(announced().await, 0);
    house
        .sandbox
        .change_directory(|directory, _| directory.unarchive(&email))
        .unwrap();
    house.run().await;
    assert_eq!(announced().await, 1, "the clock goes on");
}
