//! SQL by table group: plain async functions over a connection.

pub mod credentials;
