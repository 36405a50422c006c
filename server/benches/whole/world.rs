//! Google's directory and a SCIM app in one process, as quick as can be: it must not be what is
//! measured. Answers come from arithmetic; of accounts only what SCIM asks for is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::organization;

/// How the world shall be.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub people: usize,
    pub groups: usize,
    /// How long the app takes for an answer.
    pub latency: Duration,
    /// Requests that the app allows within any minute; 0 for no limit.
    pub per_minute: u32,
}

/// The world as its parent sees it. It ends with it.
#[derive(Debug)]
pub struct World {
    child: Child,
    _stays: ChildStdin,
    pub base: String,
}

/// What the app saw since it was last asked.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Seen {
    pub directory: u64,
    pub reads: u64,
    pub writes: u64,
    pub refused: u64,
    /// From the first write to the last.
    pub write_millis: u64,
    pub accounts: u64,
}

impl World {
    pub fn start(shape: Shape) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("role=world")
            .args([
                shape.people.to_string(),
                shape.groups.to_string(),
                shape.latency.as_millis().to_string(),
                shape.per_minute.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stays = child.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            _stays: stays,
            base: line.trim().to_owned(),
        }
    }

    /// Since the last time.
    pub fn seen(&self) -> Seen {
        self.ask("seen")
    }

    /// Channels that are open.
    pub fn channels(&self) -> usize {
        self.ask("channels")
    }

    /// Gives one person a new title, and tells whoever watches.
    pub fn tell(&self, person: usize) {
        let _: Value = self.ask(&format!("tell/{person}"));
    }

    /// Writes since the world was last asked what it saw.
    pub fn writes(&self) -> u64 {
        self.ask("writes")
    }

    /// Suspends one person in the directory, and tells nobody.
    pub fn suspend(&self, person: usize) {
        let _: Value = self.ask(&format!("suspend/{person}"));
    }

    /// Gives so many people a new title.
    pub fn change(&self, people: usize) {
        let _: Value = self.ask(&format!("change/{people}"));
    }

