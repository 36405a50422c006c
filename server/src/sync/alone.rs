//! Reads single people of the directory outside of an import (S8.3, S8.10): with the groups that
//! list them, and the causes that begin or end with what was found.
//!
//! What is the same for everybody must be as it was at the last import; where it is not (another
//! directory, an org unit moved), the directory is read whole instead.

use std::collections::BTreeMap;

use provisioning::identity::{Person, PersonId, Standing};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::Engine;
use super::import::{self, ImportError, SECOND_LOOK};
use super::lease::Lease;
use super::observing::observe_some;
use super::reading::{Wanted, read_directory};
use super::run::RunError;
use crate::connectors::{GoogleDirectory, PersonLookup};
use crate::store::imports::{self, ImportId};
use crate::store::people_alone;
use crate::store::runs::Run;
use crate::store::{StoreError, groups, people};

/// What came of reading one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// False: nothing is known of the person, so nothing is planned.
    pub known: bool,
    /// What was found, in a sentence.
    pub detail: String,
}

/// Reads the people of a run that is for some.
pub async fn read_people(
    engine: &Engine,
    run: &Run,
    lease: &Lease,
) -> Result<BTreeMap<PersonId, Read>, RunError> {
    let wanted = &run.only_people;
    let mut read = BTreeMap::new();
    if !run.fresh_import {
        // For another app, since they were asked for.
        let ids: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let mut db = engine.connection().await?;
        for id in people_alone::read_since(&mut db, &ids, run.queued_at).await? {
            let detail = "Read a moment ago, for another app".to_owned();
            read.insert(
                id,
                Read {
                    known: true,
                    detail,
                },
            );
        }
    }
    let to_read: Vec<PersonId> = (wanted.iter())
        .filter(|id| !read.contains_key(*id))
        .cloned()
        .collect();
    if to_read.is_empty() {
        return Ok(read);
    }
    let directory = engine.directory().await?;
    if let Some(why) = must_be_read_whole(engine, &directory).await? {
        let may_go_on = || lease.check();
        read_directory(
            engine,
            Wanted::NewerThan(ImportId(run.after_import)),
            &may_go_on,
        )
        .await?;
        let mut db = engine.connection().await?;
        for id in to_read {
            let known = people::get(&mut db, &id).await?.is_some();
            let detail = match known {
                true => format!("The directory was read whole, because {why}"),
                false => format!("Not in the directory, which was read whole, because {why}"),
            };
            read.insert(id, Read { known, detail });
        }
        return Ok(read);
    }
    let found = look_up(engine, &directory, &to_read).await?;
    let stored: Vec<PersonId> = (found.iter())
        .filter(|(_, one)| one.known)
        .map(|(id, _)| id.clone())
        .collect();
    read.extend(found);
    observe_some(engine, &stored).await?;
    Ok(read)
}

/// Reads these people and keeps what was found. Causes are not looked at.
pub(super) async fn look_up(
    engine: &Engine,
    directory: &GoogleDirectory,
    wanted: &[PersonId],
) -> Result<BTreeMap<PersonId, Read>, ImportError> {
    let mut read = BTreeMap::new();
    for id in wanted {
        read.insert(id.clone(), look_up_one(engine, directory, id).await?);
    }
    Ok(read)
}

/// Why single people can't be judged by the last import; `None` when they can.
async fn must_be_read_whole(
    engine: &Engine,
    directory: &GoogleDirectory,
) -> Result<Option<&'static str>, RunError> {
    let mut db = engine.connection().await?;
    if imports::latest_complete(&mut db).await?.is_none() {
        return Ok(Some("it was never read before"));
    }
    let mut known = groups::org_units(&mut db).await?;
    drop(db);
    match import::confirm_identity(engine, directory).await {
        Ok(_) => {}
        Err(ImportError::OtherTenant { .. }) => return Ok(Some("it is another one")),
        Err(error) => return Err(error.into()),
    }
    let units = directory.org_units().await.map_err(ImportError::from)?;
    let mut units: Vec<_> = units.iter().filter_map(import::org_unit).collect();
    units.sort_by(|a, b| a.id.cmp(&b.id));
    units.dedup_by(|a, b| a.id == b.id);
    known.sort_by(|a, b| a.id.cmp(&b.id));
    let same = units.len() == known.len()
        && (units.iter().zip(&known)).all(|(now, then)| now.id == then.id && now.path == then.path);
    Ok((!same).then_some("its org units changed"))
}

