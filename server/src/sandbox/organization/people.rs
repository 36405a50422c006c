//! The people: who they are, where they work, to whom they report, and what
//! nobody ever filled in.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json, value::to_raw_value};

use super::known::{KNOWN, Known};
use super::names::{CULTURES, Culture};
use super::{Born, PRIMARY_DOMAIN, SECONDARY_DOMAIN, UNITS, Unit};
use crate::sandbox::directory::{Directory, Free, OrgUnitId, Person, PersonId};
use crate::sandbox::seed::Seeded;

/// One lead for this many people.
const TEAM: usize = 12;

/// Adds `count` people and a few deleted ones.
pub(super) fn add(
    directory: &mut Directory,
    units: &[OrgUnitId],
    count: usize,
    now: DateTime<Utc>,
) -> Vec<Born> {
    let mut maker = Maker {
        chance: Seeded::new(directory.seed, "people"),
        locals: HashMap::new(),
        now,
        number: 0,
    };
    let mut born = Vec::with_capacity(count);
    for ((index, unit), seats) in UNITS.iter().enumerate().zip(allot(count)) {
        let Some(id) = units.get(index) else { continue };
        let mut known = KNOWN.iter().filter(|known| known.unit == unit.path);
        for seat in 0..seats {
            let known = known.next();
            let (mut person, culture) = maker.person(unit, id, known);
            let guest = unit.path == "/Contractors" && seat % 5 == 4;
            let leads = seat == 0 || (seats > TEAM && seat % TEAM == 1);
            if guest {
                person.guest_of = Some(format!(
                    "{}@studio-fjord.example",
                    person.primary_email.split('@').next().unwrap_or("guest")
                ));
            }
            if unit.path == "/Archive" {
                let since = now - TimeDelta::days(40 + maker.chance.below(600) as i64);
                if seat % 8 < 5 {
                    person.archived_at = Some(since);
                } else {
                    person.suspended_at = Some(since);
                }
            } else if known.is_none() && !leads && !guest && maker.number % 40 == 14 {
                person.suspended_at =
                    Some(now - TimeDelta::hours(30 + maker.chance.below(900) as i64));
            }
            born.push(Born {
                id: person.id.clone(),
                unit: index,
                culture,
                leads,
                guest,
                deleted: false,
            });
            directory.insert_person(person);
        }
    }
    set_managers(directory, &born, &mut maker.chance);
    add_deleted(directory, units, count, &mut maker, &mut born);
    add_odd_shapes(directory, &born);
    born
}

/// People who are in the list of the deleted; the last falls out of it soon.
fn add_deleted(
    directory: &mut Directory,
    units: &[OrgUnitId],
    count: usize,
    maker: &mut Maker,
    born: &mut Vec<Born>,
) {
    let index = UNITS
        .iter()
        .position(|unit| unit.path == "/Customer success");
    let (Some(unit), Some(id)) = (
        index.and_then(|i| UNITS.get(i)),
        index.and_then(|i| units.get(i)),
    ) else {
        return;
    };
    for number in 0..(count / 125).clamp(2, 500) {
        let (mut person, culture) = maker.person(unit, id, None);
        let days = 3 + (number * 9) % 17;
        person.deleted_at = Some(maker.now - TimeDelta::days(days as i64));
        born.push(Born {
            id: person.id.clone(),
            unit: index.unwrap_or(0),
            culture,
            leads: false,
            guest: false,
            deleted: true,
        });
        directory.insert_person(person);
    }
}

/// Seats per unit by largest remainder; IT always has one, for the administrator.
fn allot(count: usize) -> Vec<usize> {
    let total: usize = UNITS.iter().map(|unit| unit.share).sum();
    let mut seats: Vec<usize> = UNITS
        .iter()
        .map(|unit| unit.share * count / total)
        .collect();
    let mut order: Vec<usize> = (0..UNITS.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(UNITS.get(*i).map_or(0, |u| u.share * count % total)));
    let missing = count - seats.iter().sum::<usize>();
    for index in order.into_iter().cycle().take(missing) {
        if let Some(seat) = seats.get_mut(index) {
            *seat += 1;
        }
    }
    let it = UNITS.iter().position(|unit| unit.path == "/IT");
    if let Some(it) = it.filter(|it| seats.get(*it) == Some(&0))
        && let Some(largest) = (0..seats.len()).max_by_key(|i| seats.get(*i).copied())
    {
        if let Some(seat) = seats.get_mut(largest) {
            *seat -= 1;
        }
        if let Some(seat) = seats.get_mut(it) {
            *seat += 1;
        }
    }
    seats
}

struct Maker {
    chance: Seeded,
    locals: HashMap<String, usize>,
    now: DateTime<Utc>,
    number: usize,
}

