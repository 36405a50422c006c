//! What a configuration names, found in the directory.

use super::DirectoryFacts;
use crate::config::{AppConfig, GroupRef, OrgUnitAccess};
use crate::identity::{GroupId, same_address};
use crate::problem::Problem;

/// What the configuration names and the directory does not have, or did not let us read. Planning
/// of the app stops while there is any (S5.1).
pub fn unresolved(config: &AppConfig, facts: &DirectoryFacts) -> Vec<Problem> {
    let mut problems = Vec::new();
    for unit in &config.access.org_units {
        if current_path(unit, facts).is_none() {
            problems.push(Problem::new(
                "org-unit-not-found",
                format!("access.org_units.{:?}", unit.path),
                format!(
                    "the org unit {} is not in the directory; choose another one or remove the setting",
                    unit.path
                ),
            ));
        }
    }
    let named = (config
        .access
        .groups_on
        .iter()
        .map(|group| ("access.groups_on", group)))
    .chain(
        config
            .scope
            .groups
            .iter()
            .map(|entry| ("scope.groups", &entry.group)),
    );
    for (field, group) in named {
        let problem = match find_group(group, facts) {
            None => Some((
                "group-not-found",
                "is not in the directory; choose another one or remove it",
            )),
            Some((id, _)) if facts.unreadable_groups.contains(id) => Some((
                "group-not-readable",
                "is in the directory but its members could not be read; check the administrator's rights, then import again",
            )),
            Some(_) => None,
        };
        if let Some((code, what)) = problem {
            problems.push(Problem::new(
                code,
                field,
                format!("the group {} ({}) {what}", group.label(), group.email),
            ));
        }
    }
    problems
}

/// Writes the ids, and the names as they are now, into the configuration. True when it changed.
pub(super) fn resolve_ids(config: &mut AppConfig, facts: &DirectoryFacts) -> bool {
    let mut changed = false;
    for unit in &mut config.access.org_units {
        let found = match &unit.id {
            Some(id) => facts.org_units.iter().find(|known| known.id == *id),
            None => facts
                .org_units
                .iter()
                .find(|known| path_key(&known.path) == path_key(&unit.path)),
        };
        if let Some(found) = found
            && (unit.id.as_ref() != Some(&found.id) || unit.path != found.path)
        {
            unit.id = Some(found.id.clone());
            unit.path = found.path.clone();
            changed = true;
        }
    }
    let groups = (config.access.groups_on.iter_mut())
        .chain(config.scope.groups.iter_mut().map(|entry| &mut entry.group));
    for group in groups {
        let Some((id, _)) = find_group(group, facts) else {
            continue;
        };
        let Some(known) = facts.groups.get(id) else {
            continue;
        };
        let now = GroupRef {
            id: Some(id.clone()),
            email: known.email.clone(),
            name: (!known.name.is_empty()).then(|| known.name.clone()),
        };
        if *group != now {
            *group = now;
            changed = true;
        }
    }
    changed
}

/// The path of a setting's org unit as it is now: by id once it is known, else by path.
pub(super) fn current_path(unit: &OrgUnitAccess, facts: &DirectoryFacts) -> Option<String> {
    if path_key(&unit.path) == "/" {
        return Some("/".to_owned());
    }
    let found = match &unit.id {
        Some(id) => facts.org_units.iter().find(|known| known.id == *id),
        None => facts
            .org_units
            .iter()
            .find(|known| path_key(&known.path) == path_key(&unit.path)),
    };
    found.map(|unit| unit.path.clone())
}

pub(super) fn find_group<'a>(
    group: &GroupRef,
    facts: &'a DirectoryFacts,
) -> Option<(&'a GroupId, String)> {
    let found = match &group.id {
        Some(id) => facts.groups.get_key_value(id),
        None => facts.groups.iter().find(|(_, known)| {
            same_address(&known.email, &group.email)
                || known
                    .aliases
                    .iter()
                    .any(|alias| same_address(alias, &group.email))
        }),
    };
    found.map(|(id, known)| (id, known.label().to_owned()))
}

/// Google compares names of org units without case.
pub(crate) fn path_key(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        "/".to_owned()
    } else {
        trimmed.to_lowercase()
    }
}
