//! What pages offer to somebody who may only read (S11.3).

use std::collections::BTreeSet;

use app::api::apps::AddAppForm;
use app::api::wizard::{DeprovisioningForm, Mode, PolicyInput};
use app::services::{Apps as _, Wizard as _};
use chrono::TimeDelta;
use server::clock::Clock as _;
use server::services::apps::AppServices;
use server::store::apps::{self, AppId, AppState};
use server::store::runs::{self, NewRun, RunKind};
use sqlx::PgPool;

use super::fixture::{self, Installation};
use super::house::{Browser, House};
use super::table::refuses_auditors;

/// An app that is set up, with an edit that waits, a preview and a run; and one that is not set up.
async fn company(pool: &PgPool) -> (Installation, AppId) {
    let here = fixture::installation(pool);
    server::jobs::migrate(pool).await.unwrap();
    let (sandbox, base) = fixture::sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let asana = here.asana().await;
    let services = AppServices::new(here.engine.clone(), here.queue.clone());
    let other = AddAppForm {
        catalog: "scim".to_owned(),
        name: Some("Other".to_owned()),
        endpoint: Some("https://other.example/scim".to_owned()),
    };
    assert_eq!(services.add(&here.actor, other).await.unwrap(), "other");
    let policy = || PolicyInput {
        suspend: Some("24h".to_owned()),
        delete: Some("21d".to_owned()),
    };
    let edit = DeprovisioningForm {
        app_turned_off: policy(),
        suspended: policy(),
        deleted: policy(),
    };
    (services.save_deprovisioning(&here.actor, "asana", edit, Mode::Edit))
        .await
        .unwrap();
    let mut db = pool.acquire().await.unwrap();
    for kind in [RunKind::Preview, RunKind::Manual] {
        let run = NewRun {
            app: asana,
            kind,
            actor: "ines@northmoor.example",
            config_version: 1,
            fresh_import: false,
            plan_of: None,
        };
        runs::queue(&mut db, &run, here.clock.now()).await.unwrap();
        if kind == RunKind::Preview {
            end_runs(pool).await;
        }
    }
    (here, asana)
}

async fn end_runs(pool: &PgPool) {
    let over =
        "UPDATE runs SET state = 'completed', finished_at = queued_at WHERE state = 'queued'";
    sqlx::query(over).execute(pool).await.unwrap();
}

async fn ids(pool: &PgPool, question: &'static str) -> Vec<String> {
    let found = sqlx::query_scalar(question).fetch_all(pool).await.unwrap();
    assert!(!found.is_empty(), "{question}");
    found
}

/// Every page of the console, with each of what it can be about.
async fn addresses(pool: &PgPool) -> Vec<String> {
    let steps = ["attributes", "scope", "deprovisioning"].map(str::to_owned);
    let mut values = vec![
        (
            "/directory/people/{id}",
            ids(pool, "SELECT id FROM people LIMIT 1").await,
        ),
        (
            "/directory/groups/{id}",
            ids(pool, "SELECT id FROM groups LIMIT 1").await,
        ),
        (
            "/audit/{id}",
            ids(pool, "SELECT id::text FROM events LIMIT 1").await,
        ),
        (
            "/administrators/{id}",
            ids(pool, "SELECT id::text FROM administrators").await,
        ),
    ];
    values.push((
        "/settings/notifications/{id}",
        vec!["email".to_owned(), "webhook".to_owned()],
    ));
    values.push(("{slug}", vec!["asana".to_owned(), "other".to_owned()]));
    values.push(("{number}", ids(pool, "SELECT number::text FROM runs").await));
    values.push(("{version}", vec!["1".to_owned()]));
    values.push(("{step}", steps.to_vec()));
    let mut pages: Vec<String> = (leptos_axum::generate_route_list(app::App).into_iter())
        .map(|route| route.path().to_owned())
        .collect();
    for (pattern, values) in values {
        let name = &pattern[pattern.find('{').unwrap()..];
        pages = (pages.into_iter())
            .flat_map(|page| {
                if page.contains(pattern) {
                    values.iter().map(|one| page.replace(name, one)).collect()
                } else {
                    vec![page]
                }
            })
            .collect();
    }
    assert!(pages.len() > 90, "only {} pages", pages.len());
    assert!(pages.iter().all(|page| !page.contains('{')), "{pages:?}");
    pages
}

/// The functions that the forms of a page lead to.
fn offered(page: &str) -> impl Iterator<Item = &str> {
    let forms = page.split("action=\"/api/").skip(1);
    forms.map(|form| form.split('"').next().unwrap())
}