impl Maker {
    fn culture(&mut self) -> usize {
        let total: usize = CULTURES.iter().map(|culture| culture.weight).sum();
        let mut ticket = self.chance.below(total);
        for (index, culture) in CULTURES.iter().enumerate() {
            if ticket < culture.weight {
                return index;
            }
            ticket -= culture.weight;
        }
        0
    }

    fn local(&mut self, wanted: &str) -> String {
        let used = self.locals.entry(wanted.to_owned()).or_insert(0);
        *used += 1;
        if *used == 1 {
            wanted.to_owned()
        } else {
            format!("{wanted}{used}")
        }
    }

    fn person(
        &mut self,
        unit: &Unit,
        org_unit: &OrgUnitId,
        known: Option<&Known>,
    ) -> (Person, usize) {
        self.number += 1;
        let index = self.culture();
        // The list is a constant that is never empty, and `culture` stays inside it.
        let culture = CULTURES.get(index).unwrap_or(&CULTURES[0]);
        let (given, given_plain) = self.chance.pick(culture.given).copied().unwrap_or_default();
        let (family, family_plain) = self
            .chance
            .pick(culture.family)
            .copied()
            .unwrap_or_default();
        let (given, family, wanted) = match known {
            Some(known) => (known.given, known.family, known.local.to_owned()),
            None => (given, family, format!("{given_plain}.{family_plain}")),
        };
        let local = self.local(&wanted);
        let domain = if unit.path == "/Labs" {
            SECONDARY_DOMAIN
        } else {
            PRIMARY_DOMAIN
        };
        let title = match known {
            Some(known) => known.title,
            None => self
                .chance
                .pick(unit.titles)
                .copied()
                .unwrap_or("Specialist"),
        };
        let created_at =
            self.now - TimeDelta::minutes(30_000 + self.chance.below(2_500_000) as i64);
        let last_login_at = (!self.chance.percent(4))
            .then(|| self.now - TimeDelta::minutes(self.chance.below(20_000) as i64));
        let aliases = if self.chance.percent(8) {
            vec![format!("{local}.alias@{domain}")]
        } else {
            Vec::new()
        };
        let is_administrator = known.is_some_and(|known| known.local == "ines.albrecht");
        let person = Person {
            id: PersonId(self.chance.digits(21)),
            primary_email: format!("{local}@{domain}"),
            given_name: given.to_owned(),
            family_name: family.to_owned(),
            display_name: None,
            aliases,
            org_unit: org_unit.clone(),
            is_admin: is_administrator,
            is_delegated_admin: unit.path == "/IT"
                && !is_administrator
                && self.number.is_multiple_of(2),
            guest_of: None,
            suspended_at: None,
            archived_at: None,
            deleted_at: None,
            created_at,
            last_login_at,
            organizations: self.organizations(unit, culture, title, known.is_some()),
            phones: self.phones(culture),
            addresses: self.addresses(culture),
            relations: None,
            external_ids: self.external_ids(),
            languages: self.languages(culture),
            custom_schemas: self.custom_schemas(unit),
            revision: 1,
        };
        (person, index)
    }

    fn organizations(&mut self, unit: &Unit, culture: &Culture, title: &str, whole: bool) -> Free {
        if !whole && self.chance.percent(5) {
            return None;
        }
        let mut main = json!({
            "name": super::NAME,
            "title": title,
            "primary": true,
            "customType": "",
            "department": unit.department,
            "location": culture.locality,
            "costCenter": format!("NM-{}", 400 + unit.department.len() * 7 + self.chance.below(3)),
            "description": "employee",
        });
        if let Some(main) = main.as_object_mut() {
            let hole = if whole { 99 } else { self.chance.below(20) };
            match hole {
                0 => drop(main.remove("title")),
                1 => drop(main.remove("department")),
                2 | 3 => drop(main.remove("costCenter")),
                4 => drop(main.remove("primary")),
                _ => {}
            }
        }
        let entries = if self.chance.percent(4) {
            json!([{ "name": "Studio Fjord", "title": "Former designer", "customType": "", "primary": false }, main])
        } else {
            json!([main])
        };
        to_raw_value(&entries).ok()
    }

    fn phones(&mut self, culture: &Culture) -> Free {
        if self.chance.percent(10) {
            return None;
        }
        let mut entries = vec![json!({
            "value": format!("{} {}", culture.dial, self.chance.digits(6)),
            "type": "work",
        })];
        if self.chance.percent(30) {
            entries.push(json!({
                "value": format!("{} {}", culture.dial, self.chance.digits(7)),
                "type": "mobile",
            }));
        }
        if self.chance.percent(10) {
            entries.reverse();
        }
        to_raw_value(&entries).ok()
    }

