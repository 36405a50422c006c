//! Pages of a reading as they arrive; nothing of them counts before the merge.

use std::collections::HashSet;

use super::ImportId;
use crate::store::{Result, encode};
use futures::TryStreamExt as _;
use provisioning::identity::Person;
use sqlx::PgConnection;
use uuid::Uuid;

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
