//! Writes down what the app acknowledged: operation, link, clocks, failure and event of one person
//! in one transaction, and those of several people in the same one when they come together.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use provisioning::identity::{AccountId, PersonId};
use provisioning::lifecycle::Lifecycle;
use provisioning::plan::{Link, OperationKind, Reason, acknowledge};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::journal::{Failed, Journal};
use super::send::{Acknowledged, user_name};
use crate::connectors::scim::Sent;
use crate::store::events::{self, NewEvent};
use crate::store::links::{self, LinkWrite};
use crate::store::operations::{self, Done, Operation};
use crate::store::{StoreError, failures, lifecycles, runs};

/// An operation with what the app answered to it.
#[derive(Debug)]
pub struct Answer {
    operation: Operation,
    acknowledged: Acknowledged,
    exchange: Value,
}

impl Answer {
    pub fn new(operation: &Operation, acknowledged: Acknowledged) -> Self {
        Self {
            exchange: exchange(operation, Some(&acknowledged), None),
            operation: operation.clone(),
            acknowledged,
        }
    }

    /// The write as it left.
    pub fn sent(&self) -> Option<&Sent> {
        self.acknowledged.sent.as_ref()
    }

    /// The account that the app answered with.
    fn answered(&self) -> Option<&AccountId> {
        let account = self.acknowledged.account.as_ref();
        account.map(|account| &account.id)
    }

    /// The account that it is about.
    pub fn account(&self) -> Option<&AccountId> {
        self.answered().or(self.operation.plan.account.as_ref())
    }

    fn done(&self) -> Done<'_> {
        Done {
            id: self.operation.id,
            account_id: self.account().map(AccountId::as_str),
            exchange: &self.exchange,
        }
    }

    /// The link and the clocks from now on.
    fn acknowledge(
        &self,
        before: &BTreeMap<PersonId, Link>,
        clocks: &Lifecycle,
        now: DateTime<Utc>,
    ) -> Option<(Link, Lifecycle)> {
        let plan = &self.operation.plan;
        let link = before.get(&self.operation.person_id);
        acknowledge(plan, link, clocks, self.answered(), now)
    }

    fn link_write<'a>(&'a self, link: &'a Link) -> LinkWrite<'a> {
        let account = self.acknowledged.account.as_ref();
        LinkWrite {
            person: &self.operation.person_id,
            // Where the user name is the id, a rename changes it.
            account_id: self.answered().unwrap_or(&link.account_id),
            user_name: user_name(&self.operation),
            state: link.state,
            created_by_us: self.operation.plan.kind == OperationKind::Create,
            body: self.operation.plan.body.as_ref(),
            returned: account.map(|account| &account.resource),
        }
    }

    fn event<'a>(&'a self, app: &'a str, now: DateTime<Utc>) -> NewEvent<'a> {
        let operation = &self.operation;
        let mut event = NewEvent::new(now, EventName::of(operation.plan.kind), "Rollcall")
            .app(app)
            .person(operation.person_id.as_str(), &operation.person_email)
            .run(operation.run.0)
            .reason(operation.reason.clone())
            .detail(self.exchange.clone());
        event.account_id = self.account().map(AccountId::as_str);
        if !operation.plan.changes.is_empty() {
            event.changes = serde_json::to_value(&operation.plan.changes).ok();
        }
        event
    }
}

