//! What a run for some people looked at and decided, step by step, kept with the run and joined
//! with what was sent and answered (S8.3).

use std::collections::BTreeMap;

use provisioning::identity::PersonId;
use provisioning::plan::{OperationKind, PersonPlan, PlanOutcome, Skip};
use provisioning::scope::{Rule, RuleResult, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::alone::Read;
use super::engine::Engine;
use super::lease::Lease;
use super::record;
use super::run::{RunError, ours};
use crate::store::StoreError;
use crate::store::operations::{self, Operation, OperationState};
use crate::store::runs::{self, Run};

/// The part that is kept with the run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    people: BTreeMap<PersonId, Looked>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Looked {
    read: Read,
    rules: Vec<RuleResult>,
    outcome: Outcome,
}

/// What planning came to, apart from its operations.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// Planning did not get to the person.
    Open,
    Planned,
    Unchanged,
    Skipped(Skip),
}

impl Trace {
    pub(super) fn of(read: BTreeMap<PersonId, Read>) -> Self {
        let looked = |read| Looked {
            read,
            rules: Vec::new(),
            outcome: Outcome::Open,
        };
        Self {
            people: (read.into_iter())
                .map(|(person, read)| (person, looked(read)))
                .collect(),
        }
    }

    pub(super) async fn load(db: &mut PgConnection, run: &Run) -> Result<Self, StoreError> {
        match runs::trace(db, run.id).await? {
            Some(trace) => crate::store::decode(trace, "runs", "trace", run.id.0),
            None => Ok(Self::default()),
        }
    }

    pub(super) async fn save(
        &self,
        engine: &Engine,
        run: &Run,
        lease: &Lease,
    ) -> Result<(), RunError> {
        let mut db = engine.connection().await?;
        let trace = serde_json::to_value(self).unwrap_or_default();
        ours(runs::set_trace(&mut db, run.id, lease.id, &trace).await?)
    }

    /// Those of whom enough is known to plan.
    pub(super) fn known(&self) -> Vec<String> {
        (self.people.iter())
            .filter(|(_, looked)| looked.read.known)
            .map(|(person, _)| person.to_string())
            .collect()
    }

    /// Takes the rules' own trace of a person.
    pub(super) fn planned(&mut self, plan: &PersonPlan) {
        if let Some(looked) = self.people.get_mut(&plan.person) {
            looked.rules.clone_from(&plan.trace);
            looked.outcome = match &plan.outcome {
                PlanOutcome::Planned => Outcome::Planned,
                PlanOutcome::Unchanged => Outcome::Unchanged,
                PlanOutcome::Skipped(skip) => Outcome::Skipped(skip.clone()),
                PlanOutcome::NeedsLookup { .. } => Outcome::Open,
            };
        }
    }
}

/// What a step of the trace is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What Google answered about the person.
    Directory,
    /// A rule: scope, access, domain, mapping, match, link ...
    Rule,
    /// What is to be done.
    Plan,
    /// What the second look at the plan, or the one before sending, said.
    Check,
    Sent,
    Answer,
    /// Why the run ended early.
    End,
}

/// One step of what happened, in the order in which it did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub stage: Stage,
    /// Which rule, and which operation.
    pub step: String,
    pub result: Verdict,
    pub detail: String,
    /// Changed values of a plan, the body that was sent, the account or excerpt of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl Step {
    /// For people.
    pub fn label(&self) -> String {
        match self.stage {
            Stage::Directory => "Google".to_owned(),
            Stage::Rule => Rule::parse(&self.step)
                .map_or_else(|| self.step.clone(), |rule| rule.label().to_owned()),
            Stage::Plan => "Plan".to_owned(),
            Stage::Check => "Check".to_owned(),
            Stage::Sent => "Sent".to_owned(),
            Stage::Answer => "Answer".to_owned(),
            Stage::End => "Ended early".to_owned(),
        }
    }
}

/// Everything that happened for one person in a run for some.
pub async fn steps(
    db: &mut PgConnection,
    run: &Run,
    person: &PersonId,
) -> Result<Vec<Step>, StoreError> {
    let trace = Trace::load(&mut *db, run).await?;
    let mut steps = Vec::new();
    if let Some(looked) = trace.people.get(person) {
        of_rules(looked, &mut steps);
    }
    for (operation, exchange) in operations::of_person(db, run.id, person).await? {
        of_operation(&operation, exchange.as_ref(), &mut steps);
    }
    if let Some(message) = &run.error_message {
        steps.push(step(Stage::End, "run", Verdict::Fail, message));
    }
    Ok(steps)
}

