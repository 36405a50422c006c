//! The look at a whole plan: what contradicts itself is not sent, what is too much at once is held,
//! and the rest gets its order (S9.1, S9.6, S4.3, S4.4).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::event::EventName;
use provisioning::guard::{self, GuardInput, GuardOutcome, HoldReason, OperationSummary, Removal};
use provisioning::identity::PersonId;
use provisioning::lifecycle::{DueStep, Lifecycle, Step, Trigger, due_steps};
use provisioning::plan::OperationKind;
use serde_json::json;
use sqlx::PgConnection;

use super::engine::Engine;
use super::inputs::World;
use super::lease::Lease;
use super::pending;
use super::renames;
use super::run::{RunError, ours};
use crate::notifications;
use crate::store::apps::{self, App};
use crate::store::events::{self, NewEvent};
use crate::store::operations::{self, OperationState};
use crate::store::person_decisions::{self, PersonDecision};
use crate::store::runs::{self, Run};
use crate::store::second_pass::{self, PlannedLine};
use crate::store::{StoreError, lifecycles, links};

/// What the pass makes of the plan.
#[derive(Debug, Default)]
struct Verdict {
    /// Operations that are not sent, by why.
    superseded: BTreeMap<(&'static str, &'static str), Vec<i64>>,
    held: Vec<i64>,
    /// Held removals, for their people's clocks.
    reviews: BTreeMap<PersonId, (Trigger, Step)>,
    /// People whose removal, and whose create, no earlier run held.
    new_removals: usize,
    new_creates: usize,
    outcome: GuardOutcome,
}

