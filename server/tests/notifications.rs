//! Somebody is told once of what needs them, and once more when it is over (S9.4).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

#[allow(dead_code, reason = "each test file uses its part")]
#[path = "sync/house.rs"]
mod house;

use std::sync::{Arc, Mutex};

use app::api::notifications::{ChannelDecision, DeliveryState, EmailForm, Security, WebhookForm};
use app::api::terms::Role;
use app::api::{ApiError, FieldCode};
use app::services::{Actor, Assured, Notifications as _, Secret};
use chrono::TimeDelta;
use house::House;
use provisioning::config::{AppConfig, Policy, Trigger, Window};
use secrecy::SecretString;
use serde_json::Value;
use server::clock::Clock as _;
use server::configuration::{self, By};
use server::connectors::webhook::{ID, SIGNATURE, TIMESTAMP, sign};
use server::notifications::{Delivered, deliver, look, write_digests};
use server::sandbox::ADMINISTRATOR;
use server::services::notifications::NotificationsService;
use server::store::notifications as store;
use server::store::settings::{self, BrokenLog};
use server::sync::decisions::{self, Decision};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use uuid::Uuid;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

struct Desk {
    house: House,
    service: NotificationsService,
    ines: Assured,
}

impl Desk {
    async fn build(pool: PgPool, adapt: impl FnOnce(&mut AppConfig)) -> Self {
        let house = House::build_with(pool, |_| {}, adapt).await;
        Self {
            service: NotificationsService {
                engine: house.engine.clone(),
            },
            ines: Assured::in_demo(Actor {
                id: Uuid::from_u128(1),
                email: "ines@northmoor.example".to_owned(),
                role: Role::SuperAdministrator,
            }),
            house,
        }
    }

    /// A webhook with what it answers.
    async fn webhook(&self, status: u16) -> (MockServer, Uuid) {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_string("no, because");
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let form = WebhookForm {
            name: "On call".to_owned(),
            url: format!("{}/hook/secret-path", server.uri()),
            digest: false,
        };
        let id = self.service.save_webhook(&self.ines, None, form).await;
        (server, id.unwrap())
    }

    async fn look(&self) {
        let mut transaction = self.house.engine.pool.begin().await.unwrap();
        look(&mut transaction, self.house.clock.now())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    async fn deliver(&self) -> Delivered {
        deliver(&self.house.engine).await.unwrap()
    }

    /// Looks, delivers, and says what arrived since: type and cause.
    async fn told(&self, server: &MockServer) -> Vec<(String, String)> {
        self.look().await;
        self.deliver().await;
        let requests = server.received_requests().await.unwrap();
        server.reset().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(204))
            .mount(server)
            .await;
        requests
            .iter()
            .map(|request| {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&body["type"]), text(&body["data"]["cause"]))
            })
            .collect()
    }

    fn people(&self, many: usize) -> Vec<String> {
        let mut people: Vec<String> = (self.house.sandbox.accounts().into_iter())
            .map(|account| account.user_name)
            .filter(|email| email != ADMINISTRATOR)
            .collect();
        people.sort();
        people.truncate(many);
        people
    }

    fn suspend(&self, people: &[String]) {
        for email in people {
            let sandbox = &self.house.sandbox;
            let suspended =
                sandbox.change_directory(|directory, now| directory.suspend(email, now));
            suspended.unwrap();
        }
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    (expected.iter())
        .map(|(kind, cause)| ((*kind).to_owned(), (*cause).to_owned()))
        .collect()
}

fn hold_everything(config: &mut AppConfig) {
    let policy = Policy::new(Some(Window::WITHIN_24_HOURS), None).unwrap();
    config.deprovisioning.set(Trigger::Suspended, policy);
    config.safety.hold_max = 0;
}

fn email_form(port: u16) -> EmailForm {
    EmailForm {
        name: String::new(),
        host: "127.0.0.1".to_owned(),
        port: port.to_string(),
        security: Security::None,
        user_name: String::new(),
        sender: "Rollcall <rollcall@northmoor.example>".to_owned(),
        recipients: "it@northmoor.example, ines@northmoor.example".to_owned(),
        digest: false,
    }
}