fn step(stage: Stage, name: &str, result: Verdict, detail: &str) -> Step {
    Step {
        stage,
        step: name.to_owned(),
        result,
        detail: detail.to_owned(),
        data: None,
    }
}

fn of_rules(looked: &Looked, steps: &mut Vec<Step>) {
    let read = match looked.read.known {
        true => Verdict::Pass,
        false => Verdict::Fail,
    };
    steps.push(step(Stage::Directory, "read", read, &looked.read.detail));
    // What comes next is told by what was sent, and by how it stands afterwards.
    let rules = looked
        .rules
        .iter()
        .filter(|line| line.rule != Rule::NextStep);
    steps.extend(rules.map(|line| {
        let name = line.rule.key();
        step(Stage::Rule, name, line.result, &line.detail)
    }));
    match &looked.outcome {
        Outcome::Open | Outcome::Planned => {}
        Outcome::Unchanged => {
            let detail = "Nothing to do: the app holds what it shall hold";
            steps.push(step(Stage::Plan, "nothing", Verdict::Info, detail));
        }
        // A step that waits is no refusal.
        Outcome::Skipped(skip) if skip.rule == Rule::Trigger => {
            steps.push(step(Stage::Plan, "nothing", Verdict::Info, &skip.detail));
        }
        Outcome::Skipped(skip) => {
            let name = skip.rule.key();
            let told = (steps.iter()).any(|one| one.result == Verdict::Fail && one.step == name);
            if !told {
                steps.push(step(Stage::Rule, name, Verdict::Fail, &skip.detail));
            }
        }
    }
}

fn of_operation(operation: &Operation, exchange: Option<&Value>, steps: &mut Vec<Step>) {
    let kind = operation.plan.kind.as_str();
    let planned = format!("{}: {}", capital(kind), operation.reason);
    let mut plan = step(Stage::Plan, kind, Verdict::Pass, &planned);
    if !operation.plan.changes.is_empty() {
        plan.data = serde_json::to_value(&operation.plan.changes).ok();
    }
    steps.push(plan);
    let message = operation.error_message.as_deref().unwrap_or_default();
    // Linking asks nothing of the app.
    let was_sent = operation.attempts > 0 && operation.plan.kind != OperationKind::Link;
    if was_sent {
        let tries = match operation.attempts {
            1 => "Sent once".to_owned(),
            many => format!("Sent {many} times"),
        };
        let mut sent = step(Stage::Sent, kind, Verdict::Pass, &tries);
        let request = exchange.and_then(|exchange| exchange.get("request").cloned());
        sent.data = Some(request.unwrap_or_else(|| record::planned(operation)));
        steps.push(sent);
    }
    let response = exchange.and_then(|exchange| exchange.get("response"));
    let ended = match operation.state {
        OperationState::Done => {
            let found = response
                .is_some_and(|one| one.get("found_done_before") == Some(&Value::Bool(true)));
            let detail = match (&operation.account_id, found) {
                (Some(account), true) => format!("Found done already; the account is {account}"),
                (Some(account), false) => format!("Done; the account is {account}"),
                (None, _) => "Done".to_owned(),
            };
            let stage = match operation.plan.kind {
                OperationKind::Link => Stage::Check,
                _ => Stage::Answer,
            };
            let mut answer = step(stage, kind, Verdict::Pass, &detail);
            answer.data = response.and_then(|one| one.get("account").cloned());
            answer
        }
        OperationState::Failed => {
            let mut answer = step(Stage::Answer, kind, Verdict::Fail, message);
            answer.data = response
                .map(|one| json!({ "status": one.get("status"), "excerpt": one.get("excerpt") }));
            answer
        }
        OperationState::Held => {
            let detail = format!("Held for review: {message}");
            step(Stage::Check, kind, Verdict::Fail, &detail)
        }
        OperationState::Superseded => step(Stage::Check, kind, Verdict::Fail, message),
        OperationState::Sending => {
            let detail = "It is not known yet what became of it; the next run looks first";
            step(Stage::Answer, kind, Verdict::Info, detail)
        }
        OperationState::Planned => return,
    };
    steps.push(ended);
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