impl Journal<'_> {
    /// Leaves out what was written down already, and what is another run's by now.
    pub(super) async fn record(&self, answers: Vec<Arc<Answer>>) -> Result<Vec<()>, StoreError> {
        let (app, now) = (self.app.id, self.engine.clock.now());
        let told = vec![(); answers.len()];
        let mut transaction = self.engine.pool.begin().await?;
        let db = &mut *transaction;
        let mut answers: Vec<&Answer> = answers.iter().map(AsRef::as_ref).collect();
        // Everybody locks in this order, so that nobody waits for somebody who waits for them.
        answers.sort_by(|a, b| a.operation.person_id.cmp(&b.operation.person_id));
        let done: Vec<Done<'_>> = answers.iter().map(|answer| answer.done()).collect();
        let ours = operations::finish_done(db, self.writer, &done, now).await?;
        answers.retain(|answer| ours.contains(&answer.operation.id.0));
        for answer in &answers {
            let operation = &answer.operation;
            if operation.run != self.run.id {
                runs::count_settled(db, operation.run, operation.plan.kind).await?;
            }
            if let Reason::Relink { from } = &operation.plan.reason {
                links::remove(db, app, from).await?;
                lifecycles::forget(db, app, &[from.to_string()]).await?;
            }
        }
        let people: Vec<String> = answers
            .iter()
            .map(|answer| answer.operation.person_id.to_string())
            .collect();
        let before = links::of_people(db, app, &people)
            .await?
            .into_iter()
            .collect();
        let without = Lifecycle::default();
        let after: Vec<(&Answer, Link)> = answers
            .iter()
            .filter_map(|answer| Some((*answer, answer.acknowledge(&before, &without, now)?.0)))
            .collect();
        let writes: Vec<LinkWrite<'_>> = after
            .iter()
            .map(|(answer, link)| answer.link_write(link))
            .collect();
        links::save(db, app, &writes, now).await?;
        self.turn_clocks(db, &answers, &before, now).await?;
        failures::drop_all(db, app, &people).await?;
        let events: Vec<NewEvent<'_>> = answers
            .iter()
            .map(|answer| answer.event(self.app.slug.as_str(), now))
            .collect();
        events::record_all(db, &events).await?;
        transaction.commit().await?;
        Ok(told)
    }

    async fn turn_clocks(
        &self,
        db: &mut PgConnection,
        answers: &[&Answer],
        before: &BTreeMap<PersonId, Link>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let app = self.app.id;
        let mut new_accounts = Vec::new();
        for answer in answers {
            let person = &answer.operation.person_id;
            match answer.operation.plan.kind {
                OperationKind::Update => {}
                OperationKind::Create | OperationKind::Link => {
                    new_accounts.push(person.to_string())
                }
                // What somebody decided about the queue meanwhile is kept.
                OperationKind::Suspend | OperationKind::Unsuspend | OperationKind::Delete => {
                    let policies = &self.world.config.deprovisioning;
                    let turn = |_: &PersonId, clocks: &mut Lifecycle| {
                        if let Some((_, after)) = answer.acknowledge(before, clocks, now) {
                            *clocks = after;
                        }
                    };
                    let people = std::slice::from_ref(person);
                    lifecycles::change(db, app, people, policies, now, turn).await?;
                }
            }
        }
        lifecycles::forget(db, app, &new_accounts).await
    }
}

/// What was sent and answered, for the event: no header, so no token. Where nothing left, or what
/// left was found done later, the request is what was planned.
pub(super) fn exchange(
    operation: &Operation,
    acknowledged: Option<&Acknowledged>,
    failed: Option<&Failed>,
) -> Value {
    let sent = match (acknowledged, failed) {
        (Some(done), _) => done.sent.as_ref(),
        (None, failed) => failed.and_then(|failed| failed.sent.as_ref()),
    };
    let request = sent.map_or_else(|| planned(operation), Sent::to_json);
    let status = match failed {
        Some(failed) => failed.status,
        None => sent.and_then(|sent| sent.status),
    };
    json!({
        "request": request,
        "response": {
            "found_done_before": acknowledged.map(|done| done.found),
            "account": acknowledged.and_then(|done| done.account.as_ref()).map(|account| &account.resource),
            "status": status,
            "excerpt": failed.and_then(|failed| failed.excerpt.clone()),
        },
    })
}

/// What stands for a request whose own words are not known.
pub(super) fn planned(operation: &Operation) -> Value {
    let plan = &operation.plan;
    json!({ "operation": plan.kind.as_str(), "account": plan.account, "planned": plan.body })
}
