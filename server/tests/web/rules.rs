//! The web server's own rules: who gets in, and what every answer carries.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use chrono::{DateTime, TimeDelta};
use metrics_exporter_prometheus::PrometheusHandle;
use provisioning::identity::AppSlug;
use provisioning::lifecycle::{Clock, DueStep, Lifecycle, Step, Trigger};
use provisioning::plan::OperationKind;
use server::clock::{Clock as _, FakeClock};
use server::connectors::{Outgoing, TargetPolicy};
use server::http::{Site, Web, push_routes, router};
use server::secrets::{SecretKey, Vault};
use server::services::door::Scrutiny;
use server::store::administrators::{self, Administrator, Role};
use server::store::apps::{self, AppState};
use server::store::operations::OperationState;
use server::store::runs::{self, NewRun, RunKind};
use server::store::{lifecycles, measures};
use server::sync::Engine;
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

struct Console {
    router: Router,
    pool: PgPool,
    clock: FakeClock,
    _site: TempDir,
}

fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS
        .get_or_init(|| server::telemetry::start_metrics().unwrap())
        .clone()
}

impl Console {
    fn new(pool: PgPool) -> Self {
        let site = tempfile::tempdir().unwrap();
        std::fs::create_dir(site.path().join("pkg")).unwrap();
        std::fs::write(site.path().join("pkg/rollcall.css"), "body{}").unwrap();
        std::fs::write(site.path().join("favicon.svg"), "<svg/>").unwrap();
        let clock = FakeClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let vault = Vault::new(SecretKey::generate());
        let outgoing = Outgoing::new(TargetPolicy::default()).unwrap();
        let engine = Engine::new(pool.clone(), Arc::new(clock.clone()), vault, outgoing);
        let web = Web {
            pool: pool.clone(),
            clock: Arc::new(clock.clone()),
            provide: Arc::new(|| {}),
            downloads: Router::new(),
            hooks: push_routes(engine),
            site: Site::open(site.path()).unwrap(),
            metrics: metrics(),
            public_url: None,
            scrutiny: Scrutiny::Full,
        };
        Self {
            router: router(&web).unwrap(),
            pool,
            clock,
            _site: site,
        }
    }

