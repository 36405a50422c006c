//! The tables within an `[[app]]`.

use toml::de::DeValue;

use super::reader::{Reader, Table, join, json};
use crate::config::{
    Access, DeprovisioningPolicies, GroupRef, MappingRow, Members, Missing, OrgUnitAccess,
    PersonRef, Policy, Safety, Scope, ScopeGroup, Source, Trigger, Window,
};
use crate::identity::PersonId;

pub(super) fn access<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Access {
    let mut access = Access::default();
    if let Some(units) = reader.table(&mut table, "org_units") {
        for (path, key, node) in units.free() {
            let on = reader.as_word(&key, node, &["on", "off"], |word| match word {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            });
            if let Some(on) = on {
                access.org_units.push(OrgUnitAccess {
                    path: path.to_owned(),
                    id: None,
                    on,
                });
            }
        }
    }
    access.groups_on = reader
        .texts(&mut table, "groups_on")
        .into_iter()
        .map(|email| GroupRef {
            id: None,
            email,
            name: None,
        })
        .collect();
    reader.close(table);
    access
}

pub(super) fn scope<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Scope {
    let mut scope = Scope::default();
    for (key, node) in reader.list(&mut table, "groups") {
        let Some(mut group) = reader.as_table(key.clone(), node) else {
            continue;
        };
        let email = reader.required(&mut group, "email");
        if !group.has("members") {
            reader.problem(
                "missing-key",
                &join(&key, "members"),
                "this key is missing; write members = \"direct\" or \"nested\"",
            );
        }
        let members = reader.word(&mut group, "members", &["direct", "nested"], Members::parse);
        reader.close(group);
        if let (Some(email), Some(members)) = (email, members) {
            scope.groups.push(ScopeGroup {
                group: GroupRef {
                    id: None,
                    email,
                    name: None,
                },
                members,
            });
        }
    }
    scope.everyone = reader.flag(&mut table, "everyone").unwrap_or(false);
    scope.secondary_domains = reader.texts(&mut table, "secondary_domains");
    reader.close(table);
    scope
}

pub(super) fn mapping<'t>(reader: &mut Reader<'t>, table: Table<'t>) -> Vec<MappingRow> {
    let mut rows = Vec::new();
    for (attribute, key, node) in table.free() {
        let row = match node.get_ref() {
            DeValue::String(_) => reader
                .as_text(&key, node)
                .map(|path| (Source::Attribute(path), Missing::Clear)),
            DeValue::Table(inner) => {
                let table = reader.open(key.clone(), inner);
                mapping_row(reader, table)
            }
            _ => {
                reader.wrong_type(
                    &key,
                    "a directory attribute, or a table with from, constant or expression,",
                    node,
                );
                None
            }
        };
        if let Some((source, missing)) = row {
            rows.push(MappingRow {
                attribute: attribute.to_owned(),
                source,
                missing,
            });
        }
    }
    rows
}

fn mapping_row<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Option<(Source, Missing)> {
    let key = table.key.clone();
    let from = reader.text(&mut table, "from");
    let constant = table.take("constant").and_then(|(key, node)| {
        let value = json(node.get_ref());
        if value.is_none() {
            reader.problem("out-of-range", &key, "this value cannot be sent to an app");
        }
        value
    });
    let expression = reader.text(&mut table, "expression");
    let missing = missing(reader, &mut table);
    let named = ["from", "constant", "expression"]
        .iter()
        .filter(|name| table.has(name))
        .count();
    match named {
        1 => {}
        0 => {
            let hint = "write one of from, constant and expression; an attribute with a dot in its name stands in quotes";
            reader.problem("no-source", &key, hint);
        }
        _ => reader.problem(
            "several-sources",
            &key,
            "from, constant and expression exclude each other; keep one",
        ),
    }
    reader.close(table);
    let sources = [
        from.map(Source::Attribute),
        constant.map(Source::Constant),
        expression.map(Source::Expression),
    ];
    let source = sources
        .into_iter()
        .flatten()
        .next()
        .filter(|_| named == 1)?;
    Some((source, missing))
}

fn missing<'t>(reader: &mut Reader<'t>, table: &mut Table<'t>) -> Missing {
    let Some((key, node)) = table.take("missing") else {
        return Missing::Clear;
    };
    if let DeValue::Table(inner) = node.get_ref() {
        let mut table = reader.open(key.clone(), inner);
        let default = table
            .take("default")
            .and_then(|(_, node)| json(node.get_ref()));
        reader.close(table);
        if default.is_none() {
            reader.problem("no-default", &key, "write missing = { default = \"...\" }");
        }
        return default.map(Missing::Default).unwrap_or_default();
    }
    let words = ["keep", "clear"];
    reader
        .as_word(&key, node, &words, |word| match word {
            "keep" => Some(Missing::Keep),
            "clear" => Some(Missing::Clear),
            _ => None,
        })
        .unwrap_or_default()
}

pub(super) fn deprovisioning<'t>(
    reader: &mut Reader<'t>,
    mut table: Table<'t>,
) -> DeprovisioningPolicies {
    let mut policies = DeprovisioningPolicies::default();
    for trigger in Trigger::ALL {
        let Some(mut steps) = reader.table(&mut table, trigger.key()) else {
            continue;
        };
        let key = steps.key.clone();
        let before = reader.problems.len();
        let suspend = window(reader, &mut steps, "suspend");
        let delete = window(reader, &mut steps, "delete");
        let readable = reader.problems.len() == before;
        reader.close(steps);
        match Policy::new(suspend, delete) {
            Ok(policy) => policies.set(trigger, policy),
            Err(problem) if readable => {
                let key = match problem.part() {
                    "" => key,
                    part => join(&key, part),
                };
                reader.problem(problem.code(), &key, problem.to_string());
            }
            Err(_) => {}
        }
    }
    reader.close(table);
    policies
}

fn window<'t>(
    reader: &mut Reader<'t>,
    table: &mut Table<'t>,
    step: &'static str,
) -> Option<Window> {
    let key = join(&table.key, step);
    let text = reader.text(table, step)?;
    match text.parse() {
        Ok(window) => Some(window),
        Err(problem) => {
            let problem: crate::config::PolicyProblem = problem;
            reader.problem(problem.code(), &key, problem.to_string());
            None
        }
    }
}

pub(super) fn safety<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Safety {
    let default = Safety::default();
    let safety = Safety {
        hold_count: reader
            .number(&mut table, "hold_count")
            .unwrap_or(default.hold_count),
        hold_percent: reader
            .number(&mut table, "hold_percent")
            .unwrap_or(default.hold_percent),
        hold_max: reader
            .number(&mut table, "hold_max")
            .unwrap_or(default.hold_max),
        hold_creates: reader.number(&mut table, "hold_creates"),
        protected: reader
            .texts(&mut table, "protected")
            .into_iter()
            .map(person)
            .collect(),
    };
    reader.close(table);
    safety
}

/// Wherever an address is taken, a directory id is too.
fn person(text: String) -> PersonRef {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        PersonRef {
            id: Some(PersonId::new(text)),
            email: String::new(),
        }
    } else {
        PersonRef {
            id: None,
            email: text,
        }
    }
}
