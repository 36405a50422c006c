//! What holds for every history, however people come, go and are renamed.

// Helpers of tests are outside of what clippy takes for a test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use provisioning::Digest;
use provisioning::catalog::{CatalogEntry, entry};
use provisioning::config::{
    Access, AppConfig, DeprovisioningPolicies, GroupRef, Linking, MappingRow, Members, Missing,
    OrgUnitAccess, PersonRef, Policy, Safety, Scope, ScopeGroup, Source, Sso, Step, Trigger,
    Window, diff,
    file::{AppFile, ConfigFile, DirectoryFile},
};
use provisioning::guard::{OperationSummary, lint};
use provisioning::identity::{Account, Person, Standing};
use provisioning::lifecycle::Lifecycle;
use provisioning::mapping::{
    FieldChange, ManagerAccount, ScimPath, build_body, changes, patch_operations,
    patch_value_style, project, replace_body,
};
use provisioning::matching::Match;
use provisioning::plan::{
    Link, LinkState, OperationKind, PersonInput, PersonPlan, PlanContext, PlanOutcome, Reason,
    acknowledge, plan_person,
};
use provisioning::scope::{DirectoryFacts, GroupFact, GroupMemberships, MemberKind, OrgUnit};
use serde_json::{Value, json};

/// Times `ROLLCALL_PROPERTY_FACTOR`, for long runs.
fn cases(cases: u32) -> ProptestConfig {
    let factor = std::env::var("ROLLCALL_PROPERTY_FACTOR")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases * factor.unwrap_or(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

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

fn asana() -> &'static CatalogEntry {
    entry("asana").unwrap()
}

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
                self.lifecycle.waive(*trigger, *step);
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
    waived: Vec<(Trigger, Step)>,
    held: Vec<(Trigger, Step)>,
    was_archived: bool,
    removed: Option<OperationKind>,
}

