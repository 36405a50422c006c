//! Members of the groups that apps name: each group whole, or not at all (S1.3, S5.1).
//!
//! What is wrong with one group concerns only the apps that name it: it is left out of what the
//! import read, and planning of those apps stops.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use provisioning::identity::GroupId;
use serde_json::Value;

use super::{IN_FLIGHT, ImportError, Reading, SECOND_LOOK, count, direct_members, text};
use crate::connectors::{DirectoryError, GoogleDirectory, GroupLookup};
use crate::store::imports::{self, Member, ReachRow};

/// What became of reading one group.
enum GroupRead {
    Members(Vec<Value>),
    /// A second look may bring them.
    Doubtful,
    /// Google does not know it any more, asked twice.
    Gone,
    /// It is there, but its members can't be had this time.
    Unreadable(String),
}

/// Groups while they are read.
#[derive(Default)]
struct Groups {
    /// Which group lists which as a member.
    nesting: BTreeMap<String, Vec<String>>,
    read: BTreeSet<String>,
    /// Why a group's members are not known.
    unreadable: BTreeMap<String, String>,
    gone: BTreeSet<String>,
    /// Nested groups that the listing of groups does not have.
    strange: BTreeMap<String, String>,
}

/// What the members of a level added up to.
#[derive(Default)]
struct Listed {
    memberships: i32,
    odd: Vec<(Option<String>, String)>,
}

