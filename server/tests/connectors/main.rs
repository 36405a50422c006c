//! The connectors against servers that answer by a script.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod against_sandbox;
mod any_answer;
mod google_listings;
mod google_sign_in;
mod outgoing;
mod scim_errors;
mod scim_listing;
mod scim_lookup;
mod scim_odd;
mod scim_writes;
mod script;
