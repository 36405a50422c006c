//! Who need not be planned again before something about them changes.

use provisioning::identity::PersonId;
use sqlx::PgConnection;

use super::Result;
use super::apps::AppId;
use super::runs::RunId;

/// Somebody of whom a plan came to nothing that time alone could change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub person: PersonId,
    /// Why they were left out; `None` for an account that holds what it shall hold.
    pub left_out: Option<(&'static str, String)>,
}

/// How many a plan goes past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    pub unchanged: i64,
    pub skipped: i64,
    /// Those of both whom the directory does not list as deleted.
    pub in_directory: i64,
}

/// Forgets everybody about whom something changed, and takes the marks that say so. What is
/// marked while this runs stays marked.
pub async fn take_marks(connection: &mut PgConnection, app: AppId) -> Result<()> {
    sqlx::query!(
        "WITH taken AS (DELETE FROM unsettled WHERE app_id = $1 RETURNING person_id)
         DELETE FROM settled s USING (SELECT DISTINCT person_id FROM taken) t
         WHERE s.app_id = $1 AND s.person_id = t.person_id",
        app.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Of how many a plan under this world need not be made.
pub async fn passed(connection: &mut PgConnection, app: AppId, world: &[u8]) -> Result<Passed> {
    Ok(sqlx::query_as!(
        Passed,
        "SELECT count(*) FILTER (WHERE s.rule IS NULL) AS \"unchanged!\",
                count(*) FILTER (WHERE s.rule IS NOT NULL) AS \"skipped!\",
                count(*) FILTER (WHERE p.standing <> 'deleted') AS \"in_directory!\"
         FROM settled s JOIN people p ON p.id = s.person_id
         WHERE s.app_id = $1 AND s.world = $2",
        app.0,
        world,
    )
    .fetch_one(connection)
    .await?)
}

/// Puts those who are left out as before among the people whom a run skipped.
pub async fn skip_again(
    connection: &mut PgConnection,
    run: RunId,
    app: AppId,
    world: &[u8],
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO skipped (run_id, person_id, person_email, person_name, rule, detail)
         SELECT $1, p.id, p.primary_email, p.full_name, s.rule, s.detail
         FROM settled s JOIN people p ON p.id = s.person_id
         WHERE s.app_id = $2 AND s.world = $3 AND s.rule IS NOT NULL
         ON CONFLICT DO NOTHING",
        run.0,
        app.0,
        world,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Settles people who were just planned.
pub async fn keep(
    connection: &mut PgConnection,
    app: AppId,
    world: &[u8],
    people: &[Settled],
) -> Result<()> {
    let ids: Vec<String> = people.iter().map(|one| one.person.to_string()).collect();
    let rules: Vec<Option<String>> = people
        .iter()
        .map(|one| one.left_out.as_ref().map(|(rule, _)| (*rule).to_owned()))
        .collect();
    let details: Vec<Option<String>> = people
        .iter()
        .map(|one| one.left_out.as_ref().map(|(_, detail)| detail.clone()))
        .collect();
    sqlx::query!(
        "INSERT INTO settled (app_id, person_id, world, rule, detail)
         SELECT $1, person_id, $2, rule, detail
         FROM UNNEST($3::text[], $4::text[], $5::text[]) AS page (person_id, rule, detail)
         ON CONFLICT (app_id, person_id) DO UPDATE
         SET world = excluded.world, rule = excluded.rule, detail = excluded.detail",
        app.0,
        world,
        &ids,
        &rules as &[Option<String>],
        &details as &[Option<String>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Settled people whose manager got an account in this run.
pub async fn reports_of_new_accounts(
    connection: &mut PgConnection,
    run: RunId,
    app: AppId,
) -> Result<Vec<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT r.id AS \"id!\"
         FROM operations o
         JOIN person_addresses d ON d.person_id = o.person_id
         JOIN people r ON r.manager_email = d.address
         JOIN settled s ON s.app_id = $2 AND s.person_id = r.id AND s.rule IS NULL
         WHERE o.run_id = $1 AND o.kind IN ('create', 'link') AND o.state = 'done'",
        run.0,
        app.0,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// How the groups that an app names reach people, in one text: a change of it concerns everybody.
pub async fn reach(connection: &mut PgConnection, named: &[String]) -> Result<String> {
    Ok(sqlx::query_scalar!(
        "SELECT COALESCE(string_agg(
                    concat_ws(' ', r.root_id, r.group_id, r.path::text,
                              EXISTS (SELECT FROM memberships m
                                      WHERE m.group_id = r.group_id AND m.member_type = 'CUSTOMER')),
                    E'\\n' ORDER BY r.root_id, r.group_id), '') AS \"reach!\"
         FROM group_reach r WHERE r.root_id = ANY($1)",
        named
    )
    .fetch_one(connection)
    .await?)
}
