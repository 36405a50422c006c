//! What the database knows of its tables' sizes, where they grow faster than it looks.

use super::Result;
use sqlx::PgConnection;

/// Takes new statistics of tables that grew by half since the last ones; costs next to nothing when
/// none did. Not within a transaction that goes on: it keeps others from doing the same.
pub async fn refresh(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT refresh_statistics()")
        .execute(connection)
        .await?;
    Ok(())
}

/// The same of what an import staged, before it is compared with what is there.
pub async fn refresh_staging(connection: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT refresh_staging_statistics()")
        .execute(connection)
        .await?;
    Ok(())
}
