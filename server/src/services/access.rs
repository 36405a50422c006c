//! User access (S2.3): on or off by org unit, inherited down the tree, and on for groups on top.
//! An edit is kept beside the saved setting until it was reviewed.

use std::collections::{BTreeMap, BTreeSet};

use app::api::apps::{
    Access as Page, AccessEffect, AccessForm, AccessGroup, AccessSetting, AccessUnit,
};
use app::api::concerned::Compared;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer};
use provisioning::config::{Access, AppConfig, Draft, GroupRef, OrgUnitAccess, validate_access};
use provisioning::identity::{GroupId, OrgUnitId};

use super::apps::{AppServices, commit};
use super::census::Census;
use super::setup_draft::Setting;
use super::standing::{self, number};
use crate::configuration;
use crate::store::imports::OrgUnitRow;
use crate::store::{access_edits, groups};

/// The top of the tree, which Google does not list. It is known by its path.
const ROOT: &str = "/";
/// More settings than this are no tree that somebody clicked together.
const MOST_UNITS: usize = 5000;
const MOST_GROUPS: usize = 200;

impl AppServices {
    pub(super) async fn access_page(&self, slug: &str) -> Answer<Page> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let edit = access_edits::get(&mut db, setting.app.id).await?;
        let units = groups::org_units(&mut db).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        let domain = groups::domains(&mut db)
            .await?
            .into_iter()
            .find(|domain| domain.is_primary);
        drop(db);
        let saved = setting.access();
        let shown = edit.clone().unwrap_or_else(|| saved.clone());
        let config = AppConfig {
            access: shown.clone(),
            ..setting.saved()
        };
        let census = self.census(&setting.app, &config).await?;
        let top = domain.map_or_else(|| "Everybody".to_owned(), |domain| domain.name);
        let tree = census
            .as_ref()
            .map_or_else(Vec::new, |census| tree(&units, &shown, &saved, census, top));
        let groups = self
            .access_groups(&shown, &saved, census.as_deref())
            .await?;
        Ok(Page {
            head,
            units_on: number(tree.iter().filter(|unit| unit.on).count()),
            units: tree,
            groups,
            covered: census.as_ref().map_or(0, |census| census.covered),
            provisionable: census.as_ref().map_or(0, |census| census.provisionable),
            directory_read: census.is_some(),
            draft: edit.is_some(),
        })
    }

    async fn access_groups(
        &self,
        shown: &Access,
        saved: &Access,
        census: Option<&Census>,
    ) -> Answer<Vec<AccessGroup>> {
        let ids: Vec<String> = shown
            .groups_on
            .iter()
            .filter_map(|group| Some(group.id.as_ref()?.to_string()))
            .collect();
        let mut db = self.engine.connection().await?;
        let read = groups::read_among(&mut db, &ids).await?;
        drop(db);
        let before: BTreeSet<&str> = saved
            .groups_on
            .iter()
            .map(|group| group.email.as_str())
            .collect();
        let page = |group: &GroupRef| {
            let known = group.id.as_ref().filter(|id| read.contains(id.as_str()));
            let counted =
                known.and_then(|id| Some(census?.groups_on.get(id).copied().unwrap_or_default()));
            AccessGroup {
                id: group
                    .id
                    .as_ref()
                    .map_or_else(|| group.email.clone(), ToString::to_string),
                name: group.label().to_owned(),
                email: group.email.clone(),
                people: counted.map(|(people, _)| people),
                gained: counted.map(|(_, gained)| gained),
                new: !before.contains(group.email.as_str()),
            }
        };
        Ok(shown.groups_on.iter().map(page).collect())
    }

    /// Keeps what the form says, to be looked at before it is saved.
    pub(super) async fn edit_access(
        &self,
        actor: &Actor,
        slug: &str,
        form: AccessForm,
    ) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let units = groups::org_units(&mut db).await?;
        let current = match access_edits::get(&mut db, setting.app.id).await? {
            Some(edit) => edit,
            None => setting.access(),
        };
        drop(db);
        let mut access = Access {
            org_units: chosen_units(&form, &units, &current)?,
            groups_on: Vec::new(),
        };
        let mut wanted = form.groups;
        wanted.retain(|id| form.remove.as_ref() != Some(id));
        let known: BTreeMap<String, GroupRef> = current
            .groups_on
            .into_iter()
            .map(|group| (key_of(&group), group))
            .collect();
        for id in &wanted {
            match known.get(id) {
                Some(group) => access.groups_on.push(group.clone()),
                None => {
                    room_for(wanted.len(), "groups")?;
                    access.groups_on.push(self.group(id, "groups").await?);
                }
            }
        }
        if let Some(typed) = form.add.filter(|_| form.remove.is_none()) {
            let group = self.group(&typed, "add").await?;
            if access
                .groups_on
                .iter()
                .any(|there| key_of(there) == key_of(&group))
            {
                return Err(ApiError::field("add", FieldCode::GroupTwice));
            }
            room_for(access.groups_on.len() + 1, "add")?;
            access.groups_on.push(group);
        }
        if !validate_access(&access).is_empty() {
            return Err(ApiError::field("units", FieldCode::OrgUnitUnknown));
        }
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        if same_access(&access, &setting.access()) {
            access_edits::discard(&mut transaction, setting.app.id).await?;
        } else {
            access_edits::save(&mut transaction, setting.app.id, &access, by.now, by.actor).await?;
        }
        commit(transaction).await
    }

    pub(super) async fn effect_of_access(&self, slug: &str) -> Answer<AccessEffect> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        drop(db);
        let before = setting.saved();
        let (_, after) = self.compared(&setting, Compared::Access).await?;
        let (effect, covered) = self.effect(&setting, Compared::Access).await?;
        Ok(AccessEffect {
            head,
            changes: sentences(&before.access, &after.access),
            covered_before: covered.before,
            covered_after: covered.after,
            effect,
        })
    }

    pub(super) async fn keep_access(&self, actor: &Actor, slug: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        let Some(access) = access_edits::get(&mut *db, setting.app.id).await? else {
            return Err(ApiError::new(ErrorCode::Conflict));
        };
        access_edits::discard(&mut *db, setting.app.id).await?;
        match &setting.config {
            Some(config) => {
                let new = AppConfig {
                    access,
                    ..config.clone()
                };
                configuration::save(db, &setting.app, Some(config), &new, by, "User access")
                    .await?;
            }
            None => {
                let before = AppConfig {
                    access: setting.access(),
                    ..AppConfig::with_mapping(Vec::new())
                };
                let after = AppConfig {
                    access: access.clone(),
                    ..before.clone()
                };
                let changes = provisioning::config::diff(&before, &after);
                let draft = Draft {
                    access: Some(access),
                    ..setting.draft.clone()
                };
                setting.keep(&mut *db, &draft, by).await?;
                let event = by
                    .event(
                        provisioning::event::EventName::ConfigurationChanged,
                        &setting.app,
                    )
                    .reason("User access")
                    .changes(configuration::listed(&changes));
                crate::store::events::record(db, &event).await?;
            }
        }
        commit(transaction).await
    }

    pub(super) async fn drop_access(&self, _actor: &Actor, slug: &str) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        Ok(access_edits::discard(&mut db, app.id).await?)
    }

    /// The group that was typed or chosen: by id, by address, or by letters that fit only one.
    pub(super) async fn group(&self, typed: &str, field: &str) -> Answer<GroupRef> {
        let typed = typed.trim();
        let mut db = self.engine.connection().await?;
        let mut found = groups::by_ids(&mut db, &[typed.to_owned()]).await?;
        if found.is_empty() && typed.contains('@') {
            found = groups::by_email(&mut db, typed).await?;
        }
        if found.is_empty() && !typed.is_empty() {
            found = groups::search(&mut db, typed, 50).await?;
            let exact = found
                .iter()
                .filter(|group| group.name.eq_ignore_ascii_case(typed))
                .count();
            if exact == 1 {
                found.retain(|group| group.name.eq_ignore_ascii_case(typed));
            }
        }
        match found.len() {
            0 => Err(ApiError::field(field, FieldCode::GroupUnknown)),
            1 => {
                let group = found.remove(0);
                Ok(GroupRef {
                    id: Some(GroupId::from(group.id)),
                    email: group.email,
                    name: (!group.name.is_empty()).then_some(group.name),
                })
            }
            _ => Err(ApiError::field(field, FieldCode::GroupAmbiguous)),
        }
    }
}

