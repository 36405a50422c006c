use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::resolve::{current_path, find_group, path_key};
use super::{DirectoryFacts, GroupMemberships, MemberKind, Rule, RuleResult, Verdict};
use crate::config::{AppConfig, Members};
use crate::identity::{GroupId, Person, Standing, domain_of};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeDecision {
    /// The person shall have an active account.
    pub in_scope: bool,
    /// The app is on for the person by org unit, group and domain, whatever their standing. When
    /// it is not, the trigger *app turned off* holds.
    pub app_on: bool,
    /// Every rule with its result, in order.
    pub rules: Vec<RuleResult>,
    /// The first rule that failed; who is out of scope is counted under it, once.
    pub excluded_by: Option<Rule>,
}

impl ScopeDecision {
    /// Why the app is off for the person.
    pub fn app_off_detail(&self) -> Option<&str> {
        self.rules
            .iter()
            .find(|line| {
                line.result == Verdict::Fail
                    && matches!(line.rule, Rule::Access | Rule::Group | Rule::Domain)
            })
            .map(|line| line.detail.as_str())
    }

    /// What the deciding rule said.
    pub fn excluded_detail(&self) -> Option<&str> {
        let rule = self.excluded_by?;
        self.rules
            .iter()
            .find(|line| line.rule == rule && line.result == Verdict::Fail)
            .map(|line| line.detail.as_str())
    }

    /// Why the person is in scope, for a create: the group, or the org unit.
    pub fn included_detail(&self) -> String {
        [Rule::Group, Rule::Access]
            .into_iter()
            .find_map(|rule| {
                self.rules
                    .iter()
                    .find(|line| line.rule == rule && line.result == Verdict::Pass)
            })
            .map(|line| line.detail.clone())
            .unwrap_or_default()
    }
}

/// What a change of scope or access means for one person (S5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    Stays,
    Enters,
    Leaves,
    LeftOut,
}

impl Movement {
    pub fn between(before: &ScopeDecision, after: &ScopeDecision) -> Self {
        match (before.in_scope, after.in_scope) {
            (true, true) => Self::Stays,
            (false, true) => Self::Enters,
            (true, false) => Self::Leaves,
            (false, false) => Self::LeftOut,
        }
    }
}

/// Access and scope of one configuration, laid against one import. Made once per run.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// By org unit path in lower case: the path as it is now, and whether the app is on.
    org_units: BTreeMap<String, (String, bool)>,
    groups_on: Vec<(GroupId, String)>,
    scope: Vec<(GroupId, String, Members)>,
    scope_is_set: bool,
    domains: BTreeSet<String>,
    primary_domain: String,
    names: BTreeMap<GroupId, String>,
}

impl Resolved {
    /// What cannot be resolved is left out here; [`unresolved`] names it and planning stops.
    pub fn new(config: &AppConfig, facts: &DirectoryFacts) -> Self {
        let mut org_units = BTreeMap::new();
        for unit in &config.access.org_units {
            if let Some(path) = current_path(unit, facts) {
                org_units.insert(path_key(&path), (path, unit.on));
            }
        }
        let groups_on = (config.access.groups_on.iter())
            .filter_map(|group| find_group(group, facts))
            .map(|(id, label)| (id.clone(), label))
            .collect();
        let scope = (config.scope.groups.iter())
            .filter_map(|entry| {
                let (id, label) = find_group(&entry.group, facts)?;
                Some((id.clone(), label, entry.members))
            })
            .collect();
        let primary_domain = facts.primary_domain.to_lowercase();
        let mut domains: BTreeSet<String> = config
            .scope
            .secondary_domains
            .iter()
            .map(|domain| domain.to_lowercase())
            .collect();
        domains.insert(primary_domain.clone());
        Self {
            org_units,
            groups_on,
            scope,
            scope_is_set: !config.scope.groups.is_empty(),
            domains,
            primary_domain,
            names: (facts.groups.iter())
                .map(|(id, group)| (id.clone(), group.label().to_owned()))
                .collect(),
        }
    }

    /// The groups whose members decide, by id.
    pub fn named_groups(&self) -> BTreeSet<GroupId> {
        let on = self.groups_on.iter().map(|(id, _)| id.clone());
        on.chain(self.scope.iter().map(|(id, _, _)| id.clone()))
            .collect()
    }

    /// The groups that turn the app on for their members, with their labels.
    pub fn groups_on(&self) -> &[(GroupId, String)] {
        &self.groups_on
    }

    /// The setting that counts for an org unit: where it is made, and whether the app is on.
    pub fn org_unit_setting(&self, path: &str) -> Option<(&str, bool)> {
        let mut key = path_key(path);
        loop {
            if let Some((path, on)) = self.org_units.get(&key) {
                return Some((path, *on));
            }
            if key == "/" {
                return None;
            }
            key = match key.rfind('/') {
                Some(0) | None => "/".to_owned(),
                Some(at) => key[..at].to_owned(),
            };
        }
    }

