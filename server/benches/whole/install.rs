//! An installation of its own for each benchmark: database, key, configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use server::sandbox::ServiceAccountKey;
use sqlx::{Connection as _, PgConnection};
use tokio::runtime::Runtime;

use crate::measure::{self, Cost};
use crate::world::{Shape, World};

/// The program that is measured, built with the same profile.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_rollcall");
/// What the app takes for a token.
const TOKEN: &str = "bench-token";

pub fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        server::connectors::install_crypto();
        Runtime::new().unwrap()
    });
    runtime.block_on(future)
}

#[derive(Debug)]
pub struct Installation {
    pub database: String,
    folder: PathBuf,
}

/// What one run says of itself.
#[derive(Debug)]
pub struct Ran {
    pub cost: Cost,
    pub result: Value,
}

impl Installation {
    /// A new database with all migrations.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cluster = std::env::var("DATABASE_URL").unwrap();
        let name = format!("bench_{}_{number}", std::process::id());
        let create = format!("CREATE DATABASE {name}");
        let url = cluster.clone();
        block_on(async move {
            let mut db = PgConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(create))
                .execute(&mut db)
                .await
                .unwrap();
        });
        let mut database = url::Url::parse(&cluster).unwrap();
        database.set_path(&name);
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        let installation = Self {
            database: database.to_string(),
            folder,
        };
        installation.must(&["migrate"]);
        installation
    }

    /// Of a company that has been here for a while: everybody has an account in the app `bench`.
    pub fn of_company(people: usize) -> (Self, World) {
        let world = World::start(Shape {
            people,
            groups: 200,
            latency: Duration::ZERO,
            per_minute: 0,
        });
        let installation = Self::new();
        let app = AppSettings {
            concurrency: 32,
            ..AppSettings::named("bench")
        };
        installation.configure(&world.base, &[app]);
        installation.sync("bench");
        (installation, world)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env("DATABASE_URL", &self.database)
            .env(
                "ROLLCALL_SECRET_KEY",
                "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            )
            .env("ROLLCALL_DATA_DIR", &self.folder)
            .env("ROLLCALL_ALLOW_LOOPBACK_TARGETS", "1")
            .env("ROLLCALL_LOG", "error")
            .env("NO_COLOR", "1");
        command
    }

    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "rollcall {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Connects the world's directory, and apps at the given addresses.
    pub fn configure(&self, base: &str, apps: &[AppSettings]) {
        let file = |name: &str| self.folder.join(name);
        let key = ServiceAccountKey::shared().unwrap();
        std::fs::write(file("sa.json"), key.file(base).to_string()).unwrap();
        std::fs::write(file("token"), TOKEN).unwrap();
        let mut toml = format!(
            "[directory.google]\nservice_account_file = \"sa.json\"\nadmin_email = \"admin@bench.example\"\ncustomer = \"my_customer\"\nendpoint = \"{base}\"\n"
        );
        for app in apps {
            toml.push_str(&app.toml(base));
        }
        std::fs::write(file("bench.toml"), toml).unwrap();
        self.must(&["config", "apply", "-f", path(&file("bench.toml"))]);
    }

    /// Bytes that Postgres carries for events, and for everything else that is ours, indexes included.
    pub fn carried(&self) -> (i64, i64) {
        let database = self.database.clone();
        block_on(async move {
            let mut db = PgConnection::connect(&database).await.unwrap();
            sqlx::query_as(
                "SELECT COALESCE(sum(size) FILTER (WHERE relname ~ '^event'), 0)::bigint,
                        COALESCE(sum(size) FILTER (WHERE relname !~ '^event'), 0)::bigint
                 FROM (SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class
                       WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace) AS ours",
            )
            .fetch_one(&mut db)
            .await
            .unwrap()
        })
    }

    /// A folder for a console that shows no styles.
    pub fn empty_site(&self) -> PathBuf {
        let site = self.folder.join("site");
        std::fs::create_dir_all(site.join("pkg")).unwrap();
        site
    }

    /// One run in the foreground, measured.
    pub fn sync(&self, app: &str) -> Ran {
        let log = self.folder.join("result.json");
        let out = std::fs::File::create(&log).unwrap();
        let child = self
            .command(&["sync", "--app", app, "--json"])
            .stdout(Stdio::from(out))
            .spawn()
            .unwrap();
        let cost = measure::until_end(child);
        let text = std::fs::read_to_string(&log).unwrap();
        let result = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        Ran { cost, result }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[derive(Debug, Clone)]
pub struct AppSettings {
    pub slug: String,
    pub per_minute: u32,
    pub concurrency: u32,
    /// From one scheduled run to the next.
    pub every_minutes: u32,
    /// The groups in scope; none means everybody.
    pub groups: usize,
    /// Where the app is, when it is not where the directory is.
    pub base: Option<String>,
}

impl AppSettings {
    pub fn named(slug: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            per_minute: 60_000,
            concurrency: 15,
            every_minutes: 60,
            groups: 0,
            base: None,
        }
    }

    fn toml(&self, base: &str) -> String {
        let scope = if self.groups == 0 {
            "everyone = true".to_owned()
        } else {
            let groups: Vec<String> = (0..self.groups)
                .map(|g| format!("{{ email = \"group-{g}@bench.example\", members = \"nested\" }}"))
                .collect();
            format!("groups = [{}]", groups.join(", "))
        };
        format!(
            "\n[[app]]\nslug = \"{slug}\"\ncatalog = \"scim\"\nname = \"{slug}\"\nendpoint = \"{base}/scim/v2\"\ntoken_file = \"token\"\nautoprovisioning = \"on\"\nrequests_per_minute = {rate}\nconcurrency = {writes}\ninterval_minutes = {every}\n\n[app.sso]\nmethod = \"google\"\n\n[app.access.org_units]\n\"/\" = \"on\"\n\n[app.scope]\n{scope}\n\n[app.deprovisioning]\nsuspended = {{ suspend = \"1d\" }}\n",
            base = self.base.as_deref().unwrap_or(base),
            slug = self.slug,
            rate = self.per_minute,
            writes = self.concurrency,
            every = self.every_minutes,
        )
    }
}
