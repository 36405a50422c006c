//! Confirms the cause of a removal afresh before it is sent (S9.2): the person is read
//! individually, and the groups that decide are listed again once per batch of removals.

use std::collections::{BTreeMap, BTreeSet};

use provisioning::identity::{GroupId, Person, PersonId, Standing};
use provisioning::lifecycle::{Trigger, confirm_cause};
use provisioning::scope::{GroupMemberships, MemberRef, MembershipRow, expand_memberships};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::engine::Engine;
use super::inputs::World;
use crate::connectors::google_directory::GroupLookup;
use crate::connectors::{DirectoryError, GoogleDirectory, PersonLookup};
use crate::store::people;
use crate::sync::import::{ImportError, confirm_identity};

/// Whether the cause still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    Confirmed,
    /// Nothing may be sent; the sentence says what is different.
    NotConfirmed(String),
}

/// One batch of removals.
pub struct Confirmer<'a> {
    engine: &'a Engine,
    world: &'a World,
    concerned: BTreeSet<PersonId>,
    /// Read once for the batch, and so is what went wrong: it is not asked again for each person.
    directory: OnceCell<Result<GoogleDirectory, String>>,
    memberships: OnceCell<Result<Fresh, String>>,
}

struct Fresh {
    people: BTreeMap<PersonId, GroupMemberships>,
    /// Groups whose list says "everybody of this customer".
    of_everybody: GroupMemberships,
}

impl<'a> Confirmer<'a> {
    pub fn new(engine: &'a Engine, world: &'a World, concerned: BTreeSet<PersonId>) -> Self {
        Self {
            engine,
            world,
            concerned,
            directory: OnceCell::new(),
            memberships: OnceCell::new(),
        }
    }

    pub async fn confirm(
        &self,
        person: &PersonId,
        trigger: Trigger,
    ) -> Result<Confirmation, ImportError> {
        let directory = match self
            .directory
            .get_or_init(|| self.recorded_directory())
            .await
        {
            Ok(directory) => directory,
            Err(why) => return Ok(Confirmation::NotConfirmed(why.clone())),
        };
        let fresh = match directory.user(person).await? {
            PersonLookup::Found(user) => match Person::from_google(&user, false) {
                Ok(fresh) => fresh,
                Err(problem) => return Ok(Confirmation::NotConfirmed(problem.to_string())),
            },
            PersonLookup::Deleted | PersonLookup::NotFound => {
                let mut db = self.engine.connection().await?;
                let Some(stored) = people::get(&mut db, person).await? else {
                    return Ok(Confirmation::NotConfirmed(
                        "the person is not in the last import".to_owned(),
                    ));
                };
                Person {
                    standing: Standing::Deleted,
                    ..stored.person
                }
            }
        };
        // An org unit that was renamed meanwhile looks like one that inherits from above.
        if trigger == Trigger::AppTurnedOff
            && !self.world.facts.knows_org_unit(&fresh.org_unit_path)
        {
            return Ok(Confirmation::NotConfirmed(format!(
                "the org unit {} is not in the last import",
                fresh.org_unit_path
            )));
        }
        let memberships = match trigger {
            Trigger::AppTurnedOff => match self.memberships(directory, person).await {
                Ok(memberships) => memberships,
                Err(why) => return Ok(Confirmation::NotConfirmed(why)),
            },
            Trigger::Suspended | Trigger::Deleted => GroupMemberships::default(),
        };
        let decision = self.world.resolved.decide(&fresh, &memberships);
        Ok(match confirm_cause(trigger, &fresh, &decision) {
            Ok(()) => Confirmation::Confirmed,
            Err(why) => Confirmation::NotConfirmed(why),
        })
    }

    /// The directory, if it is still the recorded one: another customer's "not found" says nothing
    /// about this one's people.
    async fn recorded_directory(&self) -> Result<GoogleDirectory, String> {
        let asked = async {
            let directory = self.engine.directory().await?;
            confirm_identity(self.engine, &directory).await?;
            Ok::<_, ImportError>(directory)
        };
        asked.await.map_err(|error| error.to_string())
    }

    async fn memberships(
        &self,
        directory: &GoogleDirectory,
        person: &PersonId,
    ) -> Result<GroupMemberships, String> {
        let fresh = self
            .memberships
            .get_or_init(|| async {
                let listed = self.list_groups(directory).await;
                listed
                    .map_err(|error| format!("the groups that decide could not be listed: {error}"))
            })
            .await
            .as_ref()
            .map_err(Clone::clone)?;
        let mut all = fresh.of_everybody.clone();
        all.extend(fresh.people.get(person).cloned().unwrap_or_default());
        Ok(all)
    }

    /// Whether a nested group belongs to this directory; as in an import, others reach nobody.
    async fn is_ours(
        &self,
        directory: &GoogleDirectory,
        group: &GroupId,
    ) -> Result<bool, DirectoryError> {
        if self.world.facts.groups.contains_key(group) {
            return Ok(true);
        }
        match directory.group(group).await {
            Ok(GroupLookup::Found(_)) => Ok(true),
            Ok(GroupLookup::NotFound) | Err(DirectoryError::Forbidden { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lists every group that decides, and those nested in them, the newest ones too. One that
    /// can't be listed is an error: nobody is removed because a group could not be read.
    async fn list_groups(&self, directory: &GoogleDirectory) -> Result<Fresh, ImportError> {
        let named = self.world.resolved.named_groups();
        let everybody = PersonId::from("\u{0}everybody");
        let mut rows = Vec::new();
        let mut to_read: Vec<GroupId> = named.iter().cloned().collect();
        let mut read: BTreeSet<GroupId> = named.clone();
        while let Some(group) = to_read.pop() {
            let mut listing = directory.members(&group);
            loop {
                let page = match listing.next_page().await {
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(error) => return Err(error.into()),
                };
                for member in page {
                    let Some(id) = member.get("id").and_then(Value::as_str) else {
                        continue;
                    };
                    match member
                        .get("type")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                    {
                        "GROUP" => {
                            let nested = GroupId::from(id);
                            if read.insert(nested.clone())
                                && self.is_ours(directory, &nested).await?
                            {
                                to_read.push(nested.clone());
                            }
                            rows.push(MembershipRow {
                                group: group.clone(),
                                member: MemberRef::Group(nested),
                            });
                        }
                        "CUSTOMER" => rows.push(MembershipRow {
                            group: group.clone(),
                            member: MemberRef::Person(everybody.clone()),
                        }),
                        _ => {
                            let person = PersonId::from(id);
                            if self.concerned.contains(&person) {
                                rows.push(MembershipRow {
                                    group: group.clone(),
                                    member: MemberRef::Person(person),
                                });
                            }
                        }
                    }
                }
            }
        }
        let mut people = expand_memberships(&rows, &named);
        Ok(Fresh {
            of_everybody: people.remove(&everybody).unwrap_or_default(),
            people,
        })
    }
}
