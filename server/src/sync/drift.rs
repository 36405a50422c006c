//! Reads an app's accounts back and looks what became of those that are linked (S8.4): accounts
//! that are gone, that are active or not against what Rollcall did, and values that somebody
//! changed in the app. Nothing is sent here; the plan that follows sends values again.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::drift::{self, Drift, Known};
use provisioning::event::EventName;
use provisioning::identity::{Account, AccountId};
use provisioning::mapping::ScimPath;
use provisioning::plan::LinkState;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::engine::Engine;
use super::inputs::World;
use super::lease::Lease;
use super::run::RunError;
use crate::connectors::{ScimApp, ScimError, ScimErrorClass};
use crate::store::apps::App;
use crate::store::drifts::{self, Linked};
use crate::store::events::{self, NewEvent};
use crate::store::pages::Part;
use crate::store::runs::{Run, RunKind};
use crate::store::{StoreError, links, people};

const PAGE: i64 = 500;
/// When none of at least so many linked accounts is there, the app is another one.
const SUSPICIOUS: usize = 5;
/// So many accounts that can't be read one after the other, and it is the app that can't.
const UNREADABLE_IN_A_ROW: usize = 20;

/// Whether this run reads the app back: somebody asked, or it is scheduled and time.
pub async fn is_due(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
) -> Result<bool, StoreError> {
    let mut db = engine.connection().await?;
    if drifts::is_wanted(&mut db, app.id).await? {
        return Ok(true);
    }
    // What was just provisioned was just seen.
    let last = app
        .last_drift_at
        .or(app.turned_on_at)
        .unwrap_or(app.created_at);
    let interval = TimeDelta::hours(i64::from(world.config.drift_interval_hours));
    Ok(run.kind == RunKind::Scheduled && engine.clock.now() - last >= interval)
}

/// Reads the app back. An app that can't be read is read the next time; a refused token ends the
/// run.
pub async fn read_back(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    lease: &Lease,
) -> Result<(), RunError> {
    let context = world.context();
    let mut reading = Reading {
        engine,
        run,
        app,
        client,
        lease,
        paths: context.mapping.paths().collect(),
        began: engine.clock.now(),
        unread: Vec::new(),
        unreadable_in_a_row: 0,
    };
    match reading.everything().await {
        Err(RunError::App(error)) if !error.is_authorization() => {
            tracing::warn!(app = %app.slug, code = error.code(), "the app could not be read back");
            Ok(())
        }
        other => other,
    }
}

struct Reading<'a> {
    engine: &'a Engine,
    run: &'a Run,
    app: &'a App,
    client: &'a ScimApp,
    lease: &'a Lease,
    paths: Vec<&'a ScimPath>,
    /// What is found carries this time; what carries another is forgotten at the end.
    began: DateTime<Utc>,
    /// Whose accounts could not be read this time.
    unread: Vec<Linked>,
    unreadable_in_a_row: usize,
}

/// What became of one account.
enum Look {
    There(Account),
    Gone,
    Unreadable,
}

/// Whether the next account would meet this error too.
fn is_about_the_app(error: &ScimError) -> bool {
    match error.class {
        ScimErrorClass::Authorization
        | ScimErrorClass::RateLimited { .. }
        | ScimErrorClass::Target => true,
        // It asks for a pause, or does not answer at all.
        ScimErrorClass::Transient { retry_after } => {
            retry_after.is_some() || error.status.is_none()
        }
        _ => false,
    }
}

