//! Who is linked to which account, and the app's accounts as last listed.

use super::apps::AppId;
use super::runs::RunId;
use super::{Result, StoreError, decode, encode};
use chrono::{DateTime, Utc};
use provisioning::identity::{Account, AccountId, Person, PersonId, Standing};
use provisioning::lifecycle::Lifecycle;
use provisioning::plan::{Link, LinkState};
use serde_json::Value;
use sqlx::PgConnection;

fn parse_state(word: &str, row: &str) -> Result<LinkState> {
    LinkState::parse(word).ok_or_else(|| StoreError::corrupt("links", "state", row, word))
}

/// The links of these people.
pub async fn of_people(
    connection: &mut PgConnection,
    app: AppId,
    people: &[String],
) -> Result<Vec<(PersonId, Link)>> {
    let rows = sqlx::query!(
        "SELECT person_id, account_id, state, body FROM links
         WHERE app_id = $1 AND person_id = ANY($2)",
        app.0,
        people,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                PersonId::from(row.person_id.clone()),
                Link {
                    account_id: AccountId::from(row.account_id),
                    state: parse_state(&row.state, &row.person_id)?,
                    last_body: row.body,
                },
            ))
        })
        .collect()
}

pub async fn get(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
) -> Result<Option<Link>> {
    Ok(of_people(connection, app, &[person.to_string()])
        .await?
        .pop()
        .map(|(_, link)| link))
}

/// The user name that a linked account had when it was last written.
pub async fn user_name(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT user_name FROM links WHERE app_id = $1 AND person_id = $2",
        app.0,
        person.to_string()
    )
    .fetch_optional(connection)
    .await?)
}

/// What is written about a link once the app acknowledged something.
#[derive(Debug)]
pub struct LinkWrite<'a> {
    pub person: &'a PersonId,
    pub account_id: &'a AccountId,
    /// Stays as it was when it is not given; a new link has one.
    pub user_name: Option<&'a str>,
    pub state: LinkState,
    pub created_by_us: bool,
    pub body: Option<&'a Value>,
    pub returned: Option<&'a Value>,
}

/// Writes links, one for each person. A body that is not given stays as it was.
pub async fn save(
    connection: &mut PgConnection,
    app: AppId,
    links: &[LinkWrite<'_>],
    now: DateTime<Utc>,
) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let people: Vec<&str> = links.iter().map(|link| link.person.as_str()).collect();
    let accounts: Vec<&str> = links.iter().map(|link| link.account_id.as_str()).collect();
    let names: Vec<Option<&str>> = links.iter().map(|link| link.user_name).collect();
    let states: Vec<&str> = links.iter().map(|link| link.state.as_str()).collect();
    let origins: Vec<&str> = links
        .iter()
        .map(|link| {
            if link.created_by_us {
                "created"
            } else {
                "linked"
            }
        })
        .collect();
    let bodies: Vec<Option<&Value>> = links.iter().map(|link| link.body).collect();
    let returned: Vec<Option<&Value>> = links.iter().map(|link| link.returned).collect();
    sqlx::query!(
        "INSERT INTO links AS l (app_id, person_id, account_id, user_name, state, origin, body, returned, created_at, updated_at)
         SELECT $1, w.person_id, w.account_id, COALESCE(w.user_name, ''), w.state, w.origin, w.body, w.returned, $9, $9
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[])
              AS w (person_id, account_id, user_name, state, origin, body, returned)
         ON CONFLICT (app_id, person_id) DO UPDATE SET
             account_id = excluded.account_id, state = excluded.state,
             user_name = COALESCE(NULLIF(excluded.user_name, ''), l.user_name),
             origin = CASE WHEN l.account_id = excluded.account_id THEN l.origin ELSE excluded.origin END,
             body = COALESCE(excluded.body, l.body), returned = COALESCE(excluded.returned, l.returned),
             updated_at = excluded.updated_at",
        app.0,
        &people as &[&str],
        &accounts as &[&str],
        &names as &[Option<&str>],
        &states as &[&str],
        &origins as &[&str],
        &bodies as &[Option<&Value>],
        &returned as &[Option<&Value>],
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn set_state(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
    state: LinkState,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE links SET state = $3, updated_at = $4 WHERE app_id = $1 AND person_id = $2",
        app.0,
        person.to_string(),
        state.as_str(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn remove(connection: &mut PgConnection, app: AppId, person: &PersonId) -> Result<()> {
    sqlx::query!(
        "DELETE FROM links WHERE app_id = $1 AND person_id = $2",
        app.0,
        person.to_string()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whose account this is, if anybody's. Links that ended with a deletion hold nothing.
pub async fn owner(
    connection: &mut PgConnection,
    app: AppId,
    account: &AccountId,
) -> Result<Option<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT person_id FROM links WHERE app_id = $1 AND account_id = $2 AND state <> 'deleted'",
        app.0,
        account.to_string(),
    )
    .fetch_optional(connection)
    .await?
    .map(PersonId::from))
}

/// Whose account has this user name, as far as Rollcall wrote it.
pub async fn holder_of_name(
    connection: &mut PgConnection,
    app: AppId,
    user_name: &str,
) -> Result<Option<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT person_id FROM links
         WHERE app_id = $1 AND lower(user_name) = lower($2) AND state <> 'deleted' ORDER BY person_id LIMIT 1",
        app.0,
        user_name,
    )
    .fetch_optional(connection)
    .await?
    .map(PersonId::from))
}