    async fn with_an_administrator(pool: PgPool) -> Self {
        let console = Self::new(pool);
        let ada = Administrator {
            id: Uuid::from_u128(1),
            email: "ada@example.com".to_owned(),
            role: Role::SuperAdministrator,
            created_at: console.clock.now(),
            last_sign_in: None,
        };
        let mut db = console.pool.acquire().await.unwrap();
        administrators::add(&mut db, &ada, "no hash").await.unwrap();
        console
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

fn post(path: &str) -> http::request::Builder {
    Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

#[sqlx::test(migrations = "./migrations")]
async fn googles_notifications_need_no_session_but_a_channel_and_are_limited_in_size(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let path = server::sync::push::PATH;
    let named = |id: &str| Request::post(path).header("x-goog-channel-id", id);
    let unknown = Uuid::from_u128(7).to_string();
    for request in [Request::post(path), named("nonsense"), named(&unknown)] {
        let answer = console.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.header(header::SET_COOKIE).is_empty());
    }
    let large = named(&unknown)
        .header(header::CONTENT_LENGTH, 10_000_000)
        .body(Body::empty());
    let answer = console.send(large.unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        console.get(path).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_made_up_cookie_opens_nothing(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    for cookie in [
        "rollcall=AAAAAAAAAAAAAAAAAAAAAA",
        "rollcall=nonsense",
        "rollcall=",
    ] {
        let request = post("/api/about").header(header::COOKIE, cookie);
        let answer = console.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{cookie}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn pages_lead_to_the_sign_in_page_and_back(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let answer = console.get("/audit?event=sign-in&page=2").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let location = answer.header(header::LOCATION);
    assert_eq!(
        location,
        "/sign-in?next=/audit%3Fevent%3Dsign-in%26page%3D2"
    );
    assert_eq!(console.get("/sign-in").await.status, StatusCode::OK);
    assert_eq!(
        console.get("/no/such/page").await.status,
        StatusCode::SEE_OTHER
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_form_posted_after_the_session_ended_leads_back_to_its_page(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let request = post("/api/add_app")
        .header(header::ACCEPT, "text/html,application/xhtml+xml")
        .header(header::REFERER, "http://127.0.0.1:3000/apps/add")
        .body(Body::empty());
    let answer = console.send(request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header(header::LOCATION), "/sign-in?next=/apps/add");
}

#[sqlx::test(migrations = "./migrations")]
async fn until_there_is_an_administrator_everything_leads_to_the_set_up(pool: PgPool) {
    let console = Console::new(pool);
    for path in ["/", "/audit", "/sign-in"] {
        let answer = console.get(path).await;
        assert_eq!(answer.header(header::LOCATION), "/setup", "{path}");
    }
    assert_ne!(console.get("/setup").await.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrations = "./migrations")]
async fn every_answer_has_a_policy_and_every_request_its_own_nonce(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let mut nonces = Vec::new();
    for path in [
        "/sign-in",
        "/",
        "/no/such/page",
        "/pkg/rollcall.css",
        "/healthz",
    ] {
        let answer = console.get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("style-src 'self'"), "{path}: {policy}");
        assert!(policy.contains("'wasm-unsafe-eval'"), "{path}: {policy}");
        for unsafe_word in ["unsafe-inline", "'unsafe-eval'", "*"] {
            assert!(!policy.contains(unsafe_word), "{path}: {policy}");
        }
        assert_eq!(
            answer.header(header::X_CONTENT_TYPE_OPTIONS),
            "nosniff",
            "{path}"
        );
        let (_, rest) = policy.split_once("'nonce-").unwrap();
        nonces.push(rest.split_once('\'').unwrap().0.to_owned());
    }
    let count = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), count, "a nonce was used twice");
}

#[sqlx::test(migrations = "./migrations")]
async fn every_script_of_a_page_carries_the_nonce_of_its_policy(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let answer = console.get("/sign-in").await;
    let policy = answer.header(header::CONTENT_SECURITY_POLICY);
    let nonce = policy
        .split_once("'nonce-")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;
    let scripts: Vec<_> = answer.body.split("<script").skip(1).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let tag = script.split_once('>').unwrap().0;
        assert!(
            tag.contains(&format!("nonce=\"{nonce}\"")),
            "{tag} in a page with {nonce}"
        );
    }
    assert!(
        !answer.body.contains(" style=\""),
        "a style attribute does not survive the policy"
    );
    assert!(!answer.body.contains(" onclick="));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_post_from_another_site_is_refused(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let from = |name: &'static str, value: &'static str| {
        post("/api/sign_in")
            .header(header::HOST, "console.example")
            .header(name, value)
    };
    let refused = [
        from("sec-fetch-site", "cross-site"),
        from("sec-fetch-site", "same-site"),
        from("origin", "https://evil.example"),
        from("origin", "null"),
    ];
    for request in refused {
        let answer = console.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let own = [
        from("sec-fetch-site", "same-origin"),
        from("origin", "http://console.example"),
    ];
    for request in own {
        let answer = console.send(request.body(Body::empty()).unwrap()).await;
        assert_ne!(answer.status, StatusCode::FORBIDDEN);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_body_beyond_the_limit_is_refused(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    let request = post("/api/sign_in").header(header::CONTENT_LENGTH, 64 * 1024 * 1024);
    let answer = console.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[sqlx::test(migrations = "./migrations")]
async fn files_need_no_session_and_are_asked_for_again_cheaply(pool: PgPool) {
    let console = Console::with_an_administrator(pool).await;
    for path in ["/pkg/rollcall.css", "/favicon.svg"] {
        let answer = console.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-cache");
        let etag = answer.header(header::ETAG).to_owned();
        let again = Request::get(path).header(header::IF_NONE_MATCH, etag);
        let answer = console.send(again.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{path}");
    }
    assert_eq!(
        console.get("/sign-in").await.header(header::CACHE_CONTROL),
        "no-store"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_machines_that_watch_get_their_answers(pool: PgPool) {
    let console = Console::new(pool.clone());
    assert_eq!(console.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(console.get("/readyz").await.status, StatusCode::OK);
    assert_eq!(console.get("/metrics").await.status, StatusCode::OK);
    pool.close().await;
    assert_eq!(console.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(
        console.get("/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

/// One line of what Prometheus reads.
async fn figure(console: &Console, name: &str) -> Option<String> {
    let answer = console.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    let found = answer.body.lines().find_map(|line| line.strip_prefix(name));
    found.map(|value| value.trim().to_owned())
}

#[sqlx::test(migrations = "./migrations")]
async fn what_any_process_did_is_measured(pool: PgPool) {
    let console = Console::new(pool.clone());
    let mut db = pool.acquire().await.unwrap();
    let now = console.clock.now();
    let slug = AppSlug::parse("asana").unwrap();
    let endpoint = "https://app.example/scim";
    let app = apps::add(&mut db, &slug, "asana", "Asana", endpoint, now);
    let app = app.await.unwrap().unwrap();
    let new = NewRun {
        app,
        kind: RunKind::Manual,
        actor: "test",
        config_version: 1,
        fresh_import: false,
        plan_of: None,
    };
    runs::queue(&mut db, &new, now).await.unwrap();
    let tally = [
        (OperationKind::Create, OperationState::Done, 7),
        (OperationKind::Suspend, OperationState::Failed, 2),
    ];
    for _ in 0..2 {
        measures::add_operations(&mut db, "asana", &tally)
            .await
            .unwrap();
    }
    let mut clocks = Lifecycle::default();
    clocks
        .clocks
        .insert(Trigger::Suspended, Clock::started(now));
    let due = DueStep {
        trigger: Trigger::Suspended,
        step: Step::Suspend,
        since: now,
        due_at: now - TimeDelta::minutes(90),
        held: false,
        waived: false,
        allowed: false,
        waits_for_suspension: false,
        frozen: false,
        under_review: false,
    };
    lifecycles::save(&mut db, app, &"p1".into(), &clocks, Some(&due))
        .await
        .unwrap();
    apps::set_state(&mut db, app, &AppState::On, now)
        .await
        .unwrap();
    for (name, value) in [
        (
            r#"rollcall_operations_total{app="asana",kind="create",outcome="done"}"#,
            "14",
        ),
        (
            r#"rollcall_operations_total{app="asana",kind="suspend",outcome="failed"}"#,
            "4",
        ),
        (
            r#"rollcall_requests_total{app="asana",target="scim_write"}"#,
            "0",
        ),
        (r#"rollcall_queue_depth{app="asana"}"#, "1"),
        (r#"rollcall_pending_removals{app="asana"}"#, "1"),
        (
            r#"rollcall_oldest_overdue_removal_seconds{app="asana"}"#,
            "5400",
        ),
        ("rollcall_rate_limit_waits_total", "0"),
    ] {
        assert_eq!(
            figure(&console, name).await.as_deref(),
            Some(value),
            "{name}"
        );
    }
    let stopped = AppState::Stopped {
        code: "reauthorize".to_owned(),
        message: "The token was revoked".to_owned(),
    };
    for (state, overdue) in [(stopped, "5400"), (AppState::Off, "0")] {
        apps::set_state(&mut db, app, &state, now).await.unwrap();
        let name = r#"rollcall_oldest_overdue_removal_seconds{app="asana"}"#;
        let told = figure(&console, name).await;
        assert_eq!(told.as_deref(), Some(overdue), "{state:?}");
    }
    sqlx::query("UPDATE runs SET state = 'completed', scim_writes = 9")
        .execute(&pool)
        .await
        .unwrap();
    let ended = r#"rollcall_runs_total{app="asana",kind="manual",outcome="completed"}"#;
    assert_eq!(figure(&console, ended).await.as_deref(), Some("1"));
    let written = r#"rollcall_requests_total{app="asana",target="scim_write"}"#;
    assert_eq!(figure(&console, written).await.as_deref(), Some("9"));
}

#[sqlx::test(migrations = "./migrations")]
async fn without_its_database_the_console_lets_nobody_in(pool: PgPool) {
    let console = Console::with_an_administrator(pool.clone()).await;
    pool.close().await;
    let request = Request::builder().method(Method::POST).uri("/api/about");
    let answer = console.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
}
