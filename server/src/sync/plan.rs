//! Makes a run's plan: people are streamed in id order and planned one by one by the pure rules,
//! then the second pass looks at the whole (`second_pass`). Preview and run are this same code (S8.1).

use std::collections::{BTreeMap, BTreeSet};

use provisioning::identity::{AccountId, PersonId, Standing};
use provisioning::lifecycle::{Lifecycle, Trigger, follow};
use provisioning::matching::Match;
use provisioning::plan::{
    ExistingFailure, LinkState, OperationKind, PersonInput, PersonPlan, PlanContext, PlanOutcome,
    Skip,
};
use provisioning::scope::Rule;
use sqlx::PgConnection;

use super::engine::Engine;
use super::inputs::{self, Candidate, Manager, World};
use super::lease::Lease;
use super::matches::Finder;
use super::run::{RunError, ours};
use super::settled;
use super::trace::Trace;
use crate::connectors::ScimApp;
use crate::store::apps::{self, App};
use crate::store::failures::{self, Failure};
use crate::store::operations::{self, NewOperation, Skipped};
use crate::store::person_decisions::PersonDecision;
use crate::store::runs::{self, Counts, Run, RunKind};
use crate::store::settled as store_settled;
use crate::store::{StoreError, lifecycles, second_pass};

/// Of whom a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Everybody,
    /// Whoever is not settled: of the others it is known that nothing would come.
    Unsettled,
}

/// Plans everybody of the last import, or those whom the run is for. What an unfinished attempt left
/// behind is forgotten first.
pub async fn plan_people(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    lease: &Lease,
    whom: Whom,
) -> Result<(), RunError> {
    let preview = run.kind == RunKind::Preview;
    let context = world.context();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    ours(runs::hold(&mut transaction, run.id, lease.id).await?)?;
    operations::forget_plan(&mut transaction, run.id).await?;
    second_pass::forget_waiting(&mut transaction, run.id).await?;
    let mut trace = match run.is_for_some() {
        true => Some(Trace::load(&mut transaction, run).await?),
        false => None,
    };
    if !preview && trace.is_none() {
        apps::plan_begins(&mut transaction, app.id).await?;
    }
    let in_doubt = operations::people_in_doubt(&mut transaction, app.id, run.id).await?;
    let mut counts = Counts::default();
    let mut everybody = 0;
    let hash = settled::world(&mut transaction, app, world).await?;
    let storing = Storing {
        wave: 0,
        settle_under: (!preview).then_some(&hash[..]),
    };
    if !preview {
        // Before anybody is read: whatever is written from now on leaves a mark that stays.
        store_settled::take_marks(&mut transaction, app.id).await?;
    }
    if whom == Whom::Unsettled && trace.is_none() {
        let passed = store_settled::passed(&mut transaction, app.id, &hash).await?;
        store_settled::skip_again(&mut transaction, run.id, app.id, &hash).await?;
        counts.unchanged += u64::try_from(passed.unchanged).unwrap_or(0);
        counts.skipped += u64::try_from(passed.skipped).unwrap_or(0);
        everybody += usize::try_from(passed.in_directory).unwrap_or(0);
    }
    transaction.commit().await.map_err(StoreError::from)?;
    let mut finder = match &trace {
        Some(_) => Finder::looking_up(engine, run, app, world, client, lease.watch()),
        None => Finder::new(engine, run, app, world, client, lease.watch()),
    };
    // Whoever asks for one person asks for another try as well.
    let tries_again = run.is_for_some() && run.kind != RunKind::Scheduled;
    let mut total = 0;
    let mut after: Option<PersonId> = None;
    loop {
        lease.check()?;
        let mut db = engine.connection().await?;
        let page = match (&trace, whom) {
            (Some(_), _) if after.is_some() => Vec::new(),
            (Some(trace), _) => inputs::some(&mut db, app, world, &trace.known()).await?,
            (None, Whom::Everybody) => inputs::page(&mut db, app, world, after.as_ref()).await?,
            (None, Whom::Unsettled) => {
                inputs::page_to_plan(&mut db, app, world, &hash, after.as_ref()).await?
            }
        };
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
            let plan = if in_doubt.contains(&candidate.person.id) {
                waits_for_an_answer(plan_known(&context, candidate, &Match::Unknown))
            } else if tries_again {
                let afresh = Candidate {
                    failure: None,
                    ..candidate.clone()
                };
                plan_one(&context, &afresh, &mut finder).await?
            } else {
                plan_one(&context, candidate, &mut finder).await?
            };
            planned.push((candidate, plan));
        }
        store(engine, run, app, lease, &context, &mut planned, storing).await?;
        for (_, plan) in &planned {
            if let Some(trace) = &mut trace {
                trace.planned(plan);
            }
            count(&mut counts, plan);
            total += plan.operations.len();
        }
    }
    if let Some(trace) = trace {
        trace.save(engine, run, lease).await?;
    }
    let mut db = engine.connection().await?;
    let people = i32::try_from(everybody).unwrap_or(i32::MAX);
    let total = i32::try_from(total).unwrap_or(i32::MAX);
    ours(runs::set_plan(&mut db, run.id, lease.id, &counts, people, total, 0).await?)
}

