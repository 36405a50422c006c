//! The server's half of Rollcall: the store, the connectors, the sync worker and the web server.

pub mod audit;
pub mod authorization;
pub mod cli;
pub mod clock;
pub mod config_file;
pub mod configuration;
pub mod configuration_history;
pub mod connectors;
pub mod export;
pub mod http;
pub mod installation;
pub mod jobs;
pub mod measures;
pub mod notifications;
pub mod postgres;
mod remedies;
pub mod rotation;
pub mod sandbox;
pub mod secrets;
pub mod services;
pub mod setting_words;
pub mod settings;
pub mod shutdown;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod traces;

/// The commit that this was built from. Only a release says it: otherwise each commit would build
/// everything anew.
pub const BUILD: Option<&str> = match option_env!("ROLLCALL_BUILD") {
    Some(build) if !build.is_empty() => Some(build),
    _ => None,
};
