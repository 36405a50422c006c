//! First-run links and signing in, against a real database and a clock that is moved by hand.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use app::api::setup::{LinkPurpose, RedeemForm};
use app::api::{ErrorCode, FieldCode};
use app::services::{
    Actor, Answer, RequestContext, Secret, SessionAccess, Setup as _, SignIn as _, SignInStep,
    Stage, Visitor,
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use server::clock::{Clock as _, FakeClock};
use server::secrets::{SecretKey, Vault};
use server::services::breached::BreachedPasswords;
use server::services::door::{self, Scrutiny};
use server::services::one_time_links as links;
use server::services::setup::SetupService;
use server::services::sign_in::SignInService;
use server::store::administrators;
use server::store::events::{self, EventFilter, Order};
use server::store::one_time_links::Purpose;
use sqlx::PgPool;

const PASSWORD: &str = "correct horse battery";

/// Remembers who was signed in last, and how far.
#[derive(Default)]
struct Browser(Mutex<Option<(Actor, Stage)>>);

#[async_trait]
impl SessionAccess for Browser {
    async fn start(&self, actor: &Actor, stage: Stage) -> Answer<()> {
        *self.0.lock().unwrap() = Some((actor.clone(), stage));
        Ok(())
    }

    async fn confirm(&self) -> Answer<()> {
        if let Some((_, stage)) = self.0.lock().unwrap().as_mut() {
            *stage = Stage::Inside;
        }
        Ok(())
    }

    async fn end(&self) -> Answer<()> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }

    fn handle(&self) -> Option<String> {
        None
    }
}

struct Door {
    pool: PgPool,
    clock: FakeClock,
    setup: SetupService,
    sign_in: SignInService,
    browser: Arc<Browser>,
}

impl Door {
    fn new(pool: PgPool) -> Self {
        Self::with(pool, Scrutiny::Full)
    }

    fn with(pool: PgPool, scrutiny: Scrutiny) -> Self {
        let clock = FakeClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let door = door::Door {
            pool: pool.clone(),
            clock: Arc::new(clock.clone()),
            vault: Vault::new(SecretKey::generate()),
            scrutiny,
            breached: BreachedPasswords::default(),
            site: None,
        };
        Self {
            setup: SetupService::new(door.clone()),
            sign_in: SignInService::new(door),
            browser: Arc::default(),
            pool,
            clock,
        }
    }

    fn request(&self, address: &str) -> RequestContext {
        let address: IpAddr = address.parse().unwrap();
        let visitor = self
            .browser
            .0
            .lock()
            .unwrap()
            .as_ref()
            .map(|(actor, stage)| Visitor {
                administrator: actor.id,
                stage: *stage,
            });
        RequestContext {
            visitor,
            session: self.browser.clone(),
            address: Some(address),
        }
    }

    async fn link(&self, purpose: Purpose) -> Secret {
        let mut db = self.pool.acquire().await.unwrap();
        let link = links::issue(&mut db, purpose, self.clock.now(), "http://h")
            .await
            .unwrap();
        Secret::new(
            link.strip_prefix("http://h/setup?token=")
                .unwrap()
                .to_owned(),
        )
    }

    async fn redeem(&self, token: &Secret, form: RedeemForm) -> Answer<SignInStep> {
        self.setup
            .redeem(&self.request("192.0.2.1"), token.clone(), form)
            .await
    }

    async fn set_up(&self) -> Actor {
        let token = self.link(Purpose::FirstAdministrator).await;
        self.redeem(&token, form("ada@example.com", PASSWORD))
            .await
            .unwrap();
        self.who().unwrap().0
    }

    fn who(&self) -> Option<(Actor, Stage)> {
        self.browser.0.lock().unwrap().clone()
    }

    async fn sign_in(&self, email: &str, password: &str, address: &str) -> Answer<SignInStep> {
        let request = self.request(address);
        self.sign_in
            .sign_in(&request, email.to_owned(), Secret::new(password.to_owned()))
            .await
    }

