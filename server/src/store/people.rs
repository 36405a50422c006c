//! People of the directory, read by page for planning and by search for the console.

use super::apps::AppId;
use super::{Result, decode};
use provisioning::identity::{Person, PersonId};
use sqlx::PgConnection;

/// A person as the last complete import left them.
#[derive(Debug, Clone)]
pub struct StoredPerson {
    pub person: Person,
    /// Gone from the directory for good: Google does not know the id any more.
    pub purged: bool,
}

/// The next people in the order of their ids, for planning without holding everybody in memory.
pub async fn page(
    connection: &mut PgConnection,
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<StoredPerson>> {
    let after = after.map(ToString::to_string).unwrap_or_default();
    let rows = sqlx::query!(
        "SELECT id, person, purged FROM people WHERE id > $1 ORDER BY id LIMIT $2",
        after,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredPerson {
                person: decode(row.person, "people", "person", &row.id)?,
                purged: row.purged,
            })
        })
        .collect()
}

/// The same without those who are settled for an app under this world, and without those who are
/// gone for good and never had an account there, who concern nobody.
pub async fn page_to_plan(
    connection: &mut PgConnection,
    app: AppId,
    world: &[u8],
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<StoredPerson>> {
    let after = after.map(ToString::to_string).unwrap_or_default();
    let rows = sqlx::query!(
        "SELECT p.id, p.person, p.purged FROM people p
         WHERE p.id > $3
           AND NOT EXISTS (SELECT FROM settled s
                           WHERE s.app_id = $1 AND s.person_id = p.id AND s.person_id > $3 AND s.world = $2)
           AND (NOT p.purged
                OR EXISTS (SELECT FROM links l WHERE l.app_id = $1 AND l.person_id = p.id AND l.person_id > $3))
         ORDER BY p.id LIMIT $4",
        app.0,
        world,
        after,
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredPerson {
                person: decode(row.person, "people", "person", &row.id)?,
                purged: row.purged,
            })
        })
        .collect()
}

pub async fn get(connection: &mut PgConnection, id: &PersonId) -> Result<Option<StoredPerson>> {
    let row = sqlx::query!(
        "SELECT id, person, purged FROM people WHERE id = $1",
        id.to_string()
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(StoredPerson {
            person: decode(row.person, "people", "person", &row.id)?,
            purged: row.purged,
        })
    })
    .transpose()
}

/// Everybody who has this id, or this primary address or alias (without case).
pub async fn find(connection: &mut PgConnection, id_or_email: &str) -> Result<Vec<PersonId>> {
    let ids = sqlx::query_scalar!(
        "SELECT id AS \"id!\" FROM people WHERE id = $1
         UNION
         SELECT person_id FROM person_addresses WHERE address = lower($1)",
        id_or_email
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(PersonId::from).collect())
}

/// Everybody who had this primary address (without case) when Google forgot them.
pub async fn find_purged(connection: &mut PgConnection, email: &str) -> Result<Vec<PersonId>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM people WHERE purged AND lower(primary_email) = lower($1)",
        email
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(PersonId::from).collect())
}

/// Everybody who has one of these addresses, in lower case.
pub async fn with_addresses(
    connection: &mut PgConnection,
    addresses: &[String],
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT person_id FROM person_addresses WHERE address = ANY($1)",
        addresses
    )
    .fetch_all(connection)
    .await?)
}

/// A group that an app names and through which the person is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    pub person_id: String,
    pub root_id: String,
    /// The groups between; empty for a direct member.
    pub path: Vec<String>,
}

/// Through which named groups these people are reached; whole-customer members reach everybody.
pub async fn reached(connection: &mut PgConnection, people: &[String]) -> Result<Vec<Reached>> {
    let rows = sqlx::query!(
        "SELECT m.member_id AS \"person_id!\", r.root_id AS \"root_id!\", r.path AS \"path!\"
         FROM memberships m JOIN group_reach r ON r.group_id = m.group_id
         WHERE m.member_id = ANY($1)
         UNION ALL
         SELECT p.id, r.root_id, r.path
         FROM memberships m JOIN group_reach r ON r.group_id = m.group_id
         CROSS JOIN UNNEST($1::text[]) AS p (id)
         WHERE m.member_type = 'CUSTOMER'",
        people
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Reached {
            person_id: row.person_id,
            root_id: row.root_id,
            path: row.path,
        })
        .collect())
}

