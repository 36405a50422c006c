//! Makes up Northmoor Instruments: the same organization from the same seed,
//! in any size.

mod groups;
mod known;
mod names;
mod people;

use chrono::{DateTime, TimeDelta, Utc};

use super::directory::{Directory, Domain, OrgUnit, OrgUnitId};
use super::seed::Seeded;

/// The name of the organization.
pub const NAME: &str = "Northmoor Instruments";
/// Its primary domain.
pub const PRIMARY_DOMAIN: &str = "northmoor.example";
/// The domain of the people in Labs.
pub const SECONDARY_DOMAIN: &str = "northmoor-labs.example";
/// The super administrator whom Rollcall impersonates.
pub const ADMINISTRATOR: &str = "ines.albrecht@northmoor.example";

/// An org unit and who works in it.
struct Unit {
    path: &'static str,
    description: &'static str,
    /// Its people out of 250.
    share: usize,
    department: &'static str,
    division: &'static str,
    titles: &'static [&'static str],
}

const UNITS: &[Unit] = &[
    Unit {
        path: "/",
        description: "",
        share: 1,
        department: "Executive",
        division: "Group",
        titles: &["Chief of staff", "Executive assistant"],
    },
    Unit {
        path: "/Engineering",
        description: "Everything that measures",
        share: 30,
        department: "Engineering",
        division: "Instruments",
        titles: &[
            "Software engineer",
            "Senior engineer",
            "Firmware engineer",
            "Electronics engineer",
            "Test engineer",
        ],
    },
    Unit {
        path: "/Engineering/Metrology and calibration",
        description: "Traceable to the national standards",
        share: 25,
        department: "Metrology",
        division: "Instruments",
        titles: &[
            "Metrologist",
            "Calibration engineer",
            "Calibration technician",
        ],
    },
    Unit {
        path: "/Engineering/Platform",
        description: "Shared software",
        share: 30,
        department: "Platform",
        division: "Software",
        titles: &[
            "Software engineer",
            "Data engineer",
            "Staff engineer",
            "Security engineer",
        ],
    },
    Unit {
        path: "/Engineering/Platform/Reliability",
        description: "Keeps it running",
        share: 8,
        department: "Platform",
        division: "Software",
        titles: &["Site reliability engineer", "Systems engineer"],
    },
    Unit {
        path: "/Product",
        description: "",
        share: 5,
        department: "Product",
        division: "Software",
        titles: &["Product manager", "Technical writer"],
    },
    Unit {
        path: "/Product/Design",
        description: "",
        share: 20,
        department: "Design",
        division: "Software",
        titles: &[
            "Industrial designer",
            "Interaction designer",
            "Design researcher",
        ],
    },
    Unit {
        path: "/Product/研究 Research",
        description: "松本市",
        share: 16,
        department: "Research",
        division: "Instruments",
        titles: &["Research scientist", "Optics researcher"],
    },
    Unit {
        path: "/Customer success",
        description: "",
        share: 34,
        department: "Customer success",
        division: "Commercial",
        titles: &[
            "Account manager",
            "Onboarding specialist",
            "Support engineer",
            "Renewals manager",
        ],
    },
    Unit {
        path: "/Operations",
        description: "",
        share: 10,
        department: "Operations",
        division: "Instruments",
        titles: &["Supply planner", "Logistics coordinator", "Buyer"],
    },
    Unit {
        path: "/Operations/Manufacturing",
        description: "Görlitz and Suzhou",
        share: 6,
        department: "Manufacturing",
        division: "Instruments",
        titles: &["Process engineer", "Assembly lead"],
    },
    Unit {
        path: "/Finance and people",
        description: "",
        share: 15,
        department: "Finance",
        division: "Group",
        titles: &["Accountant", "Controller", "Recruiter", "People partner"],
    },
    Unit {
        path: "/IT",
        description: "",
        share: 6,
        department: "IT",
        division: "Group",
        titles: &["Systems administrator", "Service desk analyst"],
    },
    Unit {
        path: "/Labs",
        description: "Uses northmoor-labs.example",
        share: 14,
        department: "Labs",
        division: "Labs",
        titles: &["Research engineer", "Applied scientist"],
    },
    Unit {
        path: "/Contractors",
        description: "Paid by somebody else",
        share: 16,
        department: "Engineering",
        division: "Instruments",
        titles: &["Contractor", "Consultant"],
    },
    Unit {
        path: "/Contractors/Long-term contractors",
        description: "Longer than a year",
        share: 6,
        department: "Platform",
        division: "Software",
        titles: &["Contract engineer"],
    },
    Unit {
        path: "/Archive",
        description: "People who left and whose data is kept",
        share: 8,
        department: "Archive",
        division: "Group",
        titles: &["Software engineer", "Buyer", "Account manager"],
    },
];

/// How large an organization to make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// People that are not deleted; a few deleted ones come on top.
    pub people: usize,
    /// Groups; never fewer than the forty-one with a name.
    pub groups: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            people: 250,
            groups: 41,
        }
    }
}

/// Somebody with what the groups are made by.
struct Born {
    id: super::directory::PersonId,
    unit: usize,
    culture: usize,
    leads: bool,
    guest: bool,
    deleted: bool,
}

/// Makes up the directory.
pub fn generate(seed: u64, size: Size, now: DateTime<Utc>) -> Directory {
    let founded = now - TimeDelta::days(3_650);
    let customer = format!("C0{}", Seeded::new(seed, "customer").letters(7));
    let domain = |name: &str, primary| Domain {
        name: name.to_owned(),
        primary,
        created_at: founded,
    };
    let mut directory = Directory::empty(
        seed,
        NAME,
        &customer,
        vec![
            domain(PRIMARY_DOMAIN, true),
            domain(SECONDARY_DOMAIN, false),
        ],
    );
    let units = add_units(&mut directory);
    let born = people::add(&mut directory, &units, size.people.max(1), now);
    groups::add(&mut directory, &born, size.groups);
    directory.serial = 0;
    directory
}

/// Adds the org units; their ids in the order of [`UNITS`].
fn add_units(directory: &mut Directory) -> Vec<OrgUnitId> {
    let mut ids: Vec<OrgUnitId> = Vec::with_capacity(UNITS.len());
    for unit in UNITS {
        let mut chance = Seeded::new(directory.seed, unit.path);
        let id = OrgUnitId(format!("id:03ph8a2z{}", chance.letters(7)));
        let (parent, name) = match unit.path.rsplit_once('/') {
            _ if unit.path == "/" => (None, NAME),
            Some(("", name)) => (ids.first().cloned(), name),
            Some((parent, name)) => {
                let index = UNITS.iter().position(|unit| unit.path == parent);
                (index.and_then(|index| ids.get(index).cloned()), name)
            }
            None => (ids.first().cloned(), unit.path),
        };
        directory.org_units.insert(
            id.clone(),
            OrgUnit {
                id: id.clone(),
                name: name.to_owned(),
                description: unit.description.to_owned(),
                parent,
            },
        );
        ids.push(id);
    }
    ids
}
