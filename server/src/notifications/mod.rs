//! Telling somebody when something needs them (S9.4).
//!
//! What needs somebody is a fact of the database: an app is stopped, removals are held. Looking
//! compares those facts with the causes that are open: a new one is opened and told once, whatever
//! becomes of it, and one that is over is told a second time. Whoever causes something looks in the
//! same transaction, and the watch looks again and again, so nothing is told twice or missed.
//! Messages wait in an outbox and leave by the job engine.

mod causes;
mod delivery;
mod digest;
mod message;

pub use causes::{Cause, current, look, look_along};
pub use delivery::{Delivered, credential, deliver, test};
pub use digest::write_digests;
pub use message::Message;

use crate::store::StoreError;
use crate::store::credentials::CredentialError;

#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl From<sqlx::Error> for NotifyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
