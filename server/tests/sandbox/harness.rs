//! A running sandbox and a client that knows how to sign in to it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use server::clock::{Clock, FakeClock};
use server::sandbox::{ADMINISTRATOR, CLIENT_EMAIL, SCIM_BASE, Sandbox, SandboxOptions, Scope};

pub struct Running {
    pub sandbox: Sandbox,
    pub base: String,
    pub clock: FakeClock,
    pub http: Client,
}

pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()
}

pub async fn start() -> Running {
    start_with(|_| {}).await
}

pub async fn start_with(adapt: impl FnOnce(&mut SandboxOptions)) -> Running {
    let clock = FakeClock::at(noon());
    let mut options = SandboxOptions::for_tests(Arc::new(clock.clone())).unwrap();
    adapt(&mut options);
    let sandbox = Sandbox::new(options).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = sandbox.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    drop(rustls::crypto::ring::default_provider().install_default());
    Running {
        sandbox,
        base,
        clock,
        http: Client::builder().no_proxy().build().unwrap(),
    }
}

/// What an assertion says; tests spoil one thing at a time.
pub fn claims(running: &Running, scopes: &[Scope]) -> Value {
    let now = running.clock.now();
    json!({
        "iss": CLIENT_EMAIL,
        "sub": ADMINISTRATOR,
        "scope": scopes.iter().map(|scope| scope.url()).collect::<Vec<_>>().join(" "),
        "aud": format!("{}/token", running.base),
        "iat": now.timestamp(),
        "exp": (now + TimeDelta::minutes(60)).timestamp(),
    })
}

pub fn sign(pem: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

pub async fn body(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

impl Running {
    pub async fn ask_token(&self, assertion: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion),
        ];
        let request = self.http.post(format!("{}/token", self.base)).form(&form);
        body(request.send().await.unwrap()).await
    }

    pub async fn token(&self, scopes: &[Scope]) -> String {
        let assertion = sign(self.sandbox.key().private_pem(), &claims(self, scopes));
        let (status, body) = self.ask_token(&assertion).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// A GET at the Directory API with a token for every scope.
    pub async fn google(&self, path: &str, query: &[(&str, &str)]) -> (StatusCode, Value) {
        let token = self.token(&Scope::ALL).await;
        self.google_as(&token, path, query).await
    }

    pub async fn google_as(
        &self,
        token: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .query(query)
            .bearer_auth(token);
        body(request.send().await.unwrap()).await
    }

    /// All pages of a listing.
    pub async fn all(&self, path: &str, key: &str, query: &[(&str, &str)]) -> Vec<Value> {
        let token = self.token(&Scope::ALL).await;
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let mut query = query.to_vec();
            if !page_token.is_empty() {
                query.push(("pageToken", &page_token));
            }
            let (status, page) = self.google_as(&token, path, &query).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            if let Some(entries) = page[key].as_array() {
                found.extend(entries.iter().cloned());
            }
            match page["nextPageToken"].as_str() {
                Some(next) => page_token = next.to_owned(),
                None => return found,
            }
        }
    }

    pub fn scim_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{SCIM_BASE}{path}", self.base))
            .bearer_auth(self.sandbox.asana_token())
    }

    pub async fn scim(
        &self,
        method: Method,
        path: &str,
        value: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.scim_request(method, path);
        if let Some(value) = value {
            request = request
                .header("content-type", "application/scim+json")
                .body(value.to_string());
        }
        body(request.send().await.unwrap()).await
    }

    pub async fn control(&self, path: &str, value: Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.base)).json(&value);
        body(request.send().await.unwrap()).await
    }

    pub async fn look(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base));
        body(request.send().await.unwrap()).await.1
    }
}

pub const USERS: &str = "/admin/directory/v1/users";
pub const GROUPS: &str = "/admin/directory/v1/groups";
