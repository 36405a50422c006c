//! Whole runs: an emulated directory and app over HTTP, a database per test, a clock that is set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod accidents;
mod accidents_directory;
mod confirmed;
mod decided;
mod drift;
mod first_run;
mod holds;
mod house;
mod interrupted;
mod isolation;
mod lifecycle;
mod old_runs;
mod on_demand;
mod once;
mod preview;
mod push;
mod reading;
mod renamed;
mod servers;
mod settled;
mod tenant;
mod worker;