impl Judge {
    /// `world` is as seen by a run, `passed` the time since the run before.
    fn see(&mut self, world: &World, passed: TimeDelta, happenings: &[Happening]) {
        let person = &world.person;
        if !self.was_archived {
            for time in self.held_for.values_mut().chain(&mut self.since_suspension) {
                *time += passed;
            }
        }
        for happening in happenings {
            match happening {
                Happening::Cancel(trigger, step) if self.held_for.contains_key(trigger) => {
                    self.waived.push((*trigger, *step));
                    self.held.retain(|known| known != &(*trigger, *step));
                }
                Happening::Hold(trigger, step) if self.held_for.contains_key(trigger) => {
                    self.held.push((*trigger, *step));
                }
                Happening::Release(trigger, step) => {
                    self.waived.retain(|known| known != &(*trigger, *step));
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
            if !holds {
                self.held_for.remove(&trigger);
                self.waived.retain(|(known, _)| *known != trigger);
                self.held.retain(|(known, _)| *known != trigger);
            } else if trigger == Trigger::Deleted || person.standing != Standing::Deleted {
                self.held_for.entry(trigger).or_default();
            }
        }
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
            assert!(!self.waived.contains(&(*trigger, *step)), "cancelled");
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
                    if let Some(suspend) = policy.suspend()
                        && !self.waived.contains(&(*trigger, Step::Suspend))
                    {
                        let waited = self.since_suspension.expect("suspended first");
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

// Order.

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

// Requests.

const ATTRIBUTES: [&str; 9] = [
    "userName",
    "title",
    "name.formatted",
    "emails[type eq \"work\"].value",
    "emails[primary eq true].value",
    "addresses[type eq \"work\"].country",
    "addresses[type eq \"work\"].region",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
];

fn paths() -> Vec<ScimPath> {
    ATTRIBUTES
        .iter()
        .map(|text| text.parse().unwrap())
        .collect()
}

/// An account with a value or none for each attribute.
fn account_values() -> impl Strategy<Value = Value> {
    prop::collection::vec(prop::option::of("[a-c]{1,2}"), ATTRIBUTES.len()).prop_map(|values| {
        let mut account = json!({});
        for (path, value) in paths().iter().zip(values) {
            if let Some(value) = value {
                path.write(&mut account, json!(value));
            }
        }
        account
    })
}

/// What a conforming server makes of a PATCH, as far as our requests go (RFC 7644, 3.5.2).
fn patched(account: &Value, request: &Value) -> Value {
    let mut account = account.clone();
    for operation in request["Operations"].as_array().unwrap() {
        let value = operation.get("value").cloned();
        assert!(!contains_null(operation), "no nulls: {operation}");
        let Some(path) = operation.get("path").and_then(Value::as_str) else {
            merge(&mut account, &value.unwrap());
            continue;
        };
        let path: ScimPath = path.parse().unwrap();
        match operation["op"].as_str().unwrap() {
            "add" => {
                let mut list = path.read(&account).cloned().unwrap_or(json!([]));
                let added = value.unwrap();
                if added[0]["primary"] == json!(true) {
                    for entry in list.as_array_mut().unwrap() {
                        entry.as_object_mut().unwrap().remove("primary");
                    }
                }
                list.as_array_mut()
                    .unwrap()
                    .extend(added.as_array().unwrap().clone());
                path.write(&mut account, list);
            }
            "replace" => {
                if let (Some(_), whole) = (
                    &path.filter,
                    ScimPath {
                        sub: None,
                        ..path.clone()
                    },
                ) {
                    assert!(whole.read(&account).is_some(), "noTarget: {path}");
                }
                path.write(&mut account, value.unwrap());
            }
            "remove" => path.remove(&mut account),
            other => panic!("op {other}"),
        }
    }
    account
}

fn merge(account: &mut Value, value: &Value) {
    for (name, value) in value.as_object().unwrap() {
        match (account.get_mut(name), value) {
            (Some(known @ Value::Object(_)), Value::Object(_)) => merge(known, value),
            _ => account[name] = value.clone(),
        }
    }
}

fn contains_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(contains_null),
        Value::Object(members) => members.values().any(contains_null),
        _ => false,
    }
}

/// The account in the app: what was acknowledged, and entries of others.
fn with_others(account: &Value) -> Value {
    let mut account = account.clone();
    account["id"] = json!("a1");
    account["nickName"] = json!("Nick");
    for list in ["emails", "addresses"] {
        let mut entries = account
            .get(list)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        entries.insert(0, json!({"type": "home", "value": "h", "formatted": "h"}));
        account[list] = json!(entries);
    }
    account
}

fn has_others(account: &Value) -> bool {
    let home = |list: &str| {
        account[list]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["type"] == "home")
    };
    home("emails") && home("addresses") && account["nickName"] == "Nick"
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_way_of_writing_gives_the_mapped_values_and_keeps_the_rest(
        old in account_values(),
        new in account_values(),
    ) {
        let paths = paths();
        let rows = ATTRIBUTES.map(|attribute| MappingRow::from_attribute(attribute, "primaryEmail"));
        let differs = changes(&paths, &old, &new);
        let app = with_others(&old);
        let same = |account: &Value| changes(&paths, account, &new);

        let result = patched(&app, &patch_operations(&differs, &new, Some(true)));
        prop_assert_eq!(same(&result), vec![], "PATCH");
        prop_assert!(has_others(&result), "PATCH keeps others: {}", result);
        prop_assert_eq!(&result["active"], &json!(true));

        match patch_value_style(&differs, &new, Some(&app), None) {
            Some(request) => {
                let result = patched(&app, &request);
                prop_assert_eq!(same(&result), vec![], "PATCH by value");
                prop_assert!(has_others(&result), "PATCH by value keeps others: {}", result);
            }
            None => prop_assert!(differs.iter().any(|change| change.new.is_none())),
        }

        let put = replace_body(&app, &new, &rows, &differs, None);
        prop_assert_eq!(same(&put), vec![], "PUT");
        prop_assert!(has_others(&put) && put.get("id").is_none(), "PUT keeps others: {}", put);
        prop_assert!(!contains_null(&put));
    }

    #[test]
    fn a_projection_differs_in_nothing_and_holds_nothing_else(account in account_values()) {
        let paths = paths();
        let part = project(&with_others(&account), &paths);
        prop_assert_eq!(changes(&paths, &account, &part), Vec::<FieldChange>::new());
        prop_assert!(part.get("nickName").is_none());
    }
}

// Text from outside.

fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        Just(json!("work")),
        Just(json!("manager")),
    ];
    let key = prop::sample::select(vec!["type", "value", "primary", "title", "x", "givenName"]);
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn people_of_any_shape_are_planned_without_nulls(
        fields in prop::collection::btree_map(
            prop::sample::select(vec!["name", "organizations", "relations", "phones", "emails",
                "addresses", "customSchemas", "aliases", "languages", "suspended", "isGuestUser"]),
            odd_json(), 0..8),
    ) {
        let mut user = json!({"id": "1", "primaryEmail": "ann@example.com", "suspended": false,
            "archived": false, "orgUnitPath": "/Eng"});
        for (key, value) in fields {
            user[key] = value;
        }
        let person = Person::from_google(&user, false).unwrap();
        let _ = person.manager_reference();
        for key in ["asana", "scim"] {
            let entry = entry(key).unwrap();
            let mapped = build_body(&person, &entry.default_mapping, &ManagerAccount::None, entry);
            prop_assert!(!contains_null(&mapped.body));
            let stored = serde_json::to_string(&person).unwrap();
            let again: Person = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(again.fingerprint(), person.fingerprint());
            prop_assert_eq!(Digest::of_json(&build_body(&again, &entry.default_mapping, &ManagerAccount::None, entry).body), Digest::of_json(&mapped.body));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(
        text in "\\PC{0,40}",
        path in "[a-zA-Z:.\\[\\]\" =]{0,30}",
        cut in 0..2000usize,
        put in "[\\[\\]{}=\"a-z.\n]{0,5}",
    ) {
        for text in [&text, &path] {
            if let Ok(path) = ScimPath::parse(text) {
                let mut resource = json!({"emails": "odd", "name": []});
                path.write(&mut resource, json!("x"));
                path.remove(&mut resource);
                prop_assert_eq!(ScimPath::parse(&path.to_string()), Ok(path));
            }
            let _ = provisioning::mapping::SourcePath::parse(text);
            let _ = text.parse::<Window>();
            let _ = ConfigFile::parse(text);
        }
        let mut file = include_str!("complete.toml").to_owned();
        let cut = (0..=cut.min(file.len())).rev().find(|at| file.is_char_boundary(*at)).unwrap();
        file.insert_str(cut, &put);
        if let Err(problems) = ConfigFile::parse(&file) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| !problem.to_string().contains('\n')));
        }
    }
}

