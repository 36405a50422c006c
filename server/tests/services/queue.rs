//! What administrators decide in the console about the queue and about what is held (S6.7, S9.1).

use std::sync::Arc;

use crate::house::House;
use app::api::accounts::AccountsQuery;
use app::api::home::{Attention, AttentionKind};
use app::api::queue::{
    Chosen, DecidedSteps, HeldChoice, HeldDecision, HeldKey, Question, Queue, QueueQuery, Review,
    StepChoice, StepDecision, StepKey, StepKind, Waits, WaitsFor,
};
use app::api::terms::{AppStatus, Role, Trigger};
use app::api::{ApiError, ErrorCode};
use app::services::{
    Accounts as _, Actor, Assured, Autoprovisioning, HomePage as _, Removals as _, Wizard,
};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use chrono::TimeDelta;
use leptos::prelude::provide_context;
use provisioning::config::{AppConfig, PersonRef, Policy, Window};
use server::clock::Clock as _;
use server::http::{Site, Web, router};
use server::sandbox::ADMINISTRATOR;
use server::services::accounts::AccountsService;
use server::services::apps::AppServices;
use server::services::door::Scrutiny;
use server::services::home::HomeService;
use server::services::removals::RemovalsService;
use server::services::{compose, passwords};
use server::settings::Settings;
use server::store::administrators::{self, Administrator};
use server::store::measures;
use server::store::runs::{Run, RunState};
use sqlx::PgPool;
use tower::ServiceExt as _;
use uuid::Uuid;

const ASANA: &str = "asana";

struct Console {
    house: House,
    removals: RemovalsService,
    ines: Actor,
}