    /// Fails to sign in and returns the seconds to wait, 0 when the try was looked at.
    async fn fail(&self, email: &str, address: &str) -> i64 {
        let error = self
            .sign_in(email, "wrong password", address)
            .await
            .unwrap_err();
        match error.code {
            ErrorCode::WrongCredentials => 0,
            ErrorCode::TooManyAttempts => error.args[0].parse().unwrap(),
            code => panic!("{code:?}"),
        }
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

fn form(email: &str, password: &str) -> RedeemForm {
    RedeemForm {
        email: Some(email.to_owned()),
        password: Some(Secret::new(password.to_owned())),
        repeated: Some(Secret::new(password.to_owned())),
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn the_first_link_makes_a_super_administrator_and_signs_them_in(pool: PgPool) {
    let door = Door::new(pool);
    let token = door.link(Purpose::FirstAdministrator).await;
    let seen = door.setup.link(&token).await.unwrap();
    assert_eq!(seen.purpose, LinkPurpose::FirstAdministrator);
    let step = door
        .redeem(&token, form(" Ada@Example.com", PASSWORD))
        .await;
    assert_eq!(step, Ok(SignInStep::Enrolment));
    let (actor, stage) = door.who().unwrap();
    assert_eq!(actor.email, "ada@example.com");
    assert_eq!(actor.role, app::api::terms::Role::SuperAdministrator);
    assert_eq!(stage, Stage::Enrolment);
    door.sign_in("ADA@example.com", PASSWORD, "192.0.2.1")
        .await
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_link_works_once(pool: PgPool) {
    let door = Door::new(pool);
    let token = door.link(Purpose::FirstAdministrator).await;
    door.redeem(&token, form("ada@example.com", PASSWORD))
        .await
        .unwrap();
    let again = door
        .redeem(&token, form("eve@example.com", PASSWORD))
        .await
        .unwrap_err();
    assert_eq!(again.code, ErrorCode::LinkUsed);
    assert_eq!(
        door.setup.link(&token).await.unwrap_err().code,
        ErrorCode::LinkUsed
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_that_redeem_at_once_one_wins(pool: PgPool) {
    let door = Door::new(pool);
    let token = door.link(Purpose::FirstAdministrator).await;
    let (one, other) = tokio::join!(
        door.redeem(&token, form("ada@example.com", PASSWORD)),
        door.redeem(&token, form("eve@example.com", PASSWORD)),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let mut db = door.pool.acquire().await.unwrap();
    assert_eq!(administrators::list(&mut db).await.unwrap().len(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_link_ends_after_an_hour(pool: PgPool) {
    let door = Door::new(pool);
    let token = door.link(Purpose::FirstAdministrator).await;
    door.wait(3599);
    door.setup.link(&token).await.unwrap();
    door.wait(1);
    assert_eq!(
        door.setup.link(&token).await.unwrap_err().code,
        ErrorCode::LinkExpired
    );
    let refused = door
        .redeem(&token, form("ada@example.com", PASSWORD))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::LinkExpired);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_newer_link_ends_the_older_and_a_made_up_one_is_none(pool: PgPool) {
    let door = Door::new(pool);
    let older = door.link(Purpose::FirstAdministrator).await;
    let newer = door.link(Purpose::FirstAdministrator).await;
    assert_eq!(
        door.setup.link(&older).await.unwrap_err().code,
        ErrorCode::LinkInvalid
    );
    door.setup.link(&newer).await.unwrap();
    let made_up = Secret::new("A".repeat(43));
    assert_eq!(
        door.setup.link(&made_up).await.unwrap_err().code,
        ErrorCode::LinkInvalid
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn every_bad_field_is_named_and_the_link_stays_good(pool: PgPool) {
    let door = Door::new(pool);
    let token = door.link(Purpose::FirstAdministrator).await;
    let bad = RedeemForm {
        email: Some("nobody".to_owned()),
        password: Some(Secret::new("short".to_owned())),
        repeated: Some(Secret::new("other".to_owned())),
    };
    let error = door.redeem(&token, bad).await.unwrap_err();
    let fields: Vec<_> = error
        .fields
        .iter()
        .map(|one| (one.field.as_str(), one.code))
        .collect();
    let expected = [
        ("email", FieldCode::NotAnEmail),
        ("password", FieldCode::TooShort),
        ("repeated", FieldCode::PasswordsDiffer),
    ];
    assert_eq!(fields, expected);
    door.redeem(&token, form("ada@example.com", PASSWORD))
        .await
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reset_link_changes_the_password(pool: PgPool) {
    let door = Door::new(pool);
    let ada = door.set_up().await;
    let token = door.link(Purpose::ResetPassword(ada.id)).await;
    assert_eq!(
        door.setup.link(&token).await.unwrap().email.as_deref(),
        Some("ada@example.com")
    );
    door.redeem(&token, form("", "another good phrase"))
        .await
        .unwrap();
    let old = door
        .sign_in("ada@example.com", PASSWORD, "192.0.2.1")
        .await
        .unwrap_err();
    assert_eq!(old.code, ErrorCode::WrongCredentials);
    door.sign_in("ada@example.com", "another good phrase", "192.0.2.1")
        .await
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_wrong_password_and_an_unknown_address_look_the_same(pool: PgPool) {
    let door = Door::new(pool);
    door.set_up().await;
    let wrong = door
        .sign_in("ada@example.com", "wrong password", "192.0.2.1")
        .await;
    let unknown = door.sign_in("eve@example.com", PASSWORD, "192.0.2.2").await;
    assert_eq!(wrong.unwrap_err(), unknown.unwrap_err());
}

#[sqlx::test(migrations = "./migrations")]
async fn the_delay_of_an_account_grows_with_every_failure_from_anywhere(pool: PgPool) {
    let door = Door::new(pool);
    door.set_up().await;
    for turn in 0..4 {
        assert_eq!(
            door.fail("ada@example.com", &format!("192.0.2.{turn}"))
                .await,
            0
        );
    }
    assert_eq!(door.fail("ada@example.com", "198.51.100.1").await, 1);
    let early = door
        .sign_in("ada@example.com", PASSWORD, "198.51.100.2")
        .await
        .unwrap_err();
    assert_eq!(
        early.code,
        ErrorCode::TooManyAttempts,
        "the right password gets no answer early"
    );
    door.wait(1);
    assert_eq!(door.fail("ada@example.com", "198.51.100.3").await, 0);
    assert_eq!(door.fail("ada@example.com", "198.51.100.4").await, 2);
    door.wait(2);
    door.sign_in("ada@example.com", PASSWORD, "198.51.100.5")
        .await
        .unwrap();
    assert_eq!(
        door.fail("ada@example.com", "198.51.100.6").await,
        0,
        "success starts anew"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_unknown_address_is_delayed_like_a_known_one(pool: PgPool) {
    let door = Door::new(pool);
    door.set_up().await;
    for turn in 0..4 {
        assert_eq!(
            door.fail("eve@example.com", &format!("192.0.2.{turn}"))
                .await,
            0
        );
    }
    assert_eq!(door.fail("eve@example.com", "198.51.100.1").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn guessing_many_accounts_from_one_address_is_delayed_too(pool: PgPool) {
    let door = Door::new(pool);
    door.set_up().await;
    for turn in 0..11 {
        assert_eq!(
            door.fail(&format!("person{turn}@example.com"), "192.0.2.9")
                .await,
            0
        );
    }
    assert_eq!(door.fail("person99@example.com", "192.0.2.9").await, 1);
    door.sign_in("ada@example.com", PASSWORD, "192.0.2.10")
        .await
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn parallel_guesses_gain_nothing(pool: PgPool) {
    let door = Door::new(pool);
    door.set_up().await;
    for _ in 0..3 {
        assert_eq!(door.fail("ada@example.com", "192.0.2.1").await, 0);
    }
    let guesses = (0..6).map(|_| door.fail("ada@example.com", "192.0.2.1"));
    let looked_at = futures::future::join_all(guesses)
        .await
        .into_iter()
        .filter(|&wait| wait == 0);
    assert_eq!(looked_at.count(), 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_log_tells_of_sign_ins_and_failures_but_not_of_what_was_typed(pool: PgPool) {
    let door = Door::new(pool);
    door.set_up().await;
    door.fail("ada@example.com", "192.0.2.1").await;
    door.fail("my-password@example.com", "192.0.2.1").await;
    door.sign_in("ada@example.com", PASSWORD, "192.0.2.1")
        .await
        .unwrap();
    let mut db = door.pool.acquire().await.unwrap();
    let log = events::page(
        &mut db,
        &EventFilter::default(),
        Order::OldestFirst,
        None,
        50,
    )
    .await;
    let log = log.unwrap();
    let told: Vec<_> = log
        .iter()
        .map(|event| {
            (
                event.event.as_str(),
                event.outcome.as_str(),
                event.actor.as_str(),
            )
        })
        .collect();
    let expected = [
        ("First-run setup", "ok", "ada@example.com"),
        ("Administrator added", "ok", "ada@example.com"),
        ("Sign in", "ok", "ada@example.com"),
        ("Failed sign in", "failed", "ada@example.com"),
        ("Failed sign in", "failed", "unknown"),
        ("Sign in", "ok", "ada@example.com"),
    ];
    assert_eq!(told, expected);
    let everything = format!("{log:?}");
    assert!(!everything.contains("my-password") && !everything.contains(PASSWORD));
}
