//! Random histories of several people who share an app: user names are unique there, people are
//! renamed, deleted and come anew with old addresses, and administrators decide.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use provisioning::config::{AppConfig, Linking, OrgUnitAccess, Policy, Step, Trigger, Window};
use provisioning::guard::{GuardInput, OperationSummary, Removal, check, levels, lint};
use provisioning::identity::{Account, AccountId, Person, PersonId, Standing};
use provisioning::lifecycle::{Lifecycle, due_steps};
use provisioning::mapping::ManagerAccount;
use provisioning::matching::{LinkOwner, Match, decide_match};
use provisioning::plan::{
    Link, LinkState, OperationKind, PersonInput, PersonPlan, PlanContext, PlanOutcome,
    PlannedOperation, acknowledge, plan_person,
};
use provisioning::scope::{DirectoryFacts, GroupMemberships, OrgUnit};
use serde_json::{Value, json};

use crate::{asana, cases};

/// Addresses that people of the company have at some time.
const ADDRESSES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const STRANGER: &str = "stranger";

#[derive(Debug, Clone)]
enum Happening {
    /// Somebody new, with this address when it is free.
    Joins(usize),
    Standing(usize, Standing),
    Renamed(usize, usize),
    Unit(usize, bool),
    Title(usize, String),
    Policy(Trigger, Policy),
    Decided(usize, Trigger, Step, u8),
    /// The clock goes back by so many hours for one run.
    Behind(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let policy = (
        prop::option::of(prop::sample::select(Window::USUAL.to_vec())),
        prop::option::of(prop::sample::select(Window::USUAL.to_vec())),
    )
        .prop_filter_map("a policy", |(suspend, delete)| {
            Policy::new(suspend, delete).ok()
        });
    let trigger = || prop::sample::select(Trigger::ALL.to_vec());
    let step = prop::sample::select(vec![Step::Suspend, Step::Delete]);
    prop_oneof![
        3 => (0..6usize).prop_map(H::Joins),
        4 => (0..9usize, prop::sample::select(Standing::ALL.to_vec())).prop_map(|(who, to)| H::Standing(who, to)),
        4 => (0..9usize, 0..6usize).prop_map(|(who, to)| H::Renamed(who, to)),
        1 => (0..9usize, any::<bool>()).prop_map(|(who, on)| H::Unit(who, on)),
        1 => (0..9usize, "[a-z]{1,4}").prop_map(|(who, title)| H::Title(who, title)),
        1 => (trigger(), policy).prop_map(|(trigger, policy)| H::Policy(trigger, policy)),
        2 => (0..9usize, trigger(), step, 0..5u8).prop_map(|(who, trigger, step, what)| H::Decided(who, trigger, step, what)),
        1 => (1..48u8).prop_map(H::Behind),
    ]
}

fn history() -> impl Strategy<Value = Vec<(u16, Vec<Happening>)>> {
    let hours = prop::sample::select(vec![0u16, 1, 24, 168, 169, 504]);
    prop::collection::vec((hours, prop::collection::vec(happening(), 0..5)), 1..15)
}

/// The app, by itself: it keeps user names unique.
#[derive(Debug, Clone, Default)]
struct App {
    accounts: BTreeMap<AccountId, (String, bool)>,
    made: u32,
    writes: u32,
}

impl App {
    fn all(&self) -> Vec<Account> {
        (self.accounts.iter())
            .map(|(id, (user_name, active))| {
                let resource = json!({"id": id, "userName": user_name, "active": active});
                Account::from_resource(resource).unwrap()
            })
            .collect()
    }

