//! Random histories of one person, judged by separate bookkeeping.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use provisioning::config::{
    AppConfig, GroupRef, MappingRow, Members, OrgUnitAccess, PersonRef, Policy, ScopeGroup, Step,
    Trigger, Window,
};
use provisioning::guard::{OperationSummary, lint};
use provisioning::identity::{Account, Person, Standing};
use provisioning::lifecycle::Lifecycle;
use provisioning::mapping::ManagerAccount;
use provisioning::matching::Match;
use provisioning::plan::{
    Link, LinkState, OperationKind, PersonInput, PersonPlan, PlanContext, PlanOutcome, Reason,
    acknowledge, plan_person,
};
use provisioning::scope::{DirectoryFacts, GroupFact, GroupMemberships, MemberKind, OrgUnit};
use serde_json::json;

use crate::{asana, cases};

// What can happen.

#[derive(Debug, Clone)]
enum Happening {
    Standing(Standing),
    OrgUnit(bool),
    Member(Option<bool>),
    Title(Option<String>),
    Guest(bool),
    Policy(Trigger, Policy),
    Protect(bool),
    /// The app is down for this run.
    Outage,
    Cancel(Trigger, Step),
    Hold(Trigger, Step),
    Release(Trigger, Step),
}

fn windows() -> impl Strategy<Value = Window> {
    prop::sample::select(Window::USUAL.to_vec())
}

fn policy() -> impl Strategy<Value = Policy> {
    (prop::option::of(windows()), prop::option::of(windows()))
        .prop_filter_map("a policy that holds", |(suspend, delete)| {
            Policy::new(suspend, delete).ok()
        })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop::sample::select(Trigger::ALL.to_vec())
}

fn step() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![Step::Suspend, Step::Delete])
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    prop_oneof![
        4 => prop::sample::select(Standing::ALL.to_vec()).prop_map(H::Standing),
        2 => any::<bool>().prop_map(H::OrgUnit),
        2 => prop::option::of(any::<bool>()).prop_map(H::Member),
        2 => prop::option::of("[a-z]{1,5}").prop_map(H::Title),
        1 => any::<bool>().prop_map(H::Guest),
        2 => (trigger(), policy()).prop_map(|(trigger, policy)| H::Policy(trigger, policy)),
        1 => any::<bool>().prop_map(H::Protect),
        1 => Just(H::Outage),
        1 => (trigger(), step()).prop_map(|(trigger, step)| H::Cancel(trigger, step)),
        1 => (trigger(), step()).prop_map(|(trigger, step)| H::Hold(trigger, step)),
        1 => (trigger(), step()).prop_map(|(trigger, step)| H::Release(trigger, step)),
    ]
}

/// Runs and what happened before each: hours since the run before, and happenings.
fn history() -> impl Strategy<Value = Vec<(u16, Vec<Happening>)>> {
    // Often just before, at and just after the ends of windows.
    let ends = vec![
        0u16, 23, 24, 25, 143, 144, 145, 167, 168, 169, 335, 336, 503, 504, 505,
    ];
    let hours = prop_oneof![4 => prop::sample::select(ends), 1 => 1..30u16, 1 => 100..700u16];
    prop::collection::vec((hours, prop::collection::vec(happening(), 0..3)), 1..25)
}

// The world that it happens in.

fn start() -> DateTime<Utc> {
    "2026-11-02T09:00:00Z".parse().unwrap()
}

#[derive(Debug, Clone)]
struct World {
    now: DateTime<Utc>,
    person: Person,
    memberships: GroupMemberships,
    config: AppConfig,
    facts: DirectoryFacts,
    link: Option<Link>,
    lifecycle: Lifecycle,
}

