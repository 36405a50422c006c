//! Preview and run are the same code, so they plan the same (S8.1, S8.2).

use std::sync::Arc;

use app::api::terms::Role;
use app::services::Actor;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use server::audit::Seals;
use server::clock::Clock as _;
use server::sandbox::{NewPerson, Rename};
use server::secrets::SecretKey;
use server::services::export_route::{self, Exports};
use server::store::operations;
use server::store::runs::{self, NewRun, Run, RunKind};
use server::sync::run::carry_out;
use sqlx::PgPool;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

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

pub fn ines() -> Actor {
    Actor {
        id: uuid::Uuid::from_u128(1),
        email: "ines@northmoor.example".to_owned(),
        role: Role::SuperAdministrator,
    }
}

/// The file of a run, as a browser gets it.
pub async fn file(house: &House, actor: Option<Actor>, number: i64) -> (StatusCode, String) {
    let key = SecretKey::from_bytes(Zeroizing::new([7; 32]));
    let clock = Arc::new(house.clock.clone());
    let exports = Exports {
        engine: house.engine.clone(),
        seals: Seals::new(house.engine.pool.clone(), key, clock, None),
    };
    let router: Router = export_route::routes(exports).layer(Extension(actor));
    let request = Request::get(format!("/export/runs/asana/{number}"))
        .body(Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 24).await;
    (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
}

#[sqlx::test(migrations = "./migrations")]
async fn the_file_of_a_plan_names_everybody_with_what_is_done_and_why(pool: PgPool) {
    let house = House::build(pool).await;
    let email = "ines.albrecht@northmoor.example";
    house
        .sandbox
        .change_directory(|directory, _| directory.set_title(email, Some("=HYPERLINK(1)")))
        .unwrap();
    let preview = house.preview().await;
    assert_eq!(
        file(&house, None, preview.number).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        file(&house, Some(ines()), 999).await.0,
        StatusCode::NOT_FOUND
    );

    let (status, text) = file(&house, Some(ines()), preview.number).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let lines: Vec<Vec<String>> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    let of = |operation: &str| lines.iter().filter(|line| line[3] == operation).count();
    let (creates, skipped) = (preview.planned.create, preview.planned.skipped);
    assert!(creates > 100 && skipped > 10, "{:?}", preview.planned);
    assert_eq!(of("create"), usize::try_from(creates).unwrap());
    assert_eq!(of("skip"), usize::try_from(skipped).unwrap());
    let hers = lines.iter().find(|line| line[1] == email).unwrap();
    assert_eq!(hers[4], "planned");
    assert!(hers[5].contains("=HYPERLINK(1)"), "{hers:?}");
    for line in &lines {
        assert!(!line[7].is_empty(), "no reason: {line:?}");
        for cell in line {
            assert!(
                !cell.starts_with(['=', '+', '-', '@']),
                "a spreadsheet runs {cell:?}"
            );
        }
    }
    assert_eq!(house.events("Export").await.len(), 1);
}
