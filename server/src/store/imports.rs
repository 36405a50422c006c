//! Imports: staging while pages arrive, one merge at the end. Complete or nothing (S1.4).

use std::collections::HashSet;

use super::{Result, encode};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use provisioning::identity::Person;
use sqlx::PgConnection;
use uuid::Uuid;

/// Identifies one reading of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportId(pub i64);

/// What an import found, for the console and for plausibility.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportCounts {
    pub people: i32,
    pub deleted_people: i32,
    pub unknown_people: i32,
    pub groups: i32,
    pub org_units: i32,
    pub memberships: i32,
    pub requests: i64,
}

#[derive(Debug, Clone)]
pub struct ImportSummary {
    pub id: ImportId,
    pub state: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub counts: ImportCounts,
    pub odd: serde_json::Value,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// Seconds after which an import without a heartbeat counts as abandoned.
pub(super) const ABANDONED_AFTER_SECONDS: f64 = 20.0;

/// Starts an import unless another process is reading the directory right now.
pub async fn begin(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<ImportId>> {
    sqlx::query!(
        "UPDATE imports SET state = 'failed', finished_at = $1, error_code = 'abandoned',
                error_message = 'The process that read the directory ended before it was done. Nothing is planned from it.'
         WHERE state = 'running' AND heartbeat_at < now() - make_interval(secs => $2)",
        now,
        ABANDONED_AFTER_SECONDS,
    )
    .execute(&mut *connection)
    .await?;
    let id = sqlx::query_scalar!(
        "INSERT INTO imports (state, started_at) VALUES ('running', $1)
         ON CONFLICT ((true)) WHERE state = 'running' DO NOTHING RETURNING id",
        now
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(id) = id {
        // What earlier imports left behind was never merged and never will be.
        sqlx::query!("DELETE FROM people_staging WHERE import_id <> $1", id)
            .execute(&mut *connection)
            .await?;
        sqlx::query!("DELETE FROM people_seen_staging WHERE import_id <> $1", id)
            .execute(&mut *connection)
            .await?;
        sqlx::query!("DELETE FROM memberships_staging WHERE import_id <> $1", id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(id.map(ImportId))
}

/// Says that the import is alive; false when another process gave it up meanwhile.
pub async fn beat(connection: &mut PgConnection, import: ImportId) -> Result<bool> {
    let result = sqlx::query!(
        "UPDATE imports SET heartbeat_at = now() WHERE id = $1 AND state = 'running'",
        import.0
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn fail(
    connection: &mut PgConnection,
    import: ImportId,
    now: DateTime<Utc>,
    requests: i64,
    code: &str,
    message: &str,
) -> Result<()> {
    sqlx::query!(
        "UPDATE imports SET state = 'failed', finished_at = $2, requests = $3, error_code = $4, error_message = $5
         WHERE id = $1 AND state = 'running'",
        import.0,
        now,
        requests,
        code,
        message,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Somebody to be staged, with a hash of what was read, if it was read in a listing.
#[derive(Debug, Clone)]
pub struct ReadPerson {
    pub person: Person,
    pub written: Option<Uuid>,
}

/// What everybody came with in the last import, as hashes.
pub async fn written(connection: &mut PgConnection) -> Result<HashSet<Uuid>> {
    let mut rows = sqlx::query_scalar!(
        "SELECT written AS \"written!\" FROM people WHERE written IS NOT NULL AND NOT purged"
    )
    .fetch(connection);
    let mut written = HashSet::new();
    while let Some(hash) = rows.try_next().await? {
        written.insert(hash);
    }
    Ok(written)
}

/// Stages people of a page who came exactly as they did last time; returns how many are new here.
pub async fn stage_seen(
    connection: &mut PgConnection,
    import: ImportId,
    written: &[Uuid],
) -> Result<u64> {
    let result = sqlx::query!(
        "INSERT INTO people_seen_staging (import_id, written)
         SELECT $1, hash FROM UNNEST($2::uuid[]) AS page (hash) ON CONFLICT DO NOTHING",
        import.0,
        written,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected())
}

/// How many of those who came as last time lack their flags.
pub async fn seen_without_flags(connection: &mut PgConnection, import: ImportId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM people p
         JOIN people_seen_staging s ON s.import_id = $1 AND s.written = p.written
         WHERE p.standing = 'unknown' AND NOT p.purged",
        import.0
    )
    .fetch_one(connection)
    .await?)
}

/// Stages one page of people; returns how many are new here.
pub async fn stage_people(
    connection: &mut PgConnection,
    import: ImportId,
    people: &[ReadPerson],
) -> Result<u64> {
    let mut ids = Vec::with_capacity(people.len());
    let mut emails = Vec::with_capacity(people.len());
    let mut names = Vec::with_capacity(people.len());
    let mut standings = Vec::with_capacity(people.len());
    let mut guests = Vec::with_capacity(people.len());
    let mut paths = Vec::with_capacity(people.len());
    let mut managers: Vec<Option<String>> = Vec::with_capacity(people.len());
    let mut addresses: Vec<String> = Vec::with_capacity(people.len());
    let mut bodies = Vec::with_capacity(people.len());
    let mut fingerprints: Vec<Vec<u8>> = Vec::with_capacity(people.len());
    let mut hashes: Vec<Option<Uuid>> = Vec::with_capacity(people.len());
    for ReadPerson { person, written } in people {
        hashes.push(*written);
        ids.push(person.id.to_string());
        emails.push(person.primary_email.clone());
        names.push(person.full_name());
        standings.push(person.standing.as_str().to_owned());
        guests.push(person.is_guest);
        paths.push(person.org_unit_path.clone());
        managers.push(person.manager_reference().map(str::to_lowercase));
        let mut known: Vec<String> = std::iter::once(&person.primary_email)
            .chain(&person.aliases)
            .map(|address| address.to_lowercase())
            .collect();
        known.sort();
        known.dedup();
        // Addresses hold no space: one text column carries the list through UNNEST.
        addresses.push(known.join(" "));
        bodies.push(encode(person)?);
        fingerprints.push(person.fingerprint().bytes().to_vec());
    }
    let result = sqlx::query!(
        "INSERT INTO people_staging (import_id, id, primary_email, full_name, standing, is_guest,
                                     org_unit_path, manager_email, addresses, person, fingerprint,
                                     written)
         SELECT $1, id, email, name, standing, guest, path, manager,
                string_to_array(addresses, ' '), person, fingerprint, written
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::text[],
                     $8::text[], $9::text[], $10::jsonb[], $11::bytea[], $12::uuid[])
              AS page (id, email, name, standing, guest, path, manager, addresses, person,
                       fingerprint, written)
         ON CONFLICT DO NOTHING",
        import.0,
        &ids,
        &emails,
        &names,
        &standings,
        &guests,
        &paths,
        &managers as &[Option<String>],
        &addresses,
        &bodies,
        &fingerprints,
        &hashes as &[Option<Uuid>],
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected())
}

/// One direct member as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub group_id: String,
    pub member_id: String,
    /// `USER`, `GROUP`, `CUSTOMER`, `EXTERNAL` or whatever Google says next.
    pub member_type: String,
    pub email: String,
    pub role: String,
    pub status: String,
}

pub async fn stage_members(
    connection: &mut PgConnection,
    import: ImportId,
    members: &[Member],
) -> Result<u64> {
    let column = |field: fn(&Member) -> &String| -> Vec<String> {
        members.iter().map(|member| field(member).clone()).collect()
    };
    let result = sqlx::query!(
        "INSERT INTO memberships_staging (import_id, group_id, member_id, member_type, email, role, status)
         SELECT $1, group_id, member_id, member_type, email, role, status
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
              AS page (group_id, member_id, member_type, email, role, status)
         ON CONFLICT DO NOTHING",
        import.0,
        &column(|m| &m.group_id),
        &column(|m| &m.member_id),
        &column(|m| &m.member_type),
        &column(|m| &m.email),
        &column(|m| &m.role),
        &column(|m| &m.status),
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected())
}

/// People of the last import that are in neither listing of this one (S1.4), odd ones apart.
pub async fn missing_people(
    connection: &mut PgConnection,
    import: ImportId,
    odd: &[String],
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT p.id FROM people p, imports i
         WHERE i.id = $1 AND NOT p.purged AND p.listed AND p.id <> ALL($2)
           AND (p.read_alone_at IS NULL OR p.read_alone_at <= i.started_at)
           AND NOT EXISTS (SELECT 1 FROM people_staging s WHERE s.import_id = $1 AND s.id = p.id)
           AND NOT EXISTS (SELECT 1 FROM people_seen_staging s
                           WHERE s.import_id = $1 AND s.written = p.written)
         ORDER BY p.id",
        import.0,
        odd,
    )
    .fetch_all(connection)
    .await?)
}

/// People who were read on their own, whom no listing has shown yet, and who were not read since this
/// import began.
pub async fn unlisted_people(
    connection: &mut PgConnection,
    import: ImportId,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT p.id FROM people p, imports i
         WHERE i.id = $1 AND NOT p.purged AND NOT p.listed AND p.read_alone_at <= i.started_at
           AND NOT EXISTS (SELECT 1 FROM people_staging s WHERE s.import_id = $1 AND s.id = p.id)
         ORDER BY p.id",
        import.0,
    )
    .fetch_all(connection)
    .await?)
}

