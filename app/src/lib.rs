//! The console: wire types, server functions, pages and components.
//!
//! `ssr` is the server's half, `hydrate` the browser's. The server implements [`services`] and
//! renders [`shell`]; the browser calls `hydrate`.

pub mod api;
pub mod format;
#[cfg(feature = "ssr")]
pub mod services;
pub mod words;