// The configuration file.

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z\"\\\\'# =é\\]]{0,8}x".prop_map(|text| text.trim().to_owned())
}

fn group() -> impl Strategy<Value = GroupRef> {
    ("[a-z]{1,6}", any::<bool>()).prop_map(|(name, known)| GroupRef {
        id: known.then(|| format!("g-{name}").into()),
        email: format!("{name}@example.com"),
        name: known.then(|| name.to_uppercase()),
    })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Attribute("organizations[primary].title".into())),
        text().prop_map(|text| Source::Constant(json!(text))),
        any::<bool>().prop_map(|flag| Source::Constant(json!(flag))),
        any::<i32>().prop_map(|number| Source::Constant(json!(number))),
        Just(Source::Expression(
            "person.name.givenName + \"\\\\\" + 'x'".into()
        )),
    ]
}

fn missing() -> impl Strategy<Value = Missing> {
    prop_oneof![
        Just(Missing::Keep),
        Just(Missing::Clear),
        text().prop_map(|text| Missing::Default(json!(text))),
    ]
}

fn mapping() -> impl Strategy<Value = Vec<MappingRow>> {
    let extra = prop::sample::subsequence(
        vec!["title", "division", "locale", "x-odd", "nickName"],
        0..5,
    );
    (extra, prop::collection::vec((source(), missing()), 5)).prop_map(|(names, values)| {
        let mut rows = vec![MappingRow::from_attribute("userName", "primaryEmail")];
        rows.extend(
            names
                .iter()
                .zip(values)
                .map(|(name, (source, missing))| MappingRow {
                    attribute: (*name).to_owned(),
                    source,
                    missing,
                }),
        );
        rows
    })
}

