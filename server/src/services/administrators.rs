//! Who may sign in, what they may do, and how this installation is.

use std::sync::Arc;

use app::api::administrators::{
    About, Administrator, AdministratorChange, AdministratorPage, Settings, Standing,
};
use app::api::terms::Role;
use app::services::{Actor, Administrators, Answer, Assured};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::administration::Administration;
use super::answers::database;
use super::door::Door;
use super::session_views;
use crate::clock::Clock;
use crate::settings::AllowedTargets;
use crate::store::administrators::{self, Entry};
use crate::store::{schema, second_factors, workers};

#[derive(Clone, Debug)]
pub struct AdministratorsService {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
    allowed_targets: AllowedTargets,
    public_url: Option<String>,
    administration: Administration,
    demo: bool,
}

impl AdministratorsService {
    pub fn new(
        door: Door,
        settings: &crate::settings::Settings,
        origin: String,
        demo: bool,
    ) -> Self {
        Self {
            pool: door.pool.clone(),
            clock: door.clock.clone(),
            started_at: door.clock.now(),
            allowed_targets: settings.allowed_targets,
            public_url: settings
                .public_url
                .as_ref()
                .map(|url| url.origin().ascii_serialization()),
            administration: Administration { door, origin },
            demo,
        }
    }
}

fn shown(entry: Entry, actor: &Actor, second_factor: bool) -> Administrator {
    let standing = match (entry.disabled_at, entry.has_password) {
        (Some(_), _) => Standing::Disabled,
        (None, true) => Standing::Active,
        (None, false) => Standing::Invited,
    };
    let one = entry.administrator;
    Administrator {
        id: one.id,
        role: super::actor(&one).role,
        standing,
        second_factor,
        you: one.id == actor.id,
        email: one.email,
        created_at: one.created_at,
        signed_in_at: one.last_sign_in,
    }
}

#[async_trait]
impl Administrators for AdministratorsService {
    async fn list(&self, actor: &Actor) -> Answer<Vec<Administrator>> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let everyone = administrators::list(&mut db).await.map_err(database)?;
        let factors = second_factors::everybody(&mut db).await.map_err(database)?;
        let shown = everyone.into_iter().map(|one| {
            let has = factors.contains(&one.administrator.id);
            shown(one, actor, has)
        });
        Ok(shown.collect())
    }

    async fn one(&self, actor: &Actor, id: Uuid) -> Answer<AdministratorPage> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let everyone = administrators::list(&mut db).await.map_err(database)?;
        let last = super::administration::is_last(&everyone, id);
        let entry = everyone.into_iter().find(|one| one.administrator.id == id);
        let entry = entry.ok_or_else(app::api::ApiError::not_found)?;
        let factor = second_factors::find(&mut db, id).await.map_err(database)?;
        let may_change = actor.role == Role::SuperAdministrator;
        let sessions = match may_change || id == actor.id {
            true => session_views::of(&mut db, id, self.clock.now(), None).await?,
            false => Vec::new(),
        };
        Ok(AdministratorPage {
            administrator: shown(entry, actor, factor.is_some()),
            sessions,
            last,
            may_change,
        })
    }

    async fn invite(&self, actor: &Assured, email: String, role: Role) -> Answer<Uuid> {
        self.administration.invite(actor, &email, role).await
    }

    async fn change(&self, actor: &Assured, id: Uuid, change: AdministratorChange) -> Answer<()> {
        self.administration.change(actor, id, change).await
    }

    async fn renew_link(&self, actor: &Assured, id: Uuid) -> Answer<()> {
        self.administration.renew_link(actor, id).await
    }

    async fn remove(&self, actor: &Assured, id: Uuid) -> Answer<()> {
        self.administration.remove(actor, id).await
    }

    async fn revoke(&self, actor: &Assured, id: Uuid, session: Option<String>) -> Answer<()> {
        self.administration.revoke(actor, id, session).await
    }

    async fn settings(&self) -> Answer<Settings> {
        let allowed = |yes| if yes { "Allowed" } else { "Refused" };
        let rows = |rows: &[(&str, &str)]| {
            rows.iter()
                .map(|&(label, value)| (label.to_owned(), value.to_owned()))
                .collect()
        };
        let address = self
            .public_url
            .as_deref()
            .unwrap_or("The one it listens on");
        let sections = [
            (
                "Addresses that Rollcall may talk to",
                rows(&[
                    ("Public addresses over https", "Allowed"),
                    ("Loopback addresses", allowed(self.allowed_targets.loopback)),
                    ("Private addresses", allowed(self.allowed_targets.private)),
                ]),
            ),
            ("Console", rows(&[("Address for browsers", address)])),
        ];
        let sections = sections.map(|(title, rows)| (title.to_owned(), rows));
        Ok(Settings {
            sections: sections.into(),
        })
    }

    async fn about(&self) -> Answer<About> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let facts = schema::facts(&mut db).await.map_err(database)?;
        let workers = workers::alive(&mut db).await?;
        Ok(About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: crate::BUILD.map(str::to_owned),
            started_at: self.started_at,
            database: format!("PostgreSQL {}", facts.server_version),
            schema_version: facts.schema_version,
            job_engine: "graphile_worker 0.14".to_owned(),
            workers: workers
                .into_iter()
                .map(|worker| format!("{} (version {})", worker.host, worker.version))
                .collect(),
            demo: self.demo,
        })
    }
}