/// How many people there were last time, and how many of them the main listing left out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished {
    pub before: i64,
    pub gone: i64,
}

pub async fn vanished(
    connection: &mut PgConnection,
    import: ImportId,
    odd: &[String],
) -> Result<Vanished> {
    Ok(sqlx::query_as!(
        Vanished,
        "SELECT count(*) AS \"before!\",
                count(*) FILTER (WHERE CASE WHEN s.id IS NULL THEN seen.written IS NULL
                                            ELSE s.standing = 'deleted' END) AS \"gone!\"
         FROM people p
         LEFT JOIN people_staging s ON s.import_id = $1 AND s.id = p.id
         LEFT JOIN people_seen_staging seen ON seen.import_id = $1 AND seen.written = p.written
         WHERE NOT p.purged AND p.listed AND p.standing <> 'deleted' AND p.id <> ALL($2)",
        import.0,
        odd,
    )
    .fetch_one(connection)
    .await?)
}

/// Which of these groups the last import knew.
pub async fn known_groups(connection: &mut PgConnection, ids: &[String]) -> Result<Vec<String>> {
    Ok(
        sqlx::query_scalar!("SELECT id FROM groups WHERE id = ANY($1)", ids)
            .fetch_all(connection)
            .await?,
    )
}

/// Whether an import was asked for all of these groups, given by id or lower-case address.
pub async fn was_asked_for(
    connection: &mut PgConnection,
    import: ImportId,
    groups: &[String],
) -> Result<bool> {
    let asked = sqlx::query_scalar!(
        "SELECT $2::text[] <@ asked_groups AS \"asked!\" FROM imports WHERE id = $1",
        import.0,
        groups,
    )
    .fetch_optional(connection)
    .await?;
    Ok(asked.unwrap_or(false))
}

