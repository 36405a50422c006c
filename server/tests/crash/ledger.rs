//! What the app was sent, held against the log: every write that happened is told once.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::app::Answered;
use crate::program::Program;

/// The provisioning events that ended well, account by account.
#[derive(Debug, Default)]
pub struct Told {
    pub by_kind: BTreeMap<&'static str, BTreeMap<String, usize>>,
    /// Who has which account, by the log alone.
    pub owners: BTreeMap<String, String>,
}

const KINDS: [(&str, &str); 6] = [
    ("create", "Create User By Auto Provisioning"),
    ("link", "Link Auto Provisioned User"),
    ("update", "Update Auto Provisioned User"),
    ("suspend", "Suspend Auto Provisioned User"),
    ("unsuspend", "Unsuspend Auto Provisioned User"),
    ("delete", "Delete Auto Provisioned User"),
];

impl Told {
    pub async fn read(program: &Program) -> Self {
        let mut told = Self::default();
        for (kind, event) in KINDS {
            let accounts = told.by_kind.entry(kind).or_default();
            for event in program.events(event).await {
                if event["outcome"] != "ok" {
                    continue;
                }
                let (account, person) = (text(&event["account"]), text(&event["person"]["id"]));
                *accounts.entry(account.clone()).or_default() += 1;
                // Ids are never used again, so the order of the kinds is order enough.
                match kind {
                    "create" | "link" => drop(told.owners.insert(account, person)),
                    "delete" => drop(told.owners.remove(&account)),
                    _ => {}
                }
            }
        }
        told
    }

    fn of(&self, kind: &str) -> &BTreeMap<String, usize> {
        &self.by_kind[kind]
    }

    /// Fails unless the writes that the app carried out are those of the log, each once.
    pub fn compare(&self, answered: &[Answered]) {
        let happened = |method: &str| {
            let method = method.to_owned();
            answered
                .iter()
                .filter(move |one| one.method == method && one.status < 300)
        };
        let twice: Vec<_> = answered
            .iter()
            .filter(|one| one.method == "POST" && one.status == 409)
            .collect();
        assert!(twice.is_empty(), "created again: {twice:?}");
        let created = self.of("create");
        assert!(created.values().all(|times| *times == 1), "{created:?}");
        assert_eq!(
            created.len(),
            happened("POST").count(),
            "creates told and done"
        );

        let mut deleted = BTreeMap::new();
        for one in happened("DELETE") {
            *deleted.entry(one.account().to_owned()).or_default() += 1;
        }
        assert_eq!(self.of("delete"), &deleted, "deletions told and done");

        let mut active: BTreeMap<&str, bool> = BTreeMap::new();
        let mut done: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
        for one in answered.iter().filter(|one| one.status < 300) {
            if !["PATCH", "PUT"].contains(&one.method.as_str()) {
                continue;
            }
            let is = active.entry(one.account()).or_insert(true);
            let kind = match one.active() {
                Some(true) if !*is => "unsuspend",
                Some(false) if *is => "suspend",
                Some(false) => panic!("suspended again: {one:?}"),
                _ => "update",
            };
            *is = one.active().unwrap_or(*is);
            *done
                .entry(kind)
                .or_default()
                .entry(one.account().to_owned())
                .or_default() += 1;
        }
        for kind in ["suspend", "unsuspend", "update"] {
            let done = done.remove(kind).unwrap_or_default();
            let told = self.of(kind);
            let differ: Vec<_> = told
                .keys()
                .chain(done.keys())
                .filter(|account| told.get(*account) != done.get(*account))
                .map(|account| (account, told.get(account), done.get(account)))
                .collect();
            assert!(
                differ.is_empty(),
                "{kind}: account, told, done: {differ:?}\n{:#?}",
                answered
                    .iter()
                    .filter(|one| differ.iter().any(|(account, ..)| one.account() == *account))
                    .collect::<Vec<_>>()
            );
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
