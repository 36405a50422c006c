//! The audit log in the three shapes that other programs read (S10.3, S12.6).
//!
//! - CSV: one line an event, with a header; text that a spreadsheet would take for a formula is
//!   marked with an apostrophe.
//! - NDJSON: one object a line with the keys of S12.6.
//! - Reports: the shape of Google's Admin SDK Reports API, `activities.list`.

use std::str::FromStr;

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::audit::{SealError, Seals};
use crate::store::StoreError;
use crate::store::events::{self, EventFilter, EventKey, EventRow, Order};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ndjson,
    Reports,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            "reports" => Ok(Self::Reports),
            other => Err(format!(
                "{other:?} is not a format: use csv, ndjson or reports"
            )),
        }
    }
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Reports => "application/json",
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Reports => "json",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the export could not be written: {0}")]
    Write(#[from] std::io::Error),
}

const PAGE: i64 = 1000;

const COLUMNS: [&str; 14] = [
    "id",
    "time",
    "event",
    "outcome",
    "actor",
    "app",
    "person_id",
    "person_email",
    "account",
    "run",
    "reason",
    "changes",
    "error",
    "hash",
];

/// Seals what is not sealed yet, then writes the filtered log, oldest first, a page at a time.
pub async fn write(
    seals: &Seals,
    filter: &EventFilter,
    format: Format,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<u64, ExportError> {
    seals.seal().await?;
    let pool = seals.pool();
    let mut written = 0;
    let mut after: Option<EventKey> = None;
    match format {
        Format::Csv => {
            out.write_all(csv_line(&COLUMNS.map(str::to_owned))?.as_bytes())
                .await?
        }
        Format::Reports => {
            out.write_all(b"{\"kind\":\"reports#activities\",\"items\":[")
                .await?
        }
        Format::Ndjson => {}
    }
    loop {
        let mut connection = pool.acquire().await.map_err(StoreError::from)?;
        let page = events::page(&mut connection, filter, Order::OldestFirst, after, PAGE).await?;
        drop(connection);
        for event in &page {
            let line = match format {
                Format::Csv => csv_line(&csv_fields(event))?,
                Format::Ndjson => format!("{}\n", ndjson(event)),
                Format::Reports if written == 0 => format!("\n{}", activity(event)),
                Format::Reports => format!(",\n{}", activity(event)),
            };
            out.write_all(line.as_bytes()).await?;
            written += 1;
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => {
                after = Some(EventKey {
                    time: last.time,
                    id: last.id,
                })
            }
            _ => break,
        }
    }
    if format == Format::Reports {
        out.write_all(b"\n]}\n").await?;
    }
    out.flush().await?;
    Ok(written)
}

fn time(event: &EventRow) -> String {
    event
        .time
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ndjson(event: &EventRow) -> Value {
    let person = event
        .person_id
        .as_ref()
        .map(|id| json!({ "id": id, "email": event.person_email }));
    json!({
        "id": event.id,
        "time": time(event),
        "event": event.event,
        "outcome": event.outcome,
        "actor": event.actor,
        "app": event.app,
        "person": person,
        "account": event.account_id,
        "run": event.run_id,
        "reason": event.reason,
        "changes": event.changes,
        "error": event.error,
        "hash": event.hash.as_deref().map(hex),
    })
}

fn csv_fields(event: &EventRow) -> [String; 14] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let value = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    [
        event.id.to_string(),
        time(event),
        event.event.clone(),
        event.outcome.clone(),
        event.actor.clone(),
        text(&event.app),
        text(&event.person_id),
        text(&event.person_email),
        text(&event.account_id),
        event.run_id.map(|run| run.to_string()).unwrap_or_default(),
        text(&event.reason),
        value(&event.changes),
        value(&event.error),
        event.hash.as_deref().map(hex).unwrap_or_default(),
    ]
}

fn csv_line(fields: &[String; 14]) -> Result<String, std::io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields.iter().map(|field| defused(field)))?;
    let bytes = writer
        .into_inner()
        .map_err(|error| std::io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// A cell that starts like a formula is read as text by a spreadsheet when an apostrophe leads it.
pub fn defused(field: &str) -> String {
    if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{field}")
    } else {
        field.to_owned()
    }
}

/// One item of `activities.list`; the event's type is ours, its name is that of the log.
fn activity(event: &EventRow) -> Value {
    let parameter = |name: &str, value: Option<String>| {
        value.map(|value| json!({ "name": name, "value": value }))
    };
    let parameters: Vec<Value> = [
        parameter("APPLICATION_NAME", event.app.clone()),
        parameter("USER_EMAIL", event.person_email.clone()),
        parameter("USER_ID", event.person_id.clone()),
        parameter("ACCOUNT_ID", event.account_id.clone()),
        parameter("RUN_ID", event.run_id.map(|run| run.to_string())),
        parameter("REASON", event.reason.clone()),
        parameter("OUTCOME", Some(event.outcome.clone())),
        parameter("CHANGES", event.changes.as_ref().map(Value::to_string)),
        parameter("ERROR", event.error.as_ref().map(Value::to_string)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let actor = if event.actor.contains('@') {
        json!({ "callerType": "USER", "email": event.actor })
    } else {
        json!({ "callerType": "KEY", "key": event.actor })
    };
    json!({
        "kind": "audit#activity",
        "id": {
            "time": time(event),
            "uniqueQualifier": event.id.to_string(),
            "applicationName": "rollcall",
        },
        "actor": actor,
        "events": [{
            "type": "USER_PROVISIONING",
            "name": event.event.to_uppercase().replace([' ', '-'], "_"),
            "parameters": parameters,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_formula_is_defused_in_csv() {
        assert_eq!(defused("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(defused("ada@example.com"), "ada@example.com");
        assert_eq!(defused(""), "");
    }
}
