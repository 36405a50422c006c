//! Who may sign in, and how this installation is.

use std::sync::Arc;

use app::api::administrators::{About, Administrator, Settings};
use app::services::{Actor, Administrators, Answer};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::answers::database;
use crate::clock::Clock;
use crate::http::{ABSOLUTE_LIFETIME, IDLE_LIFETIME};
use crate::settings::AllowedTargets;
use crate::store::{administrators, schema, workers};

#[derive(Clone, Debug)]
pub struct AdministratorsService {
    pool: PgPool,
    started_at: DateTime<Utc>,
    allowed_targets: AllowedTargets,
    public_url: Option<String>,
    demo: bool,
}

impl AdministratorsService {
    pub fn new(
        pool: PgPool,
        clock: &Arc<dyn Clock>,
        settings: &crate::settings::Settings,
        demo: bool,
    ) -> Self {
        Self {
            pool,
            started_at: clock.now(),
            allowed_targets: settings.allowed_targets,
            public_url: settings
                .public_url
                .as_ref()
                .map(|url| url.origin().ascii_serialization()),
            demo,
        }
    }
}

#[async_trait]
impl Administrators for AdministratorsService {
    async fn list(&self, actor: &Actor) -> Answer<Vec<Administrator>> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let everyone = administrators::list(&mut db).await.map_err(database)?;
        let shown = everyone.into_iter().map(|one| Administrator {
            role: super::actor(&one).role,
            you: one.id == actor.id,
            email: one.email,
            created_at: one.created_at,
            signed_in_at: one.last_sign_in,
        });
        Ok(shown.collect())
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
        let idle = format!("{} hours", IDLE_LIFETIME.num_hours());
        let absolute = format!("{} days", ABSOLUTE_LIFETIME.num_days());
        let sections = [
            (
                "Sessions",
                rows(&[
                    ("Sign out after no use for", &idle),
                    ("Sign out in any case after", &absolute),
                ]),
            ),
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
