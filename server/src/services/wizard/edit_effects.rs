//! What an edit of the mapping or of the policies does, before it is saved. The rules are those of
//! a run; only nothing is stored.

use std::collections::BTreeMap;

use app::api::edits::{MappingEffect, MovedStep, PolicyEffect, UpdateExample};
use app::api::terms::{Change, OperationKind, Time};
use app::services::Answer;
use provisioning::config::{AppConfig, DeprovisioningPolicies, Step};
use provisioning::identity::PersonId;
use provisioning::lifecycle::{DueStep, Lifecycle, Redated, due_steps, redate};
use provisioning::mapping::{FieldChange, PreparedMapping};
use provisioning::plan::LinkState;
use provisioning::scope::Resolved;

use super::super::apps::AppServices;
use super::super::audit::shown;
use super::super::census::named;
use super::super::excuses;
use super::super::setup_draft::Setting;
use super::super::standing::{self, person};
use crate::store::lifecycles;
use crate::sync::inputs::{self, Candidate, World};

/// Accounts and people that are shown; the others are counted.
const SHOWN: usize = 10;

impl AppServices {
    /// Everybody who is linked or in scope, by page, with the old mapping and with the new one.
    pub(super) async fn effect_of_mapping(
        &self,
        setting: &Setting,
        before: &AppConfig,
        after: &AppConfig,
    ) -> Answer<MappingEffect> {
        let mut effect = MappingEffect::default();
        let Some(facts) = self.facts(after).await? else {
            return Ok(effect);
        };
        let world = World {
            resolved: Resolved::new(after, &facts),
            mapping: PreparedMapping::new(&after.mapping, &setting.entry),
            config: after.clone(),
            entry: setting.entry.clone(),
            facts,
            first_plan: false,
            now: self.engine.clock.now(),
            last_run_at: setting.app.last_run_at,
        };
        let old = PreparedMapping::new(&before.mapping, &setting.entry);
        let mut by_attribute: BTreeMap<String, u32> = BTreeMap::new();
        let mut last: Option<PersonId> = None;
        loop {
            let mut db = self.engine.connection().await?;
            let page = inputs::page(&mut db, &setting.app, &world, last.as_ref())
                .await
                .map_err(excuses::internal)?;
            drop(db);
            let Some(end) = page.last() else {
                break;
            };
            last = Some(end.person.id.clone());
            for candidate in &page {
                weigh(candidate, &world, &old, &mut effect, &mut by_attribute);
            }
        }
        let mut by_attribute: Vec<(String, u32)> = by_attribute.into_iter().collect();
        by_attribute.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        effect.by_attribute = by_attribute;
        Ok(effect)
    }

    /// Every step that waits, with the old windows and with the new ones (S6.4).
    pub(super) async fn effect_of_policies(
        &self,
        setting: &Setting,
        before: &DeprovisioningPolicies,
        after: &DeprovisioningPolicies,
    ) -> Answer<PolicyEffect> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let waiting = lifecycles::waiting(&mut db, setting.app.id, false).await?;
        drop(db);
        let mut effect = PolicyEffect::default();
        let mut moved: Vec<MovedStep> = Vec::new();
        for one in waiting {
            let next = |policies| next_step(&one.lifecycle, policies, now);
            let (was, is) = (next(before), next(after));
            effect.waiting += u32::from(was.is_some() || is.is_some());
            let at_once = match redate(&one.lifecycle, before, after, now) {
                Redated::Unchanged => continue,
                Redated::AtOnce => {
                    match is.as_ref().map(|step| step.step) {
                        Some(Step::Delete) => effect.deletions_at_once += 1,
                        Some(Step::Suspend) | None => effect.suspensions_at_once += 1,
                    }
                    true
                }
                Redated::Earlier => {
                    effect.earlier += 1;
                    false
                }
                Redated::Later => {
                    effect.later += 1;
                    false
                }
                Redated::Ended => {
                    effect.ended += 1;
                    false
                }
            };
            moved.push(MovedStep {
                person: person(one.person_id.to_string(), one.person_name, one.person_email),
                before: was.map(dated),
                after: is.map(dated),
                at_once,
            });
        }
        // Due at once first, deletions before suspensions.
        moved.sort_by_cached_key(|step| {
            let deletes = matches!(step.after, Some((OperationKind::Delete, _)));
            (!step.at_once, !deletes, step.person.name.to_lowercase())
        });
        moved.truncate(SHOWN * 2);
        effect.moved = moved;
        Ok(effect)
    }
}

fn next_step(
    lifecycle: &Lifecycle,
    policies: &DeprovisioningPolicies,
    now: Time,
) -> Option<DueStep> {
    due_steps(lifecycle, policies, now)
        .into_iter()
        .find(DueStep::is_live)
}

fn dated(step: DueStep) -> (OperationKind, Time) {
    let kind = match step.step {
        Step::Suspend => OperationKind::Suspend,
        Step::Delete => OperationKind::Delete,
    };
    (kind, step.due_at)
}

/// One person: whether their account is sent something because of the edit, and whether they lack
/// what they had.
fn weigh(
    candidate: &Candidate,
    world: &World,
    old: &PreparedMapping,
    effect: &mut MappingEffect,
    by_attribute: &mut BTreeMap<String, u32>,
) {
    let someone = &candidate.person;
    if candidate.purged
        || !world
            .resolved
            .decide(someone, &candidate.memberships)
            .in_scope
    {
        return;
    }
    let build = |mapping: &PreparedMapping| {
        mapping.build(someone, &inputs::manager_account(mapping, candidate))
    };
    let (was, is) = (build(old), build(&world.mapping));
    if let (Some(problem), true) = (is.problems.first(), was.problems.is_empty()) {
        effect.lacking += 1;
        if effect.lacking_first.len() < SHOWN {
            let why = standing::in_words(&problem.message);
            effect.lacking_first.push((named(someone), why));
        }
    }
    let Some(link) = &candidate.link else {
        return;
    };
    if link.state != LinkState::Active {
        return;
    }
    effect.accounts += 1;
    let Some(acknowledged) = &link.last_body else {
        return;
    };
    if !is.problems.is_empty() {
        return;
    }
    let (before, after) = (
        was.changes_from(acknowledged),
        is.changes_from(acknowledged),
    );
    // What the next run would send anyhow is not because of the edit.
    let because: Vec<&FieldChange> = after
        .iter()
        .filter(|change| !before.contains(change))
        .collect();
    if because.is_empty() {
        return;
    }
    effect.updated += 1;
    for change in &because {
        *by_attribute
            .entry(standing::attribute(&change.attribute))
            .or_default() += 1;
    }
    if effect.examples.len() < SHOWN {
        effect.examples.push(UpdateExample {
            person: named(someone),
            changes: because
                .into_iter()
                .map(|change| Change {
                    attribute: standing::attribute(&change.attribute),
                    old: Some(change.old.as_ref().and_then(shown).unwrap_or_default()),
                    new: change.new.as_ref().and_then(shown),
                })
                .collect(),
        });
    }
}