pub async fn check(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    lease: &Lease,
    preview: bool,
) -> Result<(), RunError> {
    let now = engine.clock.now();
    renames::order(engine, run, app, lease, preview).await?;
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    ours(runs::hold(&mut transaction, run.id, lease.id).await?)?;
    let lines = second_pass::planned(&mut transaction, run.id).await?;
    let verdict = judge(&mut transaction, run, app, world, &lines, now).await?;
    for ((code, sentence), ids) in &verdict.superseded {
        let state = OperationState::Superseded;
        operations::set_states(&mut transaction, ids, state, code, sentence, now).await?;
    }
    let mut why: Vec<String> = (verdict.outcome.why.iter())
        .map(ToString::to_string)
        .collect();
    if why.is_empty() && !verdict.held.is_empty() {
        why.push("Held by an earlier run, and nobody decided about it yet".to_owned());
    }
    let told = why.join(". ");
    if !verdict.held.is_empty() {
        let state = OperationState::Held;
        operations::set_states(&mut transaction, &verdict.held, state, "held", &told, now).await?;
    }
    if !preview {
        remember(&mut transaction, run, app, world, &verdict, &why, now).await?;
        tell(&mut transaction, run, app, &verdict, &told, now).await?;
    }
    let reports = second_pass::reports_of_deleted(&mut transaction, run.id).await?;
    operations::set_waves(&mut transaction, &waves(&lines, &reports)).await?;
    let held = i32::try_from(verdict.held.len()).unwrap_or(i32::MAX);
    runs::set_held(&mut transaction, run.id, lease.id, held).await?;
    if !preview {
        notifications::look_along(&mut transaction, now).await?;
    }
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

async fn judge(
    db: &mut PgConnection,
    run: &Run,
    app: &App,
    world: &World,
    lines: &[PlannedLine],
    now: DateTime<Utc>,
) -> Result<Verdict, StoreError> {
    let people: BTreeSet<String> = (lines.iter())
        .map(|line| line.person_id.to_string())
        .collect();
    let people: Vec<String> = people.into_iter().collect();
    let clocks: BTreeMap<PersonId, Lifecycle> = lifecycles::of_people(db, app.id, &people)
        .await?
        .into_iter()
        .collect();
    let decided = person_decisions::of_people(db, app.id, &people).await?;
    let nobody = Lifecycle::default();
    let of = |line: &PlannedLine| clocks.get(&line.person_id).unwrap_or(&nobody);
    let mut verdict = Verdict::default();

    let problems: BTreeMap<(PersonId, OperationKind), guard::LintProblem> = {
        let summaries: Vec<OperationSummary> = (lines.iter())
            .map(|line| summary(line, of(line), world))
            .collect();
        (guard::lint(&summaries, now).into_iter())
            .map(|problem| ((problem.person.clone(), problem.kind), problem))
            .collect()
    };
    let stopped: BTreeSet<&PersonId> = problems.keys().map(|(person, _)| person).collect();
    let mut removals: Vec<(&PlannedLine, DueStep)> = Vec::new();
    let mut creates: Vec<&PlannedLine> = Vec::new();
    for line in lines {
        if let Some(problem) = problems.get(&(line.person_id.clone(), line.kind)) {
            verdict.supersede(line, problem_code(problem), problem.sentence());
        } else if stopped.contains(&line.person_id) {
            verdict.supersede(
                line,
                "step-before-failed",
                "An earlier step for this person is not sent.",
            );
        } else if line.kind.is_removal() {
            let step = line.trigger.and_then(|trigger| {
                pending_step(of(line), world, trigger, line.kind, now)
                    .filter(|step| step.is_due(now))
            });
            match step {
                Some(step) => removals.push((line, step)),
                None => verdict.supersede(
                    line,
                    "decided-meanwhile",
                    "The step was cancelled, held or re-dated after it was planned.",
                ),
            }
        } else if line.kind == OperationKind::Create
            && decided.get(&line.person_id) != Some(&PersonDecision::Create)
        {
            creates.push(line);
        }
    }

    let day = now - TimeDelta::hours(24);
    let weighed: Vec<Removal> = (removals.iter())
        .map(|(line, step)| Removal {
            person: line.person_id.clone(),
            kind: line.kind,
            due_at: step.due_at,
            allowed: step.allowed,
        })
        .collect();
    let already_held: BTreeSet<PersonId> = (removals.iter())
        .filter(|(_, step)| step.under_review)
        .map(|(line, _)| line.person_id.clone())
        .collect();
    let removed = operations::removals_since(db, app.id, day).await?;
    let held_creates: BTreeSet<PersonId> = person_decisions::held_creates(db, app.id, Some(run.id))
        .await?
        .into_iter()
        .map(|(person, _)| person)
        .collect();
    // A run for everybody plans what waits for review again; for some, it weighs beside theirs.
    let waiting_elsewhere = if run.is_for_some() {
        let planned: BTreeSet<&PersonId> = lines.iter().map(|line| &line.person_id).collect();
        let waiting: BTreeSet<PersonId> = (pending::under_review(db, app, now).await?.into_iter())
            .map(|step| step.person_id)
            .filter(|person| !planned.contains(person))
            .collect();
        waiting.len()
    } else {
        0
    };
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    verdict.outcome = guard::check(&GuardInput {
        now,
        safety: &world.config.safety,
        linked_accounts: number(links::count(db, app.id).await?),
        deleted_last_24_hours: number(second_pass::deleted_since(db, app.id, day).await?),
        removals: &weighed,
        removed_last_24_hours: (removed.len() + waiting_elsewhere) as u64,
        already_held: &already_held,
        resumed_at: app.overdue_before,
        last_run_at: app.last_run_at,
        creates: creates.len() as u64,
    });
    let held: BTreeSet<&PersonId> = verdict.outcome.held.iter().collect();
    if verdict.outcome.clock_behind {
        for (line, _) in &removals {
            verdict_supersede(
                &mut verdict.superseded,
                line,
                "clock-behind",
                "The clock is behind the last run's: nobody is removed until it has caught up.",
            );
        }
    } else {
        for (line, step) in
            (removals.iter()).filter(|(line, step)| held.contains(&line.person_id) && !step.allowed)
        {
            verdict.held.push(line.id);
            verdict.new_removals += usize::from(!step.under_review);
            (verdict.reviews).insert(line.person_id.clone(), (step.trigger, step.step));
        }
    }
    for line in creates {
        // What a run for everybody held is not let through by one for some.
        let before = held_creates.contains(&line.person_id);
        if verdict.outcome.creates_held || before && run.is_for_some() {
            verdict.held.push(line.id);
            verdict.new_creates += usize::from(!before);
        }
    }
    Ok(verdict)
}

impl Verdict {
    fn supersede(&mut self, line: &PlannedLine, code: &'static str, sentence: &'static str) {
        verdict_supersede(&mut self.superseded, line, code, sentence);
    }
}

fn verdict_supersede(
    superseded: &mut BTreeMap<(&'static str, &'static str), Vec<i64>>,
    line: &PlannedLine,
    code: &'static str,
    sentence: &'static str,
) {
    superseded
        .entry((code, sentence))
        .or_default()
        .push(line.id);
}

/// Conflicts are told apart from what only a mistake of ours could plan.
fn problem_code(problem: &guard::LintProblem) -> &'static str {
    match problem.code.as_ref() {
        "account-claimed-twice" | "rename-not-planned" => "conflict",
        "link-moved" => "link-moved",
        _ => "contradiction",
    }
}

fn summary(line: &PlannedLine, clocks: &Lifecycle, world: &World) -> OperationSummary {
    let protected = (world.config.safety.protected.iter()).any(|person| match &person.id {
        Some(id) => *id == line.person_id,
        None => person.email.eq_ignore_ascii_case(&line.person_email),
    });
    OperationSummary {
        person: line.person_id.clone(),
        kind: line.kind,
        account: line.account.clone(),
        user_name: line.user_name.clone(),
        standing: line.standing,
        link: line.link,
        trigger: line.trigger,
        due_at: line.due_at,
        triggers: clocks.triggers(),
        protected,
        allowed: false,
        manager: line.manager_id.clone(),
        after: line.after.clone(),
        moves_from: line.moves_from.clone(),
    }
}

