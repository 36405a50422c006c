//! The reference: what the app must hold after each run, from the specification alone. Slow and
//! plain on purpose; nothing of it comes from the crate `provisioning`.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use server::sandbox::{Account, Directory, PRIMARY_DOMAIN, Person, Sandbox};

pub const EVENTS: [(&str, &str); 4] = [
    ("create", "Create User By Auto Provisioning"),
    ("suspend", "Suspend Auto Provisioned User"),
    ("unsuspend", "Unsuspend Auto Provisioned User"),
    ("delete", "Delete Auto Provisioned User"),
];

/// Suspend after and delete after so many days; 0 is "within 24 hours" (S6.1).
#[derive(Debug, Clone, Copy)]
pub struct Windows(pub Option<i64>, pub Option<i64>);

#[derive(Debug, Clone, Copy)]
pub struct Policies {
    pub off: Windows,
    pub suspended: Windows,
    pub deleted: Windows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Off,
    Suspended,
    Deleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Suspend,
    Delete,
}

/// What the app shows of somebody.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    user_name: String,
    name: String,
    title: Option<String>,
    department: Option<String>,
    /// The manager's id at Google.
    manager: Option<String>,
}

#[derive(Debug, Clone)]
struct Held {
    /// None until the app gave one.
    id: Option<String>,
    active: bool,
    shown: Shown,
    /// The account that is named as the manager's.
    manager: Option<String>,
    /// Whether this step may write attributes; otherwise even an outdated manager stays.
    written: bool,
    /// The manager was not the right one after the step before.
    is_late: bool,
}

/// One person's story so far.
#[derive(Debug, Clone, Default)]
struct Story {
    clocks: BTreeMap<Cause, DateTime<Utc>>,
    suspended_at: Option<DateTime<Utc>>,
    archived_since: Option<DateTime<Utc>>,
    account: Option<Held>,
}

pub struct Model {
    access: Vec<(String, bool)>,
    stories: BTreeMap<String, Story>,
    strangers: Vec<Account>,
    done: BTreeMap<&'static str, usize>,
    /// Managers who had left the app and were named for one step more.
    late_to_go: usize,
    /// Managers who had come to the app and were named only one step later.
    late_to_come: usize,
}

/// What a step does, by kind.
#[derive(Debug, Default)]
pub struct Expected {
    by_kind: BTreeMap<&'static str, Vec<String>>,
}

impl Expected {
    pub fn count(&self, kind: &str) -> usize {
        self.by_kind.get(kind).map_or(0, Vec::len)
    }

    fn add(&mut self, kind: &'static str, person: &str) {
        self.by_kind
            .entry(kind)
            .or_default()
            .push(person.to_owned());
    }
}

impl Model {
    pub fn new(access: Vec<(String, bool)>, sandbox: &Sandbox) -> Self {
        Self {
            access,
            stories: BTreeMap::new(),
            strangers: sandbox.accounts(),
            done: BTreeMap::new(),
            late_to_go: 0,
            late_to_come: 0,
        }
    }

    pub fn done(&self, kind: &str) -> usize {
        self.done.get(kind).copied().unwrap_or(0)
    }

    pub fn so_far(&self) -> String {
        let accounts = self
            .stories
            .values()
            .filter_map(|story| story.account.as_ref());
        let (mut all, mut active) = (0, 0);
        for account in accounts {
            all += 1;
            active += usize::from(account.active);
        }
        format!(
            "{} people, {all} accounts ({active} active), {:?}, managers a step late: {} to go, {} to come",
            self.stories.len(),
            self.done,
            self.late_to_go,
            self.late_to_come
        )
    }

    /// S2.3: the nearest org unit that says something decides.
    fn app_is_on(&self, path: &str) -> bool {
        let covers =
            |unit: &str| unit == "/" || path == unit || path.starts_with(&format!("{unit}/"));
        self.access
            .iter()
            .filter(|(unit, _)| covers(unit))
            .max_by_key(|(unit, _)| unit.len())
            .is_some_and(|(_, on)| *on)
    }