/// Who holds the links of many accounts at once.
pub async fn owners(
    connection: &mut PgConnection,
    app: AppId,
    accounts: &[String],
) -> Result<Vec<(AccountId, PersonId)>> {
    Ok(sqlx::query!(
        "SELECT account_id, person_id FROM links
         WHERE app_id = $1 AND account_id = ANY($2) AND state <> 'deleted'",
        app.0,
        accounts,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| {
        (
            AccountId::from(row.account_id),
            PersonId::from(row.person_id),
        )
    })
    .collect())
}

/// Which of these people have an account that can be changed.
pub async fn live_among(
    connection: &mut PgConnection,
    app: AppId,
    people: &[String],
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT person_id FROM links
         WHERE app_id = $1 AND person_id = ANY($2) AND state IN ('active', 'suspended_by_us')
         ORDER BY person_id",
        app.0,
        people,
    )
    .fetch_all(connection)
    .await?)
}

/// How many accounts are linked and neither deleted nor gone.
pub async fn count(connection: &mut PgConnection, app: AppId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM links WHERE app_id = $1 AND state IN ('active', 'suspended_by_us')",
        app.0
    )
    .fetch_one(connection)
    .await?)
}

/// One line of the accounts list.
#[derive(Debug, Clone)]
pub struct AccountLine {
    pub person_id: String,
    pub person_email: String,
    pub person_name: String,
    pub account_id: String,
    pub user_name: String,
    pub state: String,
    pub origin: String,
    pub updated_at: DateTime<Utc>,
}

