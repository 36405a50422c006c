//! The killing, and the comparison with the directory.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use chrono::TimeDelta;
use server::sandbox::{
    ADMINISTRATOR, Call, Failure, Fault, NewPerson, PRIMARY_DOMAIN, Person, Rename, Sandbox,
};
use sqlx::PgPool;

use crate::app::{Account, App};
use crate::ledger::Told;
use crate::program::chance::Chance;
use crate::program::{self, Places, Program};

const SYNC: [&str; 4] = ["sync", "--app", "app", "--json"];
/// Nobody is held, so that whatever is due is carried out.
const POLICIES: &str = r#"
[app.deprovisioning]
app_turned_off = { suspend = "24h" }
suspended = { suspend = "24h" }
deleted = { delete = "24h" }

[app.safety]
hold_count = 100000
hold_percent = 100
hold_max = 100000
"#;
const FAMILIES: [&str; 5] = ["Quist", "Øster", "d'Arc", "Łukasz", "O'Hara"];
const TITLES: [Option<&str>; 4] = [Some("Buyer"), Some("Night shift"), Some("Größe"), None];

pub struct Proof {
    program: Program,
    sandbox: Sandbox,
    app: App,
    chance: Chance,
    /// Accounts that nobody in the directory had at the beginning.
    before: Vec<Account>,
    changes: u32,
    faults: u32,
    pub kills: u32,
    ended: u32,
}

impl Proof {
    /// A company whose app is on, with nobody provisioned yet.
    pub async fn begin<F>(
        pool: PgPool,
        people: usize,
        app: impl FnOnce(Sandbox, String) -> F,
    ) -> Self
    where
        F: Future<Output = App>,
    {
        let program = Program::new(pool);
        let (sandbox, base) = program::emulate(&program.clock, |options| {
            options.people = people;
            options.accounts = 12;
        })
        .await;
        let app = app(sandbox.clone(), base.clone()).await;
        program.write("sa.json", &sandbox.service_account_key_json(&base));
        program.write("token", &app.token());
        let file = program.file(&Places {
            directory: &base,
            app: &app.endpoint(),
            catalog: "asana",
        });
        let (file, _) = file.split_once("\n[app.deprovisioning]").unwrap();
        let said = program.apply(&format!("{file}{POLICIES}")).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        Self {
            before: app.accounts().await,
            program,
            sandbox,
            app,
            chance: Chance::from_environment("crash"),
            changes: 0,
            faults: 0,
            kills: 0,
            ended: 0,
        }
    }

    pub fn so_far(&self) -> String {
        format!(
            "{} kills, {} ended before theirs, {} changes, {} faults, {} writes: all is right",
            self.kills,
            self.ended,
            self.changes,
            self.faults,
            self.app
                .answered()
                .iter()
                .filter(|one| one.method != "GET")
                .count()
        )
    }

    /// Somebody comes, changes or goes, and something may fail.
    pub fn disturb(&mut self) {
        if self.chance.percent(70) {
            for _ in 0..self.chance.within(3..13) {
                self.change();
            }
        }
        if self.chance.percent(60) {
            self.fault();
        }
    }

    fn somebody(&mut self, which: impl Fn(&Person) -> bool) -> Option<Person> {
        let found: Vec<Person> = self.sandbox.directory(|directory| {
            directory
                .people
                .values()
                .filter(|person| {
                    person.primary_email != ADMINISTRATOR
                        && person.archived_at.is_none()
                        && person.guest_of.is_none()
                        && which(person)
                })
                .cloned()
                .collect()
        });
        (!found.is_empty()).then(|| self.chance.pick(&found).clone())
    }

