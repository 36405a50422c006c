//! Logs and metrics. Logs carry ids as fields, never personal data or secrets.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::settings::LOG;
use crate::traces::Traces;

/// What is left out unless `ROLLCALL_LOG` asks for it: how the job engine sets itself up, and
/// the session layer's warning of every cookie that outlived its session.
const HUSHED: &str = "graphile_worker=warn,graphile_worker_migrations=warn,\
    sqlx::postgres::notice=warn,tower_sessions=error,tower_sessions_core=error";

#[derive(Debug, thiserror::Error)]
#[error("{LOG} is not valid: {0} (an example: info,server=debug)")]
pub struct LogFilterError(#[from] ParseError);

/// Starts logging to stderr: lines for a person at a terminal, JSON for everything else. Spans go to
/// the collector, too, if there is one.
pub fn start_logging(quiet: bool, traces: &Traces) -> Result<(), LogFilterError> {
    let named = std::env::var(LOG)
        .ok()
        .filter(|filter| !filter.trim().is_empty());
    let level = if quiet { "warn" } else { "info" };
    let filter = named.unwrap_or_else(|| format!("{level},{HUSHED}"));
    let filter = EnvFilter::try_new(filter)?;
    let registry = tracing_subscriber::registry().with(traces.layer());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // Failing means that somebody in this process logs already: nothing is lost.
    let _ = if std::io::stderr().is_terminal() {
        let lines = lines.with_target(false).with_filter(filter);
        registry.with(lines).try_init()
    } else {
        let lines = lines.json().flatten_event(true).with_filter(filter);
        registry.with(lines).try_init()
    };
    Ok(())
}

/// Collects what the `metrics` macros count, to be shown at `/metrics`.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().install_recorder()
}
