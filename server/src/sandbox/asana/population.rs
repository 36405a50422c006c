//! The accounts that the app has before anybody provisions anything.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::accounts::Accounts;
use super::quirks::Quirks;
use super::schema::ENTERPRISE;
use crate::sandbox::directory::{Directory, Person};
use crate::sandbox::seed::Seeded;

const STRANGERS: &[(&str, &str, &str)] = &[
    ("asana.bot", "Asana Bot", "Automation"),
    ("reception.leeds", "Reception Leeds", ""),
    ("meeting.display", "Meeting room display", "Device"),
    ("piotr.former", "Piotr Dawniej", "Buyer"),
    ("trainee.account", "Trainee account", "Training"),
    ("board.observer", "Board observer", "Adviser"),
];

/// Accounts for `count` people, some of them out of date, and `strangers` that
/// belong to nobody in the directory.
pub fn populate(
    directory: &Directory,
    count: usize,
    strangers: usize,
    now: DateTime<Utc>,
) -> Accounts {
    let mut chance = Seeded::new(directory.seed, "accounts");
    let mut accounts = Accounts::starting_at(1_204_000_000_000_001 + chance.bits() % 900_000_000);
    let domain = directory.primary_domain();
    let people: Vec<&Person> = directory
        .living()
        .filter(|person| {
            person.suspended_at.is_none()
                && person.archived_at.is_none()
                && person.guest_of.is_none()
                && person.primary_email.ends_with(&format!("@{domain}"))
        })
        .collect();
    let step = (people.len() / count.max(1)).max(1);
    let mut documents: Vec<Map<String, Value>> = people
        .into_iter()
        .step_by(step)
        .take(count)
        .enumerate()
        .map(|(index, person)| known(index, person))
        .collect();
    for index in 0..strangers {
        let (local, name, title) = STRANGERS
            .get(index % STRANGERS.len())
            .copied()
            .unwrap_or(("stranger", "Stranger", ""));
        let number = match index / STRANGERS.len() {
            0 => String::new(),
            round => round.to_string(),
        };
        documents.push(document(
            &format!("{local}{number}@{domain}"),
            name,
            Some(title).filter(|title| !title.is_empty()),
            index != 3,
        ));
    }
    for document in documents {
        let age = TimeDelta::days(200 + chance.below(900) as i64);
        let created = accounts.create(
            document,
            &Quirks::default(),
            |address| directory.owns(address),
            now - age,
        );
        debug_assert!(created.is_ok(), "a made-up account is valid");
    }
    accounts
}

fn document(user_name: &str, name: &str, title: Option<&str>, active: bool) -> Map<String, Value> {
    let mut document = Map::new();
    document.insert("userName".to_owned(), user_name.into());
    document.insert("name".to_owned(), json!({ "formatted": name }));
    document.insert(
        "emails".to_owned(),
        json!([{ "value": user_name, "primary": true, "type": "work" }]),
    );
    document.insert("active".to_owned(), active.into());
    if let Some(title) = title {
        document.insert("title".to_owned(), title.into());
    }
    document
}

/// What somebody typed in when the account was made by hand.
fn known(index: usize, person: &Person) -> Map<String, Value> {
    let email = &person.primary_email;
    let user_name = if index % 10 == 4 {
        email
            .split('.')
            .map(|word| {
                let mut letters = word.chars();
                match letters.next() {
                    Some(first) => first.to_uppercase().chain(letters).collect(),
                    None => String::new(),
                }
            })
            .collect::<Vec<String>>()
            .join(".")
            .replace(".Example", ".example")
    } else {
        email.clone()
    };
    let name = match index % 4 {
        1 => person.given_name.clone(),
        3 => format!("{}, {}", person.family_name, person.given_name),
        _ => person.full_name(),
    };
    let title = match index % 3 {
        0 => None,
        1 => Some("Team member".to_owned()),
        _ => person.title(),
    };
    let mut document = document(&user_name, &name, title.as_deref(), index % 14 != 13);
    if index % 5 == 2 {
        document.insert(ENTERPRISE.to_owned(), json!({ "department": "General" }));
    }
    document
}