    /// The account's id, or `None` for a user name that somebody else has.
    fn carry_out(&mut self, operation: &PlannedOperation) -> Option<AccountId> {
        let name = operation
            .body
            .as_ref()
            .and_then(|body| body["userName"].as_str());
        let taken = |app: &Self, but: Option<&AccountId>| {
            (app.accounts.iter()).any(|(id, (known, _))| {
                Some(id) != but && name.is_some_and(|name| known.eq_ignore_ascii_case(name))
            })
        };
        self.writes += u32::from(operation.kind != OperationKind::Link);
        if operation.kind == OperationKind::Create {
            if taken(self, None) {
                return None;
            }
            self.made += 1;
            let id = AccountId::from(format!("made-{}", self.made));
            (self.accounts).insert(id.clone(), (name.expect("a user name").to_owned(), true));
            return Some(id);
        }
        let id = operation.account.clone().expect("an account");
        if taken(self, Some(&id)) && operation.kind != OperationKind::Link {
            return None;
        }
        let account = self.accounts.get_mut(&id).expect("the app has it");
        match operation.kind {
            OperationKind::Delete => {
                self.accounts.remove(&id);
            }
            OperationKind::Suspend => account.1 = false,
            OperationKind::Link => {}
            _ => {
                if let Some(name) = name {
                    account.0 = name.to_owned();
                }
                if operation.kind == OperationKind::Unsuspend {
                    account.1 = true;
                }
            }
        }
        Some(id)
    }
}

#[derive(Debug, Clone)]
struct Company {
    now: DateTime<Utc>,
    last_run_at: Option<DateTime<Utc>>,
    config: AppConfig,
    facts: DirectoryFacts,
    people: Vec<Person>,
    links: BTreeMap<PersonId, Link>,
    clocks: BTreeMap<PersonId, Lifecycle>,
    app: App,
}

impl Company {
    fn new() -> Self {
        let mut config = AppConfig::with_mapping(asana().default_mapping.clone());
        config.linking = Linking::Automatic;
        config.safety.hold_max = 2;
        for (path, on) in [("/", true), ("/Off", false)] {
            config.access.org_units.push(OrgUnitAccess {
                path: path.into(),
                id: None,
                on,
            });
        }
        let mut app = App::default();
        let stranger = (format!("{STRANGER}@example.com"), true);
        app.accounts.insert(AccountId::from(STRANGER), stranger);
        Self {
            now: "2026-11-02T09:00:00Z".parse().unwrap(),
            last_run_at: None,
            config,
            facts: DirectoryFacts {
                customer_id: "C".into(),
                primary_domain: "example.com".into(),
                domains: ["example.com".to_owned()].into(),
                org_units: vec![OrgUnit {
                    id: "off".into(),
                    path: "/Off".into(),
                    name: "Off".into(),
                    parent_path: Some("/".into()),
                }],
                groups: BTreeMap::new(),
                unreadable_groups: BTreeSet::new(),
            },
            people: Vec::new(),
            links: BTreeMap::new(),
            clocks: BTreeMap::new(),
            app,
        }
    }

    /// As at Google: an address belongs to one person who is not deleted.
    fn is_free(&self, address: &str) -> bool {
        (self.people.iter())
            .all(|person| person.standing == Standing::Deleted || person.primary_email != address)
    }

