//! From the tables of the file to its meaning.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use toml::de::{DeTable, DeValue};

use super::reader::{Reader, Table, join};
use super::sections::{access, deprovisioning, mapping, safety, scope};
use super::{AppFile, ConfigFile, DirectoryFile, FileProblem, TokenSource};
use crate::catalog::{self, CatalogEntry};
use crate::config::{AppConfig, Linking, Sso};
use crate::identity::AppSlug;

pub(super) fn parse(text: &str) -> Result<ConfigFile, Vec<FileProblem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text);
    if !errors.is_empty() {
        // What was recovered would only give follow-up errors.
        let problem = |error: &toml::de::Error| FileProblem {
            key: String::new(),
            line: error.span().map(|span| reader.line_at(span.start)),
            code: "not-toml".into(),
            message: format!("this is not TOML: {}", error.message().replace('\n', " ")),
        };
        return Err(errors.iter().map(problem).collect());
    }
    let mut root = reader.open(String::new(), document.get_ref());
    let directory = reader.table(&mut root, "directory").and_then(|mut table| {
        let google = reader
            .table(&mut table, "google")
            .and_then(|google| directory(&mut reader, google));
        reader.close(table);
        google
    });
    let mut apps = Vec::new();
    let mut slugs = BTreeSet::new();
    for (key, node) in reader.list(&mut root, "app") {
        let Some(table) = reader.as_table(key.clone(), node) else {
            continue;
        };
        let Some(app) = app(&mut reader, table) else {
            continue;
        };
        if !slugs.insert(app.slug.clone()) {
            let text = format!("the slug {} is used twice; give each app its own", app.slug);
            reader.problem("slug-twice", &join(&key, "slug"), text);
        }
        apps.push(app);
    }
    reader.close(root);
    if reader.problems.is_empty() {
        Ok(ConfigFile { directory, apps })
    } else {
        reader
            .problems
            .sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        Err(reader.problems)
    }
}

fn directory<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Option<DirectoryFile> {
    let service_account_file = reader.text(&mut table, "service_account_file");
    let admin_email = reader.required(&mut table, "admin_email");
    if let Some(email) = admin_email.as_ref().filter(|email| !email.contains('@')) {
        let key = join(&table.key, "admin_email");
        reader.problem(
            "bad-address",
            &key,
            format!("{email:?} is not an e-mail address"),
        );
    }
    let customer = reader.text(&mut table, "customer");
    let endpoint = address(reader, &mut table, "endpoint");
    reader.close(table);
    Some(DirectoryFile {
        service_account_file,
        admin_email: admin_email?,
        customer: customer.unwrap_or_else(|| DirectoryFile::DEFAULT_CUSTOMER.to_owned()),
        endpoint: endpoint.unwrap_or_else(|| DirectoryFile::DEFAULT_ENDPOINT.to_owned()),
    })
}

