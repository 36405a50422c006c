//! S14.2: a run in which nothing changed, against reading and parsing the same pages with serde
//! alone; and runs in which a few people changed.

use std::process::Command;

use serde_json::Value;

use crate::Options;
use crate::growth::{self, Point};
use crate::install::{AppSettings, Installation};
use crate::measure::{self, mebibytes, seconds};
use crate::table::Table;
use crate::world::{Shape, World};

const GROUPS: usize = 2_000;
/// Runs of each kind; the median counts.
const ROUNDS: usize = 3;

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub fn run(options: &Options, table: &mut Table) {
    let mut points = Vec::new();
    for &people in &options.people {
        let world = World::start(Shape {
            people,
            groups: GROUPS,
            latency: std::time::Duration::ZERO,
            per_minute: 0,
        });
        let installation = Installation::new();
        let app = AppSettings {
            concurrency: 32,
            ..AppSettings::named("bench")
        };
        installation.configure(&world.base, &[app]);
        let first = installation.sync("bench");
        assert_eq!(
            first.result["applied"]["create"], people,
            "{}",
            first.result
        );
        table.row(
            &format!("first provisioning of {people} people: creates/s, CPU, memory"),
            &format!(
                "{:.0}/s, {}, {} peak",
                people as f64 / first.cost.wall.as_secs_f64(),
                seconds(first.cost.cpu),
                mebibytes(first.cost.peak_kib)
            ),
            "",
            None,
        );
        // The first run after the first plan makes the database's statistics and the caches warm.
        installation.sync("bench");
        world.seen();
        let reading = median((0..ROUNDS).map(|_| {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["role=read", &world.base])
                .spawn()
                .unwrap();
            measure::until_end(child)
        }));
        world.seen();
        let mut requests = Value::Null;
        let quiet = median((0..ROUNDS).map(|_| {
            let ran = installation.sync("bench");
            assert_eq!(ran.result["plan"]["unchanged"], people, "{}", ran.result);
            requests = ran.result["requests"].clone();
            ran.cost
        }));
        let seen = world.seen();
        points.push(Point {
            people,
            ours: quiet.cpu.as_secs_f64(),
            against: reading.cpu.as_secs_f64(),
            mebibytes: measure::ratio(quiet.peak_kib, 1024),
        });
        table.row(
            &format!("run without a change, {people} people, {GROUPS} groups: CPU"),
            &seconds(quiet.cpu),
            &format!("{} to read and parse the same pages", seconds(reading.cpu)),
            Some(quiet.cpu.as_secs_f64() / reading.cpu.as_secs_f64().max(0.01)),
        );
        table.row(
            &format!("… {people} people: time, memory"),
            &format!(
                "{}, {} peak",
                seconds(quiet.wall),
                mebibytes(quiet.peak_kib)
            ),
            &format!(
                "{}, {} peak",
                seconds(reading.wall),
                mebibytes(reading.peak_kib)
            ),
            Some(quiet.wall.as_secs_f64() / reading.wall.as_secs_f64().max(0.01)),
        );
        table.row(
            &format!("… {people} people: requests"),
            &format!("{} to the app, {requests}", seen.reads + seen.writes),
            &format!("{} pages of 500", people.div_ceil(500)),
            None,
        );
        let (events, others) = installation.carried();
        table.row(
            &format!("… {people} people: what Postgres carries"),
            &format!(
                "{:.0} bytes a person, {:.0} for the events of its first run",
                others as f64 / people as f64,
                events as f64 / people as f64
            ),
            "",
            None,
        );
        for changed in [1, 10, 100, 1_000] {
            if changed > people {
                continue;
            }
            world.change(changed);
            let ran = installation.sync("bench");
            assert_eq!(ran.result["applied"]["update"], changed, "{}", ran.result);
            table.row(
                &format!("… {people} people, {changed} changed: CPU"),
                &format!("{}, {}", seconds(ran.cost.cpu), seconds(ran.cost.wall)),
                &format!("{} without a change", seconds(quiet.cpu)),
                Some(ran.cost.cpu.as_secs_f64() / quiet.cpu.as_secs_f64().max(0.01)),
            );
        }
        if let (Some(file), true) = (&options.picture, points.len() > 1) {
            std::fs::write(file, growth::picture(&points)).unwrap();
        }
    }
}

fn median(costs: impl Iterator<Item = measure::Cost>) -> measure::Cost {
    let mut costs: Vec<_> = costs.collect();
    costs.sort_by_key(|cost| cost.cpu);
    costs[costs.len() / 2]
}

/// Gets a token and every page that a run reads, and parses each with serde.
pub async fn read(base: &str) {
    let client = reqwest::Client::new();
    let api = format!("{base}/admin/directory/v1");
    client.post(format!("{base}/token")).send().await.unwrap();
    for small in [
        "/customers/my_customer",
        "/customer/my_customer/orgunits?type=all",
        "/customer/my_customer/domains",
    ] {
        get(&client, &format!("{api}{small}")).await;
    }
    let users = format!("{api}/users?customer=my_customer&projection=full&maxResults=500");
    let groups = format!("{api}/groups?customer=my_customer&maxResults=200");
    for listing in [groups, users.clone(), format!("{users}&showDeleted=true")] {
        let mut token = None;
        loop {
            let page = match &token {
                None => get(&client, &listing).await,
                Some(token) => get(&client, &format!("{listing}&pageToken={token}")).await,
            };
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
    }
}

async fn get(client: &reqwest::Client, url: &str) -> Value {
    let answer = client.get(url).bearer_auth("bench").send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}
