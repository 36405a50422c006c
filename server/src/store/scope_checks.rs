//! The last test of each scope of the directory connection.

use super::{Result, StoreError};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    Granted,
    Missing,
    /// Something else was in the way: the key, the network, the administrator.
    Failed,
}

impl CheckResult {
    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }

    fn parse(word: &str, row: &str) -> Result<Self> {
        Ok(match word {
            "granted" => Self::Granted,
            "missing" => Self::Missing,
            "failed" => Self::Failed,
            other => return Err(StoreError::corrupt("scope_checks", "result", row, other)),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheck {
    /// The scope's URL.
    pub scope: String,
    pub result: CheckResult,
    pub sentence: String,
    pub checked_at: DateTime<Utc>,
}

/// Puts a test's results in place of those of the test before.
pub async fn replace(connection: &mut PgConnection, checks: &[StoredCheck]) -> Result<()> {
    forget(&mut *connection).await?;
    for check in checks {
        sqlx::query!(
            "INSERT INTO scope_checks (scope, result, sentence, checked_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (scope) DO UPDATE SET result = $2, sentence = $3, checked_at = $4",
            check.scope,
            check.result.word(),
            check.sentence,
            check.checked_at,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What was tested belongs to another key or administrator.
pub async fn forget(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("DELETE FROM scope_checks")
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn read(connection: &mut PgConnection) -> Result<Vec<StoredCheck>> {
    sqlx::query!("SELECT scope, result, sentence, checked_at FROM scope_checks")
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(|row| {
            Ok(StoredCheck {
                result: CheckResult::parse(&row.result, &row.scope)?,
                scope: row.scope,
                sentence: row.sentence,
                checked_at: row.checked_at,
            })
        })
        .collect()
}
