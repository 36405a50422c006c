//! What comes from PyPI and npm: the apps, and the judges of what they are sent.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::recorder::Passed;

/// The folder that `make` fills with the packages of requirements.txt.
fn environment() -> PathBuf {
    let named = std::env::var_os("ROLLCALL_INTEROP_VENV").map(PathBuf::from);
    let usual = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("rollcall/interop-venv"))
    };
    let folder = named.or_else(usual).unwrap_or_default();
    assert!(
        folder.join("bin/scim2-server").exists(),
        "ROLLCALL_INTEROP_VENV: no scim2-server in {folder:?}; `make interop` makes it, and `make test` does so by itself"
    );
    folder
}

/// An app that others wrote, empty, on a port of its own until it is dropped.
pub struct ScimServer {
    pub base: String,
    /// Where SCIM begins below its base.
    pub prefix: &'static str,
    _process: Child,
    _folder: Option<TempDir>,
}

/// Apps beside scim2-server, each with its way of taking the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherApp {
    /// SCIMMY's routers, from npm.
    Scimmy,
    /// It refuses the enterprise extension, keeps little, and its DELETE only deactivates.
    DjangoScim2Server,
    /// It knows no paths with filters, keeps one e-mail address, and answers 204 as a web page.
    DjangoScim2,
}

pub const TOKEN: &str = "a-token-for-the-app";

impl ScimServer {
    pub async fn start() -> Self {
        let program = environment().join("bin/scim2-server");
        // Somebody else may take the free port meanwhile.
        for _ in 0..5 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port().to_string();
            drop(free);
            let mut process = Command::new(&program)
                .args(["--port", &port, "--bearer-token", TOKEN])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            if let Some(line) = lines.next_line().await.unwrap() {
                assert!(line.starts_with("Serving SCIM on"), "{line}");
                return Self {
                    base: format!("http://127.0.0.1:{port}"),
                    prefix: "/v2",
                    _process: process,
                    _folder: None,
                };
            }
        }
        panic!("scim2-server does not start: {program:?}");
    }

    pub async fn start_other(other: OtherApp) -> Self {
        let environment = environment();
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interoperability");
        let folder = tempfile::tempdir().unwrap();
        let mut command = match other {
            OtherApp::Scimmy => {
                let packages = environment.join("node");
                assert!(
                    packages.join("node_modules/scimmy").exists(),
                    "no scimmy in {packages:?}; `make interop` installs it"
                );
                let mut command = Command::new("node");
                command.arg(format!("{here}/scimmy/server.mjs"));
                command.arg(packages).arg(TOKEN);
                command
            }
            OtherApp::DjangoScim2Server | OtherApp::DjangoScim2 => {
                let package = match other {
                    OtherApp::DjangoScim2 => "django_scim",
                    _ => "django_scim2_server",
                };
                let mut command = Command::new(environment.join("bin/python3"));
                command.arg(format!("{here}/django_app.py"));
                command.args([package, TOKEN]).arg(folder.path());
                command
            }
        };
        let mut process = command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap();
        let port = port.unwrap_or_else(|| panic!("{other:?} does not start"));
        Self {
            base: format!("http://127.0.0.1:{port}"),
            prefix: match other {
                OtherApp::Scimmy => "/scim",
                OtherApp::DjangoScim2Server | OtherApp::DjangoScim2 => "/scim/v2",
            },
            _process: process,
            _folder: Some(folder),
        }
    }

    /// Does something as if another client did.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> u16 {
        let url = format!("{}{}{path}", self.base, self.prefix);
        let mut request = reqwest::Client::new().request(method, url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/scim+json")
                .body(body.to_string());
        }
        let answer = request.bearer_auth(TOKEN).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Every account that the server holds, asked past the recorder.
    pub async fn accounts(&self) -> Vec<Value> {
        let client = reqwest::Client::new();
        let mut accounts: Vec<Value> = Vec::new();
        loop {
            let start = accounts.len() + 1;
            let url = format!(
                "{}{}/Users?startIndex={start}&count=100",
                self.base, self.prefix
            );
            let answer = client.get(url).bearer_auth(TOKEN).send().await.unwrap();
            let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            let resources = page["Resources"].as_array().cloned().unwrap_or_default();
            let total = page["totalResults"].as_u64().unwrap();
            accounts.extend(resources.iter().cloned());
            // One of them begins again beyond the end.
            if resources.is_empty() || accounts.len() as u64 >= total {
                assert_eq!(accounts.len() as u64, total);
                return accounts;
            }
        }
    }

    /// The one account with this user name.
    pub async fn account(&self, user_name: &str) -> Option<Value> {
        let mut accounts = self.accounts().await;
        accounts.retain(|account| account["userName"] == user_name);
        assert!(accounts.len() <= 1, "{user_name} is there more than once");
        accounts.pop()
    }
}

/// Fails unless both libraries accept every recorded body.
pub fn judge(requests: &[Passed]) {
    let mut script = std::process::Command::new(environment().join("bin/python3"))
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/interoperability/validate.py"
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    let mut bodies = 0;
    for request in requests.iter().filter(|request| !request.body.is_null()) {
        let line = json!({ "method": request.method.as_str(), "path": request.path, "body": request.body });
        lines.push_str(&format!("{line}\n"));
        bodies += 1;
    }
    let mut input = script.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = script.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.trim(), format!("{bodies} passed, 0 refused"));
}