    fn change(&mut self) {
        self.changes += 1;
        let number = self.changes;
        let kind = self.chance.within(0..100);
        let person = match kind {
            0..20 => None,
            75..85 => self.somebody(|one| one.suspended_at.is_some() && one.deleted_at.is_none()),
            95..100 => self.somebody(|one| one.deleted_at.is_some()),
            _ => self.somebody(|one| one.deleted_at.is_none() && one.suspended_at.is_none()),
        };
        let (family, title) = (*self.chance.pick(&FAMILIES), *self.chance.pick(&TITLES));
        let email = format!("changed.{number}@{PRIMARY_DOMAIN}");
        self.sandbox.change_directory(|directory, now| {
            let key = person.as_ref().map_or("", |person| person.id.as_str());
            let changed = match kind {
                0..20 => directory.add_person(
                    NewPerson {
                        given_name: format!("New {number}"),
                        family_name: family.to_owned(),
                        primary_email: Some(email),
                        title: title.map(str::to_owned),
                        ..NewPerson::default()
                    },
                    now,
                ),
                20..45 => directory.set_title(key, title),
                45..60 => directory.rename(
                    key,
                    Rename {
                        family_name: Some(family.to_owned()),
                        primary_email: Some(email),
                        ..Rename::default()
                    },
                ),
                60..75 => directory.suspend(key, now),
                75..85 => directory.restore(key),
                85..95 => directory.delete(key, now),
                _ => directory.undelete(key, now),
            };
            // Nobody may be left for a kind, and an old deletion can't be undone.
            drop(changed);
        });
    }

    fn fault(&mut self) {
        self.faults += 1;
        let writes = [Call::AccountCreate, Call::AccountPatch, Call::AccountDelete];
        let app = [
            Failure::DroppedBefore,
            Failure::DroppedAfter,
            Failure::Status { status: 500 },
            Failure::TooManyRequests {
                retry_after: Some(1),
            },
            Failure::Latency { milliseconds: 30 },
            Failure::Html { status: 502 },
        ];
        let directory = [
            Failure::DroppedBefore,
            Failure::DroppedAfter,
            Failure::UserRateLimitExceeded,
            Failure::EndsEarly,
            Failure::MissingCollection,
            Failure::Latency { milliseconds: 30 },
        ];
        let fault = if self.app.as_emulated().is_some() && self.chance.percent(75) {
            let call = if self.chance.percent(80) {
                *self.chance.pick(&writes)
            } else {
                *self.chance.pick(&[Call::AccountsList, Call::AccountGet])
            };
            Fault::once(call, self.chance.pick(&app).clone())
        } else {
            let calls = [
                Call::UsersList,
                Call::DeletedUsersList,
                Call::GroupsList,
                Call::UserGet,
                Call::OrgUnitsList,
            ];
            Fault::once(
                *self.chance.pick(&calls),
                self.chance.pick(&directory).clone(),
            )
        };
        // An app that refuses more often is sent less for half an hour; that is not what is proved.
        let often = !matches!(fault.failure, Failure::TooManyRequests { .. });
        let times = self.chance.within(1..if often { 4 } else { 2 }) as u32;
        let after = self.chance.within(0..6) as u32;
        self.sandbox.inject(fault.times(times).after(after));
    }

    fn requests(&self) -> u64 {
        let directory = |call: &Call| !call.is_scim();
        let asked = self.sandbox.counts();
        let asked: u64 = asked
            .iter()
            .filter(|(call, _)| directory(call))
            .map(|(_, count)| count)
            .sum();
        asked + self.app.requests()
    }

    async fn a_run_is_open(&self) -> bool {
        let open = "SELECT count(*) FROM runs WHERE state IN ('queued', 'running')";
        let open: i64 = sqlx::query_scalar(open)
            .fetch_one(&self.program.pool)
            .await
            .unwrap();
        open > 0
    }

