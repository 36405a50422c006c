//! The queue as the console shows it, what is expected of the next days, and decisions about many
//! steps at once (S6.7).

use std::collections::{BTreeMap, BTreeSet};

use app::api::queue::{
    Chosen, DecidedSteps, Forecast, ForecastDay, Question, Queue, QueueQuery, QueueRow, StepChoice,
    StepKind, Waits, WaitsFor,
};
use app::api::terms::Time;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer};
use chrono::TimeDelta;
use provisioning::catalog;
use provisioning::digest::Digest;
use provisioning::identity::PersonId;
use provisioning::lifecycle::{DueStep, Step, expected};
use serde_json::json;

use super::removals::{RemovalsService, key, may_decide, page_of, subject, total};
use super::standing::{self, number};
use super::wizard::sentences;
use super::zones::Zone;
use crate::store::apps::App;
use crate::store::person_decisions;
use crate::sync::decisions::{self, Decision};
use crate::sync::pending::{self, PendingStep};

const PER_PAGE: u32 = 50;
/// Today and the 21 days after it: a step with the longest window is in it from its first day on.
const FORECAST_DAYS: usize = 22;
const SOON: TimeDelta = TimeDelta::hours(24);
/// How many are named before a decision about many.
const NAMED: usize = 100;

impl RemovalsService {
    pub(super) async fn queue_page(
        &self,
        actor: &Actor,
        slug: &str,
        query: QueueQuery,
        zone: Zone,
    ) -> Answer<Queue> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let now = self.engine.clock.now();
        let steps = pending::steps_and_cancelled(&mut db, &app, now).await?;
        let creates = person_decisions::held_creates(&mut db, app.id, None).await?;
        let forecast = forecast(&steps, now, zone);
        let rows = queue_rows(steps, now);
        let live = || rows.iter().filter(|row| row.waits != Waits::Cancelled);
        let (all, in_review) = (
            number(live().count()),
            number(live().filter(|row| row.waits == Waits::Review).count()),
        );
        let rows: Vec<QueueRow> = (rows.into_iter())
            .filter(|row| fits(row, &query, now, zone))
            .collect();
        Ok(Queue {
            head: standing::head(&mut db, &app).await?,
            now,
            all,
            under_review: in_review,
            held_creates: number(creates.len()),
            forecast,
            paging: standing::paging(query.page, PER_PAGE, total(rows.len())),
            rows: page_of(rows, query.page, PER_PAGE),
            may_decide: may_decide(actor),
        })
    }

    pub(super) async fn ask(
        &self,
        actor: &Actor,
        slug: &str,
        choice: StepChoice,
        chosen: &Chosen,
        zone: Zone,
    ) -> Answer<Question> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let now = self.engine.clock.now();
        let steps = pending::steps_and_cancelled(&mut db, &app, now).await?;
        let Meant { rows, left_out } = meant(queue_rows(steps, now), choice, chosen, now, zone);
        let of = |kind: StepKind| rows.iter().filter(|row| row.key.step == kind).count();
        let (suspensions, deletions) = (of(StepKind::Suspend), of(StepKind::Delete));
        let does = match choice {
            StepChoice::Now => does(&app, suspensions > 0, deletions > 0),
            StepChoice::Cancel | StepChoice::Hold | StepChoice::Release => Vec::new(),
        };
        Ok(Question {
            head: standing::head(&mut db, &app).await?,
            now,
            suspensions: number(suspensions),
            deletions: number(deletions),
            left_out_count: number(left_out.len()),
            left_out: left_out.into_iter().take(NAMED).collect(),
            does,
            version: version(&rows),
            // Those that were ticked are sent again, each by its key.
            rows: match chosen.all {
                Some(_) => rows.into_iter().take(NAMED).collect(),
                None => rows,
            },
            may_decide: may_decide(actor),
        })
    }

    pub(super) async fn decide_many(
        &self,
        actor: &Actor,
        slug: &str,
        choice: StepChoice,
        chosen: &Chosen,
        seen: &str,
        zone: Zone,
    ) -> Answer<DecidedSteps> {
        if chosen.all.is_none() && chosen.steps.is_empty() {
            return Err(ApiError::field("steps", FieldCode::NothingTicked));
        }
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let now = self.engine.clock.now();
        let steps = pending::steps_and_cancelled(&mut db, &app, now).await?;
        drop(db);
        let Meant { rows, .. } = meant(queue_rows(steps, now), choice, chosen, now, zone);
        if chosen.all.is_some() && version(&rows) != seen {
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        let subjects: Vec<_> = rows.iter().map(|row| subject(&row.key)).collect();
        let decision = match choice {
            StepChoice::Cancel => Decision::Cancel,
            StepChoice::Hold => Decision::Hold,
            StepChoice::Release => Decision::Release,
            StepChoice::Now => Decision::Now,
        };
        let missed = decisions::decide(&self.engine, &app, &subjects, decision, &actor.email);
        let done = subjects.len() - missed.await?.len();
        if done == 0 {
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        // Of those that were ticked, some may have changed since.
        let wanted = if chosen.all.is_some() {
            subjects.len()
        } else {
            chosen.steps.len()
        };
        Ok(DecidedSteps {
            done: number(done),
            missed: number(wanted.saturating_sub(done)),
        })
    }
}

/// What the app really does, a line each.
fn does(app: &App, suspends: bool, deletes: bool) -> Vec<String> {
    let Some(entry) = catalog::entry(&app.catalog) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if suspends {
        lines.extend(sentences(&entry.suspend_does));
    }
    if deletes {
        lines.extend(sentences(&entry.delete_does));
    }
    lines
}

/// Whom a decision is about, and whom it leaves out.
struct Meant {
    rows: Vec<QueueRow>,
    left_out: Vec<(QueueRow, String)>,
}

fn meant(rows: Vec<QueueRow>, choice: StepChoice, chosen: &Chosen, now: Time, zone: Zone) -> Meant {
    let ticked: BTreeSet<String> = chosen.steps.iter().map(ToString::to_string).collect();
    let wanted = |row: &QueueRow| match &chosen.all {
        Some(query) => fits(row, query, now, zone),
        None => ticked.contains(&row.key.to_string()),
    };
    let mut meant = Meant {
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    for row in rows.into_iter().filter(wanted) {
        match why_not(&row, choice) {
            None => meant.rows.push(row),
            Some(why) => meant.left_out.push((row, why.to_owned())),
        }
    }
    meant
}

/// Why a decision does not fit a step.
fn why_not(row: &QueueRow, choice: StepChoice) -> Option<&'static str> {
    match (choice, row.waits) {
        (StepChoice::Cancel, Waits::Cancelled) => Some("It is cancelled already."),
        (StepChoice::Hold, Waits::Cancelled) => Some("It is cancelled; nothing is to be held."),
        (StepChoice::Hold, Waits::Held) => Some("It is held already."),
        (StepChoice::Release, Waits::Held | Waits::Cancelled) => None,
        (StepChoice::Release, Waits::Review) => {
            Some("It is held for review; decide about it there.")
        }
        (StepChoice::Release, _) => Some("Nobody holds it."),
        (StepChoice::Now, Waits::Review) => Some("It is held for review; decide about it there."),
        (StepChoice::Now, Waits::Cancelled) => Some("It is cancelled; take that back first."),
        (StepChoice::Now, Waits::Archived) => Some("The person is archived, and not managed."),
        (StepChoice::Now, Waits::NextRun) => Some("It is due with the next run already."),
        (StepChoice::Now, _) if !row.earliest => {
            Some("An earlier step of this person comes first.")
        }
        _ => None,
    }
}

fn version(rows: &[QueueRow]) -> String {
    let mut keys: Vec<String> = rows.iter().map(|row| row.key.to_string()).collect();
    keys.sort();
    Digest::of_json(&json!(keys)).to_string()
}

/// Whether the filters leave a step. Cancelled ones are shown only when they are asked for.
fn fits(row: &QueueRow, query: &QueueQuery, now: Time, zone: Zone) -> bool {
    let dated = matches!(row.waits, Waits::Time | Waits::NextRun | Waits::Suspension);
    let state = match query.waits {
        None => row.waits != Waits::Cancelled,
        Some(WaitsFor::Soon) => dated && row.due <= now + SOON,
        Some(WaitsFor::Held) => row.waits == Waits::Held,
        Some(WaitsFor::Review) => row.waits == Waits::Review,
        Some(WaitsFor::Archived) => row.waits == Waits::Archived,
        Some(WaitsFor::Cancelled) => row.waits == Waits::Cancelled,
    };
    let day = query
        .day
        .is_none_or(|day| dated && zone.day(row.due.max(now)) == day);
    let letters = query.q.as_deref().map(str::trim).unwrap_or_default();
    state
        && day
        && query.step.is_none_or(|step| row.key.step == step)
        && query.cause.is_none_or(|cause| row.key.trigger == cause)
        && (letters.is_empty() || is_found(row, &letters.to_lowercase()))
}

fn is_found(row: &QueueRow, letters: &str) -> bool {
    let person = &row.person;
    person.id == letters
        || [&person.name, &person.email]
            .iter()
            .any(|text| text.to_lowercase().contains(letters))
}

pub(super) fn queue_rows(steps: Vec<PendingStep>, now: Time) -> Vec<QueueRow> {
    let mut seen: BTreeSet<PersonId> = BTreeSet::new();
    (steps.into_iter())
        .map(|pending| QueueRow {
            earliest: pending.step.is_live() && seen.insert(pending.person_id.clone()),
            key: key(&pending),
            since: pending.step.since,
            due: pending.step.due_at,
            waits: waits(&pending.step, now),
            person: standing::person(
                pending.person_id.to_string(),
                pending.person_name,
                pending.person_email,
            ),
        })
        .collect()
}

fn waits(step: &DueStep, now: Time) -> Waits {
    if !step.is_live() {
        Waits::Cancelled
    } else if pending::is_under_review(step) {
        Waits::Review
    } else if step.held {
        Waits::Held
    } else if step.frozen {
        Waits::Archived
    } else if step.waits_for_suspension {
        Waits::Suspension
    } else if step.is_due(now) {
        Waits::NextRun
    } else {
        Waits::Time
    }
}

/// What is expected of each day from today on. `steps` are in the order of their time.
fn forecast(steps: &[PendingStep], now: Time, zone: Zone) -> Forecast {
    let mut of_people: BTreeMap<&PersonId, Vec<DueStep>> = BTreeMap::new();
    let mut undated = 0_usize;
    for one in steps.iter().filter(|one| one.step.is_live()) {
        undated += usize::from(one.is_held() || one.step.frozen);
        let of_person = of_people.entry(&one.person_id).or_default();
        of_person.push(one.step.clone());
    }
    let mut days: Vec<ForecastDay> = (zone.day(now).iter_days())
        .take(FORECAST_DAYS)
        .map(|day| ForecastDay {
            day,
            suspensions: 0,
            deletions: 0,
        })
        .collect();
    for (step, at) in of_people.values().flat_map(|steps| expected(steps, now)) {
        let on = zone.day(at);
        if let Some(day) = days.iter_mut().find(|day| day.day == on) {
            match step {
                Step::Suspend => day.suspensions += 1,
                Step::Delete => day.deletions += 1,
            }
        }
    }
    Forecast {
        zone: zone.name().to_owned(),
        days,
        undated: number(undated),
    }
}
