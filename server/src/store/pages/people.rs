//! People of the directory, searched and counted.

use super::super::people::like_pattern;
use super::super::{Result, decode};
use super::{Page, Part};
use provisioning::identity::Person;
use serde_json::Value;
use sqlx::PgConnection;

/// What the list is narrowed to; every set part must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeopleFilter {
    /// Part of a name or of any address, or a whole id.
    pub text: String,
    pub standing: Option<&'static str>,
    /// Path of an org unit, those below it included.
    pub org_unit: Option<String>,
}

#[derive(Debug, Clone)]
pub struct PersonLine {
    pub person: Person,
    /// Names of the apps in which the person has an account.
    pub apps: Vec<String>,
}

/// Case is as little told apart as Google does in paths of org units.
fn below(org_unit: Option<&str>) -> Option<String> {
    org_unit.map(|path| path.trim_end_matches('/').to_lowercase())
}

pub async fn page(
    connection: &mut PgConnection,
    filter: &PeopleFilter,
    part: Part,
) -> Result<Page<PersonLine>> {
    let (total, ids) = if filter.text.trim().is_empty() {
        of_all(&mut *connection, filter, part).await?
    } else {
        of_found(&mut *connection, filter, part).await?
    };
    let rows = sqlx::query!(
        "SELECT p.id, p.person,
                ARRAY(SELECT a.name FROM links l JOIN apps a ON a.id = l.app_id
                      WHERE l.person_id = p.id AND l.state IN ('active', 'suspended_by_us')
                      ORDER BY lower(a.name), a.slug) AS \"apps!\"
         FROM people p WHERE p.id = ANY($1) ORDER BY lower(p.full_name), p.id",
        &ids,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| {
        Ok(PersonLine {
            person: decode(row.person, "people", "person", &row.id)?,
            apps: row.apps,
        })
    })
    .collect::<Result<Vec<_>>>()?;
    Ok(Page { rows, total })
}

/// How many there are, and who is on the page. Names, addresses and ids are looked up each in its own
/// index: an `OR` over all of them would read everybody.
async fn of_found(
    connection: &mut PgConnection,
    filter: &PeopleFilter,
    part: Part,
) -> Result<(i64, Vec<String>)> {
    let pattern = like_pattern(&filter.text);
    let id = filter.text.trim();
    let org_unit = below(filter.org_unit.as_deref());
    let row = sqlx::query!(
        "WITH found AS MATERIALIZED (
             SELECT p.id, lower(p.full_name) AS name FROM people p
             WHERE p.id IN (SELECT id FROM people WHERE full_name ILIKE $1
                            UNION SELECT person_id FROM person_addresses WHERE address ILIKE $1
                            UNION SELECT $2)
               AND NOT p.purged
               AND ($3::text IS NULL OR p.standing = $3)
               AND ($4::text IS NULL OR lower(p.org_unit_path) = $4
                    OR starts_with(lower(p.org_unit_path), $4 || '/'))
         )
         SELECT (SELECT count(*) FROM found) AS \"total!\",
                ARRAY(SELECT id FROM found ORDER BY name, id LIMIT $5 OFFSET $6) AS \"ids!\"",
        pattern,
        id,
        filter.standing,
        org_unit,
        part.limit,
        part.offset,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.total, row.ids))
}

/// The same of people that no words narrow down: counted in one index, in the order of another.
async fn of_all(
    connection: &mut PgConnection,
    filter: &PeopleFilter,
    part: Part,
) -> Result<(i64, Vec<String>)> {
    let org_unit = below(filter.org_unit.as_deref());
    let total = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM people
         WHERE NOT purged
           AND ($1::text IS NULL OR standing = $1)
           AND ($2::text IS NULL OR lower(org_unit_path) = $2
                OR starts_with(lower(org_unit_path), $2 || '/'))",
        filter.standing,
        org_unit,
    )
    .fetch_one(&mut *connection)
    .await?;
    let ids = sqlx::query_scalar!(
        "SELECT id FROM people
         WHERE NOT purged
           AND ($1::text IS NULL OR standing = $1)
           AND ($2::text IS NULL OR lower(org_unit_path) = $2
                OR starts_with(lower(org_unit_path), $2 || '/'))
         ORDER BY lower(full_name), id LIMIT $3 OFFSET $4",
        filter.standing,
        org_unit,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok((total, ids))
}

/// How a person is shown wherever they are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub id: String,
    pub name: String,
    pub email: String,
}

/// People for a combobox: names that begin with the letters come first.
pub async fn find(connection: &mut PgConnection, letters: &str, limit: i64) -> Result<Vec<Named>> {
    Ok(sqlx::query_as!(
        Named,
        "SELECT id, full_name AS name, primary_email AS email FROM people
         WHERE NOT purged AND ($1 = '%%' OR full_name ILIKE $1 OR primary_email ILIKE $1)
         ORDER BY (full_name ILIKE substr($1, 2)) DESC, (primary_email ILIKE substr($1, 2)) DESC,
                  (standing = 'deleted'), lower(full_name), id
         LIMIT $2",
        like_pattern(letters),
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Whom an address names: somebody who is still there before somebody deleted.
pub async fn by_address(connection: &mut PgConnection, address: &str) -> Result<Option<Named>> {
    Ok(sqlx::query_as!(
        Named,
        "SELECT p.id, p.full_name AS name, p.primary_email AS email
         FROM person_addresses a JOIN people p ON p.id = a.person_id
         WHERE a.address = lower($1) ORDER BY (p.standing = 'deleted'), p.id LIMIT 1",
        address,
    )
    .fetch_optional(connection)
    .await?)
}

/// Names of people by their ids, for whoever is still known.
pub async fn named(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<Named>> {
    Ok(sqlx::query_as!(
        Named,
        "SELECT id, full_name AS name, primary_email AS email FROM people WHERE id = ANY($1)",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

/// The stored person as it came, for the page that shows one.
pub async fn person(connection: &mut PgConnection, id: &str) -> Result<Option<Person>> {
    let row: Option<Value> = sqlx::query_scalar!("SELECT person FROM people WHERE id = $1", id)
        .fetch_optional(connection)
        .await?;
    row.map(|value| decode(value, "people", "person", id))
        .transpose()
}
