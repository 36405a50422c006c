//! What Rollcall costs, as ratios against baselines that are measured in the same run.
//!
//! The measured program is the real one, in a process of its own, so that its CPU time and memory
//! are its alone; directory and app are another process. Nothing fails on time.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark whose data is wrong shall stop"
)]

mod change;
mod console;
mod growth;
mod install;
mod log;
mod measure;
mod organization;
mod pace;
mod provisioning;
mod quiet;
mod table;
mod workers;
mod world;

use std::ffi::OsString;
use std::process::Command;

use table::Table;

/// Which benchmarks there are, in the order in which they run.
const ALL: [&str; 6] = ["provisioning", "quiet", "pace", "workers", "change", "log"];

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<String> = arguments
        .iter()
        .filter_map(|word| word.to_str().map(str::to_owned))
        // Cargo says so to every benchmark.
        .filter(|word| word != "--bench")
        .collect();
    if let Some((role, rest)) = words.split_first()
        && let Some(role) = role.strip_prefix("role=")
    {
        server::connectors::install_crypto();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            match role {
                "world" => world::serve(rest).await,
                "read" => quiet::read(&rest[0]).await,
                "post" => provisioning::post(&rest[0], rest[1].parse().unwrap()).await,
                other => panic!("there is no role {other}"),
            }
        });
        return;
    }
    let options = Options::parse(&words);
    if std::env::var_os("DATABASE_URL").is_none() {
        // Postgres is nobody's child here, so that its time is not counted as ours.
        let status = Command::new(install::PROGRAM)
            .args(["database", "--throw-away", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(&words)
            .status()
            .unwrap();
        std::process::exit(status.code().unwrap_or(1));
    }
    let mut table = Table::new();
    for name in ALL {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        table.heading(name);
        match name {
            "provisioning" => provisioning::run(&options, &mut table),
            "quiet" => quiet::run(&options, &mut table),
            "pace" => pace::run(&options, &mut table),
            "workers" => workers::run(&options, &mut table),
            "change" => change::run(&options, &mut table),
            _ => log::run(&options, &mut table),
        }
    }
    table.write(&options.file);
}

/// What to measure, and how much of it.
#[derive(Debug)]
pub struct Options {
    only: Vec<String>,
    /// People of each size that is measured in full.
    people: Vec<usize>,
    events: i64,
    /// Requests a minute that the app allows.
    rates: Vec<u32>,
    file: String,
    /// Where the growth of a run without a change is drawn.
    picture: Option<String>,
}

impl Options {
    fn parse(words: &[String]) -> Self {
        let mut options = Self {
            only: Vec::new(),
            people: vec![1_000, 10_000, 100_000],
            events: 1_000_000,
            rates: vec![150, 1_500, 15_000],
            file: "bench.md".to_owned(),
            picture: None,
        };
        for word in words {
            match word.split_once('=') {
                None => options.only.push(word.clone()),
                Some(("people", list)) => options.people = numbers(list),
                Some(("events", number)) => options.events = number.parse().unwrap(),
                Some(("rates", list)) => options.rates = numbers(list),
                Some(("file", path)) => options.file = path.to_owned(),
                Some(("picture", path)) => options.picture = Some(path.to_owned()),
                Some((other, _)) => panic!("there is no option {other}"),
            }
        }
        for only in &options.only {
            assert!(ALL.contains(&only.as_str()), "there is no benchmark {only}");
        }
        options
    }
}

impl Options {
    /// For what is measured at one size.
    pub fn most_people(&self) -> usize {
        let most = self.people.iter().copied().max();
        most.unwrap_or(0).min(100_000)
    }
}

fn numbers<N: std::str::FromStr>(list: &str) -> Vec<N> {
    list.split(',')
        .map(|number| match number.replace('_', "").parse() {
            Ok(number) => number,
            Err(_) => panic!("{number} is not a number"),
        })
        .collect()
}
