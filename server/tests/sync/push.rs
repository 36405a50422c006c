//! Google's push: channels under a clock that is set, and what a notification leads to (S8.10).

use std::time::Duration;

use chrono::TimeDelta;
use provisioning::config::AppConfig;
use provisioning::identity::PersonId;
use server::clock::{Clock as _, SystemClock};
use server::http::push_routes;
use server::jobs::{self, Queue};
use server::sandbox::{Call, Channel, Failure, Fault};
use server::store::pages::Part;
use server::store::push::State;
use server::store::runs::{self, Run, RunState};
use server::store::{connection, push as stored};
use server::sync::push;
use server::sync::run::carry_out;
use sqlx::PgPool;
use url::Url;

use crate::house::House;

/// A small company whose Google can reach the installation.
async fn reachable(pool: PgPool) -> (House, Url) {
    jobs::migrate(&pool).await.unwrap();
    let mut house = House::build_with(pool, |sandbox| sandbox.people = 60, |_| {}).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    house.engine = house.engine.clone().reachable_at(&url, true);
    let routes = push_routes(house.engine.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (house, url.join(push::PATH).unwrap())
}

async fn state(house: &House) -> State {
    let mut db = house.engine.connection().await.unwrap();
    stored::state(&mut db, house.clock.now()).await.unwrap()
}

async fn is_due(house: &House) -> bool {
    push::is_due(&house.engine).await.unwrap()
}

async fn keep(house: &House) {
    push::keep(&house.engine).await.unwrap();
}

fn ids(channels: &[Channel]) -> Vec<String> {
    channels.iter().map(|channel| channel.id.clone()).collect()
}

/// Looks again until something holds. Each look is a query; it is bounded and sleeps for nothing.
async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), looking)
        .await
        .expect("it did not happen")
}

