//! Accounts of an app, and the steps that wait for them.

use super::super::Result;
use super::super::apps::AppId;
use super::super::people::like_pattern;
use super::{Page, Part};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

#[derive(Debug, Clone)]
pub struct AccountLine {
    pub person_id: String,
    pub person_name: String,
    pub person_email: String,
    pub account_id: String,
    pub user_name: String,
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub next_step: Option<String>,
    pub next_due_at: Option<DateTime<Utc>>,
}

/// Accounts that were deleted are history, not accounts: they are in the log only.
pub async fn page(
    connection: &mut PgConnection,
    app: AppId,
    text: &str,
    state: Option<&str>,
    part: Part,
) -> Result<Page<AccountLine>> {
    if text.trim().is_empty() {
        return page_of_all(connection, app, state, part).await;
    }
    let pattern = like_pattern(text);
    let exact = text.trim();
    let total = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM links l LEFT JOIN people p ON p.id = l.person_id
         WHERE l.app_id = $1 AND l.state <> 'deleted'
           AND (p.full_name ILIKE $2 OR p.primary_email ILIKE $2 OR l.user_name ILIKE $2
                OR l.account_id = $3 OR l.person_id = $3)
           AND ($4::text IS NULL OR l.state = $4)",
        app.0,
        pattern,
        exact,
        state,
    )
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query_as!(
        AccountLine,
        "SELECT l.person_id, COALESCE(p.full_name, l.user_name) AS \"person_name!\",
                COALESCE(p.primary_email, l.user_name) AS \"person_email!\",
                l.account_id, l.user_name, l.state, l.created_at, l.updated_at,
                q.next_step AS \"next_step?\", q.next_due_at AS \"next_due_at?\"
         FROM links l
         LEFT JOIN people p ON p.id = l.person_id
         LEFT JOIN lifecycles q ON q.app_id = l.app_id AND q.person_id = l.person_id
         WHERE l.app_id = $1 AND l.state <> 'deleted'
           AND (p.full_name ILIKE $2 OR p.primary_email ILIKE $2 OR l.user_name ILIKE $2
                OR l.account_id = $3 OR l.person_id = $3)
           AND ($4::text IS NULL OR l.state = $4)
         ORDER BY lower(COALESCE(p.full_name, l.user_name)), l.person_id LIMIT $5 OFFSET $6",
        app.0,
        pattern,
        exact,
        state,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok(Page { rows, total })
}

/// Of accounts that no words narrow down: by the order that people have in their index.
async fn page_of_all(
    connection: &mut PgConnection,
    app: AppId,
    state: Option<&str>,
    part: Part,
) -> Result<Page<AccountLine>> {
    let total = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM links
         WHERE app_id = $1 AND state <> 'deleted' AND ($2::text IS NULL OR state = $2)",
        app.0,
        state,
    )
    .fetch_one(&mut *connection)
    .await?;
    // A link's person is never taken out of `people`.
    let rows = sqlx::query_as!(
        AccountLine,
        "SELECT l.person_id, p.full_name AS person_name, p.primary_email AS person_email,
                l.account_id, l.user_name, l.state, l.created_at, l.updated_at,
                q.next_step AS \"next_step?\", q.next_due_at AS \"next_due_at?\"
         FROM people p
         JOIN links l ON l.app_id = $1 AND l.person_id = p.id
         LEFT JOIN lifecycles q ON q.app_id = l.app_id AND q.person_id = l.person_id
         WHERE l.state <> 'deleted' AND ($2::text IS NULL OR l.state = $2)
         ORDER BY lower(p.full_name), p.id LIMIT $3 OFFSET $4",
        app.0,
        state,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok(Page { rows, total })
}

/// How many accounts are in each state, deleted ones apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountCounts {
    pub active: i64,
    pub suspended: i64,
    pub gone: i64,
}

pub async fn counts(connection: &mut PgConnection, app: AppId) -> Result<AccountCounts> {
    Ok(sqlx::query_as!(
        AccountCounts,
        "SELECT count(*) FILTER (WHERE state = 'active') AS \"active!\",
                count(*) FILTER (WHERE state = 'suspended_by_us') AS \"suspended!\",
                count(*) FILTER (WHERE state = 'gone') AS \"gone!\"
         FROM links WHERE app_id = $1",
        app.0,
    )
    .fetch_one(connection)
    .await?)
}

/// One person's account in one app, for the person's page.
#[derive(Debug, Clone)]
pub struct PersonAccount {
    pub account_id: String,
    pub user_name: String,
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

pub async fn of_person(
    connection: &mut PgConnection,
    app: AppId,
    person: &str,
) -> Result<Option<PersonAccount>> {
    Ok(sqlx::query_as!(
        PersonAccount,
        "SELECT account_id, user_name, state, created_at, updated_at FROM links WHERE app_id = $1 AND person_id = $2",
        app.0,
        person,
    )
    .fetch_optional(connection)
    .await?)
}

/// The next step of one person in one app.
#[derive(Debug, Clone)]
pub struct NextLine {
    pub step: String,
    pub trigger: String,
    pub due_at: DateTime<Utc>,
    pub held: bool,
}

pub async fn next_of_person(
    connection: &mut PgConnection,
    app: AppId,
    person: &str,
) -> Result<Option<NextLine>> {
    Ok(sqlx::query_as!(
        NextLine,
        "SELECT next_step AS \"step!\", next_trigger AS \"trigger!\", next_due_at AS \"due_at!\", next_held AS held
         FROM lifecycles WHERE app_id = $1 AND person_id = $2
           AND next_due_at IS NOT NULL AND next_step IS NOT NULL AND next_trigger IS NOT NULL",
        app.0,
        person,
    )
    .fetch_optional(connection)
    .await?)
}
