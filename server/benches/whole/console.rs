//! S14.5 and S14.6: the console's pages with many people and a long log, many administrators at
//! once, the start, and the memory of one that nobody uses.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderMap};

use crate::install::{Installation, block_on};
use crate::measure::{self, mebibytes, millis, percentile};
use crate::table::Table;

const EMAIL: &str = "auditor@bench.example";
const PASSWORD: &str = "correct horse battery";
/// Times that each page is asked for by one administrator.
const TIMES: usize = 40;
const ADMINISTRATORS: usize = 200;
const TARGET: Duration = Duration::from_millis(30);

/// A console in a process of its own; it ends with this.
pub struct Console {
    child: Child,
    base: String,
}

impl Drop for Console {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Console {
    /// Starts it, and says how long it took until it was ready.
    pub fn start(installation: &Installation, worker: bool) -> (Self, Duration) {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let (base, address) = (
            format!("http://127.0.0.1:{port}"),
            format!("127.0.0.1:{port}"),
        );
        let mut arguments = vec!["serve", "--addr", &address];
        if !worker {
            arguments.push("--no-worker");
        }
        let start = Instant::now();
        let child = installation
            .command(&arguments)
            .env("ROLLCALL_SITE_DIR", installation.empty_site())
            // Where the directory tells of changes.
            .env("ROLLCALL_PUBLIC_URL", &base)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ready = format!("{base}/readyz");
        block_on(async move {
            loop {
                match reqwest::get(&ready).await {
                    Ok(answer) if answer.status().is_success() => break,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        (Self { child, base }, start.elapsed())
    }

    fn memory(&self) -> u64 {
        measure::memory(self.child.id(), "VmRSS")
    }

    /// A browser that is signed in.
    fn browser(&self) -> reqwest::Client {
        let base = self.base.clone();
        block_on(async move {
            let answer = reqwest::Client::new()
                .post(format!("{base}/api/sign_in"))
                .header("sec-fetch-site", "same-origin")
                .header("accept", "application/json")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!(
                    "email={EMAIL}&password={}&next=",
                    PASSWORD.replace(' ', "+")
                ))
                .send()
                .await
                .unwrap();
            assert!(!answer.status().is_client_error(), "{answer:?}");
            let set = answer.headers().get_all(header::SET_COOKIE).iter();
            let session = set
                .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
                .find(|cookie| cookie.starts_with("rollcall="))
                .unwrap();
            let cookie = HeaderMap::from_iter([(header::COOKIE, session.parse().unwrap())]);
            reqwest::Client::builder()
                .default_headers(cookie)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap()
        })
    }
}

pub fn run(installation: &Installation, what: &str, table: &mut Table) {
    create_auditor(installation);
    let mut starts: Vec<Duration> = (0..5)
        .map(|_| Console::start(installation, false).1)
        .collect();
    starts.sort();
    table.row(
        "start to ready: p50, worst of 5",
        &format!("{}, {}", millis(starts[2]), millis(starts[4])),
        "1000.0 ms",
        Some(starts[2].as_secs_f64()),
    );
    let (console, _) = Console::start(installation, false);
    std::thread::sleep(Duration::from_secs(3));
    table.row(
        "memory of a console that nobody uses",
        &mebibytes(console.memory()),
        "60 MiB",
        Some(measure::ratio(console.memory(), 60 * 1024)),
    );
    let browser = console.browser();
    let pages = [
        ("/", "home"),
        ("/apps/bench", "the page of an app"),
        ("/apps/bench/accounts", "accounts"),
        ("/apps/bench/runs", "runs"),
        ("/apps/bench/queue", "queue"),
        ("/apps/bench/failures", "failures"),
        ("/apps/bench/usage", "usage"),
        ("/directory/people", "people"),
        ("/directory/people?q=p4242", "people that a search finds"),
        ("/audit", "audit log"),
        ("/audit?q=p4242", "audit log that a search narrows"),
        ("/apps/bench/history", "history of the configuration"),
    ];
    for (path, name) in pages {
        let url = format!("{}{path}", console.base);
        let client = browser.clone();
        let mut taken = block_on(async move {
            let mut taken = Vec::new();
            for _ in 0..TIMES {
                let start = Instant::now();
                let answer = client.get(&url).header("accept", "text/html").send().await;
                let answer = answer.unwrap();
                assert!(answer.status().is_success(), "{url}: {answer:?}");
                answer.bytes().await.unwrap();
                taken.push(start.elapsed());
            }
            taken
        });
        taken.sort();
        table.row(
            &format!("{name}, {what}: p50, p95"),
            &format!(
                "{}, {}",
                millis(percentile(&taken, 0.5)),
                millis(percentile(&taken, 0.95))
            ),
            "30.0 ms",
            Some(percentile(&taken, 0.95).as_secs_f64() / TARGET.as_secs_f64()),
        );
    }
    crowd(&console, &browser, &pages.map(|(path, _)| path), table);
}

/// Everybody clicks a page a second, as soon as the last one is there.
fn crowd(console: &Console, browser: &reqwest::Client, paths: &[&str], table: &mut Table) {
    let base = console.base.clone();
    let paths: Arc<Vec<String>> =
        Arc::new(paths.iter().map(|path| format!("{base}{path}")).collect());
    let client = browser.clone();
    let (mut taken, refused) = block_on(async move {
        let refused = Arc::new(AtomicUsize::new(0));
        let mut clicking = Vec::new();
        for who in 0..ADMINISTRATORS {
            let (paths, client, refused) = (paths.clone(), client.clone(), refused.clone());
            clicking.push(tokio::spawn(async move {
                let mut taken = Vec::new();
                for click in 0..10 {
                    let url = &paths[(who + click) % paths.len()];
                    let start = Instant::now();
                    let answer = client.get(url).header("accept", "text/html").send().await;
                    match answer {
                        Ok(answer) if answer.status().is_success() => {
                            answer.bytes().await.unwrap();
                            taken.push(start.elapsed());
                        }
                        _ => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    }
                    let pause = Duration::from_secs(1).saturating_sub(start.elapsed());
                    tokio::time::sleep(pause).await;
                }
                taken
            }));
        }
        let mut taken = Vec::new();
        for one in clicking {
            taken.extend(one.await.unwrap());
        }
        (taken, refused.load(Ordering::Relaxed))
    });
    taken.sort();
    table.row(
        &format!("{ADMINISTRATORS} administrators, a page a second each: p50, p95"),
        &format!(
            "{}, {}, {refused} refused, {} memory",
            millis(percentile(&taken, 0.5)),
            millis(percentile(&taken, 0.95)),
            mebibytes(console.memory())
        ),
        "",
        None,
    );
}

fn create_auditor(installation: &Installation) {
    let mut child = installation
        .command(&[
            "admin",
            "create",
            "--email",
            EMAIL,
            "--role",
            "auditor",
            "--password-stdin",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{PASSWORD}").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