async fn waiting_hints(house: &House) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM graphile_worker.jobs WHERE key = 'push:hint'")
        .fetch_one(&house.engine.pool)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn each_kind_of_change_has_a_channel_and_it_is_known_until_when(pool: PgPool) {
    let (house, address) = reachable(pool).await;
    assert!(is_due(&house).await);
    keep(&house).await;
    let channels = house.sandbox.channels();
    let mut events: Vec<&str> = channels.iter().map(|one| one.event.as_str()).collect();
    events.sort_unstable();
    assert_eq!(events, ["add", "delete", "undelete", "update"]);
    assert!(channels.iter().all(|one| one.address == address.as_str()));
    let state = state(&house).await;
    assert_eq!(state.until, Some(house.clock.now() + TimeDelta::hours(6)));
    assert_eq!(state.problem, None);
    assert!(!is_due(&house).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn channels_are_renewed_well_before_they_lapse_and_the_old_ones_are_stopped(pool: PgPool) {
    let (house, _) = reachable(pool).await;
    keep(&house).await;
    let first = ids(&house.sandbox.channels());
    house.pass(TimeDelta::hours(4));
    assert!(!is_due(&house).await);
    house.pass(TimeDelta::minutes(45));
    assert!(is_due(&house).await, "an hour before the end it is time");
    keep(&house).await;
    let second = house.sandbox.channels();
    assert_eq!(second.len(), 4, "the old ones are stopped");
    assert!(second.iter().all(|one| !first.contains(&one.id)));
    assert_eq!(house.sandbox.count(Call::ChannelStop), 4);
    assert!(!is_due(&house).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn channels_that_lapsed_while_nothing_ran_are_opened_anew(pool: PgPool) {
    let (house, _) = reachable(pool).await;
    keep(&house).await;
    let first = ids(&house.sandbox.channels());
    house.pass(TimeDelta::days(3));
    assert_eq!(state(&house).await.until, None);
    assert!(is_due(&house).await);
    keep(&house).await;
    let second = house.sandbox.channels();
    assert_eq!(second.len(), 4);
    assert!(second.iter().all(|one| !first.contains(&one.id)));
    assert_eq!(
        house.sandbox.count(Call::ChannelStop),
        0,
        "what lapsed needs no end"
    );
    assert!(!is_due(&house).await);
}

#[sqlx::test(migrations = "./migrations")]
async fn google_opening_no_channel_leaves_the_polling_and_says_so(pool: PgPool) {
    let (house, _) = reachable(pool).await;
    house
        .sandbox
        .inject(Fault::always(Call::UsersWatch, Failure::Forbidden));
    keep(&house).await;
    let refused = state(&house).await;
    assert_eq!(refused.until, None);
    assert!(refused.problem.unwrap().contains("not allowed"));
    assert!(!is_due(&house).await, "it is not tried all the time");
    assert_eq!(house.run().await.state, RunState::Completed);
    house.sandbox.clear_faults();
    house.pass(TimeDelta::minutes(61));
    assert!(is_due(&house).await);
    keep(&house).await;
    let state = state(&house).await;
    assert!(state.until.is_some() && state.problem.is_none());
}

#[sqlx::test(migrations = "./migrations")]
async fn another_connection_has_channels_of_its_own(pool: PgPool) {
    let (house, _) = reachable(pool).await;
    keep(&house).await;
    let first = ids(&house.sandbox.channels());
    let mut db = house.engine.connection().await.unwrap();
    let saved = connection::read(&mut db).await.unwrap().unwrap();
    let settings = connection::ConnectionSettings {
        endpoint: saved.endpoint,
        token_uri: saved.token_uri,
        admin_email: saved.admin_email,
        customer: "my_customer".to_owned(),
        client_email: saved.client_email,
        client_id: "1".to_owned(),
    };
    connection::save(&mut db, &settings, house.clock.now(), "test")
        .await
        .unwrap();
    drop(db);
    assert!(is_due(&house).await);
    keep(&house).await;
    let second = house.sandbox.channels();
    assert_eq!(second.len(), 4);
    assert!(second.iter().all(|one| !first.contains(&one.id)));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_wrong_token_is_refused_and_an_unknown_channel_not_found(pool: PgPool) {
    let (house, address) = reachable(pool).await;
    keep(&house).await;
    let channels = house.sandbox.channels();
    let (one, other) = (&channels[0], &channels[1]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |id: &str, token: Option<&str>| {
        let mut request = client
            .post(address.clone())
            .header("X-Goog-Channel-ID", id)
            .header("X-Goog-Resource-State", "update");
        if let Some(token) = token {
            request = request.header("X-Goog-Channel-Token", token);
        }
        request.send().await.unwrap().status().as_u16()
    };
    for wrong in [None, Some(""), Some("nonsense"), Some(&*other.token)] {
        assert_eq!(post(&one.id, wrong).await, 403, "{wrong:?}");
    }
    let unknown = uuid::Uuid::new_v4().to_string();
    assert_eq!(post(&unknown, Some(&one.token)).await, 404);
    assert_eq!(post("nonsense", Some(&one.token)).await, 404);
    assert_eq!(waiting_hints(&house).await, 0);
    assert_eq!(post(&one.id, Some(&one.token)).await, 200);
    assert_eq!(waiting_hints(&house).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn many_changes_at_once_are_one_hint_and_an_opened_channel_is_none(pool: PgPool) {
    let (house, address) = reachable(pool).await;
    keep(&house).await;
    let channel = house.sandbox.channels().remove(0);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for state in ["sync", "update", "update", "update"] {
        let sent = client
            .post(address.clone())
            .header("X-Goog-Channel-ID", &channel.id)
            .header("X-Goog-Channel-Token", &channel.token)
            .header("X-Goog-Resource-State", state)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status().as_u16(), 200);
        let expected = i64::from(state != "sync");
        assert_eq!(waiting_hints(&house).await, expected, "after {state}");
    }
}

/// The run that waits or is under way, for these directory ids only.
async fn hinted(house: &House) -> Option<Vec<String>> {
    let mut db = house.engine.connection().await.unwrap();
    let run = runs::active(&mut db, house.app).await.unwrap()?;
    let people = run.only_people.into_iter().map(PersonId::into_string);
    Some(people.collect())
}

#[sqlx::test(migrations = "./migrations")]
async fn hints_wait_for_the_run_under_way_and_many_of_them_mean_everybody(pool: PgPool) {
    let (house, _) = reachable(pool).await;
    house.run().await;
    let queue = Queue::new(house.engine.clone());
    let hint = async |id: &str| queue.hint(Some(&PersonId::from(id))).await.unwrap();
    let carry_out_active = async || {
        let mut db = house.engine.connection().await.unwrap();
        let run = runs::active(&mut db, house.app).await.unwrap().unwrap().id;
        drop(db);
        carry_out(&house.engine.counting_anew(), run).await.unwrap();
    };
    hint("102").await;
    hint("101").await;
    hint("102").await;
    queue.take_hint().await.unwrap();
    assert_eq!(hinted(&house).await.unwrap(), ["101", "102"]);
    hint("103").await;
    queue.take_hint().await.unwrap();
    assert_eq!(
        hinted(&house).await.unwrap(),
        ["101", "102"],
        "one run at a time"
    );
    // Google knows none of them, which ends nothing.
    carry_out_active().await;
    queue.take_hint().await.unwrap();
    assert_eq!(hinted(&house).await.unwrap(), ["103"]);
    carry_out_active().await;
    queue.take_hint().await.unwrap();
    assert_eq!(hinted(&house).await, None, "each hint leads to one run");

    for id in 0..30 {
        hint(&id.to_string()).await;
    }
    queue.take_hint().await.unwrap();
    assert_eq!(hinted(&house).await.unwrap(), Vec::<String>::new());
    carry_out_active().await;
    queue.hint(None).await.unwrap();
    queue.take_hint().await.unwrap();
    assert_eq!(hinted(&house).await.unwrap(), Vec::<String>::new());
    carry_out_active().await;
    let ceiling = |config: &mut AppConfig| config.safety.hold_creates = Some(3);
    house.change_config(ceiling).await;
    hint("101").await;
    queue.take_hint().await.unwrap();
    let everybody = Vec::<String>::new();
    assert_eq!(
        hinted(&house).await.unwrap(),
        everybody,
        "a ceiling weighs all of them"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_in_google_reaches_the_app_by_reading_that_person_and_nobody_else(pool: PgPool) {
    let (house, _) = reachable(pool).await;
    // The job engine follows the machine's clock, and the next scheduled run shall be an hour off.
    house.pass(SystemClock.now() - house.clock.now());
    let worker = tokio::spawn(jobs::work(house.engine.clone()));
    let runs_over = async || -> Vec<Run> {
        let mut db = house.engine.connection().await.unwrap();
        let part = Part {
            limit: 100,
            offset: 0,
        };
        let all = runs::page(&mut db, house.app, part).await.unwrap();
        all.into_iter().filter(|run| run.state.is_over()).collect()
    };
    let first = until(async || runs_over().await.pop()).await;
    assert_eq!(first.state, RunState::Completed, "{first:?}");
    until(async || state(&house).await.until).await;
    let email = house.sandbox.recorded().into_iter().find_map(|call| {
        let name = call.body.get("userName")?.as_str()?;
        (call.method == "POST").then(|| name.to_owned())
    });
    let email = email.unwrap();
    let listings = house.sandbox.count(Call::UsersList);
    house
        .sandbox
        .change_directory(|directory, _| directory.set_title(&email, Some("Told at once")))
        .unwrap();
    let hinted = until(async || {
        let runs = runs_over().await;
        runs.into_iter().find(|run| run.actor == "Google push")
    })
    .await;
    assert_eq!(
        (hinted.state, hinted.applied.update),
        (RunState::Completed, 1)
    );
    let account = house.sandbox.account(&email).unwrap();
    assert_eq!(account.title(), Some("Told at once"));
    assert_eq!(hinted.only_people.len(), 1);
    assert_eq!(house.sandbox.count(Call::UsersList), listings);
    house.engine.shutdown().cancel();
    worker.await.unwrap().unwrap();
}