pub async fn search(
    connection: &mut PgConnection,
    app: AppId,
    text: &str,
    state: Option<&str>,
    after: Option<(&str, &str)>,
    limit: i64,
) -> Result<Vec<AccountLine>> {
    let pattern = super::people::like_pattern(text);
    let (after_name, after_id) = after.unwrap_or_default();
    Ok(sqlx::query_as!(
        AccountLine,
        "SELECT l.person_id, COALESCE(p.primary_email, l.user_name) AS \"person_email!\",
                COALESCE(p.full_name, l.user_name) AS \"person_name!\",
                l.account_id, l.user_name, l.state, l.origin, l.updated_at
         FROM links l LEFT JOIN people p ON p.id = l.person_id
         WHERE l.app_id = $1
           AND ($2 = '%%' OR p.full_name ILIKE $2 OR p.primary_email ILIKE $2 OR l.user_name ILIKE $2)
           AND ($3::text IS NULL OR l.state = $3)
           AND (lower(COALESCE(p.full_name, l.user_name)), l.person_id) > ($4, $5)
         ORDER BY lower(COALESCE(p.full_name, l.user_name)), l.person_id LIMIT $6",
        app.0,
        pattern,
        state,
        after_name,
        after_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Somebody with a live account, with as much of them as tells whether a cause holds.
#[derive(Debug, Clone)]
pub struct LinkedPerson {
    pub person: Person,
    pub link: LinkState,
    pub lifecycle: Lifecycle,
}

struct LinkedRow {
    person_id: String,
    state: String,
    primary_email: String,
    standing: String,
    is_guest: bool,
    org_unit_path: String,
    lifecycle: Option<Value>,
}

impl TryFrom<LinkedRow> for LinkedPerson {
    type Error = StoreError;

    fn try_from(row: LinkedRow) -> Result<Self> {
        let standing = Standing::parse(&row.standing).ok_or_else(|| {
            StoreError::corrupt("people", "standing", &row.person_id, &row.standing)
        })?;
        Ok(Self {
            link: parse_state(&row.state, &row.person_id)?,
            lifecycle: match row.lifecycle {
                Some(lifecycle) => decode(lifecycle, "lifecycles", "lifecycle", &row.person_id)?,
                None => Lifecycle::default(),
            },
            person: Person {
                id: PersonId::from(row.person_id),
                primary_email: row.primary_email,
                aliases: Vec::new(),
                name: Default::default(),
                standing,
                org_unit_path: row.org_unit_path,
                is_guest: row.is_guest,
                attributes: Value::Null,
            },
        })
    }
}

/// The next of them in the order of their ids. Each table is told where they begin: Postgres does not
/// conclude it, and reads the joined ones from their first row on, for each page again.
pub async fn linked_people(
    connection: &mut PgConnection,
    app: AppId,
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<LinkedPerson>> {
    let after = after.map(ToString::to_string).unwrap_or_default();
    sqlx::query_as!(
        LinkedRow,
        "SELECT l.person_id, l.state, p.primary_email, p.standing, p.is_guest, p.org_unit_path,
                q.lifecycle AS \"lifecycle?\"
         FROM links l
         JOIN people p ON p.id = l.person_id
         LEFT JOIN lifecycles q
             ON q.app_id = l.app_id AND q.person_id = l.person_id AND q.person_id > $2
         WHERE l.app_id = $1 AND l.state IN ('active', 'suspended_by_us') AND l.person_id > $2 AND p.id > $2
         ORDER BY l.person_id LIMIT $3",
        app.0,
        after,
        limit
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(LinkedPerson::try_from)
    .collect()
}

/// Those of these people who have a live account.
pub async fn linked_among(
    connection: &mut PgConnection,
    app: AppId,
    people: &[String],
) -> Result<Vec<LinkedPerson>> {
    sqlx::query_as!(
        LinkedRow,
        "SELECT l.person_id, l.state, p.primary_email, p.standing, p.is_guest, p.org_unit_path,
                q.lifecycle AS \"lifecycle?\"
         FROM links l
         JOIN people p ON p.id = l.person_id
         LEFT JOIN lifecycles q ON q.app_id = l.app_id AND q.person_id = l.person_id
         WHERE l.app_id = $1 AND l.state IN ('active', 'suspended_by_us') AND l.person_id = ANY($2)
         ORDER BY l.person_id",
        app.0,
        people
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(LinkedPerson::try_from)
    .collect()
}

/// Accounts that were found for somebody, when they still have that user name.
pub async fn found(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
    user_name: &str,
    since: DateTime<Utc>,
) -> Result<Option<Vec<Account>>> {
    let accounts = sqlx::query_scalar!(
        "SELECT accounts FROM found_accounts
         WHERE app_id = $1 AND person_id = $2 AND user_name_key = $3 AND found_at > $4",
        app.0,
        person.to_string(),
        user_name.to_lowercase(),
        since,
    )
    .fetch_optional(connection)
    .await?;
    accounts
        .map(|accounts| decode(accounts, "found_accounts", "accounts", person))
        .transpose()
}

pub async fn remember_found(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
    user_name: &str,
    accounts: &[Account],
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO found_accounts (app_id, person_id, user_name_key, accounts, found_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (app_id, person_id) DO UPDATE SET user_name_key = $3, accounts = $4, found_at = $5",
        app.0,
        person.to_string(),
        user_name.to_lowercase(),
        encode(&accounts)?,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Begins a run's own listing. Of earlier ones only that of the newest preview is kept, which
/// somebody may be looking at.
pub async fn clear_accounts(connection: &mut PgConnection, app: AppId, run: RunId) -> Result<()> {
    let outlived = sqlx::query_scalar!(
        "SELECT r.id FROM runs r
         WHERE r.app_id = $1 AND (r.id = $2 OR r.state NOT IN ('queued', 'running'))
           AND r.id IS DISTINCT FROM (SELECT p.id FROM runs p WHERE p.app_id = $1 AND p.kind = 'preview' AND p.id <> $2
                                      ORDER BY p.number DESC LIMIT 1)
           AND (EXISTS (SELECT 1 FROM app_accounts a WHERE a.app_id = $1 AND a.run_id = r.id)
                OR EXISTS (SELECT 1 FROM app_account_listings l WHERE l.app_id = $1 AND l.run_id = r.id))",
        app.0,
        run.0
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM app_account_listings WHERE app_id = $1 AND run_id = ANY($2)",
        app.0,
        &outlived
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM app_accounts WHERE app_id = $1 AND run_id = ANY($2)",
        app.0,
        &outlived
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn add_accounts(
    connection: &mut PgConnection,
    app: AppId,
    run: RunId,
    accounts: &[Account],
) -> Result<()> {
    let ids: Vec<_> = accounts
        .iter()
        .map(|account| account.id.to_string())
        .collect();
    let keys: Vec<_> = accounts
        .iter()
        .map(|account| account.user_name.to_lowercase())
        .collect();
    let bodies = accounts.iter().map(encode).collect::<Result<Vec<_>>>()?;
    sqlx::query!(
        "INSERT INTO app_accounts (app_id, run_id, account_id, user_name_key, account)
         SELECT $1, $5, id, key, account FROM UNNEST($2::text[], $3::text[], $4::jsonb[]) AS page (id, key, account)
         ON CONFLICT (app_id, run_id, account_id) DO UPDATE SET user_name_key = excluded.user_name_key, account = excluded.account",
        app.0,
        &ids,
        &keys,
        &bodies,
        run.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn finish_listing(
    connection: &mut PgConnection,
    app: AppId,
    why_not: Option<&str>,
    now: DateTime<Utc>,
    run: RunId,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO app_account_listings (app_id, trusted, why_not, listed_at, run_id)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (app_id, run_id) DO UPDATE SET trusted = $2, why_not = $3, listed_at = $4",
        app.0,
        why_not.is_none(),
        why_not,
        now,
        run.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Accounts listed by a run that have one of these user names, without case.
pub async fn listed(
    connection: &mut PgConnection,
    app: AppId,
    run: RunId,
    user_names: &[String],
) -> Result<Vec<Account>> {
    let rows = sqlx::query!(
        "SELECT account_id, account FROM app_accounts
         WHERE app_id = $1 AND run_id = $2 AND user_name_key = ANY($3)",
        app.0,
        run.0,
        user_names,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| decode(row.account, "app_accounts", "account", &row.account_id))
        .collect()
}

/// Accounts listed for a plan that neither have a link nor get one from it; `None` when the app's
/// accounts were not listed for it.
pub async fn only_in_app(
    connection: &mut PgConnection,
    app: AppId,
    plan: RunId,
) -> Result<Option<i64>> {
    let listed = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT 1 FROM app_account_listings WHERE app_id = $1 AND run_id = $2) AS \"listed!\"",
        app.0,
        plan.0
    )
    .fetch_one(&mut *connection)
    .await?;
    if !listed {
        return Ok(None);
    }
    let count = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM app_accounts a
         WHERE a.app_id = $1 AND a.run_id = $2
           AND NOT EXISTS (SELECT 1 FROM links l
                           WHERE l.app_id = $1 AND l.account_id = a.account_id AND l.state <> 'deleted')
           AND NOT EXISTS (SELECT 1 FROM operations o
                           WHERE o.run_id = $2 AND o.account_id = a.account_id)",
        app.0,
        plan.0,
    )
    .fetch_one(connection)
    .await?;
    Ok(Some(count))
}

/// How many accounts are active and how many are suspended.
pub async fn by_state(connection: &mut PgConnection, app: AppId) -> Result<(i64, i64)> {
    let row = sqlx::query!(
        "SELECT count(*) FILTER (WHERE state = 'active') AS \"active!\",
                count(*) FILTER (WHERE state = 'suspended_by_us') AS \"suspended!\"
         FROM links WHERE app_id = $1",
        app.0
    )
    .fetch_one(connection)
    .await?;
    Ok((row.active, row.suspended))
}