/// How the form's controls call a group: by id, or by address until an import found the id.
pub(super) fn key_of(group: &GroupRef) -> String {
    group
        .id
        .as_ref()
        .map_or_else(|| group.email.clone(), ToString::to_string)
}

/// Only adding has an end: what is stored stays, however many groups a configuration file named.
pub(super) fn room_for(groups: usize, field: &str) -> Answer<()> {
    match groups > MOST_GROUPS {
        true => Err(ApiError::field(field, FieldCode::TooMany)),
        false => Ok(()),
    }
}

/// In how many org units the app is on.
pub(super) fn units_on(census: &Census, units: &[OrgUnitRow]) -> u32 {
    let Some(resolved) = &census.resolved else {
        return 0;
    };
    let paths = units
        .iter()
        .map(|unit| unit.path.as_str())
        .filter(|path| *path != ROOT);
    number(
        paths
            .chain([ROOT])
            .filter(|path| resolved.org_unit_setting(path).is_some_and(|(_, on)| on))
            .count(),
    )
}

/// Settings of the form. A unit that the form does not show keeps its setting.
fn chosen_units(
    form: &AccessForm,
    units: &[OrgUnitRow],
    current: &Access,
) -> Answer<Vec<OrgUnitAccess>> {
    if form.units.len() > MOST_UNITS {
        return Err(ApiError::new(ErrorCode::BadRequest));
    }
    let path_of = |id: &str| match id {
        ROOT => Some((ROOT.to_owned(), None)),
        id => units
            .iter()
            .find(|unit| unit.id == id)
            .map(|unit| match unit.path.as_str() {
                ROOT => (ROOT.to_owned(), None),
                path => (path.to_owned(), Some(OrgUnitId::from(unit.id.clone()))),
            }),
    };
    let mut chosen: BTreeMap<String, OrgUnitAccess> = current
        .org_units
        .iter()
        .map(|unit| (unit.path.clone(), unit.clone()))
        .collect();
    for (index, input) in form.units.iter().enumerate() {
        let Some((path, id)) = path_of(&input.id) else {
            return Err(ApiError::field(
                format!("units[{index}][setting]"),
                FieldCode::OrgUnitUnknown,
            ));
        };
        match input.setting {
            AccessSetting::Inherit => drop(chosen.remove(&path)),
            AccessSetting::On | AccessSetting::Off => {
                let on = input.setting == AccessSetting::On;
                chosen.insert(path.clone(), OrgUnitAccess { path, id, on });
            }
        }
    }
    // A unit that is gone can't be shown, so saving the tree takes its setting away.
    chosen.retain(|path, unit| {
        path == ROOT
            || units.iter().any(|known| {
                known.path == *path || unit.id.as_ref().is_some_and(|id| id.as_str() == known.id)
            })
    });
    Ok(chosen.into_values().collect())
}

