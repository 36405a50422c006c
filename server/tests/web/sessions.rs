//! Sessions over HTTP: how they begin, what they open, and when they end.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use chrono::{DateTime, TimeDelta};
use leptos::prelude::provide_context;
use metrics_exporter_prometheus::PrometheusHandle;
use server::clock::{Clock as _, FakeClock};
use server::connectors::{Outgoing, TargetPolicy};
use server::http::{Site, Web, router};
use server::secrets::{SecretKey, Vault};
use server::services::door::Scrutiny;
use server::services::{compose, one_time_links as links, passwords};
use server::settings::Settings;
use server::store::administrators::{self, Administrator, Role};
use server::store::one_time_links::Purpose;
use server::sync::Engine;
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

const PASSWORD: &str = "correct horse battery";

struct Console {
    router: Router,
    pool: PgPool,
    clock: FakeClock,
    ada: Uuid,
    _site: TempDir,
}

fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS
        .get_or_init(|| server::telemetry::start_metrics().unwrap())
        .clone()
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

impl Answer {
    /// The cookie as the browser sends it back.
    fn cookie(&self) -> Option<String> {
        let set = self.headers.get(header::SET_COOKIE)?.to_str().unwrap();
        Some(set.split(';').next().unwrap().to_owned())
    }
}

impl Console {
    async fn new(pool: PgPool) -> Self {
        let site = tempfile::tempdir().unwrap();
        let clock = FakeClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let shared = Arc::new(clock.clone());
        let vault = Vault::new(SecretKey::generate());
        let outgoing = Outgoing::new(TargetPolicy::default()).unwrap();
        let engine = Engine::new(pool.clone(), shared.clone(), vault, outgoing);
        let settings = Settings::read(|_| Ok(None)).unwrap();
        let services = compose::services(&engine, &settings, "http://h", Scrutiny::Demo, None);
        let web = Web {
            pool: pool.clone(),
            clock: shared,
            provide: Arc::new(move || provide_context(services.clone())),
            downloads: Router::new(),
            hooks: Router::new(),
            site: Site::open(site.path()).unwrap(),
            metrics: metrics(),
            public_url: None,
            scrutiny: Scrutiny::Demo,
        };
        let ada = Administrator {
            id: Uuid::from_u128(1),
            email: "ada@example.com".to_owned(),
            role: Role::SuperAdministrator,
            created_at: clock.now(),
            last_sign_in: None,
        };
        let hash = passwords::hash(PASSWORD.into()).await.unwrap();
        let mut db = pool.acquire().await.unwrap();
        administrators::add(&mut db, &ada, &hash).await.unwrap();
        drop(db);
        Self {
            router: router(&web).unwrap(),
            pool,
            clock,
            ada: ada.id,
            _site: site,
        }
    }

