//! Makes a run's plan: people are streamed in id order and planned one by one by the pure rules,
//! then the guard looks at the whole. Preview and run are this same code (S8.1).

use std::collections::BTreeSet;

use chrono::TimeDelta;
use provisioning::event::EventName;
use provisioning::guard::{self, GuardInput, Removal};
use provisioning::identity::{PersonId, Standing};
use provisioning::lifecycle::Lifecycle;
use provisioning::mapping::ManagerAccount;
use provisioning::matching::Match;
use provisioning::plan::{
    ExistingFailure, OperationKind, PersonInput, PersonPlan, PlanContext, PlanOutcome,
    PlannedOperation,
};
use provisioning::scope::Rule;
use serde_json::json;

use super::engine::Engine;
use super::inputs::{self, Candidate, Manager, World};
use super::matches::Finder;
use super::run::{Lease, RunError};
use crate::connectors::ScimApp;
use crate::store::apps::App;
use crate::store::events::{self, NewEvent};
use crate::store::failures::Failure;
use crate::store::operations::{self, NewOperation, OperationState, Skipped};
use crate::store::runs::{self, Counts, Run};
use crate::store::{StoreError, lifecycles, links};

/// Plans everybody of the last import. What an unfinished attempt left behind is forgotten first.
pub async fn plan_everybody(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    lease: &Lease,
    preview: bool,
) -> Result<(), RunError> {
    let context = world.context();
    let mut db = engine.connection().await?;
    operations::forget_plan(&mut db, run.id).await?;
    drop(db);
    let mut finder = Finder::new(engine, run, app, world, client);
    let mut counts = Counts::default();
    let mut total = 0;
    let mut everybody = 0;
    let mut after: Option<PersonId> = None;
    loop {
        lease.check(engine, preview)?;
        let mut db = engine.connection().await?;
        let page = inputs::page(&mut db, app, world, after.as_ref()).await?;
        drop(db);
        let Some(last) = page.last() else { break };
        after = Some(last.person.id.clone());
        let mut planned = Vec::with_capacity(page.len());
        for candidate in &page {
            // Somebody who is gone for good and never had an account concerns nobody.
            if candidate.purged && candidate.link.is_none() {
                continue;
            }
            everybody += usize::from(candidate.person.standing != Standing::Deleted);
            let plan = plan_one(&context, candidate, &mut finder).await?;
            count(&mut counts, &plan);
            total += plan.operations.len();
            planned.push((candidate, plan));
        }
        store(engine, run, app, &planned, 0, preview).await?;
    }
    let mut db = engine.connection().await?;
    let people = i32::try_from(everybody).unwrap_or(i32::MAX);
    let total = i32::try_from(total).unwrap_or(i32::MAX);
    runs::set_plan(&mut db, run.id, &counts, people, total, 0).await?;
    Ok(())
}

/// Plans some people again within a run, after what it learned. Returns how many operations came
/// of it. Removals are not among them: those pass the guard with the whole plan.
pub async fn plan_again(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    people: &BTreeSet<PersonId>,
    wave: i32,
) -> Result<usize, RunError> {
    let context = world.context();
    let mut finder = Finder::looking_up(engine, run, app, world, client);
    let mut planned_operations = 0;
    for id in people {
        let mut db = engine.connection().await?;
        let Some(candidate) = inputs::one(&mut db, app, world, id).await? else {
            continue;
        };
        drop(db);
        let mut plan = plan_one(&context, &candidate, &mut finder).await?;
        plan.operations
            .retain(|operation| !operation.kind.is_removal());
        planned_operations += plan.operations.len();
        store(engine, run, app, &[(&candidate, plan)], wave, false).await?;
    }
    Ok(planned_operations)
}

/// Plans one person; when the rules ask whether there is an account, the app is asked.
pub(super) async fn plan_one(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    finder: &mut Finder<'_>,
) -> Result<PersonPlan, RunError> {
    let plan = plan_known(context, candidate, &Match::Unknown);
    let PlanOutcome::NeedsLookup { user_name } = &plan.outcome else {
        return Ok(plan);
    };
    // For a create that failed and waits, the app is left alone until there is reason to ask.
    if candidate.failure.is_some() {
        let waiting = plan_known(context, candidate, &Match::Absent);
        if matches!(&waiting.outcome, PlanOutcome::Skipped(skip) if skip.rule == Rule::Failure) {
            return Ok(waiting);
        }
    }
    let matching = finder.find(&candidate.person.id, user_name).await?;
    Ok(plan_known(context, candidate, &matching))
}