fn fields(error: &ApiError) -> Vec<(&str, FieldCode)> {
    let each = error.fields.iter();
    each.map(|field| (field.field.as_str(), field.code))
        .collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_stopped_app_is_told_once_in_the_transaction_that_stops_it_and_once_when_it_goes_on(
    pool: PgPool,
) {
    let desk = Desk::build(pool, |_| {}).await;
    let (server, _) = desk.webhook(204).await;
    desk.house.run().await;
    assert_eq!(desk.told(&server).await, vec![], "all is well");
    desk.house.sandbox.revoke_asana_token(true);
    desk.suspend(&desk.people(1));
    let title = desk.people(2).remove(1);
    (desk.house.sandbox)
        .change_directory(|directory, _| directory.set_title(&title, Some("Keeper")))
        .unwrap();
    desk.house.run().await;
    // Nobody looked since: the run itself wrote the message.
    let mut db = desk.house.engine.connection().await.unwrap();
    assert_eq!(store::open_causes(&mut db).await.unwrap().len(), 1);
    drop(db);
    let stopped = pairs(&[("cause.opened", "app-stopped")]);
    assert_eq!(desk.told(&server).await, stopped);
    assert_eq!(desk.told(&server).await, vec![], "not a second time");

    let app = desk.house.app().await;
    let mut transaction = desk.house.engine.pool.begin().await.unwrap();
    let by = By {
        actor: "test",
        now: desk.house.clock.now(),
    };
    configuration::reauthorize(&mut transaction, &app, by)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let over = pairs(&[("cause.resolved", "app-stopped")]);
    assert_eq!(desk.told(&server).await, over);
    assert_eq!(desk.told(&server).await, vec![]);
}

#[sqlx::test(migrations = "./migrations")]
async fn removals_that_are_held_are_one_cause_until_the_last_is_decided(pool: PgPool) {
    let desk = Desk::build(pool, hold_everything).await;
    let (server, _) = desk.webhook(204).await;
    desk.house.run().await;
    let people = desk.people(3);
    desk.suspend(&people[..2]);
    desk.house.run().await;
    assert_eq!(
        desk.told(&server).await,
        pairs(&[("cause.opened", "removals-held")])
    );
    desk.suspend(&people[2..]);
    desk.house.run().await;
    assert_eq!(desk.told(&server).await, vec![], "more of the same");

    let app = desk.house.app().await;
    let engine = &desk.house.engine;
    let mut db = engine.connection().await.unwrap();
    let held = server::sync::pending::under_review(&mut db, &app, desk.house.clock.now())
        .await
        .unwrap();
    drop(db);
    let subjects: Vec<_> = held.into_iter().map(|one| one.person_id.into()).collect();
    let dismiss = |subjects| decisions::decide(engine, &app, subjects, Decision::Dismiss, "test");
    dismiss(&subjects[..2]).await.unwrap();
    assert_eq!(desk.told(&server).await, vec![], "one is left");
    dismiss(&subjects[2..]).await.unwrap();
    assert_eq!(
        desk.told(&server).await,
        pairs(&[("cause.resolved", "removals-held")])
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_over_before_anybody_was_told_is_not_told(pool: PgPool) {
    let desk = Desk::build(pool, |_| {}).await;
    let (server, _) = desk.webhook(204).await;
    let note = async |broken: Option<&str>| {
        let mut db = desk.house.engine.connection().await.unwrap();
        let broken = BrokenLog(broken.map(str::to_owned));
        settings::put(&mut db, &broken, desk.house.clock.now(), "Rollcall")
            .await
            .unwrap();
    };
    note(Some("event 7 was changed")).await;
    desk.look().await;
    note(None).await;
    assert_eq!(desk.told(&server).await, vec![]);
    note(Some("event 7 was changed")).await;
    assert_eq!(
        desk.told(&server).await,
        pairs(&[("cause.opened", "log-broken")])
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_message_that_does_not_arrive_is_tried_again_later_and_given_up_after_two_days(
    pool: PgPool,
) {
    let desk = Desk::build(pool, |_| {}).await;
    let (server, id) = desk.webhook(503).await;
    let mut db = desk.house.engine.connection().await.unwrap();
    let broken = BrokenLog(Some("event 7 was changed".to_owned()));
    settings::put(&mut db, &broken, desk.house.clock.now(), "Rollcall")
        .await
        .unwrap();
    drop(db);
    desk.look().await;
    let failed = Delivered {
        arrived: 0,
        failed: 1,
    };
    assert_eq!(desk.deliver().await, failed);
    assert_eq!(
        desk.deliver().await,
        Delivered::default(),
        "not before its time"
    );
    let page = desk
        .service
        .channel(&desk.ines, &id.to_string())
        .await
        .unwrap();
    let error = page.row.unwrap().failed.unwrap().error;
    assert!(
        error.contains("503") && error.contains("no, because"),
        "{error}"
    );
    assert!(!error.contains("secret-path"), "{error}");
    assert_eq!(page.deliveries[0].state, DeliveryState::Waiting);

    let mut tries = 1;
    for _ in 0..60 {
        desk.house.pass(TimeDelta::hours(1));
        tries += desk.deliver().await.failed;
    }
    assert_eq!(tries, 9);
    let page = desk
        .service
        .channel(&desk.ines, &id.to_string())
        .await
        .unwrap();
    assert_eq!(page.deliveries[0].state, DeliveryState::GivenUp);
    let ids: Vec<_> = (server.received_requests().await.unwrap().iter())
        .map(|request| request.headers.get(ID).unwrap().clone())
        .collect();
    assert!(
        ids.iter().all(|id| *id == ids[0]),
        "the same message keeps its id"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_webhook_is_signed_with_the_secret_that_is_shown_until_it_is_kept(pool: PgPool) {
    let desk = Desk::build(pool, |_| {}).await;
    let (server, id) = desk.webhook(204).await;
    let auditor = Actor {
        role: Role::Auditor,
        ..Actor::clone(&desk.ines)
    };
    let secret_of = async |actor: &Actor| {
        let page = desk.service.channel(actor, &id.to_string()).await.unwrap();
        page.secret
    };
    assert_eq!(secret_of(&auditor).await, None);
    let secret = secret_of(&desk.ines).await.unwrap();
    let change = |change| desk.service.change(&desk.ines, id, change);
    change(ChannelDecision::Test).await.unwrap();
    let request = server.received_requests().await.unwrap().remove(0);
    let header = |name| {
        request
            .headers
            .get(name)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let body = String::from_utf8(request.body.clone()).unwrap();
    let expected = sign(
        &SecretString::from(secret.clone()),
        &header(ID),
        &header(TIMESTAMP),
        &body,
    );
    assert_eq!(Some(header(SIGNATURE)), expected);

    change(ChannelDecision::SecretKept).await.unwrap();
    assert_eq!(secret_of(&desk.ines).await, None);
    desk.service.renew_secret(&desk.ines, id).await.unwrap();
    let new = secret_of(&desk.ines).await.unwrap();
    assert_ne!(new, secret);
    desk.house.pass(TimeDelta::hours(2));
    assert_eq!(secret_of(&desk.ines).await, None, "it goes away by itself");

    // Another server never gets what the old one's receiver trusts.
    let elsewhere = WebhookForm {
        name: "On call".to_owned(),
        url: "http://localhost:9/hook".to_owned(),
        digest: false,
    };
    (desk.service.save_webhook(&desk.ines, Some(id), elsewhere))
        .await
        .unwrap();
    assert_ne!(secret_of(&desk.ines).await.unwrap(), new);
    for event in desk.house.events("Settings changed").await {
        let text = format!("{event:?}");
        assert!(
            !text.contains("whsec_") && !text.contains("secret-path"),
            "{text}"
        );
    }
    let private = WebhookForm {
        name: String::new(),
        url: "https://10.0.0.7/hook".to_owned(),
        digest: false,
    };
    let refused = desk.service.save_webhook(&desk.ines, None, private).await;
    assert_eq!(
        fields(&refused.unwrap_err()),
        [("url", FieldCode::TargetNotAllowed)]
    );
}

/// Speaks as much SMTP as a message needs; keeps what it is told. Refuses everybody if asked to.
async fn mail_server(refuses: bool) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let mails = kept.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            stream
                .write_all(b"220 mail.northmoor.example\r\n")
                .await
                .unwrap();
            let (mut line, mut mail, mut in_data) = (String::new(), String::new(), false);
            while stream.read_line(&mut line).await.unwrap() > 0 {
                let said = std::mem::take(&mut line);
                mail.push_str(&said);
                let answer: &[u8] = match said.get(..4) {
                    _ if in_data && said == ".\r\n" => {
                        in_data = false;
                        mails.lock().unwrap().push(std::mem::take(&mut mail));
                        b"250 kept\r\n"
                    }
                    _ if in_data => continue,
                    Some("RCPT") if refuses => b"550 5.1.1 nobody of this name here\r\n",
                    Some("DATA") => {
                        in_data = true;
                        b"354 go on\r\n"
                    }
                    Some("QUIT") => b"221 bye\r\n",
                    _ => b"250 fine\r\n",
                };
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    (port, kept)
}

#[sqlx::test(migrations = "./migrations")]
async fn a_test_by_e_mail_arrives_or_says_exactly_why_not(pool: PgPool) {
    let desk = Desk::build(pool, |_| {}).await;
    let (port, mails) = mail_server(false).await;
    let id = desk
        .service
        .save_email(&desk.ines, None, email_form(port), None)
        .await
        .unwrap();
    desk.service
        .change(&desk.ines, id, ChannelDecision::Test)
        .await
        .unwrap();
    let mail = mails.lock().unwrap().remove(0);
    for part in [
        "MAIL FROM:<rollcall@northmoor.example>",
        "RCPT TO:<it@northmoor.example>",
        "RCPT TO:<ines@northmoor.example>",
        "Subject: Rollcall: Rollcall can reach you here",
    ] {
        assert!(mail.contains(part), "{part} is not in\n{mail}");
    }
    let row = async || {
        let page = desk
            .service
            .channel(&desk.ines, &id.to_string())
            .await
            .unwrap();
        page.row.unwrap()
    };
    assert_eq!(row().await.delivered_at, Some(desk.house.clock.now()));

    let (refusing, _) = mail_server(true).await;
    (desk
        .service
        .save_email(&desk.ines, Some(id), email_form(refusing), None))
    .await
    .unwrap();
    desk.service
        .change(&desk.ines, id, ChannelDecision::Test)
        .await
        .unwrap();
    let error = row().await.failed.unwrap().error;
    assert!(
        error.contains("550") && error.contains("nobody of this name here"),
        "{error}"
    );
    let told = desk.house.events("Notification tested").await;
    let outcomes: Vec<&str> = told.iter().map(|event| event.outcome.as_str()).collect();
    assert_eq!(outcomes, ["ok", "failed"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_password_is_never_given_to_another_mail_server_than_it_was_entered_for(pool: PgPool) {
    let desk = Desk::build(pool, |_| {}).await;
    let with_user = |host: &str| EmailForm {
        host: host.to_owned(),
        security: Security::Starttls,
        user_name: "rollcall".to_owned(),
        ..email_form(587)
    };
    let save = async |id, form, password: Option<&str>| {
        let password = password.map(|text| Secret::new(text.to_owned()));
        desk.service
            .save_email(&desk.ines, id, form, password)
            .await
    };
    let first = save(None, with_user("smtp.northmoor.example"), Some("hunter2")).await;
    let id = Some(first.unwrap());
    save(id, with_user("smtp.northmoor.example"), None)
        .await
        .unwrap();
    let moved = save(id, with_user("smtp.elsewhere.example"), None).await;
    assert_eq!(
        fields(&moved.unwrap_err()),
        [("password", FieldCode::Required)]
    );
    let mut wrong = email_form(0);
    wrong.host = "smtp northmoor".to_owned();
    wrong.sender = "nobody".to_owned();
    wrong.recipients = " , ".to_owned();
    let found = save(None, wrong, None).await.unwrap_err();
    let named: Vec<&str> = fields(&found).into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["host", "port", "sender", "recipients"]);

    // A name in public that leads inside, and plain text to somewhere else.
    let inside = EmailForm {
        security: Security::Tls,
        host: "10.1.2.3".to_owned(),
        ..email_form(465)
    };
    let id = save(None, inside, None).await.unwrap();
    desk.service
        .change(&desk.ines, id, ChannelDecision::Test)
        .await
        .unwrap();
    let page = desk
        .service
        .channel(&desk.ines, &id.to_string())
        .await
        .unwrap();
    let error = page.row.unwrap().failed.unwrap().error;
    assert!(error.contains("private network address"), "{error}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_digest_comes_once_a_day_with_the_figures_and_what_is_open(pool: PgPool) {
    let desk = Desk::build(pool, hold_everything).await;
    let (server, id) = desk.webhook(204).await;
    let form = WebhookForm {
        name: "On call".to_owned(),
        url: format!("{}/hook/secret-path", server.uri()),
        digest: true,
    };
    (desk.service.save_webhook(&desk.ines, Some(id), form))
        .await
        .unwrap();
    desk.service.save_digest_hour(&desk.ines, 13).await.unwrap();
    desk.house.run().await;
    desk.suspend(&desk.people(2));
    desk.house.run().await;
    assert_eq!(
        desk.told(&server).await,
        pairs(&[("cause.opened", "removals-held")])
    );
    let engine = &desk.house.engine;
    write_digests(engine).await.unwrap();
    assert_eq!(desk.told(&server).await, vec![], "it is noon");
    desk.house.pass(TimeDelta::hours(2));
    for _ in 0..2 {
        write_digests(engine).await.unwrap();
    }
    desk.deliver().await;
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "once");
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body["type"], "digest");
    let text = body["text"].as_str().unwrap();
    let created = desk.house.sandbox.account_count();
    assert!(text.contains("created") && created > 0, "{text}");
    assert!(
        text.contains("Held for review: 2.") && text.contains("wait for your word"),
        "{text}"
    );
}
