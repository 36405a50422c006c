//! Plays the files in `scenarios/`: one person, one app, time passing; after each step the plan is
//! compared with what the file expects, carried out, and taken on to the next step.
//!
//! A file holds `rule` (a sentence), `link` and `[given]` (how it starts) and `[[step]]`s. Keys are
//! described at [`Scenario`], [`Change`] and [`Step`]. Time is counted from the start: `"7d"`, `"36h"`, `"1d 6h"`.

// Helpers of tests are outside of what clippy takes for a test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::catalog::{CatalogEntry, entry};
use provisioning::config::{
    AppConfig, GroupRef, MappingRow, Members, Missing, OrgUnitAccess, PersonRef, Policy,
    ScopeGroup, Step as RemovalStep, Trigger,
};
use provisioning::guard::{OperationSummary, lint};
use provisioning::identity::{Account, Person};
use provisioning::lifecycle::{Lifecycle, confirm_cause};
use provisioning::mapping::ManagerAccount;
use provisioning::matching::Match;
use provisioning::plan::{
    ExistingFailure, Link, LinkState, OperationKind, PersonInput, PersonPlan, PlanContext,
    PlanOutcome, acknowledge, plan_person,
};
use provisioning::scope::{DirectoryFacts, GroupFact, MemberKind, OrgUnit, unresolved};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// The rule in one sentence, with its number.
    rule: String,
    /// Ann's account exists and is linked: `active`, `suspended`, `deleted` or `gone`.
    link: Option<String>,
    /// How it starts. Ann, `ann@example.com`, is in `/Eng`; the app is on for `/` and off for
    /// `/Contractors`; no groups are set; each trigger suspends within 24 hours.
    #[serde(default)]
    given: Change,
    step: Vec<Step>,
}

/// What is different from now on.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Change {
    suspended: Option<bool>,
    archived: Option<bool>,
    deleted: Option<bool>,
    /// Google leaves the flags out.
    flags_missing: Option<bool>,
    guest: Option<bool>,
    org_unit: Option<String>,
    email: Option<String>,
    title: Option<String>,
    department: Option<String>,
    /// Group to `direct`, `nested` or `none`; there are `eng`, and `platform` nested in it.
    member_of: BTreeMap<String, String>,
    /// Trigger to policy.
    policy: BTreeMap<String, Policy>,
    /// Scope groups to `direct` or `nested`; replaces those before.
    scope: Option<BTreeMap<String, String>>,
    groups_on: Option<Vec<String>>,
    secondary_domains: Option<Vec<String>>,
    protected: Option<Vec<String>>,
    /// Row of the mapping: what a missing value does.
    missing: BTreeMap<String, Missing>,
    /// Row of the mapping that gets another source, or is removed by an empty one.
    map: BTreeMap<String, String>,
    /// Org unit to `on` or `off`.
    access: BTreeMap<String, String>,
    /// `unknown`, `absent`, `leave`, `found`, `inactive`, `review`, `ambiguous`, `taken`, `renamed`, `moves`.
    #[serde(rename = "match")]
    matching: Option<String>,
    /// The account that is found, besides id, userName and active.
    account: Option<BTreeMap<String, Value>>,
    /// `none`, `expected`, `unexpected`, or the manager's account id.
    manager: Option<String>,
    /// An earlier operation of this kind failed; `retry` says when it may be sent again.
    failed: Option<Failed>,
    /// Takes the link as gone from the app.
    account_gone: Option<bool>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    kind: String,
    retry: Option<String>,
    #[serde(default)]
    ignored: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: String,
    #[serde(default)]
    change: Change,
    /// `cancel`, `hold`, `release`, `now` or `allow`, with `trigger.step`.
    #[serde(default)]
    decide: BTreeMap<String, String>,
    /// Kinds of the planned operations, in order; left out: none.
    #[serde(default)]
    expect: Vec<String>,
    /// `unchanged`, `lookup`, or the rule under which the person is skipped.
    outcome: Option<String>,
    /// Part of the reason or of the skip's detail.
    because: Option<String>,
    /// Attributes that change, by their last name, to their new values; `false`: cleared.
    changes: Option<BTreeMap<String, Value>>,
    /// Attributes that are not among the changes.
    #[serde(default)]
    keeps: Vec<String>,
    /// The earliest pending step and when: `"delete 7d"`, `"none"`.
    next: Option<String>,
    /// Rules that fail, in their order.
    fails: Option<Vec<String>>,
    /// The app is down or the guard holds: nothing is carried out.
    #[serde(default)]
    not_done: bool,
    /// Read afresh just before it is sent, the cause is gone.
    #[serde(default)]
    fresh: Option<Change>,
    /// The configuration cannot be planned: codes of what is not found.
    unresolved: Option<Vec<String>>,
}

