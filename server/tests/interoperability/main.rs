//! Rollcall as a program, between the emulated directory and an app that somebody else wrote:
//! scim2-server. What it sends is judged by scim2-models and scim-sanity.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

mod bad_input;
mod company;
mod directory;
mod kill;
mod mistakes;
mod on_demand;
#[path = "../program/mod.rs"]
mod program;
mod python;
mod recorder;
mod whole_path;