    async fn post(&self, path: &str, form: &str, cookie: Option<&str>) -> Answer {
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
        }
    }

    async fn sign_in(&self, cookie: Option<&str>) -> String {
        let form = format!(
            "email=ada@example.com&password={}",
            PASSWORD.replace(' ', "+")
        );
        let answer = self.post("/api/sign_in", &form, cookie).await;
        assert!(!answer.status.is_client_error(), "{}", answer.status);
        answer.cookie().unwrap()
    }

    async fn is_in(&self, cookie: &str) -> bool {
        match self.post("/api/about", "", Some(cookie)).await.status {
            StatusCode::OK => true,
            StatusCode::UNAUTHORIZED => false,
            status => panic!("{status}"),
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn signing_in_opens_the_console_with_a_cookie_that_scripts_can_not_read(pool: PgPool) {
    let console = Console::new(pool).await;
    let form = "email=ada@example.com&password=correct+horse+battery";
    let answer = console.post("/api/sign_in", form, None).await;
    let cookie = answer
        .headers
        .get(header::SET_COOKIE)
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    assert!(
        cookie.contains("Path=/") && !cookie.contains("Domain"),
        "{cookie}"
    );
    assert!(console.is_in(&answer.cookie().unwrap()).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_refused_sign_in_sets_no_cookie(pool: PgPool) {
    let console = Console::new(pool).await;
    let answer = console
        .post("/api/sign_in", "email=ada@example.com&password=wrong", None)
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.cookie(), None);
}

#[sqlx::test(migrations = "./migrations")]
async fn signing_in_again_makes_the_old_cookie_worthless(pool: PgPool) {
    let console = Console::new(pool).await;
    let old = console.sign_in(None).await;
    let new = console.sign_in(Some(&old)).await;
    assert_ne!(old, new);
    assert!(console.is_in(&new).await);
    assert!(!console.is_in(&old).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn signing_out_ends_the_session_on_the_server(pool: PgPool) {
    let console = Console::new(pool).await;
    let cookie = console.sign_in(None).await;
    console.post("/api/sign_out", "", Some(&cookie)).await;
    assert!(!console.is_in(&cookie).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_session_ends_when_nobody_uses_it_for_eight_hours(pool: PgPool) {
    let console = Console::new(pool).await;
    let cookie = console.sign_in(None).await;
    for _ in 0..3 {
        console.clock.advance(TimeDelta::hours(7));
        assert!(console.is_in(&cookie).await, "it is in use");
    }
    console.clock.advance(TimeDelta::hours(8));
    assert!(!console.is_in(&cookie).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_session_in_use_ends_after_a_week(pool: PgPool) {
    let console = Console::new(pool).await;
    let cookie = console.sign_in(None).await;
    for _ in 0..23 {
        console.clock.advance(TimeDelta::hours(7));
        assert!(console.is_in(&cookie).await);
    }
    console.clock.advance(TimeDelta::hours(7));
    assert!(!console.is_in(&cookie).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_password_ends_every_session(pool: PgPool) {
    let console = Console::new(pool).await;
    let cookie = console.sign_in(None).await;
    let mut db = console.pool.acquire().await.unwrap();
    let purpose = Purpose::ResetPassword(console.ada);
    let link = links::issue(&mut db, purpose, console.clock.now(), "http://h")
        .await
        .unwrap();
    drop(db);
    let token = link.split_once("token=").unwrap().1;
    let form = format!("token={token}&password=another+good+phrase&repeated=another+good+phrase");
    let answer = console.post("/api/redeem_link", &form, None).await;
    assert!(!console.is_in(&cookie).await);
    assert!(console.is_in(&answer.cookie().unwrap()).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_copy_of_the_sessions_table_signs_nobody_in(pool: PgPool) {
    let console = Console::new(pool).await;
    let cookie = console.sign_in(None).await;
    let value = cookie.split_once('=').unwrap().1;
    let dump: String = sqlx::query_scalar("SELECT string_agg(sessions::text, ' ') FROM sessions")
        .fetch_one(&console.pool)
        .await
        .unwrap();
    assert!(!dump.contains(value));
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_may_read_what_waits_and_not_decide_about_it(pool: PgPool) {
    let console = Console::new(pool).await;
    let cookie = console.sign_in(None).await;
    // As a browser sends the lines that are ticked, of an app that there is not.
    let reading = ["/api/queue", "/api/review"].map(|path| (path, "slug=none&page=1"));
    let deciding = [
        (
            "/api/decide_held",
            "slug=none&choice=allow-selected&version=v\
             &chosen%5B1%5D=suspended.suspend.117&chosen%5B3%5D=create.118",
        ),
        (
            "/api/decide_steps",
            "slug=none&choice=now&chosen%5Bsteps%5D%5B0%5D=deleted.delete.117",
        ),
    ];
    for (path, form) in reading.iter().chain(&deciding) {
        let answer = console.post(path, form, Some(&cookie)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path} is understood");
    }
    sqlx::query("UPDATE administrators SET role = 'auditor'")
        .execute(&console.pool)
        .await
        .unwrap();
    for (paths, status) in [
        (&reading, StatusCode::NOT_FOUND),
        (&deciding, StatusCode::FORBIDDEN),
    ] {
        for (path, form) in paths {
            let answer = console.post(path, form, Some(&cookie)).await;
            assert_eq!(answer.status, status, "{path}");
        }
    }
}
