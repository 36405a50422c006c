//! S14.1: the first provisioning, against a generator that only posts the same bodies.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::Options;
use crate::install::{AppSettings, Installation};
use crate::measure::{self, mebibytes, seconds};
use crate::table::Table;
use crate::world::{Seen, Shape, World};

const PEOPLE: usize = 10_000;
const CONCURRENCY: u32 = 15;

pub fn run(_: &Options, table: &mut Table) {
    for latency in [Duration::from_millis(50), Duration::ZERO] {
        let world = World::start(Shape {
            people: PEOPLE,
            groups: 20,
            latency,
            per_minute: 0,
        });
        let installation = Installation::new();
        let app = AppSettings {
            concurrency: CONCURRENCY,
            ..AppSettings::named("bench")
        };
        installation.configure(&world.base, &[app]);
        world.seen();
        let ran = installation.sync("bench");
        let ours = world.seen();
        assert_eq!(ran.result["applied"]["create"], PEOPLE, "{}", ran.result);
        let generator = Command::new(std::env::current_exe().unwrap())
            .args(["role=post", &world.base, &CONCURRENCY.to_string()])
            .spawn()
            .unwrap();
        measure::until_end(generator);
        let bare = world.seen();
        let what = format!(
            "first provisioning of {PEOPLE} people, {CONCURRENCY} at once, app answers after {} ms",
            latency.as_millis()
        );
        table.row(
            &what,
            &format!("{:.0} creates/s", rate(&ours)),
            &format!("{:.0} posts/s by a bare generator", rate(&bare)),
            Some(rate(&ours) / rate(&bare)),
        );
        table.row(
            "the same run, whole",
            &format!(
                "{} CPU, {} peak, {}",
                seconds(ran.cost.cpu),
                mebibytes(ran.cost.peak_kib),
                seconds(ran.cost.wall)
            ),
            "",
            None,
        );
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn rate(seen: &Seen) -> f64 {
    seen.writes as f64 * 1000.0 / seen.write_millis.max(1) as f64
}

/// Posts what the app has got, again, and does nothing else.
pub async fn post(base: &str, concurrency: usize) {
    let client = reqwest::Client::new();
    let bodies: Vec<Value> = client
        .get(format!("{base}/bodies"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    client
        .get(format!("{base}/control/clear"))
        .send()
        .await
        .unwrap();
    let bodies: Arc<Vec<String>> = Arc::new(bodies.iter().map(Value::to_string).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let url = format!("{base}/scim/v2/Users");
    let mut posting = Vec::new();
    for _ in 0..concurrency {
        let (client, bodies, next, url) =
            (client.clone(), bodies.clone(), next.clone(), url.clone());
        posting.push(tokio::spawn(async move {
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = client
                    .post(&url)
                    .bearer_auth("bench")
                    .header("content-type", "application/scim+json")
                    .body(body.clone())
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), 201);
                answer.bytes().await.unwrap();
            }
        }));
    }
    for task in posting {
        task.await.unwrap();
    }
}
