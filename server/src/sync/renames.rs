//! People who exchange user names among themselves: whoever gives a name up goes before whoever
//! takes it, and a ring, in which nobody can go first, is a conflict (S4.4).

use std::collections::{BTreeMap, BTreeSet};

use provisioning::event::EventName;
use provisioning::identity::PersonId;

use super::engine::Engine;
use super::lease::Lease;
use super::run::{RunError, ours};
use crate::store::StoreError;
use crate::store::apps::App;
use crate::store::events::{self, NewEvent};
use crate::store::failures::{self, NewFailure};
use crate::store::links;
use crate::store::operations::{self, OperationState, Renaming};
use crate::store::runs::{self, Run};

/// The code of a ring of renames.
const RING: &str = "names-in-a-ring";

/// Orders the renames of a stored plan, before its waves are made.
pub async fn order(
    engine: &Engine,
    run: &Run,
    app: &App,
    lease: &Lease,
    preview: bool,
) -> Result<(), RunError> {
    let mut db = engine.connection().await?;
    let renamings = operations::renamings(&mut db, run.id).await?;
    let (mut after, rings) = arrange(&renamings);
    // In a run for some, whoever has the name may be renamed as well, only not in this run.
    if run.is_for_some() {
        for (index, renaming) in renamings.iter().enumerate() {
            let holder = links::holder_of_name(&mut db, app.id, &renaming.to).await?;
            let elsewhere = holder.filter(|holder| {
                *holder != renaming.person && renamings.iter().all(|one| one.person != *holder)
            });
            if let Some(holder) = elsewhere {
                after.insert(index, holder);
            }
        }
    }
    drop(db);
    if after.is_empty() && rings.is_empty() {
        return Ok(());
    }
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    ours(runs::hold(&mut transaction, run.id, lease.id).await?)?;
    let pairs: Vec<(i64, String)> = after
        .iter()
        .map(|(index, first)| (renamings[*index].id, first.to_string()))
        .collect();
    operations::set_after(&mut transaction, &pairs).await?;
    for index in rings {
        let renaming = &renamings[index];
        let message = format!(
            "The user names of several people are exchanged among them, so none can be changed first: {} is to become {}. Give one of them another name for a while.",
            renaming.from, renaming.to
        );
        let failed = OperationState::Failed;
        operations::set_states(
            &mut transaction,
            &[renaming.id],
            failed,
            RING,
            &message,
            now,
        )
        .await?;
        if preview {
            continue;
        }
        let failure = NewFailure {
            kind: renaming.kind.as_str(),
            code: RING,
            message: &message,
            permanent: true,
            next_try_at: None,
            body_hash: renaming.body.as_ref().map(provisioning::Digest::as_slice),
            cause: None,
            run: run.id.0,
        };
        failures::record(&mut transaction, app.id, &renaming.person, &failure, now).await?;
        let (id, email) = (renaming.person.to_string(), renaming.email.clone());
        let event = NewEvent::new(now, EventName::of(renaming.kind), "Rollcall")
            .app(app.slug.as_str())
            .person(&id, &email)
            .run(run.id.0)
            .failed(RING, &message);
        events::record(&mut transaction, &event).await?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Who goes after whom, and who is in a ring; by index.
fn arrange(renamings: &[Renaming]) -> (BTreeMap<usize, PersonId>, BTreeSet<usize>) {
    let held: BTreeMap<String, usize> = renamings
        .iter()
        .enumerate()
        .map(|(index, one)| (one.from.to_lowercase(), index))
        .collect();
    let first_of = |index: usize| {
        held.get(&renamings[index].to.to_lowercase())
            .copied()
            .filter(|first| *first != index)
    };
    let mut after = BTreeMap::new();
    let mut rings = BTreeSet::new();
    for index in 0..renamings.len() {
        let Some(first) = first_of(index) else {
            continue;
        };
        // Each waits for at most one, so a ring comes back to where it began.
        let mut at = Some(first);
        let mut steps = 0;
        while let Some(next) = at.filter(|next| *next != index && steps <= renamings.len()) {
            at = first_of(next);
            steps += 1;
        }
        if at == Some(index) {
            rings.insert(index);
        } else {
            after.insert(index, renamings[first].person.clone());
        }
    }
    (after, rings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::plan::OperationKind;

    fn renaming(person: &str, from: &str, to: &str) -> Renaming {
        Renaming {
            id: 0,
            person: person.into(),
            email: to.to_owned(),
            kind: OperationKind::Update,
            from: from.to_owned(),
            to: to.to_owned(),
            body: None,
        }
    }

    #[test]
    fn whoever_takes_a_name_goes_after_whoever_gives_it_up_and_a_ring_goes_nowhere() {
        let chain = [
            renaming("1", "a", "B"),
            renaming("2", "b", "c"),
            renaming("3", "x", "y"),
            renaming("4", "y", "X"),
            renaming("5", "z", "Z"),
            renaming("6", "w", "x"),
        ];
        let (after, rings) = arrange(&chain);
        assert_eq!(after.get(&0), Some(&PersonId::from("2")));
        assert_eq!(after.get(&1), None);
        assert_eq!(rings, BTreeSet::from([2, 3]));
        assert_eq!(
            after.get(&5),
            Some(&PersonId::from("3")),
            "waits for one of the ring, in vain"
        );
        assert_eq!(after.len(), 2, "a change of case alone waits for nobody");
    }
}
