//! What goes wrong below becomes one answer for the console: the log has the cause, the page a code.

use app::api::{ApiError, ErrorCode};

use crate::jobs::JobError;
use crate::store::StoreError;
use crate::store::credentials::CredentialError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        super::answers::store(error)
    }
}

impl From<CredentialError> for ApiError {
    fn from(error: CredentialError) -> Self {
        tracing::error!(%error, "a credential could not be used");
        Self::new(ErrorCode::Internal)
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        tracing::error!(%error, "a job could not be handed out");
        Self::new(ErrorCode::Internal)
    }
}
