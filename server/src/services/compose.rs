//! All that the console asks of the server, in one value.

use std::sync::Arc;

use app::services::{Demo, Services};

use super::account::AccountService;
use super::accounts::AccountsService;
use super::administrators::AdministratorsService;
use super::apps::AppServices;
use super::audit::AuditService;
use super::breached::BreachedPasswords;
use super::console_settings::ConsoleSettingsService;
use super::demo::DemoService;
use super::directory::DirectoryService;
use super::door::{Door, Scrutiny};
use super::failures::FailuresService;
use super::frame::FrameService;
use super::home::HomeService;
use super::notifications::NotificationsService;
use super::passkeys::Site;
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

/// The console's services; with `demo`, its extra page too. Browsers reach it at `origin`.
pub fn services(
    engine: &Engine,
    settings: &Settings,
    origin: &str,
    scrutiny: Scrutiny,
    demo: Option<Backstage>,
) -> Services {
    let (pool, clock) = (engine.pool.clone(), engine.clock.clone());
    let (engine, queue) = (engine.clone(), Queue::new(engine.clone()));
    let is_demo = demo.is_some();
    let breached = BreachedPasswords::new(settings.breached_passwords.clone());
    let site = Site::of(origin);
    let door = Door::new(&engine, scrutiny, breached, site.clone());
    let administrators =
        AdministratorsService::new(door.clone(), settings, origin.to_owned(), is_demo);
    let apps = Arc::new(AppServices::new(engine.clone(), queue.clone()));
    Services {
        setup: Arc::new(SetupService::new(door.clone())),
        sign_in: Arc::new(SignInService::new(door.clone())),
        account: Arc::new(AccountService::new(door)),
        shell: Arc::new(FrameService::new(pool.clone(), is_demo, site)),
        home: Arc::new(HomeService {
            engine: engine.clone(),
        }),
        directory: Arc::new(DirectoryService {
            engine: engine.clone(),
        }),
        apps: apps.clone(),
        wizard: apps.clone(),
        autoprovisioning: apps.clone(),
        safety: apps.clone(),
        history: apps,
        settings: Arc::new(ConsoleSettingsService {
            engine: engine.clone(),
        }),
        notifications: Arc::new(NotificationsService {
            engine: engine.clone(),
        }),
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
        administrators: Arc::new(administrators),
        demo: demo.map(|Backstage { sandbox, origin }| -> Arc<dyn Demo> {
            Arc::new(DemoService::new(pool, clock, sandbox, origin))
        }),
    }
}
