//! What administrators decided about people who have no account in an app (S4.4, S8.7, S9.6).

use std::collections::BTreeMap;

use super::apps::AppId;
use super::{Result, StoreError};
use chrono::{DateTime, Utc};
use provisioning::identity::{AccountId, PersonId};
use sqlx::PgConnection;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonDecision {
    /// Link this account to the person.
    Link(AccountId),
    /// The person gets no account until this is taken back.
    Leave,
    /// The create is allowed, whatever the ceiling.
    Create,
}

impl PersonDecision {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Leave => "leave",
            Self::Create => "create",
        }
    }
}

pub async fn of_people(
    connection: &mut PgConnection,
    app: AppId,
    people: &[String],
) -> Result<BTreeMap<PersonId, PersonDecision>> {
    let rows = sqlx::query!(
        "SELECT person_id, decision, account_id FROM person_decisions
         WHERE app_id = $1 AND person_id = ANY($2)",
        app.0,
        people
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let decision = parse(&row.decision, row.account_id, &row.person_id)?;
            Ok((PersonId::from(row.person_id), decision))
        })
        .collect()
}

fn parse(word: &str, account: Option<String>, person: &str) -> Result<PersonDecision> {
    match (word, account) {
        ("link", Some(account)) => Ok(PersonDecision::Link(AccountId::from(account))),
        ("leave", _) => Ok(PersonDecision::Leave),
        ("create", _) => Ok(PersonDecision::Create),
        (other, _) => Err(StoreError::corrupt(
            "person_decisions",
            "decision",
            person,
            other,
        )),
    }
}

pub async fn put(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
    decision: &PersonDecision,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<()> {
    let account = match decision {
        PersonDecision::Link(account) => Some(account.to_string()),
        PersonDecision::Leave | PersonDecision::Create => None,
    };
    sqlx::query!(
        "INSERT INTO person_decisions (app_id, person_id, decision, account_id, decided_at, actor)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (app_id, person_id) DO UPDATE SET
             decision = $3, account_id = $4, decided_at = $5, actor = $6",
        app.0,
        person.to_string(),
        decision.word(),
        account,
        now,
        actor,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a decision back; false when there was none.
pub async fn take_back(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
) -> Result<bool> {
    let result = sqlx::query!(
        "DELETE FROM person_decisions WHERE app_id = $1 AND person_id = $2",
        app.0,
        person.to_string()
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Forgets creates that were allowed and are done, so that another one is weighed again.
pub async fn drop_done_creates(connection: &mut PgConnection, app: AppId) -> Result<()> {
    sqlx::query!(
        "DELETE FROM person_decisions d USING links l
         WHERE d.app_id = $1 AND d.decision = 'create' AND l.app_id = d.app_id AND l.person_id = d.person_id",
        app.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Somebody about whom there is something to decide, or was decided.
#[derive(Debug, Clone)]
pub struct Undecided {
    pub person_id: PersonId,
    pub person_email: String,
    pub person_name: String,
    /// Why the newest run did nothing about them, when that was their match.
    pub detail: Option<String>,
    /// The account that is gone from the app.
    pub gone_account: Option<String>,
    /// What the app had for their user name, as last asked.
    pub accounts: Vec<provisioning::identity::Account>,
    pub decision: Option<PersonDecision>,
}

/// People whose account is gone, whose match waits, or about whom somebody decided; only one of
/// them, if asked.
pub async fn undecided(
    connection: &mut PgConnection,
    app: AppId,
    person: Option<&PersonId>,
) -> Result<Vec<Undecided>> {
    let rows = sqlx::query!(
        "WITH newest AS (
             SELECT id FROM runs WHERE app_id = $1 AND state IN ('completed', 'held') AND only_people = '{}'
             ORDER BY number DESC LIMIT 1
         ), looked_at AS (
             SELECT person_id FROM links WHERE app_id = $1 AND state = 'gone'
             UNION
             SELECT person_id FROM skipped WHERE run_id = (SELECT id FROM newest) AND rule = 'match'
             UNION
             SELECT person_id FROM person_decisions WHERE app_id = $1 AND decision IN ('link', 'leave')
         )
         SELECT p.id AS person_id, p.primary_email, p.full_name, s.detail AS \"detail?\",
                CASE WHEN l.state = 'gone' THEN l.account_id END AS gone_account,
                f.accounts AS \"accounts?\", d.decision AS \"decision?\", d.account_id AS \"decided_account?\"
         FROM looked_at c JOIN people p ON p.id = c.person_id
         LEFT JOIN links l ON l.app_id = $1 AND l.person_id = p.id AND l.state <> 'deleted'
         LEFT JOIN skipped s ON s.run_id = (SELECT id FROM newest) AND s.person_id = p.id AND s.rule = 'match'
         LEFT JOIN found_accounts f ON f.app_id = $1 AND f.person_id = p.id
         LEFT JOIN person_decisions d ON d.app_id = $1 AND d.person_id = p.id
         WHERE ($2::text IS NULL OR p.id = $2)
           AND (l.state = 'gone' OR (l.person_id IS NULL AND (s.person_id IS NOT NULL OR d.decision IN ('link', 'leave'))))
         ORDER BY lower(p.full_name), p.id",
        app.0,
        person.map(ToString::to_string),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let decision = row
                .decision
                .map(|word| parse(&word, row.decided_account, &row.person_id))
                .transpose()?;
            let accounts = match row.accounts {
                Some(accounts) => {
                    super::decode(accounts, "found_accounts", "accounts", &row.person_id)?
                }
                None => Vec::new(),
            };
            Ok(Undecided {
                person_id: PersonId::from(row.person_id),
                person_email: row.primary_email,
                person_name: row.full_name,
                detail: row.detail,
                gone_account: row.gone_account,
                accounts,
                decision,
            })
        })
        .collect()
}

/// How many people wait for somebody's decision about their account.
pub async fn count_undecided(connection: &mut PgConnection, app: AppId) -> Result<usize> {
    let all = undecided(connection, app, None).await?;
    Ok((all.iter()).filter(|one| one.decision.is_none()).count())
}

/// People whose create the app's newest run for everybody held, and which nobody allowed since.
pub async fn held_creates(
    connection: &mut PgConnection,
    app: AppId,
    but: Option<super::runs::RunId>,
) -> Result<Vec<(PersonId, String)>> {
    let rows = sqlx::query!(
        "SELECT o.person_id, o.person_email FROM operations o
         WHERE o.state = 'held' AND o.kind = 'create'
           AND o.run_id = (SELECT r.id FROM runs r
                           WHERE r.app_id = $1 AND r.id IS DISTINCT FROM $2 AND r.kind <> 'preview' AND r.only_people = '{}'
                             AND r.state IN ('completed', 'held')
                           ORDER BY r.number DESC LIMIT 1)
           AND NOT EXISTS (SELECT 1 FROM person_decisions d
                           WHERE d.app_id = $1 AND d.person_id = o.person_id AND d.decision = 'create')
         ORDER BY o.person_id",
        app.0,
        but.map(|run| run.0),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (PersonId::from(row.person_id), row.person_email))
        .collect())
}
