//! Matches and conflicts: who gets which account, and what only an administrator decides (S4.3, S4.4,
//! S8.7).

use chrono::TimeDelta;
use provisioning::config::{Linking, MappingRow, Policy, Window};
use provisioning::identity::{AccountId, PersonId};
use provisioning::mapping::Source;
use server::sandbox::{NewPerson, Rename};
use server::store::operations;
use server::store::person_decisions;
use server::store::runs::{Run, RunState};
use server::sync::account_decisions::{self, AccountDecision, DecideError, Refusal};
use sqlx::PgPool;

use crate::holds::NADIA;
use crate::house::House;
use crate::lifecycle::somebody;

async fn review_house(pool: PgPool) -> House {
    let house = House::build_with(
        pool,
        |options| options.accounts = 0,
        |config| config.linking = Linking::Review,
    )
    .await;
    house.run().await;
    house.stranger_arrives().await;
    house
}

impl House {
    async fn decide_account(
        &self,
        person: &PersonId,
        decision: AccountDecision,
    ) -> Result<(), DecideError> {
        let app = self.app().await;
        account_decisions::decide(&self.engine, &app, person, &decision, "test").await
    }

    /// Codes of the operations of a run that were not sent.
    async fn not_sent(&self, run: &Run) -> Vec<(String, String)> {
        let mut db = self.engine.connection().await.unwrap();
        operations::list(&mut db, run.id, None, Some("superseded"), None, 1000)
            .await
            .unwrap()
            .into_iter()
            .map(|operation| {
                (
                    operation.person_email,
                    operation.error_code.unwrap_or_default(),
                )
            })
            .collect()
    }

    async fn waits(&self) -> Vec<person_decisions::Undecided> {
        let mut db = self.engine.connection().await.unwrap();
        person_decisions::undecided(&mut db, self.app, None)
            .await
            .unwrap()
    }
}

fn id_of(house: &House, email: &str) -> PersonId {
    let id = house
        .sandbox
        .directory(|directory| directory.person(email).unwrap().id.as_str().to_owned());
    PersonId::from(id)
}

#[sqlx::test(migrations = "./migrations")]
async fn a_match_that_waits_is_linked_once_that_is_decided(pool: PgPool) {
    let house = review_house(pool).await;
    let account = AccountId::from(house.sandbox.account(NADIA).unwrap().id);
    let nadia = id_of(&house, NADIA);
    for _ in 0..2 {
        assert_eq!(house.run().await.applied.link, 0);
    }
    assert_eq!(house.sandbox.scim_requests(), 1, "asked for once");
    let waits = house.waits().await;
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].accounts[0].id, account);

    let other = AccountDecision::Link(AccountId::from("1"));
    assert!(matches!(
        house.decide_account(&nadia, other).await,
        Err(DecideError::Refused(Refusal::OtherAccount(_)))
    ));
    house
        .decide_account(&nadia, AccountDecision::Link(account))
        .await
        .unwrap();
    assert_eq!(house.run().await.applied.link, 1);
    assert!(house.waits().await.is_empty());
    let told = house.events("Match decided").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].person_email.as_deref(), Some(NADIA));
}