impl Reading<'_> {
    async fn everything(&mut self) -> Result<(), RunError> {
        let seen = self.listed().await?;
        let mut missing = Vec::new();
        let (mut live, mut unclear) = (0, 0);
        let mut after = String::new();
        loop {
            self.lease.check()?;
            let mut db = self.engine.connection().await?;
            let page = drifts::linked(&mut db, self.app.id, &after, PAGE).await?;
            drop(db);
            let Some(last) = page.last() else { break };
            after = last.person.to_string();
            live += page.len();
            for link in page {
                if seen.contains(&link.account) {
                    continue;
                }
                self.lease.check()?;
                match self.look(&link).await? {
                    Look::There(account) => {
                        self.note(&link, &self.compare(&link, &account), &account)
                            .await?
                    }
                    Look::Unreadable => unclear += 1,
                    Look::Gone if self.is_found_by_name(&link).await? => {}
                    Look::Gone => missing.push(link),
                }
            }
        }
        let nobody_is_there = !missing.is_empty() && missing.len() + unclear == live;
        if nobody_is_there && live >= SUSPICIOUS {
            self.tell_that_nobody_is_there(live).await?;
        } else {
            for link in &missing {
                self.gone(link).await?;
            }
        }
        let mut db = self.engine.connection().await?;
        if !self.unread.is_empty() {
            self.keep_findings(&mut db).await?;
        }
        let differ = drifts::finish(&mut db, self.app.id, self.began).await?;
        let unread = self.unread.len();
        tracing::info!(app = %self.app.slug, linked = live, differ, unread, "app read back");
        Ok(())
    }

    /// Reads one account. That it can't be read is its own trouble, unless many in a row can't.
    async fn look(&mut self, link: &Linked) -> Result<Look, RunError> {
        let error = match self.client.get(&link.account).await {
            Ok(account) => {
                self.unreadable_in_a_row = 0;
                return Ok(account.map_or(Look::Gone, Look::There));
            }
            Err(error) => error,
        };
        self.unreadable_in_a_row += 1;
        if is_about_the_app(&error) || self.unreadable_in_a_row >= UNREADABLE_IN_A_ROW {
            return Err(error.into());
        }
        tracing::warn!(
            app = %self.app.slug,
            person = %link.person,
            code = error.code(),
            "an account could not be read back; it is left as it is"
        );
        self.unread.push(link.clone());
        Ok(Look::Unreadable)
    }

    /// What was found earlier still stands for those who could not be read this time.
    async fn keep_findings(&self, db: &mut PgConnection) -> Result<(), StoreError> {
        let all = Part {
            limit: i64::MAX,
            offset: 0,
        };
        for line in drifts::page(db, self.app.id, all).await?.rows {
            let link = self.unread.iter().find(|link| {
                link.person.as_str() == line.person_id && link.account.as_str() == line.account_id
            });
            if let Some(link) = link {
                let (kind, changes) = (&line.kind, &line.changes);
                drifts::found(db, self.app.id, link, kind, changes, self.began).await?;
            }
        }
        Ok(())
    }

    /// Reads the listing. Whoever is in it is compared; what seems different is read again by
    /// itself, because listings leave attributes out. Gives back who was there.
    async fn listed(&mut self) -> Result<BTreeSet<AccountId>, RunError> {
        let mut seen = BTreeSet::new();
        let mut listing = self.client.accounts();
        while let Some(page) = listing.next_page().await? {
            self.lease.check()?;
            let ids: Vec<String> = page.iter().map(|account| account.id.to_string()).collect();
            let mut db = self.engine.connection().await?;
            let linked = drifts::linked_to(&mut db, self.app.id, &ids).await?;
            drop(db);
            for link in linked {
                let Some(account) = page.iter().find(|account| account.id == link.account) else {
                    continue;
                };
                if !self.compare(&link, account).is_none() {
                    match self.look(&link).await? {
                        Look::There(account) => {
                            self.note(&link, &self.compare(&link, &account), &account)
                                .await?;
                        }
                        // Then it is looked for with those that were not listed.
                        Look::Gone => continue,
                        Look::Unreadable => {}
                    }
                }
                seen.insert(link.account);
            }
        }
        Ok(seen)
    }

    fn compare(&self, link: &Linked, account: &Account) -> Drift {
        let known = Known {
            state: link.state,
            body: link.body.as_ref(),
            returned: link.returned.as_ref(),
        };
        drift::find(known, self.paths.iter().copied(), account)
    }

    async fn is_found_by_name(&self, link: &Linked) -> Result<bool, RunError> {
        let named = self.client.find_by_user_name(&link.user_name).await?;
        Ok(named.iter().any(|account| account.id == link.account))
    }

    async fn note(
        &self,
        link: &Linked,
        drift: &Drift,
        account: &Account,
    ) -> Result<(), StoreError> {
        if let Some(active) = drift.active {
            let (kind, reason) = if active {
                (
                    "active",
                    "The account is active though Rollcall suspended it",
                )
            } else {
                (
                    "inactive",
                    "The account is inactive though it should be active",
                )
            };
            self.record(link, kind, &json!([]), reason, None).await?;
        }
        if !drift.values.is_empty() {
            let names: Vec<&str> = drift
                .values
                .iter()
                .map(|change| change.attribute.as_str())
                .collect();
            let reason = format!("Changed in the app, and sent again: {}", names.join(", "));
            let changes = serde_json::to_value(&drift.values).unwrap_or_default();
            let body = drift.acknowledged(link.body.as_ref().unwrap_or(&Value::Null));
            self.record(
                link,
                "values",
                &changes,
                &reason,
                Some((&body, &account.resource)),
            )
            .await?;
        }
        Ok(())
    }

    async fn gone(&self, link: &Linked) -> Result<(), StoreError> {
        let reason = format!(
            "The account {} is gone from {}. Re-create it or remove the link; nothing is done until then.",
            link.account, self.app.name
        );
        self.record(link, "gone", &json!([]), &reason, None).await
    }

    /// Finding, what follows from it for the link, and the event, at once.
    async fn record(
        &self,
        link: &Linked,
        kind: &str,
        changes: &Value,
        reason: &str,
        held: Option<(&Value, &Value)>,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        let app = self.app.id;
        let mut transaction = self.engine.pool.begin().await?;
        let is_new = drifts::found(&mut transaction, app, link, kind, changes, self.began).await?;
        if let Some((body, held)) = held {
            drifts::note_held(&mut transaction, app, link, body, held, now).await?;
        }
        if kind == "gone" {
            links::set_state(&mut transaction, app, &link.person, LinkState::Gone, now).await?;
        }
        if is_new {
            let person = people::get(&mut transaction, &link.person).await?;
            let email = person.map_or_else(
                || link.user_name.clone(),
                |stored| stored.person.primary_email,
            );
            let id = link.person.to_string();
            let mut event = NewEvent::new(now, EventName::DriftFound, "Rollcall")
                .app(self.app.slug.as_str())
                .person(&id, &email)
                .run(self.run.id.0)
                .reason(reason);
            event.account_id = Some(link.account.as_str());
            if changes
                .as_array()
                .is_some_and(|changes| !changes.is_empty())
            {
                event.changes = Some(changes.clone());
            }
            events::record(&mut transaction, &event).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Nobody gone at once means that this is not the app that the links belong to.
    async fn tell_that_nobody_is_there(&self, live: usize) -> Result<(), StoreError> {
        let message = format!(
            "None of the {live} linked accounts is in {}. Check its address and whose token it is; no link was changed.",
            self.app.name
        );
        let now = self.engine.clock.now();
        let event = NewEvent::new(now, EventName::DriftFound, "Rollcall")
            .app(self.app.slug.as_str())
            .run(self.run.id.0)
            .reason(message.as_str())
            .failed("accounts-missing", &message);
        events::record(&mut *self.engine.connection().await?, &event).await?;
        Ok(())
    }
}