/// Nothing is planned for somebody of whom a request is in doubt.
fn waits_for_an_answer(plan: PersonPlan) -> PersonPlan {
    let detail = "It is not known yet what became of an earlier request".to_owned();
    skipped_for(plan, detail)
}

fn skipped_for(plan: PersonPlan, detail: String) -> PersonPlan {
    PersonPlan {
        operations: Vec::new(),
        outcome: PlanOutcome::Skipped(Skip {
            rule: Rule::Failure,
            detail,
        }),
        ..plan
    }
}

/// Plans some people again within a run, after what it learned. Returns how many operations came
/// of it. Removals are not among them: those pass the guard with the whole plan.
pub async fn plan_again(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    lease: &Lease,
    (people, wave): (&BTreeSet<PersonId>, i32),
) -> Result<usize, RunError> {
    let context = world.context();
    let mut finder = Finder::looking_up(engine, run, app, world, client, lease.watch());
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
        let mut planned = [(&candidate, plan)];
        let storing = Storing {
            wave,
            settle_under: None,
        };
        store(engine, run, app, lease, &context, &mut planned, storing).await?;
    }
    Ok(planned_operations)
}

/// Plans one person; when the rules ask whether there is an account, the app is asked.
pub(super) async fn plan_one(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    finder: &mut Finder<'_>,
) -> Result<PersonPlan, RunError> {
    let decision = candidate.decision.as_ref();
    let plan = plan_known(context, candidate, &before_asking(decision));
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
    match finder
        .find(&candidate.person.id, user_name, chosen(decision))
        .await
    {
        Ok(matching) => Ok(plan_known(context, candidate, &matching)),
        // That nothing was heard of one person is theirs alone, unless the app is out of order.
        Err(RunError::App(error)) if !error.is_authorization() => {
            let wanted = plan_afresh(context, candidate, &Match::Absent);
            finder
                .not_asked(candidate, wanted.operations.first(), error)
                .await
                .map(|detail| skipped_for(plan, detail))
        }
        Err(error) => Err(error),
    }
}

/// The account that an administrator chose for somebody.
pub(super) fn chosen(decision: Option<&PersonDecision>) -> Option<&AccountId> {
    match decision {
        Some(PersonDecision::Link(account)) => Some(account),
        Some(PersonDecision::Leave | PersonDecision::Create) | None => None,
    }
}

/// What is known of somebody's match before the app is asked.
pub(super) fn before_asking(decision: Option<&PersonDecision>) -> Match {
    match decision {
        Some(PersonDecision::Leave) => Match::Leave,
        Some(PersonDecision::Link(_) | PersonDecision::Create) | None => Match::Unknown,
    }
}

/// Plans one person with what is known of the app's accounts. Asks nobody.
pub(super) fn plan_known(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    matching: &Match,
) -> PersonPlan {
    let failure = candidate.failure.as_ref().and_then(existing_failure);
    planned(context, candidate, matching, failure.as_ref())
}

/// The same, whatever failed before.
pub(super) fn plan_afresh(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    matching: &Match,
) -> PersonPlan {
    planned(context, candidate, matching, None)
}

fn planned(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    matching: &Match,
    failure: Option<&ExistingFailure>,
) -> PersonPlan {
    provisioning::plan::plan_person(&PersonInput {
        context,
        person: &candidate.person,
        memberships: &candidate.memberships,
        link: candidate.link.as_ref(),
        lifecycle: &candidate.lifecycle,
        matching,
        manager: &inputs::manager_account(&context.mapping, candidate),
        failure,
    })
}

