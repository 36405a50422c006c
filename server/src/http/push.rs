//! Where Google says that people changed. Anybody can reach it, so a notification proves itself by
//! its channel's token. It is only a hint: of its body nothing is taken but whom to ask Google for.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use provisioning::identity::PersonId;
use serde::Deserialize;
use tower_http::limit::RequestBodyLimitLayer;
use uuid::Uuid;

use crate::jobs::Queue;
use crate::store::push;
use crate::sync::Engine;
use crate::sync::push::{PATH, is_token_of};

/// A person as Google sends them; a few hundred bytes.
const BODY_LIMIT: usize = 256 * 1024;

pub fn routes(engine: Engine) -> Router {
    Router::new()
        .route(PATH, post(notified))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .with_state(engine)
}

async fn notified(State(engine): State<Engine>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(id) = text("x-goog-channel-id").and_then(|id| Uuid::try_parse(id).ok()) else {
        return StatusCode::NOT_FOUND;
    };
    match take(
        &engine,
        id,
        text("x-goog-channel-token"),
        text("x-goog-resource-state"),
        &body,
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
    body: &[u8],
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
        let person = person(body);
        Queue::new(engine.clone()).hint(person.as_ref()).await?;
    }
    Ok(StatusCode::OK)
}

/// Whom a notification is about. Whatever is no id of Google's names nobody.
fn person(body: &[u8]) -> Option<PersonId> {
    #[derive(Deserialize)]
    struct Told {
        id: String,
    }
    let told: Told = serde_json::from_slice(body).ok()?;
    let is_id = (1..=64).contains(&told.id.len())
        && told.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| PersonId::from(told.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_notification_only_an_id_is_taken() {
        let told = |body: &str| person(body.as_bytes()).map(PersonId::into_string);
        assert_eq!(
            told(r#"{"kind":"admin#directory#user","id":"1001","primaryEmail":"a@b.example"}"#),
            Some("1001".to_owned())
        );
        for nobody in [
            "",
            "[]",
            r#"{"id":7}"#,
            r#"{"id":""}"#,
            r#"{"id":"../users"}"#,
            r#"{"primaryEmail":"a@b.example"}"#,
        ] {
            assert_eq!(told(nobody), None, "{nobody}");
        }
    }
}
