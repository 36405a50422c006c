//! Rollcall server.

pub mod clock;
