//! Scripted servers and the settings to reach them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use chrono::{DateTime, Utc};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use secrecy::SecretString;
use serde_json::{Value, json};
use server::clock::FakeClock;
use server::connectors::{
    ConnectionSettings, GoogleDirectory, JumpingTimer, Outgoing, RequestTotals, ScimApp,
    ScimLimits, ScimSettings, ServiceAccountKey, TargetPolicy,
};
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub const ADMIN: &str = "admin@example.com";
pub const TOKEN: &str = "scim-token-that-nobody-may-see";

pub fn loopback() -> TargetPolicy {
    TargetPolicy {
        allow_loopback: true,
        allow_private: false,
    }
}

pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A key made once for all tests: making one takes a while.
pub fn rsa_key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap())
}

pub fn private_pem() -> String {
    rsa_key().to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

pub fn public_pem() -> String {
    rsa_key()
        .to_public_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap()
}

pub fn key_file(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "rollcall",
        "private_key_id": "key-1",
        "private_key": private_pem(),
        "client_email": "rollcall@rollcall.iam.gserviceaccount.com",
        "client_id": "1122334455",
        "token_uri": token_uri,
    })
}

/// Answers each request by a function, and keeps them all.
pub struct Scripted {
    pub server: MockServer,
    pub timer: JumpingTimer,
    pub outgoing: Outgoing,
}

impl Scripted {
    pub async fn answering(
        answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let timer = JumpingTimer::default();
        let outgoing = Outgoing::new(loopback())
            .unwrap()
            .waiting_on(Arc::new(timer.clone()));
        Self {
            server,
            timer,
            outgoing,
        }
    }

    /// One answer after the other; the last one again and again.
    pub async fn in_turn(answers: Vec<ResponseTemplate>) -> Self {
        let answers = Mutex::new(VecDeque::from(answers));
        Self::answering(move |_| {
            let mut answers = answers.lock().unwrap();
            match answers.len() {
                0 => ResponseTemplate::new(500),
                1 => answers[0].clone(),
                _ => answers.pop_front().unwrap(),
            }
        })
        .await
    }

    /// A directory whose token endpoint always answers a token.
    pub async fn directory(
        answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        Self::answering(move |request| {
            if request.url.path() == "/token" {
                token_answer()
            } else {
                answer(request)
            }
        })
        .await
    }

    pub async fn directory_in_turn(answers: Vec<ResponseTemplate>) -> Self {
        let answers = Mutex::new(VecDeque::from(answers));
        Self::directory(move |_| {
            let mut answers = answers.lock().unwrap();
            match answers.len() {
                1 => answers[0].clone(),
                _ => answers.pop_front().unwrap(),
            }
        })
        .await
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.uri())
    }

    pub fn google(&self) -> GoogleDirectory {
        self.google_at(Arc::new(FakeClock::at(noon())))
    }

    pub fn google_at(&self, clock: Arc<FakeClock>) -> GoogleDirectory {
        let key = key_file(&self.url("/token")).to_string();
        let settings = ConnectionSettings {
            endpoint: Url::parse(&self.server.uri()).unwrap(),
            admin_email: ADMIN.to_owned(),
            customer: "my_customer".to_owned(),
            key: ServiceAccountKey::parse(&key).unwrap(),
        };
        GoogleDirectory::new(settings, self.outgoing.clone(), clock).unwrap()
    }

    pub fn app(&self) -> ScimApp {
        self.app_with(|_| {})
    }

    pub fn app_with(&self, change: impl FnOnce(&mut ScimSettings)) -> ScimApp {
        let endpoint = Url::parse(&self.url("/scim/v2")).unwrap();
        let limits = ScimLimits::of(0, 4, 4);
        let mut settings = ScimSettings::new(endpoint, SecretString::from(TOKEN), limits);
        change(&mut settings);
        let clock = Arc::new(FakeClock::at(noon()));
        ScimApp::new(settings, self.outgoing.clone(), clock).unwrap()
    }

    pub fn totals(&self) -> RequestTotals {
        self.outgoing.counts().totals()
    }

    pub async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// `GET /path?query` of every request, the token endpoint left out.
    pub async fn lines(&self) -> Vec<String> {
        self.requests()
            .await
            .iter()
            .filter(|request| request.url.path() != "/token")
            .map(line)
            .collect()
    }

    pub async fn bodies(&self, method: &str) -> Vec<Value> {
        self.requests()
            .await
            .iter()
            .filter(|request| request.method.as_str() == method)
            .map(|request| request.body_json().unwrap_or(Value::Null))
            .collect()
    }
}

pub fn line(request: &Request) -> String {
    match request.url.query() {
        Some(query) => format!("{} {}?{query}", request.method, request.url.path()),
        None => format!("{} {}", request.method, request.url.path()),
    }
}

pub fn query(request: &Request, name: &str) -> Option<String> {
    request
        .url
        .query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

pub fn token_answer() -> ResponseTemplate {
    ok(json!({"access_token": "ya29.secret", "expires_in": 3599, "token_type": "Bearer"}))
}

pub fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

pub fn status(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

pub fn web_page(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<!DOCTYPE html><html>Sign in</html>", "text/html")
}

pub fn google_error(code: u16, domain: &str, reason: &str, message: &str) -> ResponseTemplate {
    status(
        code,
        json!({"error": {"code": code, "message": message,
            "errors": [{"domain": domain, "reason": reason, "message": message}]}}),
    )
}

pub fn scim_error(code: u16, scim_type: Option<&str>, detail: &str) -> ResponseTemplate {
    let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": code.to_string(), "detail": detail});
    if let Some(scim_type) = scim_type {
        body["scimType"] = json!(scim_type);
    }
    status(code, body)
}

pub fn account(id: &str, user_name: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": id, "userName": user_name, "active": true,
        "meta": {"resourceType": "User", "location": "http://elsewhere.example/Users/0"}})
}

pub fn list(total: usize, resources: &[Value]) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total, "startIndex": 1, "itemsPerPage": resources.len(),
        "Resources": resources})
}