impl World {
    fn new() -> Self {
        let user = json!({"id": "1", "primaryEmail": "ann@example.com", "suspended": false,
            "archived": false, "orgUnitPath": "/Eng", "name": {"fullName": "Ann Lee"}});
        let mut config = AppConfig::with_mapping(asana().default_mapping.clone());
        let setting = |path: &str, on| OrgUnitAccess {
            path: path.into(),
            id: None,
            on,
        };
        config.access.org_units = vec![setting("/Eng", true), setting("/Off", false)];
        config.scope.groups = vec![ScopeGroup {
            group: GroupRef {
                id: Some("g".into()),
                email: "g@example.com".into(),
                name: None,
            },
            members: Members::Direct,
        }];
        let unit = |path: &str| OrgUnit {
            id: format!("id:{path}").into(),
            path: path.into(),
            name: path[1..].into(),
            parent_path: Some("/".into()),
        };
        let group = GroupFact {
            email: "g@example.com".into(),
            name: "G".into(),
            aliases: vec![],
        };
        Self {
            now: start(),
            person: Person::from_google(&user, false).unwrap(),
            memberships: [("g".into(), MemberKind::Direct)].into(),
            config,
            facts: DirectoryFacts {
                customer_id: "C".into(),
                primary_domain: "example.com".into(),
                domains: ["example.com".to_owned()].into(),
                org_units: vec![unit("/Eng"), unit("/Off")],
                groups: [("g".into(), group)].into(),
                unreadable_groups: [].into(),
            },
            link: None,
            lifecycle: Lifecycle::default(),
        }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Standing(standing) => self.person.standing = *standing,
            Happening::OrgUnit(on) => {
                self.person.org_unit_path = if *on { "/Eng" } else { "/Off" }.into();
            }
            Happening::Member(kind) => {
                self.memberships.clear();
                if let Some(direct) = kind {
                    let nested = MemberKind::Nested {
                        path: vec!["h".into()],
                    };
                    let kind = if *direct { MemberKind::Direct } else { nested };
                    self.memberships.insert("g".into(), kind);
                }
            }
            Happening::Title(title) => {
                self.person.attributes["organizations"] = json!([{ "title": title }]);
            }
            Happening::Guest(guest) => self.person.is_guest = *guest,
            Happening::Policy(trigger, policy) => self.config.deprovisioning.set(*trigger, *policy),
            Happening::Protect(protect) => {
                let id = Some("1".into());
                let ann = PersonRef {
                    id,
                    email: "ann@example.com".into(),
                };
                self.config.safety.protected = protect.then_some(ann).into_iter().collect();
            }
            Happening::Outage => {}
            Happening::Cancel(trigger, step) => {
                self.lifecycle.waive(*trigger, *step, self.now);
            }
            Happening::Hold(trigger, step) => {
                self.lifecycle.hold(*trigger, *step);
            }
            Happening::Release(trigger, step) => {
                self.lifecycle.release(*trigger, *step);
            }
        }
    }

    fn plan(&self) -> PersonPlan {
        self.plan_with(&Match::Absent)
    }

    fn plan_with(&self, matching: &Match) -> PersonPlan {
        let context = PlanContext::new(self.now, &self.config, asana(), &self.facts);
        plan_person(&PersonInput {
            context: &context,
            person: &self.person,
            memberships: &self.memberships,
            link: self.link.as_ref(),
            lifecycle: &self.lifecycle,
            matching,
            manager: &ManagerAccount::None,
            failure: None,
        })
    }

    /// Stores what the plan says, and carries it out unless the app is down.
    fn carry_out(&mut self, plan: &PersonPlan, outage: bool) {
        // Everything stored goes through JSON.
        let stored = serde_json::to_string(plan).unwrap();
        let plan: PersonPlan = serde_json::from_str(&stored).unwrap();
        self.lifecycle = plan.lifecycle.clone();
        for operation in plan.operations.iter().filter(|_| !outage) {
            let created = "a1".into();
            let link = self.link.as_ref();
            let done = acknowledge(operation, link, &self.lifecycle, Some(&created), self.now);
            let (link, lifecycle) = done.expect("an account");
            self.link = Some(link);
            self.lifecycle = lifecycle;
        }
    }
}

/// Judges removals by its own bookkeeping: hours at which each cause was seen, archived ones left
/// out.
#[derive(Default)]
struct Judge {
    /// How long each cause has held, archived time not counted.
    held_for: BTreeMap<Trigger, TimeDelta>,
    since_suspension: Option<TimeDelta>,
    /// Cancelled steps, with the time since.
    waived: Vec<(Trigger, Step, TimeDelta)>,
    held: Vec<(Trigger, Step)>,
    was_archived: bool,
    removed: Option<OperationKind>,
}

impl Judge {
    /// `world` is as seen by a run, `passed` the time since the run before.
    fn see(&mut self, world: &World, passed: TimeDelta, happenings: &[Happening]) {
        let person = &world.person;
        if !self.was_archived {
            let waived = self.waived.iter_mut().map(|(_, _, time)| time);
            for time in (self.held_for.values_mut())
                .chain(&mut self.since_suspension)
                .chain(waived)
            {
                *time += passed;
            }
        }
        for happening in happenings {
            match happening {
                Happening::Cancel(trigger, step) if self.held_for.contains_key(trigger) => {
                    if !self.cancelled(*trigger, *step) {
                        self.waived.push((*trigger, *step, TimeDelta::zero()));
                    }
                    self.held.retain(|known| known != &(*trigger, *step));
                }
                Happening::Hold(trigger, step) if self.held_for.contains_key(trigger) => {
                    self.held.push((*trigger, *step));
                }
                Happening::Release(trigger, step) => {
                    self.waived
                        .retain(|(known, waived, _)| (known, waived) != (trigger, step));
                    self.held.retain(|known| known != &(*trigger, *step));
                }
                _ => {}
            }
        }
        // While a person is unknown nothing is concluded, and time goes on.
        if person.standing != Standing::Unknown {
            self.was_archived = person.standing == Standing::Archived;
        }
        if world.link.is_none() || matches!(person.standing, Standing::Unknown | Standing::Archived)
        {
            return;
        }
        let on = person.org_unit_path == "/Eng"
            && matches!(world.memberships.get(&"g".into()), Some(MemberKind::Direct));
        for (trigger, holds) in [
            (Trigger::AppTurnedOff, !on),
            (Trigger::Suspended, person.standing == Standing::Suspended),
            (Trigger::Deleted, person.standing == Standing::Deleted),
        ] {
            // A deleted person shows nothing else: what was known of other causes stays as it was.
            let seen = trigger == Trigger::Deleted || person.standing != Standing::Deleted;
            if !holds && seen {
                self.held_for.remove(&trigger);
                self.waived.retain(|(known, _, _)| *known != trigger);
                self.held.retain(|(known, _)| *known != trigger);
            } else if holds && seen {
                self.held_for.entry(trigger).or_default();
            }
        }
    }

