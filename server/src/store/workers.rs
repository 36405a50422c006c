//! Which processes carry out runs. Like a lease, being alive is told in the database's time.

use super::Result;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A worker shows itself every five seconds.
const ALIVE_SECONDS: f64 = 30.0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub host: String,
    pub version: String,
    pub started_at: DateTime<Utc>,
}

/// Says that a worker is alive, and forgets those that have been silent for a day.
pub async fn beat(connection: &mut PgConnection, owner: &str, worker: &Worker) -> Result<()> {
    sqlx::query!(
        "INSERT INTO workers (owner, host, version, started_at, seen_at) VALUES ($1, $2, $3, $4, now())
         ON CONFLICT (owner) DO UPDATE SET seen_at = now()",
        owner,
        worker.host,
        worker.version,
        worker.started_at,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM workers WHERE seen_at < now() - interval '1 day'")
        .execute(connection)
        .await?;
    Ok(())
}

/// The worker ends in order.
pub async fn leave(connection: &mut PgConnection, owner: &str) -> Result<()> {
    sqlx::query!("DELETE FROM workers WHERE owner = $1", owner)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn alive(connection: &mut PgConnection) -> Result<Vec<Worker>> {
    Ok(sqlx::query_as!(
        Worker,
        "SELECT host, version, started_at FROM workers
         WHERE seen_at > now() - make_interval(secs => $1) ORDER BY started_at, owner",
        ALIVE_SECONDS,
    )
    .fetch_all(connection)
    .await?)
}
