//! Checks an access token against the app it is for, before it is kept (S3.1).

use provisioning::catalog::CatalogEntry;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::connectors::{AppFacts, ScimApp, ScimError, ScimLimits, ScimSettings};
use crate::sync::Engine;

/// Larger answers describe more than anybody maps.
const MOST_SCHEMA_BYTES: usize = 512 * 1024;

/// What an accepted token showed of the app.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// For `apps.facts`.
    pub facts: Value,
    /// For `apps.learned`.
    pub learned: Value,
}

/// Reads users and the service provider configuration with the token; nothing is stored.
pub async fn check(
    engine: &Engine,
    entry: &CatalogEntry,
    endpoint: Url,
    token: SecretString,
) -> Result<Accepted, ScimError> {
    let limits = ScimLimits::from(entry.limits);
    let settings = ScimSettings::new(endpoint, token, limits).with_quirks(&entry.quirks);
    let app = ScimApp::new(settings, engine.outgoing().clone(), engine.clock.clone())?;
    let facts = app.check().await?;
    let schemas = if entry.open_attributes {
        app.raw_schemas().await?
    } else {
        None
    };
    Ok(Accepted {
        facts: facts_json(&facts, schemas),
        learned: serde_json::to_value(app.learned()).unwrap_or_else(|_| json!({})),
    })
}

/// `schemas` is where planning finds the attributes that the app named itself.
fn facts_json(facts: &AppFacts, schemas: Option<Value>) -> Value {
    let schemas = schemas.filter(|schemas| schemas.to_string().len() <= MOST_SCHEMA_BYTES);
    json!({
        "schemas": schemas,
        "service_provider_config": facts.service_provider_config,
        "accounts": facts.accounts,
        "patch": facts.patch,
        "filter": facts.filter,
        "max_results": facts.max_results,
        "remarks": facts.remarks,
    })
}

/// An endpoint as it is kept and compared: without a slash at the end.
pub fn normal_endpoint(text: &str) -> Result<Url, url::ParseError> {
    Url::parse(text.trim().trim_end_matches('/'))
}

/// The text of [`normal_endpoint`], as stored.
pub fn endpoint_text(endpoint: &Url) -> String {
    endpoint.as_str().trim_end_matches('/').to_owned()
}

/// Whether a credential given for one address may be used at the other.
pub fn same_origin(a: &str, b: &str) -> bool {
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin() == b.origin(),
        _ => false,
    }
}