fn setting_of(access: &Access, path: &str, id: &str) -> AccessSetting {
    let set = access.org_units.iter().find(|unit| match &unit.id {
        Some(known) => known.as_str() == id,
        None => unit.path.eq_ignore_ascii_case(path),
    });
    match set {
        None => AccessSetting::Inherit,
        Some(unit) if unit.on => AccessSetting::On,
        Some(_) => AccessSetting::Off,
    }
}

fn same_access(a: &Access, b: &Access) -> bool {
    let config = |access: &Access| AppConfig {
        access: access.clone(),
        ..AppConfig::with_mapping(Vec::new())
    };
    provisioning::config::diff(&config(a), &config(b)).is_empty()
}

/// The org units in the tree's order, each with its people and those of the units below it.
fn tree(
    units: &[OrgUnitRow],
    shown: &Access,
    saved: &Access,
    census: &Census,
    top: String,
) -> Vec<AccessUnit> {
    let Some(resolved) = &census.resolved else {
        return Vec::new();
    };
    let mut rows: Vec<(&str, &str, &str)> = units
        .iter()
        .map(|unit| (unit.path.as_str(), unit.id.as_str(), unit.name.as_str()))
        .collect();
    if !rows.iter().any(|(path, ..)| *path == ROOT) {
        rows.push((ROOT, ROOT, &top));
    }
    rows.sort_by_cached_key(|(path, ..)| {
        path.trim_matches('/')
            .split('/')
            .map(str::to_lowercase)
            .collect::<Vec<_>>()
    });
    let unit = |(path, id, name): &(&str, &str, &str)| {
        let id = if *path == ROOT { ROOT } else { id };
        let (from, on) = resolved.org_unit_setting(path).unzip();
        AccessUnit {
            id: id.to_owned(),
            path: (*path).to_owned(),
            name: if *path == ROOT {
                top.clone()
            } else {
                (*name).to_owned()
            },
            depth: number(
                path.trim_matches('/')
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .count(),
            ),
            setting: setting_of(shown, path, id),
            saved: setting_of(saved, path, id),
            on: on.unwrap_or(false),
            from: from
                .filter(|from| !from.eq_ignore_ascii_case(path))
                .map(str::to_owned),
            people: people_below(census, path),
        }
    };
    rows.iter().map(unit).collect()
}

fn people_below(census: &Census, path: &str) -> u32 {
    if path == ROOT {
        return census.everybody;
    }
    let path = path.to_lowercase();
    let below = format!("{path}/");
    census
        .by_unit
        .iter()
        .filter(|(unit, _)| **unit == path || unit.starts_with(&below))
        .map(|(_, people)| people)
        .sum()
}

/// What an edit changes, a sentence for each setting.
fn sentences(before: &Access, after: &Access) -> Vec<String> {
    let mut sentences = Vec::new();
    let units: BTreeSet<&str> = before
        .org_units
        .iter()
        .chain(&after.org_units)
        .map(|unit| unit.path.as_str())
        .collect();
    let set = |access: &Access, path: &str| {
        access
            .org_units
            .iter()
            .find(|unit| unit.path == path)
            .map(|unit| unit.on)
    };
    for path in units {
        match (set(before, path), set(after, path)) {
            (old, new) if old == new => {}
            (_, Some(true)) => sentences.push(format!("{path} is turned on")),
            (_, Some(false)) => sentences.push(format!("{path} is turned off")),
            (_, None) => sentences.push(format!("{path} inherits again")),
        }
    }
    let has = |access: &Access, group: &GroupRef| {
        access
            .groups_on
            .iter()
            .any(|there| key_of(there) == key_of(group))
    };
    for group in after.groups_on.iter().filter(|group| !has(before, group)) {
        sentences.push(format!("On for the group {}", group.label()));
    }
    for group in before.groups_on.iter().filter(|group| !has(after, group)) {
        sentences.push(format!("No longer on for the group {}", group.label()));
    }
    sentences
}
