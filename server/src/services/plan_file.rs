//! `GET /export/runs/{slug}/{number}`: the plan of a preview, or what became of a run's, as CSV:
//! every operation, and everybody for whom there is none, with the reason (S8.2).

use app::api::runs::{OperationRow, OperationState};
use app::api::terms::{Change, OperationKind};
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use provisioning::event::EventName;
use provisioning::scope::Rule;

use super::export_route::{Exports, plain};
use super::failures::kind_word;
use super::{runs, standing};
use crate::export::defused;
use crate::store::events::{self, NewEvent};
use crate::store::operations;
use crate::store::pages::{Part, runs as run_pages};
use crate::store::runs::RunKind;

/// Rows read at a time; a plan may name everybody.
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
    match file(&exports, &actor, &slug, number).await {
        Ok((what, text)) => {
            let name = format!("attachment; filename=\"rollcall-{slug}-{what}-{number}.csv\"");
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, text).into_response()
        }
        Err(error) => {
            let status = StatusCode::from_u16(error.code.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            plain(status, format!("{error}.\n"))
        }
    }
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
    let mut part = Part {
        limit: AT_A_TIME,
        offset: 0,
    };
    loop {
        let rows = operations::page(&mut db, run.id, None, None, part).await?;
        let last = rows.len() < usize::try_from(AT_A_TIME).unwrap_or(usize::MAX);
        for row in rows {
            write(&mut writer, planned(runs::operation(row, None)))?;
        }
        if last {
            break;
        }
        part.offset += AT_A_TIME;
    }
    part.offset = 0;
    loop {
        let rows = run_pages::skipped_people(&mut db, run.id, None, None, None, part).await?;
        let last = rows.len() < usize::try_from(AT_A_TIME).unwrap_or(usize::MAX);
        for row in rows {
            write(&mut writer, skipped(row))?;
        }
        if last {
            break;
        }
        part.offset += AT_A_TIME;
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

fn skipped(row: run_pages::SkippedPerson) -> Line {
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
