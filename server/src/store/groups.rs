//! Groups, org units and domains of the directory.

use super::Result;
use super::imports::{DomainRow, GroupRow, OrgUnitRow, ReachRow};
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub async fn org_units(connection: &mut PgConnection) -> Result<Vec<OrgUnitRow>> {
    Ok(sqlx::query_as!(
        OrgUnitRow,
        "SELECT id, path, name, parent_id FROM org_units ORDER BY path"
    )
    .fetch_all(connection)
    .await?)
}

/// How many people sit directly in each org unit, deleted ones apart.
pub async fn people_by_org_unit(connection: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    Ok(sqlx::query!(
        "SELECT org_unit_path, count(*) AS \"count!\" FROM people
         WHERE NOT purged AND standing <> 'deleted' GROUP BY org_unit_path"
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.org_unit_path, row.count))
    .collect())
}

pub async fn domains(connection: &mut PgConnection) -> Result<Vec<DomainRow>> {
    Ok(sqlx::query_as!(
        DomainRow,
        "SELECT name, is_primary FROM domains ORDER BY is_primary DESC, name"
    )
    .fetch_all(connection)
    .await?)
}

/// Groups whose name or address holds the text; those whose name starts with it come first.
pub async fn search(
    connection: &mut PgConnection,
    text: &str,
    limit: i64,
) -> Result<Vec<GroupRow>> {
    let pattern = super::people::like_pattern(text);
    Ok(sqlx::query_as!(
        GroupRow,
        "SELECT id, email, name, description, direct_members, aliases FROM groups
         WHERE $1 = '%%' OR name ILIKE $1 OR email ILIKE $1
         ORDER BY (name ILIKE substr($1, 2)) DESC, lower(name), id LIMIT $2",
        pattern,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Which of these groups are known to lead somewhere: apps name them, or somebody looked at them.
pub async fn reaching_among(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<BTreeSet<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT DISTINCT root_id FROM group_reach WHERE root_id = ANY($1)",
        ids,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .collect())
}

pub async fn by_ids(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<GroupRow>> {
    Ok(sqlx::query_as!(
        GroupRow,
        "SELECT id, email, name, description, direct_members, aliases FROM groups WHERE id = ANY($1)",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

/// Groups that have this address or alias.
pub async fn by_email(connection: &mut PgConnection, email: &str) -> Result<Vec<GroupRow>> {
    Ok(sqlx::query_as!(
        GroupRow,
        "SELECT id, email, name, description, direct_members, aliases FROM groups
         WHERE lower(email) = lower($1)
            OR lower($1) IN (SELECT lower(alias) FROM unnest(aliases) AS alias)",
        email,
    )
    .fetch_all(connection)
    .await?)
}

pub async fn count(connection: &mut PgConnection) -> Result<i64> {
    Ok(
        sqlx::query_scalar!("SELECT count(*) AS \"count!\" FROM groups")
            .fetch_one(connection)
            .await?,
    )
}

/// When the members of a group were last listed, if ever.
pub async fn read_at(connection: &mut PgConnection, group: &str) -> Result<Option<DateTime<Utc>>> {
    Ok(
        sqlx::query_scalar!("SELECT read_at FROM group_reads WHERE group_id = $1", group)
            .fetch_optional(connection)
            .await?,
    )
}

/// Which groups of those that apps name reach a person, for their page.
pub async fn of_person(connection: &mut PgConnection, person: &str) -> Result<Vec<GroupRow>> {
    Ok(sqlx::query_as!(
        GroupRow,
        "SELECT g.id, g.email, g.name, g.description, g.direct_members, g.aliases
         FROM memberships m JOIN groups g ON g.id = m.group_id
         WHERE m.member_id = $1 ORDER BY lower(g.name), g.id",
        person,
    )
    .fetch_all(connection)
    .await?)
}

pub async fn all(connection: &mut PgConnection) -> Result<Vec<GroupRow>> {
    Ok(sqlx::query_as!(
        GroupRow,
        "SELECT id, email, name, description, direct_members, aliases FROM groups ORDER BY id"
    )
    .fetch_all(connection)
    .await?)
}

/// Groups whose members the last import listed.
pub async fn read_in_import(connection: &mut PgConnection) -> Result<BTreeSet<String>> {
    Ok(
        sqlx::query_scalar!("SELECT group_id FROM group_reads WHERE in_import")
            .fetch_all(connection)
            .await?
            .into_iter()
            .collect(),
    )
}

/// When members of any group were last listed.
pub async fn last_read(connection: &mut PgConnection) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!("SELECT max(read_at) FROM group_reads")
        .fetch_one(connection)
        .await?)
}

/// Which of these groups had their members listed.
pub async fn read_among(connection: &mut PgConnection, ids: &[String]) -> Result<BTreeSet<String>> {
    let read = sqlx::query_scalar!(
        "SELECT group_id FROM group_reads WHERE group_id = ANY($1)",
        ids
    )
    .fetch_all(connection)
    .await?;
    Ok(read.into_iter().collect())
}

/// Which group lists which as a member, among these groups and those below them.
pub async fn nesting_below(
    connection: &mut PgConnection,
    roots: &[String],
) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query!(
        "WITH RECURSIVE below (id) AS (
             SELECT id FROM UNNEST($1::text[]) AS roots (id)
             UNION
             SELECT m.member_id FROM below b
             JOIN memberships m ON m.group_id = b.id AND m.member_type = 'GROUP'
             JOIN groups g ON g.id = m.member_id
         )
         SELECT b.id AS \"id!\", m.member_id FROM below b
         JOIN memberships m ON m.group_id = b.id AND m.member_type = 'GROUP'
         JOIN groups g ON g.id = m.member_id
         ORDER BY 1, 2",
        roots,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.id, row.member_id))
    .collect())
}

/// Keeps which groups a root reaches, besides what imports keep.
pub async fn save_reach(
    connection: &mut PgConnection,
    root: &str,
    reach: &[ReachRow],
) -> Result<()> {
    sqlx::query!("DELETE FROM group_reach WHERE root_id = $1", root)
        .execute(&mut *connection)
        .await?;
    let groups: Vec<_> = reach.iter().map(|row| row.group_id.clone()).collect();
    let paths: Vec<_> = reach.iter().map(|row| row.path.join(" ")).collect();
    sqlx::query!(
        "INSERT INTO group_reach (root_id, group_id, path)
         SELECT $1, id, CASE WHEN path = '' THEN '{}' ELSE string_to_array(path, ' ') END
         FROM UNNEST($2::text[], $3::text[]) AS reached (id, path)",
        root,
        &groups,
        &paths,
    )
    .execute(connection)
    .await?;
    Ok(())
}
