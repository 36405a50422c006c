//! What happens in the organisation: figurant's joiners, leavers and changes, and on top of them
//! what it does not know: moves to where the app is off, leave, archives, mistaken deletions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use server::sandbox::{
    ADMINISTRATOR, Directory, NewPerson, OrgUnit, PRIMARY_DOMAIN, Person, Rename, Sandbox,
};

use crate::chance::{self, Chance};

#[derive(Debug, Clone, Deserialize)]
struct Employee {
    id: String,
    given: String,
    family: String,
    unit: String,
    title: String,
    department: String,
    manager: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Start {
    units: BTreeMap<String, String>,
    people: Vec<Employee>,
}

#[derive(Debug, Deserialize)]
struct Day {
    joined: Vec<Employee>,
    left: Vec<String>,
    changed: Vec<Employee>,
}

/// What is to happen to somebody on a later day.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Later {
    Restore,
    Unarchive,
    MoveBack,
    Delete,
    Undelete,
}

pub struct Life {
    start: Start,
    days: std::vec::IntoIter<Day>,
    /// Google's ids by those of figurant.
    known: BTreeMap<String, String>,
    /// Who is away for one reason or another is left alone until it is over.
    away: BTreeSet<String>,
    agenda: BTreeMap<u32, Vec<(String, Later)>>,
    homes: BTreeMap<String, String>,
}

fn python() -> PathBuf {
    let named = std::env::var_os("ROLLCALL_INTEROP_VENV").map(PathBuf::from);
    let usual = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("rollcall/interop-venv"))
    };
    let folder = named.or_else(usual).unwrap_or_default();
    assert!(
        folder.join("bin/figurant").exists(),
        "ROLLCALL_INTEROP_VENV: no figurant in {folder:?}; `make test` and `make soak` put it there"
    );
    folder.join("bin/python3")
}