/// Starts the listings of people again.
pub async fn clear_staged_people(connection: &mut PgConnection, import: ImportId) -> Result<()> {
    sqlx::query!("DELETE FROM people_staging WHERE import_id = $1", import.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "DELETE FROM people_seen_staging WHERE import_id = $1",
        import.0
    )
    .execute(connection)
    .await?;
    Ok(())
}

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

pub async fn latest(connection: &mut PgConnection) -> Result<Option<ImportSummary>> {
    one(connection, false, None).await
}

pub async fn latest_complete(connection: &mut PgConnection) -> Result<Option<ImportSummary>> {
    one(connection, true, None).await
}

pub async fn get(connection: &mut PgConnection, import: ImportId) -> Result<Option<ImportSummary>> {
    one(connection, false, Some(import)).await
}

async fn one(
    connection: &mut PgConnection,
    complete: bool,
    id: Option<ImportId>,
) -> Result<Option<ImportSummary>> {
    let row = sqlx::query!(
        "SELECT id, state, started_at, finished_at, people, deleted_people, unknown_people, groups,
                org_units, memberships, requests, odd, error_code, error_message
         FROM imports WHERE (NOT $1 OR state = 'complete') AND ($2::bigint IS NULL OR id = $2)
         ORDER BY id DESC LIMIT 1",
        complete,
        id.map(|id| id.0),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| ImportSummary {
        id: ImportId(row.id),
        state: row.state,
        started_at: row.started_at,
        finished_at: row.finished_at,
        counts: ImportCounts {
            people: row.people,
            deleted_people: row.deleted_people,
            unknown_people: row.unknown_people,
            groups: row.groups,
            org_units: row.org_units,
            memberships: row.memberships,
            requests: row.requests,
        },
        odd: row.odd,
        error_code: row.error_code,
        error_message: row.error_message,
    }))
}
