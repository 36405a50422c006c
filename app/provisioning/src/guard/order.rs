use std::collections::BTreeMap;

use super::OperationSummary;
use crate::identity::PersonId;

/// The order in which operations are sent, as indexes into `operations`: managers before their
/// reports, a rename before the one who takes the name, and otherwise as they came. Cycles are
/// tolerated. Operations of one person keep their order.
pub fn order(operations: &[OperationSummary]) -> Vec<usize> {
    let mut before: BTreeMap<&PersonId, Vec<&PersonId>> = BTreeMap::new();
    for operation in operations {
        let waits_for = before.entry(&operation.person).or_default();
        waits_for.extend(operation.manager.iter().chain(&operation.after));
    }
    let mut levels: BTreeMap<&PersonId, usize> = BTreeMap::new();
    for person in before.keys() {
        settle(person, &before, &mut levels);
    }
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
    let mut open: Vec<&PersonId> = Vec::new();
    while let Some((at, settled)) = stack.pop() {
        if levels.contains_key(at) {
            continue;
        }
        let waits_for = before.get(at).map_or(&[] as &[&PersonId], Vec::as_slice);
        if settled {
            open.retain(|one| *one != at);
            // Whoever is still open here closes a cycle and is not waited for.
            let level = waits_for
                .iter()
                .filter_map(|one| levels.get(*one))
                .map(|l| l + 1)
                .max();
            levels.insert(at, level.unwrap_or(0));
            continue;
        }
        if open.contains(&at) {
            continue;
        }
        open.push(at);
        stack.push((at, true));
        for one in waits_for {
            if before.contains_key(one) && !levels.contains_key(one) && !open.contains(one) {
                stack.push((one, false));
            }
        }
    }
}