/// Plans one person with what is known of the app's accounts. Asks nobody.
pub(super) fn plan_known(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    matching: &Match,
) -> PersonPlan {
    let failure = candidate.failure.as_ref().and_then(existing_failure);
    provisioning::plan::plan_person(&PersonInput {
        context,
        person: &candidate.person,
        memberships: &candidate.memberships,
        link: candidate.link.as_ref(),
        lifecycle: &candidate.lifecycle,
        matching,
        manager: &manager_account(context, candidate),
        failure: failure.as_ref(),
    })
}

fn manager_account(context: &PlanContext<'_>, candidate: &Candidate) -> ManagerAccount {
    if !context.mapping.maps_manager() {
        return ManagerAccount::NotMapped;
    }
    match &candidate.manager {
        None => ManagerAccount::None,
        Some(Manager::Unknown { email }) => ManagerAccount::Unresolved {
            email: email.clone(),
            expected: false,
        },
        Some(Manager::Person {
            account: Some(account),
            ..
        }) => ManagerAccount::Account(account.clone()),
        Some(Manager::Person {
            email,
            expected,
            account: None,
            ..
        }) => ManagerAccount::Unresolved {
            email: email.clone(),
            expected: *expected,
        },
    }
}

fn existing_failure(failure: &Failure) -> Option<ExistingFailure> {
    Some(ExistingFailure {
        kind: OperationKind::parse(&failure.kind)?,
        body: failure
            .body_hash
            .as_deref()
            .and_then(|hash| hash.try_into().ok()),
        retry_at: failure.next_try_at,
        ignored: failure.ignored,
        message: failure.message.clone(),
    })
}

/// The operation's body with the account that the manager has by now; `None` when it still waits.
pub(super) fn with_manager(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    planned: &PlannedOperation,
) -> Option<PlannedOperation> {
    let manager = manager_account(context, candidate);
    if !matches!(manager, ManagerAccount::Account(_)) {
        return None;
    }
    let matching = match planned.kind {
        OperationKind::Create => Match::Absent,
        _ => Match::Unknown,
    };
    let again = provisioning::plan::plan_person(&PersonInput {
        context,
        person: &candidate.person,
        memberships: &candidate.memberships,
        link: candidate.link.as_ref(),
        lifecycle: &candidate.lifecycle,
        matching: &matching,
        manager: &manager,
        failure: None,
    });
    let [operation] = again.operations.as_slice() else {
        return None;
    };
    (operation.kind == planned.kind).then(|| PlannedOperation {
        body: operation.body.clone(),
        changes: operation.changes.clone(),
        ..planned.clone()
    })
}

fn count(counts: &mut Counts, plan: &PersonPlan) {
    match &plan.outcome {
        PlanOutcome::Planned => {
            for operation in &plan.operations {
                counts.add(operation.kind, 1);
            }
        }
        PlanOutcome::Unchanged => counts.unchanged += 1,
        PlanOutcome::Skipped(_) | PlanOutcome::NeedsLookup { .. } => counts.skipped += 1,
    }
}

