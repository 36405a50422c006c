//! Who may do what, and how somebody proves who they are.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

#[path = "../fixture/mod.rs"]
mod fixture;

mod administrators;
mod authenticator;
mod confirming;
mod factors;
mod hostile;
mod house;
mod markup;
mod passkey_owners;
mod passkeys;
mod reading;
mod sessions;
mod table;
