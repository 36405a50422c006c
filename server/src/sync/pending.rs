//! Every pending removal of an app, from the clocks and the policies as they are now (S6.7).

use chrono::{DateTime, Utc};
use provisioning::identity::{PersonId, same_address};
use provisioning::lifecycle::{DueStep, Review, due_steps};
use sqlx::PgConnection;

use super::inputs;
use crate::store::apps::App;
use crate::store::{StoreError, lifecycles, people};

/// A step that waits for its time or for somebody.
#[derive(Debug, Clone)]
pub struct PendingStep {
    pub person_id: PersonId,
    pub person_email: String,
    pub person_name: String,
    pub step: DueStep,
    /// Why the guard holds it.
    pub review: Option<Review>,
}

impl PendingStep {
    /// Nothing happens before somebody releases it or decides about it.
    pub fn is_held(&self) -> bool {
        self.step.held || is_under_review(&self.step)
    }
}

/// Whether the guard holds a step and nobody decided about it yet. One that an administrator holds
/// comes back here when it is released.
pub fn is_under_review(step: &DueStep) -> bool {
    step.under_review && step.is_live() && !step.allowed && !step.held
}

/// All steps that will happen unless somebody decides otherwise, the earliest first.
pub async fn steps(
    connection: &mut PgConnection,
    app: &App,
    now: DateTime<Utc>,
) -> Result<Vec<PendingStep>, StoreError> {
    of(connection, app, now, Which::Live).await
}

/// The same, and those that were cancelled and can be taken up again as long as their cause holds.
pub async fn steps_and_cancelled(
    connection: &mut PgConnection,
    app: &App,
    now: DateTime<Utc>,
) -> Result<Vec<PendingStep>, StoreError> {
    of(connection, app, now, Which::Cancelled).await
}

/// The steps that the guard holds and that are to be reviewed.
pub async fn under_review(
    connection: &mut PgConnection,
    app: &App,
    now: DateTime<Utc>,
) -> Result<Vec<PendingStep>, StoreError> {
    let mut steps = of(connection, app, now, Which::UnderReview).await?;
    steps.retain(|pending| is_under_review(&pending.step));
    Ok(steps)
}

/// How many removals wait for review.
pub async fn count_under_review(
    connection: &mut PgConnection,
    app: &App,
) -> Result<usize, StoreError> {
    // Whether a step is under review does not depend on the time.
    Ok(under_review(connection, app, DateTime::UNIX_EPOCH)
        .await?
        .len())
}

/// The ids of those from whom the app is never taken: none of their steps comes.
pub async fn protected(
    connection: &mut PgConnection,
    app: &App,
) -> Result<Vec<String>, StoreError> {
    let Some(config) = inputs::configuration(&mut *connection, app).await? else {
        return Ok(Vec::new());
    };
    let (mut ids, mut addresses) = (Vec::new(), Vec::new());
    for one in config.safety.protected {
        match one.id {
            Some(id) => ids.push(id.to_string()),
            None => addresses.push(one.email.to_lowercase()),
        }
    }
    if !addresses.is_empty() {
        ids.extend(people::with_addresses(connection, &addresses).await?);
    }
    Ok(ids)
}

/// Which steps are wanted: those that will happen, cancelled ones too, or of people in review only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Live,
    Cancelled,
    UnderReview,
}

async fn of(
    connection: &mut PgConnection,
    app: &App,
    now: DateTime<Utc>,
    which: Which,
) -> Result<Vec<PendingStep>, StoreError> {
    let Some(config) = inputs::configuration(connection, app).await? else {
        return Ok(Vec::new());
    };
    let mut steps = Vec::new();
    for waiting in lifecycles::waiting(connection, app.id, which == Which::UnderReview).await? {
        // Nothing is ever taken from protected people, so nothing waits.
        let protected = (config.safety.protected.iter()).any(|one| match &one.id {
            Some(id) => *id == waiting.person_id,
            None => same_address(&one.email, &waiting.person_email),
        });
        if protected {
            continue;
        }
        for step in due_steps(&waiting.lifecycle, &config.deprovisioning, now) {
            if step.is_live() || which == Which::Cancelled {
                let clock = waiting.lifecycle.clocks.get(&step.trigger);
                steps.push(PendingStep {
                    review: clock.and_then(|clock| clock.review.get(&step.step).cloned()),
                    person_id: waiting.person_id.clone(),
                    person_email: waiting.person_email.clone(),
                    person_name: waiting.person_name.clone(),
                    step,
                });
            }
        }
    }
    steps.sort_by(|a, b| {
        let key = |pending: &PendingStep| (pending.step.due_at, pending.step.step);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.person_id.cmp(&b.person_id))
    });
    Ok(steps)
}
