//! `GET /export/failures/{slug}`: everything that failed in an app, as CSV (S8.6).

use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer};
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use provisioning::event::EventName;

use super::export_route::{Exports, csv_file, plain};
use super::standing;
use crate::export::defused;
use crate::remedies;
use crate::store::events::{self, NewEvent};
use crate::store::failures::{self, FailureLine, Fate};

const COLUMNS: [&str; 13] = [
    "person_id",
    "person_email",
    "person_name",
    "operation",
    "state",
    "title",
    "cause",
    "remedy",
    "code",
    "attempts",
    "first_at",
    "last_at",
    "next_try_at",
];

pub(super) async fn export(
    State(exports): State<Exports>,
    actor: Option<Extension<Option<Actor>>>,
    Path(slug): Path<String>,
) -> Response {
    let Some(actor) = actor.and_then(|Extension(actor)| actor) else {
        return plain(
            StatusCode::UNAUTHORIZED,
            "Sign in to export the failures.\n".to_owned(),
        );
    };
    let text = file(&exports, &actor, &slug).await;
    csv_file(text.map(|text| (format!("rollcall-{slug}-failures.csv"), text)))
}

/// Records the export before the first byte leaves.
async fn file(exports: &Exports, actor: &Actor, slug: &str) -> Answer<Vec<u8>> {
    let now = exports.engine.clock.now();
    let mut db = exports.engine.connection().await?;
    let app = standing::app(&mut db, slug).await?;
    let event = NewEvent::new(now, EventName::Export, &actor.email)
        .app(app.slug.as_str())
        .reason("Failures as csv");
    events::record(&mut db, &event).await?;
    let lines = failures::all(&mut db, app.id).await?;
    written(&lines).map_err(|error| {
        tracing::error!(%error, "the failures could not be written as a file");
        ApiError::new(ErrorCode::Internal)
    })
}

fn written(lines: &[FailureLine]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for line in lines {
        writer.write_record(fields(line).map(|field| defused(&field)))?;
    }
    Ok(writer.into_inner()?)
}

fn fields(line: &FailureLine) -> [String; 13] {
    let (title, remedy) = remedies::of_operation(&line.code);
    let state = match line.fate() {
        Fate::TriedAgain => "tried again",
        Fate::ForGood => "failed for good",
        Fate::Ignored => "ignored",
    };
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    [
        line.person_id.clone(),
        line.person_email.clone(),
        line.person_name.clone(),
        line.kind.clone(),
        state.to_owned(),
        title.to_owned(),
        line.message.clone(),
        remedy.to_owned(),
        line.code.clone(),
        line.attempts.to_string(),
        time(line.first_at),
        time(line.last_at),
        line.next_try_at.map(time).unwrap_or_default(),
    ]
}
