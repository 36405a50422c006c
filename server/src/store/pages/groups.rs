//! Groups with what is known of their members.

use super::super::Result;
use super::super::imports::Member;
use super::super::people::like_pattern;
use super::{Page, Part};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

#[derive(Debug, Clone)]
pub struct GroupLine {
    pub id: String,
    pub name: String,
    pub email: String,
    pub description: String,
    pub direct_members: i64,
    /// When its members were listed, if ever.
    pub read_at: Option<DateTime<Utc>>,
}

pub async fn page(
    connection: &mut PgConnection,
    text: &str,
    part: Part,
) -> Result<Page<GroupLine>> {
    let pattern = like_pattern(text);
    let total = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM groups
         WHERE $1 = '%%' OR name ILIKE $1 OR email ILIKE $1 OR array_to_string(aliases, ' ') ILIKE $1",
        pattern,
    )
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query_as!(
        GroupLine,
        "SELECT g.id, g.name, g.email, g.description, g.direct_members, r.read_at AS \"read_at?\"
         FROM groups g LEFT JOIN group_reads r ON r.group_id = g.id
         WHERE $1 = '%%' OR g.name ILIKE $1 OR g.email ILIKE $1 OR array_to_string(g.aliases, ' ') ILIKE $1
         ORDER BY (g.name ILIKE substr($1, 2)) DESC, lower(g.name), g.id LIMIT $2 OFFSET $3",
        pattern,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok(Page { rows, total })
}

pub async fn get(connection: &mut PgConnection, id: &str) -> Result<Option<GroupLine>> {
    Ok(sqlx::query_as!(
        GroupLine,
        "SELECT g.id, g.name, g.email, g.description, g.direct_members, r.read_at AS \"read_at?\"
         FROM groups g LEFT JOIN group_reads r ON r.group_id = g.id WHERE g.id = $1",
        id,
    )
    .fetch_optional(connection)
    .await?)
}

/// How many people a group reaches, nested ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub group_id: String,
    pub people: i64,
    /// Every group on the way was read, so the number is whole.
    pub whole: bool,
}

/// Counts the people behind groups, as far as memberships were read. Cycles end.
pub async fn reach(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<Reach>> {
    Ok(sqlx::query_as!(
        Reach,
        "WITH RECURSIVE reached (root, id) AS (
             SELECT id, id FROM UNNEST($1::text[]) AS asked (id)
             UNION
             SELECT r.root, m.member_id FROM reached r
             JOIN memberships m ON m.group_id = r.id AND m.member_type = 'GROUP'
             JOIN groups g ON g.id = m.member_id
         ), everybody AS (
             SELECT count(*) AS people FROM people WHERE NOT purged AND standing <> 'deleted'
         ), counted AS (
             SELECT r.root, count(DISTINCT p.id) AS people, bool_or(m.member_type = 'CUSTOMER') AS all_of_them
             FROM reached r JOIN memberships m ON m.group_id = r.id
             LEFT JOIN people p ON p.id = m.member_id AND NOT p.purged AND p.standing <> 'deleted'
             GROUP BY r.root
         )
         SELECT r.root AS \"group_id!\",
                CASE WHEN COALESCE(c.all_of_them, false) THEN e.people ELSE COALESCE(c.people, 0) END AS \"people!\",
                bool_and(reads.group_id IS NOT NULL) AS \"whole!\"
         FROM reached r
         CROSS JOIN everybody e
         LEFT JOIN counted c ON c.root = r.root
         LEFT JOIN group_reads reads ON reads.group_id = r.id
         GROUP BY r.root, c.all_of_them, c.people, e.people",
        ids,
    )
    .fetch_all(connection)
    .await?)
}

#[derive(Debug, Clone)]
pub struct MemberLine {
    pub id: String,
    pub kind: String,
    pub name: String,
    pub email: String,
}

