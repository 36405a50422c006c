//! The emulated Google directory and the emulated Asana keep what their
//! originals promise.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod asana;
mod control;
mod discovery;
mod faults;
mod google;
mod harness;
mod organization;
