//! The rules: who gets which account, when it changes and when it ends.
//!
//! Pure: no clock (`now` is an argument), no database, no network. The server plans with it and the
//! browser validates and previews with it, so both always agree.
//!
//! A person is planned alone ([`plan::plan_person`]); what needs the whole plan (holds, managers
//! first, one link per account) is the second pass in [`guard`], which does not trust the planner.

pub mod catalog;
pub mod config;
pub mod digest;
pub mod drift;
pub mod event;
pub mod guard;
pub mod identity;
pub mod lifecycle;
pub mod mapping;
pub mod matching;
pub mod plan;
pub mod problem;
pub mod scope;

/// A hash of this crate's source: plans made under another one may differ.
pub const RULES: &str = env!("RULES");

pub use digest::Digest;
pub use problem::Problem;