impl Console {
    async fn build(pool: PgPool, adapt: impl FnOnce(&mut AppConfig)) -> Self {
        let house = House::build_with(pool, |_| {}, adapt).await;
        house.run().await;
        Self {
            removals: RemovalsService {
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

    /// People who have an account, those whose names come first.
    fn people(&self, many: usize) -> Vec<String> {
        let mut people: Vec<String> = (self.house.sandbox.accounts().iter())
            .map(|account| account.user_name.clone())
            .filter(|email| email != ADMINISTRATOR)
            .filter(|email| {
                self.house.sandbox.directory(|directory| {
                    directory
                        .person(email)
                        .is_some_and(|person| person.suspended_at.is_none())
                })
            })
            .collect();
        people.sort();
        people.truncate(many);
        people
    }

    fn suspend(&self, people: &[String]) {
        for email in people {
            self.house
                .sandbox
                .change_directory(|directory, now| directory.suspend(email, now))
                .unwrap();
        }
    }

    async fn queue(&self) -> Queue {
        self.filtered(QueueQuery::default()).await
    }

    async fn filtered(&self, query: QueueQuery) -> Queue {
        let queue = self.removals.queue(&self.ines, ASANA, query, "UTC");
        queue.await.unwrap()
    }

    async fn ask(&self, choice: StepChoice, chosen: &Chosen) -> Question {
        let question = (self.removals).question(&self.ines, ASANA, choice, chosen.clone(), "UTC");
        question.await.unwrap()
    }

    async fn decide_many(
        &self,
        choice: StepChoice,
        chosen: &Chosen,
        version: &str,
    ) -> Result<DecidedSteps, ErrorCode> {
        let proof = Assured::in_demo(self.ines.clone()).proof();
        let decision = match choice {
            StepChoice::Cancel => StepDecision::Cancel,
            StepChoice::Hold => StepDecision::Hold,
            StepChoice::Release => StepDecision::Release,
            StepChoice::Now => StepDecision::Now(proof),
        };
        let chosen = chosen.clone();
        let decided =
            (self.removals).decide_steps(&self.ines, ASANA, decision, chosen, version, "UTC");
        decided.await.map_err(|error| error.code)
    }

    async fn review(&self) -> Review {
        self.removals.review(&self.ines, ASANA, 1).await.unwrap()
    }

    /// The keys of the queue's rows of a person, the earliest first.
    async fn keys(&self, email: &str) -> Vec<StepKey> {
        let rows = self.queue().await.rows.into_iter();
        rows.filter(|row| row.person.email == email)
            .map(|row| row.key)
            .collect()
    }

    async fn decide(&self, key: &StepKey, choice: StepChoice) -> Result<(), ErrorCode> {
        self.decide_many(choice, &only(key), "").await.map(|_| ())
    }

    async fn decide_held(
        &self,
        choice: HeldChoice,
        chosen: &[HeldKey],
        version: &str,
    ) -> Result<(), ApiError> {
        let proof = Assured::in_demo(self.ines.clone()).proof();
        let decision = match choice {
            HeldChoice::AllowSelected => HeldDecision::AllowSelected(proof),
            HeldChoice::AllowAll => HeldDecision::AllowAll(proof),
            HeldChoice::DismissAll => HeldDecision::DismissAll,
        };
        (self.removals)
            .decide_held(&self.ines, ASANA, decision, chosen, version)
            .await
    }

    /// Whoever signs an event of this name, one for each.
    async fn actors(&self, event: &str) -> Vec<String> {
        let rows = self.house.events(event).await.into_iter();
        rows.map(|row| row.actor).collect()
    }

    async fn wants_a_run(&self) -> bool {
        self.house.app().await.next_run_at <= Some(self.house.clock.now())
    }

    fn active(&self, email: &str) -> bool {
        self.house.sandbox.account(email).unwrap().active
    }
}

fn only(key: &StepKey) -> Chosen {
    Chosen {
        steps: vec![key.clone()],
        all: None,
    }
}

fn within(suspend: Option<Window>, delete: Option<Window>) -> Policy {
    Policy::new(suspend, delete).unwrap()
}

/// Four suspensions wait in an app that holds every removal.
async fn held(pool: PgPool) -> (Console, Vec<String>) {
    let console = Console::build(pool, |config| {
        config.deprovisioning.suspended = within(Some(Window::WITHIN_24_HOURS), None);
        config.safety.hold_max = 0;
    })
    .await;
    let people = console.people(4);
    console.suspend(&people);
    let run = console.house.run().await;
    assert_eq!((run.state, run.held), (RunState::Held, 4), "{run:?}");
    (console, people)
}

/// One suspension waits for a week, and the deletion after it for three.
async fn waiting(pool: PgPool) -> (Console, String) {
    let console = Console::build(pool, |config| {
        config.deprovisioning.suspended =
            within(Some(Window::SEVEN_DAYS), Some(Window::TWENTY_ONE_DAYS));
    })
    .await;
    let people = console.people(1);
    console.suspend(&people);
    console.house.run().await;
    (console, people.into_iter().next().unwrap())
}

fn suspended(run: &Run) -> (u64, i32) {
    (run.applied.suspend, run.held)
}

#[sqlx::test(migrations = "./migrations")]
async fn of_what_is_held_only_what_was_ticked_is_carried_out(pool: PgPool) {
    let (console, _) = held(pool).await;
    let review = console.review().await;
    assert_eq!((review.removals, review.creates), (4, 0));
    assert_eq!(review.rows.len(), 4);
    for row in &review.rows {
        assert!(
            row.why
                .iter()
                .any(|why| why.contains("removals in 24 hours")),
            "{row:?}"
        );
        assert!(row.due.is_some() && row.held_since.is_some(), "{row:?}");
    }
    let ticked = &review.rows[1..3];
    let chosen: Vec<HeldKey> = ticked.iter().map(|row| row.key.clone()).collect();
    console
        .decide_held(HeldChoice::AllowSelected, &chosen, "")
        .await
        .unwrap();
    assert!(console.wants_a_run().await);
    let by = vec![console.ines.email.clone(); 2];
    assert_eq!(console.actors("Hold approved").await, by);

    let run = console.house.run().await;
    assert_eq!(suspended(&run), (2, 2), "{run:?}");
    for row in &review.rows {
        let allowed = chosen.contains(&row.key);
        assert_eq!(console.active(&row.person.email), !allowed, "{row:?}");
    }
    assert_eq!(console.review().await.removals, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn allowing_all_allows_what_was_seen_and_nothing_that_came_since(pool: PgPool) {
    let (console, _) = held(pool).await;
    let seen = console.review().await.version;
    let more = console.people(1);
    console.suspend(&more);
    console.house.run().await;
    let refused = console
        .decide_held(HeldChoice::AllowAll, &[], &seen)
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    let review = console.review().await;
    assert_eq!(review.removals, 5, "nothing was allowed");
    console
        .decide_held(HeldChoice::AllowAll, &[], &review.version)
        .await
        .unwrap();
    assert_eq!(suspended(&console.house.run().await), (5, 0));
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_dismissed_is_neither_carried_out_nor_held_again(pool: PgPool) {
    let (console, people) = held(pool).await;
    let version = console.review().await.version;
    console
        .decide_held(HeldChoice::DismissAll, &[], &version)
        .await
        .unwrap();
    let by = vec![console.ines.email.clone(); 4];
    assert_eq!(console.actors("Hold dismissed").await, by);
    assert!(console.review().await.rows.is_empty());
    assert!(console.queue().await.rows.is_empty());
    assert_eq!(suspended(&console.house.run().await), (0, 0));
    assert!(people.iter().all(|email| console.active(email)));
}

#[sqlx::test(migrations = "./migrations")]
async fn allowing_needs_a_line_and_one_that_still_waits(pool: PgPool) {
    let (console, people) = held(pool).await;
    let nothing = console
        .decide_held(HeldChoice::AllowSelected, &[], "")
        .await
        .unwrap_err();
    assert_eq!(nothing.code, ErrorCode::Invalid);
    assert_eq!(nothing.fields[0].field, "chosen");

    let rows = console.review().await.rows;
    let chosen: Vec<HeldKey> = rows.iter().map(|row| row.key.clone()).collect();
    let first = rows[0].person.email.clone();
    assert!(people.contains(&first));
    (console.house.sandbox)
        .change_directory(|directory, _| directory.restore(&first))
        .unwrap();
    console.house.run().await;
    let refused = console
        .decide_held(HeldChoice::AllowSelected, &chosen[..1], "")
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    // Whose cause ended does not keep the others waiting.
    console
        .decide_held(HeldChoice::AllowSelected, &chosen, "")
        .await
        .unwrap();
    assert_eq!(suspended(&console.house.run().await), (3, 0));
}

#[sqlx::test(migrations = "./migrations")]
async fn everything_that_is_held_of_a_person_is_decided_by_deciding_about_all(pool: PgPool) {
    let console = Console::build(pool, |config| {
        config.deprovisioning.suspended = within(None, Some(Window::WITHIN_24_HOURS));
        config.deprovisioning.app_turned_off = within(Some(Window::WITHIN_24_HOURS), None);
        config.safety.hold_max = 0;
    })
    .await;
    let people = console.people(1);
    console.suspend(&people);
    console.house.run().await;
    console
        .house
        .change_config(|config| config.access.org_units.clear())
        .await;
    console.house.run().await;
    let review = console.review().await;
    let mut hers = 0;
    for page in 1..=review.paging.total.div_ceil(review.paging.per_page) {
        let page = console.removals.review(&console.ines, ASANA, page).await;
        let rows = page.unwrap().rows.into_iter();
        hers += rows.filter(|row| row.person.email == people[0]).count();
    }
    assert_eq!(hers, 2, "a step of each cause");
    console
        .decide_held(HeldChoice::DismissAll, &[], &review.version)
        .await
        .unwrap();
    assert_eq!(console.review().await.removals, 0);
    let told = console.actors("Hold dismissed").await.len();
    assert_eq!(u32::try_from(told).unwrap(), review.removals);
}

#[sqlx::test(migrations = "./migrations")]
async fn held_creates_are_listed_by_name_and_go_ahead_once_allowed(pool: PgPool) {
    let console = Console::build(pool, |config| config.safety.hold_creates = Some(5)).await;
    let review = console.review().await;
    assert_eq!(review.removals, 0);
    assert!(review.creates > 100, "{}", review.creates);
    assert_eq!(review.rows.len(), 100, "the first page");
    let first = &review.rows[0];
    assert_ne!(first.person.name, first.person.email);
    assert!(!first.why.is_empty());
    let chosen: Vec<HeldKey> = review
        .rows
        .iter()
        .take(7)
        .map(|row| row.key.clone())
        .collect();
    console
        .decide_held(HeldChoice::AllowSelected, &chosen, "")
        .await
        .unwrap();
    let run = console.house.run().await;
    assert_eq!(run.applied.create, 7, "{run:?}");
    let left = console.review().await;
    assert_eq!(left.creates, review.creates - 7);
    console
        .decide_held(HeldChoice::AllowAll, &[], &left.version)
        .await
        .unwrap();
    let run = console.house.run().await;
    assert_eq!(run.applied.create, u64::from(left.creates), "{run:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn before_an_app_is_turned_on_again_what_is_overdue_is_counted(pool: PgPool) {
    let (console, _) = waiting(pool).await;
    let engine = console.house.engine.clone();
    let apps = AppServices::new(engine.clone(), server::jobs::Queue::new(engine));
    let overdue = async || Wizard::review(&apps, ASANA).await.unwrap().overdue;
    assert_eq!(overdue().await, 0);
    console.house.clock.advance(TimeDelta::days(30));
    assert!(overdue().await > 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_step_that_was_cancelled_in_the_queue_never_comes(pool: PgPool) {
    let (console, email) = waiting(pool).await;
    for key in console.keys(&email).await {
        console.decide(&key, StepChoice::Cancel).await.unwrap();
    }
    let by = vec![console.ines.email.clone(); 2];
    assert_eq!(console.actors("Step cancelled").await, by);
    assert!(console.queue().await.rows.is_empty());
    console.house.pass(TimeDelta::days(30));
    assert_eq!(console.house.run().await.scim_writes, 0);
    assert!(console.active(&email));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_step_held_in_the_queue_waits_until_it_is_released(pool: PgPool) {
    let (console, email) = waiting(pool).await;
    let suspend = console.keys(&email).await.remove(0);
    console.decide(&suspend, StepChoice::Hold).await.unwrap();
    assert_eq!(
        console.decide(&suspend, StepChoice::Hold).await,
        Err(ErrorCode::Conflict)
    );
    assert_eq!(console.queue().await.rows[0].waits, Waits::Held);
    console.house.pass(TimeDelta::days(8));
    assert_eq!(console.house.run().await.applied.suspend, 0);

    console.decide(&suspend, StepChoice::Release).await.unwrap();
    assert!(console.wants_a_run().await);
    assert_eq!(console.actors("Step released").await.len(), 1);
    assert_eq!(console.house.run().await.applied.suspend, 1);
    assert!(!console.active(&email));
}

#[sqlx::test(migrations = "./migrations")]
async fn only_the_earliest_step_of_a_person_is_done_now_and_the_hold_lets_it_pass(pool: PgPool) {
    let (console, email) = waiting(pool).await;
    console
        .house
        .change_config(|config| config.safety.hold_max = 0)
        .await;
    let rows = console.queue().await.rows;
    let facts: Vec<_> = (rows.iter())
        .map(|row| (row.key.step, row.waits, row.earliest))
        .collect();
    assert_eq!(
        facts,
        [
            (StepKind::Suspend, Waits::Time, true),
            (StepKind::Delete, Waits::Suspension, false)
        ]
    );
    let (suspend, delete) = (&rows[0].key, &rows[1].key);
    let page = console.ask(StepChoice::Now, &only(delete)).await;
    assert_eq!((page.rows.len(), page.left_out_count), (0, 1), "{page:?}");
    assert_eq!(
        console.decide(delete, StepChoice::Now).await,
        Err(ErrorCode::Conflict)
    );
    let page = console.ask(StepChoice::Now, &only(suspend)).await;
    assert_eq!(page.rows[0].person.email, email);
    assert_eq!((page.suspensions, page.deletions), (1, 0));
    assert!(!page.does.is_empty() && page.may_decide);

    console.decide(suspend, StepChoice::Now).await.unwrap();
    assert!(console.wants_a_run().await);
    assert_eq!(console.queue().await.rows[0].waits, Waits::NextRun);
    let run = console.house.run().await;
    assert_eq!(suspended(&run), (1, 0), "{run:?}");
    assert!(!console.active(&email));
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_sees_both_lists_and_no_way_to_decide(pool: PgPool) {
    let (console, _) = held(pool).await;
    let auditor = Actor {
        role: Role::Auditor,
        ..console.ines.clone()
    };
    let queue = (console.removals)
        .queue(&auditor, ASANA, QueueQuery::default(), "UTC")
        .await
        .unwrap();
    let review = console.removals.review(&auditor, ASANA, 1).await.unwrap();
    assert_eq!((queue.rows.len(), review.rows.len()), (4, 4));
    assert!(!queue.may_decide && !review.may_decide);
    assert!(queue.rows.iter().all(|row| row.waits == Waits::Review));
    assert_eq!(queue.under_review, 4);
    assert_eq!(queue.rows[0].key.trigger, Trigger::Suspended);
    assert!(console.review().await.may_decide);
}

/// Suspensions of four people wait for a week, and the deletions after them for three.
async fn four_waiting(pool: PgPool) -> (Console, Vec<String>) {
    let console = Console::build(pool, |config| {
        config.deprovisioning.suspended =
            within(Some(Window::SEVEN_DAYS), Some(Window::TWENTY_ONE_DAYS));
    })
    .await;
    let people = console.people(4);
    console.suspend(&people);
    console.house.run().await;
    (console, people)
}

#[sqlx::test(migrations = "./migrations")]
async fn filters_narrow_the_queue_and_cancelled_steps_can_be_taken_up_again(pool: PgPool) {
    let (console, people) = four_waiting(pool).await;
    let suspensions = || QueueQuery {
        step: Some(StepKind::Suspend),
        ..QueueQuery::default()
    };
    assert_eq!(console.queue().await.paging.total, 8);
    assert_eq!(console.filtered(suspensions()).await.paging.total, 4);
    let hers = QueueQuery {
        q: Some(people[0].to_uppercase()),
        ..suspensions()
    };
    let hers = console.filtered(hers).await.rows;
    assert_eq!(hers.len(), 1);
    assert_eq!(hers[0].person.email, people[0]);
    let of = async |waits: WaitsFor| {
        let query = QueueQuery {
            waits: Some(waits),
            ..QueueQuery::default()
        };
        console.filtered(query).await.rows
    };
    assert_eq!(of(WaitsFor::Soon).await.len(), 0);
    console
        .decide(&hers[0].key, StepChoice::Cancel)
        .await
        .unwrap();
    assert_eq!(console.queue().await.all, 7);
    let cancelled = of(WaitsFor::Cancelled).await;
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0].key, hers[0].key);
    console
        .decide(&cancelled[0].key, StepChoice::Release)
        .await
        .unwrap();
    assert_eq!(console.queue().await.all, 8);
    console.house.pass(TimeDelta::days(7));
    assert_eq!(console.house.run().await.applied.suspend, 4);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_forecast_counts_each_step_once_on_its_day_and_the_day_lists_it(pool: PgPool) {
    let (console, people) = four_waiting(pool).await;
    let queue = console.queue().await;
    let (forecast, today) = (queue.forecast, console.house.clock.now().date_naive());
    assert_eq!(forecast.days.len(), 22);
    assert_eq!(forecast.days[0].day, today);
    let suspensions: Vec<u32> = forecast.days.iter().map(|day| day.suspensions).collect();
    assert_eq!(suspensions.iter().sum::<u32>(), 4);
    assert_eq!(suspensions[7], 4);
    assert_eq!(forecast.days[21].deletions, 4, "on the last day");
    let day = QueueQuery {
        day: Some(forecast.days[7].day),
        ..QueueQuery::default()
    };
    assert_eq!(console.filtered(day).await.rows.len(), 4);
    // Far in the east it is tomorrow already.
    let east = (console.removals)
        .queue(
            &console.ines,
            ASANA,
            QueueQuery::default(),
            "Pacific/Kiritimati",
        )
        .await
        .unwrap();
    assert_eq!(Some(east.forecast.days[0].day), today.succ_opt());
    assert_eq!(east.forecast.days[7].suspensions, 4);
    let held = console.keys(&people[0]).await.remove(0);
    console.decide(&held, StepChoice::Hold).await.unwrap();
    let forecast = console.queue().await.forecast;
    assert_eq!(forecast.days[7].suspensions, 3);
    assert_eq!(forecast.undated, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn many_steps_are_decided_at_once_and_only_those_that_were_seen(pool: PgPool) {
    let (console, people) = four_waiting(pool).await;
    let all = Chosen {
        steps: Vec::new(),
        all: Some(QueueQuery {
            step: Some(StepKind::Suspend),
            ..QueueQuery::default()
        }),
    };
    let question = console.ask(StepChoice::Hold, &all).await;
    assert_eq!((question.suspensions, question.deletions), (4, 0));
    let first = console.keys(&people[0]).await.remove(0);
    console.decide(&first, StepChoice::Hold).await.unwrap();
    let refused = console
        .decide_many(StepChoice::Hold, &all, &question.version)
        .await;
    assert_eq!(refused, Err(ErrorCode::Conflict), "one less than was seen");
    let question = console.ask(StepChoice::Hold, &all).await;
    assert_eq!((question.suspensions, question.left_out_count), (3, 1));
    let decided = console
        .decide_many(StepChoice::Hold, &all, &question.version)
        .await;
    assert_eq!(decided, Ok(DecidedSteps { done: 3, missed: 0 }));
    assert_eq!(console.actors("Step held").await.len(), 4);

    // Of those that are ticked, one that changed since does not keep the others from it.
    let mut steps = Vec::new();
    for email in &people {
        steps.push(console.keys(email).await.remove(0));
    }
    console
        .decide(&steps[0], StepChoice::Release)
        .await
        .unwrap();
    let ticked = Chosen { steps, all: None };
    let decided = console.decide_many(StepChoice::Release, &ticked, "").await;
    assert_eq!(decided, Ok(DecidedSteps { done: 3, missed: 1 }));
    let nothing = console
        .decide_many(StepChoice::Release, &Chosen::default(), "")
        .await;
    assert_eq!(nothing, Err(ErrorCode::Invalid));
}

/// The console over HTTP, with a cookie of its administrator.
async fn browser(console: &Console) -> (Router, String, tempfile::TempDir) {
    let (engine, site) = (&console.house.engine, tempfile::tempdir().unwrap());
    let services = compose::services(
        engine,
        &Settings::read(|_| Ok(None)).unwrap(),
        "http://h",
        Scrutiny::Demo,
        None,
    );
    let web = Web {
        pool: engine.pool.clone(),
        clock: engine.clock.clone(),
        provide: Arc::new(move || provide_context(services.clone())),
        downloads: Router::new(),
        hooks: Router::new(),
        site: Site::open(site.path()).unwrap(),
        metrics: server::telemetry::start_metrics().unwrap(),
        public_url: None,
        scrutiny: Scrutiny::Demo,
    };
    let ines = Administrator {
        id: console.ines.id,
        email: console.ines.email.clone(),
        role: administrators::Role::SuperAdministrator,
        created_at: console.house.clock.now(),
        last_sign_in: None,
    };
    let hash = passwords::hash("correct horse battery".into()).await;
    let mut db = engine.connection().await.unwrap();
    administrators::add(&mut db, &ines, &hash.unwrap())
        .await
        .unwrap();
    let router = router(&web).unwrap();
    let form = format!("email={}&password=correct+horse+battery", ines.email);
    let request = Request::post("/api/sign_in")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(Body::from(form));
    let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    (router, cookie, site)
}

async fn page(router: &Router, cookie: &str, path: &str) -> String {
    let request = Request::get(path)
        .header(header::COOKIE, cookie)
        .body(Body::empty());
    let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    String::from_utf8(body.unwrap().to_vec()).unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn the_pages_offer_the_decisions_as_plain_forms_and_only_to_those_who_may(pool: PgPool) {
    let (console, people) = held(pool).await;
    let (router, cookie, _site) = browser(&console).await;
    let review = console.review().await;
    let ticked = &review.rows[1..3];
    let selected = format!(
        "/apps/asana/review/allow-selected?chosen={}&chosen={}&chosen=create.gone",
        ticked[0].key, ticked[1].key
    );
    let pages = [
        "/apps/asana/review",
        "/apps/asana/review/allow",
        "/apps/asana/queue",
        &selected,
    ];
    let offers = [
        "name=\"chosen\"",
        "value=\"allow-all\"",
        "href=\"/apps/asana/review\"",
        "name=\"chosen[1]\"",
    ];
    for (path, offer) in pages.iter().zip(offers) {
        let body = page(&router, &cookie, path).await;
        assert!(body.contains(offer), "{path} has no {offer}");
        assert!(!body.contains(" style="), "{path}");
    }
    let body = page(&router, &cookie, pages[0]).await;
    assert!(people.iter().all(|email| body.contains(email.as_str())));
    assert!(body.contains("4 removals wait for your word"));
    assert!(
        !body.contains("/api/decide_held"),
        "allowing asks on a page of its own"
    );
    let question = page(&router, &cookie, &selected).await;
    assert!(question.contains("Allow 2 in Asana?") && question.contains("Suspend 2 accounts: "));
    for row in &review.rows {
        let named = question.contains(&row.person.name);
        assert_eq!(named, ticked.contains(row), "{row:?}");
    }
    let nobody = page(&router, &cookie, "/apps/asana/review/allow-selected").await;
    assert!(nobody.contains("Nobody is ticked") && !nobody.contains("/api/decide_held"));

    sqlx::query("UPDATE administrators SET role = 'auditor'")
        .execute(&console.house.engine.pool)
        .await
        .unwrap();
    for path in pages {
        let body = page(&router, &cookie, path).await;
        assert!(!body.contains("/api/decide_"), "{path}");
    }
    let body = page(&router, &cookie, pages[0]).await;
    assert!(people.iter().all(|email| body.contains(email.as_str())));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_step_that_waits_is_told_as_one_to_come_and_of_the_protected_not_at_all(pool: PgPool) {
    let (console, email) = waiting(pool).await;
    console.house.pass(TimeDelta::hours(24 * 6 + 12));
    let person = console.keys(&email).await[0].person.clone();
    let (router, cookie, _site) = browser(&console).await;
    let of_person = format!("/directory/people/{person}");
    let home = HomeService {
        engine: console.house.engine.clone(),
    };
    let accounts = AccountsService {
        engine: console.house.engine.clone(),
    };
    let row = async || {
        let query = AccountsQuery {
            q: Some(email.clone()),
            ..AccountsQuery::default()
        };
        let list = accounts.accounts(&console.ines, ASANA, query).await;
        list.unwrap().rows.pop().unwrap()
    };

    let body = page(&router, &cookie, &of_person).await;
    assert!(body.contains("Will be suspended") && body.contains("the account will be suspended"));
    let told = home.home(&console.ines).await.unwrap();
    assert_eq!((told.apps[0].due_in_24_hours, told.roll[0].leaving), (1, 1));
    assert!(row().await.next.is_some());

    let protected = PersonRef {
        id: None,
        email: email.clone(),
    };
    let change = |config: &mut AppConfig| config.safety.protected.push(protected);
    console.house.change_config(change).await;
    assert!(console.queue().await.rows.is_empty());
    let body = page(&router, &cookie, &of_person).await;
    assert!(body.contains("the account would be suspended, but it is protected"));
    assert!(!body.contains("Will be suspended") && !body.contains("Suspend at"));
    assert!(body.contains("protected, suspend will not be done"));
    let told = home.home(&console.ines).await.unwrap();
    assert_eq!((told.apps[0].due_in_24_hours, told.roll[0].leaving), (0, 0));
    let soon = |one: &Attention| matches!(one.kind, AttentionKind::DueSoon { .. });
    assert!(!told.attention.iter().any(soon), "{:?}", told.attention);
    assert_eq!(row().await.next, None);

    // Once its id is known, which an import finds out.
    console.house.run().await;
    let mut db = console.house.engine.connection().await.unwrap();
    let now = console.house.clock.now() + TimeDelta::days(9);
    let measured = measures::standings(&mut db, now).await.unwrap();
    assert_eq!(
        (measured[0].pending_removals, measured[0].oldest_overdue),
        (0, None)
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn suspended_accounts_are_told_apart_and_reasons_say_no_time_of_another_zone(pool: PgPool) {
    let console = Console::build(pool, |config| {
        config.deprovisioning.suspended = within(Some(Window::WITHIN_24_HOURS), None);
    })
    .await;
    console.suspend(&console.people(1));
    let run = console.house.run().await;
    assert_eq!(suspended(&run), (1, 0));
    let home = HomeService {
        engine: console.house.engine.clone(),
    };
    let told = home.home(&console.ines).await.unwrap();
    let active = (console.house.sandbox.accounts().iter())
        .filter(|account| account.active)
        .count();
    let app = &told.apps[0];
    assert_eq!(app.suspended, 1);
    assert!(app.accounts - app.suspended <= u32::try_from(active).unwrap());

    let (router, cookie, _site) = browser(&console).await;
    let body = page(
        &router,
        &cookie,
        &format!("/apps/asana/runs/{}", run.number),
    )
    .await;
    // The rules write it in UTC; the page makes an element of it, which the reader's zone is put into.
    assert!(body.contains("Suspended in Google, seen <"));
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_held_stays_in_sight_while_a_run_is_under_way_and_is_not_told_as_due(pool: PgPool) {
    let (console, _) = held(pool).await;
    let engine = console.house.engine.clone();
    let home = HomeService {
        engine: engine.clone(),
    };
    let apps = AppServices::new(engine.clone(), server::jobs::Queue::new(engine));
    console.house.queue().await;
    let told = home.home(&console.ines).await.unwrap();
    let status = &told.apps[0].status;
    assert!(matches!(status, AppStatus::Running { .. }), "{status:?}");
    let held = |one: &Attention| matches!(one.kind, AttentionKind::Held { removals: 4, .. });
    assert!(told.attention.iter().any(held), "{:?}", told.attention);

    let page = Autoprovisioning::overview(&apps, ASANA).await.unwrap();
    let page = page.configured.unwrap();
    assert!(page.running.is_some() && page.queue >= 4);
    assert_eq!((page.held, page.due_in_24_hours), (4, 0));
}
