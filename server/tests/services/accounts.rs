//! Links that are ended and made again by hand, and what reading back shows (S4.4, S8.4).

use crate::house::House;
use app::api::ErrorCode;
use app::api::accounts::{AccountChoice, AccountState, Decided, DifferenceKind};
use app::api::directory::Person;
use app::api::terms::Role;
use app::services::{Accounts as _, Actor, Directory as _};
use serde_json::json;
use server::sandbox::ADMINISTRATOR;
use server::services::accounts::AccountsService;
use server::services::directory::DirectoryService;
use server::store::drifts::{self, Linked};
use sqlx::PgPool;
use uuid::Uuid;

const ASANA: &str = "asana";

struct Console {
    house: House,
    accounts: AccountsService,
    ines: Actor,
}

impl Console {
    /// A small company in which everybody has an account.
    async fn build(pool: PgPool) -> Self {
        let small = |options: &mut server::sandbox::SandboxOptions| {
            options.people = 60;
            options.accounts = 12;
        };
        let house = House::build_with(pool, small, |_| {}).await;
        house.run().await;
        house.sandbox.forget_requests();
        Self {
            accounts: AccountsService {
                engine: house.engine.clone(),
            },
            ines: Actor {
                id: Uuid::from_u128(1),
                email: "ines@northmoor.example".to_owned(),
                role: Role::SuperAdministrator,
            },
            house,
        }
    }

    async fn linked(&self) -> Vec<Linked> {
        let mut db = self.house.engine.connection().await.unwrap();
        let all = drifts::linked(&mut db, self.house.app, "", 1000).await;
        let mut all = all.unwrap();
        all.retain(|link| link.user_name != ADMINISTRATOR);
        all
    }

    async fn decide(
        &self,
        person: &str,
        choice: AccountChoice,
        account: Option<&str>,
    ) -> Result<(), ErrorCode> {
        let account = account.map(str::to_owned);
        let decided = self
            .accounts
            .decide(&self.ines, ASANA, person, choice, account);
        decided.await.map_err(|error| error.code)
    }

    async fn person(&self, id: &str) -> Person {
        let directory = DirectoryService {
            engine: self.house.engine.clone(),
        };
        directory.person(&self.ines, id).await.unwrap()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn unlinking_touches_no_account_and_lasts_until_it_is_linked_again(pool: PgPool) {
    let console = Console::build(pool).await;
    let link = console.linked().await.remove(0);
    let (person, account) = (link.person.as_str(), link.account.as_str());
    let ask = console
        .accounts
        .unlinking(&console.ines, ASANA, person)
        .await
        .unwrap();
    assert_eq!(
        (ask.account.as_str(), ask.state),
        (account, AccountState::Active)
    );
    assert!(ask.may_decide && !ask.waits);

    console
        .decide(person, AccountChoice::Unlink, None)
        .await
        .unwrap();
    let event = &console.house.events("Unlink Auto Provisioned User").await[0];
    assert_eq!(event.actor, console.ines.email);
    assert_eq!(event.account_id.as_deref(), Some(account));
    // The person leaves, and nobody cares about the account any more.
    (console.house.sandbox)
        .change_directory(|directory, now| directory.suspend(&link.user_name, now))
        .unwrap();
    assert_eq!(console.house.run().await.scim_writes, 0);
    assert!(
        console
            .house
            .sandbox
            .account(&link.user_name)
            .unwrap()
            .active
    );
    (console.house.sandbox)
        .change_directory(|directory, _| directory.restore(&link.user_name))
        .unwrap();
    let page = console.person(person).await;
    let here = &page.apps[0];
    assert_eq!(here.account_id, None);
    let row = here.undecided.as_ref().unwrap();
    assert_eq!(row.decided, Some(Decided::Leave));
    assert_eq!(row.accounts[0].id, account);

    console
        .decide(person, AccountChoice::Link, Some(account))
        .await
        .unwrap();
    let run = console.house.run().await;
    assert_eq!((run.applied.link, run.applied.create), (1, 0), "{run:?}");
    let page = console.person(person).await;
    assert_eq!(page.apps[0].account_id.as_deref(), Some(account));
    assert!(page.apps[0].undecided.is_none());
}

#[sqlx::test(migrations = "./migrations")]
async fn after_unlinking_the_rules_can_decide_again(pool: PgPool) {
    let console = Console::build(pool).await;
    let link = console.linked().await.remove(0);
    let person = link.person.as_str();
    console
        .decide(person, AccountChoice::Unlink, None)
        .await
        .unwrap();
    assert_eq!(
        console.decide(person, AccountChoice::Unlink, None).await,
        Err(ErrorCode::Conflict),
        "there is no link any more"
    );
    console
        .decide(person, AccountChoice::TakeBack, None)
        .await
        .unwrap();
    let run = console.house.run().await;
    assert_eq!((run.applied.link, run.applied.create), (1, 0), "{run:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_is_unlinked_while_a_run_is_about_to_write_to_their_account(pool: PgPool) {
    let console = Console::build(pool).await;
    let link = console.linked().await.remove(0);
    let run = console.house.queue().await;
    sqlx::query(
        "INSERT INTO operations (run_id, app_id, person_id, person_email, person_name, kind, state, plan, reason)
         VALUES ($1, $2, $3, '', '', 'update', 'sending', '{}', '')",
    )
    .bind(run.0)
    .bind(console.house.app.0)
    .bind(link.person.as_str())
    .execute(&console.house.engine.pool)
    .await
    .unwrap();
    let refused = console
        .decide(link.person.as_str(), AccountChoice::Unlink, None)
        .await;
    assert_eq!(refused, Err(ErrorCode::RunActive));
    assert!(
        console.person(link.person.as_str()).await.apps[0]
            .account_id
            .is_some()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_reading_back_finds_is_listed_with_what_was_left_there(pool: PgPool) {
    let console = Console::build(pool).await;
    let link = console.linked().await.remove(0);
    let before = console
        .accounts
        .differences(&console.ines, ASANA, 1)
        .await
        .unwrap();
    assert!(before.rows.is_empty() && before.may_read);
    console
        .house
        .sandbox
        .change_account(&link.user_name, |account| {
            account.attributes.insert("title".to_owned(), json!("King"));
        });
    let mut db = console.house.engine.connection().await.unwrap();
    drifts::ask(&mut db, console.house.app).await.unwrap();
    drop(db);
    console.house.run().await;
    let found = console
        .accounts
        .differences(&console.ines, ASANA, 1)
        .await
        .unwrap();
    assert!(found.read_at.is_some());
    assert_eq!(found.rows.len(), 1, "{found:?}");
    let row = &found.rows[0];
    assert_eq!(row.person.id, link.person.as_str());
    assert_eq!(row.kind, DifferenceKind::Values);
    assert_eq!(row.changes[0].new.as_deref(), Some("King"));
    let auditor = Actor {
        role: Role::Auditor,
        ..console.ines.clone()
    };
    let read = console.accounts.differences(&auditor, ASANA, 1).await;
    assert!(!read.unwrap().may_read);
}
