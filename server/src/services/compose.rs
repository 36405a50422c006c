//! All that the console asks of the server, in one value.

use std::sync::Arc;

use app::services::{Demo, Services};

use super::accounts::AccountsService;
use super::administrators::AdministratorsService;
use super::apps::AppServices;
use super::audit::AuditService;
use super::demo::DemoService;
use super::directory::DirectoryService;
use super::failures::FailuresService;
use super::frame::FrameService;
use super::home::HomeService;
use super::removals::RemovalsService;
use super::runs::RunsService;
use super::setup::SetupService;
use super::sign_in::SignInService;
use crate::jobs::Queue;
use crate::sandbox::Sandbox;
use crate::settings::Settings;
use crate::sync::Engine;

/// The emulators behind a demo, and where they listen.
#[derive(Clone, Debug)]
pub struct Backstage {
    pub sandbox: Sandbox,
    pub origin: String,
}

/// The console's services; with `demo`, its extra page too.
pub fn services(engine: &Engine, settings: &Settings, demo: Option<Backstage>) -> Services {
    let (pool, clock) = (engine.pool.clone(), engine.clock.clone());
    let (engine, queue) = (engine.clone(), Queue::new(engine.clone()));
    let is_demo = demo.is_some();
    let about = AdministratorsService::new(pool.clone(), &clock, settings, is_demo);
    let apps = Arc::new(AppServices::new(engine.clone(), queue.clone()));
    Services {
        setup: Arc::new(SetupService::new(pool.clone(), clock.clone())),
        sign_in: Arc::new(SignInService::new(pool.clone(), clock.clone())),
        shell: Arc::new(FrameService::new(pool.clone(), is_demo)),
        home: Arc::new(HomeService {
            engine: engine.clone(),
        }),
        directory: Arc::new(DirectoryService {
            engine: engine.clone(),
        }),
        apps: apps.clone(),
        wizard: apps.clone(),
        autoprovisioning: apps,
        runs: Arc::new(RunsService {
            engine: engine.clone(),
            queue: queue.clone(),
        }),
        failures: Arc::new(FailuresService {
            engine: engine.clone(),
            queue,
        }),
        accounts: Arc::new(AccountsService {
            engine: engine.clone(),
        }),
        removals: Arc::new(RemovalsService {
            engine: engine.clone(),
        }),
        audit: Arc::new(AuditService { engine }),
        administrators: Arc::new(about),
        demo: demo.map(|Backstage { sandbox, origin }| -> Arc<dyn Demo> {
            Arc::new(DemoService::new(pool, clock, sandbox, origin))
        }),
    }
}
