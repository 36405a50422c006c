//! What the console asks of the server.

pub mod email;
pub mod one_time_links;
pub mod passwords;
pub mod saml;
