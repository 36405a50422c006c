//! Step 3: groups on top of user access, and who that concerns (S5).

use std::collections::BTreeMap;

use app::api::concerned::Compared;
use app::api::wizard::{
    Members as WireMembers, Mode, ScopeEffect, ScopeForm, ScopeGroup as View, ScopeStep,
};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer};
use provisioning::Problem;
use provisioning::config::{GroupRef, Members, Scope, ScopeGroup, validate_scope};

use super::super::access::{key_of, room_for, units_on};
use super::super::apps::{AppServices, commit};
use super::super::setup_draft::Setting;
use super::super::standing::number;
use super::{Section, opening, require_sign_in};
use crate::store::groups;
use crate::store::pages::groups as group_pages;

impl AppServices {
    pub(super) async fn scope_step(&self, slug: &str) -> Answer<ScopeStep> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let (head, progress) = opening(&mut db, &setting).await?;
        let units = groups::org_units(&mut db).await?;
        drop(db);
        let scope = setting.scope();
        let census = self.census(&setting.app, &setting.effective()).await?;
        Ok(ScopeStep {
            head,
            progress,
            groups: self.scope_groups(&scope).await?,
            everyone: scope.everyone,
            had_groups: setting
                .config
                .as_ref()
                .is_some_and(|config| !config.scope.groups.is_empty()),
            access_people: census.as_ref().map_or(0, |census| census.covered),
            access_units: census.as_ref().map_or(0, |census| units_on(census, &units)),
        })
    }

    /// The groups of a scope with their numbers, as far as their members were read.
    pub(in super::super) async fn scope_groups(&self, scope: &Scope) -> Answer<Vec<View>> {
        let ids: Vec<String> = scope
            .groups
            .iter()
            .filter_map(|entry| Some(entry.group.id.as_ref()?.to_string()))
            .collect();
        let mut db = self.engine.connection().await?;
        let known = groups::by_ids(&mut db, &ids).await?;
        let reach = group_pages::reach(&mut db, &ids).await?;
        let imported = crate::store::imports::latest_complete(&mut db)
            .await?
            .is_some();
        drop(db);
        let view = |entry: &ScopeGroup| {
            let id = entry
                .group
                .id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let found = known.iter().find(|group| group.id == id);
            let reached = reach
                .iter()
                .find(|reach| reach.group_id == id && reach.whole);
            View {
                id: key_of(&entry.group),
                name: found.map_or_else(|| entry.group.label().to_owned(), |group| group.name.clone()),
                email: found.map_or_else(|| entry.group.email.clone(), |group| group.email.clone()),
                members: match entry.members {
                    Members::Direct => WireMembers::Direct,
                    Members::Nested => WireMembers::Nested,
                },
                direct: found.map(|group| number(group.direct_members)),
                nested: reached.map(|reach| number(reach.people)),
                problem: (found.is_none() && imported && entry.group.id.is_some()).then(|| {
                    "This group is no longer in the directory. Remove it, or nothing is planned.".to_owned()
                }),
            }
        };
        Ok(scope.groups.iter().map(view).collect())
    }

    pub(super) async fn effect_of_scope(&self, slug: &str) -> Answer<ScopeEffect> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        drop(db);
        self.scope_effect_of(&setting).await
    }

    pub(super) async fn scope_effect_of(&self, setting: &Setting) -> Answer<ScopeEffect> {
        let (effect, _) = self.effect(setting, Compared::Scope).await?;
        Ok(ScopeEffect {
            in_scope: effect.stay + effect.enter,
            effect,
        })
    }

    pub(super) async fn keep_scope(
        &self,
        actor: &Actor,
        slug: &str,
        form: ScopeForm,
        mode: Mode,
    ) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        drop(db);
        require_sign_in(&setting)?;
        let scope = self.chosen_scope(&setting, form).await?;
        if mode != Mode::Keep {
            let stored = setting.config.as_ref().map(|config| &config.scope);
            refuse(&validate_scope(&scope, stored))?;
        }
        // So that its numbers and the effect can be shown; the page says so when it did not work.
        if let Err(error) = self
            .read_groups(scope.groups.iter().map(|entry| &entry.group))
            .await
        {
            tracing::warn!(code = ?error.code, "the members of a group could not be read yet");
        }
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let setting = Setting::load(&mut transaction, slug).await?;
        self.keep_section(&mut transaction, &setting, Section::Scope(scope), by)
            .await?;
        commit(transaction).await
    }

    async fn chosen_scope(&self, setting: &Setting, form: ScopeForm) -> Answer<Scope> {
        let current = setting.scope();
        let configured = setting
            .config
            .iter()
            .flat_map(|config| config.scope.groups.iter());
        let known: BTreeMap<String, GroupRef> = (configured.chain(&current.groups))
            .map(|entry| (key_of(&entry.group), entry.group.clone()))
            .collect();
        let mut groups: Vec<ScopeGroup> = Vec::new();
        for (index, input) in form.groups.iter().enumerate() {
            if form.remove.as_ref() == Some(&input.id) {
                continue;
            }
            let group = match known.get(&input.id) {
                Some(group) => group.clone(),
                None => {
                    let field = format!("groups[{index}]");
                    room_for(form.groups.len(), &field)?;
                    self.group(&input.id, &field).await?
                }
            };
            if groups
                .iter()
                .any(|there| key_of(&there.group) == key_of(&group))
            {
                return Err(ApiError::field(
                    format!("groups[{index}]"),
                    FieldCode::GroupTwice,
                ));
            }
            let members = match input.members {
                WireMembers::Direct => Members::Direct,
                WireMembers::Nested => Members::Nested,
            };
            groups.push(ScopeGroup { group, members });
        }
        if let Some(typed) = form.add.filter(|_| form.remove.is_none()) {
            let group = self.group(&typed, "add").await?;
            if groups
                .iter()
                .any(|there| key_of(&there.group) == key_of(&group))
            {
                return Err(ApiError::field("add", FieldCode::GroupTwice));
            }
            room_for(groups.len() + 1, "add")?;
            groups.push(ScopeGroup {
                group,
                members: Members::Direct,
            });
        }
        // The form asks only where groups are stored; elsewhere the word that was given stays.
        let said_before = (setting.config.as_ref())
            .is_some_and(|config| config.scope.groups.is_empty() && config.scope.everyone);
        Ok(Scope {
            everyone: groups.is_empty() && (form.everyone.is_some() || said_before),
            groups,
            ..current
        })
    }
}

fn refuse(problems: &[Problem]) -> Answer<()> {
    let mut error = ApiError::new(ErrorCode::Invalid);
    for problem in problems {
        let field = problem
            .field
            .strip_prefix("scope.")
            .unwrap_or(&problem.field);
        error = match problem.code() {
            "everyone-not-confirmed" => error.and_field("everyone", FieldCode::EveryoneUnconfirmed),
            "group-twice" => error.and_field(field, FieldCode::GroupTwice),
            _ => error.and_field(field, FieldCode::Invalid),
        };
    }
    error.into_result()
}
