//! `GET /export/runs/{slug}/{number}`: the plan of a preview, or what became of a run's, as CSV:
//! every operation, and everybody for whom there is none, with the reason (S8.2).

use app::api::runs::{OperationRow, OperationState};
use app::api::terms::{Change, OperationKind};
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use provisioning::event::EventName;
use provisioning::scope::Rule;

use super::export_route::{Exports, csv_file, plain};
use super::failures::kind_word;
use super::{runs, standing};
use crate::export::defused;
use crate::store::events::{self, NewEvent};
use crate::store::old_runs::SKIPPED_PEOPLE_OF_RUNS;
use crate::store::operations::{self, Skipped};
use crate::store::runs::RunKind;

/// Operations read at a time: their bodies are large.
const AT_A_TIME: i64 = 2000;

const COLUMNS: [&str; 8] = [
    "person_id",
    "person_email",
    "person_name",
    "operation",
    "state",
    "values",
    "rule",
    "reason",
];

type Line = [String; 8];

pub(super) async fn export(
    State(exports): State<Exports>,
    actor: Option<Extension<Option<Actor>>>,
    Path((slug, number)): Path<(String, i64)>,
) -> Response {
    let Some(actor) = actor.and_then(|Extension(actor)| actor) else {
        return plain(
            StatusCode::UNAUTHORIZED,
            "Sign in to export a run.\n".to_owned(),
        );
    };
    let written = file(&exports, &actor, &slug, number).await;
    csv_file(written.map(|(what, text)| (format!("rollcall-{slug}-{what}-{number}.csv"), text)))
}

/// Records the export before the first byte leaves.
async fn file(
    exports: &Exports,
    actor: &Actor,
    slug: &str,
    number: i64,
) -> Answer<(&'static str, Vec<u8>)> {
    let now = exports.engine.clock.now();
    let mut db = exports.engine.connection().await?;
    let (app, run) = runs::find(&mut db, slug, number).await?;
    let (what, reason) = match run.kind {
        RunKind::Preview => ("plan", "Plan as csv"),
        _ => ("run", "Run as csv"),
    };
    let event = NewEvent::new(now, EventName::Export, &actor.email)
        .app(app.slug.as_str())
        .run(run.id.0)
        .reason(reason);
    events::record(&mut db, &event).await?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer, COLUMNS.map(str::to_owned))?;
    let mut after = None;
    loop {
        let page = operations::list(&mut db, run.id, None, None, after, AT_A_TIME).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.0);
        for operation in page {
            write(&mut writer, planned(runs::operation(operation, None)))?;
        }
    }
    let left_out = operations::skipped(&mut db, run.id, None, i64::MAX).await?;
    if left_out.is_empty() && run.planned.skipped > 0 {
        write(&mut writer, forgotten(run.planned.skipped))?;
    }
    for one in left_out {
        write(&mut writer, skipped(one))?;
    }
    let text = writer.into_inner().map_err(|error| unwritten(&error))?;
    Ok((what, text))
}

fn write(writer: &mut csv::Writer<Vec<u8>>, line: Line) -> Answer<()> {
    let cells = line.map(|cell| defused(&cell));
    writer
        .write_record(cells)
        .map_err(|error| unwritten(&error))
}

fn unwritten(error: &dyn std::fmt::Display) -> ApiError {
    tracing::error!(%error, "a run could not be written as a file");
    ApiError::new(ErrorCode::Internal)
}

fn planned(row: OperationRow) -> Line {
    let state = match row.state {
        OperationState::Planned => "planned",
        OperationState::Sending => "sending",
        OperationState::Done => "done",
        OperationState::Failed => "failed",
        OperationState::Held => "held",
        OperationState::Superseded => "no longer needed",
    };
    let reason = match row.failure {
        Some(failure) => format!("{}: {}", failure.title, failure.cause),
        None => row.reason,
    };
    [
        row.person.id,
        row.person.email,
        row.person.name,
        kind_word(row.kind).to_owned(),
        state.to_owned(),
        values(row.kind, &row.changes),
        String::new(),
        reason,
    ]
}

/// One value a line: new ones for an account that is created, otherwise old and new.
fn values(kind: OperationKind, changes: &[Change]) -> String {
    let line = |change: &Change| {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(empty)".to_owned());
        let (name, new) = (&change.attribute, shown(&change.new));
        match kind {
            OperationKind::Create => format!("{name}: {new}"),
            _ => format!("{name}: {} -> {new}", shown(&change.old)),
        }
    };
    changes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn skipped(row: Skipped) -> Line {
    let rule = Rule::parse(&row.rule).map_or(row.rule, |rule| rule.label().to_owned());
    [
        row.person_id,
        row.person_email,
        row.person_name,
        "skip".to_owned(),
        String::new(),
        String::new(),
        rule,
        standing::in_words(&row.detail),
    ]
}

/// A file that left them out without a word would be taken for everybody.
fn forgotten(people: u64) -> Line {
    let mut line = <[String; 8]>::default();
    line[3] = "skip".to_owned();
    line[7] = format!(
        "{people} people were skipped; who they were is kept for the newest {SKIPPED_PEOPLE_OF_RUNS} runs of an app"
    );
    line
}