impl Reading<'_> {
    /// Direct members of the named groups and of every group nested in them; cycles end.
    pub(super) async fn members(
        &mut self,
        named: &BTreeSet<GroupId>,
        named_emails: &BTreeSet<String>,
    ) -> Result<(), ImportError> {
        let stated: BTreeMap<String, i64> = self
            .small
            .groups
            .iter()
            .map(|group| (group.id.clone(), group.direct_members))
            .collect();
        let roots: BTreeSet<String> = self
            .small
            .groups
            .iter()
            .filter(|group| {
                named.contains(&GroupId::from(group.id.clone()))
                    || std::iter::once(&group.email)
                        .chain(&group.aliases)
                        .any(|address| named_emails.contains(&address.to_lowercase()))
            })
            .map(|group| group.id.clone())
            .collect();
        let ids = named.iter().map(|id| id.as_str().to_owned());
        let asked: BTreeSet<String> = ids
            .chain(named_emails.iter().cloned())
            .chain(roots.iter().cloned())
            .collect();
        self.small.asked_groups = asked.into_iter().collect();

        let mut groups = Groups::default();
        let mut seen = roots.clone();
        let mut to_read: Vec<String> = roots.iter().cloned().collect();
        while !to_read.is_empty() {
            to_read = self
                .one_level(
                    std::mem::take(&mut to_read),
                    &stated,
                    &mut groups,
                    &mut seen,
                )
                .await?;
            self.beat().await?;
        }
        self.strange_groups(&mut groups).await?;
        self.keep(&roots, groups);
        Ok(())
    }

    /// Reads these groups; returns those nested in them that were not read yet.
    async fn one_level(
        &mut self,
        ids: Vec<String>,
        stated: &BTreeMap<String, i64>,
        groups: &mut Groups,
        seen: &mut BTreeSet<String>,
    ) -> Result<Vec<String>, ImportError> {
        let mut deeper = Vec::new();
        let reading = &*self;
        let mut reads = stream::iter(ids)
            .map(|id| async move {
                let expected = stated.get(&id).copied().unwrap_or(0);
                let group = GroupId::from(id.as_str());
                let read = reading.first_look(&group, expected).await?;
                Ok::<_, ImportError>((id, read))
            })
            .buffered(IN_FLIGHT);
        let mut doubtful = Vec::new();
        let mut listed = Listed::default();
        while let Some((group, read)) = reads.try_next().await? {
            if matches!(read, GroupRead::Doubtful) {
                doubtful.push(group);
            } else {
                let nested = reading.take(group, read, groups, &mut listed).await?;
                deeper.extend(nested);
            }
        }
        drop(reads);
        if !doubtful.is_empty() {
            // Google's lists and counts lag behind each other. One pause does for all of them.
            self.engine.outgoing().timer().wait(SECOND_LOOK).await;
            let reading = &*self;
            let mut reads = stream::iter(doubtful)
                .map(|id| async move {
                    let read = reading.second_look(&GroupId::from(id.as_str())).await?;
                    Ok::<_, ImportError>((id, read))
                })
                .buffered(IN_FLIGHT);
            while let Some((group, read)) = reads.try_next().await? {
                let nested = reading.take(group, read, groups, &mut listed).await?;
                deeper.extend(nested);
            }
        }
        self.counts.memberships += listed.memberships;
        for (who, why) in listed.odd {
            self.odd.note("member", who, &why);
        }
        let mut unread = Vec::new();
        for (id, email) in deeper {
            if !stated.contains_key(&id) {
                groups.strange.insert(id, email);
            } else if seen.insert(id.clone()) {
                unread.push(id);
            }
        }
        Ok(unread)
    }

    /// Takes what became of a group; returns the groups that it lists, with their addresses.
    async fn take(
        &self,
        group: String,
        read: GroupRead,
        groups: &mut Groups,
        listed: &mut Listed,
    ) -> Result<Vec<(String, String)>, ImportError> {
        let members = match read {
            GroupRead::Members(members) => members,
            GroupRead::Gone => {
                groups.gone.insert(group);
                return Ok(Vec::new());
            }
            GroupRead::Unreadable(why) => {
                groups.unreadable.insert(group, why);
                return Ok(Vec::new());
            }
            GroupRead::Doubtful => return Ok(Vec::new()),
        };
        let mut nested = Vec::new();
        let mut rows = Vec::with_capacity(members.len());
        for member in &members {
            let Some(row) = member_row(&group, member) else {
                let why = format!("a member of {group} has no id");
                listed.odd.push((text(member, "email"), why));
                continue;
            };
            if row.member_type == "GROUP" {
                nested.push((row.member_id.clone(), row.email.clone()));
            }
            rows.push(row);
        }
        listed.memberships += count(rows.len());
        for page in rows.chunks(1000) {
            let mut db = self.engine.connection().await?;
            imports::stage_members(&mut db, self.import, page).await?;
        }
        let ids = nested.iter().map(|(id, _)| id.clone()).collect();
        groups.nesting.insert(group.clone(), ids);
        groups.read.insert(group);
        Ok(nested)
    }

    /// A nested group that is missing from the listing of groups is asked for when it was there last
    /// time or has an address of ours: a listing that comes short, or a group that was made
    /// meanwhile, must not empty the groups around it.
    async fn strange_groups(&mut self, groups: &mut Groups) -> Result<(), ImportError> {
        let ids: Vec<String> = groups.strange.keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut db = self.engine.connection().await?;
        let known: BTreeSet<String> = imports::known_groups(&mut db, &ids)
            .await?
            .into_iter()
            .collect();
        drop(db);
        for (id, email) in std::mem::take(&mut groups.strange) {
            let is_ours = email.rsplit_once('@').is_some_and(|(_, domain)| {
                let mut domains = self.small.domains.iter();
                domains.any(|ours| ours.name.eq_ignore_ascii_case(domain))
            });
            if (known.contains(&id) || is_ours)
                && self.is_still_there(&GroupId::from(id.as_str())).await?
            {
                let why = format!("Google left {email} out of its listing of groups");
                groups.unreadable.insert(id, why);
            } else {
                let why = "a nested group from outside the directory";
                self.odd.note("member", Some(email), why);
            }
        }
        Ok(())
    }

    async fn is_still_there(&self, group: &GroupId) -> Result<bool, ImportError> {
        for again in [false, true] {
            if again {
                self.engine.outgoing().timer().wait(SECOND_LOOK).await;
            }
            match self.directory.group(group).await {
                Ok(GroupLookup::NotFound) => {}
                Ok(GroupLookup::Found(_)) | Err(DirectoryError::Forbidden { .. }) => {
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Keeps what is whole: a group counts as read when every group that it reaches was.
    fn keep(&mut self, roots: &BTreeSet<String>, groups: Groups) {
        let mut tainted: BTreeSet<String> = groups.unreadable.keys().cloned().collect();
        tainted.extend(groups.gone.iter().cloned());
        loop {
            let around: Vec<String> = groups
                .nesting
                .iter()
                .filter(|(group, nested)| {
                    !tainted.contains(*group) && nested.iter().any(|id| tainted.contains(id))
                })
                .map(|(group, _)| group.clone())
                .collect();
            if around.is_empty() {
                break;
            }
            tainted.extend(around);
        }
        for (group, why) in &groups.unreadable {
            let listed = self.small.groups.iter().find(|row| row.id == *group);
            let who = listed.map_or_else(|| group.clone(), |row| row.email.clone());
            self.odd.note("group", Some(who), why);
        }
        // What Google does not know any more is in no listing: apps that name it stop and say so.
        self.small
            .groups
            .retain(|group| !groups.gone.contains(&group.id));
        let whole: BTreeSet<String> = groups.read.difference(&tainted).cloned().collect();
        self.small.reach = roots
            .intersection(&whole)
            .flat_map(|root| reach(root, &groups.nesting, &whole))
            .collect();
        self.small.read_groups = whole.into_iter().collect();
    }

    async fn first_look(&self, group: &GroupId, stated: i64) -> Result<GroupRead, ImportError> {
        Ok(match try_members(self.directory, group, stated).await? {
            Try::Members(members) => GroupRead::Members(members),
            Try::Refused(why) => GroupRead::Unreadable(why),
            Try::Doubtful(_) => GroupRead::Doubtful,
        })
    }

    /// Against what the group says of itself by now.
    async fn second_look(&self, group: &GroupId) -> Result<GroupRead, ImportError> {
        let stated = match self.directory.group(group).await {
            Ok(GroupLookup::Found(shown)) => direct_members(&shown),
            Ok(GroupLookup::NotFound) => return Ok(GroupRead::Gone),
            Err(error @ DirectoryError::Forbidden { .. }) => {
                return Ok(GroupRead::Unreadable(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(match try_members(self.directory, group, stated).await? {
            Try::Members(members) => GroupRead::Members(members),
            Try::Doubtful(why) | Try::Refused(why) => GroupRead::Unreadable(why),
        })
    }
}

/// One try at the members of a group.
enum Try {
    Members(Vec<Value>),
    Doubtful(String),
    Refused(String),
}

async fn try_members(
    directory: &GoogleDirectory,
    group: &GroupId,
    stated: i64,
) -> Result<Try, ImportError> {
    let members = match directory.members(group).all().await {
        Ok(members) => members,
        Err(error @ (DirectoryError::NotFound { .. } | DirectoryError::ListingExpired { .. })) => {
            return Ok(Try::Doubtful(error.to_string()));
        }
        Err(error @ (DirectoryError::Forbidden { .. } | DirectoryError::Rejected { .. })) => {
            return Ok(Try::Refused(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let listed = i64::from(count(members.len()));
    Ok(if listed < stated {
        Try::Doubtful(format!("only {listed} of its {stated} members were listed"))
    } else {
        Try::Members(members)
    })
}

/// Every group that a root reaches, with the shortest way there; the root itself has an empty one.
pub fn reach(
    root: &str,
    nesting: &BTreeMap<String, Vec<String>>,
    read: &BTreeSet<String>,
) -> Vec<ReachRow> {
    let mut ways: BTreeMap<&str, Vec<String>> = BTreeMap::from([(root, Vec::new())]);
    let mut queue = VecDeque::from([root]);
    while let Some(group) = queue.pop_front() {
        let way = ways.get(group).cloned().unwrap_or_default();
        for nested in nesting.get(group).into_iter().flatten() {
            if read.contains(nested) && !ways.contains_key(nested.as_str()) {
                let mut longer = way.clone();
                longer.push(nested.clone());
                ways.insert(nested, longer);
                queue.push_back(nested);
            }
        }
    }
    ways.into_iter()
        .map(|(group, path)| ReachRow {
            root_id: root.to_owned(),
            group_id: group.to_owned(),
            path,
        })
        .collect()
}

pub(crate) fn member_row(group: &str, member: &Value) -> Option<Member> {
    Some(Member {
        group_id: group.to_owned(),
        member_id: text(member, "id")?,
        member_type: text(member, "type").unwrap_or_default(),
        email: text(member, "email").unwrap_or_default(),
        role: text(member, "role").unwrap_or_default(),
        status: text(member, "status").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(group, nested)| {
                (
                    (*group).to_owned(),
                    nested.iter().map(|id| (*id).to_owned()).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn a_cycle_of_groups_ends_and_the_shortest_way_is_kept() {
        let nesting = groups(&[
            ("a", &["b", "c"]),
            ("b", &["c", "a"]),
            ("c", &["d"]),
            ("d", &["a"]),
        ]);
        let read = ["a", "b", "c", "d"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let reached = reach("a", &nesting, &read);
        let ways: Vec<_> = reached
            .iter()
            .map(|row| (row.group_id.as_str(), row.path.join(">")))
            .collect();
        assert_eq!(
            ways,
            [
                ("a", String::new()),
                ("b", "b".into()),
                ("c", "c".into()),
                ("d", "c>d".into())
            ]
        );
    }

    #[test]
    fn a_nested_group_from_outside_is_not_reached() {
        let nesting = groups(&[("a", &["outside"])]);
        let read = ["a".to_owned()].into();
        assert_eq!(reach("a", &nesting, &read).len(), 1);
    }
}
