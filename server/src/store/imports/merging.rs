//! The merge: one transaction in which a complete reading becomes the directory.

use super::{ImportCounts, ImportId, clear_staged_people};
use crate::store::Result;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgUnitRow {
    pub id: String,
    pub path: String,
    pub name: String,
    pub parent_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    pub id: String,
    pub email: String,
    pub name: String,
    pub description: String,
    pub direct_members: i64,
    pub aliases: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRow {
    pub name: String,
    pub is_primary: bool,
}

/// How a group is reached from a group that some app names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachRow {
    pub root_id: String,
    pub group_id: String,
    pub path: Vec<String>,
}

/// The small listings of an import, which are kept in memory until the merge.
#[derive(Debug, Default)]
pub struct SmallListings {
    pub org_units: Vec<OrgUnitRow>,
    pub groups: Vec<GroupRow>,
    pub domains: Vec<DomainRow>,
    pub read_groups: Vec<String>,
    pub reach: Vec<ReachRow>,
    /// Ids that answered 404 twice: gone for good, never asked again.
    pub purged: Vec<String>,
    /// Groups that the import was asked for, by id and by lower-case address.
    pub asked_groups: Vec<String>,
}

/// Makes the staged import the directory, in the caller's transaction.
pub async fn merge(
    connection: &mut PgConnection,
    import: ImportId,
    small: &SmallListings,
    counts: &ImportCounts,
    odd: &serde_json::Value,
    now: DateTime<Utc>,
) -> Result<bool> {
    let still_ours = sqlx::query!(
        "UPDATE imports SET state = 'complete', finished_at = $2, people = $3, deleted_people = $4,
                unknown_people = $5, groups = $6, org_units = $7, memberships = $8, requests = $9, odd = $10,
                asked_groups = $11
         WHERE id = $1 AND state = 'running'",
        import.0,
        now,
        counts.people,
        counts.deleted_people,
        counts.unknown_people,
        counts.groups,
        counts.org_units,
        counts.memberships,
        counts.requests,
        odd,
        &small.asked_groups,
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        == 1;
    if !still_ours {
        return Ok(false);
    }
    sqlx::query!(
        "INSERT INTO people (id, primary_email, full_name, standing, is_guest, org_unit_path,
                             manager_email, person, fingerprint, seen_in, changed_in, written)
         SELECT id, primary_email, full_name, standing, is_guest, org_unit_path,
                manager_email, person, fingerprint, $1, $1, written
         FROM people_staging WHERE import_id = $1
         -- Who was read on their own since the import began is known better than it listed them.
         ON CONFLICT (id) DO UPDATE SET
             primary_email = excluded.primary_email, full_name = excluded.full_name,
             standing = excluded.standing, is_guest = excluded.is_guest,
             org_unit_path = excluded.org_unit_path, manager_email = excluded.manager_email,
             person = excluded.person, fingerprint = excluded.fingerprint, purged = false,
             seen_in = $1, changed_in = $1, listed = true, written = excluded.written
         WHERE (people.fingerprint <> excluded.fingerprint OR people.purged OR NOT people.listed)
           AND (people.read_alone_at IS NULL
                OR people.read_alone_at <= (SELECT i.started_at FROM imports i WHERE i.id = $1))",
        import.0
    )
    .execute(&mut *connection)
    .await?;
    // What Rollcall keeps of them is the same; what Google wrote around it is not.
    sqlx::query!(
        "UPDATE people p SET written = s.written FROM people_staging s
         WHERE s.import_id = $1 AND s.id = p.id AND p.written IS DISTINCT FROM s.written
           AND p.fingerprint = s.fingerprint",
        import.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE people SET standing = 'deleted', purged = true, written = NULL, changed_in = $2, seen_in = $2,
                person = jsonb_set(person, '{standing}', '\"deleted\"')
         WHERE id = ANY($1) AND NOT purged",
        &small.purged,
        import.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM person_addresses a USING people p
         WHERE p.id = a.person_id AND p.changed_in = $1",
        import.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO person_addresses (address, person_id)
         SELECT DISTINCT unnest(s.addresses), s.id
         FROM people_staging s JOIN people p ON p.id = s.id AND p.changed_in = $1
         WHERE s.import_id = $1
         ON CONFLICT DO NOTHING",
        import.0
    )
    .execute(&mut *connection)
    .await?;
    replace_org_units(&mut *connection, &small.org_units).await?;
    replace_groups(&mut *connection, &small.groups).await?;
    replace_domains(&mut *connection, &small.domains).await?;
    replace_memberships(&mut *connection, import, small, now).await?;
    clear_staged_people(&mut *connection, import).await?;
    sqlx::query!(
        "DELETE FROM memberships_staging WHERE import_id = $1",
        import.0
    )
    .execute(&mut *connection)
    .await?;
    Ok(true)
}

