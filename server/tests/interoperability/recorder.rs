//! A reverse proxy that keeps what passes, and can stop a request on its way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method, header};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};

/// A request that the other side answered.
#[derive(Clone, Debug)]
pub struct Passed {
    pub method: Method,
    pub path: String,
    /// Null when there was none.
    pub body: Value,
    pub status: u16,
}

impl Passed {
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

/// Where a request is stopped for good.
#[derive(Clone, Copy, Debug)]
pub enum Halt {
    /// It never arrives.
    BeforeItArrives,
    /// It is carried out, and nobody is told.
    BeforeItsAnswer,
}

struct Trap {
    method: Method,
    path: &'static str,
    /// How many such requests are let through before.
    after: usize,
    halt: Halt,
    caught: oneshot::Sender<()>,
}

#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    base: String,
    upstream: String,
    client: reqwest::Client,
    passed: Mutex<Vec<Passed>>,
    trap: Mutex<Option<Trap>>,
    under_way: AtomicUsize,
    arrived: Notify,
}

impl Recorder {
    pub async fn before(upstream: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self(Arc::new(Inner {
            base: format!("http://{}", listener.local_addr().unwrap()),
            upstream: upstream.to_owned(),
            client: reqwest::Client::builder().no_gzip().build().unwrap(),
            passed: Mutex::default(),
            trap: Mutex::default(),
            under_way: AtomicUsize::new(0),
            arrived: Notify::new(),
        }));
        let router = Router::new().fallback(pass).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        recorder
    }

    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// What passed so far, in the order of the answers.
    pub fn passed(&self) -> Vec<Passed> {
        self.0.passed.lock().unwrap().clone()
    }

    /// What passed since `self.passed()` had this length.
    pub fn since(&self, mark: usize) -> Vec<Passed> {
        self.passed().split_off(mark)
    }

    pub fn mark(&self) -> usize {
        self.0.passed.lock().unwrap().len()
    }

    /// Stops one request; the answer comes when it is caught.
    pub fn trap(
        &self,
        method: Method,
        path: &'static str,
        after: usize,
        halt: Halt,
    ) -> oneshot::Receiver<()> {
        let (caught, answer) = oneshot::channel();
        *self.0.trap.lock().unwrap() = Some(Trap {
            method,
            path,
            after,
            halt,
            caught,
        });
        answer
    }

    /// Waits until nothing is on its way to the other side any more.
    pub async fn settle(&self) {
        loop {
            let arrived = self.0.arrived.notified();
            if self.0.under_way.load(Ordering::SeqCst) == 0 {
                return;
            }
            arrived.await;
        }
    }

    fn halts(&self, method: &Method, path: &str) -> Option<(Halt, oneshot::Sender<()>)> {
        let mut trap = self.0.trap.lock().unwrap();
        let set = trap.as_mut()?;
        if set.method != method || !path.contains(set.path) {
            return None;
        }
        if set.after > 0 {
            set.after -= 1;
            return None;
        }
        trap.take().map(|trap| (trap.halt, trap.caught))
    }

    async fn forward(&self, sent: Sent) -> Response {
        let url = format!("{}{}", self.0.upstream, sent.path);
        let mut request = self.0.client.request(sent.method.clone(), url);
        for name in [
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_MATCH,
        ] {
            if let Some(value) = sent.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let answer = request.body(sent.body.clone()).send().await.unwrap();
        let status = answer.status();
        let headers = answer.headers().clone();
        let body = answer.bytes().await.unwrap();
        self.0.passed.lock().unwrap().push(Passed {
            method: sent.method,
            path: sent.path,
            body: serde_json::from_slice(&sent.body).unwrap_or(Value::Null),
            status: status.as_u16(),
        });
        let mut response = Response::builder().status(status);
        for name in [header::CONTENT_TYPE, header::ETAG, header::LOCATION] {
            if let Some(value) = headers.get(&name) {
                response = response.header(name, value);
            }
        }
        response.body(Body::from(body)).unwrap()
    }
}

struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: bytes::Bytes,
}

async fn pass(State(recorder): State<Recorder>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = Sent {
        method: parts.method,
        path: parts.uri.path_and_query().unwrap().to_string(),
        headers: parts.headers,
        body: to_bytes(body, usize::MAX).await.unwrap(),
    };
    let halted = recorder.halts(&sent.method, &sent.path);
    if let Some((Halt::BeforeItArrives, caught)) = halted {
        caught.send(()).unwrap();
        return std::future::pending().await;
    }
    // A request that is on its way arrives, whatever becomes of who sent it.
    recorder.0.under_way.fetch_add(1, Ordering::SeqCst);
    let forwarding = recorder.clone();
    let forwarded = tokio::spawn(async move {
        let answer = forwarding.forward(sent).await;
        forwarding.0.under_way.fetch_sub(1, Ordering::SeqCst);
        forwarding.0.arrived.notify_waiters();
        answer
    });
    let answer = forwarded.await.unwrap();
    if let Some((Halt::BeforeItsAnswer, caught)) = halted {
        caught.send(()).unwrap();
        return std::future::pending().await;
    }
    answer
}
