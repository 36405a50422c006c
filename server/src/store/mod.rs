//! Everything that Rollcall keeps, as plain async functions over a connection, one file per
//! group of tables. No rule lives here. Times come from the caller's clock; only leases
//! (heartbeats) use the database's, so that processes whose clocks differ agree on who is alive.

pub mod access_edits;
pub mod administrators;
pub mod apps;
pub mod cluster;
pub mod connection;
pub mod credentials;
pub mod drifts;
pub mod event_pages;
mod event_search;
pub mod events;
pub mod failures;
pub mod groups;
pub mod imports;
pub mod lifecycles;
pub mod links;
pub mod measures;
pub mod notifications;
pub mod old_runs;
pub mod one_time_links;
pub mod operations;
pub mod pages;
pub mod passkeys;
pub mod people;
pub mod people_alone;
pub mod person_decisions;
pub mod push;
pub mod runs;
pub mod saved_filters;
pub mod schema;
pub mod scope_checks;
pub mod sealed;
pub mod seals;
pub mod second_factors;
pub mod second_pass;
pub mod sessions;
pub mod settings;
pub mod settled;
pub mod sign_in_failures;
pub mod standings;
pub mod statistics;
pub mod workers;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database did not answer as expected: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that can't become a domain value: somebody else wrote it, or an upgrade is missing.
    #[error("table {table}, column {column}, row {row}: {cause}")]
    Corrupt {
        table: &'static str,
        column: &'static str,
        row: String,
        cause: String,
    },
}

impl StoreError {
    /// The name of the constraint that refused a write, if one did.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }

    /// Whether the database refused what was to be written, and would refuse it again: a
    /// constraint, or a text that it can't hold.
    pub fn refuses_the_values(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| code.starts_with("22") || code.starts_with("23")),
            _ => false,
        }
    }

    fn corrupt(
        table: &'static str,
        column: &'static str,
        row: impl ToString,
        cause: impl ToString,
    ) -> Self {
        Self::Corrupt {
            table,
            column,
            row: row.to_string(),
            cause: cause.to_string(),
        }
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Reads a JSONB value into a domain type, naming the place when it does not fit.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(
    value: serde_json::Value,
    table: &'static str,
    column: &'static str,
    row: impl ToString,
) -> Result<T> {
    serde_json::from_value(value).map_err(|cause| StoreError::corrupt(table, column, row, cause))
}

/// Writes a domain type as JSONB. Domain types have no maps with odd keys, so this is total.
fn encode<T: serde::Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|cause| StoreError::corrupt("(new)", "(json)", "", cause))
}