    fn addresses(&mut self, culture: &Culture) -> Free {
        if self.chance.percent(15) {
            return None;
        }
        let entry = if self.chance.percent(10) {
            json!({ "type": "work", "formatted": format!("{}, {}", culture.locality, culture.country) })
        } else {
            json!({
                "type": "work",
                "locality": culture.locality,
                "country": culture.country,
                "countryCode": culture.country_code,
                "postalCode": self.chance.digits(5),
                "streetAddress": format!("{} {}", culture.locality, 1 + self.chance.below(90)),
            })
        };
        to_raw_value(&[entry]).ok()
    }

    fn external_ids(&mut self) -> Free {
        if self.chance.percent(12) {
            return None;
        }
        let number = format!("N{:05}", self.number);
        to_raw_value(&[json!({ "value": number, "type": "organization" })]).ok()
    }

    fn languages(&mut self, culture: &Culture) -> Free {
        if self.chance.percent(20) {
            return None;
        }
        let mut entries =
            vec![json!({ "languageCode": culture.language, "preference": "preferred" })];
        if self.chance.percent(20) {
            entries.push(json!({ "languageCode": "en", "preference": "not_preferred" }));
        }
        to_raw_value(&entries).ok()
    }

    fn custom_schemas(&mut self, unit: &Unit) -> Free {
        if self.chance.percent(30) {
            return None;
        }
        let mut schemas = json!({
            "Employment": {
                "division": unit.division,
                "startDate": (self.now - TimeDelta::days(100 + self.chance.below(3_000) as i64))
                    .format("%Y-%m-%d")
                    .to_string(),
                "fullTime": !self.chance.percent(20),
            }
        });
        if self.chance.percent(40)
            && let Some(schemas) = schemas.as_object_mut()
        {
            schemas.insert(
                "Workplace".to_owned(),
                json!({ "desk": format!("{}-{}", self.chance.letters(1).to_uppercase(), self.chance.digits(2)) }),
            );
        }
        to_raw_value(&schemas).ok()
    }
}

/// Everybody reports to a lead, leads to the head of the unit, heads to the
/// head of the unit above. The heads of Platform and Reliability name each
/// other, some entries name nobody, some are only a name.
fn set_managers(directory: &mut Directory, born: &[Born], chance: &mut Seeded) {
    let mut heads: HashMap<&str, PersonId> = HashMap::new();
    for person in born {
        if let Some(unit) = UNITS.get(person.unit) {
            heads.entry(unit.path).or_insert_with(|| person.id.clone());
        }
    }
    let above = |path: &str| -> Option<PersonId> {
        let mut path = path;
        while let Some((parent, _)) = path.rsplit_once('/') {
            let parent_path = if parent.is_empty() { "/" } else { parent };
            if parent_path == path {
                return None;
            }
            if let Some(head) = heads.get(parent_path) {
                return Some(head.clone());
            }
            path = parent_path;
        }
        None
    };
    let mut lead: Option<PersonId> = None;
    for person in born {
        let Some(unit) = UNITS.get(person.unit) else {
            continue;
        };
        let head = heads.get(unit.path);
        let manager = if Some(&person.id) == head {
            lead = None;
            if unit.path == "/Engineering/Platform" {
                heads.get("/Engineering/Platform/Reliability").cloned()
            } else {
                above(unit.path)
            }
        } else if person.leads {
            lead = Some(person.id.clone());
            head.cloned()
        } else {
            lead.clone().or_else(|| head.cloned())
        };
        let Some(manager) = manager.and_then(|id| directory.people.get(&id)) else {
            continue;
        };
        let value = match chance.below(60) {
            0 => continue,
            1 => manager.full_name(),
            2 => format!("gone.person@{PRIMARY_DOMAIN}"),
            _ => manager.primary_email.clone(),
        };
        let mut relations = vec![json!({ "value": value, "type": "manager" })];
        if chance.percent(5) {
            relations.insert(
                0,
                json!({ "value": "facilities@northmoor.example", "type": "assistant" }),
            );
        }
        if let Some(person) = directory.people.get_mut(&person.id) {
            person.relations = to_raw_value(&relations).ok();
        }
    }
}

/// What a list should never be, and sometimes is.
fn add_odd_shapes(directory: &mut Directory, born: &[Born]) {
    let odd: [(usize, &str, Value); 3] = [
        (
            45,
            "phones",
            json!({ "value": "+44 113 496 0000", "type": "work" }),
        ),
        (
            77,
            "organizations",
            json!([{ "title": null, "primary": true }, "Engineering"]),
        ),
        (101, "addresses", json!([])),
    ];
    for (index, member, value) in odd {
        if let Some(person) = born.get(index) {
            drop(directory.set_free(person.id.as_str(), member, Some(&value)));
        }
    }
}