fn config() -> impl Strategy<Value = AppConfig> {
    let units = prop::collection::btree_map("(/[A-Za-z \"\\\\é]{1,5}x){1,2}", any::<bool>(), 0..4);
    let scope = prop::collection::vec((group(), any::<bool>()), 0..3);
    let limits = (
        1..10_000u32,
        prop::option::of(1..=600u32),
        prop::option::of(1..=10u32),
        1..700u32,
    );
    let safety = (
        any::<u32>(),
        0..=100u32,
        any::<u32>(),
        prop::option::of(any::<u32>()),
    );
    let sso = prop::option::of(prop_oneof![
        Just(Sso::Google),
        (text(), prop::option::of(0..4_000_000_000i64)).prop_map(|(entity_id, time)| Sso::Saml {
            entity_id,
            sign_in_url: "https://idp.example/sso".into(),
            certificate_expires: time.and_then(|time| DateTime::from_timestamp(time, 0)),
        }),
    ]);
    let parts = (
        units,
        prop::collection::vec(group(), 0..3),
        scope,
        mapping(),
        (policy(), policy(), policy()),
    );
    (parts, limits, safety, sso, any::<bool>(), any::<bool>()).prop_map(
        |((units, on, scope, mapping, policies), limits, safety, sso, review, flag)| {
            let mut seen = std::collections::BTreeSet::new();
            let mut paths = std::collections::BTreeSet::new();
            let groups: Vec<ScopeGroup> = scope
                .into_iter()
                .filter(|(group, _)| seen.insert(group.email.clone()))
                .map(|(group, nested)| ScopeGroup {
                    group,
                    members: if nested {
                        Members::Nested
                    } else {
                        Members::Direct
                    },
                })
                .collect();
            AppConfig {
                access: Access {
                    org_units: units
                        .into_iter()
                        .filter(|(path, _)| paths.insert(path.to_lowercase()))
                        .map(|(path, on)| OrgUnitAccess {
                            id: on.then(|| format!("id:{path}").into()),
                            path,
                            on,
                        })
                        .collect(),
                    groups_on: on,
                },
                scope: Scope {
                    everyone: groups.is_empty() && flag,
                    groups,
                    secondary_domains: flag
                        .then(|| "second.example".to_owned())
                        .into_iter()
                        .collect(),
                },
                mapping,
                deprovisioning: DeprovisioningPolicies {
                    app_turned_off: policies.0,
                    suspended: policies.1,
                    deleted: policies.2,
                },
                safety: Safety {
                    hold_count: safety.0,
                    hold_percent: safety.1,
                    hold_max: safety.2,
                    hold_creates: safety.3,
                    protected: flag
                        .then(|| PersonRef {
                            id: Some("77".into()),
                            email: "ceo@example.com".into(),
                        })
                        .into_iter()
                        .collect(),
                },
                linking: if review {
                    Linking::Review
                } else {
                    Linking::Automatic
                },
                interval_minutes: limits.0,
                requests_per_minute: limits.1,
                concurrency: limits.2,
                drift_interval_hours: limits.3,
                sso,
            }
        },
    )
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn applying_an_export_changes_nothing(stored in config(), on in any::<bool>()) {
        prop_assert_eq!(stored.validate(entry("scim").unwrap(), None), vec![]);
        let app = AppFile {
            slug: "custom".parse().unwrap(),
            catalog: "scim".into(),
            name: "A \"custom\" app".into(),
            endpoint: "https://scim.example/v2".into(),
            token: None,
            autoprovisioning: on && stored.sso.is_some(),
            sso_metadata_file: None,
            config: stored.clone(),
        };
        let directory = DirectoryFile {
            service_account_file: None,
            admin_email: "admin@example.com".into(),
            customer: "C0".into(),
            endpoint: "https://admin.googleapis.com".into(),
        };
        let file = ConfigFile { directory: Some(directory), apps: vec![app] };
        let text = file.render();
        let mut again = match ConfigFile::parse(&text) {
            Ok(again) => again,
            Err(problems) => panic!("{problems:?}\n{text}"),
        };
        again.apps[0].config.keep_ids_of(&stored);
        // A group that is named twice has one id: the first one known.
        let mut expected = file.clone();
        expected.apps[0].config.keep_ids_of(&stored);
        prop_assert_eq!(&again, &expected, "{}", text);
        prop_assert_eq!(diff(&stored, &again.apps[0].config), vec![]);
    }

    #[test]
    fn a_configuration_survives_storage(config in config()) {
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(serde_json::from_str::<AppConfig>(&text).unwrap(), config);
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