    pub fn decide(&self, person: &Person, memberships: &GroupMemberships) -> ScopeDecision {
        let standing = standing_rule(person);
        let guest = if person.is_guest {
            RuleResult::fail(Rule::Guest, "Guest")
        } else {
            RuleResult::pass(Rule::Guest, "Not a guest")
        };
        let access = self.access_rule(person, memberships);
        let group = self.group_rule(memberships);
        let domain = self.domain_rule(person);
        // Being a guest is never a trigger, so a guest's foreign address is none either.
        let app_on = access.result != Verdict::Fail
            && group.result != Verdict::Fail
            && (person.is_guest || domain.result != Verdict::Fail);
        let rules = vec![standing, guest, access, group, domain];
        let excluded_by = rules
            .iter()
            .find(|line| line.result == Verdict::Fail)
            .map(|line| line.rule);
        ScopeDecision {
            in_scope: excluded_by.is_none(),
            app_on,
            rules,
            excluded_by,
        }
    }

    fn access_rule(&self, person: &Person, memberships: &GroupMemberships) -> RuleResult {
        let path = &person.org_unit_path;
        let setting = self.org_unit_setting(path);
        let inherited = |at: &str| {
            if path_key(at) == path_key(path) {
                String::new()
            } else {
                format!(", inherited from {at}")
            }
        };
        if let Some((at, true)) = setting {
            return RuleResult::pass(
                Rule::Access,
                format!("App is on for {path}{}", inherited(at)),
            );
        }
        let through = self
            .groups_on
            .iter()
            .find(|(id, _)| memberships.contains_key(id));
        if let Some((_, label)) = through {
            return RuleResult::pass(Rule::Access, format!("App is on for the group {label}"));
        }
        let at = setting.map(|(at, _)| inherited(at)).unwrap_or_default();
        RuleResult::fail(Rule::Access, format!("App is off for {path}{at}"))
    }

    fn group_rule(&self, memberships: &GroupMemberships) -> RuleResult {
        if !self.scope_is_set {
            return RuleResult::info(
                Rule::Group,
                "No groups are set: everybody for whom the app is on",
            );
        }
        let mut only_nested = None;
        for (id, label, members) in &self.scope {
            match (memberships.get(id), members) {
                (Some(MemberKind::Direct), _) => {
                    return RuleResult::pass(Rule::Group, format!("Direct member of {label}"));
                }
                (Some(MemberKind::Nested { path }), Members::Nested) => {
                    let through: Vec<&str> = path
                        .iter()
                        .map(|id| self.names.get(id).map_or(id.as_str(), String::as_str))
                        .collect();
                    let through = through.join(", ");
                    return RuleResult::pass(
                        Rule::Group,
                        format!("Nested member of {label} through {through}"),
                    );
                }
                (Some(MemberKind::Nested { .. }), Members::Direct) => {
                    only_nested = only_nested.or(Some(label));
                }
                (None, _) => {}
            }
        }
        match only_nested {
            Some(label) => RuleResult::fail(
                Rule::Group,
                format!(
                    "In none of the groups (nested in {label}, which counts direct members only)"
                ),
            ),
            None => RuleResult::fail(Rule::Group, "In none of the groups"),
        }
    }

    fn domain_rule(&self, person: &Person) -> RuleResult {
        let domain = domain_of(&person.primary_email);
        if domain == self.primary_domain {
            RuleResult::pass(Rule::Domain, format!("Primary domain {domain}"))
        } else if self.domains.contains(&domain) {
            RuleResult::pass(Rule::Domain, format!("Secondary domain {domain}, allowed"))
        } else {
            RuleResult::fail(Rule::Domain, format!("Secondary domain {domain}"))
        }
    }
}

fn standing_rule(person: &Person) -> RuleResult {
    let rule = Rule::DirectoryState;
    match person.standing {
        Standing::Active => RuleResult::pass(rule, "Active in Google"),
        Standing::Suspended => RuleResult::fail(rule, "Suspended in Google"),
        Standing::Archived => RuleResult::fail(rule, "Archived, not managed"),
        Standing::Deleted => RuleResult::fail(rule, "Deleted from Google"),
        Standing::Unknown => RuleResult::fail(
            rule,
            "Unknown: Google did not say whether this person is suspended or archived",
        ),
    }
}

/// Who is in scope and why. For many people make [`Resolved`] once instead.
pub fn decide_scope(
    person: &Person,
    memberships: &GroupMemberships,
    facts: &DirectoryFacts,
    config: &AppConfig,
) -> ScopeDecision {
    Resolved::new(config, facts).decide(person, memberships)
}
