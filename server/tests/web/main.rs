//! The web server: who gets in, for how long, and what every answer carries.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

mod rules;
mod sessions;
mod sign_in;
