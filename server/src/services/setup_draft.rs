//! What counts for an app at the moment: its configuration, or what the wizard gathered so far.

use app::services::Answer;
use chrono::{DateTime, Utc};
use provisioning::catalog::CatalogEntry;
use provisioning::config::{
    Access, AppConfig, DeprovisioningPolicies, Draft, MappingRow, Scope, Sso,
};
use sqlx::PgConnection;

use super::excuses::internal;
use super::standing;
use crate::configuration::By;
use crate::store::apps::{self, App};
use crate::store::runs;
use crate::sync::inputs;

/// An app with everything that was decided for it.
#[derive(Debug)]
pub(super) struct Setting {
    pub app: App,
    pub entry: CatalogEntry,
    /// `None` until it was turned on for the first time.
    pub config: Option<AppConfig>,
    /// While not configured: everything so far. Later: sections whose edit is not finished.
    pub draft: Draft,
    pub drafted_at: Option<DateTime<Utc>>,
}

impl Setting {
    pub async fn load(db: &mut PgConnection, slug: &str) -> Answer<Self> {
        let app = standing::app(&mut *db, slug).await?;
        Self::of(db, app).await
    }

    pub async fn of(db: &mut PgConnection, app: App) -> Answer<Self> {
        let entry = inputs::catalog_entry(&app).map_err(internal)?;
        let config = inputs::configuration(&mut *db, &app).await?;
        let drafted_at = apps::draft(&mut *db, app.id)
            .await?
            .map(|stored| stored.updated_at);
        let draft = inputs::draft(db, &app).await?.unwrap_or_default();
        Ok(Self {
            app,
            entry,
            config,
            draft,
            drafted_at,
        })
    }

    pub fn sso(&self) -> Option<&Sso> {
        match &self.config {
            Some(config) => config.sso.as_ref(),
            None => self.draft.sso.as_ref(),
        }
    }

    /// User access as saved.
    pub fn access(&self) -> Access {
        match &self.config {
            Some(config) => config.access.clone(),
            None => self.draft.access.clone().unwrap_or_default(),
        }
    }

    pub fn mapping(&self) -> Vec<MappingRow> {
        let configured = || self.config.as_ref().map(|config| config.mapping.clone());
        self.draft
            .mapping
            .clone()
            .or_else(configured)
            .unwrap_or_else(|| self.entry.default_mapping.clone())
    }

    pub fn scope(&self) -> Scope {
        let configured = || self.config.as_ref().map(|config| config.scope.clone());
        self.draft
            .scope
            .clone()
            .or_else(configured)
            .unwrap_or_default()
    }

    pub fn deprovisioning(&self) -> DeprovisioningPolicies {
        let configured = || self.config.as_ref().map(|config| config.deprovisioning);
        self.draft
            .deprovisioning
            .or_else(configured)
            .unwrap_or_default()
    }

    /// The configuration as it would be if everything that is drafted were saved.
    pub fn effective(&self) -> AppConfig {
        let mut config = self
            .config
            .clone()
            .unwrap_or_else(|| AppConfig::with_mapping(Vec::new()));
        config.mapping = self.mapping();
        config.scope = self.scope();
        config.deprovisioning = self.deprovisioning();
        config.access = self.access();
        config.sso = self.sso().cloned();
        config
    }

    /// What counts now: the configuration, or everything so far.
    pub fn saved(&self) -> AppConfig {
        self.config.clone().unwrap_or_else(|| self.effective())
    }

    /// Keeps the draft. A plan that was made from another one is no longer true.
    pub async fn keep(&self, db: &mut PgConnection, draft: &Draft, by: By<'_>) -> Answer<()> {
        if self.drafted_at.is_some() && *draft == self.draft {
            return Ok(());
        }
        if *draft == Draft::default() {
            apps::discard_draft(&mut *db, self.app.id).await?;
        } else {
            apps::save_draft(&mut *db, self.app.id, draft, by.now, by.actor).await?;
        }
        if self.config.is_none() {
            runs::outdate_previews(db, self.app.id, by.now).await?;
        }
        Ok(())
    }
}
