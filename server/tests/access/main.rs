//! Who may do what, and how somebody proves who they are.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]


mod administrators;
mod confirming;
mod factors;
mod house;
mod sessions;
mod table;
