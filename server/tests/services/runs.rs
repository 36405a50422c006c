//! What an administrator may do to runs, and what their pages say.

use crate::fixture::{Installation, installation};
use app::api::accounts::AccountsQuery;
use app::api::home::AttentionKind;
use app::api::queue::QueueQuery;
use app::api::runs::{OperationsQuery, RunKind, RunState, StageState};
use app::api::terms::AppStatus;
use app::api::{ErrorCode, audit::AuditQuery};
use app::services::{
    Accounts as _, Audit as _, HomePage as _, Removals as _, Runs as _, Shell as _,
};
use server::services::accounts::AccountsService;
use server::services::audit::AuditService;
use server::services::frame::FrameService;
use server::services::home::HomeService;
use server::services::removals::RemovalsService;
use server::services::runs::RunsService;
use server::store::apps::{self, AppState};
use server::store::notifications::{self, ChannelId, ChannelSettings, WebhookSettings};
use server::store::runs::{self, Counts, Ending};
use sqlx::PgPool;

async fn service(here: &Installation) -> RunsService {
    server::jobs::migrate(&here.engine.pool).await.unwrap();
    RunsService {
        engine: here.engine.clone(),
        queue: here.queue.clone(),
    }
}

async fn set_state(here: &Installation, state: AppState) {
    let mut db = here.engine.connection().await.unwrap();
    let app = apps::by_slug(&mut db, "asana").await.unwrap().unwrap();
    apps::set_state(&mut db, app.id, &state, here.engine.clock.now())
        .await
        .unwrap();
}

