//! The demo's page over the emulated directory and app.

use crate::fixture::{installation, sandbox};
use app::api::audit::AuditQuery;
use app::api::demo::{DemoChange, DemoDeed, DemoQuery};
use app::api::directory::PersonState;
use app::api::{ErrorCode, FieldCode};
use app::services::{Audit as _, Demo as _};
use server::services::audit::AuditService;
use server::services::demo::DemoService;
use sqlx::PgPool;

#[sqlx::test(migrations = "./migrations")]
async fn the_demos_credentials_open_the_emulators(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    let demo = DemoService::new(
        pool.clone(),
        here.engine.clock.clone(),
        sandbox.clone(),
        base.clone(),
    );
    let found = demo.credentials().await.unwrap();
    assert_eq!(found.app_token, sandbox.asana_token());
    assert_eq!(found.directory_endpoint, base);
    assert!(found.app_endpoint.starts_with(&base));
    let form = app::api::directory::ConnectionForm {
        key: Some(app::services::Secret::new(found.key)),
        admin_email: found.admin_email,
        endpoint: Some(found.directory_endpoint),
    };
    use app::services::Directory as _;
    here.directory()
        .save_connection(&here.actor, form)
        .await
        .unwrap();
    here.read_directory().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_is_made_shown_and_told_in_the_log(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    let demo = DemoService::new(
        pool.clone(),
        here.engine.clock.clone(),
        sandbox.clone(),
        base.clone(),
    );
    let page = demo.directory(DemoQuery::default()).await.unwrap();
    assert!(page.paging.total >= 250);
    assert_eq!(page.people.len(), page.paging.per_page as usize);
    let somebody = page
        .people
        .iter()
        .find(|person| person.state == PersonState::Active)
        .unwrap()
        .clone();
    let change = |deed| DemoChange {
        person: somebody.id.clone(),
        deed,
    };
    for deed in [
        DemoDeed::Rename {
            given_name: "Ada".into(),
            family_name: "Lovelace".into(),
        },
        DemoDeed::ChangeTitle {
            title: "Analyst".into(),
        },
        DemoDeed::Move {
            org_unit: page.org_units.last().unwrap().clone(),
        },
        DemoDeed::Suspend,
    ] {
        demo.change(&here.actor, change(deed)).await.unwrap();
    }
    let query = DemoQuery {
        person: Some(somebody.id.clone()),
        ..DemoQuery::default()
    };
    let after = demo.directory(query).await.unwrap().chosen.unwrap();
    assert_eq!(
        (after.given_name.as_str(), after.state),
        ("Ada", PersonState::Suspended)
    );
    assert_eq!(after.title.as_deref(), Some("Analyst"));

    let audit = AuditService {
        engine: here.engine.clone(),
    };
    let query = AuditQuery {
        event: Some("sandbox-changed".to_owned()),
        ..AuditQuery::default()
    };
    let events = audit.events(&here.actor, query, "UTC").await.unwrap().rows;
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.actor == here.actor.email));
    assert_eq!(events[0].summary, "Suspended in the emulated directory");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_the_emulated_directory_refuses_is_told_and_not_logged(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    let demo = DemoService::new(
        pool.clone(),
        here.engine.clock.clone(),
        sandbox.clone(),
        base.clone(),
    );
    let page = demo.directory(DemoQuery::default()).await.unwrap();
    let [one, other, ..] = page.people.as_slice() else {
        panic!("there are people")
    };
    let change = |deed| DemoChange {
        person: one.id.clone(),
        deed,
    };
    let taken = demo
        .change(
            &here.actor,
            change(DemoDeed::ChangeEmail {
                email: other.email.clone(),
            }),
        )
        .await
        .unwrap_err();
    assert_eq!(
        (taken.fields[0].field.as_str(), taken.fields[0].code),
        ("email", FieldCode::Taken)
    );
    let empty = DemoDeed::Rename {
        given_name: " ".into(),
        family_name: "X".into(),
    };
    let empty = demo.change(&here.actor, change(empty)).await.unwrap_err();
    assert_eq!(empty.fields[0].code, FieldCode::Required);
    let nobody = DemoChange {
        person: "nobody".into(),
        deed: DemoDeed::Suspend,
    };
    assert_eq!(
        demo.change(&here.actor, nobody).await.unwrap_err().code,
        ErrorCode::NotFound
    );
    let audit = AuditService {
        engine: here.engine.clone(),
    };
    assert!(
        audit
            .events(&here.actor, AuditQuery::default(), "UTC")
            .await
            .unwrap()
            .rows
            .is_empty()
    );
}
