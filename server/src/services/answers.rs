//! Failures on our side as the console is told of them: it learns that, the log learns why.

use app::api::{ApiError, ErrorCode};

use super::passwords::HashError;
use crate::store::StoreError;

pub fn database(error: sqlx::Error) -> ApiError {
    tracing::error!(%error, "the database did not do what was asked");
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => ApiError::new(ErrorCode::Unavailable),
        _ => ApiError::internal(),
    }
}

pub fn hashing(error: HashError) -> ApiError {
    tracing::error!(%error, "a password could not be checked");
    ApiError::internal()
}

pub fn store(error: StoreError) -> ApiError {
    match error {
        StoreError::Database(error) => database(error),
        error @ StoreError::Corrupt { .. } => {
            tracing::error!(%error, "a stored row can't be read");
            ApiError::internal()
        }
    }
}
