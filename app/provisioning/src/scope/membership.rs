use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::identity::{GroupId, PersonId};

/// The named groups that one person is in. Google has no word for "not a member": absent.
pub type GroupMemberships = BTreeMap<GroupId, MemberKind>;

/// Direct wins over nested, and a shorter path over a longer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    Direct,
    /// The groups on the way from the named group down to the one that lists the person.
    Nested {
        path: Vec<GroupId>,
    },
}

/// One line of a group's members list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRow {
    pub group: GroupId,
    pub member: MemberRef,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRef {
    Person(PersonId),
    Group(GroupId),
}

/// Who is in the `named` groups, directly or through groups in groups. Cycles are tolerated.
pub fn expand_memberships<'a>(
    rows: impl IntoIterator<Item = &'a MembershipRow>,
    named: &BTreeSet<GroupId>,
) -> BTreeMap<PersonId, GroupMemberships> {
    let mut people: BTreeMap<&GroupId, Vec<&PersonId>> = BTreeMap::new();
    let mut nested: BTreeMap<&GroupId, BTreeSet<&GroupId>> = BTreeMap::new();
    for row in rows {
        match &row.member {
            MemberRef::Person(person) => people.entry(&row.group).or_default().push(person),
            MemberRef::Group(group) => {
                nested.entry(&row.group).or_default().insert(group);
            }
        }
    }
    let mut expanded: BTreeMap<PersonId, GroupMemberships> = BTreeMap::new();
    for root in named {
        let mut seen = BTreeSet::from([root]);
        // Breadth first, so the first path to a person is a shortest one.
        let mut queue: VecDeque<(&GroupId, Vec<GroupId>)> = VecDeque::from([(root, Vec::new())]);
        while let Some((group, path)) = queue.pop_front() {
            for person in people.get(group).into_iter().flatten() {
                expanded
                    .entry((*person).clone())
                    .or_default()
                    .entry(root.clone())
                    .or_insert_with(|| {
                        if path.is_empty() {
                            MemberKind::Direct
                        } else {
                            MemberKind::Nested { path: path.clone() }
                        }
                    });
            }
            for child in nested.get(group).into_iter().flatten() {
                if seen.insert(*child) {
                    let mut path = path.clone();
                    path.push((*child).clone());
                    queue.push_back((*child, path));
                }
            }
        }
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: &str, member: MemberRef) -> MembershipRow {
        MembershipRow {
            group: group.into(),
            member,
        }
    }

    #[test]
    fn nested_groups_are_followed_through_cycles_and_the_shortest_path_is_kept() {
        let group = |id: &str| MemberRef::Group(id.into());
        let person = |id: &str| MemberRef::Person(id.into());
        let rows = [
            row("a", group("b")),
            row("b", group("c")),
            row("c", group("a")),
            row("a", group("c")),
            row("a", person("1")),
            row("b", person("1")),
            row("c", person("2")),
            row("other", person("3")),
        ];
        let named = BTreeSet::from(["a".into(), "b".into()]);
        let expanded = expand_memberships(&rows, &named);
        let one = &expanded[&"1".into()];
        assert_eq!(one[&"a".into()], MemberKind::Direct);
        assert_eq!(one[&"b".into()], MemberKind::Direct);
        let two = &expanded[&"2".into()];
        assert_eq!(
            two[&"a".into()],
            MemberKind::Nested {
                path: vec!["c".into()]
            }
        );
        assert_eq!(
            two[&"b".into()],
            MemberKind::Nested {
                path: vec!["c".into()]
            }
        );
        assert!(!expanded.contains_key(&"3".into()));
    }
}
