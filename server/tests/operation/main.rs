//! What keeps an installation running and its secrets secret: roles, keys, pruning, backups, the way
//! requests come in, and what is said about all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

#[path = "../program/mod.rs"]
mod program;

mod backup;
mod company;
mod doctor;
mod pruning;
mod roles;
mod rotation;
mod secrecy;
mod serving;
mod traces;