struct World {
    user: Value,
    deleted: bool,
    memberships: BTreeMap<provisioning::identity::GroupId, MemberKind>,
    config: AppConfig,
    facts: DirectoryFacts,
    matching: Option<String>,
    account: BTreeMap<String, Value>,
    manager: ManagerAccount,
    failed: Option<Failed>,
    link: Option<Link>,
    lifecycle: Lifecycle,
}

fn start() -> DateTime<Utc> {
    "2026-11-02T09:00:00Z".parse().unwrap()
}

/// `"1d 6h"` after the start.
fn at(text: &str) -> DateTime<Utc> {
    text.split_whitespace().fold(start(), |time, part| {
        let (number, unit) = part.split_at(part.len() - 1);
        let number: i64 = number
            .parse()
            .unwrap_or_else(|_| panic!("not a time: {text}"));
        time + match unit {
            "d" => TimeDelta::days(number),
            "h" => TimeDelta::hours(number),
            "m" => TimeDelta::minutes(number),
            "s" => TimeDelta::seconds(number),
            _ => panic!("not a time: {text}"),
        }
    })
}

fn group(name: &str) -> GroupRef {
    GroupRef {
        id: Some(format!("g-{name}").into()),
        email: format!("{name}@example.com"),
        name: None,
    }
}

fn asana() -> &'static CatalogEntry {
    entry("asana").unwrap()
}

impl World {
    fn new() -> Self {
        let unit = |path: &str, parent: &str| OrgUnit {
            id: format!("id:{path}").into(),
            path: path.into(),
            name: path.rsplit('/').next().unwrap().into(),
            parent_path: Some(parent.into()),
        };
        let fact = |name: &str| {
            let fact = GroupFact {
                email: format!("{name}@example.com"),
                name: name.to_owned(),
                aliases: vec![],
            };
            (format!("g-{name}").into(), fact)
        };
        let mut config = AppConfig::with_mapping(asana().default_mapping.clone());
        for (path, on) in [("/", true), ("/Contractors", false)] {
            config.access.org_units.push(OrgUnitAccess {
                path: path.into(),
                id: None,
                on,
            });
        }
        Self {
            user: json!({"id": "1", "primaryEmail": "ann@example.com", "suspended": false,
                "archived": false, "orgUnitPath": "/Eng", "name": {"fullName": "Ann Lee"},
                "organizations": [{"title": "Engineer", "primary": true}]}),
            deleted: false,
            memberships: BTreeMap::new(),
            config,
            facts: DirectoryFacts {
                customer_id: "C1".into(),
                primary_domain: "example.com".into(),
                domains: ["example.com", "second.example"].map(str::to_owned).into(),
                org_units: vec![
                    unit("/Eng", "/"),
                    unit("/Contractors", "/"),
                    unit("/Contractors/Kept", "/Contractors"),
                ],
                groups: [fact("eng"), fact("platform"), fact("extra")].into(),
                unreadable_groups: [].into(),
            },
            matching: None,
            account: BTreeMap::new(),
            manager: ManagerAccount::None,
            failed: None,
            link: None,
            lifecycle: Lifecycle::default(),
        }
    }

