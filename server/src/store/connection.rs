//! The one connection to a directory, and the identity that was recorded through it.

use super::{Result, push};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// How the directory is reached; the key itself is in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub endpoint: String,
    pub token_uri: String,
    pub admin_email: String,
    pub customer: String,
    pub client_email: String,
    pub client_id: String,
    pub customer_id: Option<String>,
    pub primary_domain: Option<String>,
    /// Another identity met by a later import, which waits for a confirmation.
    pub seen_customer_id: Option<String>,
    pub seen_primary_domain: Option<String>,
    /// How many people there were and were listed, when more than half of them vanished at once.
    pub shrunk_from: Option<i32>,
    pub shrunk_to: Option<i32>,
    /// So few people are right, an administrator said.
    pub confirmed_people: Option<i32>,
    pub updated_at: DateTime<Utc>,
    pub updated_by: String,
}

/// What an administrator or a configuration file says about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    pub endpoint: String,
    pub token_uri: String,
    pub admin_email: String,
    pub customer: String,
    pub client_email: String,
    pub client_id: String,
}

pub async fn read(connection: &mut PgConnection) -> Result<Option<Connection>> {
    Ok(sqlx::query_as!(
        Connection,
        "SELECT endpoint, token_uri, admin_email, customer, client_email, client_id,
                customer_id, primary_domain, seen_customer_id, seen_primary_domain,
                shrunk_from, shrunk_to, confirmed_people, updated_at, updated_by
         FROM directory_connection"
    )
    .fetch_optional(connection)
    .await?)
}

/// Saves the settings; the recorded identity stays, so that another tenant is noticed. What the
/// old settings met does not wait for a confirmation any longer.
pub async fn save(
    connection: &mut PgConnection,
    settings: &ConnectionSettings,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO directory_connection
             (endpoint, token_uri, admin_email, customer, client_email, client_id, updated_at, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (singleton) DO UPDATE SET
             endpoint = $1, token_uri = $2, admin_email = $3, customer = $4,
             client_email = $5, client_id = $6, updated_at = $7, updated_by = $8,
             seen_customer_id = NULL, seen_primary_domain = NULL, shrunk_from = NULL, shrunk_to = NULL",
        settings.endpoint,
        settings.token_uri,
        settings.admin_email,
        settings.customer,
        settings.client_email,
        settings.client_id,
        now,
        actor,
    )
    .execute(&mut *connection)
    .await?;
    push::replace_all(connection).await
}

/// Records whose directory this is, and forgets whatever waited for a confirmation.
pub async fn record_identity(
    connection: &mut PgConnection,
    customer_id: &str,
    primary_domain: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE directory_connection
         SET customer_id = $1, primary_domain = $2, seen_customer_id = NULL, seen_primary_domain = NULL,
             shrunk_from = NULL, shrunk_to = NULL, confirmed_people = NULL",
        customer_id,
        primary_domain,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Remembers that most people vanished at once, until somebody confirms it.
pub async fn record_shrinking(connection: &mut PgConnection, from: i32, to: i32) -> Result<()> {
    sqlx::query!(
        "UPDATE directory_connection SET shrunk_from = $1, shrunk_to = $2",
        from,
        to
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// So few people are right; false when another number was met meanwhile.
pub async fn confirm_shrinking(connection: &mut PgConnection, to: i32) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE directory_connection
         SET confirmed_people = shrunk_to, shrunk_from = NULL, shrunk_to = NULL
         WHERE shrunk_to = $1",
        to
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Remembers another identity than the recorded one until somebody confirms it.
pub async fn record_other_identity(
    connection: &mut PgConnection,
    customer_id: &str,
    primary_domain: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE directory_connection SET seen_customer_id = $1, seen_primary_domain = $2",
        customer_id,
        primary_domain,
    )
    .execute(connection)
    .await?;
    Ok(())
}
