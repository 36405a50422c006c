//! What did not work for a person, kept between runs until it works or is ignored (S8.6).

use super::Result;
use super::apps::AppId;
use super::pages::{Page, Part};
use super::people::like_pattern;
use super::runs::RunId;
use chrono::{DateTime, Utc};
use provisioning::identity::PersonId;
use provisioning::lifecycle::Trigger;
use sqlx::PgConnection;

#[derive(Debug, Clone)]
pub struct Failure {
    pub person_id: String,
    pub kind: String,
    pub code: String,
    pub message: String,
    pub permanent: bool,
    pub attempts: i32,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub next_try_at: Option<DateTime<Utc>>,
    pub body_hash: Option<Vec<u8>>,
    /// Of a removal: the trigger, and since when it holds.
    pub cause: Option<String>,
    pub cause_since: Option<DateTime<Utc>>,
    pub ignored: bool,
}

pub async fn of_people(
    connection: &mut PgConnection,
    app: AppId,
    people: &[String],
) -> Result<Vec<Failure>> {
    Ok(sqlx::query_as!(
        Failure,
        "SELECT person_id, kind, code, message, permanent, attempts, first_at, last_at, next_try_at, body_hash,
                cause, cause_since, ignored
         FROM failures WHERE app_id = $1 AND person_id = ANY($2)",
        app.0,
        people,
    )
    .fetch_all(connection)
    .await?)
}

/// People who failed in a run before there was an operation for them: the app did not say whether
/// they have an account.
pub async fn without_operation(
    connection: &mut PgConnection,
    app: AppId,
    run: RunId,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM failures f
         WHERE f.app_id = $1 AND f.run_id = $2
           AND NOT EXISTS (SELECT FROM operations o
                           WHERE o.run_id = $2 AND o.person_id = f.person_id AND o.state = 'failed')",
        app.0,
        run.0,
    )
    .fetch_one(connection)
    .await?)
}

/// One line of the failures list.
#[derive(Debug, Clone)]
pub struct FailureLine {
    pub person_id: String,
    pub person_email: String,
    pub person_name: String,
    pub kind: String,
    pub code: String,
    pub message: String,
    pub permanent: bool,
    pub attempts: i32,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub next_try_at: Option<DateTime<Utc>>,
    pub ignored: bool,
    /// Number of the run in which it failed last.
    pub run: Option<i64>,
}

/// What becomes of a failure by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    TriedAgain,
    ForGood,
    Ignored,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::TriedAgain => "tried-again",
            Self::ForGood => "for-good",
            Self::Ignored => "ignored",
        }
    }
}

impl FailureLine {
    pub fn fate(&self) -> Fate {
        match (self.ignored, self.permanent) {
            (true, _) => Fate::Ignored,
            (false, true) => Fate::ForGood,
            (false, false) => Fate::TriedAgain,
        }
    }
}

/// Which failures are meant; without a fate, all that are not ignored.
#[derive(Debug, Clone, Default)]
pub struct FailureFilter {
    pub text: String,
    pub fate: Option<Fate>,
    pub kind: Option<&'static str>,
}

/// One part of an app's failures: ignored ones last, then the newest first.
pub async fn page(
    connection: &mut PgConnection,
    app: AppId,
    filter: &FailureFilter,
    part: Part,
) -> Result<Page<FailureLine>> {
    let pattern = like_pattern(&filter.text);
    let fate = filter.fate.map(Fate::word);
    let total = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\"
         FROM failures f LEFT JOIN people p ON p.id = f.person_id
         WHERE f.app_id = $1
           AND ($2 = '%%' OR p.full_name ILIKE $2 OR p.primary_email ILIKE $2 OR f.message ILIKE $2)
           AND CASE COALESCE($3::text, '') WHEN '' THEN NOT f.ignored WHEN 'ignored' THEN f.ignored
                    WHEN 'for-good' THEN f.permanent AND NOT f.ignored ELSE NOT f.permanent AND NOT f.ignored END
           AND ($4::text IS NULL OR f.kind = $4)",
        app.0,
        pattern,
        fate,
        filter.kind,
    )
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query_as!(
        FailureLine,
        "SELECT f.person_id, COALESCE(p.primary_email, '') AS \"person_email!\",
                COALESCE(p.full_name, f.person_id) AS \"person_name!\",
                f.kind, f.code, f.message, f.permanent, f.attempts, f.first_at, f.last_at, f.next_try_at, f.ignored,
                r.number AS \"run?\"
         FROM failures f LEFT JOIN people p ON p.id = f.person_id LEFT JOIN runs r ON r.id = f.run_id
         WHERE f.app_id = $1
           AND ($2 = '%%' OR p.full_name ILIKE $2 OR p.primary_email ILIKE $2 OR f.message ILIKE $2)
           AND CASE COALESCE($3::text, '') WHEN '' THEN NOT f.ignored WHEN 'ignored' THEN f.ignored
                    WHEN 'for-good' THEN f.permanent AND NOT f.ignored ELSE NOT f.permanent AND NOT f.ignored END
           AND ($4::text IS NULL OR f.kind = $4)
         ORDER BY f.ignored, f.last_at DESC, f.person_id LIMIT $5 OFFSET $6",
        app.0,
        pattern,
        fate,
        filter.kind,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok(Page { rows, total })
}