    /// Starts the program and kills it after so many requests and a moment more.
    pub async fn run_and_kill(&mut self) {
        // A worker goes on with what was left behind; a sync would begin by itself.
        let works = self.chance.percent(30) && self.a_run_is_open().await;
        let far = if self.chance.percent(50) { 15 } else { 50 };
        let requests = self.requests() + self.chance.within(0..far);
        let moment = Duration::from_micros(self.chance.within(0..60_000));
        let mut process = self
            .program
            .command(if works { &["worker"] } else { &SYNC })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ended = false;
        while self.requests() < requests && !ended {
            tokio::time::sleep(Duration::from_millis(2)).await;
            ended = process.try_wait().unwrap().is_some() || works && !self.a_run_is_open().await;
        }
        // Not to wait for anything: the kill may meet the program between two requests as well.
        tokio::time::sleep(moment).await;
        process.start_kill().unwrap();
        let status = process.wait().await.unwrap();
        if status.code().is_none() && !ended {
            self.kills += 1;
        } else {
            self.ended += 1;
        }
        self.app.quiet().await;
        self.program.let_leases_lapse().await;
    }

    /// Lets everything come to its end: nothing fails any more, and what failed is tried again.
    pub async fn settle(&mut self) {
        self.sandbox.clear_faults();
        let mut last = String::new();
        for _ in 0..12 {
            let (_, result) = self.program.sync().await;
            let still = ["create", "link", "update", "suspend", "unsuspend", "delete"]
                .iter()
                .any(|kind| result["plan"][kind] != 0);
            if result["outcome"] == "completed" && result["failed"] == 0 && !still {
                return;
            }
            last = result.to_string();
            self.program.clock.pass(TimeDelta::hours(2));
        }
        panic!("it does not come to rest: {last}");
    }

    pub async fn compare(&self) {
        self.nothing_is_left_over().await;
        let told = Told::read(&self.program).await;
        let answered = self.app.answered();
        told.compare(&answered);
        self.accounts_are_right(&told).await;
        let (_, result) = self.program.sync().await;
        assert_eq!(self.app.answered().len(), answered.len(), "{result}");
    }

    async fn nothing_is_left_over(&self) {
        let left = "SELECT (SELECT count(*) FROM runs WHERE state IN ('queued', 'running'))
            + (SELECT count(*) FROM operations WHERE state IN ('planned', 'sending'))";
        let left: i64 = sqlx::query_scalar(left)
            .fetch_one(&self.program.pool)
            .await
            .unwrap();
        assert_eq!(left, 0, "runs or operations are still open");
    }

    async fn accounts_are_right(&self, told: &Told) {
        let accounts: BTreeMap<String, Account> = self
            .app
            .accounts()
            .await
            .into_iter()
            .map(|account| (account.id.clone(), account))
            .collect();
        let mut of_person: BTreeMap<&str, Vec<&Account>> = BTreeMap::new();
        for (id, account) in &accounts {
            match told.owners.get(id) {
                Some(person) => of_person.entry(person).or_default().push(account),
                None => assert!(
                    self.before.contains(account),
                    "belongs to nobody: {account:?}"
                ),
            }
        }
        for (account, person) in &told.owners {
            assert!(accounts.contains_key(account), "{account} of {person}");
        }
        self.sandbox.directory(|directory| {
            for person in directory.people.values() {
                let owned = of_person.remove(person.id.as_str()).unwrap_or_default();
                person_is_right(person, &owned);
            }
        });
        assert!(of_person.is_empty(), "{of_person:?}");
    }
}

fn person_is_right(person: &Person, owned: &[&Account]) {
    assert!(owned.len() <= 1, "{person:?} has {owned:?}");
    let managed = person
        .primary_email
        .ends_with(&format!("@{PRIMARY_DOMAIN}"))
        && person.archived_at.is_none()
        && person.guest_of.is_none();
    if !managed || person.deleted_at.is_some() {
        assert!(owned.is_empty(), "{person:?} has {owned:?}");
    } else if person.suspended_at.is_some() {
        assert!(
            owned.iter().all(|one| !one.active),
            "{person:?} has {owned:?}"
        );
    } else {
        let [account] = owned else {
            panic!("{person:?} has no account");
        };
        let expected = Account {
            id: account.id.clone(),
            user_name: person.primary_email.clone(),
            active: true,
            name: Some(person.full_name()),
            title: person.title(),
        };
        assert_eq!(**account, expected);
    }
}
