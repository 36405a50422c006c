//! People who are read on their own, outside of an import (S8.3, S8.10).

use super::{Result, encode};
use chrono::{DateTime, Utc};
use provisioning::identity::{Person, PersonId, Standing};
use sqlx::PgConnection;

/// Keeps a person as Google just showed them. Somebody new counts as not listed until an import
/// lists them.
pub async fn save(
    connection: &mut PgConnection,
    person: &Person,
    now: DateTime<Utc>,
) -> Result<()> {
    let id = person.id.to_string();
    sqlx::query!(
        "INSERT INTO people (id, primary_email, full_name, standing, is_guest, org_unit_path, manager_email,
                             person, fingerprint, seen_in, changed_in, read_alone_at, listed)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, latest.id, latest.id, $10, false
         FROM (SELECT COALESCE(max(id), 0) AS id FROM imports WHERE state = 'complete') AS latest
         ON CONFLICT (id) DO UPDATE SET
             primary_email = excluded.primary_email, full_name = excluded.full_name,
             standing = excluded.standing, is_guest = excluded.is_guest,
             org_unit_path = excluded.org_unit_path, manager_email = excluded.manager_email,
             person = excluded.person, fingerprint = excluded.fingerprint, purged = false,
             read_alone_at = $10, written = NULL",
        id,
        person.primary_email,
        person.full_name(),
        person.standing.as_str(),
        person.is_guest,
        person.org_unit_path,
        person.manager_reference().map(str::to_lowercase),
        encode(person)?,
        &person.fingerprint().bytes(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    let mut addresses: Vec<String> = std::iter::once(&person.primary_email)
        .chain(&person.aliases)
        .map(|address| address.to_lowercase())
        .collect();
    addresses.sort();
    addresses.dedup();
    sqlx::query!(
        "DELETE FROM person_addresses WHERE person_id = $1 AND address <> ALL($2)",
        id,
        &addresses
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO person_addresses (address, person_id) SELECT unnest($2::text[]), $1
         ON CONFLICT DO NOTHING",
        id,
        &addresses
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Google does not have the person any more; `purged` when it does not even know the id.
pub async fn delete(
    connection: &mut PgConnection,
    person: &PersonId,
    purged: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let id = person.to_string();
    if let Some(stored) = super::people::get(&mut *connection, person).await? {
        let gone = Person {
            standing: Standing::Deleted,
            ..stored.person
        };
        sqlx::query!(
            "UPDATE people SET standing = 'deleted', person = $2, fingerprint = $3, purged = purged OR $4,
                    read_alone_at = $5, written = NULL
             WHERE id = $1",
            id,
            encode(&gone)?,
            &gone.fingerprint().bytes(),
            purged,
            now,
        )
        .execute(&mut *connection)
        .await?;
    }
    set_groups(connection, person, "", &[]).await
}

/// The person's direct memberships, of those groups whose members are known at all.
pub async fn set_groups(
    connection: &mut PgConnection,
    person: &PersonId,
    email: &str,
    groups: &[String],
) -> Result<()> {
    let id = person.to_string();
    sqlx::query!(
        "DELETE FROM memberships WHERE member_id = $1 AND group_id <> ALL($2)",
        id,
        groups
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO memberships (group_id, member_id, member_type, email, role, status)
         SELECT group_id, $1, 'USER', $3, 'MEMBER', 'ACTIVE' FROM group_reads WHERE group_id = ANY($2)
         ON CONFLICT DO NOTHING",
        id,
        groups,
        email,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Who of these was read on their own at this time or later.
pub async fn read_since(
    connection: &mut PgConnection,
    people: &[String],
    since: DateTime<Utc>,
) -> Result<Vec<PersonId>> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM people WHERE id = ANY($1) AND read_alone_at >= $2",
        people,
        since
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(PersonId::from)
    .collect())
}

/// Whether members of any group decide about anything.
pub async fn groups_matter(connection: &mut PgConnection) -> Result<bool> {
    Ok(
        sqlx::query_scalar!("SELECT EXISTS (SELECT 1 FROM group_reads) AS \"matter!\"")
            .fetch_one(connection)
            .await?,
    )
}