    fn happen(&mut self, happening: &Happening) {
        let address = |at: &usize| format!("{}@example.com", ADDRESSES[*at]);
        match happening {
            Happening::Joins(at) => {
                let email = address(at);
                if self.people.len() < 9 && self.is_free(&email) {
                    let user = json!({"id": format!("p{}", self.people.len()), "primaryEmail": email,
                        "suspended": false, "archived": false, "orgUnitPath": "/",
                        "name": {"fullName": "Ann Lee"}});
                    self.people.push(Person::from_google(&user, false).unwrap());
                }
            }
            Happening::Standing(who, standing) => {
                let Some(email) = (self.people.get(*who)).map(|one| one.primary_email.clone())
                else {
                    return;
                };
                let deleted = self.people[*who].standing == Standing::Deleted;
                if !deleted || *standing == Standing::Deleted || self.is_free(&email) {
                    self.people[*who].standing = *standing;
                }
            }
            Happening::Renamed(who, at) => {
                let email = address(at);
                if self.is_free(&email)
                    && let Some(person) = self.people.get_mut(*who)
                    && person.standing != Standing::Deleted
                {
                    person.primary_email = email;
                }
            }
            Happening::Unit(who, on) => {
                if let Some(person) = self.people.get_mut(*who) {
                    person.org_unit_path = if *on { "/" } else { "/Off" }.into();
                }
            }
            Happening::Title(who, title) => {
                if let Some(person) = self.people.get_mut(*who) {
                    person.attributes["organizations"] = json!([{ "title": title }]);
                }
            }
            Happening::Policy(trigger, policy) => self.config.deprovisioning.set(*trigger, *policy),
            Happening::Decided(who, trigger, step, what) => {
                let id = PersonId::from(format!("p{who}"));
                let policy = self.config.deprovisioning.of(*trigger);
                if let Some(clocks) = self.clocks.get_mut(&id) {
                    match what {
                        0 => clocks.waive(*trigger, *step, self.now),
                        1 => clocks.hold(*trigger, *step),
                        2 => clocks.release(*trigger, *step),
                        3 => clocks.allow(*trigger, *step, policy, self.now),
                        _ => clocks.do_now(*trigger, *step, policy, self.now),
                    };
                }
            }
            Happening::Behind(_) => {}
        }
    }

    fn context(&self) -> PlanContext<'_> {
        PlanContext::new(self.now, &self.config, asana(), &self.facts).after(self.last_run_at)
    }

    /// Everybody's plan, whatever the order in which they are looked at.
    fn plan(&self, backwards: bool) -> BTreeMap<PersonId, PersonPlan> {
        let context = self.context();
        let accounts = self.app.all();
        let mut people: Vec<&Person> = self.people.iter().collect();
        if backwards {
            people.reverse();
        }
        (people.into_iter())
            .map(|person| {
                (
                    person.id.clone(),
                    self.plan_one(&context, person, &accounts),
                )
            })
            .collect()
    }

    fn plan_one(
        &self,
        context: &PlanContext<'_>,
        person: &Person,
        accounts: &[Account],
    ) -> PersonPlan {
        let nothing = Lifecycle::default();
        let with = |matching: &Match| {
            plan_person(&PersonInput {
                context,
                person,
                memberships: &GroupMemberships::default(),
                link: self.links.get(&person.id),
                lifecycle: self.clocks.get(&person.id).unwrap_or(&nothing),
                matching,
                manager: &ManagerAccount::None,
                failure: None,
            })
        };
        let plan = with(&Match::Unknown);
        let PlanOutcome::NeedsLookup { user_name } = &plan.outcome else {
            return plan;
        };
        let owner = |account: &AccountId| {
            let (owner, _) = (self.links.iter()).find(|(_, link)| {
                link.account_id == *account && link.state != LinkState::Deleted
            })?;
            let person = self.people.iter().find(|person| person.id == *owner)?;
            Some(LinkOwner {
                person: owner.clone(),
                deleted: person.standing == Standing::Deleted,
                user_name: Some(person.primary_email.clone()),
            })
        };
        with(&decide_match(
            &person.id,
            user_name,
            accounts,
            owner,
            Linking::Automatic,
            false,
            None,
        ))
    }

