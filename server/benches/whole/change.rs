//! From a change in the directory to the app's write, when Google tells of it.

use std::time::{Duration, Instant};

use crate::Options;
use crate::console::Console;
use crate::install::Installation;
use crate::measure::seconds;
use crate::table::Table;

const TIMES: usize = 3;
/// Between two changes: those that are closer together go together.
const APART: Duration = Duration::from_secs(35);
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(options: &Options, table: &mut Table) {
    let people = options.most_people();
    let (installation, world) = Installation::of_company(people);
    let (_console, _) = Console::start(&installation, true);
    until("channels", || world.channels() == 4);
    let mut taken = Vec::new();
    for person in 0..TIMES {
        std::thread::sleep(APART);
        world.seen();
        let start = Instant::now();
        world.tell(person);
        until("write", || world.writes() > 0);
        taken.push(start.elapsed());
    }
    taken.sort();
    table.row(
        &format!("from a change of one of {people} people to the app's write, told by Google: median, worst"),
        &format!("{}, {}", seconds(taken[TIMES / 2]), seconds(taken[TIMES - 1])),
        "2 s, for which the first of a flock waits",
        None,
    );
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "no {what} came");
        std::thread::sleep(Duration::from_millis(10));
    }
}
