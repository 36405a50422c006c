//! What each step of the wizard asks before it goes on; the browser and the server both do.

use std::collections::BTreeSet;

use super::{
    Access, AppConfig, DeprovisioningPolicies, MappingRow, Missing, Safety, Scope, Source, Sso,
    Trigger,
};
use crate::catalog::CatalogEntry;
use crate::mapping::{ScimPath, SourcePath, check_expression, convert};
use crate::problem::Problem;

/// Attributes that the app or Rollcall sets, and no mapping.
const NOT_MAPPED: [&str; 6] = ["id", "schemas", "meta", "active", "groups", "password"];

/// Attributes (S4.1): every mandatory one is mapped, every row can be read and sent.
pub fn validate_mapping(rows: &[MappingRow], entry: &CatalogEntry) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows {
        let field = mapping_field(&row.attribute);
        let path = match ScimPath::parse(&row.attribute) {
            Ok(path) => path,
            Err(problem) => {
                problems.push(Problem::new(problem.code(), field, problem.to_string()));
                continue;
            }
        };
        if !seen.insert(path.key()) {
            problems.push(Problem::new(
                "mapped-twice",
                field.clone(),
                format!("{} is mapped twice; remove one of the rows", row.attribute),
            ));
        }
        if path.schema.is_none()
            && NOT_MAPPED
                .iter()
                .any(|name| path.attribute.eq_ignore_ascii_case(name))
        {
            problems.push(Problem::new(
                "not-mappable",
                field,
                format!(
                    "{} is set by Rollcall or the app; remove the row",
                    row.attribute
                ),
            ));
            continue;
        }
        let known = entry.attribute(&path);
        if known.is_none() && !entry.open_attributes {
            problems.push(Problem::new(
                "unknown-attribute",
                field,
                format!(
                    "{} has no attribute {}; remove the row or correct its name",
                    entry.name, row.attribute
                ),
            ));
            continue;
        }
        let (kind, max) = (
            known.map(|known| known.kind),
            known.and_then(|known| known.max_length),
        );
        problems.extend(source_problem(row, &field, |value| {
            convert(value, kind, max).map(|_| ())
        }));
    }
    for mandatory in entry.mandatory() {
        let mapped = ScimPath::parse(&mandatory.path).is_ok_and(|path| seen.contains(&path.key()));
        if !mapped {
            problems.push(Problem::new(
                "mandatory-unmapped",
                mapping_field(&mandatory.path),
                format!(
                    "{} is mandatory in {} and has no source; choose one",
                    mandatory.label, entry.name
                ),
            ));
        }
    }
    problems
}

fn mapping_field(attribute: &str) -> String {
    format!("mapping.{attribute:?}")
}

fn source_problem(
    row: &MappingRow,
    field: &str,
    fits: impl Fn(&serde_json::Value) -> Result<(), String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    match &row.source {
        Source::Attribute(source) => {
            if let Err(problem) = SourcePath::parse(source) {
                problems.push(Problem::new(problem.code(), field, problem.to_string()));
            }
        }
        Source::Constant(value) => {
            let empty =
                value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
            if empty {
                problems.push(Problem::new(
                    "constant-empty",
                    field,
                    "the constant is empty; enter a value or remove the row",
                ));
            } else if let Err(why) = fits(value) {
                problems.push(Problem::new(
                    "constant-unusable",
                    field,
                    format!("the constant {why}"),
                ));
            }
        }
        Source::Expression(text) => {
            if let Err(problem) = check_expression(text) {
                problems.push(Problem::new(problem.code(), field, problem.to_string()));
            }
        }
    }
    if let Missing::Default(value) = &row.missing {
        let empty = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        if empty {
            problems.push(Problem::new(
                "default-empty",
                field,
                "the default is empty; enter a value, or choose keep or clear",
            ));
        } else if let Err(why) = fits(value) {
            problems.push(Problem::new(
                "default-unusable",
                field,
                format!("the default {why}"),
            ));
        }
    }
    problems
}

/// Deprovisioning (S6.1): only time frames that the app offers. That each policy has a step and
/// deletes later than it suspends is in the type.
pub fn validate_policies(policies: &DeprovisioningPolicies, entry: &CatalogEntry) -> Vec<Problem> {
    let offered: Vec<String> = entry.windows.iter().map(ToString::to_string).collect();
    Trigger::ALL
        .into_iter()
        .flat_map(|trigger| {
            let wrong = policies.of(trigger).windows_not_offered(&entry.windows);
            wrong
                .into_iter()
                .map(move |(step, window)| (trigger, step, window))
        })
        .map(|(trigger, step, window)| {
            Problem::new(
                "window-not-offered",
                format!("deprovisioning.{}.{step}", trigger.key()),
                format!(
                    "{} does not offer {window}; choose one of {}",
                    entry.name,
                    offered.join(", ")
                ),
            )
        })
        .collect()
}

