//! What the wizard has gathered so far.

use serde::{Deserialize, Serialize};

use super::{
    Access, AppConfig, DeprovisioningPolicies, Linking, MappingRow, Safety, Scope, Sso,
    validate_access, validate_mapping, validate_policies, validate_safety, validate_scope,
    validate_sso,
};
use crate::catalog::CatalogEntry;
use crate::problem::Problem;

/// A configuration in the making; every part may be missing. Kept as JSON until it is complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    pub access: Option<Access>,
    pub scope: Option<Scope>,
    pub mapping: Option<Vec<MappingRow>>,
    pub deprovisioning: Option<DeprovisioningPolicies>,
    pub safety: Option<Safety>,
    pub linking: Option<Linking>,
    pub interval_minutes: Option<u32>,
    pub requests_per_minute: Option<u32>,
    pub concurrency: Option<u32>,
    pub drift_interval_hours: Option<u32>,
    pub sso: Option<Sso>,
}

impl Draft {
    /// The draft of a configuration that exists, to edit it.
    pub fn of(config: &AppConfig) -> Self {
        let config = config.clone();
        Self {
            access: Some(config.access),
            scope: Some(config.scope),
            mapping: Some(config.mapping),
            deprovisioning: Some(config.deprovisioning),
            safety: Some(config.safety),
            linking: Some(config.linking),
            interval_minutes: Some(config.interval_minutes),
            requests_per_minute: config.requests_per_minute,
            concurrency: config.concurrency,
            drift_interval_hours: Some(config.drift_interval_hours),
            sso: config.sso,
        }
    }

    /// What is wrong with the parts that are there.
    pub fn problems(&self, entry: &CatalogEntry) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.access.iter().flat_map(validate_access));
        problems.extend(
            self.scope
                .iter()
                .flat_map(|scope| validate_scope(scope, None)),
        );
        problems.extend(
            self.mapping
                .iter()
                .flat_map(|rows| validate_mapping(rows, entry)),
        );
        problems.extend(
            self.deprovisioning
                .iter()
                .flat_map(|p| validate_policies(p, entry)),
        );
        problems.extend(self.safety.iter().flat_map(validate_safety));
        problems.extend(self.sso.iter().flat_map(validate_sso));
        problems
    }

    /// The configuration, once every step is done. Mapping, scope and deprovisioning have to be
    /// there, and SSO (S2.2); the rest has defaults.
    pub fn complete(&self, entry: &CatalogEntry) -> Result<AppConfig, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut missing = |there: bool, field: &'static str, message: &str| {
            if !there {
                problems.push(Problem::new("step-missing", field, message));
            }
        };
        missing(
            self.sso.is_some(),
            "sso",
            "sign-in is not set up; do that first, on the app's SSO page",
        );
        missing(
            self.mapping.is_some(),
            "mapping",
            "the attributes are not chosen; go back to Attributes",
        );
        missing(
            self.scope.is_some(),
            "scope",
            "the scope is not chosen; go back to Scope",
        );
        missing(
            self.deprovisioning.is_some(),
            "deprovisioning",
            "deprovisioning is not decided; go back to Deprovisioning",
        );
        let mut config = AppConfig::with_mapping(self.mapping.clone().unwrap_or_default());
        config.access = self.access.clone().unwrap_or_default();
        config.scope = self.scope.clone().unwrap_or_default();
        config.deprovisioning = self.deprovisioning.unwrap_or_default();
        config.safety = self.safety.clone().unwrap_or_default();
        config.linking = self.linking.unwrap_or_default();
        config.interval_minutes = self.interval_minutes.unwrap_or(config.interval_minutes);
        config.requests_per_minute = self.requests_per_minute;
        config.concurrency = self.concurrency;
        config.drift_interval_hours = self
            .drift_interval_hours
            .unwrap_or(config.drift_interval_hours);
        config.sso = self.sso.clone();
        // A part that is missing is named once, by its step.
        let found = config.validate(entry, None);
        problems.extend(
            found
                .into_iter()
                .filter(|p| self.mapping.is_some() || !p.field.starts_with("mapping")),
        );
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::entry;

    #[test]
    fn a_draft_is_complete_when_every_step_is_done() {
        let asana = entry("asana").unwrap();
        let empty = Draft::default().complete(asana).unwrap_err();
        let fields: Vec<&str> = empty.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["sso", "mapping", "scope", "deprovisioning"]);
        let draft = Draft {
            sso: Some(Sso::Google),
            mapping: Some(asana.default_mapping.clone()),
            scope: Some(Scope::default()),
            deprovisioning: Some(DeprovisioningPolicies::default()),
            ..Draft::default()
        };
        let config = draft.complete(asana).unwrap();
        assert_eq!(config.interval_minutes, 60);
        assert_eq!(Draft::of(&config).complete(asana), Ok(config));
        let json = serde_json::to_string(&draft).unwrap();
        assert_eq!(serde_json::from_str::<Draft>(&json).unwrap(), draft);
    }
}
