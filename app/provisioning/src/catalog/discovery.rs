//! Attributes that an app tells itself (RFC 7643, 7).

use serde_json::Value;

use super::{AttributeKind, CatalogAttribute};
use crate::mapping::{ENTERPRISE_SCHEMA, USER_SCHEMA};

/// Multi-valued complex attributes whose entries are told apart by `type`, and by which one the
/// usual entry is meant.
const TYPED: [(&str, &str); 3] = [
    ("emails", "type eq \"work\""),
    ("phoneNumbers", "type eq \"work\""),
    ("addresses", "type eq \"work\""),
];
const OURS: [&str; 7] = [
    "id",
    "externalId",
    "meta",
    "schemas",
    "groups",
    "active",
    "password",
];

/// Reads a `/Schemas` answer (a ListResponse, a list, or one schema) into attributes that can be
/// mapped. Read-only ones, and those that Rollcall sets itself, are left out; what is odd is
/// passed over.
pub fn attributes_from_schemas(answer: &Value) -> Vec<CatalogAttribute> {
    let mut found = Vec::new();
    for schema in schemas(answer) {
        let Some(id) = schema.get("id").and_then(Value::as_str) else {
            continue;
        };
        let prefix = match id {
            USER_SCHEMA => String::new(),
            ENTERPRISE_SCHEMA => format!("{id}:"),
            _ => continue,
        };
        for attribute in list(schema, "attributes") {
            read(attribute, &prefix, &mut found);
        }
    }
    found
}

pub(super) fn schemas(answer: &Value) -> &[Value] {
    match answer {
        Value::Array(schemas) => schemas,
        other => match other.get("Resources") {
            Some(Value::Array(schemas)) => schemas,
            _ => std::slice::from_ref(other),
        },
    }
}

fn read(attribute: &Value, prefix: &str, found: &mut Vec<CatalogAttribute>) {
    let Some(name) = attribute.get("name").and_then(Value::as_str) else {
        return;
    };
    if !is_writable(attribute) || (prefix.is_empty() && OURS.contains(&name)) {
        return;
    }
    let subs = list(attribute, "subAttributes");
    if subs.is_empty() {
        let path = format!("{prefix}{name}");
        found.extend(mapped(attribute, path, name, is_required(attribute)));
        return;
    }
    if name == "manager" && !prefix.is_empty() {
        found.push(CatalogAttribute {
            path: format!("{prefix}manager"),
            label: "Manager".to_owned(),
            mandatory: false,
            kind: AttributeKind::Reference,
            max_length: None,
            hint: None,
        });
        return;
    }
    let multi = attribute
        .get("multiValued")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let filter = match (multi, TYPED.iter().find(|(known, _)| *known == name)) {
        (false, _) => String::new(),
        (true, Some((_, filter))) => format!("[{filter}]"),
        (true, None) => return,
    };
    let mandatory = is_required(attribute);
    for sub in subs {
        let Some(sub_name) = sub.get("name").and_then(Value::as_str) else {
            continue;
        };
        let is_mark = multi && matches!(sub_name, "type" | "primary" | "display" | "$ref");
        if is_writable(sub) && !is_mark {
            let label = format!("{name}, {sub_name}");
            let path = format!("{prefix}{name}{filter}.{sub_name}");
            // A part that must be there when its attribute is does not make the attribute mandatory.
            let required = mandatory && (is_required(sub) || sub_name == "value");
            found.extend(mapped(sub, path, &label, required));
        }
    }
}

fn mapped(
    attribute: &Value,
    path: String,
    label: &str,
    mandatory: bool,
) -> Option<CatalogAttribute> {
    let kind = match attribute
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("string")
    {
        "boolean" => AttributeKind::Boolean,
        "integer" => AttributeKind::Integer,
        "decimal" => AttributeKind::Decimal,
        "complex" | "binary" => return None,
        _ => AttributeKind::String,
    };
    Some(CatalogAttribute {
        path,
        label: label.to_owned(),
        mandatory,
        kind,
        max_length: None,
        hint: (attribute.get("description").and_then(Value::as_str))
            .map(|text| text.chars().take(200).collect()),
    })
}

fn is_writable(attribute: &Value) -> bool {
    attribute.get("mutability").and_then(Value::as_str) != Some("readOnly")
}

fn is_required(attribute: &Value) -> bool {
    attribute
        .get("required")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn attributes_are_read_from_the_schemas_of_an_app() {
        let answer = json!({"Resources": [
            {"id": USER_SCHEMA, "attributes": [
                {"name": "userName", "type": "string", "required": true, "mutability": "readWrite"},
                {"name": "id", "type": "string"},
                {"name": "groups", "multiValued": true, "mutability": "readOnly"},
                {"name": "emails", "type": "complex", "multiValued": true, "subAttributes": [
                    {"name": "value", "type": "string"}, {"name": "primary", "type": "boolean"}]},
                {"name": "name", "type": "complex", "subAttributes": [{"name": "formatted"}]},
                "odd"]},
            {"id": ENTERPRISE_SCHEMA, "attributes": [
                {"name": "manager", "type": "complex", "subAttributes": [{"name": "value"}]},
                {"name": "department"}]},
            {"id": "urn:ietf:params:scim:schemas:core:2.0:Group", "attributes": [{"name": "displayName"}]}]});
        let found = attributes_from_schemas(&answer);
        let paths: Vec<&str> = found.iter().map(|a| a.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "userName",
                "emails[type eq \"work\"].value",
                "name.formatted",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            ]
        );
        assert!(found[0].mandatory && !found[1].mandatory);
        let answer = json!({"id": USER_SCHEMA, "attributes": [
            {"name": "phoneNumbers", "multiValued": true, "required": false, "subAttributes": [
                {"name": "value", "required": true}]},
            {"name": "name", "required": true, "subAttributes": [
                {"name": "formatted", "required": true}, {"name": "middleName"}]}]});
        let mandatory: Vec<bool> = attributes_from_schemas(&answer)
            .iter()
            .map(|attribute| attribute.mandatory)
            .collect();
        assert_eq!(mandatory, [false, true, false]);
        assert_eq!(attributes_from_schemas(&json!("<html>")), vec![]);
    }
}