async fn walk(reader: &Browser<'_>, pages: &[String], mut look: impl FnMut(&str, &str)) {
    for page in pages {
        let answer = reader.get(page).await;
        assert!(!answer.status.is_server_error(), "{page}: {answer:?}");
        look(page, &answer.body);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn no_page_offers_an_auditor_what_would_be_refused(pool: PgPool) {
    let (here, asana) = company(&pool).await;
    let house = House::over(here.engine.clone(), here.clock.clone());
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let (_, otto) = house.auditor("otto@example.com").await;
    let pages = addresses(&pool).await;

    let stopped = |code: &str| AppState::Stopped {
        code: code.to_owned(),
        message: "refused".to_owned(),
    };
    // The others are the same however the app stands.
    let of_app: Vec<String> = (pages.iter())
        .filter(|page| page.starts_with("/apps/asana"))
        .cloned()
        .collect();
    let mut walked = &pages;
    let mut deeds = BTreeSet::new();
    for state in [
        AppState::On,
        stopped("reauthorize"),
        stopped("directory-changed"),
        AppState::On,
        AppState::Off,
    ] {
        let mut db = pool.acquire().await.unwrap();
        apps::set_state(&mut db, asana, &state, house.clock.now())
            .await
            .unwrap();
        drop(db);
        walk(&ada, walked, |_, body| {
            deeds.extend(offered(body).map(str::to_owned));
        })
        .await;
        walk(&otto, walked, |page, body| {
            for function in offered(body) {
                assert!(!refuses_auditors(function), "{page} offers {function}");
            }
            for deed in ["turn-on", "turn-off", "delete"] {
                let link = format!("/autoprovisioning/{deed}\"");
                assert!(!body.contains(&link), "{page} leads to {deed}");
            }
        })
        .await;
        end_runs(&pool).await;
        walked = &of_app;
    }
    // The same pages do offer it to who may.
    for deed in [
        "add_app",
        "approve_run",
        "delete_configuration",
        "discard_edit",
        "draft_access",
        "invite_administrator",
        "plan_again",
        "preview_run",
        "read_directory",
        "save_app_sign_in",
        "save_attributes",
        "save_authorize",
        "save_connection",
        "save_deprovisioning",
        "save_edit",
        "save_scope",
        "start_run",
        "stop_run",
        "test_connection",
        "turn_off",
        "turn_on",
    ] {
        assert!(deeds.contains(deed), "nothing offers {deed}: {deeds:?}");
    }

    // Nor is a confirmation asked for what could not follow.
    house.wait(TimeDelta::minutes(11));
    walk(&otto, &pages, |page, body| {
        if page != "/account" && page != "/confirm-identity" {
            assert!(
                !offered(body).any(|one| one == "confirm_identity"),
                "{page}"
            );
            assert!(!body.contains("/confirm-identity?next="), "{page}");
        }
    })
    .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_reads_in_a_form_what_it_holds_and_can_t_fill_it_in(pool: PgPool) {
    let (here, _) = company(&pool).await;
    let house = House::over(here.engine.clone(), here.clock.clone());
    let (_, otto) = house.auditor("otto@example.com").await;
    for (page, holds) in [
        ("authorize", "https://app.asana.com/api/1.0/scim"),
        ("attributes", "rows[0][source]"),
        ("scope", "No groups: everybody for whom the app is on."),
        ("deprovisioning", "name=\"deleted[delete]\""),
    ] {
        let page = format!("/apps/asana/autoprovisioning/{page}");
        let body = otto.get(&page).await.body;
        let form = (body.split("<fieldset ").skip(1))
            .find(|form| form.split('>').next().unwrap().contains("beside"))
            .unwrap_or_else(|| panic!("{page}: {body}"));
        assert!(form.split('>').next().unwrap().contains("disabled"));
        assert!(body.contains(holds), "{page} lacks {holds}");
        assert!(body.contains("You may read this."), "{page}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_is_not_told_the_path_of_a_webhook(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let (_, otto) = house.auditor("otto@example.com").await;
    let form = "name=Hook&url=https://hooks.example.com/services/hush";
    let page = ada.post("/api/save_webhook_channel", form).await.location;
    let id = page.trim_start_matches("/settings/notifications/");
    let asked = format!("id={id}");
    let told = ada.post("/api/channel", &asked).await.body;
    assert!(told.contains("hooks.example.com/services/hush"), "{told}");
    for answer in [
        otto.post("/api/channel", &asked).await,
        otto.get(&page).await,
    ] {
        answer.succeeded();
        assert!(answer.body.contains("hooks.example.com"), "{answer:?}");
        assert!(!answer.body.contains("hush"), "{answer:?}");
    }
}
