//! Rollcall as a program at a shell, with a database, a folder and a clock of its own.
#![allow(dead_code, reason = "each test target uses its part")]

pub mod chance;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use server::clock::{Clock, SystemClock};
use server::sandbox::{ADMINISTRATOR, PRIMARY_DOMAIN, Sandbox, SandboxOptions};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The machine's clock, put forward. Emulators and program follow the same one.
#[derive(Clone, Debug, Default)]
pub struct ShiftedClock(Arc<AtomicI64>);

impl ShiftedClock {
    pub fn pass(&self, time: TimeDelta) {
        self.0.fetch_add(time.num_seconds(), Ordering::SeqCst);
    }

    fn shift(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::seconds(self.shift())
    }
}

pub struct Program {
    pub clock: ShiftedClock,
    pub folder: TempDir,
    pub pool: PgPool,
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The one line of a refusal.
    pub fn line(&self) -> &str {
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines[0]
    }

    /// The one JSON value of a command that was given `--json`.
    pub fn json(&self) -> Value {
        match self.out.lines().last().map(serde_json::from_str) {
            Some(Ok(value)) => value,
            _ => panic!("no JSON: {self:?}"),
        }
    }
}

/// Where the program is told to find its directory and its app.
pub struct Places<'a> {
    pub directory: &'a str,
    pub app: &'a str,
    pub catalog: &'a str,
}

/// The emulated directory and app on a port of their own, and their base.
pub async fn emulate(
    clock: &ShiftedClock,
    adapt: impl FnOnce(&mut SandboxOptions),
) -> (Sandbox, String) {
    let mut options = SandboxOptions::for_tests(Arc::new(clock.clone())).unwrap();
    adapt(&mut options);
    let sandbox = Sandbox::new(options).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = sandbox.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    (sandbox, base)
}

/// Those who should have an account when the app is on for everybody, told from the directory alone.
pub fn in_scope(sandbox: &Sandbox) -> Vec<String> {
    sandbox.directory(|directory| {
        directory
            .living()
            .filter(|person| {
                person
                    .primary_email
                    .ends_with(&format!("@{PRIMARY_DOMAIN}"))
                    && person.suspended_at.is_none()
                    && person.archived_at.is_none()
                    && person.guest_of.is_none()
            })
            .map(|person| person.primary_email.clone())
            .collect()
    })
}

impl Program {
    pub fn new(pool: PgPool) -> Self {
        Self {
            clock: ShiftedClock::default(),
            folder: tempfile::tempdir().unwrap(),
            pool,
        }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A configuration file for everybody, with the default mapping of a catalogue entry.
    pub fn file(&self, places: &Places<'_>) -> String {
        let Places {
            directory,
            app,
            catalog,
        } = places;
        format!(
            r#"
[directory.google]
service_account_file = "sa.json"
admin_email = "{ADMINISTRATOR}"
endpoint = "{directory}"

[[app]]
slug = "app"
catalog = "{catalog}"
name = "The app"
endpoint = "{app}"
token_file = "token"
autoprovisioning = "on"

[app.sso]
method = "google"

[app.access.org_units]
"/" = "on"

[app.scope]
everyone = true

[app.deprovisioning]
suspended = {{ suspend = "7d" }}
deleted = {{ suspend = "24h", delete = "21d" }}
"#
        )
    }

    pub async fn apply(&self, text: &str) -> Said {
        self.apply_with(text, &[]).await
    }

    pub async fn apply_with(&self, text: &str, more: &[&str]) -> Said {
        let path = self.write("rollcall.toml", text);
        let mut arguments = vec!["config", "apply", "-f", path.to_str().unwrap()];
        arguments.extend(more);
        self.rollcall(&arguments).await
    }

    /// `rollcall sync --json`: its exit code and its result.
    pub async fn sync(&self) -> (i32, Value) {
        let said = self.rollcall(&["sync", "--app", "app", "--json"]).await;
        match said.code {
            Some(code) => (code, said.json()),
            None => panic!("{said:?}"),
        }
    }

    pub async fn rollcall(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().await.unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program under way, to be killed.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DATABASE_URL", self.database_url())
            .env(
                "ROLLCALL_SECRET_KEY",
                "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            )
            .env("ROLLCALL_ALLOW_LOOPBACK_TARGETS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if self.clock.shift() != 0 {
            command
                .env("LD_PRELOAD", libfaketime())
                .env("FAKETIME", format!("+{}", self.clock.shift()))
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    fn database_url(&self) -> String {
        let name = self
            .pool
            .connect_options()
            .get_database()
            .unwrap()
            .to_owned();
        let mut url: url::Url = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
        url.set_path(&name);
        url.to_string()
    }

    /// The audit log as other programs read it.
    pub async fn events(&self, name: &str) -> Vec<Value> {
        let said = self
            .rollcall(&["audit", "export", "--format", "ndjson", "--event", name])
            .await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Ends the leases of killed processes as the database's clock would half a minute later.
    pub async fn let_leases_lapse(&self) {
        for statement in [
            "UPDATE runs SET heartbeat_at = now() - interval '1 hour' WHERE state = 'running'",
            "UPDATE imports SET heartbeat_at = now() - interval '1 hour' WHERE state = 'running'",
        ] {
            sqlx::query(statement).execute(&self.pool).await.unwrap();
        }
    }
}

/// Moves the clock of a program that knows nothing of it.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime is missing; `make interop` installs it (apt install faketime)")
}
