//! Traces: off by themselves, and what a collector gets when one is named.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use sqlx::PgPool;

use crate::company::{Company, NEVER, terminate};

#[derive(Default)]
struct Taken {
    /// Where it was sent, with which credentials.
    requests: Vec<(String, String)>,
    bodies: Vec<u8>,
}

/// A collector that takes whatever it gets.
pub struct Collector {
    pub address: String,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub async fn listen() -> Self {
        let taken = Arc::<Mutex<Taken>>::default();
        let router = Router::new()
            .fallback(
                async |State(taken): State<Arc<Mutex<Taken>>>,
                       uri: Uri,
                       headers: HeaderMap,
                       body: Bytes| {
                    let header = |name| {
                        headers
                            .get(name)
                            .map_or("", |value| value.to_str().unwrap())
                    };
                    let kind = format!("{uri} {}", header("content-type"));
                    let mut taken = taken.lock().unwrap();
                    taken.requests.push((kind, header("x-team").to_owned()));
                    taken.bodies.extend_from_slice(&body);
                    StatusCode::OK
                },
            )
            .with_state(taken.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, taken }
    }

    /// Everything that was sent: texts stand in it as they are.
    pub fn taken(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap().bodies).into_owned()
    }

    fn requests(&self) -> Vec<(String, String)> {
        self.taken.lock().unwrap().requests.clone()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_and_a_request_are_followed_from_end_to_end(pool: PgPool) {
    let company = Company::provisioned(pool).await;
    let collector = Collector::listen().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=identity"),
        // Whatever the log shows.
        ("ROLLCALL_LOG", "error"),
    ];
    let said = company
        .rollcall_with(&["sync", "--app", "app", "--json"], &settings)
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let sent = collector.taken();
    for name in [
        "rollcall",
        "service.version",
        "run",
        "import",
        "plan",
        "check",
        "outgoing",
    ] {
        assert!(sent.contains(name), "{name} is not in {sent}");
    }
    // Everybody's address ends so, and paths hold ids of people.
    for hint in [".example", "/users/", "/Users/"] {
        assert!(!sent.contains(hint), "somebody is named: {sent}");
    }
    let requests = collector.requests();
    assert!(!requests.is_empty());
    for (kind, team) in requests {
        assert_eq!(kind, "/v1/traces application/x-protobuf");
        assert_eq!(team, "identity");
    }

    let (mut console, base) = company.console(&["--no-worker"], &settings).await;
    let answer = reqwest::get(format!("{base}/healthz")).await.unwrap();
    assert!(answer.status().is_success());
    terminate(&console);
    tokio::time::timeout(NEVER, console.wait())
        .await
        .unwrap()
        .unwrap();
    let sent = collector.taken();
    assert!(
        sent.contains("request") && sent.contains("/healthz"),
        "{sent}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_collector_that_is_away_or_named_wrongly_costs_no_run(pool: PgPool) {
    let company = Company::provisioned(pool).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://user:hunter2hunter2@{}", free.local_addr().unwrap());
    drop(free);
    let said = company
        .rollcall_with(
            &["sync", "--app", "app", "--json"],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody)],
        )
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.err.contains("the collector takes no traces"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("hunter2"), "{}", said.err);

    let said = company
        .rollcall_with(
            &["sync", "--app", "app", "--json"],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")],
        )
        .await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("no traces can be sent"), "{}", said.err);
}
