//! Whom a run left out, and the rule that decided it.

use crate::store::Result;
use crate::store::runs::RunId;

use sqlx::PgConnection;

/// Somebody who got no operation, and the rule that decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub person_id: String,
    pub person_email: String,
    pub person_name: String,
    pub rule: String,
    pub detail: String,
}

pub async fn add_skipped(
    connection: &mut PgConnection,
    run: RunId,
    skipped: &[Skipped],
) -> Result<()> {
    let column = |field: fn(&Skipped) -> &String| -> Vec<String> {
        skipped.iter().map(|line| field(line).clone()).collect()
    };
    sqlx::query!(
        "INSERT INTO skipped (run_id, person_id, person_email, person_name, rule, detail)
         SELECT $1, person_id, email, name, rule, detail
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
              AS page (person_id, email, name, rule, detail)
         ON CONFLICT DO NOTHING",
        run.0,
        &column(|s| &s.person_id),
        &column(|s| &s.person_email),
        &column(|s| &s.person_name),
        &column(|s| &s.rule),
        &column(|s| &s.detail),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn skipped(
    connection: &mut PgConnection,
    run: RunId,
    rule: Option<&str>,
    limit: i64,
) -> Result<Vec<Skipped>> {
    Ok(sqlx::query_as!(
        Skipped,
        "SELECT person_id, person_email, person_name, rule, detail FROM skipped
         WHERE run_id = $1 AND ($2::text IS NULL OR rule = $2)
         ORDER BY rule, lower(person_name), person_id LIMIT $3",
        run.0,
        rule,
        limit
    )
    .fetch_all(connection)
    .await?)
}