    /// One run at `now`.
    pub fn step(&mut self, sandbox: &Sandbox, policies: Policies, now: DateTime<Utc>) -> Expected {
        let mut expected = Expected::default();
        sandbox.directory(|directory| {
            for person in directory.people.values() {
                let on = self.app_is_on(&directory.path_of(&person.org_unit));
                let story = self.stories.entry(person.id.as_str().to_owned());
                let kind = live(story.or_default(), person, on, directory, policies, now);
                if let Some(kind) = kind {
                    expected.add(kind, person.id.as_str());
                }
            }
        });
        for (kind, people) in &expected.by_kind {
            *self.done.entry(kind).or_default() += people.len();
        }
        expected
    }

    /// Fails unless the app is as the model says, account by account.
    pub fn compare(&mut self, sandbox: &Sandbox, expected: &Expected, day: u32) {
        let mut accounts: BTreeMap<String, Account> = sandbox
            .accounts()
            .into_iter()
            .map(|account| (account.id.clone(), account))
            .collect();
        for stranger in &self.strangers {
            let there = accounts.remove(&stranger.id);
            let same = there.is_some_and(|one| one.writes == stranger.writes);
            assert!(same, "day {day}: a stranger was touched: {stranger:?}");
        }
        for (person, story) in &mut self.stories {
            let Some(held) = &mut story.account else {
                continue;
            };
            if held.id.is_none() {
                let made = sandbox.account(&held.shown.user_name);
                held.id = made.map(|account| account.id);
            }
            assert!(held.id.is_some(), "day {day}: {person} has no account");
        }
        let ids: BTreeMap<String, String> = self
            .stories
            .iter()
            .filter_map(|(person, story)| {
                Some((person.clone(), story.account.as_ref()?.id.clone()?))
            })
            .collect();
        for (person, story) in &mut self.stories {
            let shown = format!("day {day}: {person}: {story:?}; this step: {expected:?}");
            let Some(held) = &mut story.account else {
                continue;
            };
            let Some(account) = accounts.remove(&ids[person]) else {
                panic!("the account is gone: {shown}");
            };
            assert_eq!(account.active, held.active, "{shown}");
            let is = Shown {
                user_name: account.user_name.clone(),
                name: text(&account.attributes["name"]["formatted"]).unwrap(),
                title: account.title().map(str::to_owned),
                department: account.enterprise("department").and_then(text),
                manager: held.shown.manager.clone(),
            };
            assert_eq!(is, held.shown, "{shown}");
            let manager = account
                .enterprise("manager")
                .and_then(|one| text(&one["value"]));
            let wanted = held.shown.manager.as_ref().and_then(|one| ids.get(one));
            if manager != held.manager {
                assert!(held.written, "manager {manager:?}: {shown}");
                held.manager = manager;
            }
            // S4.3: reports are planned again when their manager's account comes or goes, by the
            // next run at the latest.
            let is_late = held.written && held.manager.as_ref() != wanted;
            assert!(
                !(is_late && held.is_late),
                "manager, not {wanted:?}: {shown}"
            );
            match wanted {
                None => self.late_to_go += usize::from(is_late),
                Some(_) => self.late_to_come += usize::from(is_late),
            }
            held.is_late = is_late;
        }
        assert!(accounts.is_empty(), "day {day}: nobody's: {accounts:?}");
    }
}

