//! Preview and run are the same code, so they plan the same (S8.1, S8.2).

use server::clock::Clock as _;
use server::sandbox::{NewPerson, Rename};
use server::store::operations;
use server::store::runs::{self, NewRun, Run, RunKind};
use server::sync::run::carry_out;
use sqlx::PgPool;

use crate::house::House;
use crate::lifecycle::somebody;

/// What a run planned, without what only sending adds.
pub async fn plan(house: &House, run: &Run) -> Vec<String> {
    let mut db = house.engine.connection().await.unwrap();
    let mut plan: Vec<String> = operations::list(&mut db, run.id, None, None, None, 10_000)
        .await
        .unwrap()
        .into_iter()
        .map(|one| {
            let (person, plan) = (one.person_email, one.plan);
            format!("{person} {:?} {:?} {:?}", plan.kind, plan.body, plan.reason)
        })
        .collect();
    plan.sort();
    let skipped = operations::skipped(&mut db, run.id, None, 10_000)
        .await
        .unwrap();
    plan.extend(skipped.into_iter().map(|one| format!("{one:?}")));
    plan
}

#[sqlx::test(migrations = "./migrations")]
async fn a_preview_plans_what_the_run_then_carries_out_and_sends_nothing(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    house
        .sandbox
        .change_directory(|directory, now| {
            directory.suspend(&email, now)?;
            let others: Vec<String> = (directory.living())
                .filter(|person| person.suspended_at.is_none())
                .map(|person| person.primary_email.clone())
                .filter(|other| *other != email && other != server::sandbox::ADMINISTRATOR)
                .take(3)
                .collect();
            directory.delete(&others[0], now)?;
            directory.set_title(&others[1], Some("Another title"))?;
            let rename = Rename {
                primary_email: Some("renamed@northmoor.example".to_owned()),
                ..Rename::default()
            };
            directory.rename(&others[2], rename)?;
            let new = NewPerson {
                given_name: "Nadia".to_owned(),
                family_name: "Novak".to_owned(),
                ..NewPerson::default()
            };
            directory.add_person(new, now)
        })
        .unwrap();
    house.sandbox.forget_requests();
    let new = NewRun {
        app: house.app,
        kind: RunKind::Preview,
        actor: "test",
        config_version: 1,
        fresh_import: true,
        plan_of: None,
    };
    let mut db = house.engine.connection().await.unwrap();
    let (id, _) = runs::queue(&mut db, &new, house.clock.now()).await.unwrap();
    drop(db);
    carry_out(&house.engine.counting_anew(), id).await.unwrap();
    let preview = house.read(id).await;
    assert_eq!(house.sandbox.scim_writes(), 0);
    let run = house.run().await;
    assert!(
        run.applied.create >= 1 && run.applied.suspend >= 2,
        "{run:?}"
    );
    assert_eq!(plan(&house, &preview).await, plan(&house, &run).await);
    assert_eq!(preview.planned, run.planned);
}
