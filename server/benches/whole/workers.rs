//! The same work with one, two and four workers, over many apps.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::Options;
use crate::install::{AppSettings, Installation, block_on};
use crate::measure::seconds;
use crate::table::Table;
use crate::world::{Shape, World};

const APPS: usize = 20;
const PEOPLE: usize = 500;
const LATENCY: Duration = Duration::from_millis(100);

pub fn run(_: &Options, table: &mut Table) {
    let mut alone = None;
    for workers in [1, 2, 4] {
        let worlds: Vec<World> = (0..APPS)
            .map(|_| {
                World::start(Shape {
                    people: PEOPLE,
                    groups: 20,
                    latency: LATENCY,
                    per_minute: 0,
                })
            })
            .collect();
        let installation = Installation::new();
        let apps: Vec<AppSettings> = worlds
            .iter()
            .enumerate()
            .map(|(app, world)| AppSettings {
                concurrency: 4,
                base: Some(world.base.clone()),
                ..AppSettings::named(&format!("bench{app}"))
            })
            .collect();
        installation.configure(&worlds[0].base, &apps);
        let start = Instant::now();
        let running: Vec<Worker> = (0..workers).map(|_| Worker::start(&installation)).collect();
        let took = wait_for(&installation, start, APPS);
        drop(running);
        for world in &worlds {
            let seen = world.seen();
            assert_eq!(
                (seen.accounts, seen.writes),
                (PEOPLE as u64, PEOPLE as u64),
                "each account once"
            );
        }
        let alone = *alone.get_or_insert(took);
        table.row(
            &format!("{APPS} apps, {PEOPLE} people each, {workers} workers"),
            &seconds(took),
            &format!("{} with one", seconds(alone)),
            Some(took.as_secs_f64() / alone.as_secs_f64()),
        );
    }
}

/// A worker without a console; it ends with this.
pub struct Worker(Child);

impl Worker {
    pub fn start(installation: &Installation) -> Self {
        let mut command = installation.command(&["worker"]);
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Until so many runs have ended well.
fn wait_for(installation: &Installation, start: Instant, runs: usize) -> Duration {
    let database = installation.database.clone();
    block_on(async move {
        let mut db = PgConnection::connect(&database).await.unwrap();
        loop {
            let (ended, bad): (i64, i64) = sqlx::query_as(
                "SELECT count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state = 'failed') FROM runs",
            )
            .fetch_one(&mut db)
            .await
            .unwrap();
            assert_eq!(bad, 0, "runs failed");
            if usize::try_from(ended).unwrap() >= runs {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < Duration::from_secs(900),
                "the workers do not end"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}
