//! From the catalogue to accounts in the app: each step is checked, kept, and turned on with
//! exactly the plan that was reviewed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

#[path = "../fixture/mod.rs"]
mod fixture;

mod authorization;
mod editing;
mod lists;
mod steps;
mod turning_on;
mod walk;
