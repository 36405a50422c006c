//! What reading an app back found, and what it reads of links.

use chrono::{DateTime, Utc};
use provisioning::identity::{AccountId, PersonId};
use provisioning::plan::LinkState;
use serde_json::Value;
use sqlx::PgConnection;

use super::apps::AppId;
use super::pages::{Page, Part};
use super::{Result, StoreError};

/// A live link with what its account was like after the last write.
#[derive(Debug, Clone)]
pub struct Linked {
    pub person: PersonId,
    pub account: AccountId,
    pub user_name: String,
    pub state: LinkState,
    pub body: Option<Value>,
    pub returned: Option<Value>,
}

struct LinkedRow {
    person_id: String,
    account_id: String,
    user_name: String,
    state: String,
    body: Option<Value>,
    returned: Option<Value>,
}

impl TryFrom<LinkedRow> for Linked {
    type Error = StoreError;

    fn try_from(row: LinkedRow) -> Result<Self> {
        let state = LinkState::parse(&row.state)
            .ok_or_else(|| StoreError::corrupt("links", "state", &row.person_id, &row.state))?;
        Ok(Self {
            person: PersonId::from(row.person_id),
            account: AccountId::from(row.account_id),
            user_name: row.user_name,
            state,
            body: row.body,
            returned: row.returned,
        })
    }
}

/// Live links in the order of people.
pub async fn linked(
    connection: &mut PgConnection,
    app: AppId,
    after: &str,
    limit: i64,
) -> Result<Vec<Linked>> {
    sqlx::query_as!(
        LinkedRow,
        "SELECT person_id, account_id, user_name, state, body, returned FROM links
         WHERE app_id = $1 AND state IN ('active', 'suspended_by_us') AND person_id > $2
         ORDER BY person_id LIMIT $3",
        app.0,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Linked::try_from)
    .collect()
}

/// The live links of these accounts.
pub async fn linked_to(
    connection: &mut PgConnection,
    app: AppId,
    accounts: &[String],
) -> Result<Vec<Linked>> {
    sqlx::query_as!(
        LinkedRow,
        "SELECT person_id, account_id, user_name, state, body, returned FROM links
         WHERE app_id = $1 AND state IN ('active', 'suspended_by_us') AND account_id = ANY($2)",
        app.0,
        accounts,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(Linked::try_from)
    .collect()
}

/// Replaces what the app is thought to hold, so that the next plan sends what differs.
pub async fn note_held(
    connection: &mut PgConnection,
    app: AppId,
    link: &Linked,
    body: &Value,
    held: &Value,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE links SET body = $4, returned = $5, updated_at = $6
         WHERE app_id = $1 AND person_id = $2 AND account_id = $3",
        app.0,
        link.person.to_string(),
        link.account.to_string(),
        body,
        held,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes a finding; true when it is new or was another one the last time.
pub async fn found(
    connection: &mut PgConnection,
    app: AppId,
    link: &Linked,
    kind: &str,
    changes: &Value,
    now: DateTime<Utc>,
) -> Result<bool> {
    let known = sqlx::query_scalar!(
        "SELECT changes FROM drifts WHERE app_id = $1 AND person_id = $2 AND kind = $3",
        app.0,
        link.person.to_string(),
        kind,
    )
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO drifts (app_id, person_id, kind, account_id, changes, first_found_at, last_found_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT (app_id, person_id, kind) DO UPDATE SET account_id = $4, changes = $5, last_found_at = $6",
        app.0,
        link.person.to_string(),
        kind,
        link.account.to_string(),
        changes,
        now,
    )
    .execute(connection)
    .await?;
    Ok(known.as_ref() != Some(changes))
}

/// Ends a reading: what was not found again is forgotten. Gives back how many differ.
pub async fn finish(connection: &mut PgConnection, app: AppId, now: DateTime<Utc>) -> Result<i64> {
    sqlx::query!(
        "DELETE FROM drifts WHERE app_id = $1 AND last_found_at <> $2",
        app.0,
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE apps SET last_drift_at = $2, drift_wanted = false WHERE id = $1",
        app.0,
        now
    )
    .execute(&mut *connection)
    .await?;
    count(connection, app).await
}

/// One finding, with whom it concerns.
#[derive(Debug, Clone)]
pub struct DriftLine {
    pub person_id: String,
    pub person_name: String,
    pub person_email: String,
    pub kind: String,
    pub account_id: String,
    pub changes: Value,
    pub first_found_at: DateTime<Utc>,
    pub last_found_at: DateTime<Utc>,
}

/// A page of the findings, in the order of names.
pub async fn page(
    connection: &mut PgConnection,
    app: AppId,
    part: Part,
) -> Result<Page<DriftLine>> {
    let total = count(&mut *connection, app).await?;
    let rows = sqlx::query_as!(
        DriftLine,
        "SELECT d.person_id, COALESCE(NULLIF(p.full_name, ''), l.user_name, d.account_id) AS \"person_name!\",
                COALESCE(p.primary_email, l.user_name, '') AS \"person_email!\", d.kind, d.account_id,
                d.changes, d.first_found_at, d.last_found_at
         FROM drifts d
         LEFT JOIN people p ON p.id = d.person_id
         LEFT JOIN links l ON l.app_id = d.app_id AND l.person_id = d.person_id
         WHERE d.app_id = $1
         ORDER BY lower(COALESCE(NULLIF(p.full_name, ''), l.user_name, d.account_id)), d.person_id, d.kind
         LIMIT $2 OFFSET $3",
        app.0,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok(Page { rows, total })
}

/// Forgets what was found about somebody whose link ended.
pub async fn forget(connection: &mut PgConnection, app: AppId, person: &PersonId) -> Result<()> {
    sqlx::query!(
        "DELETE FROM drifts WHERE app_id = $1 AND person_id = $2",
        app.0,
        person.to_string(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many findings the last reading left.
pub async fn count(connection: &mut PgConnection, app: AppId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM drifts WHERE app_id = $1",
        app.0
    )
    .fetch_one(connection)
    .await?)
}

/// The same of each app, by its slug.
pub async fn counts(connection: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        "SELECT a.slug, count(d.person_id) AS \"count!\" FROM apps a
         LEFT JOIN drifts d ON d.app_id = a.id GROUP BY a.slug ORDER BY a.slug"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slug, row.count)).collect())
}

/// Asks for the app to be read back at its next run.
pub async fn ask(connection: &mut PgConnection, app: AppId) -> Result<()> {
    sqlx::query!("UPDATE apps SET drift_wanted = true WHERE id = $1", app.0)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn is_wanted(connection: &mut PgConnection, app: AppId) -> Result<bool> {
    Ok(
        sqlx::query_scalar!("SELECT drift_wanted FROM apps WHERE id = $1", app.0)
            .fetch_optional(connection)
            .await?
            .unwrap_or(false),
    )
}
