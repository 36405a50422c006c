//! Every complete import turns the clocks of every configured app, on or not: a cause that ended and
//! came back between two runs of an app starts anew (S6.1, S6.8).

use std::collections::BTreeMap;

use provisioning::config::AppConfig;
use provisioning::identity::{Person, PersonId};
use provisioning::lifecycle::{Causes, Lifecycle, follow};
use provisioning::plan::LinkState;
use provisioning::scope::{self, GroupMemberships, Resolved};
use sqlx::PgConnection;

use super::engine::Engine;
use super::inputs;
use super::run::RunError;
use crate::store::apps::{self, App};
use crate::store::links::{self, LinkedPerson};
use crate::store::{StoreError, lifecycles};

/// People that are looked at together; a few columns of each.
const PAGE: i64 = 2000;

pub async fn observe_everywhere(engine: &Engine) -> Result<(), RunError> {
    observe_in_every_app(engine, None).await
}

/// The same for people who were read on their own.
pub async fn observe_some(engine: &Engine, people: &[PersonId]) -> Result<(), RunError> {
    let ids: Vec<String> = people.iter().map(ToString::to_string).collect();
    observe_in_every_app(engine, Some(&ids)).await
}

async fn observe_in_every_app(engine: &Engine, only: Option<&[String]>) -> Result<(), RunError> {
    let apps = apps::list(&mut *engine.connection().await?).await?;
    for app in apps {
        let mut db = engine.connection().await?;
        let Some(config) = inputs::configuration(&mut db, &app).await? else {
            continue;
        };
        let facts = inputs::facts(&mut db, &config).await?;
        drop(db);
        // What can't be resolved stops planning, and nobody leaves an app for it.
        let is_resolved = scope::unresolved(&config, &facts).is_empty();
        let observer = Observer {
            engine,
            app: &app,
            config: &config,
            resolved: is_resolved.then(|| Resolved::new(&config, &facts)),
        };
        match only {
            Some(people) => observer.some(people).await?,
            None => observer.everybody().await?,
        }
    }
    Ok(())
}

struct Observer<'a> {
    engine: &'a Engine,
    app: &'a App,
    config: &'a AppConfig,
    /// `None` while the configuration names what is not in the directory.
    resolved: Option<Resolved>,
}

impl Observer<'_> {
    async fn everybody(&self) -> Result<(), StoreError> {
        let mut after: Option<PersonId> = None;
        loop {
            let mut transaction = self.engine.pool.begin().await?;
            let page =
                links::linked_people(&mut transaction, self.app.id, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.person.id.clone());
            self.turn_clocks(&mut transaction, page).await?;
            transaction.commit().await?;
        }
    }

    async fn some(&self, people: &[String]) -> Result<(), StoreError> {
        let mut transaction = self.engine.pool.begin().await?;
        let linked = links::linked_among(&mut transaction, self.app.id, people).await?;
        self.turn_clocks(&mut transaction, linked).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn turn_clocks(
        &self,
        transaction: &mut PgConnection,
        linked: Vec<LinkedPerson>,
    ) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        let observed_at = self.app.last_run_at.map_or(now, |last| last.max(now));
        let ids: Vec<String> = (linked.iter())
            .map(|linked| linked.person.id.to_string())
            .collect();
        let memberships = match &self.resolved {
            Some(resolved) if !resolved.named_groups().is_empty() => {
                inputs::memberships(&mut *transaction, &ids).await?
            }
            _ => BTreeMap::default(),
        };
        let nowhere = GroupMemberships::default();
        let seen = |person: &Person, before: &Lifecycle| match &self.resolved {
            Some(resolved) => {
                let memberships = memberships.get(person.id.as_str()).unwrap_or(&nowhere);
                Causes::of(person, &resolved.decide(person, memberships))
            }
            None => Causes::without_scope(person, before),
        };
        let turned: BTreeMap<PersonId, (LinkState, Causes)> = linked
            .into_iter()
            .filter_map(
                |LinkedPerson {
                     person,
                     link,
                     lifecycle,
                 }| {
                    let causes = seen(&person, &lifecycle);
                    // Most people have neither a clock nor a cause.
                    let next = follow(&lifecycle, Some(link), causes, observed_at);
                    (next != lifecycle).then_some((person.id, (link, causes)))
                },
            )
            .collect();
        let people: Vec<PersonId> = turned.keys().cloned().collect();
        let turn = |person: &PersonId, clocks: &mut Lifecycle| {
            if let Some((link, causes)) = turned.get(person) {
                *clocks = follow(clocks, Some(*link), *causes, observed_at);
            }
        };
        let policies = &self.config.deprovisioning;
        lifecycles::change(transaction, self.app.id, &people, policies, now, turn).await
    }
}