async fn replace_org_units(connection: &mut PgConnection, units: &[OrgUnitRow]) -> Result<()> {
    sqlx::query!("DELETE FROM org_units")
        .execute(&mut *connection)
        .await?;
    let ids: Vec<_> = units.iter().map(|unit| unit.id.clone()).collect();
    let paths: Vec<_> = units.iter().map(|unit| unit.path.clone()).collect();
    let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
    let parents: Vec<_> = units.iter().map(|unit| unit.parent_id.clone()).collect();
    sqlx::query!(
        "INSERT INTO org_units (id, path, name, parent_id)
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[])
         ON CONFLICT DO NOTHING",
        &ids,
        &paths,
        &names,
        &parents as &[Option<String>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn replace_groups(connection: &mut PgConnection, groups: &[GroupRow]) -> Result<()> {
    sqlx::query!("DELETE FROM groups")
        .execute(&mut *connection)
        .await?;
    let ids: Vec<_> = groups.iter().map(|group| group.id.clone()).collect();
    let emails: Vec<_> = groups.iter().map(|group| group.email.clone()).collect();
    let names: Vec<_> = groups.iter().map(|group| group.name.clone()).collect();
    let descriptions: Vec<_> = groups
        .iter()
        .map(|group| group.description.clone())
        .collect();
    let members: Vec<_> = groups.iter().map(|group| group.direct_members).collect();
    let aliases: Vec<_> = groups.iter().map(|group| group.aliases.join(" ")).collect();
    sqlx::query!(
        "INSERT INTO groups (id, email, name, description, direct_members, aliases)
         SELECT id, email, name, description, members, string_to_array(aliases, ' ')
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::text[])
              AS listed (id, email, name, description, members, aliases)
         ON CONFLICT DO NOTHING",
        &ids,
        &emails,
        &names,
        &descriptions,
        &members,
        &aliases,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn replace_domains(connection: &mut PgConnection, domains: &[DomainRow]) -> Result<()> {
    sqlx::query!("DELETE FROM domains")
        .execute(&mut *connection)
        .await?;
    let names: Vec<_> = domains.iter().map(|domain| domain.name.clone()).collect();
    let primary: Vec<_> = domains.iter().map(|domain| domain.is_primary).collect();
    sqlx::query!(
        "INSERT INTO domains (name, is_primary) SELECT * FROM UNNEST($1::text[], $2::bool[])
         ON CONFLICT DO NOTHING",
        &names,
        &primary,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn replace_memberships(
    connection: &mut PgConnection,
    import: ImportId,
    small: &SmallListings,
    now: DateTime<Utc>,
) -> Result<()> {
    // Only what differs is written: each row that changes is a reason to plan somebody again.
    sqlx::query!(
        "DELETE FROM memberships m
         WHERE group_id NOT IN (SELECT id FROM groups)
            OR (group_id = ANY($2) AND NOT EXISTS (
                    SELECT FROM memberships_staging s
                    WHERE s.import_id = $1 AND s.group_id = m.group_id AND s.member_id = m.member_id))",
        import.0,
        &small.read_groups,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO memberships AS m (group_id, member_id, member_type, email, role, status)
         SELECT group_id, member_id, member_type, email, role, status
         FROM memberships_staging WHERE import_id = $1 AND group_id = ANY($2)
         ON CONFLICT (group_id, member_id) DO UPDATE
         SET member_type = excluded.member_type, email = excluded.email, role = excluded.role,
             status = excluded.status
         WHERE (m.member_type, m.email, m.role, m.status)
            IS DISTINCT FROM (excluded.member_type, excluded.email, excluded.role, excluded.status)",
        import.0,
        &small.read_groups,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM group_reads WHERE in_import OR group_id NOT IN (SELECT id FROM groups)"
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO group_reads (group_id, read_at, in_import)
         SELECT id, $2, true FROM UNNEST($1::text[]) AS listed (id)
         ON CONFLICT (group_id) DO UPDATE SET read_at = $2, in_import = true",
        &small.read_groups,
        now,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM group_reach")
        .execute(&mut *connection)
        .await?;
    let roots: Vec<_> = small.reach.iter().map(|row| row.root_id.clone()).collect();
    let groups: Vec<_> = small.reach.iter().map(|row| row.group_id.clone()).collect();
    let paths: Vec<_> = small.reach.iter().map(|row| row.path.join(" ")).collect();
    sqlx::query!(
        "INSERT INTO group_reach (root_id, group_id, path)
         SELECT root, member, CASE WHEN path = '' THEN '{}' ELSE string_to_array(path, ' ') END
         FROM UNNEST($1::text[], $2::text[], $3::text[]) AS reached (root, member, path)",
        &roots,
        &groups,
        &paths,
    )
    .execute(connection)
    .await?;
    Ok(())
}
