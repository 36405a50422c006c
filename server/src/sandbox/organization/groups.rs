//! The groups: teams in teams, offices, a ring, strangers, and a group for
//! everybody.

use std::collections::HashSet;

use super::names::CULTURES;
use super::{Born, UNITS};
use crate::sandbox::directory::{
    Directory, Group, GroupId, Member, Membership, OutsiderType, PersonId, Role,
};
use crate::sandbox::seed::Seeded;

/// Who is in a group.
enum Of {
    /// The people of exactly this org unit.
    Unit(&'static str),
    /// Every n-th person of an org unit, starting with the m-th.
    Part(&'static str, usize, usize),
    /// Every n-th person, starting with the m-th.
    Every(usize, usize),
    /// The people of a country.
    Country(&'static str),
    /// Everybody whom somebody reports to.
    Leads,
    Guests,
    /// People who are deleted and were never taken out.
    Gone,
    Customer,
    Group(&'static str),
    Outside(&'static str, OutsiderType),
}

use Of::{Country, Customer, Every, Gone, Guests, Leads, Outside, Part, Unit};

type Row = (&'static str, &'static str, &'static str, &'static [Of]);

const GROUPS: &[Row] = &[
    (
        "everyone",
        "Everyone at Northmoor",
        "Every account of the organization",
        &[Customer],
    ),
    (
        "eng",
        "Engineering",
        "All of Engineering",
        &[
            Unit("/Engineering"),
            Of::Group("platform"),
            Of::Group("metrology"),
            Of::Group("oncall"),
        ],
    ),
    (
        "platform",
        "Platform",
        "",
        &[Unit("/Engineering/Platform"), Of::Group("reliability")],
    ),
    (
        "reliability",
        "Reliability",
        "",
        &[Unit("/Engineering/Platform/Reliability")],
    ),
    (
        "metrology",
        "Metrology and calibration",
        "",
        &[Unit("/Engineering/Metrology and calibration")],
    ),
    (
        "oncall",
        "On call",
        "Rota of this quarter",
        &[
            Part("/Engineering/Platform", 4, 1),
            Part("/Engineering/Platform/Reliability", 2, 0),
        ],
    ),
    (
        "design",
        "Design",
        "",
        &[Unit("/Product/Design"), Of::Group("industrial-design")],
    ),
    (
        "industrial-design",
        "Industrial design, Αθήνα",
        "",
        &[Country("GR")],
    ),
    (
        "design-guild",
        "Product design guild",
        "Anyone who cares",
        &[Of::Group("design"), Every(11, 3)],
    ),
    (
        "design-suppliers",
        "Design suppliers",
        "Only people from outside",
        &[
            Outside("hello@studio-fjord.example", OutsiderType::External),
            Outside("models@maquette.example", OutsiderType::User),
        ],
    ),
    (
        "product",
        "Product",
        "",
        &[Unit("/Product"), Of::Group("design"), Of::Group("research")],
    ),
    (
        "research",
        "研究 Research",
        "",
        &[Unit("/Product/研究 Research")],
    ),
    (
        "success",
        "Customer success",
        "",
        &[Unit("/Customer success"), Of::Group("success-leads")],
    ),
    (
        "success-leads",
        "Customer success leads",
        "",
        &[
            Part("/Customer success", 12, 0),
            Part("/Customer success", 12, 1),
        ],
    ),
    (
        "operations",
        "Operations",
        "",
        &[Unit("/Operations"), Of::Group("manufacturing")],
    ),
    (
        "manufacturing",
        "Manufacturing",
        "",
        &[Unit("/Operations/Manufacturing")],
    ),
    ("finance", "Finance", "", &[Unit("/Finance and people")]),
    (
        "people-team",
        "People team",
        "",
        &[Part("/Finance and people", 3, 2)],
    ),
    ("it", "IT", "", &[Unit("/IT")]),
    ("it-admins", "IT administrators", "", &[Part("/IT", 2, 0)]),
    (
        "labs",
        "Labs",
        "People of the second domain",
        &[Unit("/Labs")],
    ),
    (
        "contractors",
        "Contractors",
        "",
        &[Unit("/Contractors"), Of::Group("contractors-long-term")],
    ),
    (
        "contractors-long-term",
        "Long-term contractors",
        "",
        &[Unit("/Contractors/Long-term contractors")],
    ),
    (
        "guests-with-asana",
        "Guests with Asana",
        "Asana although the org unit says no",
        &[Guests, Part("/Contractors", 9, 2)],
    ),
    (
        "asana-users",
        "Asana users",
        "Everybody who plans in Asana",
        &[
            Of::Group("eng"),
            Of::Group("product"),
            Of::Group("success"),
            Of::Group("operations"),
            Of::Group("finance"),
            Of::Group("it"),
            Of::Group("labs"),
        ],
    ),
    (
        "project-aurora",
        "Project Aurora",
        "Part of a ring of three groups",
        &[Every(17, 5), Of::Group("project-borealis")],
    ),
    (
        "project-borealis",
        "Project Borealis",
        "Part of a ring of three groups",
        &[Every(19, 7), Of::Group("project-cassini")],
    ),
    (
        "project-cassini",
        "Project Cassini",
        "Part of a ring of three groups",
        &[Every(23, 2), Of::Group("project-aurora")],
    ),
    ("leeds", "Leeds office", "", &[Country("GB")]),
    ("goerlitz", "Görlitz office", "", &[Country("DE")]),
    ("wroclaw", "Wrocław office", "", &[Country("PL")]),
    ("pune", "Pune office", "", &[Country("IN")]),
    ("matsumoto", "松本オフィス", "", &[Country("JP")]),
    (
        "haifa-sharjah",
        "חיפה والشارقة",
        "Two offices, two directions of writing the same",
        &[Country("IL"), Country("AE")],
    ),
    ("managers", "Managers", "", &[Leads]),
    ("interim-team", "Interim team", "", &[Every(31, 9)]),
    (
        "works-council",
        "Works council & deputies <elected>",
        "",
        &[Part("/Operations", 5, 0), Part("/Engineering", 10, 4)],
    ),
    (
        "alumni",
        "Alumni",
        "Nobody tidies up here",
        &[
            Gone,
            Outside("old.friend@elsewhere.example", OutsiderType::External),
        ],
    ),
    ("nobody-yet", "Nobody yet", "", &[]),
    (
        "partners",
        "Partners",
        "",
        &[
            Outside("anna@partner.example", OutsiderType::User),
            Outside("bo@partner.example", OutsiderType::External),
            Of::Group("success-leads"),
        ],
    ),
    (
        "all-hands",
        "All hands broadcast",
        "",
        &[Customer, Of::Group("everyone")],
    ),
];

fn group_id(seed: u64, local: &str) -> GroupId {
    GroupId(format!(
        "01{}",
        Seeded::new(seed, &format!("group {local}")).letters(13)
    ))
}

/// Adds the groups with a name and as many teams as are wanted beyond them.
pub(super) fn add(directory: &mut Directory, born: &[Born], count: usize) {
    let domain = directory.primary_domain().to_owned();
    for (local, name, description, of) in GROUPS {
        let mut members: Vec<Membership> = Vec::new();
        let mut seen = HashSet::new();
        for of in *of {
            for member in members_of(directory, born, of) {
                if seen.insert(member.clone()) {
                    let role = if members.is_empty() && matches!(member, Member::Person(_)) {
                        Role::Owner
                    } else {
                        Role::Member
                    };
                    members.push(Membership { member, role });
                }
            }
        }
        insert(directory, local, name, description, &domain, members);
    }
    add_teams(directory, born, count, &domain);
}

fn insert(
    directory: &mut Directory,
    local: &str,
    name: &str,
    description: &str,
    domain: &str,
    members: Vec<Membership>,
) {
    directory.insert_group(Group {
        id: group_id(directory.seed, local),
        email: format!("{local}@{domain}"),
        name: name.to_owned(),
        description: description.to_owned(),
        aliases: Vec::new(),
        members,
        revision: 1,
    });
}

fn members_of(directory: &Directory, born: &[Born], of: &Of) -> Vec<Member> {
    let living = || born.iter().filter(|person| !person.deleted);
    let ids = |people: Vec<&Born>| -> Vec<Member> {
        people
            .into_iter()
            .map(|person| Member::Person(person.id.clone()))
            .collect()
    };
    let in_unit = |path: &str| -> Vec<&Born> {
        living()
            .filter(|person| UNITS.get(person.unit).is_some_and(|unit| unit.path == path))
            .collect()
    };
    match of {
        Unit(path) => ids(in_unit(path)),
        Part(path, step, from) => ids(in_unit(path)
            .into_iter()
            .skip(*from)
            .step_by(*step)
            .collect()),
        Every(step, from) => ids(living().skip(*from).step_by(*step).collect()),
        Country(code) => ids(living()
            .filter(|person| {
                CULTURES
                    .get(person.culture)
                    .is_some_and(|culture| culture.country_code == *code)
            })
            .collect()),
        Leads => ids(living().filter(|person| person.leads).collect()),
        Guests => ids(living().filter(|person| person.guest).collect()),
        Gone => born
            .iter()
            .filter(|person| person.deleted)
            .take(1)
            .filter_map(|person| stale(directory, &person.id))
            .collect(),
        Customer => vec![Member::Customer],
        Of::Group(local) => vec![Member::Group(group_id(directory.seed, local))],
        Outside(address, r#type) => vec![Member::Outsider {
            id: Seeded::new(directory.seed, address).digits(21),
            email: (*address).to_owned(),
            r#type: *r#type,
        }],
    }
}

fn stale(directory: &Directory, id: &PersonId) -> Option<Member> {
    let person = directory.people.get(id)?;
    Some(Member::Outsider {
        id: person.id.0.clone(),
        email: person.primary_email.clone(),
        r#type: OutsiderType::User,
    })
}

/// Teams of about fifty; every seventh holds the one before it.
fn add_teams(directory: &mut Directory, born: &[Born], count: usize, domain: &str) {
    let mut chance = Seeded::new(directory.seed, "teams");
    for number in GROUPS.len() + 1..=count {
        let mut members: Vec<Membership> = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..20 + chance.below(60) {
            let Some(person) = chance.pick(born).filter(|person| !person.deleted) else {
                continue;
            };
            if seen.insert(&person.id) {
                members.push(Membership {
                    member: Member::Person(person.id.clone()),
                    role: Role::Member,
                });
            }
        }
        if number % 7 == 0 && number > GROUPS.len() + 1 {
            members.push(Membership {
                member: Member::Group(group_id(directory.seed, &format!("team-{:04}", number - 1))),
                role: Role::Member,
            });
        }
        insert(
            directory,
            &format!("team-{number:04}"),
            &format!("Team {number}"),
            "",
            domain,
            members,
        );
    }
}
