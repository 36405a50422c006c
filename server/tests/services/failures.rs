//! What failed, as the console lists it, and what an administrator may decide about it.

use crate::fixture::{Installation, installation, sandbox};
use app::api::ErrorCode;
use app::api::failures::{FailureState, FailuresQuery};
use app::services::{Actor, Failures as _, HomePage as _, Runs as _};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use provisioning::identity::PersonId;
use server::audit::Seals;
use server::services::export_route::{self, Exports};
use server::services::failures::FailuresService;
use server::services::home::HomeService;
use server::services::runs::RunsService;
use server::store::apps::AppId;
use server::store::failures::{self, NewFailure};
use server::store::runs::{self, RunState};
use server::sync::run::{Carried, carry_out};
use sqlx::PgPool;
use tower::ServiceExt as _;

struct Console {
    here: Installation,
    app: AppId,
    service: FailuresService,
    /// Directory ids, in the order of their names.
    people: Vec<String>,
}

async fn console(pool: PgPool) -> Console {
    let here = installation(&pool);
    server::jobs::migrate(&pool).await.unwrap();
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let app = here.asana().await;
    let people = sqlx::query_scalar::<_, String>(
        "SELECT id FROM people WHERE standing = 'active' ORDER BY lower(full_name), id",
    );
    Console {
        people: people.fetch_all(&pool).await.unwrap(),
        service: FailuresService {
            engine: here.engine.clone(),
            queue: here.queue.clone(),
        },
        here,
        app,
    }
}

impl Console {
    async fn fail(&self, person: usize, code: &str, message: &str, permanent: bool, body: u8) {
        let now = self.here.engine.clock.now();
        let hash = [body; 32];
        let failure = NewFailure {
            kind: "create",
            code,
            message,
            permanent,
            next_try_at: (!permanent).then(|| now + chrono::TimeDelta::hours(1)),
            body_hash: Some(&hash),
            cause: None,
            run: uuid::Uuid::nil(),
        };
        let person = PersonId::from(self.people[person].clone());
        let mut db = self.here.engine.connection().await.unwrap();
        failures::record(&mut db, self.app, &person, &failure, now)
            .await
            .unwrap();
    }

    async fn states(&self, query: FailuresQuery) -> Vec<(String, FailureState)> {
        let list = self.service.list(&self.here.actor, "asana", query).await;
        let rows = list.unwrap().rows.into_iter();
        let mut states: Vec<(String, FailureState)> =
            rows.map(|row| (row.person.id, row.state)).collect();
        states.sort_by_key(|(id, _)| self.people.iter().position(|known| known == id));
        states
    }

    async fn ignore(&self, person: usize) -> Result<(), ErrorCode> {
        let done = self
            .service
            .ignore(&self.here.actor, "asana", &self.people[person]);
        done.await.map_err(|error| error.code)
    }

