//! For the machines that watch over this one.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::PgPool;

use crate::clock::Clock;
use crate::measures;
use crate::secrets::Vault;
use crate::store::schema::{self, Standing};
use crate::store::{StoreError, sealed};

const PATIENCE: Duration = Duration::from_secs(3);

/// What is watched.
#[derive(Clone)]
pub struct Health {
    pub pool: PgPool,
    pub clock: Arc<dyn Clock>,
    pub metrics: PrometheusHandle,
    /// Without it, nothing is said about the secret key.
    pub vault: Option<Vault>,
}

/// `/healthz`: the process lives. `/readyz`: it can do its work. `/metrics`: figures for Prometheus.
pub fn routes(health: Health) -> Router {
    measures::describe();
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(measurements))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> Response {
    match tokio::time::timeout(PATIENCE, unready(&health)).await {
        Ok(Ok(None)) => (StatusCode::OK, "ready\n").into_response(),
        Ok(Ok(Some(reason))) => {
            tracing::warn!(reason, "this process is not ready");
            unavailable(reason)
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            unavailable("the database does not answer\n")
        }
        Err(_) => unavailable("the database does not answer in time\n"),
    }
}

/// Why this process can't do its work, though the database answers.
async fn unready(health: &Health) -> Result<Option<&'static str>, sqlx::Error> {
    let mut db = health.pool.acquire().await?;
    match schema::standing(&mut db).await? {
        Standing::Current => {}
        Standing::Behind { .. } => {
            return Ok(Some(
                "the database lacks migrations: run rollcall migrate\n",
            ));
        }
        Standing::Newer { .. } => {
            return Ok(Some(
                "a newer Rollcall migrated the database: start that version here too\n",
            ));
        }
    }
    let Some(vault) = &health.vault else {
        return Ok(None);
    };
    let in_use = sealed::keys_in_use(&mut db).await?;
    let readable = in_use.iter().all(|key| vault.knows(key));
    Ok((!readable).then_some(
        "secrets are encrypted with another secret key than this process has: run rollcall doctor\n",
    ))
}

/// Figures that are old would look like figures: without the database there are none.
async fn measurements(State(health): State<Health>) -> Response {
    let refresh = async {
        let mut db = health.pool.acquire().await.map_err(StoreError::from)?;
        measures::refresh(&mut db, health.clock.now()).await
    };
    match tokio::time::timeout(PATIENCE, refresh).await {
        Ok(Ok(())) => {
            let format = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, format)], health.metrics.render()).into_response()
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the figures could not be read");
            unavailable("the figures could not be read\n")
        }
        Err(_) => unavailable("the database does not answer in time\n"),
    }
}

fn unavailable(text: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