async fn events(here: &Installation, key: &str) -> usize {
    let audit = AuditService {
        engine: here.engine.clone(),
    };
    let query = AuditQuery {
        event: Some(key.to_owned()),
        ..AuditQuery::default()
    };
    audit
        .events(&here.actor, query, "UTC")
        .await
        .unwrap()
        .rows
        .len()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_by_hand_is_queued_once_and_told_in_the_log(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let runs = service(&here).await;
    let number = runs.start(&here.actor, "asana").await.unwrap();
    let refused = runs.start(&here.actor, "asana").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RunActive);
    assert_eq!(events(&here, "run-started").await, 1);

    let page = runs.run("asana", number).await.unwrap();
    assert_eq!(page.row.kind, RunKind::First);
    assert_eq!(page.row.state, RunState::Waiting);
    assert!(
        page.stages
            .iter()
            .all(|stage| stage.state == StageState::ToCome),
        "{:?}",
        page.stages
    );
    assert_eq!(page.head.status, AppStatus::Running { run: number });
    assert_eq!(runs.list("asana", 1).await.unwrap().rows.len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_is_asked_to_stop_once(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let runs = service(&here).await;
    let number = runs.start(&here.actor, "asana").await.unwrap();
    runs.stop(&here.actor, "asana", number).await.unwrap();
    let refused = runs.stop(&here.actor, "asana", number).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RunNotActive);
    assert_eq!(events(&here, "run-stopped").await, 1);
    let mut db = pool.acquire().await.unwrap();
    let app = apps::by_slug(&mut db, "asana").await.unwrap().unwrap();
    let stored = runs::by_number(&mut db, app.id, number)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        stored.stop_requested_by.as_deref(),
        Some(here.actor.email.as_str())
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_is_off_or_stopped_does_not_run_and_says_why(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let runs = service(&here).await;
    let stopped = |code: &str| AppState::Stopped {
        code: code.to_owned(),
        message: "because".to_owned(),
    };
    for (state, code) in [
        (AppState::Off, ErrorCode::AlreadyOff),
        (stopped("reauthorize"), ErrorCode::TokenRefused),
        (stopped("directory-changed"), ErrorCode::DirectoryChanged),
    ] {
        set_state(&here, state).await;
        assert_eq!(
            runs.start(&here.actor, "asana").await.unwrap_err().code,
            code
        );
    }
    assert_eq!(
        runs.start(&here.actor, "nothing").await.unwrap_err().code,
        ErrorCode::NotFound
    );
    assert!(runs.list("asana", 1).await.unwrap().rows.is_empty());
    assert_eq!(events(&here, "run-started").await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn only_the_newest_finished_preview_of_this_configuration_is_approved(pool: PgPool) {
    let here = installation(&pool);
    let app = here.asana().await;
    let runs_service = service(&here).await;
    let preview = runs_service.preview(&here.actor, "asana").await.unwrap();
    let refused = runs_service
        .approve(&here.actor, "asana", preview)
        .await
        .unwrap_err();
    assert_eq!(
        refused.code,
        ErrorCode::PlanOutdated,
        "it is not planned yet"
    );

    let mut db = pool.acquire().await.unwrap();
    let stored = runs::by_number(&mut db, app, preview)
        .await
        .unwrap()
        .unwrap();
    let ending = Ending {
        lease: None,
        state: runs::RunState::Completed,
        applied: &Counts::default(),
        failed: 0,
        error: None,
        requests: (0, 0, 0),
    };
    runs::finish(&mut db, stored.id, &ending, here.engine.clock.now())
        .await
        .unwrap();
    assert_eq!(
        runs_service.run("asana", preview).await.unwrap().row.state,
        RunState::Planned
    );

    let config = apps::config(&mut db, app).await.unwrap().unwrap();
    apps::save_config(
        &mut db,
        app,
        &config.config,
        here.engine.clock.now(),
        "x",
        "",
    )
    .await
    .unwrap();
    let refused = runs_service
        .approve(&here.actor, "asana", preview)
        .await
        .unwrap_err();
    assert_eq!(
        refused.code,
        ErrorCode::PlanOutdated,
        "the configuration changed"
    );

    let preview = runs_service.preview(&here.actor, "asana").await.unwrap();
    let stored = runs::by_number(&mut db, app, preview)
        .await
        .unwrap()
        .unwrap();
    runs::finish(&mut db, stored.id, &ending, here.engine.clock.now())
        .await
        .unwrap();
    let run = runs_service
        .approve(&here.actor, "asana", preview)
        .await
        .unwrap();
    let approved = runs::by_number(&mut db, app, run).await.unwrap().unwrap();
    assert_eq!(approved.plan_of, Some(stored.id));
    let operations = runs_service
        .operations("asana", run, OperationsQuery::default())
        .await
        .unwrap();
    assert_eq!(operations.paging.total, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn home_and_frame_say_what_needs_somebody(pool: PgPool) {
    let here = installation(&pool);
    let home = HomeService {
        engine: here.engine.clone(),
    };
    let frame = FrameService::new(pool.clone(), true, None);
    let empty = home.home(&here.actor).await.unwrap();
    assert!(!empty.directory_connected && empty.apps.is_empty() && empty.attention.is_empty());
    assert_eq!(frame.frame(&here.actor).await.unwrap().people, 0);

    let (sandbox, base) = crate::fixture::sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    here.asana().await;
    let calm = home.home(&here.actor).await.unwrap();
    assert!(
        matches!(calm.attention.as_slice(), [only] if only.kind == AttentionKind::NobodyTold),
        "{:?}",
        calm.attention
    );
    let roll = &calm.roll[0];
    let all = roll.accounts + roll.created_next + roll.failing + roll.leaving + roll.left_out;
    assert_eq!(all, 250, "everybody is accounted for: {roll:?}");
    let around = frame.frame(&here.actor).await.unwrap();
    assert_eq!((around.people, around.groups), (250, 41));
    assert_eq!(around.apps[0].status, AppStatus::On);

    let message = "Asana answered 401".to_owned();
    set_state(
        &here,
        AppState::Stopped {
            code: "reauthorize".to_owned(),
            message,
        },
    )
    .await;
    let stopped = home.home(&here.actor).await.unwrap();
    assert!(
        matches!(stopped.attention[0].kind, AttentionKind::Stopped { .. }),
        "{:?}",
        stopped.attention
    );
    assert!(
        !(stopped.attention.iter()).any(|one| one.kind == AttentionKind::NobodyTold),
        "nothing happens that could be told"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn home_names_the_next_run_of_apps_that_are_on_only(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let home = HomeService {
        engine: here.engine.clone(),
    };
    let now = here.engine.clock.now();
    let due = now + chrono::TimeDelta::minutes(30);
    sqlx::query("UPDATE apps SET next_run_at = $1")
        .bind(due)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        home.home(&here.actor).await.unwrap().next_run,
        Some(due),
        "while it is on"
    );
    let message = "Asana answered 401".to_owned();
    let code = "reauthorize".to_owned();
    set_state(&here, AppState::Stopped { code, message }).await;
    sqlx::query("UPDATE apps SET next_run_at = $1")
        .bind(due)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(home.home(&here.actor).await.unwrap().next_run, None);
}

#[sqlx::test(migrations = "./migrations")]
async fn home_says_which_channel_does_not_deliver(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let home = HomeService {
        engine: here.engine.clone(),
    };
    let now = here.engine.clock.now();
    let id = ChannelId(uuid::Uuid::from_u128(7));
    let settings = ChannelSettings::Webhook(WebhookSettings {
        url: "https://chat.example/hook".to_owned(),
    });
    let mut db = pool.acquire().await.unwrap();
    notifications::save_channel(&mut db, id, "Chat", &settings, false, now)
        .await
        .unwrap();
    assert!(home.home(&here.actor).await.unwrap().attention.is_empty());
    notifications::note_result(&mut db, id, Some("It answered 410."), now)
        .await
        .unwrap();
    let attention = home.home(&here.actor).await.unwrap().attention;
    let said = AttentionKind::NotTold {
        id: id.0.to_string(),
        channel: "Chat".to_owned(),
        since: now,
        error: "It answered 410.".to_owned(),
    };
    assert!(
        matches!(attention.as_slice(), [only] if only.kind == said),
        "{attention:?}"
    );
    notifications::turn(&mut db, id, false).await.unwrap();
    let attention = home.home(&here.actor).await.unwrap().attention;
    assert!(
        matches!(attention.as_slice(), [only] if only.kind == AttentionKind::NobodyTold),
        "{attention:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn while_a_run_sends_its_figures_come_from_its_operations_and_agree(pool: PgPool) {
    let here = installation(&pool);
    let app = here.asana().await;
    let runs_service = service(&here).await;
    let number = runs_service.start(&here.actor, "asana").await.unwrap();
    let now = here.engine.clock.now();
    sqlx::query(
        "UPDATE runs SET state = 'running', stage = 'apply', total = 12, done = 1, started_at = $1,
                apply_started_at = $1",
    )
    .bind(now - chrono::TimeDelta::seconds(4))
    .execute(&pool)
    .await
    .unwrap();
    let operations = [
        ("create", "done", 4),
        ("create", "sending", 3),
        ("link", "done", 1),
        ("update", "failed", 1),
        ("update", "planned", 2),
        ("delete", "superseded", 1),
        ("delete", "held", 1),
    ];
    for (kind, state, many) in operations {
        sqlx::query(
            "INSERT INTO operations (run_id, app_id, person_id, person_email, person_name, kind, state, plan,
                                     reason, finished_at)
             SELECT r.id, $1, $2 || n, 'a@b.example', 'A', $2, $3, '{}', '',
                    CASE WHEN $3 IN ('done', 'failed') THEN $4::timestamptz END
             FROM runs r, generate_series(1, $5) n",
        )
        .bind(app.0)
        .bind(kind)
        .bind(state)
        .bind(now)
        .bind(many)
        .execute(&pool)
        .await
        .unwrap();
    }
    let page = runs_service.run("asana", number).await.unwrap();
    let progress = page.progress.unwrap();
    assert_eq!((progress.done, progress.of), (7, 12));
    assert_eq!(
        progress.per_10_seconds,
        Some(17),
        "seven in the four seconds since it began"
    );
    let done = page.row.done;
    assert_eq!(
        (done.create, done.link, done.update, done.delete),
        (4, 1, 0, 0)
    );
    assert_eq!(page.row.failed, 1);
    let apply = page.stages.iter().find(|stage| stage.name == "Apply");
    assert_eq!(apply.unwrap().detail, "7 of 12");
}

#[sqlx::test(migrations = "./migrations")]
async fn accounts_and_queue_of_a_new_app_are_empty_and_have_their_head(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let accounts = AccountsService {
        engine: here.engine.clone(),
    };
    let list = accounts
        .accounts(&here.actor, "asana", AccountsQuery::default())
        .await
        .unwrap();
    assert_eq!(
        (list.rows.len(), list.active, list.head.name.as_str()),
        (0, 0, "Asana")
    );
    assert!(list.head.sign_in_ready);
    let removals = RemovalsService {
        engine: here.engine.clone(),
    };
    let (ours, review) = (
        (removals.queue(&here.actor, "asana", QueueQuery::default(), "UTC"))
            .await
            .unwrap(),
        removals.review(&here.actor, "asana", 1).await.unwrap(),
    );
    assert!(ours.rows.is_empty() && review.rows.is_empty());
    assert_eq!(
        removals
            .queue(&here.actor, "nothing", QueueQuery::default(), "UTC")
            .await
            .unwrap_err()
            .code,
        ErrorCode::NotFound
    );
}
