//! A console as in production, and browsers that use it over HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use app::api::{ApiError, ErrorCode};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::provide_context;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret as _;
use server::audit::Seals;
use server::clock::{Clock as _, FakeClock};
use server::connectors::{Outgoing, TargetPolicy};
use server::http::{Site, Web, router};
use server::secrets::{SecretKey, Vault};
use server::services::door::Scrutiny;
use server::services::export_route::{self, Exports};
use server::services::{compose, passwords};
use server::settings::Settings;
use server::store::administrators::{self, Administrator, Role};
use server::store::credentials::{self, Credential};
use server::store::events::{self, EventFilter, EventRow, Order};
use server::sync::Engine;
use sqlx::PgPool;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::fixture::one_connection;

pub const PASSWORD: &str = "correct horse battery";
pub const PASSWORD_TYPED: &str = "correct+horse+battery";

pub struct House {
    pub router: Router,
    pub pool: PgPool,
    pub clock: FakeClock,
    vault: Vault,
    _site: TempDir,
}

fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS
        .get_or_init(|| server::telemetry::start_metrics().unwrap())
        .clone()
}

/// One hash for all: hashing is slow on purpose.
async fn hash() -> String {
    static HASH: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    HASH.get_or_init(|| async { passwords::hash(PASSWORD.into()).await.unwrap() })
        .await
        .clone()
}

impl House {
    pub fn new(pool: PgPool) -> Self {
        Self::at(pool, "http://console")
    }

    /// A console that browsers reach at this address.
    pub fn at(pool: PgPool, origin: &str) -> Self {
        let clock = FakeClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let vault = Vault::new(SecretKey::generate());
        let outgoing = Outgoing::new(TargetPolicy::default()).unwrap();
        let engine = Engine::new(
            one_connection(&pool),
            Arc::new(clock.clone()),
            vault,
            outgoing,
        );
        Self {
            pool,
            ..Self::reached_at(origin, engine, clock)
        }
    }

    pub fn over(engine: Engine, clock: FakeClock) -> Self {
        Self::reached_at("http://console", engine, clock)
    }

    fn reached_at(origin: &str, engine: Engine, clock: FakeClock) -> Self {
        let site = tempfile::tempdir().unwrap();
        let (pool, vault) = (engine.pool.clone(), engine.vault.clone());
        let settings = Settings::read(|_| Ok(None)).unwrap();
        let scrutiny = Scrutiny::Full;
        let services = compose::services(&engine, &settings, origin, scrutiny, None);
        let seals = Seals::new(
            pool.clone(),
            SecretKey::generate(),
            engine.clock.clone(),
            None,
        );
        let web = Web {
            pool: pool.clone(),
            clock: engine.clock.clone(),
            provide: Arc::new(move || provide_context(services.clone())),
            downloads: export_route::routes(Exports { engine, seals }),
            hooks: Router::new(),
            site: Site::open(site.path()).unwrap(),
            metrics: metrics(),
            public_url: None,
            scrutiny,
        };
        Self {
            router: router(&web).unwrap(),
            pool,
            clock,
            vault,
            _site: site,
        }
    }

