//! Everybody of the directory as a configuration sees them. People are read by page and judged by
//! the same functions as in a run, so what is shown before saving is what happens after.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use app::api::apps::Effect;
use app::api::concerned::Compared;
use app::api::terms::PersonRef;
use app::api::{ApiError, ErrorCode};
use app::format;
use app::services::Answer;
use provisioning::config::{AppConfig, Trigger};
use provisioning::guard::{self, GuardInput, Removal};
use provisioning::identity::{GroupId, Person, PersonId, Standing};
use provisioning::mapping::{ManagerAccount, Outcome, PreparedMapping};
use provisioning::plan::OperationKind;
use provisioning::scope::{
    DirectoryFacts, GroupMemberships, Movement, Resolved, Rule, ScopeDecision, Verdict,
};
use uuid::Uuid;

use super::apps::AppServices;
use super::excuses;
use super::setup_draft::Setting;
use super::standing::{self, number, person};
use crate::store::apps::{App, AppState};
use crate::store::{access_edits, groups, imports, links, people};
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
    pub(super) async fn everybody(
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

    /// Everybody once: who stays, enters, leaves or is left out when the change is saved.
    pub(super) async fn effect(
        &self,
        setting: &Setting,
        compared: Compared,
    ) -> Answer<(Effect, Covered)> {
        let (before, config) = self.compared(setting, compared).await?;
        self.effect_of(setting, before.as_ref(), &config, compared)
            .await
    }

    /// The same for any two configurations of the app.
    pub(super) async fn effect_of(
        &self,
        setting: &Setting,
        before: Option<&AppConfig>,
        config: &AppConfig,
        compared: Compared,
    ) -> Answer<(Effect, Covered)> {
        let (before, after) = self.laid_out(before, config).await?;
        let mut effect = Effect {
            live: matches!(setting.app.state, AppState::On | AppState::Stopped { .. }),
            compared,
            ..Effect::default()
        };
        let mut covered = Covered::default();
        let mut left_out: BTreeMap<String, u32> = BTreeMap::new();
        let mut leaving: Vec<String> = Vec::new();
        self.everybody(|someone, memberships| {
            let was = before
                .as_ref()
                .map(|before| before.decide(someone, memberships));
            let is = after.decide(someone, memberships);
            covered.before += u32::from(was.as_ref().is_some_and(app_is_on));
            covered.after += u32::from(app_is_on(&is));
            effect.everybody += 1;
            match place(was.as_ref(), &is) {
                Movement::Stays => effect.stay += 1,
                Movement::Enters => {
                    effect.enter += 1;
                    if effect.entering.len() < NAMED {
                        effect.entering.push((named(someone), is.included_detail()));
                    }
                }
                Movement::Leaves => {
                    effect.leave += 1;
                    leaving.push(someone.id.to_string());
                    if effect.leaving.len() < NAMED {
                        effect.leaving.push((named(someone), reason(&is)));
                    }
                }
                Movement::LeftOut => *left_out.entry(reason(&is)).or_default() += 1,
            }
        })
        .await?;
        effect.left_out = most_first(left_out);
        if setting.config.is_some() && effect.leave > 0 {
            effect.consequences = self.consequences(setting, config, &leaving).await?;
        }
        Ok((effect, covered))
    }

    /// The configuration that counts and the one that is looked at. `None`: nobody is in scope yet.
    pub(super) async fn compared(
        &self,
        setting: &Setting,
        compared: Compared,
    ) -> Answer<(Option<AppConfig>, AppConfig)> {
        let saved = setting.saved();
        Ok(match compared {
            Compared::Saved => (Some(saved.clone()), saved),
            Compared::Scope => (setting.config.clone(), setting.effective()),
            Compared::Access => {
                let mut db = self.engine.connection().await?;
                let edit = access_edits::get(&mut db, setting.app.id).await?;
                let after = AppConfig {
                    access: edit.unwrap_or_else(|| saved.access.clone()),
                    ..saved.clone()
                };
                (Some(saved), after)
            }
        })
    }

    /// Both configurations against the last import, with the members of the groups that they name.
    pub(super) async fn laid_out(
        &self,
        before: Option<&AppConfig>,
        after: &AppConfig,
    ) -> Answer<(Option<Resolved>, Resolved)> {
        self.read_groups(after.groups()).await?;
        let facts = self
            .facts(after)
            .await?
            .ok_or_else(|| ApiError::new(ErrorCode::DirectoryNotRead))?;
        Ok((
            before.map(|config| Resolved::new(config, &facts)),
            Resolved::new(after, &facts),
        ))
    }

    /// What becomes of the accounts of those who leave, and whether that would be held.
    async fn consequences(
        &self,
        setting: &Setting,
        config: &AppConfig,
        leaving: &[String],
    ) -> Answer<Vec<String>> {
        let mut db = self.engine.connection().await?;
        let app = setting.app.id;
        let accounts = links::live_among(&mut db, app, leaving).await?;
        let linked = links::count(&mut db, app).await?;
        drop(db);
        if accounts.is_empty() {
            return Ok(vec!["None of them has an account.".to_owned()]);
        }
        let policy = config.deprovisioning.of(Trigger::AppTurnedOff);
        let mut sentences = vec![format!(
            "{} of them {} an account: {}.",
            format::number(number(accounts.len())),
            if accounts.len() == 1 { "has" } else { "have" },
            standing::policy_in_words(policy),
        )];
        let now = self.engine.clock.now();
        let kind = if policy.suspend().is_some() {
            OperationKind::Suspend
        } else {
            OperationKind::Delete
        };
        let removals: Vec<Removal> = accounts
            .into_iter()
            .map(|person| Removal {
                person: PersonId::from(person),
                kind,
                due_at: now,
                allowed: false,
            })
            .collect();
        // As if all fell due in one run, which they do: their clocks start with one import.
        let outcome = guard::check(&GuardInput {
            now,
            safety: &config.safety,
            linked_accounts: linked.unsigned_abs(),
            deleted_last_24_hours: 0,
            removals: &removals,
            removed_last_24_hours: 0,
            already_held: &BTreeSet::new(),
            resumed_at: None,
            last_run_at: None,
            creates: 0,
        });
        if !outcome.held.is_empty() {
            let why: Vec<String> = outcome.why.iter().map(ToString::to_string).collect();
            sentences.push(format!(
                "That is more than you allow at once, so it waits for your word before anything is sent. {}.",
                why.join(". ")
            ));
        }
        Ok(sentences)
    }
}

/// Where somebody stands before and after; without a before, nobody was in scope.
pub(super) fn place(was: Option<&ScopeDecision>, is: &ScopeDecision) -> Movement {
    match was {
        Some(was) => Movement::between(was, is),
        None if is.in_scope => Movement::Enters,
        None => Movement::LeftOut,
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
pub(super) fn assumed_manager(someone: &Person) -> ManagerAccount {
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

pub(super) fn named(someone: &Person) -> PersonRef {
    person(
        someone.id.as_str(),
        someone.full_name(),
        someone.primary_email.as_str(),
    )
}

/// What the deciding rule said.
pub(super) fn reason(decision: &ScopeDecision) -> String {
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
