//! Months of an organisation's life, step by step, each step compared with a reference model that
//! was written from the specification alone and shares no code with the rules.
//!
//! `make test` plays some days of a small organisation, `make soak` ninety days of a large one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

#[path = "../program/chance.rs"]
mod chance;
#[allow(dead_code, reason = "the tests of sync use the rest")]
#[path = "../sync/house.rs"]
mod house;
mod life;
mod model;

use chrono::TimeDelta;
use provisioning::config::{DeprovisioningPolicies, OrgUnitAccess, Policy, Window};
use server::store::runs::{RunId, RunState};
use sqlx::PgPool;

use chance::Chance;
use house::House;
use life::Life;
use model::{Model, Policies, Windows};

/// Policies that take turns, each in force for this many days.
const DAYS_OF_A_POLICY: u32 = 12;

const POLICIES: [Policies; 4] = [
    Policies {
        off: Windows(Some(7), Some(21)),
        suspended: Windows(Some(1), Some(21)),
        deleted: Windows(Some(0), Some(7)),
    },
    Policies {
        off: Windows(Some(0), Some(1)),
        suspended: Windows(Some(0), None),
        deleted: Windows(None, Some(0)),
    },
    Policies {
        off: Windows(None, Some(21)),
        suspended: Windows(Some(7), Some(21)),
        deleted: Windows(Some(1), Some(21)),
    },
    Policies {
        off: Windows(Some(1), None),
        suspended: Windows(Some(1), Some(7)),
        deleted: Windows(Some(7), Some(21)),
    },
];

/// The same windows in the words of the configuration.
fn configured(policies: Policies) -> DeprovisioningPolicies {
    let window = |days: Option<i64>| {
        days.map(|days| match days {
            0 => Window::WITHIN_24_HOURS,
            1 => Window::ONE_DAY,
            7 => Window::SEVEN_DAYS,
            _ => Window::TWENTY_ONE_DAYS,
        })
    };
    let policy = |Windows(suspend, delete)| Policy::new(window(suspend), window(delete)).unwrap();
    DeprovisioningPolicies {
        app_turned_off: policy(policies.off),
        suspended: policy(policies.suspended),
        deleted: policy(policies.deleted),
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn after_every_step_of_an_organisations_life_the_app_is_as_the_reference_model_says(
    pool: PgPool,
) {
    let (people, days) = if chance::in_full() {
        (300, 90)
    } else {
        (40, 25)
    };
    let mut chance = Chance::from_environment("soak");
    let mut life = Life::of_an_organisation(people, days);
    let house = House::build_with(
        pool,
        |sandbox| (sandbox.people, sandbox.accounts) = (1, 0),
        |config| {
            config.access.org_units = life
                .access()
                .into_iter()
                .map(|(path, on)| OrgUnitAccess { path, id: None, on })
                .collect();
            config.deprovisioning = configured(POLICIES[0]);
            // What is held has proofs of its own.
            config.safety.hold_count = 1_000_000;
            config.safety.hold_percent = 100;
            config.safety.hold_max = 1_000_000;
        },
    )
    .await;
    life.move_in(&house.sandbox);
    let mut model = Model::new(life.access(), &house.sandbox);

    for day in 0..=days {
        let policies = POLICIES[(day / DAYS_OF_A_POLICY) as usize % POLICIES.len()];
        if day > 0 {
            life.day(day, &house.sandbox, &mut chance);
        }
        if day > 0 && day % DAYS_OF_A_POLICY == 0 {
            house
                .change_config(|config| config.deprovisioning = configured(policies))
                .await;
        }
        step(&house, &mut model, policies, day).await;
        // Steps fall due a moment before, at, and after a run, and between two days.
        if chance.percent(30) {
            house.pass(TimeDelta::hours(12));
            step(&house, &mut model, policies, day).await;
            house.pass(TimeDelta::hours(12));
        } else {
            let seconds = *chance.pick(&[-1, 0, 0, 0, 1]);
            house.pass(TimeDelta::days(1) + TimeDelta::seconds(seconds));
        }
        if day % 10 == 0 || day == days {
            println!(
                "soak: day {day} of {days}: {}: all is right",
                model.so_far()
            );
        }
    }
    for (kind, event) in model::EVENTS {
        let told = house.events(event).await;
        assert!(told.iter().all(|event| event.error.is_none()));
        assert_eq!(told.len(), model.done(kind), "{event}");
    }
}

impl House {
    async fn recent_failures(&self, run: RunId) -> Vec<String> {
        let errors = "SELECT kind || ' of ' || person_email || ': ' || COALESCE(error_message, '')
            FROM operations WHERE run_id = $1 AND state = 'failed'";
        sqlx::query_scalar(errors)
            .bind(run.0)
            .fetch_all(&self.engine.pool)
            .await
            .unwrap()
    }
}

/// One run, and the comparison.
async fn step(house: &House, model: &mut Model, policies: Policies, day: u32) {
    // A preview plans everybody, a run only those about whom something may have changed.
    let whole = house.preview().await;
    let run = house.run().await;
    assert_eq!(run.state, RunState::Completed, "day {day}: {run:?}");
    assert_eq!(run.planned, whole.planned, "day {day}");
    if run.failed > 0 {
        let told = house.recent_failures(run.id).await;
        panic!("day {day}: {} failed: {told:#?}", run.failed);
    }
    let now = server::clock::Clock::now(&house.clock);
    let expected = model.step(&house.sandbox, policies, now);
    model.compare(&house.sandbox, &expected, day);
    for kind in ["create", "suspend", "unsuspend", "delete"] {
        let applied = match kind {
            "create" => run.applied.create,
            "suspend" => run.applied.suspend,
            "unsuspend" => run.applied.unsuspend,
            _ => run.applied.delete,
        };
        assert_eq!(applied as usize, expected.count(kind), "day {day}: {kind}");
    }
}
