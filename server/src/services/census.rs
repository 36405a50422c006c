//! Everybody of the directory as a configuration sees them. People are read by page and judged by
//! the same functions as in a run, so what is shown before saving is what happens after.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use app::api::apps::Effect;
use app::api::terms::PersonRef;
use app::services::Answer;
use provisioning::config::AppConfig;
use provisioning::identity::{GroupId, Person, PersonId, Standing};
use provisioning::mapping::{ManagerAccount, Outcome, PreparedMapping};
use provisioning::scope::{
    DirectoryFacts, GroupMemberships, Resolved, Rule, ScopeDecision, Verdict,
};
use uuid::Uuid;

use super::apps::AppServices;
use super::standing::person;
use super::{excuses, standing::number};
use crate::store::apps::App;
use crate::store::{groups, imports, people};
use crate::sync::inputs;

/// How many people are named of those who enter and who leave.
const NAMED: usize = 20;
/// How many reasons are told apart; the rest is summed up.
const MOST_REASONS: usize = 30;

/// How many people a configuration concerns, and how.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub everybody: u32,
    /// The app is on for them.
    pub covered: u32,
    /// Of these, who can be provisioned: active, no guest, of a domain that counts.
    pub provisionable: u32,
    pub in_scope: u32,
    /// People directly in each org unit, by its path in lower case.
    pub by_unit: BTreeMap<String, u32>,
    /// Of each group on top: its people, and for how many of them the app would be off otherwise.
    pub groups_on: BTreeMap<GroupId, (u32, u32)>,
    /// People in scope who have a value, by the app's attribute.
    pub with_value: BTreeMap<String, u32>,
    pub resolved: Option<Resolved>,
}

/// The last census of each app and what it was made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache(Arc<Mutex<HashMap<Uuid, Kept>>>);

/// A census, and a hash of the configuration and the readings that it was made of.
type Kept = (u64, Arc<Census>);

impl Cache {
    fn get(&self, app: &App, key: u64) -> Option<Arc<Census>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&app.id.0)
            .filter(|(of, _)| *of == key)
            .map(|(_, census)| census.clone())
    }

    fn put(&self, app: &App, key: u64, census: &Arc<Census>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(app.id.0, (key, census.clone()));
    }
}

impl AppServices {
    /// `None` before the directory was read.
    pub(super) async fn census(
        &self,
        app: &App,
        config: &AppConfig,
    ) -> Answer<Option<Arc<Census>>> {
        let Some(facts) = self.facts(config).await? else {
            return Ok(None);
        };
        let mut db = self.engine.connection().await?;
        let import = imports::latest_complete(&mut db)
            .await?
            .map(|import| import.id.0);
        let looked_at = groups::last_read(&mut db).await?;
        drop(db);
        let mut key = DefaultHasher::new();
        (
            import,
            looked_at,
            serde_json::to_string(config).unwrap_or_default(),
        )
            .hash(&mut key);
        let key = key.finish();
        if let Some(known) = self.censuses.get(app, key) {
            return Ok(Some(known));
        }
        let entry = inputs::catalog_entry(app).map_err(excuses::internal)?;
        let resolved = Resolved::new(config, &facts);
        let mapping = PreparedMapping::new(&config.mapping, &entry);
        let mut census = Census::default();
        self.everybody(|someone, memberships| {
            census.count(&resolved, &mapping, someone, memberships)
        })
        .await?;
        census.resolved = Some(resolved);
        let census = Arc::new(census);
        self.censuses.put(app, key, &census);
        Ok(Some(census))
    }

    /// What the last complete import says of the directory; `None` before there was one.
    pub(super) async fn facts(&self, config: &AppConfig) -> Answer<Option<DirectoryFacts>> {
        let mut db = self.engine.connection().await?;
        if imports::latest_complete(&mut db).await?.is_none() {
            return Ok(None);
        }
        inputs::facts(&mut db, config)
            .await
            .map(Some)
            .map_err(excuses::run)
    }

    /// Everybody who is in the directory, by page; nobody is kept.
    async fn everybody(
        &self,
        mut look: impl FnMut(&Person, &GroupMemberships) + Send,
    ) -> Answer<()> {
        let mut after: Option<PersonId> = None;
        loop {
            let mut db = self.engine.connection().await?;
            let page = people::page(&mut db, after.as_ref(), inputs::PAGE).await?;
            let ids: Vec<String> = page
                .iter()
                .map(|stored| stored.person.id.to_string())
                .collect();
            let memberships = inputs::memberships(&mut db, &ids).await?;
            drop(db);
            let none = GroupMemberships::new();
            for stored in page
                .iter()
                .filter(|stored| !stored.purged && stored.person.standing != Standing::Deleted)
            {
                look(
                    &stored.person,
                    memberships.get(stored.person.id.as_str()).unwrap_or(&none),
                );
            }
            match page.last() {
                Some(last) => after = Some(last.person.id.clone()),
                None => return Ok(()),
            }
        }
    }

