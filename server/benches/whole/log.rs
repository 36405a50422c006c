//! S14.4 to S14.6: pages of the audit log, whatever it is narrowed to, and its figures and exports.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use app::api::audit::AuditQuery;
use app::api::terms::Role;
use app::services::{Actor, Audit as _};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use server::clock::SystemClock;
use server::connectors::{Outgoing, TargetPolicy};
use server::secrets::{SecretKey, Vault};
use server::services::audit::AuditService;
use server::store::events;
use server::sync::Engine;
use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::Options;
use crate::console;
use crate::install::{Installation, block_on};
use crate::measure::{self, millis, percentile, seconds};
use crate::table::Table;

/// Events that are written in one statement.
const CHUNK: i64 = 500_000;
/// Times that each page is asked for, each time narrowed to something else.
const TIMES: i64 = 12;
const TARGET: Duration = Duration::from_millis(50);

pub fn run(options: &Options, table: &mut Table) {
    let all = options.events;
    let people = options.most_people();
    let (installation, world) = Installation::of_company(people);
    drop(world);
    let started = Instant::now();
    fill(&installation.database, all);
    println!("{all} events written in {}", seconds(started.elapsed()));

    let service = block_on(service(installation.database.clone()));
    let actor = Actor {
        id: Uuid::from_u128(1),
        email: "ines@bench.example".to_owned(),
        role: Role::Auditor,
    };
    let filters = narrowed();
    let mut slowest: Vec<(Duration, String)> = Vec::new();
    let mut every = Vec::new();
    for (name, parts) in &filters {
        for place in ["first", "middle", "last"] {
            let mut taken = Vec::new();
            for time in 0..TIMES {
                let mut query: Map<String, Value> = parts
                    .iter()
                    .map(|part| ((*part).to_owned(), value(part, time, all)))
                    .collect();
                match place {
                    "middle" => {
                        drop(query.insert("before".into(), json!((all / 2 + time).to_string())))
                    }
                    "last" => drop(query.insert("after".into(), json!("1"))),
                    _ => {}
                }
                let query: AuditQuery = serde_json::from_value(Value::Object(query)).unwrap();
                let (asked, actor) = (service.clone(), actor.clone());
                taken.push(block_on(async move {
                    let start = Instant::now();
                    asked.events(&actor, query, "Europe/Berlin").await.unwrap();
                    start.elapsed()
                }));
            }
            taken.sort();
            every.extend(taken.iter().copied());
            slowest.push((percentile(&taken, 0.95), format!("{name}, {place} page")));
        }
    }
    every.sort();
    let pages = filters.len() * 3;
    table.row(
        &format!("any of {pages} pages of {all} events: p50, p95"),
        &format!(
            "{}, {}",
            millis(percentile(&every, 0.5)),
            millis(percentile(&every, 0.95))
        ),
        "50.0 ms",
        Some(percentile(&every, 0.95).as_secs_f64() / TARGET.as_secs_f64()),
    );
    slowest.sort();
    let slow = slowest.iter().filter(|(taken, _)| *taken > TARGET).count();
    table.row(
        &format!("kinds of pages whose slowest of {TIMES} took longer"),
        &format!("{slow} of {pages}"),
        "",
        None,
    );
    for (taken, name) in slowest.iter().rev().take(8) {
        table.row(
            &format!("among the slowest: {name}"),
            &millis(*taken),
            "50.0 ms",
            Some(taken.as_secs_f64() / TARGET.as_secs_f64()),
        );
    }
    export(&installation, all, table);
    usage(&installation.database, table);
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    table.row(
        &format!("what Postgres carries of {all} events, indexes and seals included"),
        &format!(
            "{:.0} bytes an event",
            installation.carried().0 as f64 / all as f64
        ),
        "",
        None,
    );
    let what = format!("{people} people, {all} events");
    console::run(&installation, &what, table);
}

/// No filter, each one, and each pair.
fn narrowed() -> BTreeMap<String, Vec<&'static str>> {
    let parts = [
        "event", "app", "person", "actor", "outcome", "run", "from", "q",
    ];
    let mut filters = BTreeMap::from([("no filter".to_owned(), Vec::new())]);
    for (at, part) in parts.iter().enumerate() {
        filters.insert((*part).to_owned(), vec![*part]);
        for other in &parts[at + 1..] {
            filters.insert(format!("{part} and {other}"), vec![*part, *other]);
        }
    }
    filters
}

/// What a filter asks for: the common, the rare and what is not there.
fn value(part: &str, time: i64, all: i64) -> Value {
    match part {
        "event" => json!(
            [
                "update-auto-provisioned-user",
                "create-user-by-auto-provisioning",
                "suspend-auto-provisioned-user",
                "signed-in",
            ][usize::try_from(time % 4).unwrap()]
        ),
        "app" => json!(format!("app{}", time % 10)),
        "person" => json!(format!("p{}@bench.example", time * 911 % 100_000)),
        "actor" => json!(["Rollcall", "admin3@bench.example"][usize::try_from(time % 2).unwrap()]),
        "outcome" => json!(["ok", "failed"][usize::try_from(time % 2).unwrap()]),
        "run" => json!(uuid(time * 7919 % (all / 500))),
        "from" => json!("2026-03-01"),
        _ => json!(
            [
                "p4242@bench".to_owned(),
                "quota".to_owned(),
                "title".to_owned(),
                format!("a{}", all / 3),
                "nobody writes this".to_owned(),
            ][usize::try_from(time % 5).unwrap()]
        ),
    }
}

