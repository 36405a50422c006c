//! Settings of an app in the console's words, for its history.

use provisioning::catalog::{self, CatalogEntry};
use provisioning::config::{Change, Trigger, Window};
use provisioning::mapping::ScimPath;
use serde_json::Value;

/// A changed setting: where it belongs, what it is called, and its values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub section: &'static str,
    pub label: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Says a change in the words of the console, attributes in those of the app's entry, or of any
/// entry that knows them.
pub fn say<'a>(change: &Change, entry: impl Into<Option<&'a CatalogEntry>>) -> Said {
    let (head, rest) = change.key.split_once('.').unwrap_or((&change.key, ""));
    let (part, subject) = match rest.split_once(".\"") {
        Some((part, quoted)) => (part, unquoted(quoted)),
        None => (rest, unquoted(rest.trim_start_matches('"'))),
    };
    let (section, label) = match (head, part) {
        ("access", "org_units") => ("User access", format!("Org unit {subject}")),
        ("access", _) => ("User access", format!("Group {subject}")),
        ("scope", "groups") => ("Scope", format!("Group {subject}")),
        ("scope", "everyone") => ("Scope", "Everybody, without groups".to_owned()),
        ("scope", _) => ("Scope", "Secondary domains".to_owned()),
        ("mapping", _) => ("Attributes", attribute(&subject, entry.into())),
        ("deprovisioning", rest) => ("Deprovisioning", policy(rest)),
        ("safety", "protected") => ("Protected people", subject),
        ("safety", part) => ("Thresholds", threshold(part).to_owned()),
        ("sso", _) => ("Sign-in", "How people sign in".to_owned()),
        (key, _) => ("Runs", run_setting(key).to_owned()),
    };
    let text = |value: &Option<Value>| {
        let said = value.as_ref().and_then(|value| shown(section, value));
        // Without a window the step is never taken.
        said.or_else(|| (section == "Deprovisioning").then(|| "never".to_owned()))
    };
    Said {
        section,
        label,
        before: text(&change.before),
        after: text(&change.after),
    }
}

/// All changes in a line: in full when there is one, else how many of which section.
pub fn summary(changes: &[Change], entry: &CatalogEntry) -> String {
    let said: Vec<Said> = changes.iter().map(|change| say(change, entry)).collect();
    match said.as_slice() {
        [] => "Nothing".to_owned(),
        [one] => {
            let or_nothing = |text: &Option<String>| {
                text.as_deref()
                    .map_or_else(|| "nothing".to_owned(), |text| short(text, 60))
            };
            format!(
                "{}: {}, {} → {}",
                one.section,
                one.label,
                or_nothing(&one.before),
                or_nothing(&one.after)
            )
        }
        several => {
            let mut sections: Vec<(&str, usize)> = Vec::new();
            for one in several {
                match sections.iter_mut().find(|(name, _)| *name == one.section) {
                    Some((_, count)) => *count += 1,
                    None => sections.push((one.section, 1)),
                }
            }
            let parts: Vec<String> = sections
                .into_iter()
                .map(|(name, count)| format!("{name} ({count})"))
                .collect();
            parts.join(", ")
        }
    }
}

/// As [`Change::key`] quotes names.
fn unquoted(text: &str) -> String {
    let text = text.strip_suffix('"').unwrap_or(text);
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}

fn attribute(path: &str, entry: Option<&CatalogEntry>) -> String {
    let known = ScimPath::parse(path).ok().and_then(|path| match entry {
        Some(entry) => entry.attribute(&path),
        None => catalog::catalog()
            .iter()
            .find_map(|entry| entry.attribute(&path)),
    });
    known.map_or_else(|| path.to_owned(), |known| known.label.clone())
}

fn policy(rest: &str) -> String {
    let (trigger, step) = rest.split_once('.').unwrap_or((rest, ""));
    let trigger = match Trigger::parse(trigger) {
        Some(Trigger::AppTurnedOff) => "App turned off for the person",
        Some(Trigger::Suspended) => "Suspended in Google",
        Some(Trigger::Deleted) => "Deleted from Google",
        None => trigger,
    };
    format!("{trigger}: {step}")
}

fn threshold(part: &str) -> &str {
    match part {
        "hold_count" => "Removals",
        "hold_percent" => "Percent of the accounts",
        "hold_max" => "Removals, whatever the percentage",
        "hold_creates" => "Creates in one run",
        other => other,
    }
}

fn run_setting(key: &str) -> &str {
    match key {
        "linking" => "Matches found later",
        "interval_minutes" => "Minutes between runs",
        "requests_per_minute" => "Requests a minute",
        "concurrency" => "Writes at a time",
        "drift_interval_hours" => "Hours between reading the app back",
        other => other,
    }
}

