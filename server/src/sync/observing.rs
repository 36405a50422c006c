//! Every complete import turns the clocks of every configured app, on or not: a cause that ended and
//! came back between two runs of an app starts anew (S6.1, S6.8).

use provisioning::config::AppConfig;
use provisioning::identity::{Person, PersonId};
use provisioning::lifecycle::{Causes, Lifecycle, follow};
use provisioning::plan::LinkState;
use provisioning::scope::{self, GroupMemberships, Resolved};

use super::engine::Engine;
use super::inputs;
use super::run::RunError;
use crate::store::apps::{self, App};
use crate::store::links::{self, LinkedPerson};
use crate::store::{StoreError, lifecycles};

/// People that are looked at together; a few columns of each.
const PAGE: i64 = 2000;

pub async fn observe_everywhere(engine: &Engine) -> Result<(), RunError> {
    let apps = apps::list(&mut *engine.connection().await?).await?;
    for app in apps {
        let mut db = engine.connection().await?;
        let Some(config) = inputs::configuration(&mut db, &app).await? else {
            continue;
        };
        let facts = inputs::facts(&mut db, &config).await?;
        drop(db);
        // What can't be resolved stops planning, and nobody leaves an app for it.
        if scope::unresolved(&config, &facts).is_empty() {
            let resolved = Resolved::new(&config, &facts);
            observe(engine, &app, &config, &resolved).await?;
        }
    }
    Ok(())
}

async fn observe(
    engine: &Engine,
    app: &App,
    config: &AppConfig,
    resolved: &Resolved,
) -> Result<(), StoreError> {
    let by_groups = !resolved.named_groups().is_empty();
    let mut after: Option<PersonId> = None;
    loop {
        let now = engine.clock.now();
        let observed_at = app.last_run_at.map_or(now, |last| last.max(now));
        let mut transaction = engine.pool.begin().await?;
        let page = links::linked_people(&mut transaction, app.id, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.person.id.clone());
        let ids: Vec<String> = (page.iter())
            .map(|linked| linked.person.id.to_string())
            .collect();
        let memberships = if by_groups {
            inputs::memberships(&mut transaction, &ids).await?
        } else {
            Default::default()
        };
        let nowhere = GroupMemberships::default();
        let seen = |person: &Person| {
            let memberships = memberships.get(person.id.as_str()).unwrap_or(&nowhere);
            Causes::of(person, &resolved.decide(person, memberships))
        };
        let turned: std::collections::BTreeMap<PersonId, (LinkState, Causes)> = page
            .into_iter()
            .filter_map(
                |LinkedPerson {
                     person,
                     link,
                     lifecycle,
                 }| {
                    let causes = seen(&person);
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
        let policies = &config.deprovisioning;
        lifecycles::change(&mut transaction, app.id, &people, policies, now, turn).await?;
        transaction.commit().await?;
    }
}