    /// Everybody once: who stays, enters, leaves or is left out when `after` takes the place of
    /// `before`. `None` before: nobody is in scope yet.
    pub(super) async fn effect(
        &self,
        facts: &DirectoryFacts,
        before: Option<&AppConfig>,
        after: &AppConfig,
        live: bool,
    ) -> Answer<(Effect, Covered)> {
        let before = before.map(|config| Resolved::new(config, facts));
        let after = Resolved::new(after, facts);
        let mut effect = Effect {
            live,
            ..Effect::default()
        };
        let mut covered = Covered::default();
        let mut left_out: BTreeMap<String, u32> = BTreeMap::new();
        self.everybody(|someone, memberships| {
            let was = before
                .as_ref()
                .map(|before| before.decide(someone, memberships));
            let is = after.decide(someone, memberships);
            covered.before += u32::from(was.as_ref().is_some_and(app_is_on));
            covered.after += u32::from(app_is_on(&is));
            effect.everybody += 1;
            match (was.is_some_and(|was| was.in_scope), is.in_scope) {
                (true, true) => effect.stay += 1,
                (false, true) => {
                    effect.enter += 1;
                    if effect.entering.len() < NAMED {
                        effect.entering.push((named(someone), is.included_detail()));
                    }
                }
                (true, false) => {
                    effect.leave += 1;
                    if effect.leaving.len() < NAMED {
                        effect.leaving.push((named(someone), reason(&is)));
                    }
                }
                (false, false) => *left_out.entry(reason(&is)).or_default() += 1,
            }
        })
        .await?;
        effect.left_out = most_first(left_out);
        Ok((effect, covered))
    }
}

/// For how many people the app is on, before and after.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Covered {
    pub before: u32,
    pub after: u32,
}

impl Census {
    fn count(
        &mut self,
        resolved: &Resolved,
        mapping: &PreparedMapping,
        someone: &Person,
        memberships: &GroupMemberships,
    ) {
        let decision = resolved.decide(someone, memberships);
        self.everybody += 1;
        *self
            .by_unit
            .entry(someone.org_unit_path.to_lowercase())
            .or_default() += 1;
        let unit_is_on = resolved
            .org_unit_setting(&someone.org_unit_path)
            .is_some_and(|(_, on)| on);
        for (group, _) in resolved.groups_on() {
            if memberships.contains_key(group) {
                let (people, gained) = self.groups_on.entry(group.clone()).or_default();
                *people += 1;
                *gained += u32::from(!unit_is_on);
            }
        }
        if app_is_on(&decision) {
            self.covered += 1;
            let only_groups_fail = (decision.rules.iter())
                .all(|line| line.result != Verdict::Fail || line.rule == Rule::Group);
            self.provisionable += u32::from(only_groups_fail);
        }
        if decision.in_scope {
            self.in_scope += 1;
            for row in mapping.build(someone, &assumed_manager(someone)).rows {
                let has = matches!(row.outcome, Outcome::Value(_) | Outcome::AwaitsManager(_));
                *self.with_value.entry(row.attribute).or_default() += u32::from(has);
            }
        }
    }
}

/// Whether the directory names a manager is what counts here, not whether they have an account.
fn assumed_manager(someone: &Person) -> ManagerAccount {
    match someone.manager_reference() {
        Some(email) => ManagerAccount::Unresolved {
            email: email.to_owned(),
            expected: true,
        },
        None => ManagerAccount::None,
    }
}

fn app_is_on(decision: &ScopeDecision) -> bool {
    decision
        .rules
        .iter()
        .any(|line| line.rule == Rule::Access && line.result == Verdict::Pass)
}

fn named(someone: &Person) -> PersonRef {
    person(
        someone.id.as_str(),
        someone.full_name(),
        someone.primary_email.as_str(),
    )
}

/// What the deciding rule said.
fn reason(decision: &ScopeDecision) -> String {
    decision.excluded_detail().unwrap_or_default().to_owned()
}

/// Reasons by number of people, the rare ones together.
fn most_first(counted: BTreeMap<String, u32>) -> Vec<(String, u32)> {
    let mut reasons: Vec<(String, u32)> = counted.into_iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if reasons.len() > MOST_REASONS {
        let rest = reasons.split_off(MOST_REASONS - 1);
        let people = rest.iter().map(|(_, people)| people).sum();
        reasons.push((format!("{} other reasons", number(rest.len())), people));
    }
    reasons
}
