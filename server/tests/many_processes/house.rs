//! One database with its emulated company, and the processes that share it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use app::api::account::Enrolment;
use provisioning::catalog;
use server::clock::{Clock as _, SystemClock};
use server::sandbox::Sandbox;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::OnceCell;

use crate::program::{self, Places, Program};

const EMAIL: &str = "ada@northmoor.example";
const PASSWORD: &str = "a long password for ada";
/// Far beyond what anything here takes; reached only when it never comes.
const NEVER: Duration = Duration::from_secs(240);

pub struct House {
    pub program: Program,
    pub sandbox: Sandbox,
    site: PathBuf,
    /// One session for all consoles: they share the database.
    cookie: OnceCell<String>,
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
            cookie: OnceCell::new(),
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
        let mut console = Console {
            base,
            cookie: String::new(),
            client,
            _process: process,
        };
        let cookie = self.cookie.get_or_init(|| console.sign_in()).await.clone();
        console.cookie = cookie;
        console
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
    /// With a second factor that is set up on the way.
    async fn sign_in(&self) -> String {
        let form = [("email", EMAIL), ("password", PASSWORD), ("next", "")];
        let halfway = cookie(&self.post_as("", "/api/sign_in", &form).await);
        let enrolment = self.post_as(&halfway, "/api/enrolment", &[]).await;
        let enrolment: Enrolment = enrolment.json().await.unwrap();
        let secret = enrolment.secret.unwrap().text.replace(' ', "");
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let app = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        let now = u64::try_from(SystemClock.now().timestamp()).unwrap();
        let code = app.generate(now).to_string();
        let form = [("code", code.as_str())];
        cookie(&self.post_as(&halfway, "/api/finish_enrolment", &form).await)
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        self.post_as(&self.cookie, path, form).await
    }

    async fn post_as(&self, cookie: &str, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        self.client
            .post(format!("{}{path}", self.base))
            .header("cookie", cookie)
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

/// The session's cookie, as the browser sends it back.
fn cookie(answer: &reqwest::Response) -> String {
    let Some(set) = answer.headers().get("set-cookie") else {
        panic!("no session: {answer:?}");
    };
    let set = set.to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}