#[sqlx::test(migrations = "./migrations")]
async fn somebody_who_is_left_without_an_account_gets_none_until_that_is_taken_back(pool: PgPool) {
    let house = review_house(pool).await;
    let nadia = id_of(&house, NADIA);
    house.run().await;
    house
        .decide_account(&nadia, AccountDecision::Leave)
        .await
        .unwrap();
    house.sandbox.remove_account(NADIA);
    house.pass(TimeDelta::days(2));
    house.sandbox.forget_requests();
    let run = house.run().await;
    assert_eq!((run.applied.create, house.sandbox.scim_requests()), (0, 0));
    house
        .decide_account(&nadia, AccountDecision::TakeBack)
        .await
        .unwrap();
    assert_eq!(house.run().await.applied.create, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_is_gone_is_created_again_or_unlinked_only_by_decision(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    let person = id_of(&house, &email);
    for (decision, created) in [
        (AccountDecision::CreateAgain, 1),
        (AccountDecision::Unlink, 0),
    ] {
        house.sandbox.remove_account(&email);
        house
            .sandbox
            .change_directory(|directory, _| {
                directory.set_title(&email, Some(&format!("Then {created}")))
            })
            .unwrap();
        house.run().await;
        assert_eq!(house.run().await.applied.create, 0);
        let waits = house.waits().await;
        let gone = waits.iter().find(|one| one.person_id == person);
        assert!(gone.unwrap().gone_account.is_some());
        house.decide_account(&person, decision).await.unwrap();
        let run = house.run().await;
        assert_eq!(run.applied.create, created, "{run:?}");
        assert_eq!(house.sandbox.account(&email).is_some(), created == 1);
    }
    assert_eq!(house.events("Unlink Auto Provisioned User").await.len(), 1);
    house
        .decide_account(&person, AccountDecision::TakeBack)
        .await
        .unwrap();
    assert_eq!(
        house.run().await.applied.create,
        1,
        "and that can be undone"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn review_applies_after_the_first_run_even_while_nobody_is_linked(pool: PgPool) {
    let house = House::build_with(
        pool,
        |_| {},
        |config| {
            config.linking = Linking::Review;
            config.access.org_units[0].on = false;
        },
    )
    .await;
    let run = house.run().await;
    assert_eq!(
        (run.state, run.planned.skipped > 0),
        (RunState::Completed, true)
    );
    house
        .change_config(|config| config.access.org_units[0].on = true)
        .await;
    let run = house.run().await;
    assert!(run.applied.create > 0);
    assert_eq!(run.applied.link, 0, "matches wait for a decision");
    assert!(house.waits().await.len() > 10);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_account_of_a_deleted_person_goes_to_the_new_one_with_the_same_address(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    let email = somebody(&house).await;
    let account = house.sandbox.account(&email).unwrap().id;
    house
        .sandbox
        .change_directory(|directory, now| {
            directory.delete(&email, now).unwrap();
            let new = NewPerson {
                given_name: "Wanda".to_owned(),
                family_name: "Wieder".to_owned(),
                primary_email: Some(email.clone()),
                ..NewPerson::default()
            };
            directory.add_person(new, now)
        })
        .unwrap();
    let run = house.run().await;
    assert_eq!((run.applied.link, run.applied.suspend), (1, 0), "{run:?}");
    assert_eq!(
        house.not_sent(&run).await,
        [(email.clone(), "link-moved".to_owned())]
    );
    let kept = house.sandbox.account(&email).unwrap();
    assert_eq!((kept.id, kept.active), (account, true));
    house.pass(TimeDelta::days(30));
    assert_eq!(house.run().await.scim_writes, 0, "the old steps ended");
}

#[sqlx::test(migrations = "./migrations")]
async fn people_who_would_share_a_user_name_are_a_conflict_and_get_nothing(pool: PgPool) {
    let house = House::build_with(
        pool,
        |options| options.accounts = 0,
        |config| {
            let row = config
                .mapping
                .iter_mut()
                .find(|row| row.attribute == "userName");
            let shared = "person.primaryEmail.startsWith('a') ? 'team@northmoor.example' : person.primaryEmail";
            row.unwrap().source = Source::Expression(shared.to_owned());
        },
    )
    .await;
    let run = house.run().await;
    let conflicts = house.not_sent(&run).await;
    assert!(conflicts.len() > 1, "several people share one");
    assert!(
        conflicts.iter().all(|(_, code)| code == "conflict"),
        "{conflicts:?}"
    );
    let names: Vec<String> = (house.sandbox.recorded().iter())
        .filter_map(|call| call.body["userName"].as_str().map(str::to_lowercase))
        .collect();
    let mut once = names.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), names.len(), "no user name is sent twice");
    assert!(!names.is_empty() && !names.contains(&"team@northmoor.example".to_owned()));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_newcomer_waits_for_a_rename_of_the_mapped_user_name_only(pool: PgPool) {
    let house = House::build_with(
        pool,
        |_| {},
        |config| {
            // She who is renamed keeps her user name, since it does not come from the address.
            let row = config
                .mapping
                .iter_mut()
                .find(|row| row.attribute == "userName");
            *row.unwrap() = MappingRow::from_attribute("userName", "externalIds[type=login].value");
        },
    )
    .await;
    let (first, second) = two(&house);
    let login = |name: &str| serde_json::json!([{"type": "login", "value": name}]);
    set_login(&house, &first, login("ann@northmoor.example"));
    house.run().await;
    assert!(house.sandbox.account("ann@northmoor.example").is_some());
    house
        .sandbox
        .change_directory(|directory, _| {
            let rename = Rename {
                primary_email: Some("elsewhere@northmoor.example".to_owned()),
                ..Rename::default()
            };
            directory.rename(&first, rename)
        })
        .unwrap();
    set_login(&house, &second, login("ann@northmoor.example"));
    house.sandbox.forget_requests();
    let run = house.run().await;
    assert_eq!((run.applied.create, run.planned.create), (0, 0), "{run:?}");

    set_login(
        &house,
        "elsewhere@northmoor.example",
        login("anna@northmoor.example"),
    );
    let run = house.run().await;
    assert_eq!(
        (run.applied.update, run.applied.create, run.failed),
        (1, 1, 0),
        "{run:?}"
    );
}

fn set_login(house: &House, email: &str, value: serde_json::Value) {
    house
        .sandbox
        .change_directory(|directory, _| directory.set_free(email, "externalIds", Some(&value)))
        .unwrap();
}

/// Two people in scope.
fn two(house: &House) -> (String, String) {
    let found: Vec<String> = house.sandbox.directory(|directory| {
        (directory.living())
            .filter(|person| person.suspended_at.is_none() && person.archived_at.is_none())
            .filter(|person| person.guest_of.is_none() && person.external_ids.is_none())
            .map(|person| person.primary_email.clone())
            .filter(|email| email.ends_with("@northmoor.example"))
            .filter(|email| email != server::sandbox::ADMINISTRATOR)
            .take(2)
            .collect()
    });
    (found[0].clone(), found[1].clone())
}

#[sqlx::test(migrations = "./migrations")]
async fn reports_get_their_manager_in_the_run_that_creates_the_managers_account(pool: PgPool) {
    let house = House::build(pool).await;
    // A manager in an org unit of their own, for which the app is off at first.
    let (boss, report) = house
        .sandbox
        .change_directory(|directory, now| {
            let new = |given: &str, unit: &str, manager: Option<String>| NewPerson {
                given_name: given.to_owned(),
                family_name: "Testfall".to_owned(),
                org_unit_path: Some(unit.to_owned()),
                manager,
                ..NewPerson::default()
            };
            let boss = directory.add_person(new("Berta", "/", None), now)?;
            let manager = Some(boss.primary_email.clone());
            let report = directory.add_person(new("Rosa", "/", manager), now)?;
            Ok::<_, server::sandbox::DirectoryError>((boss.primary_email, report.primary_email))
        })
        .unwrap();
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(&boss, now))
        .unwrap();
    house.run().await;
    let manager = || {
        let account = house.sandbox.account(&report).unwrap();
        account.enterprise("manager").cloned()
    };
    assert!(house.sandbox.account(&boss).is_none() && manager().is_none());
    house
        .sandbox
        .change_directory(|directory, _| directory.restore(&boss))
        .unwrap();
    let run = house.run().await;
    assert_eq!((run.applied.create, run.applied.update), (1, 1), "{run:?}");
    assert!(manager().is_some());
    assert_eq!(house.run().await.scim_writes, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_is_held_even_when_most_were_deleted_a_moment_ago(pool: PgPool) {
    let house = House::build_with(
        pool,
        |options| options.accounts = 0,
        |config| {
            config.deprovisioning.app_turned_off =
                Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
            config.safety.hold_count = 1000;
            config.safety.hold_max = 1000;
            config.access.org_units[0].on = false;
        },
    )
    .await;
    let people: Vec<String> = house.sandbox.directory(|directory| {
        (directory.living())
            .filter(|person| person.suspended_at.is_none() && person.archived_at.is_none())
            .filter(|person| person.guest_of.is_none())
            .filter(|person| person.primary_email.ends_with("@northmoor.example"))
            .filter(|person| person.primary_email != server::sandbox::ADMINISTRATOR)
            .map(|person| person.primary_email.clone())
            .take(6)
            .collect()
    });
    house
        .sandbox
        .change_directory(|directory, _| {
            directory.add_group("six@northmoor.example", "Six")?;
            for email in &people {
                directory.add_member("six@northmoor.example", email)?;
            }
            Ok::<_, server::sandbox::DirectoryError>(())
        })
        .unwrap();
    let six = provisioning::config::GroupRef {
        id: None,
        email: "six@northmoor.example".to_owned(),
        name: None,
    };
    house
        .change_config(|config| config.access.groups_on = vec![six])
        .await;
    assert_eq!(house.run().await.applied.create, 6);
    let leave = |some: &[String]| {
        house
            .sandbox
            .change_directory(|directory, _| {
                for email in some {
                    directory.remove_member("six@northmoor.example", email)?;
                }
                Ok::<_, server::sandbox::DirectoryError>(())
            })
            .unwrap();
    };
    leave(&people[..4]);
    assert_eq!(house.run().await.applied.delete, 4);
    leave(&people[4..]);
    let run = house.run().await;
    assert_eq!((run.applied.delete, run.held), (0, 2), "{run:?}");
}