    fn ask<A: serde::de::DeserializeOwned + Send + 'static>(&self, what: &str) -> A {
        let url = format!("{}/control/{what}", self.base);
        crate::install::block_on(async move {
            reqwest::get(url).await.unwrap().json::<A>().await.unwrap()
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[derive(Debug)]
struct App {
    shape: Shape,
    state: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    bodies: Vec<Option<Value>>,
    by_user_name: HashMap<String, usize>,
    versions: BTreeMap<usize, u32>,
    suspended: BTreeSet<usize>,
    sent: VecDeque<Instant>,
    /// By kind of event: id, address and token.
    channels: HashMap<String, (String, String, String)>,
    seen: Seen,
    first_write: Option<Instant>,
}

type Shared = State<Arc<App>>;

/// Serves until its parent goes.
pub async fn serve(words: &[String]) {
    let number = |at: usize| words[at].parse::<usize>().unwrap();
    let shape = Shape {
        people: number(0),
        groups: number(1),
        latency: Duration::from_millis(number(2) as u64),
        per_minute: u32::try_from(number(3)).unwrap(),
    };
    let app = Arc::new(App {
        shape,
        state: Mutex::default(),
    });
    let directory = Router::new()
        .route("/users", get(users))
        .route("/users/{key}", get(user))
        .route("/users/watch", post(watch))
        .route("/groups", get(groups))
        .route("/groups/{key}/members", get(members))
        .route("/customers/{key}", get(customer))
        .route("/customer/{key}/orgunits", get(units))
        .route("/customer/{key}/domains", get(domains));
    let scim = Router::new()
        .route("/Users", get(list).post(create))
        .route(
            "/Users/{id}",
            get(one).patch(change_one).put(change_one).delete(remove),
        )
        .route("/ServiceProviderConfig", get(capabilities));
    let router = Router::new()
        .route("/token", post(token))
        .nest("/admin/directory/v1", directory)
        .nest("/scim/v2", scim)
        .route("/bodies", get(bodies))
        .route("/control/seen", get(seen))
        .route("/control/clear", get(clear))
        .route("/control/change/{people}", get(change))
        .route("/control/tell/{person}", get(tell))
        .route("/control/suspend/{person}", get(suspend))
        .route("/control/channels", get(channels))
        .route("/control/writes", get(writes))
        .with_state(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    std::thread::spawn(|| {
        let mut nothing = String::new();
        drop(std::io::stdin().read_line(&mut nothing));
        std::process::exit(0);
    });
    axum::serve(listener, router).await.unwrap();
}

async fn token() -> Json<Value> {
    Json(json!({ "access_token": "bench", "expires_in": 3600, "token_type": "Bearer" }))
}

async fn customer(State(app): Shared) -> Json<Value> {
    app.state.lock().unwrap().seen.directory += 1;
    Json(json!({ "id": "C0bench", "customerDomain": "bench.example" }))
}

async fn units(State(app): Shared) -> Response {
    app.state.lock().unwrap().seen.directory += 1;
    as_json(organization::org_units())
}

async fn domains(State(app): Shared) -> Json<Value> {
    app.state.lock().unwrap().seen.directory += 1;
    Json(
        json!({ "domains": [{ "domainName": "bench.example", "isPrimary": true, "verified": true }] }),
    )
}

type Words = Query<HashMap<String, String>>;

/// The slice of `all` that a page token names, and the next token.
fn page(query: &Words, all: usize, size: usize) -> (std::ops::Range<usize>, Option<String>) {
    let from: usize = query
        .get("pageToken")
        .map_or(0, |token| token.trim_start_matches('p').parse().unwrap());
    let to = (from + size).min(all);
    (from..to, (to < all).then(|| format!("p{to}")))
}

fn listing(kind: &str, key: &str, items: &[String], next: Option<String>) -> Response {
    let next = next.map_or_else(String::new, |next| format!(r#","nextPageToken":"{next}""#));
    as_json(format!(
        r#"{{"kind":"{kind}","etag":"\"x\"","{key}":[{}]{next}}}"#,
        items.join(",")
    ))
}

fn as_json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn users(State(app): Shared, query: Words) -> Response {
    let (versions, suspended) = {
        let mut state = app.state.lock().unwrap();
        state.seen.directory += 1;
        (state.versions.clone(), state.suspended.clone())
    };
    if query.contains_key("showDeleted") {
        return as_json(r#"{"kind":"admin#directory#users"}"#.to_owned());
    }
    let (range, next) = page(&query, app.shape.people, 500);
    let items: Vec<String> = range
        .map(|n| {
            let version = versions.get(&n).copied().unwrap_or(0);
            organization::person(n, version, suspended.contains(&n))
        })
        .collect();
    listing("admin#directory#users", "users", &items, next)
}

async fn user(State(app): Shared, Path(key): Path<String>) -> Response {
    let mut state = app.state.lock().unwrap();
    state.seen.directory += 1;
    match key.trim_start_matches('1').parse::<usize>() {
        Ok(n) if n < app.shape.people => {
            let version = state.versions.get(&n).copied().unwrap_or(0);
            as_json(organization::person(
                n,
                version,
                state.suspended.contains(&n),
            ))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Everybody is in as many groups as it takes for ten members each.
async fn groups(State(app): Shared, query: Words) -> Response {
    app.state.lock().unwrap().seen.directory += 1;
    let (range, next) = page(&query, app.shape.groups, 200);
    let items: Vec<String> = range.map(|g| organization::group(g, 10)).collect();
    listing("admin#directory#groups", "groups", &items, next)
}

async fn members(State(app): Shared, Path(key): Path<String>) -> Response {
    app.state.lock().unwrap().seen.directory += 1;
    let g: usize = key.trim_start_matches('g').parse().unwrap();
    let items: Vec<String> = (0..10)
        .map(|i| {
            let n = (g * 10 + i) % app.shape.people;
            format!(
                r#"{{"kind":"admin#directory#member","id":"{}","email":"m{n}@bench.example","role":"MEMBER","type":"USER","status":"ACTIVE"}}"#,
                organization::id(n)
            )
        })
        .collect();
    listing("admin#directory#members", "members", &items, None)
}

impl App {
    /// Counts a request to the app; `None` when its limit is reached.
    fn admit(&self, writes: bool) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        let now = Instant::now();
        if self.shape.per_minute > 0 {
            let minute = Duration::from_secs(60);
            while state.sent.front().is_some_and(|sent| now - *sent >= minute) {
                state.sent.pop_front();
            }
            if state.sent.len() >= self.shape.per_minute as usize {
                state.seen.refused += 1;
                return None;
            }
            state.sent.push_back(now);
        }
        if writes {
            state.seen.writes += 1;
            let first = *state.first_write.get_or_insert(now);
            state.seen.write_millis = u64::try_from((now - first).as_millis()).unwrap();
        } else {
            state.seen.reads += 1;
        }
        Some(())
    }
}

fn busy() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response()
}

fn account(id: usize, body: &Value) -> Value {
    let mut account = body.clone();
    account["id"] = json!(id.to_string());
    account["meta"] = json!({ "resourceType": "User" });
    account
}

async fn list(State(app): Shared, query: Words) -> Response {
    if app.admit(false).is_none() {
        return busy();
    }
    let state = app.state.lock().unwrap();
    let found: Vec<Value> = match query.get("filter") {
        Some(filter) => {
            let name = filter.split('"').nth(1).unwrap_or_default().to_lowercase();
            let id = state.by_user_name.get(&name).copied();
            id.and_then(|id| Some(account(id, state.bodies.get(id)?.as_ref()?)))
                .into_iter()
                .collect()
        }
        None => {
            let number = |key: &str, or: usize| {
                query
                    .get(key)
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(or)
            };
            let (start, count) = (number("startIndex", 1), number("count", 100));
            let there = state.bodies.iter().enumerate();
            there
                .filter_map(|(id, body)| Some(account(id, body.as_ref()?)))
                .skip(start - 1)
                .take(count)
                .collect()
        }
    };
    let total = match query.get("filter") {
        Some(_) => found.len(),
        None => state.by_user_name.len(),
    };
    drop(state);
    Json(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total, "itemsPerPage": found.len(),
        "startIndex": query.get("startIndex").and_then(|text| text.parse::<u64>().ok()).unwrap_or(1),
        "Resources": found,
    }))
    .into_response()
}

async fn create(State(app): Shared, body: Bytes) -> Response {
    if app.admit(true).is_none() {
        return busy();
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let answer = {
        let mut state = app.state.lock().unwrap();
        let name = body["userName"].as_str().unwrap_or_default().to_lowercase();
        let id = state.bodies.len();
        if state.by_user_name.insert(name, id).is_some() {
            return StatusCode::CONFLICT.into_response();
        }
        let answer = account(id, &body);
        state.bodies.push(Some(body));
        state.seen.accounts += 1;
        answer
    };
    if !app.shape.latency.is_zero() {
        tokio::time::sleep(app.shape.latency).await;
    }
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn one(State(app): Shared, Path(id): Path<usize>) -> Response {
    if app.admit(false).is_none() {
        return busy();
    }
    let state = app.state.lock().unwrap();
    match state.bodies.get(id).and_then(Option::as_ref) {
        Some(body) => Json(account(id, body)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn change_one(State(app): Shared, Path(id): Path<usize>, sent: Json<Value>) -> Response {
    if app.admit(true).is_none() {
        return busy();
    }
    if !app.shape.latency.is_zero() {
        tokio::time::sleep(app.shape.latency).await;
    }
    let mut state = app.state.lock().unwrap();
    match state.bodies.get_mut(id).and_then(Option::as_mut) {
        Some(body) => {
            carry_out(body, sent.0);
            Json(account(id, body)).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// As much of PATCH as titles and suspensions need; anything else replaces the account.
fn carry_out(body: &mut Value, mut sent: Value) {
    let Value::Array(operations) = sent["Operations"].take() else {
        *body = sent;
        return;
    };
    for mut operation in operations {
        let value = operation["value"].take();
        match (operation["path"].as_str(), value) {
            (Some(path), value) => body[path] = value,
            (None, Value::Object(values)) => {
                for (name, value) in values {
                    body[name] = value;
                }
            }
            (None, other) => panic!("{other} is no set of attributes"),
        }
    }
}

async fn remove(State(app): Shared, Path(id): Path<usize>) -> Response {
    if app.admit(true).is_none() {
        return busy();
    }
    let mut state = app.state.lock().unwrap();
    match state.bodies.get_mut(id).and_then(Option::take) {
        Some(body) => {
            let name = body["userName"].as_str().unwrap_or_default().to_lowercase();
            state.by_user_name.remove(&name);
            StatusCode::NO_CONTENT.into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn capabilities(State(app): Shared) -> Response {
    if app.admit(false).is_none() {
        return busy();
    }
    Json(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true }, "filter": { "supported": true, "maxResults": 1000 },
        "bulk": { "supported": false }, "sort": { "supported": false },
        "etag": { "supported": false }, "changePassword": { "supported": false },
        "authenticationSchemes": [],
    }))
    .into_response()
}

/// What was posted, for a generator to post again.
async fn bodies(State(app): Shared) -> Json<Vec<Value>> {
    let state = app.state.lock().unwrap();
    Json(state.bodies.iter().flatten().cloned().collect())
}

async fn seen(State(app): Shared) -> Json<Seen> {
    let mut state = app.state.lock().unwrap();
    state.first_write = None;
    Json(std::mem::take(&mut state.seen))
}

async fn clear(State(app): Shared) -> Json<Value> {
    let mut state = app.state.lock().unwrap();
    *state = Accounts::default();
    Json(json!({}))
}

async fn change(State(app): Shared, Path(people): Path<usize>) -> Json<Value> {
    let mut state = app.state.lock().unwrap();
    let all = app.shape.people;
    for i in 0..people {
        // Spread over everybody, as changes are.
        *state.versions.entry(i * all / people).or_insert(0) += 1;
    }
    Json(json!({}))
}

async fn suspend(State(app): Shared, Path(person): Path<usize>) -> Json<Value> {
    app.state.lock().unwrap().suspended.insert(person);
    Json(json!({}))
}

async fn watch(State(app): Shared, query: Words, Json(asked): Json<Value>) -> Json<Value> {
    let text = |key: &str| asked[key].as_str().unwrap().to_owned();
    let id = text("id");
    let expiration =
        server::clock::Clock::now(&server::clock::SystemClock) + chrono::TimeDelta::hours(6);
    let answer = json!({
        "kind": "api#channel", "id": id, "resourceId": "users",
        "expiration": expiration.timestamp_millis().to_string(),
    });
    let channel = (id, text("address"), text("token"));
    let mut state = app.state.lock().unwrap();
    state.channels.insert(query["event"].clone(), channel);
    Json(answer)
}

async fn channels(State(app): Shared) -> Json<usize> {
    Json(app.state.lock().unwrap().channels.len())
}

async fn writes(State(app): Shared) -> Json<u64> {
    Json(app.state.lock().unwrap().seen.writes)
}

async fn tell(State(app): Shared, Path(person): Path<usize>) -> Json<Value> {
    let (id, address, token) = {
        let mut state = app.state.lock().unwrap();
        *state.versions.entry(person).or_insert(0) += 1;
        state.channels["update"].clone()
    };
    let answer = reqwest::Client::new()
        .post(address)
        .header("x-goog-channel-id", id)
        .header("x-goog-channel-token", token)
        .header("x-goog-resource-state", "update")
        .json(&json!({ "kind": "admin#directory#user", "id": organization::id(person) }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    Json(json!({}))
}
