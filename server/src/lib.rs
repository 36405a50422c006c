//! The server's half of Rollcall: the store, the connectors, the sync worker and the web server.

pub mod clock;
pub mod postgres;
pub mod secrets;
pub mod settings;
pub mod store;
