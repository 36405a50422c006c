//! Right before something is sent, the person is planned once more with what is stored by then:
//! decisions about the queue, protection, scope and groups may have changed since the plan.

use provisioning::Digest;
use provisioning::matching::Match;
use provisioning::plan::{OperationKind, PlanContext, PlanOutcome, PlannedOperation, Precondition};

use super::inputs::Candidate;
use super::plan::plan_afresh;
use crate::store::operations::Operation;

/// The operation as it is planned now, or why it is not any more.
pub fn recheck(
    context: &PlanContext<'_>,
    candidate: &Candidate,
    operation: &Operation,
) -> Result<PlannedOperation, String> {
    let planned = &operation.plan;
    if !holds(&planned.precondition, candidate) {
        return Err("The person or their account changed since this was planned.".to_owned());
    }
    let (matching, expected) = match planned.kind {
        // Which account it is was decided by the plan; here it matters that the person is to have one.
        OperationKind::Create | OperationKind::Link => (Match::Absent, OperationKind::Create),
        other => (Match::Unknown, other),
    };
    let now = plan_afresh(context, candidate, &matching);
    let Some(again) = now.operations.iter().find(|one| one.kind == expected) else {
        return Err(match now.outcome {
            PlanOutcome::Skipped(skip) => format!("It is not due any more: {}.", skip.detail),
            _ => "It is not needed any more.".to_owned(),
        });
    };
    match planned.kind {
        OperationKind::Link => Ok(planned.clone()),
        OperationKind::Suspend | OperationKind::Delete => {
            let same = again.account == planned.account
                && again.precondition.cause == planned.precondition.cause
                && (again.allowed || !planned.allowed);
            if same {
                Ok(planned.clone())
            } else {
                Err("Another step, or the same for another reason, is due by now.".to_owned())
            }
        }
        OperationKind::Create | OperationKind::Update | OperationKind::Unsuspend => {
            let same_body = digest(again) == digest(planned);
            if again.account != planned.account || !(same_body || operation.manager_id.is_some()) {
                return Err("What is to be written changed since this was planned.".to_owned());
            }
            Ok(PlannedOperation {
                body: again.body.clone(),
                changes: again.changes.clone(),
                ..planned.clone()
            })
        }
    }
}

fn digest(planned: &PlannedOperation) -> Option<Digest> {
    planned.body.as_ref().map(Digest::of_json)
}

/// Whether the person and their link are as they were when the operation was planned.
fn holds(planned: &Precondition, candidate: &Candidate) -> bool {
    let link = candidate.link.as_ref();
    candidate.person.fingerprint() == planned.person
        && link.map(|link| link.state) == planned.link
        && link.and_then(|link| link.body_hash()) == planned.body_hash
}
