//! Editing one section of an app that is configured: what was drafted is laid against what counts,
//! and saved once it was looked at.

use app::api::edits::{EditEffect, EditReview};
use app::api::terms::Change;
use app::api::wizard::Step;
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer};
use provisioning::Digest;
use provisioning::catalog::CatalogEntry;
use provisioning::config::{
    AppConfig, MappingRow, Members, Missing, Scope, Trigger, validate_mapping, validate_policies,
    validate_scope,
};
use serde_json::json;

use super::super::apps::{AppServices, commit};
use super::super::setup_draft::Setting;
use super::super::standing;
use super::attributes::{label_of, source_in_words};
use super::{Section, require_sign_in};
use crate::configuration;
use crate::store::apps::AppState;

impl AppServices {
    pub(super) async fn review_of_edit(&self, slug: &str, step: Step) -> Answer<EditReview> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        drop(db);
        let config = configured(&setting)?;
        let section = Section::drafted(&setting.draft, step)
            .or_else(|| Section::of(config, step))
            .ok_or_else(ApiError::not_found)?;
        let mut after = config.clone();
        section.put(&mut after);
        let effect = match &section {
            Section::Attributes(_) => {
                EditEffect::Attributes(self.effect_of_mapping(&setting, config, &after).await?)
            }
            Section::Scope(_) => EditEffect::Scope(self.scope_effect_of(&setting).await?),
            Section::Deprovisioning(policies) => EditEffect::Deprovisioning(
                self.effect_of_policies(&setting, &config.deprovisioning, policies)
                    .await?,
            ),
        };
        Ok(EditReview {
            head,
            step,
            changes: changes(config, &after, &setting.entry),
            version: version(&setting, &section),
            effect,
            live: matches!(setting.app.state, AppState::On | AppState::Stopped { .. }),
        })
    }

    pub(super) async fn save_reviewed(
        &self,
        actor: &Actor,
        slug: &str,
        step: Step,
        version_seen: &str,
    ) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        require_sign_in(&setting)?;
        let config = configured(&setting)?;
        let section = Section::drafted(&setting.draft, step)
            .filter(|section| version(&setting, section) == version_seen)
            .ok_or_else(|| ApiError::new(ErrorCode::Conflict))?;
        // A draft may be kept unfinished: what can't be carried out goes back to its form.
        let problems = match &section {
            Section::Attributes(rows) => validate_mapping(rows, &setting.entry),
            Section::Scope(scope) => validate_scope(scope, Some(&config.scope)),
            Section::Deprovisioning(policies) => validate_policies(policies, &setting.entry),
        };
        if !problems.is_empty() {
            return Err(ApiError::new(ErrorCode::Invalid));
        }
        let mut new = config.clone();
        section.put(&mut new);
        configuration::save(
            &mut *db,
            &setting.app,
            Some(config),
            &new,
            by,
            section.name(),
        )
        .await?;
        let mut draft = setting.draft.clone();
        section.take(&mut draft);
        setting.keep(&mut *db, &draft, by).await?;
        commit(transaction).await
    }

    pub(super) async fn drop_edit(&self, actor: &Actor, slug: &str, step: Step) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let setting = Setting::load(&mut transaction, slug).await?;
        configured(&setting)?;
        let mut draft = setting.draft.clone();
        if let Some(section) = Section::drafted(&draft, step) {
            section.take(&mut draft);
            setting.keep(&mut transaction, &draft, by).await?;
        }
        commit(transaction).await
    }
}

fn configured(setting: &Setting) -> Answer<&AppConfig> {
    setting
        .config
        .as_ref()
        .ok_or_else(|| ApiError::new(ErrorCode::NotConfigured))
}

/// The section and what it is laid against: when either changes, what was seen is old.
fn version(setting: &Setting, section: &Section) -> String {
    let section = match section {
        Section::Attributes(rows) => json!(rows),
        Section::Scope(scope) => json!(scope),
        Section::Deprovisioning(policies) => json!(policies),
    };
    Digest::of_json(&json!([setting.app.config_version, section])).to_string()
}

/// Each setting that differs, before and after, in words.
fn changes(before: &AppConfig, after: &AppConfig, entry: &CatalogEntry) -> Vec<Change> {
    let mut changes = mapping_changes(&before.mapping, &after.mapping, entry);
    changes.extend(scope_changes(&before.scope, &after.scope));
    for trigger in Trigger::ALL {
        let words =
            |config: &AppConfig| Some(standing::policy_in_words(config.deprovisioning.of(trigger)));
        push(
            &mut changes,
            match trigger {
                Trigger::AppTurnedOff => "App turned off for the person",
                Trigger::Suspended => "Suspended in Google",
                Trigger::Deleted => "Deleted from Google",
            },
            words(before),
            words(after),
        );
    }
    changes
}

fn push(changes: &mut Vec<Change>, what: &str, old: Option<String>, new: Option<String>) {
    if old != new {
        changes.push(Change {
            attribute: what.to_owned(),
            // What was not there is shown as an addition, not as "empty".
            old,
            new,
        });
    }
}

fn mapping_changes(
    before: &[MappingRow],
    after: &[MappingRow],
    entry: &CatalogEntry,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut attributes: Vec<&str> = Vec::new();
    for row in before.iter().chain(after) {
        if !attributes.contains(&row.attribute.as_str()) {
            attributes.push(&row.attribute);
        }
    }
    let not_sent = || Some("not sent".to_owned());
    for attribute in attributes {
        let words = |rows: &[MappingRow]| {
            rows.iter()
                .find(|row| row.attribute == attribute)
                .map(row_in_words)
                .or_else(not_sent)
        };
        push(
            &mut changes,
            &label_of(entry, attribute),
            words(before),
            words(after),
        );
    }
    changes
}

/// "Organization (primary), title; cleared when missing".
fn row_in_words(row: &MappingRow) -> String {
    let source = source_in_words(&row.source);
    match &row.missing {
        _ if matches!(row.source, provisioning::config::Source::Constant(_)) => source,
        Missing::Clear => format!("{source}; cleared when missing"),
        Missing::Keep => format!("{source}; kept when missing"),
        Missing::Default(value) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{source}; “{text}” when missing")
        }
    }
}

fn scope_changes(before: &Scope, after: &Scope) -> Vec<Change> {
    let mut changes = Vec::new();
    let words = |scope: &Scope, label: &str| {
        scope
            .groups
            .iter()
            .find(|entry| entry.group.label() == label)
            .map(|entry| match entry.members {
                Members::Direct => "direct members".to_owned(),
                Members::Nested => "direct and nested members".to_owned(),
            })
    };
    let mut labels: Vec<&str> = Vec::new();
    for entry in before.groups.iter().chain(&after.groups) {
        if !labels.contains(&entry.group.label()) {
            labels.push(entry.group.label());
        }
    }
    let not_there = || Some("not in scope".to_owned());
    for label in labels {
        push(
            &mut changes,
            label,
            words(before, label).or_else(not_there),
            words(after, label).or_else(not_there),
        );
    }
    let who = |scope: &Scope| {
        Some(
            if scope.groups.is_empty() {
                "everybody for whom the app is on"
            } else {
                "members of the groups"
            }
            .to_owned(),
        )
    };
    push(&mut changes, "Who", who(before), who(after));
    changes
}