async fn look_up_one(
    engine: &Engine,
    directory: &GoogleDirectory,
    id: &PersonId,
) -> Result<Read, ImportError> {
    let mut found = directory.user(id).await?;
    if found == PersonLookup::NotFound {
        // Google says so of people it knows, too; once proves nothing.
        engine.outgoing().timer().wait(SECOND_LOOK).await;
        found = directory.user(id).await?;
    }
    let now = engine.clock.now();
    let user = match found {
        PersonLookup::Found(user) => user,
        gone @ (PersonLookup::Deleted | PersonLookup::NotFound) => {
            let purged = gone == PersonLookup::NotFound;
            let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
            let known = people::get(&mut transaction, id).await?.is_some();
            people_alone::delete(&mut transaction, id, purged, now).await?;
            transaction.commit().await.map_err(StoreError::from)?;
            let detail = match purged {
                true => "Google does not know the person (any more)",
                false => "Deleted from Google",
            };
            let detail = detail.to_owned();
            return Ok(Read { known, detail });
        }
    };
    let person = match Person::from_google(&user, false) {
        Ok(person) if person.id == *id => person,
        Ok(other) => {
            let detail = format!("Google answered with somebody else, {}", other.id);
            return Ok(Read {
                known: false,
                detail,
            });
        }
        Err(problem) => {
            let detail = format!("What Google answered can't be read: {problem}");
            return Ok(Read {
                known: false,
                detail,
            });
        }
    };
    let mut db = engine.connection().await?;
    let groups_matter = people_alone::groups_matter(&mut db).await?;
    let before = people::get(&mut db, id).await?;
    drop(db);
    let mut member_of = Vec::new();
    if groups_matter {
        let mut listing = directory.groups_of(id);
        while let Some(page) = listing.next_page().await? {
            let ids = page.iter().filter_map(|group| group.get("id"));
            member_of.extend(ids.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    people_alone::save(&mut transaction, &person, now).await?;
    if groups_matter {
        let email = &person.primary_email;
        people_alone::set_groups(&mut transaction, id, email, &member_of).await?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    let news = match &before {
        None => "new here",
        Some(before) if before.person.fingerprint() == person.fingerprint() => "as before",
        Some(_) => "changed since the last reading",
    };
    let groups = match member_of.len() {
        _ if !groups_matter => String::new(),
        0 => ", in no group".to_owned(),
        1 => ", in 1 group".to_owned(),
        many => format!(", in {many} groups"),
    };
    let detail = format!(
        "{} in Google, {}{groups}; {news}",
        standing(person.standing),
        person.org_unit_path
    );
    Ok(Read {
        known: true,
        detail,
    })
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "Active",
        Standing::Suspended => "Suspended",
        Standing::Archived => "Archived",
        Standing::Deleted => "Deleted",
        Standing::Unknown => "In a state that Google does not tell",
    }
}

/// Whom Google knows by this id or address, for somebody who is not in the last import.
pub async fn find(engine: &Engine, key: &str) -> Result<Option<PersonId>, ImportError> {
    let directory = engine.directory().await?;
    Ok(match directory.user_by_key(key).await? {
        PersonLookup::Found(user) => user.get("id").and_then(Value::as_str).map(PersonId::from),
        PersonLookup::Deleted | PersonLookup::NotFound => None,
    })
}
