//! Autoprovisioning of one app: how it is, turning it off and on, and taking it away.

use app::api::autoprovisioning::{AutoprovisioningPage, Configured};
use app::api::terms::AppStatus;
use app::api::usage::Usage;
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer, Assured, Autoprovisioning, Runs as _};
use async_trait::async_trait;
use chrono::TimeDelta;
use provisioning::config::AppConfig;
use provisioning::event::EventName;

use super::app_status::held_removals;
use super::apps::{AppServices, commit};
use super::home::last_run;
use super::runs::RunsService;
use super::setup_draft::Setting;
use super::standing::{self, number};
use super::usage;
use super::wizard::{done, edited, mapping_views, policy_views};
use super::zones::Zone;
use crate::configuration;
use crate::store::apps::AppState;
use crate::store::runs::{NewRun, RunKind};
use crate::store::{credentials, events, lifecycles, links, runs, standings};
use crate::sync::pending;

#[async_trait]
impl Autoprovisioning for AppServices {
    async fn overview(&self, slug: &str) -> Answer<AutoprovisioningPage> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        let draft_done = match &setting.config {
            Some(_) => Vec::new(),
            None => done(&mut db, &setting).await?,
        };
        drop(db);
        let configured = match &setting.config {
            Some(config) => {
                let configured = self.configured(&setting, config, &head.status).await?;
                Some(Box::new(configured))
            }
            None => None,
        };
        Ok(AutoprovisioningPage {
            head,
            configured,
            draft_done,
            directory_read: self.facts(&setting.saved()).await?.is_some(),
        })
    }

    async fn turn_on(&self, actor: &Assured, slug: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        let app = &setting.app;
        match &app.state {
            AppState::NotConfigured => return Err(ApiError::new(ErrorCode::NotConfigured)),
            AppState::On | AppState::Stopped { .. } => {
                return Err(ApiError::new(ErrorCode::AlreadyOn));
            }
            AppState::Off => {}
        }
        if setting.sso().is_none() {
            return Err(ApiError::new(ErrorCode::SignInMissing));
        }
        let token =
            credentials::stored_at(&mut *db, credentials::Credential::AppToken(app.id.0)).await;
        if token.map_err(credentials::CredentialError::from)?.is_none() {
            return Err(ApiError::new(ErrorCode::TokenMissing));
        }
        configuration::turn_on(&mut *db, app, by).await?;
        commit(transaction).await?;
        let new = NewRun {
            app: app.id,
            kind: RunKind::Manual,
            actor: by.actor,
            config_version: app.config_version,
            fresh_import: true,
            plan_of: None,
        };
        self.queue.start(&new).await?;
        Ok(())
    }

    async fn turn_off(&self, actor: &Actor, slug: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let app = standing::app(&mut transaction, slug).await?;
        match &app.state {
            AppState::NotConfigured => return Err(ApiError::new(ErrorCode::NotConfigured)),
            AppState::Off => return Err(ApiError::new(ErrorCode::AlreadyOff)),
            AppState::On | AppState::Stopped { .. } => {}
        }
        configuration::turn_off(&mut transaction, &app, by).await?;
        commit(transaction).await
    }

    async fn delete_configuration(&self, actor: &Assured, slug: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let app = standing::app(&mut transaction, slug).await?;
        if app.state == AppState::NotConfigured {
            return Err(ApiError::new(ErrorCode::NotConfigured));
        }
        configuration::delete(&mut transaction, &app, by).await?;
        commit(transaction).await
    }

    async fn usage(&self, slug: &str, zone: &str) -> Answer<Usage> {
        usage::of(&self.engine, slug, Zone::named(zone)).await
    }
}

impl AppServices {
    async fn configured(
        &self,
        setting: &Setting,
        config: &AppConfig,
        status: &AppStatus,
    ) -> Answer<Configured> {
        let (app, entry) = (&setting.app, &setting.entry);
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let last = runs::list(&mut db, app.id, false, 5)
            .await?
            .into_iter()
            .find(|run| run.state.is_over());
        let active = runs::active(&mut db, app.id).await?;
        let (in_use, suspended) = links::by_state(&mut db, app.id).await?;
        let ever = now + TimeDelta::days(36_500);
        let spared = pending::protected(&mut db, app).await?;
        let queue = lifecycles::due_before(&mut db, app.id, ever, &spared).await?;
        let next_due = standings::due_before(&mut db, app.id, ever, &spared).await?;
        let soon = now + TimeDelta::hours(24);
        let due_soon = standings::due_before(&mut db, app.id, soon, &spared).await?;
        let held = held_removals(&mut db, app, status).await?;
        let failing = standings::failing(&mut db, app.id).await?;
        let stored =
            credentials::stored_at(&mut db, credentials::Credential::AppToken(app.id.0)).await;
        let token_entered_at = stored.map_err(credentials::CredentialError::from)?;
        let entered = events::newest(&mut db, app.slug.as_str(), EventName::TokenChanged).await?;
        drop(db);
        let running = match active {
            Some(run) => {
                let service = RunsService {
                    engine: self.engine.clone(),
                    queue: self.queue.clone(),
                };
                Some(Box::new(service.run(app.slug.as_str(), run.number).await?))
            }
            None => None,
        };
        let census = self.census(app, config).await?;
        Ok(Configured {
            stopped_since: app.stopped_at,
            last_run: last.as_ref().map(last_run),
            next_run: app.next_run_at.filter(|_| app.state == AppState::On),
            interval_minutes: config.interval_minutes,
            accounts: number(in_use + suspended),
            active: number(in_use),
            suspended: number(suspended),
            queue: number(queue),
            due_in_24_hours: number(due_soon.suspensions + due_soon.deletions),
            next_due: next_due.first,
            held,
            failures: number(failing.people),
            running,
            endpoint: app.endpoint.clone(),
            token_accepted_at: app.authorized_at,
            token_entered_by: entered
                .filter(|_| token_entered_at.is_some())
                .map(|event| event.actor),
            token_entered_at,
            requests_per_minute: entry.limits.rate(config.requests_per_minute),
            concurrency: entry.limits.writes_at_once(config.concurrency),
            mapping: mapping_views(&config.mapping, entry, app, census.as_deref()),
            groups: self.scope_groups(&config.scope).await?,
            in_scope: census.as_ref().map_or(0, |census| census.in_scope),
            everybody: census.as_ref().map_or(0, |census| census.everybody),
            policies: policy_views(&config.deprovisioning),
            edited: edited(setting),
        })
    }
}
