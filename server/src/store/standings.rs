//! How apps stand, gathered over runs, links and failures for the console's overviews.

use super::Result;
use super::apps::AppId;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::HashMap;

/// Everybody of the directory as one app sees them, each person in one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollCounts {
    /// Everybody with an account, wherever else they count.
    pub linked: i64,
    /// Those of them whose account is suspended.
    pub suspended: i64,
    pub accounts: i64,
    pub created_next: i64,
    pub failing: i64,
    pub leaving: i64,
    pub left_out: i64,
}

/// People who are gone from the directory count as long as they have an account. The directory is
/// counted once for all apps; of each app only what it has rows for is looked at. With each app
/// come those who are protected in it: they are not leaving.
pub async fn rolls(
    connection: &mut PgConnection,
    apps: &[(AppId, Vec<String>)],
) -> Result<HashMap<AppId, RollCounts>> {
    let ids: Vec<_> = apps.iter().map(|(app, _)| app.0).collect();
    let (in_apps, protected): (Vec<_>, Vec<_>) = (apps.iter())
        .flat_map(|(app, people)| people.iter().map(|person| (app.0, person.clone())))
        .unzip();
    let rows = sqlx::query!(
        "WITH departed AS MATERIALIZED (
             SELECT id FROM people WHERE purged OR standing = 'deleted'
         ), living AS MATERIALIZED (
             SELECT (SELECT count(*) FROM people) - (SELECT count(*) FROM departed) AS n
         )
         SELECT a.id,
                linked.n AS \"linked!\",
                linked.suspended AS \"suspended!\",
                failing.n AS \"failing!\",
                leaving.n AS \"leaving!\",
                linked.n - failing.linked - leaving.n AS \"accounts!\",
                created.n AS \"created_next!\",
                living.n + gone.n - failing.n - (linked.n - failing.linked) - created.n AS \"left_out!\"
         FROM apps a CROSS JOIN living
         CROSS JOIN LATERAL (
             SELECT count(*) AS n, count(*) FILTER (WHERE l.state = 'suspended_by_us') AS suspended
             FROM links l
             WHERE l.app_id = a.id AND l.state IN ('active', 'suspended_by_us')
         ) linked
         CROSS JOIN LATERAL (
             SELECT count(*) AS n FROM departed d
             JOIN links l ON l.app_id = a.id AND l.person_id = d.id AND l.state IN ('active', 'suspended_by_us')
         ) gone
         CROSS JOIN LATERAL (
             SELECT count(*) AS n, count(l.person_id) AS linked
             FROM failures f JOIN people p ON p.id = f.person_id
             LEFT JOIN links l ON l.app_id = a.id AND l.person_id = p.id AND l.state IN ('active', 'suspended_by_us')
             WHERE f.app_id = a.id AND NOT f.ignored
               AND ((NOT p.purged AND p.standing <> 'deleted') OR l.person_id IS NOT NULL)
         ) failing
         CROSS JOIN LATERAL (
             SELECT count(*) AS n FROM lifecycles q
             JOIN links l ON l.app_id = a.id AND l.person_id = q.person_id AND l.state IN ('active', 'suspended_by_us')
             WHERE q.app_id = a.id AND q.next_due_at IS NOT NULL AND q.next_step IS NOT NULL
               AND (q.app_id, q.person_id) NOT IN (SELECT * FROM unnest($2::uuid[], $3::text[]))
               AND NOT EXISTS (SELECT 1 FROM failures f
                               WHERE f.app_id = a.id AND f.person_id = q.person_id AND NOT f.ignored)
         ) leaving
         CROSS JOIN LATERAL (
             SELECT count(DISTINCT o.person_id) AS n
             FROM (SELECT id FROM runs WHERE app_id = a.id AND total > 0 AND only_people = '{}'
                   ORDER BY number DESC LIMIT 1) newest
             CROSS JOIN LATERAL (
                 -- Apart, for each has its index.
                 SELECT w.person_id FROM operations w
                 WHERE w.run_id = newest.id AND w.kind IN ('create', 'link') AND w.state IN ('planned', 'sending')
                 UNION ALL
                 SELECT w.person_id FROM operations w
                 WHERE w.run_id = newest.id AND w.kind IN ('create', 'link') AND w.state = 'superseded'
             ) o
             JOIN people p ON p.id = o.person_id AND NOT p.purged AND p.standing <> 'deleted'
             WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.app_id = a.id AND l.person_id = o.person_id
                                 AND l.state IN ('active', 'suspended_by_us'))
               AND NOT EXISTS (SELECT 1 FROM failures f
                               WHERE f.app_id = a.id AND f.person_id = o.person_id AND NOT f.ignored)
         ) created
         WHERE a.id = ANY($1)",
        &ids,
        &in_apps,
        &protected,
    )
    .fetch_all(connection)
    .await?;
    let counted = rows.into_iter().map(|row| {
        let counts = RollCounts {
            linked: row.linked,
            suspended: row.suspended,
            accounts: row.accounts,
            created_next: row.created_next,
            failing: row.failing,
            leaving: row.leaving,
            left_out: row.left_out,
        };
        (AppId(row.id), counts)
    });
    Ok(counted.collect())
}

/// Steps that are due before a moment and will be carried out by then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DueSoon {
    pub suspensions: i64,
    pub deletions: i64,
    pub first: Option<DateTime<Utc>>,
}

/// `but` those of these people.
pub async fn due_before(
    connection: &mut PgConnection,
    app: AppId,
    moment: DateTime<Utc>,
    but: &[String],
) -> Result<DueSoon> {
    Ok(sqlx::query_as!(
        DueSoon,
        "SELECT count(*) FILTER (WHERE next_step = 'suspend') AS \"suspensions!\",
                count(*) FILTER (WHERE next_step = 'delete') AS \"deletions!\",
                min(next_due_at) AS first
         FROM lifecycles WHERE app_id = $1 AND next_due_at < $2 AND NOT next_held AND next_step IS NOT NULL
           AND NOT (person_id = ANY($3))",
        app.0,
        moment,
        but,
    )
    .fetch_one(connection)
    .await?)
}

/// What failed and is not ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failing {
    pub people: i64,
    pub next_try: Option<DateTime<Utc>>,
}

pub async fn failing(connection: &mut PgConnection, app: AppId) -> Result<Failing> {
    Ok(sqlx::query_as!(
        Failing,
        "SELECT count(*) AS \"people!\", min(next_try_at) AS next_try
         FROM failures WHERE app_id = $1 AND NOT ignored",
        app.0,
    )
    .fetch_one(connection)
    .await?)
}

/// An import that is under way, with how much of it is staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningImport {
    pub id: i64,
    pub started_at: DateTime<Utc>,
    pub people: i64,
    pub members: i64,
}

/// The import that a living process carries out right now, if there is one.
pub async fn running_import(connection: &mut PgConnection) -> Result<Option<RunningImport>> {
    Ok(sqlx::query_as!(
        RunningImport,
        "SELECT i.id, i.started_at,
                (SELECT count(*) FROM people_staging s WHERE s.import_id = i.id) AS \"people!\",
                (SELECT count(*) FROM memberships_staging s WHERE s.import_id = i.id) AS \"members!\"
         FROM imports i
         WHERE i.state = 'running' AND i.heartbeat_at >= now() - make_interval(secs => $1)",
        super::imports::ABANDONED_AFTER_SECONDS,
    )
    .fetch_optional(connection)
    .await?)
}