fn uuid(n: i64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// A year of events, as a company of 100,000 people and ten apps writes them.
fn fill(database: &str, all: i64) {
    let database = database.to_owned();
    block_on(async move {
        let mut db = PgConnection::connect(&database).await.unwrap();
        sqlx::raw_sql(
            "SELECT ensure_event_partition(month)
             FROM generate_series('2026-01-01'::timestamptz, '2026-12-01', '1 month') AS month",
        )
        .execute(&mut db)
        .await
        .unwrap();
        for from in (0..all).step_by(usize::try_from(CHUNK).unwrap()) {
            sqlx::query(
                "INSERT INTO events (time, event, outcome, actor, app, person_id, person_email,
                                     account_id, run_id, reason, changes, error, detail)
                 SELECT '2026-01-01'::timestamptz + interval '330 days' * (n::float8 / $3),
                        CASE WHEN n % 1000 < 2 THEN 'Signed In'
                             WHEN n % 100 < 12 THEN 'Create User By Auto Provisioning'
                             WHEN n % 100 < 15 THEN 'Suspend Auto Provisioned User'
                             ELSE 'Update Auto Provisioned User' END,
                        CASE WHEN n % 200 = 7 THEN 'failed' ELSE 'ok' END,
                        CASE WHEN n % 1000 < 2 THEN 'admin' || n % 5 || '@bench.example' ELSE 'Rollcall' END,
                        'app' || n / 500 % 10,
                        'id' || n * 7 % 100000,
                        'p' || n * 7 % 100000 || '@bench.example',
                        'a' || n,
                        ('00000000-0000-4000-8000-' || lpad(to_hex(n / 500), 12, '0'))::uuid,
                        'The title changed',
                        '[{\"path\": \"title\", \"old\": \"Engineer\", \"new\": \"Designer\"}]',
                        CASE WHEN n % 200 = 7 THEN
                            '{\"code\": \"rejected\", \"message\": \"The app refused the value: quota\"}'::jsonb END,
                        '{\"request\": \"PATCH /Users/1\", \"response\": \"200\"}'
                 FROM generate_series($1, $2 - 1) AS n",
            )
            .bind(from)
            .bind((from + CHUNK).min(all))
            .bind(all)
            .execute(&mut db)
            .await
            .unwrap();
            println!("{} events", (from + CHUNK).min(all));
        }
        sqlx::raw_sql("VACUUM (ANALYZE) events")
            .execute(&mut db)
            .await
            .unwrap();
    });
}

async fn service(database: String) -> Arc<AuditService> {
    let pool = PgPool::connect(&database).await.unwrap();
    let outgoing = Outgoing::new(TargetPolicy {
        allow_loopback: true,
        allow_private: false,
    })
    .unwrap();
    let vault = Vault::new(SecretKey::from_bytes(Zeroizing::new([7; 32])));
    Arc::new(AuditService {
        engine: Engine::new(pool, Arc::new(SystemClock), vault, outgoing),
    })
}

fn usage(database: &str, table: &mut Table) {
    let database = database.to_owned();
    let taken = block_on(async move {
        let mut db = PgConnection::connect(&database).await.unwrap();
        let start: DateTime<Utc> = "2026-10-20T00:00:00Z".parse().unwrap();
        let days: Vec<DateTime<Utc>> = (0..=30).map(|day| start + TimeDelta::days(day)).collect();
        let mut taken = Vec::new();
        for app in 0..10 {
            let start = Instant::now();
            events::totals_by_day(&mut db, &format!("app{app}"), &days)
                .await
                .unwrap();
            taken.push(start.elapsed());
        }
        taken.sort();
        taken
    });
    table.row(
        "usage of one app, 30 days by day: p50, p95",
        &format!(
            "{}, {}",
            millis(percentile(&taken, 0.5)),
            millis(percentile(&taken, 0.95))
        ),
        "",
        None,
    );
}

/// A month of one app, with the sealing that comes before it.
fn export(installation: &Installation, all: i64, table: &mut Table) {
    for (what, arguments) in [
        (
            "sealing everything, and proving it",
            vec!["audit", "verify"],
        ),
        ("proving it again", vec!["audit", "verify"]),
        (
            "export of everything as NDJSON",
            vec!["audit", "export", "--format", "ndjson"],
        ),
        (
            "export of everything as CSV",
            vec!["audit", "export", "--format", "csv"],
        ),
    ] {
        let child = installation
            .command(&arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let cost = measure::until_end(child);
        #[allow(clippy::cast_precision_loss, reason = "counts are small")]
        let rate = all as f64 / cost.wall.as_secs_f64();
        table.row(
            what,
            &format!(
                "{}, {rate:.0} events/s, {} peak",
                seconds(cost.wall),
                measure::mebibytes(cost.peak_kib)
            ),
            "",
            None,
        );
    }
}