fn shown(section: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(match (section, text.as_str()) {
            ("Deprovisioning", text) => text
                .parse::<Window>()
                .map_or_else(|_| text.to_owned(), Window::sentence),
            ("User access", "on") => "On".to_owned(),
            ("User access", "off") => "Off".to_owned(),
            ("Scope", "direct") => "Direct members".to_owned(),
            ("Scope", "nested") => "Direct and nested members".to_owned(),
            ("Runs", "automatic") => "Linked by themselves".to_owned(),
            ("Runs", "review") => "Wait for a decision".to_owned(),
            (_, text) => text.to_owned(),
        }),
        Value::Bool(true) if section == "Protected people" => Some("Protected".to_owned()),
        Value::Bool(true) => Some("Yes".to_owned()),
        Value::Bool(false) => Some("No".to_owned()),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(joined(items.iter())),
        Value::Object(_) if section == "Attributes" => Some(source(value)),
        Value::Object(_) if section == "Sign-in" => Some(sign_in(value)),
        other => Some(other.to_string()),
    }
}

fn joined<'a>(items: impl Iterator<Item = &'a Value>) -> String {
    let words: Vec<String> = items
        .map(|item| {
            item.as_str()
                .map_or_else(|| item.to_string(), str::to_owned)
        })
        .collect();
    words.join(", ")
}

/// A row of the mapping, as the file writes it.
fn source(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let from = (text("from"))
        .or_else(|| text("constant").map(|constant| format!("“{constant}”")))
        .or_else(|| text("expression").map(|expression| format!("expression {expression}")))
        .unwrap_or_default();
    match &value["missing"] {
        Value::Null => from,
        Value::String(missing) => format!("{from}, {missing} if missing"),
        other => {
            let default = other["default"].as_str().unwrap_or_default();
            format!("{from}, “{default}” if missing")
        }
    }
}

fn sign_in(value: &Value) -> String {
    match value["method"].as_str() {
        Some("google") => "With Google".to_owned(),
        _ => format!(
            "Through {}",
            value["entity_id"].as_str().unwrap_or_default()
        ),
    }
}

fn short(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::config::{AppConfig, OrgUnitAccess, PersonRef, Policy, diff};

    #[test]
    fn every_kind_of_change_is_said_without_the_words_of_the_file() {
        let entry = catalog::entry("asana").unwrap();
        let old = AppConfig::with_mapping(entry.default_mapping.clone());
        let mut new = old.clone();
        new.access.org_units.push(OrgUnitAccess {
            path: "/Sales \"EU\"".to_owned(),
            id: None,
            on: true,
        });
        let suspend = Policy::new(Some(Window::SEVEN_DAYS), None).unwrap();
        new.deprovisioning.set(Trigger::Suspended, suspend);
        let delete = Policy::new(None, Some(Window::SEVEN_DAYS)).unwrap();
        new.deprovisioning.set(Trigger::AppTurnedOff, delete);
        new.safety.hold_creates = Some(20);
        new.safety.protected.push(PersonRef {
            id: None,
            email: "founder@larkfield.example".to_owned(),
        });
        new.mapping.retain(|row| row.attribute != "title");
        new.scope.secondary_domains = vec!["studio.example".to_owned()];
        new.linking = provisioning::config::Linking::Review;
        let said: Vec<String> = diff(&old, &new)
            .iter()
            .map(|change| {
                let said = say(change, entry);
                let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                format!(
                    "{} | {} | {} | {}",
                    said.section,
                    said.label,
                    or_nothing(said.before),
                    or_nothing(said.after)
                )
            })
            .collect();
        for line in [
            "User access | Org unit /Sales \"EU\" | - | On",
            "Deprovisioning | Suspended in Google: suspend | within 24 hours | after 7 days",
            "Deprovisioning | App turned off for the person: suspend | within 24 hours | never",
            "Deprovisioning | App turned off for the person: delete | never | after 7 days",
            "Thresholds | Creates in one run | - | 20",
            "Protected people | founder@larkfield.example | - | Protected",
            "Scope | Secondary domains | - | studio.example",
            "Runs | Matches found later | Linked by themselves | Wait for a decision",
        ] {
            assert!(
                said.contains(&line.to_owned()),
                "{line} is not in {said:#?}"
            );
        }
        assert!(
            said.iter().any(|line| line.starts_with("Attributes | ")),
            "{said:#?}"
        );
        assert!(!said.iter().any(|line| line.contains('_')), "{said:#?}");
        let changes = diff(&old, &new);
        let several = summary(&changes, entry);
        assert!(
            several.contains("User access (1)") && several.contains("Thresholds (1)"),
            "{several}"
        );
        let only: Vec<Change> = changes
            .into_iter()
            .filter(|one| one.key.starts_with("deprovisioning.suspended"))
            .collect();
        assert_eq!(
            summary(&only, entry),
            "Deprovisioning: Suspended in Google: suspend, within 24 hours → after 7 days"
        );
    }
}