impl Life {
    pub fn of_an_organisation(people: u32, days: u32) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soak/history.py");
        let output = std::process::Command::new(python())
            .arg(script)
            .args([people.to_string(), days.to_string()])
            .arg(chance::seed().to_string())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut lines = said.lines();
        let start = serde_json::from_str(lines.next().unwrap()).unwrap();
        let days: Vec<Day> = lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        Self {
            start,
            days: days.into_iter(),
            known: BTreeMap::new(),
            away: BTreeSet::new(),
            agenda: BTreeMap::new(),
            homes: BTreeMap::new(),
        }
    }

    /// The app is on for all but two units, and on again for one below.
    pub fn access(&self) -> Vec<(String, bool)> {
        let mut access = vec![("/".to_owned(), true), ("/Away".to_owned(), false)];
        access.push(("/Away/Here again".to_owned(), true));
        let top = self.start.units.values();
        let off = top.filter(|path| path.matches('/').count() == 1).nth(5);
        access.push((off.unwrap().clone(), false));
        access
    }

    /// Units and people as they are on the first day.
    pub fn move_in(&mut self, sandbox: &Sandbox) {
        let mut units: Vec<String> = self.start.units.values().cloned().collect();
        units.extend(["/Away".to_owned(), "/Away/Here again".to_owned()]);
        units.sort_by_key(|path| path.matches('/').count());
        sandbox.change_directory(|directory, _| {
            for path in &units {
                add_unit(directory, path);
            }
        });
        for employee in self.start.people.clone() {
            self.join(&employee, sandbox);
        }
        // Managers may have come after their reports.
        for employee in self.start.people.clone() {
            self.reports_to(&employee, sandbox);
        }
    }

    fn join(&mut self, employee: &Employee, sandbox: &Sandbox) {
        let new = NewPerson {
            given_name: employee.given.clone(),
            family_name: employee.family.clone(),
            // Nobody ever gets an address that somebody had.
            primary_email: Some(format!("p{}@{PRIMARY_DOMAIN}", self.known.len())),
            org_unit_path: Some(self.start.units[&employee.unit].clone()),
            title: Some(employee.title.clone()),
            department: Some(employee.department.clone()),
            manager: None,
        };
        let person = sandbox.change_directory(|directory, now| directory.add_person(new, now));
        self.known
            .insert(employee.id.clone(), person.unwrap().id.as_str().to_owned());
    }

    fn reports_to(&self, employee: &Employee, sandbox: &Sandbox) {
        let id = &self.known[&employee.id];
        let manager = employee.manager.as_ref().and_then(|id| self.known.get(id));
        sandbox
            .change_directory(|directory, _| {
                let manager = manager.and_then(|id| directory.person(id));
                let relation = manager.map(
                    |one| serde_json::json!([{ "type": "manager", "value": one.primary_email }]),
                );
                directory.set_free(id, "relations", relation.as_ref())
            })
            .ok();
    }

    /// All that happens on one day, after figurant's history and by chance.
    pub fn day(&mut self, day: u32, sandbox: &Sandbox, chance: &mut Chance) {
        for (id, what) in self.agenda.remove(&day).unwrap_or_default() {
            self.carry_out(day, &id, what, sandbox);
        }
        let Some(today) = self.days.next() else {
            return;
        };
        for employee in &today.joined {
            self.join(employee, sandbox);
        }
        for employee in today.joined.iter().chain(&today.changed) {
            self.reports_to(employee, sandbox);
        }
        for employee in &today.changed {
            self.change(employee, day, sandbox, chance);
        }
        for id in &today.left {
            let id = self.known[id].clone();
            self.leave(day, &id, sandbox, chance);
        }
        let people = self.free(sandbox);
        for _ in 0..(people.len() / 40).max(1) {
            if let Some(person) = (!people.is_empty()).then(|| chance.pick(&people).clone()) {
                self.befall(day, &person, sandbox, chance);
            }
        }
    }

    /// People who are at work as usual.
    fn free(&self, sandbox: &Sandbox) -> Vec<Person> {
        sandbox.directory(|directory| {
            directory
                .living()
                .filter(|person| {
                    person.primary_email != ADMINISTRATOR && !self.away.contains(person.id.as_str())
                })
                .cloned()
                .collect()
        })
    }

    fn change(&self, employee: &Employee, day: u32, sandbox: &Sandbox, chance: &mut Chance) {
        let id = &self.known[&employee.id];
        let new_address = chance.percent(50);
        sandbox.change_directory(|directory, _| {
            let Some(person) = directory.person(id).filter(|one| one.deleted_at.is_none()) else {
                return;
            };
            let renamed =
                (&person.given_name, &person.family_name) != (&employee.given, &employee.family);
            let email = format!("{}.d{day}@{PRIMARY_DOMAIN}", id);
            if renamed {
                let rename = Rename {
                    given_name: Some(employee.given.clone()),
                    family_name: Some(employee.family.clone()),
                    primary_email: new_address.then_some(email),
                };
                directory.rename(id, rename).unwrap();
            }
            directory.set_title(id, Some(&employee.title)).unwrap();
        });
    }

    /// People leave in one of several ways, some with a suspension first.
    fn leave(&mut self, day: u32, id: &str, sandbox: &Sandbox, chance: &mut Chance) {
        // Who is archived or on leave already goes at the end of that.
        if !self.away.insert(id.to_owned()) {
            return;
        }
        let in_days = chance.within(1..15) as u32;
        match chance.within(0..3) {
            0 => self.later(
                day + in_days,
                id,
                Later::Delete,
                sandbox,
                |directory, now| directory.suspend(id, now).map(drop),
            ),
            1 => self.later(
                day + in_days,
                id,
                Later::Undelete,
                sandbox,
                |directory, now| directory.delete(id, now).map(drop),
            ),
            _ => self.carry_out(day, id, Later::Delete, sandbox),
        }
    }

    /// What can happen to anybody.
    fn befall(&mut self, day: u32, person: &Person, sandbox: &Sandbox, chance: &mut Chance) {
        let id = person.id.as_str();
        let until = day + chance.within(1..30) as u32;
        let kind = chance.within(0..6);
        if kind < 5 && !self.away.insert(id.to_owned()) {
            return;
        }
        match kind {
            0 | 1 => self.later(until, id, Later::Restore, sandbox, |directory, now| {
                directory.suspend(id, now).map(drop)
            }),
            2 => self.later(until, id, Later::Unarchive, sandbox, |directory, now| {
                directory.archive(id, now).map(drop)
            }),
            3 => {
                let home = sandbox.directory(|directory| directory.path_of(&person.org_unit));
                self.homes.insert(id.to_owned(), home);
                self.later(until, id, Later::MoveBack, sandbox, |directory, _| {
                    directory.move_to(id, "/Away").map(drop)
                });
            }
            4 => {
                // Two causes at once; the archive in between makes the clocks stand still.
                let home = sandbox.directory(|directory| directory.path_of(&person.org_unit));
                self.homes.insert(id.to_owned(), home);
                self.plan(until, id, Later::MoveBack);
                self.plan(day + 9, id, Later::Restore);
                sandbox.change_directory(|directory, now| {
                    directory.move_to(id, "/Away").unwrap();
                    directory.suspend(id, now).unwrap();
                });
            }
            _ => {
                sandbox
                    .change_directory(|directory, _| {
                        directory.set_organization(id, "department", None)?;
                        directory.move_to(id, "/Away/Here again")
                    })
                    .unwrap();
            }
        }
    }

    fn plan(&mut self, day: u32, id: &str, what: Later) {
        self.agenda
            .entry(day)
            .or_default()
            .push((id.to_owned(), what));
    }

    fn later<E: std::fmt::Debug>(
        &mut self,
        day: u32,
        id: &str,
        what: Later,
        sandbox: &Sandbox,
        first: impl FnOnce(&mut Directory, chrono::DateTime<chrono::Utc>) -> Result<(), E>,
    ) {
        sandbox.change_directory(first).unwrap();
        self.plan(day, id, what);
    }

    fn carry_out(&mut self, day: u32, id: &str, what: Later, sandbox: &Sandbox) {
        let home = self.homes.get(id).map_or("/", String::as_str);
        sandbox
            .change_directory(|directory, now| match what {
                Later::Restore => directory.restore(id),
                Later::Unarchive => directory.unarchive(id),
                Later::MoveBack => directory.move_to(id, home),
                Later::Delete => directory.delete(id, now),
                Later::Undelete => directory.undelete(id, now),
            })
            .unwrap();
        let more = self
            .agenda
            .range(day..)
            .any(|(_, later)| later.iter().any(|(other, _)| other == id));
        if what != Later::Delete && !more {
            self.away.remove(id);
        }
    }
}

fn add_unit(directory: &mut Directory, path: &str) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = if parent.is_empty() { "/" } else { parent };
    let parent: OrgUnit = directory.org_unit_at(parent).unwrap().clone();
    if directory.org_unit_at(path).is_some() {
        return;
    }
    let mut unit = parent.clone();
    unit.id.0 = format!("id:soak{}", directory.org_units.len());
    unit.name = name.to_owned();
    unit.description = String::new();
    unit.parent = Some(parent.id);
    directory.org_units.insert(unit.id.clone(), unit);
}