/// Every failure of an app, ignored ones among them.
pub async fn all(connection: &mut PgConnection, app: AppId) -> Result<Vec<FailureLine>> {
    Ok(sqlx::query_as!(
        FailureLine,
        "SELECT f.person_id, COALESCE(p.primary_email, '') AS \"person_email!\",
                COALESCE(p.full_name, f.person_id) AS \"person_name!\",
                f.kind, f.code, f.message, f.permanent, f.attempts, f.first_at, f.last_at, f.next_try_at, f.ignored,
                r.number AS \"run?\"
         FROM failures f LEFT JOIN people p ON p.id = f.person_id LEFT JOIN runs r ON r.id = f.run_id
         WHERE f.app_id = $1 ORDER BY f.ignored, f.last_at DESC, f.person_id",
        app.0,
    )
    .fetch_all(connection)
    .await?)
}

/// How many failures have which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FateCounts {
    pub tried_again: i64,
    pub for_good: i64,
    pub ignored: i64,
}

pub async fn counts(connection: &mut PgConnection, app: AppId) -> Result<FateCounts> {
    Ok(sqlx::query_as!(
        FateCounts,
        "SELECT count(*) FILTER (WHERE NOT ignored AND NOT permanent) AS \"tried_again!\",
                count(*) FILTER (WHERE NOT ignored AND permanent) AS \"for_good!\",
                count(*) FILTER (WHERE ignored) AS \"ignored!\"
         FROM failures WHERE app_id = $1",
        app.0
    )
    .fetch_one(connection)
    .await?)
}

/// What is remembered of a failed operation.
#[derive(Debug)]
pub struct NewFailure<'a> {
    pub kind: &'a str,
    pub code: &'a str,
    pub message: &'a str,
    pub permanent: bool,
    pub next_try_at: Option<DateTime<Utc>>,
    pub body_hash: Option<&'a [u8]>,
    pub cause: Option<(Trigger, DateTime<Utc>)>,
    pub run: uuid::Uuid,
}

pub async fn record(
    connection: &mut PgConnection,
    app: AppId,
    person: &PersonId,
    failure: &NewFailure<'_>,
    now: DateTime<Utc>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO failures (app_id, person_id, kind, code, message, permanent, attempts, first_at, last_at,
                               next_try_at, body_hash, run_id, cause, cause_since)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (app_id, person_id) DO UPDATE SET
             kind = $3, code = $4, message = $5, permanent = $6, attempts = failures.attempts + 1,
             last_at = $7, next_try_at = $8, body_hash = $9, run_id = $10,
             cause = $11, cause_since = $12,
             -- Ignored is what failed then; another request, or another answer, is told again.
             ignored = failures.ignored AND failures.kind = $3 AND failures.code = $4
                       AND failures.body_hash IS NOT DISTINCT FROM $9 AND failures.cause IS NOT DISTINCT FROM $11
                       AND failures.cause_since IS NOT DISTINCT FROM $12",
        app.0,
        person.to_string(),
        failure.kind,
        failure.code,
        failure.message,
        failure.permanent,
        now,
        failure.next_try_at,
        failure.body_hash,
        failure.run,
        failure.cause.map(|(trigger, _)| trigger.key()),
        failure.cause.map(|(_, since)| since),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn clear(connection: &mut PgConnection, app: AppId, person: &PersonId) -> Result<()> {
    sqlx::query!(
        "DELETE FROM failures WHERE app_id = $1 AND person_id = $2",
        app.0,
        person.to_string()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what failed for these people: it is not to be done any more.
pub async fn drop_all(connection: &mut PgConnection, app: AppId, people: &[String]) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM failures WHERE app_id = $1 AND person_id = ANY($2)",
        app.0,
        people
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets the next run try again at once: one person's, ignored or not, or all that are not ignored.
/// Returns whose they were.
pub async fn retry_now(
    connection: &mut PgConnection,
    app: AppId,
    person: Option<&PersonId>,
) -> Result<Vec<PersonId>> {
    Ok(sqlx::query_scalar!(
        "UPDATE failures SET next_try_at = NULL, permanent = false, ignored = false
         WHERE app_id = $1 AND (person_id = $2 OR ($2::text IS NULL AND NOT ignored))
         RETURNING person_id",
        app.0,
        person.map(ToString::to_string),
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// False when nothing of the person failed, or when it is ignored already.
pub async fn ignore(connection: &mut PgConnection, app: AppId, person: &PersonId) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE failures SET ignored = true WHERE app_id = $1 AND person_id = $2 AND NOT ignored",
        app.0,
        person.to_string()
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}
