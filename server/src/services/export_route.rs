//! Downloads: `GET /export/audit`, the filtered log as a file, and the others. They are mounted
//! behind the door, so only who is signed in gets here.

use app::api::ErrorCode;
use app::api::audit::AuditQuery;
use app::api::preferences;
use app::services::{Actor, Answer};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures::{StreamExt as _, stream};
use provisioning::event::EventName;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;

use super::zones::Zone;
use super::{audit, failures_file, plan_file};
use crate::audit::Seals;
use crate::export::{self, Format};
use crate::store::events::{self, EventFilter, NewEvent};
use crate::sync::Engine;

/// What is read ahead of a slow browser.
const BUFFER: usize = 64 * 1024;

#[derive(Clone)]
pub struct Exports {
    pub engine: Engine,
    /// Seal the log before it leaves.
    pub seals: Seals,
}

pub fn routes(exports: Exports) -> Router {
    Router::new()
        .route("/export/audit", get(export))
        .route("/export/failures/{slug}", get(failures_file::export))
        .route("/export/runs/{slug}/{number}", get(plan_file::export))
        .with_state(exports)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    format: Option<String>,
    #[serde(flatten)]
    query: Filters,
}

/// The filters of the log's page, as they stand in its address. Empty ones are none.
#[derive(Deserialize)]
struct Filters {
    q: Option<String>,
    last: Option<String>,
    from: Option<String>,
    to: Option<String>,
    event: Option<String>,
    app: Option<String>,
    person: Option<String>,
    actor: Option<String>,
    outcome: Option<String>,
    run: Option<String>,
}

async fn export(
    State(exports): State<Exports>,
    actor: Option<Extension<Option<Actor>>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(actor) = actor.and_then(|Extension(actor)| actor) else {
        return plain(
            StatusCode::UNAUTHORIZED,
            "Sign in to export the log.\n".to_owned(),
        );
    };
    let format = match asked
        .format
        .as_deref()
        .filter(|word| !word.is_empty())
        .unwrap_or("csv")
        .parse::<Format>()
    {
        Ok(format) => format,
        Err(problem) => return plain(StatusCode::BAD_REQUEST, format!("{problem}.\n")),
    };
    let outcome = match asked.query.outcome.as_deref().unwrap_or_default() {
        "" => None,
        "ok" => Some(app::api::terms::Outcome::Ok),
        "failed" => Some(app::api::terms::Outcome::Failed),
        other => {
            return plain(
                StatusCode::BAD_REQUEST,
                format!("{other:?} is no outcome: use ok or failed.\n"),
            );
        }
    };
    let query = AuditQuery {
        q: asked.query.q,
        last: asked.query.last,
        from: asked.query.from,
        to: asked.query.to,
        event: asked.query.event,
        app: asked.query.app,
        person: asked.query.person,
        actor: asked.query.actor,
        outcome,
        run: asked.query.run,
        before: None,
        after: None,
    };
    match begin(&exports, &actor, &query, zone_of(&headers), format).await {
        Ok(filter) => send(exports, filter, format),
        Err(error) => {
            let status = StatusCode::from_u16(error.code.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            plain(status, format!("{error}.\n"))
        }
    }
}

/// Days of the filters are those of the page that the export was asked for on.
fn zone_of(headers: &HeaderMap) -> Zone {
    let cookies = headers.get(header::COOKIE);
    let zone = cookies
        .and_then(|cookies| cookies.to_str().ok())
        .and_then(preferences::zone_in);
    zone.map_or(Zone::UTC, Zone::named)
}

/// Records the export before the first byte leaves. Its own event is not in it.
async fn begin(
    exports: &Exports,
    actor: &Actor,
    query: &AuditQuery,
    zone: Zone,
    format: Format,
) -> Result<EventFilter, app::api::ApiError> {
    let now = exports.engine.clock.now();
    let mut db = exports.engine.connection().await?;
    let Some(mut filter) = audit::filter(&mut db, query, zone, now).await? else {
        return Err(app::api::ApiError::new(ErrorCode::NotFound));
    };
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    let event = NewEvent::new(now, EventName::Export, &actor.email)
        .reason(format!("Audit log as {}", format.extension()))
        .detail(json!({
            "filter": {
                "since": filter.since, "until": filter.until, "event": filter.event, "events": filter.events, "outcome": filter.outcome,
                "app": filter.app, "person": filter.person, "actor": filter.actor, "run": filter.run,
                "text": filter.text,
            }
        }));
    events::record(&mut db, &event).await?;
    Ok(filter)
}

fn send(exports: Exports, filter: EventFilter, format: Format) -> Response {
    let (mut writer, reader) = tokio::io::duplex(BUFFER);
    let (ended, end) = oneshot::channel();
    tokio::spawn(async move {
        let result = export::write(&exports.seals, &filter, format, &mut writer).await;
        if let Err(error) = &result {
            tracing::warn!(%error, "an export of the log ended early");
        }
        // The browser may be gone; then nobody asks how it ended.
        let _ = ended.send(result.is_ok());
    });
    // A file that is not whole ends in a broken connection, so that nobody takes it for whole.
    let broken = stream::once(end).filter_map(|whole| async move {
        (whole != Ok(true)).then(|| Err(std::io::Error::other("the export ended early")))
    });
    let name = format!(
        "attachment; filename=\"rollcall-audit.{}\"",
        format.extension()
    );
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    (
        headers,
        Body::from_stream(ReaderStream::new(reader).chain(broken)),
    )
        .into_response()
}

/// A CSV file under its name, or in words why there is none.
pub(super) fn csv_file(file: Answer<(String, Vec<u8>)>) -> Response {
    match file {
        Ok((name, text)) => {
            let name = format!("attachment; filename=\"{name}\"");
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

pub(super) fn plain(status: StatusCode, text: String) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text,
    )
        .into_response()
}