/// What one run does for one person, and what comes of it.
fn live(
    story: &mut Story,
    person: &Person,
    on: bool,
    directory: &Directory,
    policies: Policies,
    now: DateTime<Utc>,
) -> Option<&'static str> {
    if let Some(held) = &mut story.account {
        held.written = false;
    }
    // S6.5: archived people are left as they are, and their time stands still.
    if person.archived_at.is_some() && person.deleted_at.is_none() {
        story.archived_since.get_or_insert(now);
        return None;
    }
    if let Some(since) = story.archived_since.take() {
        let stood_still = now - since;
        for clock in story.clocks.values_mut() {
            *clock += stood_still;
        }
        story.suspended_at = story.suspended_at.map(|at| at + stood_still);
    }
    observe(story, person, on, now);
    let Some(held) = &mut story.account else {
        // S6.6, S5.2: no account while a cause holds, nor outside the primary domain.
        let provisioned = person
            .primary_email
            .ends_with(&format!("@{PRIMARY_DOMAIN}"));
        if !story.clocks.is_empty() || !provisioned {
            return None;
        }
        story.account = Some(Held {
            id: None,
            active: true,
            shown: shown(person, directory),
            manager: None,
            written: true,
            is_late: false,
        });
        return Some("create");
    };
    if story.clocks.is_empty() {
        // S6.3: back again, in one write with whatever changed meanwhile.
        held.shown = shown(person, directory);
        held.written = true;
        story.suspended_at = None;
        let was_active = std::mem::replace(&mut held.active, true);
        return (!was_active).then_some("unsuspend");
    }
    match due(story, policies, now)? {
        Step::Suspend => {
            story.account.as_mut()?.active = false;
            story.suspended_at = Some(now);
            Some("suspend")
        }
        Step::Delete => {
            story.account = None;
            story.suspended_at = None;
            Some("delete")
        }
    }
}

/// S6.2: clocks start when an import first sees the cause, and end with it.
fn observe(story: &mut Story, person: &Person, on: bool, now: DateTime<Utc>) {
    let deleted = person.deleted_at.is_some();
    for (cause, holds) in [
        (Cause::Off, !on),
        (Cause::Suspended, person.suspended_at.is_some()),
        (Cause::Deleted, deleted),
    ] {
        // S6.3: for a deleted person only "deleted" counts; the others begin anew if need be.
        if deleted && cause != Cause::Deleted {
            continue;
        }
        if holds {
            story.clocks.entry(cause).or_insert(now);
        } else {
            story.clocks.remove(&cause);
        }
    }
}

/// The earliest step that is due, if one is.
fn due(story: &Story, policies: Policies, now: DateTime<Utc>) -> Option<Step> {
    let deleted = story.clocks.contains_key(&Cause::Deleted);
    let mut steps = Vec::new();
    for (cause, since) in &story.clocks {
        if deleted && *cause != Cause::Deleted {
            continue;
        }
        let Windows(suspend, delete) = match cause {
            Cause::Off => policies.off,
            Cause::Suspended => policies.suspended,
            Cause::Deleted => policies.deleted,
        };
        let days = TimeDelta::days;
        if let (Some(suspend), None) = (suspend, story.suspended_at) {
            steps.push((*since + days(suspend), Step::Suspend));
        }
        match (delete, suspend, story.suspended_at) {
            (Some(delete), None, _) => steps.push((*since + days(delete), Step::Delete)),
            // Never together with the suspension, even after an outage.
            (Some(delete), Some(suspend), Some(confirmed)) => {
                let after = confirmed + days(delete - suspend);
                steps.push(((*since + days(delete)).max(after), Step::Delete));
            }
            _ => {}
        }
    }
    steps.retain(|(at, _)| *at <= now);
    steps.into_iter().min().map(|(_, step)| step)
}

/// Asana's default mapping, in words: address, full name, title, department, manager.
fn shown(person: &Person, directory: &Directory) -> Shown {
    let organization = |member: &str| {
        let raw = person.organizations.as_ref()?;
        let entries: Vec<Value> = serde_json::from_str(raw.get()).ok()?;
        let primary = entries.iter().find(|one| one["primary"] == true);
        text(&primary.or_else(|| entries.first())?[member])
    };
    let manager = person.relations.as_ref().and_then(|raw| {
        let relations: Vec<Value> = serde_json::from_str(raw.get()).ok()?;
        let manager = relations.iter().find(|one| one["type"] == "manager")?;
        let person = directory.person(manager["value"].as_str()?)?;
        Some(person.id.as_str().to_owned())
    });
    Shown {
        user_name: person.primary_email.clone(),
        name: person.full_name(),
        title: organization("title"),
        department: organization("department"),
        manager,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