    fn change(&mut self, change: &Change) {
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                self.user[key] = value;
            }
        };
        set("suspended", change.suspended.map(Value::from));
        set("archived", change.archived.map(Value::from));
        set("isGuestUser", change.guest.map(Value::from));
        set("orgUnitPath", change.org_unit.clone().map(Value::from));
        set("primaryEmail", change.email.clone().map(Value::from));
        if let Some(missing) = change.flags_missing {
            set(
                "suspended",
                Some(if missing { Value::Null } else { false.into() }),
            );
        }
        for (key, value) in [("title", &change.title), ("department", &change.department)] {
            if let Some(value) = value {
                self.user["organizations"][0][key] = json!(value);
            }
        }
        self.deleted = change.deleted.unwrap_or(self.deleted);
        for (name, kind) in &change.member_of {
            let id = format!("g-{name}").into();
            match kind.as_str() {
                "direct" => self.memberships.insert(id, MemberKind::Direct),
                "nested" => {
                    let path = vec!["g-platform".into()];
                    self.memberships.insert(id, MemberKind::Nested { path })
                }
                _ => self.memberships.remove(&id),
            };
        }
        let config = &mut self.config;
        for (trigger, policy) in &change.policy {
            config
                .deprovisioning
                .set(Trigger::parse(trigger).expect("a trigger"), *policy);
        }
        if let Some(scope) = &change.scope {
            config.scope.groups = scope
                .iter()
                .map(|(name, members)| ScopeGroup {
                    group: group(name),
                    members: Members::parse(members).expect("direct or nested"),
                })
                .collect();
        }
        if let Some(groups) = &change.groups_on {
            config.access.groups_on = groups.iter().map(|name| group(name)).collect();
        }
        if let Some(domains) = &change.secondary_domains {
            config.scope.secondary_domains = domains.clone();
        }
        if let Some(protected) = &change.protected {
            config.safety.protected = protected
                .iter()
                .map(|email| PersonRef {
                    id: None,
                    email: email.clone(),
                })
                .collect();
        }
        for (path, on) in &change.access {
            config.access.org_units.retain(|unit| unit.path != *path);
            let unit = OrgUnitAccess {
                path: path.clone(),
                id: None,
                on: on == "on",
            };
            config.access.org_units.push(unit);
        }
        for (attribute, source) in &change.map {
            config.mapping.retain(|row| row.attribute != *attribute);
            if !source.is_empty() {
                config
                    .mapping
                    .push(MappingRow::from_attribute(attribute, source));
            }
        }
        for row in &mut config.mapping {
            if let Some(missing) = change.missing.get(&row.attribute) {
                row.missing = missing.clone();
            }
        }
        if let Some(manager) = &change.manager {
            let unresolved = |expected| ManagerAccount::Unresolved {
                email: "boss@example.com".into(),
                expected,
            };
            self.manager = match manager.as_str() {
                "none" => ManagerAccount::None,
                "expected" => unresolved(true),
                "unexpected" => unresolved(false),
                id => ManagerAccount::Account(id.into()),
            };
        }
        self.matching = change.matching.clone().or(self.matching.take());
        if let Some(account) = &change.account {
            self.account = account.clone();
        }
        self.failed = change.failed.clone().or(self.failed.take());
        if change.account_gone == Some(true) {
            self.link.as_mut().expect("a link").state = LinkState::Gone;
        }
    }

    fn person(&self) -> Person {
        Person::from_google(&self.user, self.deleted).unwrap()
    }

    fn matching(&self) -> Match {
        let account = |active: bool| {
            let mut resource =
                json!({"id": "a9", "userName": self.user["primaryEmail"], "active": active});
            for (name, value) in &self.account {
                resource[name] = value.clone();
            }
            Account::from_resource(resource).unwrap()
        };
        let taken = |renamed| Match::TakenBy {
            account: "a9".into(),
            person: "2".into(),
            renamed,
        };
        match self.matching.as_deref().unwrap_or("absent") {
            "unknown" => Match::Unknown,
            "absent" => Match::Absent,
            "leave" => Match::Leave,
            "found" => Match::Found(account(true)),
            "inactive" => Match::Inactive(account(false)),
            "review" => Match::Review(account(true)),
            "ambiguous" => Match::Ambiguous(vec![account(true), account(true)]),
            "taken" => taken(false),
            "renamed" => taken(true),
            "moves" => Match::Moves {
                account: account(true),
                from: "2".into(),
            },
            "moves suspended" => Match::Moves {
                account: account(false),
                from: "2".into(),
            },
            other => panic!("no such match: {other}"),
        }
    }

    fn failure(&self) -> Option<ExistingFailure> {
        let failed = self.failed.as_ref()?;
        // The body that failed is the one that would be planned now.
        let kind = OperationKind::parse(&failed.kind).expect("a kind");
        let now = start();
        let context = PlanContext::new(now, &self.config, asana(), &self.facts);
        let person = self.person();
        let matching = self.matching();
        let plan = plan_person(&PersonInput {
            context: &context,
            person: &person,
            memberships: &self.memberships,
            link: self.link.as_ref(),
            lifecycle: &self.lifecycle,
            matching: &matching,
            manager: &self.manager,
            failure: None,
        });
        let failing = plan.operations.iter().find(|o| o.kind == kind);
        Some(ExistingFailure {
            kind,
            body: failing.and_then(|o| o.body_hash()),
            cause: failing.and_then(|o| o.reason.cause()),
            permanent: failed.retry.is_none(),
            retry_at: failed.retry.as_deref().map(at),
            ignored: failed.ignored,
            message: "the app refused it".into(),
        })
    }

    fn decide(&mut self, now: DateTime<Utc>, what: &str, step: &str) {
        let (trigger, step) = step.split_once('.').expect("trigger.step");
        let (trigger, step) = (
            Trigger::parse(trigger).unwrap(),
            RemovalStep::parse(step).unwrap(),
        );
        let policy = self.config.deprovisioning.of(trigger);
        let lifecycle = &mut self.lifecycle;
        let done = match what {
            "cancel" => lifecycle.waive(trigger, step, now),
            "hold" => lifecycle.hold(trigger, step),
            "release" => lifecycle.release(trigger, step),
            "now" => lifecycle.do_now(trigger, step, policy, now),
            "allow" => lifecycle.allow(trigger, step, policy, now),
            _ => panic!("no such decision: {what}"),
        };
        assert!(done, "{trigger} does not hold");
    }

    fn play(&mut self, step: &Step) {
        let now = at(&step.at);
        self.change(&step.change);
        for (what, which) in &step.decide {
            self.decide(now, what, which);
        }
        let problems = unresolved(&self.config, &self.facts);
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code()).collect();
        assert_eq!(
            codes,
            step.unresolved.clone().unwrap_or_default(),
            "unresolved"
        );
        let failure = self.failure();
        let context = PlanContext::new(now, &self.config, asana(), &self.facts);
        let (person, matching) = (self.person(), self.matching());
        let input = PersonInput {
            context: &context,
            person: &person,
            memberships: &self.memberships,
            link: self.link.as_ref(),
            lifecycle: &self.lifecycle,
            matching: &matching,
            manager: &self.manager,
            failure: failure.as_ref(),
        };
        let plan = plan_person(&input);
        compare(step, &plan);
        let protected = self.config.safety.protects(&person);
        let mut summaries: Vec<OperationSummary> = plan
            .operations
            .iter()
            .map(|o| {
                OperationSummary::of(
                    &person,
                    o,
                    self.link.as_ref(),
                    &plan.lifecycle,
                    protected,
                    None,
                )
            })
            .collect();
        // The rename that she waits for is in the same plan.
        let renames: Vec<OperationSummary> = (summaries.iter())
            .filter_map(|one| {
                Some(OperationSummary {
                    person: one.after.clone()?,
                    kind: OperationKind::Update,
                    account: Some("a9".into()),
                    user_name: Some("elsewhere@example.com".into()),
                    link: Some(LinkState::Active),
                    after: None,
                    ..one.clone()
                })
            })
            .collect();
        summaries.extend(renames);
        assert_eq!(lint(&summaries, now), vec![], "the second pass agrees");

        if let Some(fresh) = &step.fresh {
            self.change(fresh);
            let context = PlanContext::new(now, &self.config, asana(), &self.facts);
            let person = self.person();
            let decision = context.resolved.decide(&person, &self.memberships);
            for operation in &plan.operations {
                let cause = operation.precondition.cause.expect("a removal");
                assert!(
                    confirm_cause(cause, &person, &decision).is_err(),
                    "the cause is gone"
                );
            }
        }
        self.lifecycle = plan.lifecycle;
        if step.not_done || step.fresh.is_some() {
            return;
        }
        for operation in &plan.operations {
            let created = "a1".into();
            let done = acknowledge(
                operation,
                self.link.as_ref(),
                &self.lifecycle,
                Some(&created),
                now,
            );
            let (link, lifecycle) = done.expect("an account");
            self.link = Some(link);
            self.lifecycle = lifecycle;
            self.failed = None;
        }
    }
}