    fn cancelled(&self, trigger: Trigger, step: Step) -> bool {
        (self.waived.iter()).any(|(known, waived, _)| (*known, *waived) == (trigger, step))
    }

    fn judge(&mut self, world: &World, plan: &PersonPlan, done: bool) {
        for operation in &plan.operations {
            let policies = &world.config.deprovisioning;
            let standing = world.person.standing;
            assert!(
                !matches!(standing, Standing::Archived | Standing::Unknown),
                "left as they are"
            );
            if !operation.kind.is_removal() {
                assert_eq!(
                    standing,
                    Standing::Active,
                    "{:?} of the inactive",
                    operation.kind
                );
                assert!(
                    self.held_for.is_empty(),
                    "{:?} while a trigger holds",
                    operation.kind
                );
                if operation.kind == OperationKind::Unsuspend {
                    assert_eq!(
                        self.removed,
                        Some(OperationKind::Suspend),
                        "suspended by us"
                    );
                }
                if done {
                    self.removed = None;
                    self.since_suspension = None;
                }
                continue;
            }
            assert!(world.config.safety.protected.is_empty(), "protected");
            let Reason::Due { trigger, step, .. } = &operation.reason else {
                panic!("a removal without a trigger: {:?}", operation.reason)
            };
            let time = *self.held_for.get(trigger).expect("the trigger holds");
            if self.held_for.contains_key(&Trigger::Deleted) {
                assert_eq!(*trigger, Trigger::Deleted, "only deleted counts");
            }
            assert!(!self.cancelled(*trigger, *step), "cancelled");
            assert!(!self.held.contains(&(*trigger, *step)), "held");
            let policy = policies.of(*trigger);
            match operation.kind {
                OperationKind::Suspend => {
                    assert_eq!(self.removed, None, "suspended twice");
                    assert!(
                        time >= policy.suspend().expect("the step is set").delay(),
                        "too early"
                    );
                }
                _ => {
                    assert_ne!(self.removed, Some(OperationKind::Delete), "deleted twice");
                    let delete = policy.delete().expect("the step is set");
                    assert!(time >= delete.delay(), "too early");
                    if let Some(suspend) = policy.suspend() {
                        let cancelled = (self.waived.iter())
                            .find(|(known, step, _)| (known, *step) == (trigger, Step::Suspend))
                            .map(|(_, _, time)| *time);
                        let waited = self
                            .since_suspension
                            .or(cancelled)
                            .expect("suspended first, or that was cancelled");
                        assert!(
                            waited >= delete.delay() - suspend.delay(),
                            "they fell together"
                        );
                    }
                }
            }
            if done {
                self.removed = Some(operation.kind);
                if operation.kind == OperationKind::Suspend {
                    self.since_suspension = Some(TimeDelta::zero());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn nothing_is_removed_before_its_time_twice_or_without_a_trigger(history in history()) {
        let mut world = World::new();
        let mut judge = Judge::default();
        for (hours, happenings) in &history {
            let passed = TimeDelta::hours(i64::from(*hours));
            world.now += passed;
            happenings.iter().for_each(|happening| world.happen(happening));
            judge.see(&world, passed, happenings);
            let outage = happenings.iter().any(|h| matches!(h, Happening::Outage));
            let plan = world.plan();
            judge.judge(&world, &plan, !outage);
            let protected = world.config.safety.protects(&world.person);
            let summaries: Vec<OperationSummary> = plan.operations.iter()
                .map(|o| OperationSummary::of(&world.person, o, world.link.as_ref(), &plan.lifecycle, protected, None))
                .collect();
            prop_assert_eq!(lint(&summaries, world.now), vec![]);
            let operations = plan.operations.len();
            prop_assert_eq!(operations > 0, plan.outcome == PlanOutcome::Planned);
            world.carry_out(&plan, outage);
        }
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(history in history()) {
        let mut world = World::new();
        for (hours, happenings) in &history {
            world.now += TimeDelta::hours(i64::from(*hours));
            happenings.iter().for_each(|happening| world.happen(happening));
            let first = world.plan();
            world.carry_out(&first, false);
            let mut again = world.plan();
            // After an outage a deletion by another trigger may be overdue behind a suspension.
            let suspended = first.operations.iter().any(|o| o.kind == OperationKind::Suspend);
            if suspended && again.operations.iter().any(|o| o.kind == OperationKind::Delete) {
                world.carry_out(&again, false);
                again = world.plan();
            }
            prop_assert_eq!(&again.operations, &vec![], "after {:?}", first.operations);
            prop_assert_eq!(&again.lifecycle, &world.lifecycle, "clocks settle");
        }
    }

    #[test]
    fn planning_twice_gives_the_same_plan(history in history()) {
        let mut world = World::new();
        for (hours, happenings) in &history {
            world.now += TimeDelta::hours(i64::from(*hours));
            happenings.iter().for_each(|happening| world.happen(happening));
            let plan = world.plan();
            prop_assert_eq!(&world.plan(), &plan);
            let text = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(&serde_json::from_str::<PersonPlan>(&text).unwrap(), &plan);
            world.carry_out(&plan, false);
        }
    }

    #[test]
    fn an_unclear_match_produces_nothing(kind in 0..5usize, title in prop::option::of("[a-z]{1,4}")) {
        let mut world = World::new();
        world.happen(&Happening::Title(title));
        let account = |active: bool| {
            let resource = json!({"id": "a", "userName": "ANN@example.com", "active": active});
            Account::from_resource(resource).unwrap()
        };
        let unclear = [
            Match::Unknown,
            Match::Inactive(account(false)),
            Match::Review(account(true)),
            Match::Ambiguous(vec![account(true), account(true)]),
            Match::TakenBy { account: "a".into(), person: "2".into(), renamed: false },
        ];
        prop_assert_eq!(world.plan_with(&unclear[kind]).operations, vec![]);
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn the_order_of_rows_settings_and_members_does_not_matter(
        rows in Just(asana().default_mapping.clone()).prop_shuffle(),
        units in Just(vec![("/", true), ("/Eng", false), ("/Eng/Core", true)]).prop_shuffle(),
        keys in Just(vec!["name", "organizations", "relations", "phones"]).prop_shuffle(),
    ) {
        let plan = |rows: &[MappingRow], units: &[(&str, bool)], keys: &[&str]| {
            let mut world = World::new();
            world.config.mapping = rows.to_vec();
            world.config.access.org_units = units.iter()
                .map(|(path, on)| OrgUnitAccess { path: (*path).into(), id: None, on: *on })
                .collect();
            world.facts.org_units.push(OrgUnit {
                id: "core".into(), path: "/Eng/Core".into(), name: "Core".into(), parent_path: None,
            });
            let values = json!({"name": {"fullName": "Ann"}, "phones": [{"type": "work", "value": "1"}],
                "organizations": [{"title": "T", "department": "D"}], "relations": []});
            let mut user = json!({});
            for key in keys {
                user[*key] = values[*key].clone();
            }
            for (key, value) in [("id", json!("1")), ("primaryEmail", json!("a@example.com")),
                ("suspended", json!(false)), ("archived", json!(false)), ("orgUnitPath", json!("/Eng/Core/X"))] {
                user[key] = value;
            }
            world.person = Person::from_google(&user, false).unwrap();
            let plan = world.plan();
            let operation = plan.operations[0].clone();
            (operation.kind, operation.body_hash(), operation.precondition)
        };
        let usual = plan(
            &asana().default_mapping,
            &[("/", true), ("/Eng", false), ("/Eng/Core", true)],
            &["name", "organizations", "phones", "relations"],
        );
        prop_assert_eq!(plan(&rows, &units, &keys), usual);
    }
}

#[test]
fn a_link_that_is_gone_or_deleted_is_never_written_to() {
    for state in [LinkState::Gone, LinkState::Deleted] {
        for standing in Standing::ALL {
            let mut world = World::new();
            world.person.standing = standing;
            world.link = Some(Link {
                account_id: "a1".into(),
                state,
                last_body: None,
            });
            for days in [0, 30] {
                world.now = start() + TimeDelta::days(days);
                let plan = world.plan();
                world.lifecycle = plan.lifecycle.clone();
                let kinds: Vec<OperationKind> = plan.operations.iter().map(|o| o.kind).collect();
                let anew = state == LinkState::Deleted && standing == Standing::Active;
                assert_eq!(
                    kinds,
                    if anew {
                        vec![OperationKind::Create]
                    } else {
                        vec![]
                    }
                );
            }
        }
    }
}