    async fn retry(&self, person: Option<usize>) -> Result<(), ErrorCode> {
        let person = person.map(|person| self.people[person].as_str());
        let done = self.service.retry(&self.here.actor, "asana", person);
        done.await.map_err(|error| error.code)
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn failures_are_listed_with_cause_and_remedy_and_ignored_ones_apart(pool: PgPool) {
    let console = console(pool).await;
    console
        .fail(0, "scim-conflict", "The name is taken.", true, 1)
        .await;
    console
        .fail(1, "scim-transient", "The app is busy.", false, 1)
        .await;
    console
        .fail(2, "scim-rejected", "The title is too long.", true, 1)
        .await;
    assert_eq!(console.ignore(2).await, Ok(()));
    assert_eq!(
        console.ignore(2).await,
        Err(ErrorCode::Conflict),
        "it is already"
    );
    assert_eq!(
        console.ignore(3).await,
        Err(ErrorCode::Conflict),
        "nothing failed"
    );

    let list = console
        .service
        .list(&console.here.actor, "asana", FailuresQuery::default())
        .await
        .unwrap();
    assert_eq!((list.tried_again, list.for_good, list.ignored), (1, 1, 1));
    let taken = list
        .rows
        .iter()
        .find(|row| row.code == "scim-conflict")
        .unwrap();
    assert_eq!((taken.state, taken.next_try), (FailureState::ForGood, None));
    assert!(!taken.title.is_empty() && !taken.remedy.is_empty());
    assert_eq!(taken.cause, "The name is taken.");
    let busy = list
        .rows
        .iter()
        .find(|row| row.code == "scim-transient")
        .unwrap();
    assert_eq!(busy.state, FailureState::TriedAgain);
    assert!(busy.next_try.is_some());
    let only = |state| FailuresQuery {
        state: Some(state),
        ..FailuresQuery::default()
    };
    let ignored = console.states(only(FailureState::Ignored)).await;
    assert_eq!(
        ignored,
        [(console.people[2].clone(), FailureState::Ignored)]
    );
    let found = FailuresQuery {
        q: Some("busy".to_owned()),
        ..FailuresQuery::default()
    };
    assert_eq!(console.states(found).await.len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_page_behind_the_end_of_the_failures_shows_the_last_one(pool: PgPool) {
    let console = console(pool).await;
    console.fail(0, "scim-rejected", "No.", true, 1).await;
    let behind = FailuresQuery {
        page: 2,
        ..FailuresQuery::default()
    };
    let list = console.service.list(&console.here.actor, "asana", behind);
    let list = list.await.unwrap();
    let told = (list.rows.len(), list.paging.page, list.paging.total);
    assert_eq!(told, (1, 1, 1));
}

#[sqlx::test(migrations = "./migrations")]
async fn ignoring_ends_when_another_request_or_another_answer_fails(pool: PgPool) {
    let console = console(pool).await;
    for person in 0..3 {
        console.fail(person, "scim-rejected", "No.", true, 1).await;
        assert_eq!(console.ignore(person).await, Ok(()));
    }
    console.fail(0, "scim-rejected", "No.", true, 1).await;
    console.fail(1, "scim-rejected", "No.", true, 2).await;
    console.fail(2, "scim-conflict", "No.", true, 1).await;
    let told = console.states(FailuresQuery::default()).await;
    let told: Vec<&str> = told.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(told, [&*console.people[1], &*console.people[2]]);
}

#[sqlx::test(migrations = "./migrations")]
async fn trying_again_runs_the_app_for_one_person_and_for_everybody_when_there_are_more(
    pool: PgPool,
) {
    let console = console(pool).await;
    for person in 0..3 {
        console.fail(person, "scim-rejected", "No.", true, 1).await;
    }
    assert_eq!(console.ignore(2).await, Ok(()));
    assert_eq!(console.retry(Some(3)).await, Err(ErrorCode::Conflict));
    assert_eq!(console.retry(Some(0)).await, Ok(()));
    let mut db = console.here.engine.connection().await.unwrap();
    let run = runs::active(&mut db, console.app).await.unwrap().unwrap();
    assert_eq!(run.only_people, [PersonId::from(console.people[0].clone())]);

    drop(db);

    // It has no token here, so its run is stopped; that is enough to see whose it was.
    let carried = carry_out(&console.here.engine, run.id).await.unwrap();
    assert_eq!(carried, Carried::Finished(console.app));
    let mut db = console.here.engine.connection().await.unwrap();
    let run = runs::get(&mut db, run.id).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Stopped);
    drop(db);
    let service = RunsService {
        engine: console.here.engine.clone(),
        queue: console.here.queue.clone(),
    };
    let told = service
        .person_run("asana", &console.people[0])
        .await
        .unwrap();
    let told = told.unwrap();
    assert!(
        told.problem.is_some() && told.number == run.number,
        "{told:?}"
    );
    assert_eq!(told.steps[0].name, "Google");

    assert_eq!(
        console.retry(None).await,
        Ok(()),
        "the app is tried by its next run"
    );
    let fates = console.states(FailuresQuery::default()).await;
    assert!(
        fates
            .iter()
            .all(|(_, state)| *state == FailureState::TriedAgain)
    );
    let only = FailuresQuery {
        state: Some(FailureState::Ignored),
        ..FailuresQuery::default()
    };
    assert_eq!(
        console.states(only).await.len(),
        1,
        "what is ignored stays ignored"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_file_holds_every_failure_and_only_for_who_is_signed_in(pool: PgPool) {
    let console = console(pool.clone()).await;
    console
        .fail(0, "scim-rejected", "=cmd|' /C calc'!A0", true, 1)
        .await;
    console.fail(1, "scim-transient", "Busy.", false, 1).await;
    assert_eq!(console.ignore(1).await, Ok(()));
    let exports = Exports {
        engine: console.here.engine.clone(),
        seals: Seals::new(
            pool,
            crate::fixture::secret_key(),
            std::sync::Arc::new(console.here.clock.clone()),
            None,
        ),
    };
    let get = async |signed_in: bool, path: &str| {
        let actor = signed_in.then(|| Actor::clone(&console.here.actor));
        let router: Router = export_route::routes(exports.clone()).layer(Extension(actor));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(
        get(false, "/export/failures/asana").await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        get(true, "/export/failures/nobody").await.0,
        StatusCode::NOT_FOUND
    );
    let (status, text) = get(true, "/export/failures/asana").await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("person_id,person_email,"));
    assert!(text.contains("'=cmd|"), "no spreadsheet runs it");
    assert!(text.contains(",ignored,"));
}

/// Everybody of the directory is in one part of the roll, whatever else holds of them.
#[sqlx::test(migrations = "./migrations")]
async fn the_roll_of_home_counts_each_person_once(pool: PgPool) {
    let console = console(pool.clone()).await;
    let home = HomeService {
        engine: console.here.engine.clone(),
    };
    let link = async |person: usize| {
        let statement = "INSERT INTO links (app_id, person_id, account_id, user_name, state, origin, created_at, updated_at)
                         VALUES ($1, $2, $2, $2, 'active', 'created', now(), now())";
        let id = &console.people[person];
        sqlx::query(statement)
            .bind(console.app.0)
            .bind(id)
            .execute(&pool)
            .await
            .unwrap();
    };
    let leave = async |person: usize| {
        let statement = "INSERT INTO lifecycles (app_id, person_id, lifecycle, next_due_at, next_step, next_trigger)
                         VALUES ($1, $2, '{}', now(), 'suspend', 'suspended')";
        let id = &console.people[person];
        sqlx::query(statement)
            .bind(console.app.0)
            .bind(id)
            .execute(&pool)
            .await
            .unwrap();
    };
    // 0 to 3 have an account. Of them 1 leaves, 2 leaves and fails, 3 is gone from the directory.
    for person in 0..4 {
        link(person).await;
    }
    leave(1).await;
    leave(2).await;
    // 4 fails without an account, 5 fails and is gone, 6 failed and is ignored, 7 leaves without one.
    leave(7).await;
    for person in [2, 4, 5, 6] {
        console.fail(person, "scim-rejected", "No.", true, 1).await;
    }
    assert_eq!(console.ignore(6).await, Ok(()));
    for person in [3, 5] {
        let gone = "UPDATE people SET standing = 'deleted' WHERE id = $1";
        sqlx::query(gone)
            .bind(&console.people[person])
            .execute(&pool)
            .await
            .unwrap();
    }
    let living = "SELECT count(*) FROM people WHERE NOT purged AND standing <> 'deleted'";
    let living: i64 = sqlx::query_scalar(living).fetch_one(&pool).await.unwrap();

    let roll = home.home(&console.here.actor).await.unwrap().roll.remove(0);
    let parts = (roll.accounts, roll.leaving, roll.failing, roll.created_next);
    assert_eq!(parts, (2, 1, 2, 0), "{roll:?}");
    let left_out = u32::try_from(living).unwrap() + 1 - 5;
    assert_eq!(roll.left_out, left_out, "{roll:?}");
}
