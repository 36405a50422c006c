//! Every version of an app's configuration (S9.5).

use app::api::concerned::Compared;
use app::api::history::{Comparison, History, Restoring, Section, Version};
use app::api::terms::{Change, Role};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Assured, ConfigurationHistory};
use async_trait::async_trait;
use provisioning::catalog::CatalogEntry;
use provisioning::config::{self, diff};
use provisioning::lifecycle::{Redated, redate};
use sqlx::PgConnection;

use super::apps::{AppServices, commit};
use super::excuses;
use super::setup_draft::Setting;
use super::standing::{self, paging};
use crate::configuration_history::{self as history, Earlier, RestoreError, configuration_of};
use crate::setting_words::{say, summary};
use crate::store::apps::{self, App, ConfigVersion};
use crate::store::{StoreError, lifecycles};
use crate::sync::inputs;

const PER_PAGE: u32 = 50;

#[async_trait]
impl ConfigurationHistory for AppServices {
    async fn versions(&self, actor: &Actor, slug: &str, page: u32) -> Answer<History> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let entry = entry(&app)?;
        let newest = app.config_version;
        let paging = paging(page, PER_PAGE, i64::from(newest));
        let skipped = i32::try_from(paging.page - 1)
            .ok()
            .and_then(|pages| pages.checked_mul(i32::try_from(PER_PAGE).unwrap_or(i32::MAX)))
            .unwrap_or(newest);
        let below = newest.saturating_sub(skipped).saturating_add(1);
        // One more, to say what changed in the last one of the page.
        let stored = apps::config_history(&mut db, app.id, below, i64::from(PER_PAGE) + 1).await?;
        let mut versions = Vec::new();
        for (at, version) in stored.iter().enumerate().take(PER_PAGE as usize) {
            versions.push(shown(version, stored.get(at + 1), newest, &entry)?);
        }
        Ok(History {
            head: standing::head(&mut db, &app).await?,
            versions,
            paging,
            may_change: may_change(actor),
        })
    }

    async fn compare(
        &self,
        actor: &Actor,
        slug: &str,
        old: Option<i32>,
        new: Option<i32>,
    ) -> Answer<Comparison> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let entry = entry(&app)?;
        let newest = app.config_version;
        let new = new.unwrap_or(newest);
        let old = old.unwrap_or(new - 1);
        // The earlier one is the old one, however they were asked for.
        let (old, new) = (old.min(new), old.max(new));
        let (old, before) = with_predecessor(&mut db, &app, old).await?;
        let (new, previous) = with_predecessor(&mut db, &app, new).await?;
        let changes = diff(
            &configuration_of(&old).map_err(ApiError::from)?,
            &configuration_of(&new).map_err(ApiError::from)?,
        );
        Ok(Comparison {
            head: standing::head(&mut db, &app).await?,
            old: shown(&old, before.as_ref(), newest, &entry)?,
            new: shown(&new, previous.as_ref(), newest, &entry)?,
            newest,
            sections: sections(&changes, &entry),
            may_change: may_change(actor),
        })
    }

    async fn restoring(&self, actor: &Actor, slug: &str, version: i32) -> Answer<Restoring> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let entry = entry(&app)?;
        let Earlier {
            version,
            current,
            restored,
            changes,
            problems,
            opens_to_everybody,
        } = history::earlier(&mut db, &app, version)
            .await?
            .ok_or_else(ApiError::not_found)?;
        let before = with_predecessor(&mut db, &app, version.version).await?.1;
        let (mut due_at_once, mut re_dated) = (0, 0);
        for waiting in lifecycles::waiting(&mut db, app.id, false).await? {
            let (old, new) = (&current.deprovisioning, &restored.deprovisioning);
            match redate(&waiting.lifecycle, old, new, now) {
                Redated::AtOnce => due_at_once += 1,
                Redated::Unchanged => {}
                Redated::Earlier | Redated::Later | Redated::Ended => re_dated += 1,
            }
        }
        let head = standing::head(&mut db, &app).await?;
        let setting = Setting::of(&mut db, app.clone()).await?;
        drop(db);
        let effect = match self.facts(&restored).await? {
            Some(_) => {
                let effect = self
                    .effect_of(&setting, Some(&current), &restored, Compared::Saved)
                    .await?;
                Some(effect.0)
            }
            None => None,
        };
        Ok(Restoring {
            head,
            current: app.config_version,
            sections: sections(&changes, &entry),
            problems: problems
                .into_iter()
                .map(|problem| problem.message)
                .collect(),
            version: shown(&version, before.as_ref(), app.config_version, &entry)?,
            opens_to_everybody,
            effect,
            due_at_once,
            re_dated,
            may_change: may_change(actor),
        })
    }

    async fn restore(
        &self,
        actor: &Assured,
        slug: &str,
        version: i32,
        current: i32,
        confirmed: bool,
    ) -> Answer<()> {
        if !confirmed {
            return Err(ApiError::field(
                "confirmed",
                FieldCode::RestoringUnconfirmed,
            ));
        }
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let app = standing::app(&mut transaction, slug).await?;
        match history::restore(&mut transaction, &app, version, current, by).await {
            Ok(_) => commit(transaction).await,
            Err(RestoreError::NoSuchVersion) => Err(ApiError::not_found()),
            Err(RestoreError::ChangedMeanwhile | RestoreError::NotValid(_)) => {
                Err(ApiError::new(ErrorCode::Conflict))
            }
            Err(RestoreError::Store(error)) => Err(error.into()),
        }
    }
}

fn may_change(actor: &Actor) -> bool {
    actor.role == Role::SuperAdministrator
}

fn entry(app: &App) -> Answer<CatalogEntry> {
    inputs::catalog_entry(app).map_err(excuses::internal)
}

/// A version and the one before it.
async fn with_predecessor(
    db: &mut PgConnection,
    app: &App,
    version: i32,
) -> Answer<(ConfigVersion, Option<ConfigVersion>)> {
    let below = version.saturating_add(1);
    let mut stored = apps::config_history(db, app.id, below, 2)
        .await?
        .into_iter();
    match stored.next() {
        Some(found) if found.version == version => Ok((found, stored.next())),
        _ => Err(ApiError::not_found()),
    }
}

fn shown(
    version: &ConfigVersion,
    before: Option<&ConfigVersion>,
    newest: i32,
    entry: &CatalogEntry,
) -> Result<Version, StoreError> {
    let what = match before {
        Some(before) => summary(
            &diff(&configuration_of(before)?, &configuration_of(version)?),
            entry,
        ),
        None => "First configuration".to_owned(),
    };
    Ok(Version {
        number: version.version,
        at: version.created_at,
        by: version.actor.clone(),
        note: version.note.clone(),
        summary: what,
        current: version.version == newest,
    })
}

fn sections(changes: &[config::Change], entry: &CatalogEntry) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for change in changes {
        let said = say(change, entry);
        let change = Change {
            attribute: said.label,
            old: said.before,
            new: said.after,
        };
        match sections.iter_mut().find(|one| one.title == said.section) {
            Some(section) => section.changes.push(change),
            None => sections.push(Section {
                title: said.section.to_owned(),
                changes: vec![change],
            }),
        }
    }
    sections
}
