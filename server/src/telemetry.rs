//! Logs and metrics. Logs carry ids as fields, never personal data or secrets.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::LOG;

/// What is logged when `ROLLCALL_LOG` says nothing. The session layer warns of every cookie that
/// outlived its session; that is no news.
const DEFAULT_FILTER: &str = "info,tower_sessions=error,tower_sessions_core=error";

#[derive(Debug, thiserror::Error)]
#[error("{LOG} is not valid: {0} (an example: info,server=debug)")]
pub struct LogFilterError(#[from] ParseError);

/// Starts logging to stderr: lines for a person at a terminal, JSON for everything else.
pub fn start_logging(quiet: bool) -> Result<(), LogFilterError> {
    let named = std::env::var(LOG)
        .ok()
        .filter(|filter| !filter.trim().is_empty());
    let default = if quiet {
        "warn,tower_sessions=error,tower_sessions_core=error"
    } else {
        DEFAULT_FILTER
    };
    let filter = EnvFilter::try_new(named.as_deref().unwrap_or(default))?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // Failing means that somebody in this process logs already: nothing is lost.
    let _ = if std::io::stderr().is_terminal() {
        registry.with(lines.with_target(false)).try_init()
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()
    };
    Ok(())
}

/// Collects what the `metrics` macros count, to be shown at `/metrics`.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().install_recorder()
}
