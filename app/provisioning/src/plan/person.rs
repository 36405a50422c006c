use super::{
    ExistingFailure, Link, LinkState, OperationKind, PersonInput, PersonPlan, PlanOutcome,
    PlannedOperation, Precondition, Reason, Skip,
};
use crate::identity::{Account, Standing};
use crate::lifecycle::{Causes, DueStep, Lifecycle, Step, Trigger, due_steps, follow};
use crate::mapping::{FieldChange, MappedBody, Outcome, project};
use crate::matching::Match;
use crate::scope::{Rule, RuleResult, ScopeDecision};
use serde_json::{Value, json};

/// Plans one person. Total: every problem becomes a reason to skip.
pub fn plan_person(input: &PersonInput<'_>) -> PersonPlan {
    let decision = input
        .context
        .resolved
        .decide(input.person, input.memberships);
    let trace = decision.rules.clone();
    let mut planner = Planner {
        input,
        causes: Causes::of(input.person, &decision),
        decision,
        lifecycle: input.lifecycle.clone(),
        next: None,
        awaits_manager: None,
        trace,
    };
    let step = planner.decide();
    planner.finish(step)
}

/// What became of the person before failures are looked at.
enum Decided {
    Do(Vec<PlannedOperation>),
    Unchanged,
    Skip(Rule, String),
    Lookup(String),
}

struct Planner<'a> {
    input: &'a PersonInput<'a>,
    causes: Causes,
    decision: ScopeDecision,
    lifecycle: Lifecycle,
    next: Option<DueStep>,
    awaits_manager: Option<String>,
    trace: Vec<RuleResult>,
}

