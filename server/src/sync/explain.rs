//! Why or why not: the rules' own trace for one person in one app (S8.3, S12.7). Asks nobody
//! outside; what only the app could tell is said to be unknown.

use provisioning::identity::PersonId;
use provisioning::plan::{LinkState, PlanOutcome};
use provisioning::scope::RuleResult;
use serde::Serialize;
use serde_json::{Value, json};

use super::engine::Engine;
use super::inputs::{self, World};
use super::matches;
use super::plan::{before_asking, chosen, plan_known};
use super::run::RunError;
use crate::store::apps::App;

/// The keys of `explain --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// `id` and `email`.
    pub person: Value,
    /// `in_sync`, `planned`, `skipped`, `unknown`, or the state of the link.
    pub state: String,
    pub rules: Vec<RuleResult>,
    /// The account's id in the app.
    pub account: Option<String>,
    /// What happens next, in a sentence, and when.
    pub next: Option<Value>,
}

pub async fn explain(
    engine: &Engine,
    app: &App,
    person: &PersonId,
) -> Result<Option<Explanation>, RunError> {
    let world = World::load(engine, app, true).await?;
    let mut db = engine.connection().await?;
    let Some(candidate) = inputs::one(&mut db, app, &world, person).await? else {
        return Ok(None);
    };
    let context = world.context();
    let decision = candidate.decision.as_ref();
    let mut plan = plan_known(&context, &candidate, &before_asking(decision));
    // What an earlier run found is why they wait, so it is looked at; the app is not asked.
    if let PlanOutcome::NeedsLookup { user_name } = &plan.outcome {
        let chosen = chosen(decision);
        if let Some(found) = matches::known(&mut db, app, &world, person, user_name, chosen).await?
        {
            plan = plan_known(&context, &candidate, &found);
        }
    }
    drop(db);
    let link = candidate.link.as_ref();
    let state = match (&plan.outcome, link.map(|link| link.state)) {
        (_, Some(LinkState::Gone)) => "gone",
        (_, Some(LinkState::SuspendedByUs)) => "suspended",
        (PlanOutcome::Unchanged, _) => "in_sync",
        (PlanOutcome::Planned, _) => "planned",
        (PlanOutcome::NeedsLookup { .. }, _) => "no_account_yet",
        (PlanOutcome::Skipped(_), _) => "skipped",
    };
    let next = match (&plan.outcome, &plan.next) {
        (PlanOutcome::Planned, _) => plan.operations.first().map(|operation| {
            json!({ "operation": operation.kind, "reason": operation.reason.to_string(), "due": operation.due_at })
        }),
        (PlanOutcome::NeedsLookup { user_name }, _) => Some(json!({
            "operation": null,
            "reason": format!("The next run looks for an account with the user name {user_name}, and creates or links one"),
            "due": null,
        })),
        (_, Some(step)) => Some(json!({
            "operation": step.step, "reason": step.trigger.to_string(), "due": step.due_at, "held": step.held,
        })),
        _ => None,
    };
    Ok(Some(Explanation {
        person: json!({ "id": candidate.person.id, "email": candidate.person.primary_email }),
        state: state.to_owned(),
        rules: plan.trace,
        account: link
            .filter(|link| link.state != LinkState::Deleted)
            .map(|link| link.account_id.to_string()),
        next,
    }))
}
