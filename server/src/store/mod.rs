//! SQL by table group: plain async functions over a connection.

pub mod cluster;
pub mod credentials;
