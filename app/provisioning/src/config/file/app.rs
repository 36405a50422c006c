//! From the tables of the file to its meaning.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use toml::de::{DeTable, DeValue};

use super::reader::{Reader, Table, join, json};
use super::{AppFile, ConfigFile, DirectoryFile, FileProblem, TokenSource};
use crate::catalog::{self, CatalogEntry};
use crate::config::{
    Access, AppConfig, DeprovisioningPolicies, GroupRef, Linking, MappingRow, Members, Missing,
    OrgUnitAccess, PersonRef, Policy, Safety, Scope, ScopeGroup, Source, Sso, Trigger, Window,
};
use crate::identity::{AppSlug, PersonId};

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

fn access<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Access {
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

fn scope<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Scope {
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

fn mapping<'t>(reader: &mut Reader<'t>, table: Table<'t>) -> Vec<MappingRow> {
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

fn deprovisioning<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> DeprovisioningPolicies {
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

fn safety<'t>(reader: &mut Reader<'t>, mut table: Table<'t>) -> Safety {
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