impl Planner<'_> {
    fn decide(&mut self) -> Decided {
        let state = self.input.link.map(|link| link.state);
        let observed_at = self.input.context.observed_at;
        self.lifecycle = follow(&self.lifecycle, state, self.causes, observed_at);
        if state.is_some_and(LinkState::is_live) {
            self.next = self.next_step();
        }
        match self.input.person.standing {
            Standing::Unknown | Standing::Archived => return self.out_of_scope(),
            Standing::Active | Standing::Suspended | Standing::Deleted => {}
        }
        match self.input.link {
            None => self.unlinked(None),
            Some(link) => match link.state {
                LinkState::Active | LinkState::SuspendedByUs => self.linked(link),
                LinkState::Deleted => self.unlinked(Some(link)),
                LinkState::Gone => {
                    let detail = format!(
                        "The account {} is gone from the app; create it again or unlink it",
                        link.account_id
                    );
                    Decided::Skip(Rule::Link, detail)
                }
            },
        }
    }

    fn out_of_scope(&self) -> Decided {
        let rule = self.decision.excluded_by.unwrap_or(Rule::DirectoryState);
        let detail = self
            .decision
            .excluded_detail()
            .unwrap_or_default()
            .to_owned();
        Decided::Skip(rule, detail)
    }

    /// The earliest step that will happen.
    fn next_step(&self) -> Option<DueStep> {
        let context = self.input.context;
        if context.config.safety.protects(self.input.person) {
            return None;
        }
        due_steps(&self.lifecycle, &context.config.deprovisioning, context.now)
            .into_iter()
            .find(DueStep::is_live)
    }

    // People with an account.

    fn linked(&mut self, link: &Link) -> Decided {
        self.trace.push(RuleResult::pass(
            Rule::Link,
            match link.state {
                LinkState::SuspendedByUs => {
                    format!("Linked to {}, suspended by us", link.account_id)
                }
                _ => format!("Linked to {}", link.account_id),
            },
        ));
        if self.lifecycle.has_trigger() {
            return self.removal(link);
        }
        if !self.decision.in_scope {
            return self.out_of_scope();
        }
        let body = match self.mapped() {
            Ok(body) => body,
            // Nobody stays suspended for a value that can't be sent.
            Err(Decided::Skip(_, problem)) if link.state == LinkState::SuspendedByUs => {
                let reason = Reason::CauseEndedOnly { problem };
                let mut operation = self.operation(OperationKind::Unsuspend, reason);
                operation.body.clone_from(&link.last_body);
                return Decided::Do(vec![operation]);
            }
            Err(skip) => return skip,
        };
        let nothing = json!({});
        let acknowledged = link.last_body.as_ref().unwrap_or(&nothing);
        let changes = body.changes_from(acknowledged);
        let target = body.with_kept(acknowledged);
        if link.state == LinkState::SuspendedByUs {
            let mut operation = self.operation(OperationKind::Unsuspend, Reason::CauseEnded);
            operation.changes = changes;
            operation.body = Some(target);
            return Decided::Do(vec![operation]);
        }
        if changes.is_empty() {
            return Decided::Unchanged;
        }
        Decided::Do(vec![self.update(changes, target)])
    }

    fn removal(&mut self, link: &Link) -> Decided {
        let context = self.input.context;
        let steps = due_steps(&self.lifecycle, &context.config.deprovisioning, context.now);
        let Some(due) = steps.iter().find(|step| step.is_due(context.now)).cloned() else {
            return self.waiting(link, &steps);
        };
        if context.config.safety.protects(self.input.person) {
            self.trace
                .push(RuleResult::fail(Rule::Protected, "Protected"));
            return Decided::Skip(
                Rule::Protected,
                format!("Protected, {} is not done", due.step.key()),
            );
        }
        let detail = match due.trigger {
            Trigger::AppTurnedOff => self.decision.app_off_detail().map(str::to_owned),
            Trigger::Suspended | Trigger::Deleted => None,
        };
        let kind = match due.step {
            Step::Suspend => OperationKind::Suspend,
            Step::Delete => OperationKind::Delete,
        };
        let reason = Reason::Due {
            trigger: due.trigger,
            step: due.step,
            since: due.since,
            due_at: due.due_at,
            detail,
        };
        let mut operation = self.operation(kind, reason);
        operation.due_at = Some(due.due_at);
        operation.allowed = due.allowed;
        operation.precondition.cause = Some(due.trigger);
        Decided::Do(vec![operation])
    }

    /// A trigger holds and nothing is due: attributes are not updated either.
    fn waiting(&self, link: &Link, steps: &[DueStep]) -> Decided {
        let triggers: Vec<String> = self
            .lifecycle
            .triggers()
            .iter()
            .map(Trigger::to_string)
            .collect();
        let because = triggers.join(" and ");
        let context = self.input.context;
        let detail = match steps.iter().find(|step| step.is_live()) {
            Some(step) if context.config.safety.protects(self.input.person) => {
                format!("{because}; protected, {} will not be done", step.step.key())
            }
            Some(step) if step.held => format!("{because}; {} is held", step.step.key()),
            Some(step) => format!(
                "{because}; {} is due {} UTC",
                step.step.key(),
                step.due_at.format("%Y-%m-%d %H:%M")
            ),
            None if link.state == LinkState::SuspendedByUs => {
                format!("{because}; the account stays suspended")
            }
            None => format!("{because}; the step was cancelled"),
        };
        Decided::Skip(Rule::Trigger, detail)
    }

    // People without an account.

    fn unlinked(&mut self, deleted: Option<&Link>) -> Decided {
        if !self.decision.in_scope {
            return self.out_of_scope();
        }
        let body = match self.mapped() {
            Ok(body) => body,
            Err(skip) => return skip,
        };
        let Some(user_name) = body.user_name().map(str::to_owned) else {
            return Decided::Skip(
                Rule::Mapping,
                "No user name: userName has no value".to_owned(),
            );
        };
        match self.input.matching {
            Match::Unknown => Decided::Lookup(user_name),
            Match::Leave => self.no_match(
                "An administrator decided that they get no account; take that back to change it"
                    .to_owned(),
            ),
            Match::Absent => {
                self.trace.push(RuleResult::pass(
                    Rule::Match,
                    "No account with this user name",
                ));
                Decided::Do(vec![self.create(&body, deleted)])
            }
            Match::Found(account) => {
                let text = format!("The account {} has this user name", account.id);
                self.trace.push(RuleResult::pass(Rule::Match, text));
                let reason = Reason::Matched { user_name };
                Decided::Do(self.link(account, &body, reason))
            }
            Match::Moves { account, from } => {
                let text = format!(
                    "The account {} belonged to {from}, who is deleted",
                    account.id
                );
                self.trace.push(RuleResult::pass(Rule::Match, text));
                // The old person's steps end with the link; the new one starts afresh.
                let reason = Reason::Relink { from: from.clone() };
                Decided::Do(self.link(account, &body, reason))
            }
            Match::Inactive(account)
                if deleted.is_some_and(|link| link.account_id == account.id) =>
            {
                let text = format!(
                    "The app kept the deleted account {} as inactive",
                    account.id
                );
                self.trace.push(RuleResult::pass(Rule::Match, text));
                let through = self.decision.included_detail();
                Decided::Do(self.link(account, &body, Reason::ProvisionedAnew { through }))
            }
            Match::TakenBy {
                person,
                renamed: true,
                ..
            } => {
                let text = format!("The user name becomes free when {person} is renamed");
                self.trace.push(RuleResult::info(Rule::Match, text));
                let mut operation = self.create(&body, deleted);
                operation.after = Some(person.clone());
                Decided::Do(vec![operation])
            }
            Match::TakenBy {
                account,
                person,
                renamed: false,
            } => self.no_match(format!(
                "Conflict: the account {account} with this user name is linked to {person}"
            )),
            Match::Inactive(account) => self.no_match(format!(
                "The account {} with this user name is inactive; decide whether to link it",
                account.id
            )),
            Match::Review(account) => self.no_match(format!(
                "The account {} has this user name; decide whether to link it",
                account.id
            )),
            Match::Ambiguous(accounts) => {
                let ids: Vec<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
                self.no_match(format!(
                    "Several accounts have this user name: {}",
                    ids.join(", ")
                ))
            }
        }
    }

    fn no_match(&mut self, detail: String) -> Decided {
        self.trace
            .push(RuleResult::fail(Rule::Match, detail.clone()));
        Decided::Skip(Rule::Match, detail)
    }

    fn create(&self, body: &MappedBody, deleted: Option<&Link>) -> PlannedOperation {
        let through = self.decision.included_detail();
        let reason = match deleted {
            Some(_) => Reason::ProvisionedAnew { through },
            None => Reason::InScope { through },
        };
        let mut operation = self.operation(OperationKind::Create, reason);
        operation.account = None;
        operation.changes = body.changes_from(&json!({}));
        operation.body = Some(body.body.clone());
        operation
    }

    /// Link, and update or unsuspend when the account differs.
    fn link(&self, account: &Account, body: &MappedBody, reason: Reason) -> Vec<PlannedOperation> {
        let held = project(&account.resource, self.input.context.mapping.paths());
        let changes = body.changes_from(&held);
        let target = body.with_kept(&held);
        let inactive = account.active == Some(false);
        let mut link = self.operation(OperationKind::Link, reason);
        link.account = Some(account.id.clone());
        let follow = if inactive {
            let mut operation = self.operation(OperationKind::Unsuspend, Reason::CauseEnded);
            operation.changes = changes;
            operation.body = Some(target.clone());
            Some(operation)
        } else {
            (!changes.is_empty()).then(|| self.update(changes, target.clone()))
        };
        link.body = Some(if follow.is_some() { held } else { target });
        if let Reason::Relink { from } = &link.reason {
            link.moves_from = Some(from.clone());
        }
        if inactive {
            link.link_after = LinkState::SuspendedByUs;
        }
        let Some(mut follow) = follow else {
            return vec![link];
        };
        follow.account = Some(account.id.clone());
        follow.precondition.link = Some(link.link_after);
        follow.precondition.body_hash = link.body_hash();
        vec![link, follow]
    }

    // Shared.

    /// The mapped body, or why it cannot be sent.
    fn mapped(&mut self) -> Result<MappedBody, Decided> {
        let body = self
            .input
            .context
            .mapping
            .build(self.input.person, self.input.manager);
        if let Some(problem) = body.problems.first() {
            self.trace
                .push(RuleResult::fail(Rule::Mapping, problem.message.clone()));
            return Err(Decided::Skip(Rule::Mapping, problem.message.clone()));
        }
        let values = body
            .rows
            .iter()
            .filter(|row| row.outcome.value().is_some())
            .count();
        let text = format!("{values} of {} values", body.rows.len());
        self.trace.push(RuleResult::pass(Rule::Mapping, text));
        for row in &body.rows {
            if let Outcome::Problem(why) = &row.outcome {
                let text = format!("{} is left as it is: the value {why}", row.attribute);
                self.trace.push(RuleResult::info(Rule::Mapping, text));
            }
        }
        self.awaits_manager = body.awaits_manager().map(str::to_owned);
        Ok(body)
    }

    fn update(&self, changes: Vec<FieldChange>, target: Value) -> PlannedOperation {
        let attributes = changes
            .iter()
            .map(|change| change.attribute.clone())
            .collect();
        let mut operation = self.operation(OperationKind::Update, Reason::Changed { attributes });
        operation.changes = changes;
        operation.body = Some(target);
        operation
    }

    fn operation(&self, kind: OperationKind, reason: Reason) -> PlannedOperation {
        let link = self.input.link;
        PlannedOperation {
            kind,
            account: link.map(|link| link.account_id.clone()),
            body: None,
            changes: Vec::new(),
            reason,
            due_at: None,
            allowed: false,
            precondition: Precondition {
                person: self.input.person.fingerprint(),
                link: link.map(|link| link.state),
                body_hash: link.and_then(Link::body_hash),
                cause: None,
            },
            link_after: match kind {
                OperationKind::Suspend => LinkState::SuspendedByUs,
                OperationKind::Delete => LinkState::Deleted,
                _ => LinkState::Active,
            },
            after: None,
            moves_from: None,
        }
    }

    fn finish(mut self, decided: Decided) -> PersonPlan {
        let decided = self.after_failures(decided);
        let (operations, outcome) = match decided {
            Decided::Do(operations) => (operations, PlanOutcome::Planned),
            Decided::Unchanged => (Vec::new(), PlanOutcome::Unchanged),
            Decided::Skip(rule, detail) => {
                (Vec::new(), PlanOutcome::Skipped(Skip { rule, detail }))
            }
            Decided::Lookup(user_name) => (Vec::new(), PlanOutcome::NeedsLookup { user_name }),
        };
        let next = match (&outcome, &self.next) {
            (PlanOutcome::Planned, _) => operations
                .iter()
                .map(|operation| operation.kind.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            (PlanOutcome::Unchanged, _) => "Nothing: the app holds what it shall hold".to_owned(),
            (PlanOutcome::NeedsLookup { .. }, _) => {
                "The app is asked for this user name".to_owned()
            }
            (PlanOutcome::Skipped(skip), _) => skip.detail.clone(),
        };
        self.trace.push(RuleResult::info(Rule::NextStep, next));
        PersonPlan {
            person: self.input.person.id.clone(),
            operations,
            outcome,
            lifecycle: self.lifecycle,
            causes: self.causes,
            next: self.next,
            awaits_manager: self.awaits_manager,
            trace: self.trace,
        }
    }

    /// What failed before is not sent again before its time, unless it is another body by now.
    fn after_failures(&mut self, decided: Decided) -> Decided {
        let (Decided::Do(operations), Some(failure)) = (&decided, self.input.failure) else {
            return decided;
        };
        if !operations.iter().any(|one| failure.is_of(one)) {
            return decided;
        }
        match waits(failure, self.input.context.now) {
            Some(detail) => {
                self.trace
                    .push(RuleResult::fail(Rule::Failure, detail.clone()));
                Decided::Skip(Rule::Failure, detail)
            }
            None => decided,
        }
    }
}

fn waits(failure: &ExistingFailure, now: chrono::DateTime<chrono::Utc>) -> Option<String> {
    let message = &failure.message;
    match failure.retry_at {
        _ if failure.ignored => Some(format!("Ignored: {message}")),
        _ if failure.permanent => Some(format!(
            "Failed for good until something changes: {message}"
        )),
        Some(at) if at > now => Some(format!(
            "Tried again {} UTC: {message}",
            at.format("%Y-%m-%d %H:%M")
        )),
        _ => None,
    }
}