/// A base address, without the slash at its end.
fn address<'t>(
    reader: &mut Reader<'t>,
    table: &mut Table<'t>,
    name: &'static str,
) -> Option<String> {
    let key = join(&table.key, name);
    let text = reader.text(table, name)?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let fits = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !text.contains([' ', '?', '#', '@'])
    });
    if !fits {
        reader.problem(
            "bad-endpoint",
            &key,
            format!(
                "{text:?} is not a base address; write it like https://app.example.com/scim/v2"
            ),
        );
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn app<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Option<AppFile> {
    let key = table.key.clone();
    let slug = reader.required(&mut table, "slug").and_then(|text| {
        let slug = AppSlug::parse(&text);
        if let Err(problem) = &slug {
            reader.problem(problem.code(), &join(&key, "slug"), problem.to_string());
        }
        slug.ok()
    });
    let entry = entry(reader, &mut table);
    let name = reader.text(&mut table, "name");
    let endpoint_given = table.has("endpoint");
    let endpoint = address(reader, &mut table, "endpoint");
    let endpoint = endpoint.or_else(|| entry.and_then(|entry| entry.endpoint.clone()));
    if let (None, false, Some(entry)) = (&endpoint, endpoint_given, entry) {
        let text = format!(
            "{} has no address of its own; add the app's SCIM base address",
            entry.name
        );
        reader.problem("missing-key", &join(&key, "endpoint"), text);
    }
    let token = token(reader, &mut table);
    let on_off = |word: &str| match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    let autoprovisioning = reader
        .word(&mut table, "autoprovisioning", &["on", "off"], on_off)
        .unwrap_or(false);

    let mut config = AppConfig::with_mapping(Vec::new());
    config.interval_minutes = reader
        .number(&mut table, "interval_minutes")
        .unwrap_or(config.interval_minutes);
    config.drift_interval_hours = reader
        .number(&mut table, "drift_interval_hours")
        .unwrap_or(config.drift_interval_hours);
    config.requests_per_minute = reader.number(&mut table, "requests_per_minute");
    config.concurrency = reader.number(&mut table, "concurrency");
    config.linking = reader
        .word(
            &mut table,
            "linking",
            &["automatic", "review"],
            Linking::parse,
        )
        .unwrap_or_default();
    let before = reader.problems.len();
    let sso_table = reader.table(&mut table, "sso");
    let (sso, sso_metadata_file) = sso_table
        .map(|table| sso(reader, table))
        .unwrap_or_default();
    let sso_is_wrong = reader.problems.len() > before;
    if autoprovisioning && sso.is_none() && sso_metadata_file.is_none() && !sso_is_wrong {
        reader.problem(
            "sso-missing",
            &join(&key, "sso"),
            "autoprovisioning is on and SSO is not set up; add [app.sso] with method = \"google\", or \"saml\" and metadata_file",
        );
    }
    config.sso = sso;
    if let Some(table) = reader.table(&mut table, "access") {
        config.access = access(reader, table);
    }
    if let Some(table) = reader.table(&mut table, "scope") {
        config.scope = scope(reader, table);
    }
    config.mapping = match reader.table(&mut table, "mapping") {
        Some(table) => mapping(reader, table),
        None => entry
            .map(|entry| entry.default_mapping.clone())
            .unwrap_or_default(),
    };
    if let Some(table) = reader.table(&mut table, "deprovisioning") {
        config.deprovisioning = deprovisioning(reader, table);
    }
    if let Some(table) = reader.table(&mut table, "safety") {
        config.safety = safety(reader, table);
    }
    reader.close(table);
    let entry = entry?;
    for problem in config.validate(entry, None) {
        let key = format!("{key}.{}", problem.field);
        // What could not be read has its problem already.
        if !reader.problems.iter().any(|known| known.key == key) {
            reader.problems.push(FileProblem {
                line: reader.line_of(&key),
                key,
                code: problem.code,
                message: problem.message,
            });
        }
    }
    Some(AppFile {
        slug: slug?,
        catalog: entry.key.clone(),
        name: name.unwrap_or_else(|| entry.name.clone()),
        endpoint: endpoint?,
        token,
        autoprovisioning,
        sso_metadata_file,
        config,
    })
}

fn entry<'t>(reader: &mut Reader<'t>, table: &mut Table<'t>) -> Option<&'static CatalogEntry> {
    let key = join(&table.key, "catalog");
    let name = reader.required(table, "catalog")?;
    let entry = catalog::entry(&name);
    if entry.is_none() {
        let known: Vec<&str> = catalog::catalog()
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        let known = known.join(", ");
        reader.problem(
            "unknown-catalog",
            &key,
            format!("the catalogue has no {name:?}; known: {known}"),
        );
    }
    entry
}

fn token<'t>(reader: &mut Reader<'t>, table: &mut Table<'t>) -> Option<TokenSource> {
    let key = join(&table.key, "token_env");
    let file = reader.text(table, "token_file");
    let env = reader.text(table, "token_env");
    if file.is_some() && env.is_some() {
        reader.problem(
            "token-twice",
            &key,
            "token_file and token_env exclude each other; remove one",
        );
    }
    file.map(TokenSource::File).or(env.map(TokenSource::Env))
}

fn sso<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> (Option<Sso>, Option<String>) {
    let key = table.key.clone();
    if !table.has("method") {
        reader.problem(
            "missing-key",
            &join(&key, "method"),
            "this key is missing; write method = \"google\" or \"saml\"",
        );
    }
    let is_saml = |word: &str| match word {
        "google" => Some(false),
        "saml" => Some(true),
        _ => None,
    };
    let method = reader.word(&mut table, "method", &["google", "saml"], is_saml);
    let mut result = (None, None);
    match method {
        Some(true) => {
            let metadata = reader.text(&mut table, "metadata_file");
            let entity_id = reader.text(&mut table, "entity_id");
            let sign_in_url = reader.text(&mut table, "sign_in_url");
            let certificate_expires = expiry(reader, &mut table);
            match (metadata, entity_id, sign_in_url) {
                (Some(file), None, None) => result.1 = Some(file),
                (None, Some(entity_id), Some(sign_in_url)) => {
                    result.0 = Some(Sso::Saml { entity_id, sign_in_url, certificate_expires });
                }
                (Some(_), _, _) => reader.problem(
                    "sso-twice",
                    &join(&key, "metadata_file"),
                    "metadata_file already says entity_id and sign_in_url; remove one or the other",
                ),
                _ => reader.problem(
                    "missing-key",
                    &join(&key, "metadata_file"),
                    "saml needs the identity provider's metadata; add metadata_file, or entity_id and sign_in_url",
                ),
            }
        }
        Some(false) => result.0 = Some(Sso::Google),
        None => {
            // Their problem is the method, not these.
            for name in [
                "metadata_file",
                "entity_id",
                "sign_in_url",
                "certificate_expires",
            ] {
                table.take(name);
            }
        }
    }
    reader.close(table);
    result
}

fn expiry<'t>(reader: &mut Reader<'t>, table: &mut Table<'t>) -> Option<DateTime<Utc>> {
    let (key, node) = table.take("certificate_expires")?;
    let text = match node.get_ref() {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => {
            reader.wrong_type(&key, "a date with time", node);
            return None;
        }
    };
    let parsed = DateTime::parse_from_rfc3339(&text)
        .ok()
        .map(|time| time.to_utc());
    if parsed.is_none() {
        reader.problem(
            "bad-time",
            &key,
            format!("{text:?} is not a time; write it like 2030-01-31T00:00:00Z"),
        );
    }
    parsed
}