/// Whom an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    pub address: String,
    pub person_id: String,
    pub account_id: Option<String>,
    pub link_state: Option<String>,
}

/// Resolves managers' addresses to people and, where there is one, to their account in the app.
/// People who are still in the directory come before deleted ones that had the same address.
pub async fn addressed(
    connection: &mut PgConnection,
    app_id: uuid::Uuid,
    addresses: &[String],
) -> Result<Vec<Addressed>> {
    Ok(sqlx::query_as!(
        Addressed,
        "SELECT DISTINCT ON (a.address)
                a.address, a.person_id, l.account_id AS \"account_id?\", l.state AS \"link_state?\"
         FROM person_addresses a
         JOIN people p ON p.id = a.person_id
         LEFT JOIN links l ON l.app_id = $1 AND l.person_id = a.person_id
         WHERE a.address = ANY($2)
         ORDER BY a.address, (p.standing = 'deleted'), a.person_id",
        app_id,
        addresses,
    )
    .fetch_all(connection)
    .await?)
}

pub async fn by_ids(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<StoredPerson>> {
    let rows = sqlx::query!(
        "SELECT id, person, purged FROM people WHERE id = ANY($1)",
        ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredPerson {
                person: decode(row.person, "people", "person", &row.id)?,
                purged: row.purged,
            })
        })
        .collect()
}

/// One line of the people list.
#[derive(Debug, Clone)]
pub struct PersonLine {
    pub id: String,
    pub primary_email: String,
    pub full_name: String,
    pub standing: String,
    pub is_guest: bool,
    pub org_unit_path: String,
}

/// Searches names and addresses; pages continue after the given name and id.
pub async fn search(
    connection: &mut PgConnection,
    text: &str,
    standing: Option<&str>,
    after: Option<(&str, &str)>,
    limit: i64,
) -> Result<Vec<PersonLine>> {
    let pattern = like_pattern(text);
    let (after_name, after_id) = after.unwrap_or_default();
    Ok(sqlx::query_as!(
        PersonLine,
        "SELECT id, primary_email, full_name, standing, is_guest, org_unit_path FROM people
         WHERE NOT purged
           AND ($1 = '%%' OR full_name ILIKE $1 OR primary_email ILIKE $1
                OR id IN (SELECT person_id FROM person_addresses WHERE address ILIKE $1))
           AND ($2::text IS NULL OR standing = $2)
           AND (lower(full_name), id) > ($3, $4)
         ORDER BY lower(full_name), id LIMIT $5",
        pattern,
        standing,
        after_name,
        after_id,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// How many people the directory holds, deleted ones apart.
pub async fn count(connection: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM people WHERE NOT purged AND standing <> 'deleted'"
    )
    .fetch_one(connection)
    .await?)
}

/// A search text as a LIKE pattern: what was typed, anywhere, taken literally. The database takes
/// no NUL; what stands for one is found nowhere.
pub fn like_pattern(text: &str) -> String {
    let escaped = text
        .trim()
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
        .replace('\0', "\u{fffd}");
    format!("%{escaped}%")
}

/// Schemas and fields of custom attributes, as far as some people show.
pub async fn custom_attributes(connection: &mut PgConnection) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query!(
        "SELECT DISTINCT schemas.key AS \"schema!\", fields.key AS \"field!\"
         FROM (SELECT person #> '{attributes,customSchemas}' AS custom FROM people
               WHERE jsonb_typeof(person #> '{attributes,customSchemas}') = 'object' LIMIT 2000) AS shown
         CROSS JOIN LATERAL jsonb_each(shown.custom) AS schemas
         CROSS JOIN LATERAL jsonb_object_keys(
             CASE WHEN jsonb_typeof(schemas.value) = 'object' THEN schemas.value ELSE '{}' END) AS fields (key)
         ORDER BY 1, 2 LIMIT 500"
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.schema, row.field))
    .collect())
}