fn existing_failure(failure: &Failure) -> Option<ExistingFailure> {
    Some(ExistingFailure {
        kind: OperationKind::parse(&failure.kind)?,
        body: failure
            .body_hash
            .as_deref()
            .and_then(|hash| hash.try_into().ok()),
        cause: failure
            .cause
            .as_deref()
            .and_then(Trigger::parse)
            .zip(failure.cause_since),
        permanent: failure.permanent,
        retry_at: failure.next_try_at,
        ignored: failure.ignored,
        message: failure.message.clone(),
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

/// How a page of plans is stored.
#[derive(Debug, Clone, Copy)]
struct Storing<'a> {
    wave: i32,
    /// The hash of the world under which people are settled, if they are.
    settle_under: Option<&'a [u8]>,
}

/// Stores a page of plans in one transaction: operations, skipped people, and clocks. People about
/// whom something was decided since they were read are planned again with it.
async fn store(
    engine: &Engine,
    run: &Run,
    app: &App,
    lease: &Lease,
    context: &PlanContext<'_>,
    planned: &mut [(&Candidate, PersonPlan)],
    Storing { wave, settle_under }: Storing<'_>,
) -> Result<(), RunError> {
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    ours(runs::hold(&mut transaction, run.id, lease.id).await?)?;
    // A preview saw the causes as well, and its second pass looks at the clocks.
    turn_clocks(&mut transaction, app, context, planned, wave).await?;
    let mut new = Vec::new();
    let mut skipped = Vec::new();
    let mut waiting = Vec::new();
    let mut outlived: Vec<String> = Vec::new();
    for (candidate, plan) in planned.iter() {
        if run.kind != RunKind::Preview && outlives_failure(candidate, plan) {
            outlived.push(candidate.person.id.to_string());
        }
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
        if let (Some(manager), PlanOutcome::Unchanged) = (&manager_id, &plan.outcome) {
            waiting.push((person.id.clone(), manager.clone()));
        }
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
    }
    failures::drop_all(&mut transaction, app.id, &outlived).await?;
    operations::add(&mut transaction, run.id, app.id, &new).await?;
    operations::add_skipped(&mut transaction, run.id, &skipped).await?;
    second_pass::await_managers(&mut transaction, run.id, &waiting).await?;
    if let Some(hash) = settle_under {
        let settled: Vec<_> = (planned.iter())
            .filter_map(|(candidate, plan)| settled::settles(candidate, plan))
            .collect();
        store_settled::keep(&mut transaction, app.id, hash, &settled).await?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Whether what failed before is not planned any more.
fn outlives_failure(candidate: &Candidate, plan: &PersonPlan) -> bool {
    let Some(failure) = &candidate.failure else {
        return false;
    };
    let waits = matches!(&plan.outcome, PlanOutcome::Skipped(skip) if skip.rule == Rule::Failure);
    let again = existing_failure(failure)
        .is_some_and(|failure| plan.operations.iter().any(|one| failure.is_of(one)));
    !waits && !again
}

/// Turns the clocks as they are by now, so that no decision is written over.
async fn turn_clocks(
    transaction: &mut PgConnection,
    app: &App,
    context: &PlanContext<'_>,
    planned: &mut [(&Candidate, PersonPlan)],
    wave: i32,
) -> Result<(), StoreError> {
    let nothing = Lifecycle::default();
    // Rows that hold a clock carry the next step, which a changed policy re-dates.
    let mut concerned: BTreeMap<PersonId, (&Candidate, &mut PersonPlan)> = planned
        .iter_mut()
        .filter(|(candidate, plan)| candidate.lifecycle != nothing || plan.lifecycle != nothing)
        .map(|(candidate, plan)| (candidate.person.id.clone(), (*candidate, plan)))
        .collect();
    let people: Vec<PersonId> = concerned.keys().cloned().collect();
    let policies = &context.config.deprovisioning;
    let turn = |person: &PersonId, clocks: &mut Lifecycle| {
        let Some((candidate, plan)) = concerned.get_mut(person) else {
            return;
        };
        let link = candidate.link.as_ref().map(|link| link.state);
        let fresh = follow(clocks, link, plan.causes, context.observed_at);
        if *clocks != candidate.lifecycle && wave == 0 && link.is_some_and(LinkState::is_live) {
            let candidate = Candidate {
                lifecycle: clocks.clone(),
                ..(*candidate).clone()
            };
            **plan = plan_known(context, &candidate, &Match::Unknown);
        }
        *clocks = fresh;
    };
    lifecycles::change(transaction, app.id, &people, policies, context.now, turn).await
}