    pub fn wait(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    pub async fn add(&self, email: &str, role: Role) -> Uuid {
        let administrator = Administrator {
            id: Uuid::now_v7(),
            email: email.to_owned(),
            role,
            created_at: self.clock.now(),
            last_sign_in: None,
        };
        let mut db = self.pool.acquire().await.unwrap();
        let added = administrators::add(&mut db, &administrator, &hash().await).await;
        assert!(added.unwrap());
        administrator.id
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser {
            house: self,
            cookie: Mutex::default(),
            address: "192.0.2.1:50000".parse().unwrap(),
        }
    }

    /// A super administrator who has signed in just now, second factor included.
    pub async fn super_administrator(&self, email: &str) -> (Uuid, Browser<'_>) {
        let id = self.add(email, Role::SuperAdministrator).await;
        let browser = self.browser();
        let step = browser.sign_in(email).await;
        assert_eq!(step.location, "/second-factor");
        browser.enrol(id).await.succeeded();
        (id, browser)
    }

    pub async fn auditor(&self, email: &str) -> (Uuid, Browser<'_>) {
        let id = self.add(email, Role::Auditor).await;
        let browser = self.browser();
        assert_eq!(browser.sign_in(email).await.location, "/");
        (id, browser)
    }

    async fn totp_of(&self, place: Credential) -> totp_rs::Totp {
        let mut db = self.pool.acquire().await.unwrap();
        let secret = credentials::get(&mut db, &self.vault, place).await.unwrap();
        let secret = secret.unwrap();
        let secret = totp_rs::Secret::try_from_base32(secret.expose_secret()).unwrap();
        totp_rs::Builder::new().with_secret(secret).build().unwrap()
    }

    /// What the app shows now.
    pub async fn code(&self, id: Uuid) -> String {
        let totp = self.totp_of(Credential::Authenticator(id)).await;
        totp.generate(self.seconds()).to_string()
    }

    /// What an app shows that is being set up.
    pub async fn new_code(&self, id: Uuid) -> String {
        let totp = self.totp_of(Credential::NewAuthenticator(id)).await;
        totp.generate(self.seconds()).to_string()
    }

    fn seconds(&self) -> u64 {
        u64::try_from(self.clock.now().timestamp()).unwrap()
    }

    pub async fn events(&self) -> Vec<EventRow> {
        let mut db = self.pool.acquire().await.unwrap();
        let all = EventFilter::default();
        events::page(&mut db, &all, Order::OldestFirst, None, 200)
            .await
            .unwrap()
    }

    pub async fn told(&self, name: &str) -> usize {
        let events = self.events().await;
        events.iter().filter(|event| event.event == name).count()
    }
}

pub struct Browser<'a> {
    house: &'a House,
    cookie: Mutex<Option<String>>,
    pub address: SocketAddr,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub location: String,
    pub body: String,
}

impl Answer {
    pub fn succeeded(&self) {
        assert!(!self.status.is_client_error(), "{self:?}");
        assert!(!self.status.is_server_error(), "{self:?}");
    }

    pub fn error(&self) -> ApiError {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no error: {self:?}"))
    }

    pub fn code(&self) -> ErrorCode {
        self.error().code
    }
}

impl Browser<'_> {
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    pub fn set_cookie(&self, cookie: Option<String>) {
        *self.cookie.lock().unwrap() = cookie;
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Answer {
        let mut request = request.header("sec-fetch-site", "same-origin").header(
            header::USER_AGENT,
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        );
        if let Some(cookie) = self.cookie() {
            request = request.header(header::COOKIE, cookie);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(ConnectInfo(self.address));
        let response = self.house.router.clone().oneshot(request).await.unwrap();
        for set in response.headers().get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            // Preferences are cookies, too.
            if !set.starts_with("rollcall=") {
                continue;
            }
            let cookie = set.split(';').next().unwrap().to_owned();
            let gone = set.contains("Max-Age=0") || cookie.ends_with('=');
            self.set_cookie((!gone).then_some(cookie));
        }
        let location = response.headers().get(header::LOCATION);
        let location = location
            .map_or("", |text| text.to_str().unwrap())
            .to_owned();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        Answer {
            status,
            location,
            body: String::from_utf8_lossy(&body.unwrap()).into_owned(),
        }
    }

    /// As a page that is alive posts a form.
    pub async fn post(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, Body::from(form.to_owned())).await
    }

    /// As a browser without scripts posts the form of a page.
    pub async fn submit(&self, from: &str, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::ACCEPT, "text/html,application/xhtml+xml")
            .header(header::REFERER, format!("http://console{from}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, Body::from(form.to_owned())).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header(header::ACCEPT, "text/html");
        self.send(request, Body::empty()).await
    }

    /// The password; what comes next is where the answer leads.
    pub async fn sign_in(&self, email: &str) -> Answer {
        let form = format!("email={email}&password={PASSWORD_TYPED}&next=");
        self.post("/api/sign_in", &form).await
    }

    /// After the password, for who has no second factor yet.
    pub async fn enrol(&self, id: Uuid) -> Answer {
        let code = self.house.new_code(id).await;
        self.post("/api/finish_enrolment", &format!("code={code}"))
            .await
    }

    pub async fn is_in(&self) -> bool {
        match self.post("/api/about", "").await.status {
            StatusCode::OK => true,
            StatusCode::UNAUTHORIZED => false,
            status => panic!("{status}"),
        }
    }
}

pub fn now_of(house: &House) -> DateTime<Utc> {
    house.clock.now()
}