/// Stores a page of plans in one transaction: operations, skipped people, and clocks.
async fn store(
    engine: &Engine,
    run: &Run,
    app: &App,
    planned: &[(&Candidate, PersonPlan)],
    wave: i32,
    preview: bool,
) -> Result<(), StoreError> {
    let mut new = Vec::new();
    let mut skipped = Vec::new();
    let mut clocks: Vec<(&Candidate, &PersonPlan)> = Vec::new();
    for (candidate, plan) in planned {
        let person = &candidate.person;
        if let PlanOutcome::Skipped(skip) = &plan.outcome {
            skipped.push(Skipped {
                person_id: person.id.to_string(),
                person_email: person.primary_email.clone(),
                person_name: person.full_name(),
                rule: skip.rule.key().to_owned(),
                detail: skip.detail.clone(),
            });
        }
        let manager_id = match &candidate.manager {
            Some(Manager::Person { id, .. }) if plan.awaits_manager.is_some() => Some(id.clone()),
            _ => None,
        };
        for (step, operation) in (0..).zip(&plan.operations) {
            new.push(NewOperation {
                person_id: person.id.clone(),
                person_email: person.primary_email.clone(),
                person_name: person.full_name(),
                wave,
                step,
                reason: operation.reason.to_string(),
                manager_id: manager_id.clone(),
                plan: operation.clone(),
            });
        }
        // Rows that hold a clock carry the next step, which a changed policy re-dates.
        let has_clocks = plan.lifecycle != Lifecycle::default();
        if !preview && (has_clocks || candidate.lifecycle != plan.lifecycle) {
            clocks.push((candidate, plan));
        }
    }
    let mut transaction = engine.pool.begin().await?;
    operations::add(&mut transaction, run.id, app.id, &new).await?;
    operations::add_skipped(&mut transaction, run.id, &skipped).await?;
    for (candidate, plan) in clocks {
        lifecycles::save(
            &mut transaction,
            app.id,
            &candidate.person.id,
            &plan.lifecycle,
            plan.next.as_ref(),
        )
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The guard's look at the whole plan: what is held, in which order the rest is sent.
pub async fn check(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    preview: bool,
) -> Result<(), RunError> {
    let now = engine.clock.now();
    let mut db = engine.connection().await?;
    let heads = operations::heads(&mut db, run.id).await?;
    let linked = links::count(&mut db, app.id).await?;
    let removed = operations::removals_since(&mut db, app.id, now - TimeDelta::hours(24)).await?;
    let held_before = operations::held_people(&mut db, app.id, Some(run.id)).await?;
    drop(db);

    let removals: Vec<Removal> = heads
        .iter()
        .filter(|head| head.kind.is_removal())
        .map(|head| Removal {
            person: head.person_id.clone(),
            kind: head.kind,
            due_at: head.due_at.unwrap_or(now),
            allowed: head.allowed,
        })
        .collect();
    let creates = heads
        .iter()
        .filter(|head| head.kind == OperationKind::Create)
        .count() as u64;
    let outcome = guard::check(&GuardInput {
        now,
        safety: &world.config.safety,
        linked_accounts: u64::try_from(linked).unwrap_or(0),
        deleted_last_24_hours: 0,
        removals: &removals,
        removed_last_24_hours: removed.len() as u64,
        already_held: &held_before,
        resumed_at: resumed_at(app),
        last_run_at: app.last_run_at,
        creates,
    });
    let why: Vec<String> = outcome.why.iter().map(ToString::to_string).collect();
    let why = why.join("; ");
    let held: BTreeSet<&PersonId> = outcome.held.iter().collect();
    let held_ids: Vec<i64> = heads
        .iter()
        .filter(|head| {
            // While the clock is behind, nobody is removed, allowed or not (S6.8).
            (head.kind.is_removal() && outcome.clock_behind)
                || (head.kind.is_removal() && held.contains(&head.person_id) && !head.allowed)
                || (head.kind == OperationKind::Create && outcome.creates_held)
        })
        .map(|head| head.id)
        .collect();

    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    if !held_ids.is_empty() {
        operations::set_states(
            &mut transaction,
            &held_ids,
            OperationState::Held,
            "held",
            &why,
            now,
        )
        .await?;
        let newly = outcome
            .held
            .iter()
            .filter(|person| !held_before.contains(*person))
            .count();
        if newly > 0 && !preview {
            let event = NewEvent::new(now, EventName::RemovalsHeld, "Rollcall")
                .app(app.slug.as_str())
                .run(run.id.0)
                .reason(why.clone())
                .detail(json!({ "held": outcome.held.len(), "new": newly }));
            events::record(&mut transaction, &event).await?;
        }
    }
    operations::set_waves(&mut transaction, &waves(&heads)).await?;
    let held = i32::try_from(held_ids.len()).unwrap_or(i32::MAX);
    runs::set_held(&mut transaction, run.id, held).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// After more than a day off or stopped, what fell due meanwhile is held (S6.8).
fn resumed_at(app: &App) -> Option<chrono::DateTime<chrono::Utc>> {
    let turned_on = app.turned_on_at?;
    let last = app.last_run_at?;
    (turned_on > last && turned_on - last > TimeDelta::hours(24)).then_some(turned_on)
}

/// Managers before their reports, and a rename before whoever takes the name.
fn waves(heads: &[operations::OperationHead]) -> Vec<(i64, i32)> {
    let levels = guard::levels(
        heads
            .iter()
            .map(|head| (&head.person_id, head.manager_id.iter().chain(&head.after))),
    );
    heads
        .iter()
        .map(|head| {
            let level = levels.get(&head.person_id).copied().unwrap_or(0);
            (head.id, i32::try_from(level).unwrap_or(i32::MAX))
        })
        .collect()
}