/// The step as it is pending now, by the clocks as they are now.
fn pending_step(
    clocks: &Lifecycle,
    world: &World,
    trigger: Trigger,
    kind: OperationKind,
    now: DateTime<Utc>,
) -> Option<DueStep> {
    let step = match kind {
        OperationKind::Delete => Step::Delete,
        _ => Step::Suspend,
    };
    due_steps(clocks, &world.config.deprovisioning, now)
        .into_iter()
        .find(|pending| (pending.trigger, pending.step) == (trigger, step))
}

/// A hold is a fact about the person until somebody decides, whatever becomes of this run.
async fn remember(
    transaction: &mut PgConnection,
    run: &Run,
    app: &App,
    world: &World,
    verdict: &Verdict,
    why: &[String],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let people: Vec<PersonId> = verdict.reviews.keys().cloned().collect();
    let policies = &world.config.deprovisioning;
    let turn = |person: &PersonId, clocks: &mut Lifecycle| {
        if let Some((trigger, step)) = verdict.reviews.get(person) {
            clocks.hold_for_review(*trigger, *step, now, why);
        }
    };
    lifecycles::change(transaction, app.id, &people, policies, now, turn).await?;
    // While the clock is behind nothing was weighed, and a run for some weighs only theirs, so the look at what is overdue is still to come.
    match app.overdue_before {
        Some(before) if !verdict.outcome.clock_behind && !run.is_for_some() => {
            hold_overdue(transaction, app, world, before, now).await?;
            apps::overdue_checked(transaction, app.id, before).await
        }
        _ => Ok(()),
    }
}

/// Holds what fell due while the app was off, of those too for whom nothing could be planned just
/// now: it is looked at only once.
async fn hold_overdue(
    transaction: &mut PgConnection,
    app: &App,
    world: &World,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut overdue: BTreeMap<PersonId, Vec<(Trigger, Step)>> = BTreeMap::new();
    for pending in pending::steps(transaction, app, now).await? {
        let step = &pending.step;
        if step.is_overdue_since(before) {
            let steps = overdue.entry(pending.person_id).or_default();
            steps.push((step.trigger, step.step));
        }
    }
    let why = [HoldReason::OverdueAfterPause {
        people: overdue.len() as u64,
    }
    .to_string()];
    let turn = |person: &PersonId, clocks: &mut Lifecycle| {
        for (trigger, step) in overdue.get(person).into_iter().flatten() {
            clocks.hold_for_review(*trigger, *step, now, &why);
        }
    };
    let people: Vec<PersonId> = overdue.keys().cloned().collect();
    let policies = &world.config.deprovisioning;
    lifecycles::change(transaction, app.id, &people, policies, now, turn).await
}

async fn tell(
    transaction: &mut PgConnection,
    run: &Run,
    app: &App,
    verdict: &Verdict,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut told = Vec::new();
    if verdict.outcome.clock_behind {
        told.push((EventName::ClockBehind, json!({})));
    }
    if verdict.new_removals > 0 {
        let held = verdict.reviews.len();
        let detail = json!({ "held": held, "new": verdict.new_removals });
        told.push((EventName::RemovalsHeld, detail));
    }
    if verdict.new_creates > 0 {
        told.push((
            EventName::CreatesHeld,
            json!({ "new": verdict.new_creates }),
        ));
    }
    for (name, detail) in told {
        let event = NewEvent::new(now, name, "Rollcall")
            .app(app.slug.as_str())
            .run(run.id.0)
            .reason(why)
            .detail(detail);
        events::record(transaction, &event).await?;
    }
    Ok(())
}

/// Managers before their reports, a rename before whoever takes the name, and whoever still names an
/// account as their manager's before it is deleted: an app refuses the id of nobody.
fn waves(lines: &[PlannedLine], reports_of_deleted: &[(PersonId, PersonId)]) -> Vec<(i64, i32)> {
    let planned = (lines.iter()).map(|line| (&line.person_id, vec![&line.manager_id, &line.after]));
    let planned = planned.map(|(person, first)| (person, first.into_iter().flatten().collect()));
    let named = (reports_of_deleted.iter()).map(|(manager, report)| (manager, vec![report]));
    let levels = guard::levels(planned.chain(named));
    (lines.iter())
        .map(|line| {
            let level = levels.get(&line.person_id).copied().unwrap_or(0);
            (line.id, i32::try_from(level).unwrap_or(i32::MAX))
        })
        .collect()
}
