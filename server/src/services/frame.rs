//! What surrounds every page: whose directory it is, and the apps with their state.

use app::api::shell::{Frame, FrameApp};
use app::services::{Actor, Answer, Shell};
use async_trait::async_trait;
use sqlx::PgPool;

use super::answers::{database, store};
use super::app_status::app_status;
use super::passkeys::Site;
use super::zones;
use crate::store::{apps, connection, imports, passkeys, second_factors};

#[derive(Clone, Debug)]
pub struct FrameService {
    pool: PgPool,
    demo: bool,
    site: Option<Site>,
}

impl FrameService {
    pub fn new(pool: PgPool, demo: bool, site: Option<Site>) -> Self {
        Self { pool, demo, site }
    }
}

#[async_trait]
impl Shell for FrameService {
    fn zones(&self) -> Vec<String> {
        zones::names()
    }

    async fn frame(&self, actor: &Actor) -> Answer<Frame> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let connected = connection::read(&mut db).await.map_err(store)?;
        let read = imports::latest_complete(&mut db).await.map_err(store)?;
        let mut shown = Vec::new();
        for app in apps::list(&mut db).await.map_err(store)? {
            let status = app_status(&mut db, &app).await.map_err(store)?;
            shown.push(FrameApp {
                slug: app.slug.to_string(),
                name: app.name,
                status,
            });
        }
        let factor = second_factors::find(&mut db, actor.id).await;
        let factor = factor.map_err(database)?;
        let passkeys = passkeys::of(&mut db, actor.id).await.map_err(database)?;
        let site = self.site.as_ref();
        let site = site.filter(|site| passkeys.iter().any(|passkey| site.is_of(passkey)));
        let number = |count: i32| u32::try_from(count).unwrap_or(0);
        let counts = read
            .as_ref()
            .map(|import| import.counts.clone())
            .unwrap_or_default();
        Ok(Frame {
            organization: connected.and_then(|directory| directory.primary_domain),
            people: number(counts.people),
            groups: number(counts.groups),
            org_units: number(counts.org_units),
            directory_read_at: read.and_then(|import| import.finished_at),
            apps: shown,
            email: actor.email.clone(),
            role: actor.role,
            demo: self.demo,
            // Only the request knows it.
            zone: String::new(),
            // The request knows; a page says so.
            confirmed: false,
            has_app: factor.is_some_and(|factor| factor.app_since.is_some()),
            passkeys_at: site.map(|site| site.origin().to_owned()),
        })
    }
}
