//! Clients for Google's Directory API and for SCIM apps.
//!
//! They page, throttle, time out and classify errors. They never decide what should happen and
//! never see the database.

mod excerpt;
pub mod google_directory;
pub mod http;
pub mod mail;
mod path;
mod retry;
pub mod scim;
pub mod targets;
pub mod timer;
pub mod webhook;

use std::sync::Once;

pub use google_directory::{
    ConnectionSettings, DirectoryError, DirectoryErrorClass, GoogleDirectory, GroupLookup,
    KeyProblem, PersonLookup, Scope, ScopeCheck, ScopeResult, ServiceAccountKey, UserListing,
};
pub use http::{Outgoing, RequestCounts, RequestLimits, RequestTotals};
pub use scim::{
    AppFacts, Learned, ScimApp, ScimError, ScimErrorClass, ScimLimits, ScimSettings, Update,
};
pub use targets::{TargetPolicy, TargetRefusal};
pub use timer::{JumpingTimer, SystemTimer, Timer};

/// Makes ring the TLS provider of the process. Safe to call again.
pub fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Failing means that somebody installed one before: nothing is lost.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
