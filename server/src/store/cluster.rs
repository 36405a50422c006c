//! What the embedded cluster needs before there is a schema.

use sqlx::PgConnection;

/// Makes the database `rollcall` unless it is there. The caller sees to it that nobody else does.
pub async fn create_database(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    let exists = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'rollcall') AS \"exists!\""
    )
    .fetch_one(&mut *db)
    .await?;
    if !exists {
        sqlx::query!("CREATE DATABASE rollcall").execute(db).await?;
    }
    Ok(())
}