    /// What is left of a plan after the second pass, in the order in which it is sent; and whether
    /// anything was held, or left out because the clock is behind.
    fn second_pass(
        &mut self,
        plans: &BTreeMap<PersonId, PersonPlan>,
    ) -> (Vec<(PersonId, PlannedOperation)>, bool) {
        let summaries: Vec<OperationSummary> = (self.people.iter())
            .flat_map(|person| {
                let plan = &plans[&person.id];
                (plan.operations.iter()).map(|operation| {
                    let link = self.links.get(&person.id);
                    OperationSummary::of(person, operation, link, &plan.lifecycle, false, None)
                })
            })
            .collect();
        let problems = lint(&summaries, self.now);
        for problem in &problems {
            assert!(
                ["link-moved", "account-claimed-twice", "rename-not-planned"]
                    .contains(&problem.code.as_ref()),
                "the planner made a mistake: {problem}"
            );
        }
        let stopped: BTreeSet<&PersonId> = problems.iter().map(|one| &one.person).collect();
        let removals: Vec<(PersonId, Removal, (Trigger, Step))> = (plans.iter())
            .filter(|(person, _)| !stopped.contains(person))
            .flat_map(|(person, plan)| plan.operations.iter().map(move |one| (person, one)))
            .filter_map(|(person, operation)| {
                let step = match operation.kind {
                    OperationKind::Suspend => Step::Suspend,
                    OperationKind::Delete => Step::Delete,
                    _ => return None,
                };
                let removal = Removal {
                    person: person.clone(),
                    kind: operation.kind,
                    due_at: operation.due_at?,
                    allowed: operation.allowed,
                };
                Some((
                    person.clone(),
                    removal,
                    (operation.precondition.cause?, step),
                ))
            })
            .collect();
        let already_held: BTreeSet<PersonId> = (removals.iter())
            .filter(|(person, _, (trigger, step))| {
                plans[person].lifecycle.is_under_review(*trigger, *step)
            })
            .map(|(person, _, _)| person.clone())
            .collect();
        let weighed: Vec<Removal> = removals.iter().map(|(_, one, _)| one.clone()).collect();
        let outcome = check(&GuardInput {
            now: self.now,
            safety: &self.config.safety,
            linked_accounts: self
                .links
                .values()
                .filter(|link| link.state.is_live())
                .count() as u64,
            deleted_last_24_hours: 0,
            removals: &weighed,
            removed_last_24_hours: 0,
            already_held: &already_held,
            resumed_at: None,
            last_run_at: self.last_run_at,
            creates: 0,
        });
        for (person, _, (trigger, step)) in &removals {
            if outcome.held.contains(person) {
                let clocks = self.clocks.get_mut(person).expect("clocks");
                clocks.hold_for_review(*trigger, *step, self.now, &["too many".to_owned()]);
            }
        }
        let mut sent: Vec<(PersonId, PlannedOperation)> = (plans.iter())
            .filter(|(person, _)| !stopped.contains(person))
            .flat_map(|(person, plan)| {
                (plan.operations.iter()).map(|operation| (person.clone(), operation.clone()))
            })
            .filter(|(person, operation)| {
                !operation.kind.is_removal()
                    || !(outcome.clock_behind || outcome.held.contains(person))
            })
            .collect();
        let order = sent.clone();
        let level = levels(order.iter().map(|(person, one)| (person, one.after.iter())));
        sent.sort_by_key(|(person, _)| level.get(person).copied().unwrap_or(0));
        (
            sent,
            outcome.clock_behind || !outcome.held.is_empty() || !problems.is_empty(),
        )
    }

    /// One run. Returns whether everything that was planned was done.
    fn run(&mut self) -> bool {
        let plans = self.plan(false);
        for (person, plan) in &plans {
            self.clocks.insert(person.clone(), plan.lifecycle.clone());
        }
        let (operations, mut left) = self.second_pass(&plans);
        let mut failed: BTreeSet<PersonId> = BTreeSet::new();
        for (person, operation) in &operations {
            let waits = operation
                .after
                .as_ref()
                .is_some_and(|one| failed.contains(one));
            if failed.contains(person) || waits {
                left = true;
                failed.insert(person.clone());
                continue;
            }
            if operation.kind.is_removal() {
                self.judge(person, operation);
            }
            let Some(account) = self.app.carry_out(operation) else {
                left = true;
                failed.insert(person.clone());
                continue;
            };
            if let Some(from) = &operation.moves_from {
                self.links.remove(from);
                self.clocks.remove(from);
            }
            let link = self.links.get(person);
            let clocks = &self.clocks[person];
            let (link, clocks) =
                acknowledge(operation, link, clocks, Some(&account), self.now).expect("a link");
            self.links.insert(person.clone(), link);
            self.clocks.insert(person.clone(), clocks);
        }
        self.last_run_at = self.last_run_at.max(Some(self.now));
        !left
    }

