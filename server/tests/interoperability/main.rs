//! Rollcall as a program, between the emulated directory and apps that somebody else wrote:
//! scim2-server, and a few that take the standard in their own way. What it sends is judged by
//! scim2-models and scim-sanity.
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
mod other_apps;
#[path = "../program/mod.rs"]
mod program;
mod python;
mod recorder;
mod whole_path;