/// Scope (S5). `stored` is the scope that holds now: going from groups to none, so to everybody
/// for whom the app is on, needs `everyone`.
pub fn validate_scope(scope: &Scope, stored: Option<&Scope>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, entry) in scope.groups.iter().enumerate() {
        let field = format!("scope.groups[{index}]");
        problems.extend(address_problem(&entry.group.email, &field));
        if !seen.insert(entry.group.email.to_lowercase()) {
            problems.push(Problem::new(
                "group-twice",
                field,
                format!(
                    "the group {} is listed twice; remove one",
                    entry.group.label()
                ),
            ));
        }
    }
    let had_groups = stored.is_some_and(|stored| !stored.groups.is_empty());
    if had_groups && scope.groups.is_empty() && !scope.everyone {
        problems.push(Problem::new(
            "everyone-not-confirmed",
            "scope.everyone",
            "without groups everybody gets an account for whom the app is on; confirm that (everyone = true) or keep a group",
        ));
    }
    if scope.everyone && !scope.groups.is_empty() {
        problems.push(Problem::new(
            "everyone-with-groups",
            "scope.everyone",
            "everyone and groups exclude each other; remove the groups or set everyone to false",
        ));
    }
    for domain in &scope.secondary_domains {
        let fits = domain.contains('.')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && domain
                .chars()
                .all(|c| c.is_alphanumeric() || c == '.' || c == '-');
        if !fits {
            problems.push(Problem::new(
                "bad-domain",
                "scope.secondary_domains",
                format!("{domain:?} is not a domain; write it like example.com"),
            ));
        }
    }
    problems
}

/// User access (S2.3).
pub fn validate_access(access: &Access) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for unit in &access.org_units {
        let field = format!("access.org_units.{:?}", unit.path);
        let path = &unit.path;
        if !path.starts_with('/') || (path.len() > 1 && path.ends_with('/')) || path.contains("//")
        {
            problems.push(Problem::new(
                "bad-org-unit",
                field,
                format!("{path:?} is not an org unit path; write it like /Engineering/Berlin, or / for the whole tree"),
            ));
        } else if !seen.insert(path.to_lowercase()) {
            problems.push(Problem::new(
                "org-unit-twice",
                field,
                format!("{path} is set twice; remove one"),
            ));
        }
    }
    for (index, group) in access.groups_on.iter().enumerate() {
        problems.extend(address_problem(
            &group.email,
            &format!("access.groups_on[{index}]"),
        ));
    }
    problems
}

/// Thresholds and protected people (S9).
pub fn validate_safety(safety: &Safety) -> Vec<Problem> {
    let mut problems = Vec::new();
    if safety.hold_percent > 100 {
        problems.push(Problem::new(
            "out-of-range",
            "safety.hold_percent",
            format!(
                "{} percent is more than all; choose 0 to 100",
                safety.hold_percent
            ),
        ));
    }
    for (index, person) in safety.protected.iter().enumerate() {
        if person.id.is_some() && person.email.is_empty() {
            continue;
        }
        problems.extend(address_problem(
            &person.email,
            &format!("safety.protected[{index}]"),
        ));
    }
    problems
}

/// Interval and limits: within bounds, and not above what the app allows.
pub fn validate_limits(config: &AppConfig, entry: &CatalogEntry) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut within = |field: &str, value: Option<u32>, max: u32, unit: &str| {
        if let Some(value) = value.filter(|value| !(1..=max).contains(value)) {
            problems.push(Problem::new(
                "out-of-range",
                field,
                format!("{value} is not possible; choose 1 to {max} {unit}"),
            ));
        }
    };
    let limits = &entry.limits;
    within(
        "interval_minutes",
        Some(config.interval_minutes),
        7 * 24 * 60,
        "minutes",
    );
    within(
        "drift_interval_hours",
        Some(config.drift_interval_hours),
        30 * 24,
        "hours",
    );
    within(
        "requests_per_minute",
        config.requests_per_minute,
        limits.most_requests_per_minute(),
        "requests a minute",
    );
    within(
        "concurrency",
        config.concurrency,
        limits.most_writes_at_once(),
        "writes at a time",
    );
    problems
}

/// SSO (S2.2). A missing one is asked for where autoprovisioning is turned on.
pub fn validate_sso(sso: &Sso) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Sso::Saml {
        entity_id,
        sign_in_url,
        ..
    } = sso
    {
        if entity_id.trim().is_empty() {
            problems.push(Problem::new(
                "sso-entity-id",
                "sso.entity_id",
                "the metadata has no entity ID; use the identity provider's metadata",
            ));
        }
        if !sign_in_url.starts_with("https://") && !sign_in_url.starts_with("http://") {
            problems.push(Problem::new(
                "sso-sign-in-url",
                "sso.sign_in_url",
                "the sign-in address is not a web address; use the identity provider's metadata",
            ));
        }
    }
    problems
}

fn address_problem(address: &str, field: &str) -> Option<Problem> {
    let fits = address.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !address.contains(char::is_whitespace)
    });
    (!fits).then(|| {
        Problem::new(
            "bad-address",
            field,
            format!("{address:?} is not an e-mail address; write it like eng@example.com"),
        )
    })
}

impl AppConfig {
    /// Everything that is wrong with the configuration as a whole. `stored` is the one it replaces.
    pub fn validate(&self, entry: &CatalogEntry, stored: Option<&Self>) -> Vec<Problem> {
        let mut problems = validate_access(&self.access);
        problems.extend(validate_scope(
            &self.scope,
            stored.map(|stored| &stored.scope),
        ));
        problems.extend(validate_mapping(&self.mapping, entry));
        problems.extend(validate_policies(&self.deprovisioning, entry));
        problems.extend(validate_safety(&self.safety));
        problems.extend(validate_limits(self, entry));
        problems.extend(self.sso.iter().flat_map(validate_sso));
        problems
    }
}

#[cfg(test)]
mod tests;
