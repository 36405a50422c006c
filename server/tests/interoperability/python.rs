//! What comes from PyPI: the app, and the judges of what it is sent.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
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

/// scim2-server, empty, on a port of its own until it is dropped.
pub struct ScimServer {
    pub base: String,
    _process: Child,
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
                    _process: process,
                };
            }
        }
        panic!("scim2-server does not start: {program:?}");
    }

    /// Every account that the server holds, asked past the recorder.
    pub async fn accounts(&self) -> Vec<Value> {
        let client = reqwest::Client::new();
        let mut accounts: Vec<Value> = Vec::new();
        loop {
            let start = accounts.len() + 1;
            let url = format!("{}/v2/Users?startIndex={start}&count=100", self.base);
            let answer = client.get(url).bearer_auth(TOKEN).send().await.unwrap();
            let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            let resources = page["Resources"].as_array().cloned().unwrap_or_default();
            let total = page["totalResults"].as_u64().unwrap();
            if resources.is_empty() {
                assert_eq!(accounts.len() as u64, total);
                return accounts;
            }
            accounts.extend(resources);
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