fn compare(step: &Step, plan: &PersonPlan) {
    let kinds: Vec<&str> = plan.operations.iter().map(|o| o.kind.as_str()).collect();
    assert_eq!(kinds, step.expect, "operations; {:?}", plan.outcome);
    let outcome = match &plan.outcome {
        PlanOutcome::Planned => "planned",
        PlanOutcome::Unchanged => "unchanged",
        PlanOutcome::Skipped(skip) => skip.rule.key(),
        PlanOutcome::NeedsLookup { .. } => "lookup",
    };
    if let Some(expected) = &step.outcome {
        assert_eq!(outcome, expected, "outcome; {:?}", plan.outcome);
    }
    if let Some(because) = &step.because {
        let reasons: Vec<String> = plan
            .operations
            .iter()
            .map(|o| o.reason.to_string())
            .collect();
        let given = match &plan.outcome {
            PlanOutcome::Skipped(skip) => skip.detail.clone(),
            _ => reasons.join("; "),
        };
        assert!(
            given.contains(because.as_str()),
            "reason {given:?} holds {because:?}"
        );
    }
    let changed: BTreeMap<String, Value> = (plan.operations.iter())
        .flat_map(|operation| &operation.changes)
        .map(|change| {
            let name = change.attribute.rsplit(':').next().unwrap().to_owned();
            (name, change.new.clone().unwrap_or(Value::Bool(false)))
        })
        .collect();
    if let Some(expected) = &step.changes {
        assert_eq!(&changed, expected, "changes");
    }
    for attribute in &step.keeps {
        assert!(!changed.contains_key(attribute), "{attribute} is kept");
    }
    if let Some(expected) = &step.next {
        let next = plan.next.as_ref().map_or("none".to_owned(), |next| {
            let hours = (next.due_at - start()).num_hours();
            match (hours / 24, hours % 24) {
                (days, 0) => format!("{} {days}d", next.step.key()),
                (days, hours) => format!("{} {days}d {hours}h", next.step.key()),
            }
        });
        assert_eq!(&next, expected, "next step");
    }
    if let Some(expected) = &step.fails {
        let failing: Vec<&str> = plan
            .trace
            .iter()
            .filter(|line| line.result == provisioning::scope::Verdict::Fail)
            .map(|line| line.rule.key())
            .collect();
        assert_eq!(&failing, expected, "rules that fail");
    }
}

