//! What the app says of itself.

use serde_json::{Value, json};

use super::LIST_RESPONSE;
use super::schema::{ENTERPRISE, USER};

/// `/ServiceProviderConfig`.
pub fn service_provider_config(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://developers.asana.com/docs/scim",
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": 10_000 },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": false },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "The token of a service account",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

fn list(resources: Vec<Value>) -> Value {
    json!({
        "schemas": [LIST_RESPONSE],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

/// `/ResourceTypes`.
pub fn resource_types(base: &str) -> Value {
    list(vec![json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "schema": USER,
        "schemaExtensions": [{ "schema": ENTERPRISE, "required": false }],
        "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/User") },
    })])
}

fn attribute(name: &str, kind: &str, required: bool, subs: &[(&str, &str)]) -> Value {
    let (kind, multiple) = match kind.strip_suffix("[]") {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let mut attribute = json!({
        "name": name,
        "type": kind,
        "multiValued": multiple,
        "required": required,
        "caseExact": false,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": if name == "userName" { "server" } else { "none" },
    });
    if let (false, Some(attribute)) = (subs.is_empty(), attribute.as_object_mut()) {
        let subs: Vec<Value> = subs
            .iter()
            .map(|(name, kind)| self::attribute(name, kind, false, &[]))
            .collect();
        attribute.insert("subAttributes".to_owned(), subs.into());
    }
    attribute
}

/// `/Schemas`.
pub fn schemas(base: &str) -> Value {
    let schema = |id: &str, name: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id,
            "name": name,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{id}") },
        })
    };
    list(vec![
        schema(
            USER,
            "User",
            vec![
                attribute("userName", "string", true, &[]),
                attribute("name", "complex", false, &[("formatted", "string")]),
                attribute(
                    "emails",
                    "complex[]",
                    false,
                    &[
                        ("value", "string"),
                        ("type", "string"),
                        ("primary", "boolean"),
                    ],
                ),
                attribute("active", "boolean", false, &[]),
                attribute("title", "string", false, &[]),
                attribute("preferredLanguage", "string", false, &[]),
                attribute(
                    "phoneNumbers",
                    "complex[]",
                    false,
                    &[("value", "string"), ("type", "string")],
                ),
                attribute(
                    "addresses",
                    "complex[]",
                    false,
                    &[
                        ("type", "string"),
                        ("country", "string"),
                        ("region", "string"),
                        ("locality", "string"),
                    ],
                ),
            ],
        ),
        schema(
            ENTERPRISE,
            "EnterpriseUser",
            vec![
                attribute("employeeNumber", "string", false, &[]),
                attribute("costCenter", "string", false, &[]),
                attribute("organization", "string", false, &[]),
                attribute("division", "string", false, &[]),
                attribute("department", "string", false, &[]),
                attribute("manager", "complex", false, &[("value", "string")]),
            ],
        ),
    ])
}
