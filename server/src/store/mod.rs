//! SQL by table group: plain async functions over a connection.

pub mod administrators;
pub mod cluster;
pub mod credentials;
pub mod one_time_links;
pub mod schema;
pub mod sessions;
pub mod sign_in_failures;
