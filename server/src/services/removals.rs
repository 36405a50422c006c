//! What waits to happen to accounts, and administrators' decisions about it (S6.7, S9.1, S9.6).

use std::collections::BTreeMap;

use app::api::queue::{
    Chosen, DecidedSteps, HeldDecision, HeldKey, HeldRow, Question, Queue, QueueQuery, Review,
    StepChoice, StepDecision, StepKey, StepKind,
};
use app::api::terms::{Role, Time, Trigger as TriggerWord};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Removals};
use async_trait::async_trait;
use provisioning::digest::Digest;
use provisioning::identity::PersonId;
use provisioning::lifecycle::{Step, Trigger};
use serde_json::json;
use sqlx::PgConnection;

use super::standing::{self, number};
use super::zones::Zone;
use crate::store::apps::App;
use crate::store::{people, person_decisions};
use crate::sync::Engine;
use crate::sync::decisions::{self, Decision, Subject};
use crate::sync::pending::{self, PendingStep};

/// More than in the queue, since those that belong together are decided together.
const HELD_PER_PAGE: u32 = 100;
const WHY_CREATES_ARE_HELD: &str = "More creates in one run than the ceiling allows";

#[derive(Debug, Clone)]
pub struct RemovalsService {
    pub engine: Engine,
}

/// Everything that is to be reviewed: removals first.
struct Held {
    removals: Vec<PendingStep>,
    creates: Vec<(PersonId, String)>,
}

impl Held {
    async fn read(db: &mut PgConnection, app: &App, now: Time) -> Answer<Self> {
        Ok(Self {
            removals: pending::under_review(&mut *db, app, now).await?,
            creates: person_decisions::held_creates(db, app.id, None).await?,
        })
    }

    /// Every reason once, in the order in which people are listed.
    fn why(&self) -> Vec<String> {
        let mut why: Vec<String> = Vec::new();
        let removals = (self.removals.iter().filter_map(|one| one.review.as_ref()))
            .flat_map(|review| review.why.iter().cloned());
        let creates = (!self.creates.is_empty()).then(|| WHY_CREATES_ARE_HELD.to_owned());
        for reason in removals.chain(creates) {
            if !why.contains(&reason) {
                why.push(reason);
            }
        }
        why
    }

    fn version(&self) -> String {
        let removals = self.removals.iter().map(|one| key(one).to_string());
        let creates = self.creates.iter().map(|(person, _)| person.to_string());
        let mut removals: Vec<String> = removals.collect();
        removals.sort();
        let creates: Vec<String> = creates.collect();
        Digest::of_json(&json!([removals, creates])).to_string()
    }
}

#[async_trait]
impl Removals for RemovalsService {
    async fn queue(
        &self,
        actor: &Actor,
        slug: &str,
        query: QueueQuery,
        zone: &str,
    ) -> Answer<Queue> {
        self.queue_page(actor, slug, query, Zone::named(zone)).await
    }

    async fn question(
        &self,
        actor: &Actor,
        slug: &str,
        choice: StepChoice,
        chosen: Chosen,
        zone: &str,
    ) -> Answer<Question> {
        self.ask(actor, slug, choice, &chosen, Zone::named(zone))
            .await
    }

    async fn decide_steps(
        &self,
        actor: &Actor,
        slug: &str,
        decision: StepDecision,
        chosen: Chosen,
        version: &str,
        zone: &str,
    ) -> Answer<DecidedSteps> {
        let choice = decision.choice();
        self.decide_many(actor, slug, choice, &chosen, version, Zone::named(zone))
            .await
    }

