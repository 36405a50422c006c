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
use crate::store::{StoreError, schema};

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn routes(pool: PgPool, clock: Arc<dyn Clock>, metrics: PrometheusHandle) -> Router {
    measures::describe();
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(pool.clone()))
        .route(
            "/metrics",
            get(measurements).with_state((pool, clock, metrics)),
        )
}

async fn ready(State(pool): State<PgPool>) -> impl IntoResponse {
    match tokio::time::timeout(PATIENCE, schema::answers(&pool)).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer\n",
            )
        }
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer in time\n",
        ),
    }
}

type Measured = (PgPool, Arc<dyn Clock>, PrometheusHandle);

/// Figures that are old would look like figures: without the database there are none.
async fn measurements(State((pool, clock, metrics)): State<Measured>) -> Response {
    let refresh = async {
        let mut db = pool.acquire().await.map_err(StoreError::from)?;
        measures::refresh(&mut db, clock.now()).await
    };
    match tokio::time::timeout(PATIENCE, refresh).await {
        Ok(Ok(())) => {
            let format = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, format)], metrics.render()).into_response()
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
