//! A configured app in an emulated company, and the means to let time pass.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use provisioning::catalog;
use provisioning::config::{AppConfig, OrgUnitAccess, Sso};
use provisioning::identity::AppSlug;
use secrecy::SecretString;
use server::clock::{Clock as _, FakeClock};
use server::connectors::{JumpingTimer, Outgoing, TargetPolicy};
use server::sandbox::{ADMINISTRATOR, CLIENT_EMAIL, Sandbox, SandboxOptions};
use server::secrets::{SecretKey, Vault};
use server::store::apps::{self, App, AppId, AppState};
use server::store::connection::{self, ConnectionSettings};
use server::store::credentials::{self, Credential};
use server::store::events::{self, EventFilter, EventRow, Order};
use server::store::runs::{self, NewRun, Run, RunId, RunKind};
use server::sync::Engine;
use server::sync::run::{Carried, carry_out};
use sqlx::PgPool;
use zeroize::Zeroizing;

pub struct House {
    pub sandbox: Sandbox,
    pub clock: FakeClock,
    pub engine: Engine,
    pub app: AppId,
}

pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()
}

impl House {
    /// Everybody of the primary domain is in scope, with Asana's default mapping.
    pub async fn build(pool: PgPool) -> Self {
        Self::build_with(pool, |_| {}, |_| {}).await
    }

    pub async fn build_with(
        pool: PgPool,
        adapt_sandbox: impl FnOnce(&mut SandboxOptions),
        adapt_config: impl FnOnce(&mut AppConfig),
    ) -> Self {
        let clock = FakeClock::at(noon());
        let mut options = SandboxOptions::for_tests(Arc::new(clock.clone())).unwrap();
        adapt_sandbox(&mut options);
        let sandbox = Sandbox::new(options).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = sandbox.clone();
        tokio::spawn(async move { serving.serve(listener).await });

        let policy = TargetPolicy {
            allow_loopback: true,
            allow_private: false,
        };
        let outgoing = Outgoing::new(policy)
            .unwrap()
            .waiting_on(Arc::new(JumpingTimer::default()));
        let vault = Vault::new(SecretKey::from_bytes(Zeroizing::new([7; 32])));
        let engine = Engine::new(pool, Arc::new(clock.clone()), vault, outgoing);
        let app = connect(&engine, &sandbox, &base, adapt_config).await;
        Self {
            sandbox,
            clock,
            engine,
            app,
        }
    }

    pub async fn app(&self) -> App {
        let mut db = self.engine.connection().await.unwrap();
        apps::get(&mut db, self.app).await.unwrap().unwrap()
    }

    pub async fn queue(&self) -> RunId {
        self.queue_as(self.app, RunKind::Shell).await
    }

    /// Scheduled runs share a reading of the directory, the others read afresh.
    pub async fn queue_as(&self, app: AppId, kind: RunKind) -> RunId {
        let mut db = self.engine.connection().await.unwrap();
        let new = NewRun {
            app,
            kind,
            actor: "test",
            config_version: 1,
            fresh_import: kind != RunKind::Scheduled,
            plan_of: None,
        };
        runs::queue(&mut db, &new, self.clock.now())
            .await
            .unwrap()
            .0
    }

    /// One whole run.
    pub async fn run(&self) -> Run {
        let run = self.queue().await;
        let carried = carry_out(&self.engine.counting_anew(), run).await.unwrap();
        assert_eq!(carried, Carried::Finished(self.app));
        self.read(run).await
    }

    pub async fn run_of(&self, app: AppId) -> Run {
        self.run_as(app, RunKind::Shell).await
    }

    pub async fn run_scheduled(&self) -> Run {
        self.run_as(self.app, RunKind::Scheduled).await
    }

    pub async fn run_as(&self, app: AppId, kind: RunKind) -> Run {
        let run = self.queue_as(app, kind).await;
        let carried = carry_out(&self.engine.counting_anew(), run).await.unwrap();
        assert_eq!(carried, Carried::Finished(app));
        self.read(run).await
    }