    async fn review(&self, actor: &Actor, slug: &str, page: u32) -> Answer<Review> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let now = self.engine.clock.now();
        let held = Held::read(&mut db, &app, now).await?;
        let (removals, creates) = (held.removals.len(), held.creates.len());
        let version = held.version();
        let why = held.why();
        let mut rows: Vec<HeldRow> = held.removals.into_iter().map(held_row).collect();
        rows.extend(held.creates.into_iter().map(|(person, email)| HeldRow {
            key: HeldKey::Create(person.to_string()),
            person: standing::person(person.to_string(), "", email),
            due: None,
            held_since: None,
            why: vec![WHY_CREATES_ARE_HELD.to_owned()],
        }));
        let mut rows = page_of(rows, page, HELD_PER_PAGE);
        name(&mut db, &mut rows).await?;
        Ok(Review {
            head: standing::head(&mut db, &app).await?,
            now,
            rows,
            paging: standing::paging(page, HELD_PER_PAGE, total(removals + creates)),
            removals: number(removals),
            creates: number(creates),
            why,
            version,
            may_decide: may_decide(actor),
        })
    }

    async fn decide_held(
        &self,
        actor: &Actor,
        slug: &str,
        decision: HeldDecision,
        chosen: &[HeldKey],
        version: &str,
    ) -> Answer<()> {
        let app = self.app(slug).await?;
        let (removals, creates) = match decision {
            HeldDecision::AllowSelected(_) if chosen.is_empty() => {
                return Err(ApiError::field("chosen", FieldCode::NothingTicked));
            }
            HeldDecision::AllowSelected(_) => parted(chosen),
            HeldDecision::AllowAll(_) | HeldDecision::DismissAll => {
                let held = self.held(&app).await?;
                if held.version() != version {
                    return Err(ApiError::new(ErrorCode::Conflict));
                }
                let removals = held.removals.iter().map(|one| subject(&key(one)));
                let creates = held.creates.iter().map(|(person, _)| person.clone());
                (removals.collect(), creates.collect())
            }
        };
        let by = &actor.email;
        let (decision, creates) = match decision {
            HeldDecision::AllowSelected(_) | HeldDecision::AllowAll(_) => {
                (Decision::Allow, creates)
            }
            HeldDecision::DismissAll => (Decision::Dismiss, Vec::new()),
        };
        let missed = decisions::decide(&self.engine, &app, &removals, decision, by).await?;
        let created = decisions::allow_creates(&self.engine, &app, &creates, by).await?;
        // Somebody whose cause ended meanwhile does not keep the others waiting.
        if missed.len() == removals.len() && created == 0 {
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        Ok(())
    }
}

impl RemovalsService {
    async fn app(&self, slug: &str) -> Answer<App> {
        let mut db = self.engine.connection().await?;
        standing::app(&mut db, slug).await
    }

    async fn held(&self, app: &App) -> Answer<Held> {
        let mut db = self.engine.connection().await?;
        Held::read(&mut db, app, self.engine.clock.now()).await
    }
}

pub(super) fn may_decide(actor: &Actor) -> bool {
    actor.role == Role::SuperAdministrator
}

pub(super) fn total(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn page_of<T>(rows: Vec<T>, page: u32, per_page: u32) -> Vec<T> {
    let paging = standing::paging(page, per_page, total(rows.len()));
    let part = standing::part(paging.page, per_page);
    let size = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    (rows.into_iter())
        .skip(size(part.offset))
        .take(size(part.limit))
        .collect()
}

/// Gives the people whose names the lines lack those of the directory.
async fn name(db: &mut PgConnection, rows: &mut [HeldRow]) -> Answer<()> {
    let nameless = rows
        .iter()
        .filter(|row| matches!(row.key, HeldKey::Create(_)))
        .map(|row| row.person.id.clone());
    let nameless: Vec<String> = nameless.collect();
    if nameless.is_empty() {
        return Ok(());
    }
    let names: BTreeMap<String, String> = (people::by_ids(db, &nameless).await?.into_iter())
        .map(|stored| (stored.person.id.to_string(), stored.person.full_name()))
        .collect();
    for row in rows {
        if let Some(name) = names.get(&row.person.id).filter(|name| !name.is_empty()) {
            row.person.name.clone_from(name);
        }
    }
    Ok(())
}

fn held_row(pending: PendingStep) -> HeldRow {
    HeldRow {
        key: HeldKey::Removal(key(&pending)),
        due: Some(pending.step.due_at),
        held_since: pending.review.as_ref().map(|review| review.since),
        why: pending.review.map(|review| review.why).unwrap_or_default(),
        person: standing::person(
            pending.person_id.to_string(),
            pending.person_name,
            pending.person_email,
        ),
    }
}

pub(super) fn key(pending: &PendingStep) -> StepKey {
    StepKey {
        trigger: standing::trigger(pending.step.trigger.key()),
        step: match pending.step.step {
            Step::Suspend => StepKind::Suspend,
            Step::Delete => StepKind::Delete,
        },
        person: pending.person_id.to_string(),
    }
}

pub(super) fn subject(key: &StepKey) -> Subject {
    let trigger = match key.trigger {
        TriggerWord::AppTurnedOff => Trigger::AppTurnedOff,
        TriggerWord::Suspended => Trigger::Suspended,
        TriggerWord::Deleted => Trigger::Deleted,
    };
    let step = match key.step {
        StepKind::Suspend => Step::Suspend,
        StepKind::Delete => Step::Delete,
    };
    Subject {
        person: PersonId::from(key.person.clone()),
        step: Some((trigger, step)),
    }
}

/// Removals and creates among the lines that were ticked.
fn parted(chosen: &[HeldKey]) -> (Vec<Subject>, Vec<PersonId>) {
    let (mut removals, mut creates) = (Vec::new(), Vec::new());
    for one in chosen {
        match one {
            HeldKey::Removal(step) => removals.push(subject(step)),
            HeldKey::Create(person) => creates.push(PersonId::from(person.clone())),
        }
    }
    (removals, creates)
}
