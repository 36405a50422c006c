//! One run of an app: import, plan, check, apply, record. Each stage is stored before the next
//! begins, and applying takes no decisions (S8.1).

pub mod account_decisions;
pub mod alone;
pub mod apply;
mod client;
pub mod confirm;
pub mod cycle;
pub mod decisions;
pub mod drift;
pub mod engine;
pub mod explain;
pub mod failure_decisions;
pub mod import;
pub mod inputs;
mod journal;
pub mod lease;
mod matches;
mod observing;
pub mod on_demand;
pub mod pending;
pub mod plan;
pub mod push;
pub mod reading;
mod recheck;
mod record;
mod renames;
pub mod run;
mod second_pass;
mod send;
mod settle;
mod settled;
pub mod tenant;
mod together;
pub mod trace;

pub use engine::Engine;