/// Direct members: groups first, then people, then whoever the directory does not know.
pub async fn members(
    connection: &mut PgConnection,
    group: &str,
    part: Part,
) -> Result<Page<MemberLine>> {
    let total = sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM memberships WHERE group_id = $1",
        group
    )
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query_as!(
        MemberLine,
        "SELECT m.member_id AS id,
                CASE WHEN g.id IS NOT NULL THEN 'group' WHEN p.id IS NOT NULL THEN 'person'
                     WHEN m.member_type = 'CUSTOMER' THEN 'everybody' ELSE 'outside' END AS \"kind!\",
                COALESCE(g.name, p.full_name, '') AS \"name!\",
                COALESCE(g.email, p.primary_email, m.email) AS \"email!\"
         FROM memberships m
         LEFT JOIN groups g ON g.id = m.member_id AND m.member_type = 'GROUP'
         LEFT JOIN people p ON p.id = m.member_id AND m.member_type <> 'GROUP'
         WHERE m.group_id = $1
         ORDER BY (g.id IS NULL), (p.id IS NULL), lower(COALESCE(g.name, p.full_name, m.email)), m.member_id
         LIMIT $2 OFFSET $3",
        group,
        part.limit,
        part.offset,
    )
    .fetch_all(connection)
    .await?;
    Ok(Page { rows, total })
}

/// Groups that have this one as a direct member, as far as memberships were read.
pub async fn parents(connection: &mut PgConnection, group: &str) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query!(
        "SELECT g.id, g.name FROM memberships m JOIN groups g ON g.id = m.group_id
         WHERE m.member_id = $1 ORDER BY lower(g.name), g.id",
        group,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.id, row.name))
    .collect())
}

/// Of several groups, which others hold them directly: the member's id and the name of the other.
pub async fn parents_of(
    connection: &mut PgConnection,
    groups: &[String],
) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query!(
        "SELECT m.member_id, g.name FROM memberships m JOIN groups g ON g.id = m.group_id
         WHERE m.member_id = ANY($1) ORDER BY lower(g.name), g.id",
        groups,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| (row.member_id, row.name))
    .collect())
}

/// The group and those nested in it whose members were never listed, or not since a moment; what
/// imports list is as new as the directory.
pub async fn unread_below(
    connection: &mut PgConnection,
    group: &str,
    since: DateTime<Utc>,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "WITH RECURSIVE reached (id) AS (
             SELECT $1::text
             UNION
             SELECT m.member_id FROM reached r
             JOIN memberships m ON m.group_id = r.id AND m.member_type = 'GROUP'
             JOIN groups g ON g.id = m.member_id
         )
         SELECT r.id AS \"id!\" FROM reached r
         WHERE NOT EXISTS (SELECT 1 FROM group_reads reads
                           WHERE reads.group_id = r.id AND (reads.in_import OR reads.read_at >= $2))
         ORDER BY r.id",
        group,
        since,
    )
    .fetch_all(connection)
    .await?)
}

/// Keeps the members of a group that somebody looked at. What an import read meanwhile stays.
pub async fn keep_members(
    connection: &mut PgConnection,
    group: &str,
    members: &[Member],
    now: DateTime<Utc>,
) -> Result<()> {
    let ours = sqlx::query!(
        "INSERT INTO group_reads (group_id, read_at, in_import) VALUES ($1, $2, false)
         ON CONFLICT (group_id) DO UPDATE SET read_at = $2 WHERE NOT group_reads.in_import",
        group,
        now,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if !ours {
        return Ok(());
    }
    sqlx::query!("DELETE FROM memberships WHERE group_id = $1", group)
        .execute(&mut *connection)
        .await?;
    let column = |field: fn(&Member) -> &String| -> Vec<String> {
        members.iter().map(|member| field(member).clone()).collect()
    };
    sqlx::query!(
        "INSERT INTO memberships (group_id, member_id, member_type, email, role, status)
         SELECT $1, member_id, member_type, email, role, status
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
              AS listed (member_id, member_type, email, role, status)
         ON CONFLICT DO NOTHING",
        group,
        &column(|m| &m.member_id),
        &column(|m| &m.member_type),
        &column(|m| &m.email),
        &column(|m| &m.role),
        &column(|m| &m.status),
    )
    .execute(connection)
    .await?;
    Ok(())
}