    /// The whole plan as it would be now; nothing is applied.
    pub async fn preview(&self) -> Run {
        self.run_as(self.app, RunKind::Preview).await
    }

    /// One more app that is on, at the same emulated Asana.
    pub async fn add_app(&self, slug: &str, adapt: impl FnOnce(&mut AppConfig)) -> AppId {
        let endpoint = self.app().await.endpoint;
        connect_app(&self.engine, &self.sandbox, &endpoint, slug, adapt).await
    }

    pub async fn read(&self, run: RunId) -> Run {
        let mut db = self.engine.connection().await.unwrap();
        runs::get(&mut db, run).await.unwrap().unwrap()
    }

    pub fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    /// The provisioning events of a run, or of all time, oldest first.
    pub async fn events(&self, name: &str) -> Vec<EventRow> {
        let mut db = self.engine.connection().await.unwrap();
        let filter = EventFilter {
            event: Some(name.to_owned()),
            ..EventFilter::default()
        };
        events::page(&mut db, &filter, Order::OldestFirst, None, 10_000)
            .await
            .unwrap()
    }

    pub async fn change_config(&self, change: impl FnOnce(&mut AppConfig)) {
        let mut db = self.engine.connection().await.unwrap();
        let stored = apps::config(&mut db, self.app).await.unwrap().unwrap();
        let mut config: AppConfig = serde_json::from_value(stored.config).unwrap();
        change(&mut config);
        apps::save_config(&mut db, self.app, &config, self.clock.now(), "test", "")
            .await
            .unwrap();
    }
}

async fn connect(
    engine: &Engine,
    sandbox: &Sandbox,
    base: &str,
    adapt: impl FnOnce(&mut AppConfig),
) -> AppId {
    let now = engine.clock.now();
    let mut db = engine.connection().await.unwrap();
    let settings = ConnectionSettings {
        endpoint: base.to_owned(),
        token_uri: format!("{base}/token"),
        admin_email: ADMINISTRATOR.to_owned(),
        customer: "my_customer".to_owned(),
        client_email: CLIENT_EMAIL.to_owned(),
        client_id: String::new(),
    };
    connection::save(&mut db, &settings, now, "test")
        .await
        .unwrap();
    let key = SecretString::from(sandbox.service_account_key_json(base));
    credentials::put(&mut db, &engine.vault, Credential::DirectoryKey, &key, now)
        .await
        .unwrap();
    drop(db);
    connect_app(
        engine,
        sandbox,
        &Sandbox::scim_endpoint(base),
        "asana",
        adapt,
    )
    .await
}

async fn connect_app(
    engine: &Engine,
    sandbox: &Sandbox,
    endpoint: &str,
    slug: &str,
    adapt: impl FnOnce(&mut AppConfig),
) -> AppId {
    let now = engine.clock.now();
    let mut db = engine.connection().await.unwrap();
    let slug = AppSlug::parse(slug).unwrap();
    let app = apps::add(&mut db, &slug, "asana", "Asana", endpoint, now)
        .await
        .unwrap()
        .unwrap();
    let token = SecretString::from(sandbox.asana_token());
    credentials::put(
        &mut db,
        &engine.vault,
        Credential::AppToken(app.0),
        &token,
        now,
    )
    .await
    .unwrap();

    let entry = catalog::entry("asana").unwrap();
    let mut config = AppConfig::with_mapping(entry.default_mapping.clone());
    config.sso = Some(Sso::Google);
    config.scope.everyone = true;
    config.access.org_units.push(OrgUnitAccess {
        path: "/".to_owned(),
        id: None,
        on: true,
    });
    adapt(&mut config);
    apps::save_config(&mut db, app, &config, now, "test", "")
        .await
        .unwrap();
    apps::set_state(&mut db, app, &AppState::On, now)
        .await
        .unwrap();
    app
}
