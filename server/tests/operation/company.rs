//! A small company whose app is on, for tests with the program itself.

use std::process::Stdio;
use std::time::Duration;

use server::sandbox::Sandbox;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::program::{self, Places, Program, Said};

/// The one secret key of `Program`, and another one.
pub const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
pub const NEW_KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

pub struct Company {
    pub program: Program,
    pub sandbox: Sandbox,
    pub base: String,
}

impl Company {
    /// Nobody has an account yet, and nothing was configured.
    pub async fn found(pool: PgPool) -> Self {
        // Clients of tests want a provider, though most speak no TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = Program::new(pool);
        let (sandbox, base) = program::emulate(&program.clock, |options| {
            options.people = 25;
            options.accounts = 0;
            options.strangers = 0;
        })
        .await;
        program.write("sa.json", &sandbox.service_account_key_json(&base));
        program.write("token", &sandbox.asana_token());
        Self {
            program,
            sandbox,
            base,
        }
    }

    pub fn file(&self) -> String {
        self.program.file(&Places {
            directory: &self.base,
            app: &Sandbox::scim_endpoint(&self.base),
            catalog: "asana",
        })
    }

    /// The configuration file, for a command of its own.
    pub fn written(&self) -> String {
        let path = self.program.write("rollcall.toml", &self.file());
        path.to_str().unwrap().to_owned()
    }

    /// Configured, and everybody has an account.
    pub async fn provisioned(pool: PgPool) -> Self {
        let company = Self::found(pool).await;
        let said = company.program.apply(&company.file()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let (code, result) = company.program.sync().await;
        assert_eq!(code, 0, "{result}");
        company
    }

    /// A command with other settings than the usual ones.
    pub async fn rollcall_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Said {
        let mut command = self.program.command(arguments);
        output(command.envs(settings.iter().copied())).await
    }

    /// The console under way, and where it answers.
    pub async fn console(&self, arguments: &[&str], settings: &[(&str, &str)]) -> (Child, String) {
        let site = self.program.folder.path().join("site");
        std::fs::create_dir_all(site.join("pkg")).unwrap();
        // A port that was free a moment ago: with a public address, the program tells that one only.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut all = vec!["serve", "--addr", &address];
        all.extend(arguments);
        let mut process = self
            .program
            .command(&all)
            .env("ROLLCALL_SITE_DIR", &site)
            .envs(settings.iter().copied())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let base = loop {
            let line = lines.next_line().await.unwrap().expect("serve has ended");
            if let Some(base) = line.strip_prefix("Rollcall is ready at ") {
                break base.to_owned();
            }
        };
        let base = match base.contains(&address) {
            true => base,
            false => format!("http://{address}"),
        };
        // What it says later has to go somewhere.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        (process, base)
    }

    /// An auditor, who gets in with a password alone.
    pub async fn add_auditor(&self, email: &str, password: &str) -> Said {
        let mut command = self.program.command(&[
            "admin",
            "create",
            "--role",
            "auditor",
            "--email",
            email,
            "--password-stdin",
        ]);
        let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        input
            .write_all(format!("{password}\n").as_bytes())
            .await
            .unwrap();
        drop(input);
        said(process.wait_with_output().await.unwrap())
    }
}

pub async fn output(command: &mut Command) -> Said {
    said(command.output().await.unwrap())
}

fn said(output: std::process::Output) -> Said {
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn terminate(process: &Child) {
    let pid = process.id().and_then(|id| i32::try_from(id).ok()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// Far beyond what anything here takes.
pub const NEVER: Duration = Duration::from_secs(120);
