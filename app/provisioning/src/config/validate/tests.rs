use super::*;
use crate::catalog::entry;
use crate::config::{GroupRef, Members, OrgUnitAccess, Policy, ScopeGroup};
use serde_json::json;

fn codes(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(Problem::code).collect()
}

fn with_row(row: MappingRow) -> Vec<Problem> {
    let asana = entry("asana").unwrap();
    let mut rows = asana.default_mapping.clone();
    rows.push(row);
    validate_mapping(&rows, asana)
}

#[test]
fn a_mandatory_attribute_without_a_source_blocks() {
    let asana = entry("asana").unwrap();
    let rows: Vec<MappingRow> = asana
        .default_mapping
        .iter()
        .filter(|row| row.attribute != "userName")
        .cloned()
        .collect();
    let problems = validate_mapping(&rows, asana);
    assert_eq!(codes(&problems), ["mandatory-unmapped"]);
    assert_eq!(problems[0].field, "mapping.\"userName\"");
}

#[test]
fn each_wrong_row_has_its_own_problem() {
    let row = |attribute: &str, source| MappingRow {
        attribute: attribute.into(),
        source,
        missing: Missing::Clear,
    };
    let text = |text: &str| Source::Attribute(text.into());
    for (wrong, code) in [
        (row("title[", text("primaryEmail")), "bad-attribute-path"),
        (row("TITLE", text("primaryEmail")), "mapped-twice"),
        (row("active", Source::Constant(json!(true))), "not-mappable"),
        (row("shoeSize", text("primaryEmail")), "unknown-attribute"),
        (row("preferredLanguage", text("nowhere")), "bad-source"),
        (
            row("preferredLanguage", Source::Constant(json!(" "))),
            "constant-empty",
        ),
        (
            row("preferredLanguage", Source::Constant(json!(["en"]))),
            "constant-unusable",
        ),
        (
            row("preferredLanguage", Source::Expression(String::new())),
            "expression-empty",
        ),
        (
            MappingRow {
                missing: Missing::Default(json!({})),
                ..row("preferredLanguage", text("id"))
            },
            "default-unusable",
        ),
    ] {
        assert_eq!(codes(&with_row(wrong)), [code]);
    }
}

#[test]
fn going_from_groups_to_everybody_needs_a_confirmation() {
    let group = GroupRef {
        id: None,
        email: "eng@example.com".into(),
        name: None,
    };
    let some = Scope {
        groups: vec![ScopeGroup {
            group,
            members: Members::Direct,
        }],
        ..Scope::default()
    };
    let none = Scope::default();
    assert_eq!(
        codes(&validate_scope(&none, Some(&some))),
        ["everyone-not-confirmed"]
    );
    assert_eq!(
        validate_scope(
            &Scope {
                everyone: true,
                ..none.clone()
            },
            Some(&some)
        ),
        vec![]
    );
    assert_eq!(validate_scope(&none, Some(&none)), vec![]);
    assert_eq!(validate_scope(&none, None), vec![]);
    assert_eq!(
        codes(&validate_scope(
            &Scope {
                everyone: true,
                ..some
            },
            None
        )),
        ["everyone-with-groups"]
    );
}

#[test]
fn limits_windows_and_paths_are_checked_against_the_catalogue() {
    let asana = entry("asana").unwrap();
    let mut config = AppConfig::with_mapping(asana.default_mapping.clone());
    assert_eq!(config.validate(asana, None), vec![]);
    config.interval_minutes = 0;
    config.requests_per_minute = Some(1501);
    config.concurrency = Some(16);
    config.safety.hold_percent = 101;
    config.deprovisioning.deleted = Policy::new(Some("3d".parse().unwrap()), None).unwrap();
    config.access.org_units.push(OrgUnitAccess {
        path: "Eng/".into(),
        id: None,
        on: true,
    });
    config.scope.secondary_domains.push("nodot".into());
    let problems = config.validate(asana, None);
    let fields: Vec<&str> = problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "access.org_units.\"Eng/\"",
            "scope.secondary_domains",
            "deprovisioning.deleted.suspend",
            "safety.hold_percent",
            "interval_minutes",
            "requests_per_minute",
            "concurrency"
        ]
    );
}
