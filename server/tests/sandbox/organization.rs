//! The made-up organization: the same each time, in any size, with the people
//! that break careless software.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use server::sandbox::{ADMINISTRATOR, Directory, Sandbox, SandboxOptions};
use std::sync::Arc;

use server::clock::FakeClock;

use crate::harness::noon;

fn sandbox(seed: u64, people: usize, groups: usize) -> Sandbox {
    let clock = Arc::new(FakeClock::at(noon()));
    Sandbox::new(SandboxOptions {
        seed,
        people,
        groups,
        ..SandboxOptions::for_tests(clock).unwrap()
    })
    .unwrap()
}

fn text(directory: &Directory) -> String {
    serde_json::to_string(directory).unwrap()
}

#[test]
fn the_same_seed_makes_the_same_organization_and_another_does_not() {
    let one = sandbox(7, 250, 41);
    let same = sandbox(7, 250, 41);
    let other = sandbox(8, 250, 41);
    assert_eq!(one.directory(text), same.directory(text));
    assert_ne!(one.directory(text), other.directory(text));
    assert_eq!(one.accounts(), same.accounts());
    assert_eq!(one.asana_token(), same.asana_token());
    assert_ne!(one.asana_token(), other.asana_token());
}

#[test]
fn any_size_has_its_administrator_and_no_address_twice() {
    for (people, groups) in [
        (1, 0),
        (2, 41),
        (17, 41),
        (60, 50),
        (999, 41),
        (20_000, 300),
    ] {
        let sandbox = sandbox(1, people, groups);
        sandbox.directory(|directory| {
            assert_eq!(directory.living().count(), people);
            assert!(
                directory.person(ADMINISTRATOR).is_some_and(|p| p.is_admin),
                "of {people}"
            );
            assert_eq!(directory.groups.len(), groups.max(41));
            let addresses: BTreeSet<_> = directory
                .people
                .values()
                .map(|p| p.primary_email.to_lowercase())
                .chain(directory.groups.values().map(|g| g.email.to_lowercase()))
                .collect();
            assert_eq!(
                addresses.len(),
                directory.people.len() + directory.groups.len()
            );
            assert!(addresses.iter().all(|address| address.is_ascii()));
        });
    }
}

#[test]
fn the_organization_of_250_has_everybody_that_the_rules_tell_apart() {
    sandbox(1, 250, 41).directory(|directory| {
        let count = |which: &dyn Fn(&server::sandbox::Person) -> bool| {
            directory.living().filter(|p| which(p)).count()
        };
        assert_eq!(count(&|p| p.archived_at.is_some()), 5);
        assert_eq!(count(&|p| p.guest_of.is_some()), 3);
        let suspended = count(&|p| p.suspended_at.is_some());
        assert!((5..=10).contains(&suspended), "{suspended}");
        assert_eq!(
            count(&|p| p.primary_email.ends_with("@northmoor-labs.example")),
            14
        );
        assert_eq!(directory.people.len(), 252, "two deleted ones on top");
        assert!(count(&|p| p.title().is_none()) > 5, "holes");
        assert!(count(&|p| p.custom_schemas.is_none()) > 20);
        assert!(count(&|p| p.full_name().len() > 60) >= 1);
        assert!(count(&|p| p.primary_email.contains('\'')) >= 1);
        let right_to_left = |p: &server::sandbox::Person| {
            p.full_name()
                .chars()
                .any(|c| ('\u{590}'..'\u{700}').contains(&c))
        };
        assert!(count(&right_to_left) >= 5);
        let cjk = |p: &server::sandbox::Person| {
            p.full_name()
                .chars()
                .any(|c| ('\u{4e00}'..'\u{a000}').contains(&c))
        };
        assert!(count(&cjk) >= 5);
    });
}

#[test]
fn most_people_have_a_manager_who_exists_and_two_name_each_other() {
    sandbox(1, 250, 41).directory(|directory| {
        let manager = |person: &server::sandbox::Person| -> Option<String> {
            let relations: Vec<Value> =
                serde_json::from_str(person.relations.as_ref()?.get()).unwrap();
            let relation = relations.iter().find(|r| r["type"] == "manager")?;
            relation["value"].as_str().map(str::to_owned)
        };
        let managers: BTreeMap<String, String> = directory
            .living()
            .filter_map(|p| Some((p.primary_email.clone(), manager(p)?)))
            .collect();
        let known = managers
            .values()
            .filter(|m| directory.person(m).is_some())
            .count();
        assert!(
            managers.len() > 230 && known > 220,
            "{} {known}",
            managers.len()
        );
        assert!(known < managers.len(), "some name nobody");
        let ring = managers
            .iter()
            .filter(|(p, m)| managers.get(*m) == Some(*p))
            .count();
        assert!(ring >= 2, "two who name each other");
    });
}
