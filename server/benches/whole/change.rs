//! From a change in the directory to the app's write, told by Google and found by the next run; and
//! from the moment at which a step falls due.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::Options;
use crate::console::Console;
use crate::install::{AppSettings, Installation, block_on};
use crate::measure::seconds;
use crate::organization;
use crate::table::Table;
use crate::workers::Worker;
use crate::world::World;

const TIMES: usize = 3;
/// Between two changes that Google tells: those that are closer together go together.
const APART: Duration = Duration::from_secs(35);
/// How long after a run something changes, where runs come each minute.
const AFTER_A_RUN: [Duration; TIMES] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(50),
];
const PATIENCE: Duration = Duration::from_secs(180);

pub fn run(options: &Options, table: &mut Table) {
    let people = options.most_people();
    let (installation, world) = Installation::of_company(people);
    let console = Console::start(&installation, true).0;
    until("channels", || world.channels() == 4);
    let told = (0..TIMES).map(|person| {
        std::thread::sleep(APART);
        let start = Instant::now();
        world.seen();
        world.tell(person);
        written(&world, start)
    });
    row(
        table,
        &format!("from a change of one of {people} people to the app's write, told by Google"),
        told.collect(),
        "2 s, for which the first of a flock waits",
    );
    drop(console);

    installation.configure(
        &world.base,
        &[AppSettings {
            every_minutes: 1,
            ..AppSettings::named("bench")
        }],
    );
    let _worker = Worker::start(&installation);
    let found = AFTER_A_RUN.map(|pause| {
        std::thread::sleep(pause);
        let start = Instant::now();
        world.seen();
        world.change(1);
        written(&world, start)
    });
    row(
        table,
        "the same, found by a run, where runs come each minute",
        found.to_vec(),
        "60 s",
    );
    let suspended = [0, 1, 2].map(organization::id);
    (0..TIMES).for_each(|person| world.suspend(person));
    until("clock", || {
        suspended.iter().all(|id| is_seen(&installation, id))
    });
    let due = [0, 1, 2].map(|person: usize| {
        std::thread::sleep(AFTER_A_RUN[person]);
        let start = Instant::now();
        world.seen();
        fall_due(&installation, &suspended[person]);
        written(&world, start)
    });
    row(
        table,
        "from the time of a step to the app's write, where runs come each minute",
        due.to_vec(),
        "60 s",
    );
}

fn row(table: &mut Table, what: &str, mut taken: Vec<Duration>, against: &str) {
    taken.sort();
    let (median, worst) = (taken[taken.len() / 2], taken[taken.len() - 1]);
    let measured = format!("{}, {}", seconds(median), seconds(worst));
    table.row(
        &format!("{what}: median, worst of {}", taken.len()),
        &measured,
        against,
        None,
    );
}

fn written(world: &World, start: Instant) -> Duration {
    until("write", || world.writes() > 0);
    start.elapsed()
}

/// Whether a run saw that this person is suspended.
fn is_seen(installation: &Installation, person: &str) -> bool {
    let (database, person) = (installation.database.clone(), person.to_owned());
    block_on(async move {
        let mut db = PgConnection::connect(&database).await.unwrap();
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM lifecycles WHERE person_id = $1 AND next_due_at IS NOT NULL)",
        )
        .bind(person)
        .fetch_one(&mut db)
        .await
        .unwrap()
    })
}

/// Puts the beginning of somebody's suspension a day back, which is when their account is suspended.
fn fall_due(installation: &Installation, person: &str) {
    let (database, person) = (installation.database.clone(), person.to_owned());
    block_on(async move {
        let mut db = PgConnection::connect(&database).await.unwrap();
        let moved = sqlx::query(
            "UPDATE lifecycles
             SET next_due_at = now(),
                 lifecycle = jsonb_set(lifecycle, '{clocks,suspended,since}', to_jsonb(now() - interval '1 day'))
             WHERE person_id = $1 AND lifecycle #> '{clocks,suspended,since}' IS NOT NULL",
        )
        .bind(person)
        .execute(&mut db)
        .await
        .unwrap();
        assert_eq!(moved.rows_affected(), 1);
    });
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "no {what} came");
        std::thread::sleep(Duration::from_millis(10));
    }
}
