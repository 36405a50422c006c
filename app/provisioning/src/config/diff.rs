//! What changed between two versions of a configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AppConfig, Missing, Source, Trigger};

/// One setting with its value before and after; `None`: it was not, or is no longer, there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// As in the configuration file, relative to the app: `mapping."title"`, `safety.hold_max`.
    pub key: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// Settings that differ, by key. Ids that were only filled in are no change.
pub fn diff(old: &AppConfig, new: &AppConfig) -> Vec<Change> {
    let (mut before, mut after) = (settings(old), settings(new));
    let mut keys: Vec<String> = before.keys().chain(after.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| {
            let (before, after) = (before.remove(&key), after.remove(&key));
            (before != after).then_some(Change { key, before, after })
        })
        .collect()
}

fn settings(config: &AppConfig) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let mut set = |key: String, value: Value| {
        if !value.is_null() {
            flat.insert(key, value);
        }
    };
    for unit in &config.access.org_units {
        set(
            format!("access.org_units.{:?}", unit.path),
            json!(if unit.on { "on" } else { "off" }),
        );
    }
    for group in &config.access.groups_on {
        set(format!("access.groups_on.{:?}", group.email), json!("on"));
    }
    for entry in &config.scope.groups {
        set(
            format!("scope.groups.{:?}", entry.group.email),
            json!(entry.members.key()),
        );
    }
    set("scope.everyone".into(), json!(config.scope.everyone));
    set(
        "scope.secondary_domains".into(),
        json!(config.scope.secondary_domains),
    );
    for row in &config.mapping {
        set(
            format!("mapping.{:?}", row.attribute),
            mapping_value(&row.source, &row.missing),
        );
    }
    for trigger in Trigger::ALL {
        let policy = config.deprovisioning.of(trigger);
        let key = trigger.key();
        set(
            format!("deprovisioning.{key}.suspend"),
            json!(policy.suspend()),
        );
        set(
            format!("deprovisioning.{key}.delete"),
            json!(policy.delete()),
        );
    }
    let safety = &config.safety;
    set("safety.hold_count".into(), json!(safety.hold_count));
    set("safety.hold_percent".into(), json!(safety.hold_percent));
    set("safety.hold_max".into(), json!(safety.hold_max));
    set("safety.hold_creates".into(), json!(safety.hold_creates));
    for person in &safety.protected {
        let name = person.name_among(&safety.protected);
        set(format!("safety.protected.{name:?}"), json!(true));
    }
    set("linking".into(), json!(config.linking));
    set("interval_minutes".into(), json!(config.interval_minutes));
    set(
        "requests_per_minute".into(),
        json!(config.requests_per_minute),
    );
    set("concurrency".into(), json!(config.concurrency));
    set(
        "drift_interval_hours".into(),
        json!(config.drift_interval_hours),
    );
    set("sso".into(), json!(config.sso));
    flat
}

/// As the file writes it: text for a plain row, a table for any other.
fn mapping_value(source: &Source, missing: &Missing) -> Value {
    let mut value = match source {
        Source::Attribute(path) if *missing == Missing::Clear => return json!(path),
        Source::Attribute(path) => json!({ "from": path }),
        Source::Constant(constant) => json!({ "constant": constant }),
        Source::Expression(text) => json!({ "expression": text }),
    };
    if *missing != Missing::Clear {
        value["missing"] = json!(missing);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MappingRow, OrgUnitAccess, PersonRef, Policy, Window};
    use crate::identity::PersonId;

    fn by_id(id: &str) -> PersonRef {
        PersonRef {
            id: Some(PersonId::from(id.to_owned())),
            email: String::new(),
        }
    }

    #[test]
    fn only_what_differs_is_named_with_its_key() {
        let old = AppConfig::with_mapping(vec![MappingRow::from_attribute(
            "title",
            "organizations.title",
        )]);
        assert_eq!(diff(&old, &old), vec![]);
        let mut new = old.clone();
        new.mapping[0].missing = Missing::Keep;
        new.access.org_units.push(OrgUnitAccess {
            path: "/".into(),
            id: None,
            on: true,
        });
        new.deprovisioning.set(
            Trigger::Deleted,
            Policy::new(Some(Window::ONE_DAY), None).unwrap(),
        );
        new.safety.hold_creates = Some(3);
        let changes = diff(&old, &new);
        let lines: Vec<(&str, Option<&Value>)> = changes
            .iter()
            .map(|change| (change.key.as_str(), change.after.as_ref()))
            .collect();
        assert_eq!(
            lines,
            [
                ("access.org_units.\"/\"", Some(&json!("on"))),
                ("deprovisioning.deleted.suspend", Some(&json!("1d"))),
                (
                    "mapping.\"title\"",
                    Some(&json!({"from": "organizations.title", "missing": "keep"}))
                ),
                ("safety.hold_creates", Some(&json!(3))),
            ]
        );
        let mut protected = new.clone();
        protected.safety.protected = ["111", "222"].map(by_id).into();
        let mut fewer = new.clone();
        fewer.safety.protected = vec![by_id("222")];
        let keys: Vec<String> = diff(&protected, &fewer)
            .into_iter()
            .map(|change| change.key)
            .collect();
        assert_eq!(keys, ["safety.protected.\"111\""]);
        let mut with_id = new.clone();
        with_id.access.org_units[0].id = Some("x".into());
        assert_eq!(diff(&new, &with_id), vec![]);
    }
}
