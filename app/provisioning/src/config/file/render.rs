//! Writes a configuration as a file; reading it gives the same configuration.

use std::fmt::Write as _;

use serde_json::Value;

use super::{AppFile, ConfigFile, DirectoryFile, TokenSource};
use crate::config::{MappingRow, Missing, Source, Sso, Trigger};

pub(super) fn render(file: &ConfigFile) -> String {
    let mut out = String::new();
    if let Some(directory) = &file.directory {
        render_directory(directory, &mut out);
    }
    for app in &file.apps {
        if !out.is_empty() {
            out.push('\n');
        }
        render_app(app, &mut out);
    }
    out
}

fn render_directory(directory: &DirectoryFile, out: &mut String) {
    out.push_str("[directory.google]\n");
    if let Some(file) = &directory.service_account_file {
        set(out, "service_account_file", &quoted(file));
    }
    set(out, "admin_email", &quoted(&directory.admin_email));
    set(out, "customer", &quoted(&directory.customer));
    set(out, "endpoint", &quoted(&directory.endpoint));
}

fn render_app(app: &AppFile, out: &mut String) {
    let config = &app.config;
    out.push_str("[[app]]\n");
    set(out, "slug", &quoted(app.slug.as_str()));
    set(out, "catalog", &quoted(&app.catalog));
    set(out, "name", &quoted(&app.name));
    set(out, "endpoint", &quoted(&app.endpoint));
    match &app.token {
        Some(TokenSource::File(file)) => set(out, "token_file", &quoted(file)),
        Some(TokenSource::Env(name)) => set(out, "token_env", &quoted(name)),
        None => {}
    }
    set(out, "autoprovisioning", &on_off(app.autoprovisioning));
    set(
        out,
        "interval_minutes",
        &config.interval_minutes.to_string(),
    );
    if let Some(rate) = config.requests_per_minute {
        set(out, "requests_per_minute", &rate.to_string());
    }
    set(out, "linking", &quoted(config.linking.key()));
    set(
        out,
        "drift_interval_hours",
        &config.drift_interval_hours.to_string(),
    );
    if let Some(concurrency) = config.concurrency {
        set(out, "concurrency", &concurrency.to_string());
    }
    render_sso(app, out);

    if !config.access.org_units.is_empty() {
        out.push_str("\n[app.access.org_units]\n");
        for unit in &config.access.org_units {
            set(out, &quoted(&unit.path), &on_off(unit.on));
        }
    }
    out.push_str("\n[app.access]\n");
    let groups = config
        .access
        .groups_on
        .iter()
        .map(|group| quoted(&group.email));
    set(out, "groups_on", &list(groups));

    out.push_str("\n[app.scope]\n");
    let groups = config.scope.groups.iter().map(|entry| {
        let members = quoted(entry.members.key());
        format!(
            "{{ email = {}, members = {members} }}",
            quoted(&entry.group.email)
        )
    });
    set(out, "groups", &list(groups));
    set(out, "everyone", &config.scope.everyone.to_string());
    let domains = config
        .scope
        .secondary_domains
        .iter()
        .map(|domain| quoted(domain));
    set(out, "secondary_domains", &list(domains));

    out.push_str("\n[app.mapping]\n");
    for row in &config.mapping {
        set(out, &quoted(&row.attribute), &source(row));
    }

    out.push_str("\n[app.deprovisioning]\n");
    for trigger in Trigger::ALL {
        let policy = config.deprovisioning.of(trigger);
        let steps = [("suspend", policy.suspend()), ("delete", policy.delete())];
        let steps = steps.into_iter().filter_map(|(step, window)| {
            window.map(|window| format!("{step} = {}", quoted(&window.to_string())))
        });
        let steps = steps.collect::<Vec<_>>().join(", ");
        set(out, trigger.key(), &format!("{{ {steps} }}"));
    }

    let safety = &config.safety;
    out.push_str("\n[app.safety]\n");
    set(out, "hold_count", &safety.hold_count.to_string());
    set(out, "hold_percent", &safety.hold_percent.to_string());
    set(out, "hold_max", &safety.hold_max.to_string());
    if let Some(ceiling) = safety.hold_creates {
        set(out, "hold_creates", &ceiling.to_string());
    }
    let protected =
        (safety.protected.iter()).map(|person| quoted(person.name_among(&safety.protected)));
    set(out, "protected", &list(protected));
}

fn render_sso(app: &AppFile, out: &mut String) {
    match (&app.config.sso, &app.sso_metadata_file) {
        (None, None) => {}
        (Some(Sso::Google), _) => {
            out.push_str("\n[app.sso]\n");
            set(out, "method", &quoted("google"));
        }
        (
            Some(Sso::Saml {
                entity_id,
                sign_in_url,
                certificate_expires,
            }),
            _,
        ) => {
            out.push_str("\n[app.sso]\n");
            set(out, "method", &quoted("saml"));
            set(out, "entity_id", &quoted(entity_id));
            set(out, "sign_in_url", &quoted(sign_in_url));
            if let Some(expires) = certificate_expires {
                set(out, "certificate_expires", &quoted(&expires.to_rfc3339()));
            }
        }
        (None, Some(file)) => {
            out.push_str("\n[app.sso]\n");
            set(out, "method", &quoted("saml"));
            set(out, "metadata_file", &quoted(file));
        }
    }
}

fn source(row: &MappingRow) -> String {
    let missing = match &row.missing {
        Missing::Clear => String::new(),
        Missing::Keep => ", missing = \"keep\"".to_owned(),
        Missing::Default(value) => format!(", missing = {{ default = {} }}", value_of(value)),
    };
    match &row.source {
        Source::Attribute(path) if missing.is_empty() => quoted(path),
        Source::Attribute(path) => format!("{{ from = {}{missing} }}", quoted(path)),
        Source::Constant(value) => format!("{{ constant = {}{missing} }}", value_of(value)),
        Source::Expression(text) => format!("{{ expression = {}{missing} }}", quoted(text)),
    }
}

fn set(out: &mut String, key: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{key} = {value}");
}

fn on_off(on: bool) -> String {
    quoted(if on { "on" } else { "off" })
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A basic string on one line (TOML 1.0, String).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A JSON value on one line. TOML has no null; validation keeps nulls out.
fn value_of(value: &Value) -> String {
    match value {
        Value::Null => quoted(""),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) => format!("{float:?}"),
            (None, None) => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(items) => list(items.iter().map(value_of)),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{} = {}", quoted(name), value_of(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
    }
}
