//! Where Google says that people changed. Anybody can reach it, so a notification proves itself by
//! its channel's token, nothing is read from its body, and it is only a hint.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tower_http::limit::RequestBodyLimitLayer;
use uuid::Uuid;

use crate::jobs::Queue;
use crate::store::push;
use crate::sync::Engine;
use crate::sync::push::{PATH, is_token_of};

/// A person as Google sends them; nothing of it is used.
const BODY_LIMIT: usize = 256 * 1024;

pub fn routes(engine: Engine) -> Router {
    Router::new()
        .route(PATH, post(notified))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .with_state(engine)
}

async fn notified(State(engine): State<Engine>, headers: HeaderMap) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(id) = text("x-goog-channel-id").and_then(|id| Uuid::try_parse(id).ok()) else {
        return StatusCode::NOT_FOUND;
    };
    match take(
        &engine,
        id,
        text("x-goog-channel-token"),
        text("x-goog-resource-state"),
    )
    .await
    {
        Ok(status) => status,
        Err(error) => {
            tracing::error!(%error, "a notification of Google's could not be taken");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

async fn take(
    engine: &Engine,
    id: Uuid,
    token: Option<&str>,
    state: Option<&str>,
) -> Result<StatusCode, crate::jobs::JobError> {
    let mut db = engine.connection().await?;
    let Some(channel) = push::channel(&mut db, id).await? else {
        return Ok(StatusCode::NOT_FOUND);
    };
    drop(db);
    if !token.is_some_and(|token| is_token_of(&channel, token)) {
        tracing::warn!(channel = %id, "a notification came with a wrong token");
        return Ok(StatusCode::FORBIDDEN);
    }
    // The first message of a channel only says that it is open.
    if state != Some("sync") {
        Queue::new(engine.clone()).hint().await?;
    }
    Ok(StatusCode::OK)
}