fn play(scenario: &Scenario) {
    let mut world = World::new();
    world.change(&scenario.given);
    if let Some(state) = &scenario.link {
        let state = match state.as_str() {
            "suspended" => LinkState::SuspendedByUs,
            other => LinkState::parse(other).expect("a state of a link"),
        };
        // What was acknowledged is what the mapping gives now, save expressions.
        let body = provisioning::mapping::build_body(
            &world.person(),
            &world.config.mapping,
            &world.manager,
            asana(),
        );
        world.link = Some(Link {
            account_id: "a1".into(),
            state,
            last_body: Some(body.body),
        });
    }
    for step in &scenario.step {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.play(step)));
        if let Err(cause) = result {
            eprintln!("step at {}", step.at);
            std::panic::resume_unwind(cause);
        }
    }
}

#[test]
fn every_scenario_goes_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 30, "{} scenarios", files.len());
    let mut failed = Vec::new();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let scenario: Scenario =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            !scenario.rule.is_empty() && !scenario.step.is_empty(),
            "{name}"
        );
        if std::panic::catch_unwind(|| play(&scenario)).is_err() {
            eprintln!("^ {name}: {}\n", scenario.rule);
            failed.push(name);
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} scenarios failed: {failed:?}",
        failed.len(),
        files.len()
    );
}