    /// A removal is due, is of somebody's own account, and no decision is against it.
    fn judge(&self, person: &PersonId, operation: &PlannedOperation) {
        let clocks = &self.clocks[person];
        let trigger = operation.precondition.cause.expect("a cause");
        let wanted = match operation.kind {
            OperationKind::Delete => Step::Delete,
            _ => Step::Suspend,
        };
        let clock = &clocks.clocks[&trigger];
        assert!(!clock.waived.contains_key(&wanted) && !clock.held.contains(&wanted));
        let step = (due_steps(clocks, &self.config.deprovisioning, self.now).into_iter())
            .find(|step| (step.trigger, step.step) == (trigger, wanted));
        assert!(
            step.is_some_and(|step| step.due_at <= self.now),
            "too early"
        );
        let own = self.links.get(person).map(|link| &link.account_id);
        assert_eq!(own, operation.account.as_ref());
    }

    /// Whose plan rests gets the same plan at any later time.
    fn rest(&self) {
        let nothing = Lifecycle::default();
        let mut later = self.clone();
        for (person, plan) in self.plan(false) {
            let state = self.links.get(&person).map(|link| link.state);
            if !plan.rests(state, self.clocks.get(&person).unwrap_or(&nothing)) {
                continue;
            }
            for days in [1, 30, 400] {
                later.now = self.now + TimeDelta::days(days);
                assert_eq!(later.plan(false)[&person], plan, "{days} days later");
            }
        }
    }

    fn hold_together(&self) {
        let mut seen: BTreeSet<&AccountId> = BTreeSet::new();
        for link in self.links.values().filter(|link| link.state.is_live()) {
            assert!(seen.insert(&link.account_id), "an account has one link");
            let (user_name, active) = &self.app.accounts[&link.account_id];
            let body = link.last_body.as_ref().expect("a body");
            assert_eq!(body["userName"], user_name.as_str(), "as acknowledged");
            let ours = link.state == LinkState::Active;
            assert_eq!(*active, ours, "{:?}", link.state);
        }
        let stranger = &self.app.accounts[&AccountId::from(STRANGER)];
        assert_eq!(stranger, &(format!("{STRANGER}@example.com"), true));
        assert!(!seen.contains(&AccountId::from(STRANGER)));
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_company_settles_and_nobody_outside_the_links_is_touched(history in history()) {
        let mut company = Company::new();
        for (hours, happenings) in &history {
            company.now += TimeDelta::hours(i64::from(*hours));
            happenings.iter().for_each(|happening| company.happen(happening));
            let behind = happenings.iter().find_map(|happening| match happening {
                Happening::Behind(hours) => Some(TimeDelta::hours(i64::from(*hours))),
                _ => None,
            });
            company.now -= behind.unwrap_or_default();
            prop_assert_eq!(company.plan(false), company.plan(true), "the order does not matter");
            let mut done = company.run();
            company.hold_together();
            // A deletion may be overdue behind a suspension, a name becomes free with a deletion.
            for _ in 0..3 {
                done = company.run();
                company.hold_together();
            }
            company.rest();
            if done {
                let before = company.app.writes;
                company.run();
                prop_assert_eq!(company.app.writes, before, "nothing is left to do");
            }
            company.now += behind.unwrap_or_default();
        }
    }
}

/// Everybody's body holds the user name that the app has, so that unchanged means unchanged.
#[test]
fn two_people_with_one_address_after_each_other_share_one_account() {
    let mut company = Company::new();
    company.happen(&Happening::Joins(0));
    assert!(company.run());
    company.happen(&Happening::Standing(0, Standing::Deleted));
    company.happen(&Happening::Joins(0));
    company.run();
    company.hold_together();
    assert_eq!(company.links.len(), 1);
    let link = &company.links[&PersonId::from("p1")];
    assert_eq!(
        link.last_body.as_ref().map(|body| &body["userName"]),
        Some(&Value::from("a@example.com"))
    );
    assert_eq!(company.app.accounts.len(), 2, "hers, and the stranger's");
}
