//! Failed sign-ins in a row, by account and by address.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Counts one more failure of `subject` and returns how many there are in a row now; `Err` holds
/// when the next try is allowed, and nothing was counted. Failures before `forget` don't count.
///
/// The row stays locked until the transaction ends, so that parallel guesses queue up.
pub async fn count(
    db: &mut PgConnection,
    subject: &str,
    now: DateTime<Utc>,
    forget: DateTime<Utc>,
) -> Result<Result<i32, DateTime<Utc>>, sqlx::Error> {
    let counted = sqlx::query_scalar!(
        "INSERT INTO sign_in_failures AS f (subject, failures, last_failure, next_allowed)
         VALUES ($1, 1, $2, $2)
         ON CONFLICT (subject) DO UPDATE
         SET failures = CASE WHEN f.last_failure < $3 THEN 1 ELSE f.failures + 1 END,
             last_failure = $2
         WHERE f.next_allowed <= $2
         RETURNING failures",
        subject,
        now,
        forget,
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(failures) = counted {
        return Ok(Ok(failures));
    }
    let next = sqlx::query_scalar!(
        "SELECT next_allowed FROM sign_in_failures WHERE subject = $1",
        subject
    )
    .fetch_one(db)
    .await?;
    Ok(Err(next))
}

pub async fn wait_until(
    db: &mut PgConnection,
    subject: &str,
    next_allowed: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE sign_in_failures SET next_allowed = $2 WHERE subject = $1",
        subject,
        next_allowed,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The last try was none: takes back one failure and its delay.
pub async fn take_back(
    db: &mut PgConnection,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE sign_in_failures SET failures = failures - 1, next_allowed = $2 WHERE subject = $1",
        subject,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

pub async fn clear(db: &mut PgConnection, subject: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM sign_in_failures WHERE subject = $1", subject)
        .execute(db)
        .await?;
    Ok(())
}

pub async fn prune(db: &mut PgConnection, before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM sign_in_failures WHERE last_failure < $1",
        before
    )
    .execute(db)
    .await?;
    Ok(())
}
