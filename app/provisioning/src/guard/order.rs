use std::collections::{BTreeMap, BTreeSet};

use super::OperationSummary;
use crate::identity::PersonId;

/// How many have to go before each person at least: managers before their reports, a rename before
/// the one who takes the name, reports before their manager's account is deleted. Cycles are tolerated. `waits_for` names a person and those before.
pub fn levels<'a, W>(
    waits_for: impl IntoIterator<Item = (&'a PersonId, W)>,
) -> BTreeMap<&'a PersonId, usize>
where
    W: IntoIterator<Item = &'a PersonId>,
{
    let mut before: BTreeMap<&PersonId, Vec<&PersonId>> = BTreeMap::new();
    for (person, others) in waits_for {
        before.entry(person).or_default().extend(others);
    }
    let mut levels = BTreeMap::new();
    for person in before.keys() {
        settle(person, &before, &mut levels);
    }
    levels
}

/// The order in which operations are sent, as indexes into `operations`: managers before their
/// reports, a rename before the one who takes the name, and otherwise as they came. Cycles are
/// tolerated. Operations of one person keep their order.
pub fn order(operations: &[OperationSummary]) -> Vec<usize> {
    let levels = levels(
        operations
            .iter()
            .map(|one| (&one.person, one.manager.iter().chain(&one.after))),
    );
    let mut indexes: Vec<usize> = (0..operations.len()).collect();
    indexes.sort_by_key(|index| levels.get(&operations[*index].person).copied().unwrap_or(0));
    indexes
}

/// Gives `person`, and whoever has to go before, their levels. Iterative: chains may be long.
fn settle<'a>(
    person: &'a PersonId,
    before: &BTreeMap<&'a PersonId, Vec<&'a PersonId>>,
    levels: &mut BTreeMap<&'a PersonId, usize>,
) {
    // On the stack: a person, and whether those before them are settled.
    let mut stack = vec![(person, false)];
    let mut open: BTreeSet<&PersonId> = BTreeSet::new();
    while let Some((at, settled)) = stack.pop() {
        if levels.contains_key(at) {
            continue;
        }
        let waits_for = before.get(at).map_or(&[] as &[&PersonId], Vec::as_slice);
        if settled {
            open.remove(at);
            // Whoever is still open here closes a cycle and is not waited for.
            let level = waits_for
                .iter()
                .filter_map(|one| levels.get(*one))
                .map(|l| l + 1)
                .max();
            levels.insert(at, level.unwrap_or(0));
            continue;
        }
        if !open.insert(at) {
            continue;
        }
        stack.push((at, true));
        for one in waits_for {
            if before.contains_key(one) && !levels.contains_key(one) && !open.contains(*one) {
                stack.push((one, false));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Standing;
    use crate::plan::OperationKind;

    fn operation(person: &str, manager: Option<&str>, after: Option<&str>) -> OperationSummary {
        OperationSummary {
            person: person.into(),
            kind: OperationKind::Create,
            account: None,
            user_name: None,
            standing: Standing::Active,
            link: None,
            trigger: None,
            due_at: None,
            triggers: vec![],
            protected: false,
            allowed: false,
            manager: manager.map(PersonId::from),
            after: after.map(PersonId::from),
            moves_from: None,
        }
    }

    fn ordered(operations: &[OperationSummary]) -> Vec<&str> {
        order(operations)
            .into_iter()
            .map(|index| operations[index].person.as_str())
            .collect()
    }

    #[test]
    fn managers_go_before_their_reports_and_renames_before_the_new_holder() {
        let operations = [
            operation("1", Some("2"), None),
            operation("2", Some("3"), None),
            operation("3", Some("elsewhere"), None),
            operation("4", None, Some("1")),
            operation("5", None, None),
        ];
        assert_eq!(ordered(&operations), ["3", "5", "2", "1", "4"]);
    }

    #[test]
    fn cycles_are_tolerated_and_nobody_is_lost() {
        let operations = [
            operation("1", Some("2"), None),
            operation("2", Some("3"), None),
            operation("3", Some("1"), None),
            operation("4", Some("4"), None),
            operation("5", Some("1"), None),
            operation("1", Some("2"), None),
        ];
        let mut all = order(&operations);
        let reports = ordered(&operations);
        assert!(reports.iter().position(|p| *p == "5") > reports.iter().position(|p| *p == "1"));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_chain_of_many_managers_is_no_trouble() {
        let chain: Vec<OperationSummary> = (0..20_000)
            .map(|n| operation(&n.to_string(), Some(&(n + 1).to_string()), None))
            .collect();
        let order = order(&chain);
        assert_eq!((order[0], order[19_999]), (19_999, 0));
    }
}
