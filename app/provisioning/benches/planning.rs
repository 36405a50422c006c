//! What the rules cost beside what any reader of the same answers pays: parsing Google's pages with
//! serde alone is the baseline, measured in the same run. Prints a table; nothing fails on time.

#![allow(
    clippy::expect_used,
    reason = "a benchmark whose data is wrong shall stop"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chrono::DateTime;
use provisioning::catalog;
use provisioning::config::{AppConfig, OrgUnitAccess, Sso};
use provisioning::identity::Person;
use provisioning::lifecycle::Lifecycle;
use provisioning::mapping::ManagerAccount;
use provisioning::matching::Match;
use provisioning::plan::{Link, LinkState, PersonInput, PlanContext, PlanOutcome, plan_person};
use provisioning::scope::{DirectoryFacts, GroupMemberships};
use serde_json::{Value, json};

const PEOPLE: usize = 20_000;
const PAGE: usize = 500;
const ROUNDS: usize = 5;

fn main() {
    let pages = pages();
    let entry = catalog::entry("asana").expect("the catalogue has Asana");
    let mut config = AppConfig::with_mapping(entry.default_mapping.clone());
    config.sso = Some(Sso::Google);
    config.scope.everyone = true;
    config.access.org_units.push(OrgUnitAccess {
        path: "/".to_owned(),
        id: None,
        on: true,
    });
    let facts = DirectoryFacts {
        primary_domain: "example.com".to_owned(),
        ..DirectoryFacts::default()
    };
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a valid time");
    let context = PlanContext::new(now, &config, entry, &facts);

    let parsing = median(|| {
        for page in &pages {
            black_box(serde_json::from_str::<Value>(page).expect("a page"));
        }
    });
    let creating = median(|| {
        assert_eq!(plan_all(&pages, &context, None), (PEOPLE, 0));
    });
    let link = linked_to_what_is_mapped(&pages, &context);
    let unchanged = median(|| {
        plan_all(&pages, &context, Some(&link));
    });

    println!("{PEOPLE} people, median of {ROUNDS} rounds");
    println!("{:<44} {:>10} {:>8}", "", "time", "ratio");
    row("parsing the pages with serde alone", parsing, parsing);
    row(
        "parsing, reading and planning a create each",
        creating,
        parsing,
    );
    row(
        "parsing, reading and comparing with a link",
        unchanged,
        parsing,
    );
}

fn row(what: &str, time: Duration, baseline: Duration) {
    let ratio = time.as_secs_f64() / baseline.as_secs_f64();
    println!(
        "{what:<44} {:>7.1} ms {ratio:>7.2}x",
        time.as_secs_f64() * 1000.0
    );
}

fn median(mut round: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

/// Plans everybody; how many got operations, and how many had nothing to do.
fn plan_all(pages: &[String], context: &PlanContext<'_>, link: Option<&Link>) -> (usize, usize) {
    let (nobody, lifecycle) = (GroupMemberships::default(), Lifecycle::default());
    let (mut planned, mut unchanged) = (0, 0);
    for page in pages {
        let page: Value = serde_json::from_str(page).expect("a page");
        for user in page["users"].as_array().expect("users") {
            let person = Person::from_google(user, false).expect("a person");
            let plan = plan_person(&PersonInput {
                context,
                person: &person,
                memberships: &nobody,
                link,
                lifecycle: &lifecycle,
                matching: &Match::Absent,
                manager: &ManagerAccount::None,
                failure: None,
            });
            match black_box(plan).outcome {
                PlanOutcome::Planned => planned += 1,
                PlanOutcome::Unchanged => unchanged += 1,
                _ => {}
            }
        }
    }
    (planned, unchanged)
}

/// A link that holds what the first person is mapped to: everybody is compared with it in full.
fn linked_to_what_is_mapped(pages: &[String], context: &PlanContext<'_>) -> Link {
    let page: Value = serde_json::from_str(&pages[0]).expect("a page");
    let person = Person::from_google(&page["users"][0], false).expect("a person");
    Link {
        account_id: "1".into(),
        state: LinkState::Active,
        last_body: Some(context.mapping.build(&person, &ManagerAccount::None).body),
    }
}

fn pages() -> Vec<String> {
    let users: Vec<Value> = (0..PEOPLE).map(user).collect();
    users
        .chunks(PAGE)
        .map(|page| json!({ "kind": "admin#directory#users", "users": page }).to_string())
        .collect()
}

/// The shape and size of a real answer with `projection=full`.
fn user(number: usize) -> Value {
    json!({
        "kind": "admin#directory#user",
        "id": format!("{:021}", number),
        "etag": "\"ZFGhnQX9jBtSm2J4sKfd5wWBSuXjQ7b4yBqHTPvmAUI/xyz\"",
        "primaryEmail": format!("person.{number}@example.com"),
        "name": { "givenName": "Person", "familyName": format!("Number {number}"), "fullName": format!("Person Number {number}") },
        "isAdmin": false, "isDelegatedAdmin": false, "suspended": false, "archived": false,
        "lastLoginTime": "2026-11-20T08:15:30.000Z", "creationTime": "2021-03-01T09:00:00.000Z",
        "emails": [{ "address": format!("person.{number}@example.com"), "primary": true }],
        "organizations": [{ "title": "Engineer", "primary": true, "department": format!("Team {}", number % 97), "costCenter": "4711" }],
        "phones": [{ "value": format!("+49 30 {number:07}"), "type": "work" }],
        "addresses": [{ "type": "work", "countryCode": "DE", "locality": "Berlin", "region": "Berlin" }],
        "relations": [{ "type": "manager", "value": format!("person.{}@example.com", number / 8) }],
        "externalIds": [{ "type": "organization", "value": format!("{number:06}") }],
        "languages": [{ "languageCode": "en", "preference": "preferred" }],
        "orgUnitPath": format!("/Team {}", number % 97),
        "customerId": "C01234567",
        "isMailboxSetup": true, "includeInGlobalAddressList": true, "ipWhitelisted": false,
        "agreedToTerms": true, "changePasswordAtNextLogin": false, "isEnrolledIn2Sv": true, "isEnforcedIn2Sv": true,
    })
}
