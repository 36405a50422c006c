//! One database with its emulated company, and the processes that share it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use provisioning::catalog;
use server::sandbox::Sandbox;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Child;

use crate::program::{self, Places, Program};

const EMAIL: &str = "ada@northmoor.example";
const PASSWORD: &str = "a long password for ada";
/// Far beyond what anything here takes; reached only when it never comes.
const NEVER: Duration = Duration::from_secs(240);

pub struct House {
    pub program: Program,
    pub sandbox: Sandbox,
    site: PathBuf,
}

/// A console with a browser that is signed in.
pub struct Console {
    base: String,
    cookie: String,
    client: reqwest::Client,
    _process: Child,
}

impl House {
    /// A company of three hundred whose app is on, with nobody provisioned yet.
    pub async fn open(pool: PgPool) -> Self {
        // The browser's client wants a provider, though nothing here speaks TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let program = Program::new(pool);
        let (sandbox, base) = program::emulate(&program.clock, |options| {
            options.people = 300;
            options.accounts = 0;
            options.strangers = 0;
        })
        .await;
        program.write("sa.json", &sandbox.service_account_key_json(&base));
        program.write("token", &sandbox.asana_token());
        let file = program.file(&Places {
            directory: &base,
            app: &Sandbox::scim_endpoint(&base),
            catalog: "asana",
        });
        let said = program.apply(&file).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let site = program.folder.path().join("site");
        std::fs::create_dir_all(site.join("pkg")).unwrap();
        Self {
            program,
            sandbox,
            site,
        }
    }

    /// A process that is only watched, and ends with the test.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.program
            .command(arguments)
            .env("ROLLCALL_SITE_DIR", &self.site)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub async fn add_administrator(&self) {
        let arguments = ["admin", "create", "--email", EMAIL, "--password-stdin"];
        let mut process = self
            .program
            .command(&arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = process.stdin.take().unwrap();
        input
            .write_all(format!("{PASSWORD}\n").as_bytes())
            .await
            .unwrap();
        drop(input);
        let output = process.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub async fn console(&self) -> Console {
        let mut process = self
            .program
            .command(&["serve", "--no-worker", "--addr", "127.0.0.1:0"])
            .env("ROLLCALL_SITE_DIR", &self.site)
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
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let form = [("email", EMAIL), ("password", PASSWORD)];
        let signed_in = client
            .post(format!("{base}/api/sign_in"))
            .form(&form)
            .send()
            .await
            .unwrap();
        let cookie = signed_in.headers().get("set-cookie").cloned();
        let Some(cookie) = cookie else {
            panic!("nobody was signed in: {signed_in:?}");
        };
        let cookie = cookie.to_str().unwrap();
        Console {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            base,
            client,
            _process: process,
        }
    }

    /// The process that holds the lease of the run that is under way.
    pub async fn carrier(&self) -> Option<u32> {
        let owner = "SELECT owner FROM runs WHERE state = 'running'";
        let owner: Option<Option<String>> = sqlx::query_scalar(owner)
            .fetch_optional(&self.program.pool)
            .await
            .unwrap();
        owner.flatten()?.split('-').next()?.parse().ok()
    }

    pub async fn open_runs(&self) -> i64 {
        self.number("SELECT count(*) FROM runs WHERE state IN ('queued', 'running')")
            .await
    }

    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&self.program.pool)
            .await
            .unwrap()
    }

    /// Looks until it is so. Each look is a question; nothing is taken for granted after a while.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let looking = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(NEVER, looking)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Writes that the app is sent at the same time.
    pub fn most_at_once(&self) -> u64 {
        u64::from(catalog::entry("asana").unwrap().limits.write_concurrency)
    }
}

impl Console {
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        self.client
            .post(format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .form(form)
            .send()
            .await
            .unwrap()
    }

    /// Asks for a run; its number, unless one is under way.
    pub async fn start_run(&self) -> Option<i64> {
        let answer = self.post("/api/start_run", &[("slug", "app")]).await;
        if answer.status() == reqwest::StatusCode::CONFLICT {
            return None;
        }
        let place = answer.headers().get("location").map(|to| to.to_str());
        let Some(Ok(place)) = place else {
            panic!("no run: {answer:?}");
        };
        place.rsplit('/').next().unwrap().parse().ok()
    }

    pub async fn stop_run(&self, number: i64) {
        let number = number.to_string();
        let form = [("slug", "app"), ("number", number.as_str())];
        let answer = self.post("/api/stop_run", &form).await;
        let status = answer.status();
        assert!(status.is_success() || status.is_redirection(), "{answer:?}");
    }
}
