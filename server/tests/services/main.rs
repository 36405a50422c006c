//! What the console asks of the server, on an emulated company. One program, since each costs a
//! build of all that it uses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
#[allow(dead_code, reason = "each test file uses its part")]
#[path = "../sync/house.rs"]
mod house;

mod accounts;
mod audit;
mod demo;
mod directory;
mod failures;
mod queue;
mod runs;
mod settings;
mod wizard;
