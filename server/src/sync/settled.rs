//! Who need not be planned again: a run in which nothing changed costs next to nothing (S14.2).
//!
//! Somebody is settled when their plan came to nothing and rests (`PersonPlan::rests`). Everything
//! that the rules look at is either the same for everybody, and part of the world's hash, or leaves
//! a mark when it is written. Reading an app back plans everybody, and so does every preview.

use std::fmt::{self, Write as _};

use provisioning::plan::{PersonPlan, PlanOutcome};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::inputs::{Candidate, World};
use crate::store::StoreError;
use crate::store::apps::App;
use crate::store::settled::{self, Settled};

/// All that is the same for everybody, as a hash.
pub async fn world(db: &mut PgConnection, app: &App, world: &World) -> Result<Vec<u8>, StoreError> {
    let named: Vec<String> = world
        .resolved
        .named_groups()
        .into_iter()
        .map(|group| group.to_string())
        .collect();
    let reach = settled::reach(db, &named).await?;
    let mut hash = Hashing(Sha256::new());
    // What `Debug` shows leaves no field out, those of tomorrow included.
    let written = write!(
        hash,
        "{:?}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{}\n{reach}",
        provisioning::RULES,
        app.config_version,
        app.turned_on_at,
        world.config,
        world.entry,
        world.facts,
        world.first_plan,
    );
    // Hashing refuses nothing.
    debug_assert!(written.is_ok());
    Ok(hash.0.finalize().to_vec())
}

struct Hashing(Sha256);

impl fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Somebody whose plan the rules call resting, and about whom nothing was decided or failed.
pub fn settles(candidate: &Candidate, plan: &PersonPlan) -> Option<Settled> {
    let state = candidate.link.as_ref().map(|link| link.state);
    let undisturbed = candidate.failure.is_none() && candidate.decision.is_none();
    (undisturbed && plan.rests(state, &candidate.lifecycle)).then(|| Settled {
        person: candidate.person.id.clone(),
        left_out: match &plan.outcome {
            PlanOutcome::Skipped(skip) => Some((skip.rule.key(), skip.detail.clone())),
            _ => None,
        },
    })
}
