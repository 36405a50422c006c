//! `rollcall doctor`: what is wrong with this installation, and what helps.

use std::path::Path;
use std::process::ExitCode;

use chrono::TimeDelta;
use serde::Serialize;

use super::{Failure, Outcome};
use crate::authorization;
use crate::connectors::ScopeResult;
use crate::http::Site;
use crate::installation::Installation;
use crate::settings::{
    AUDIT_CHECKPOINT_FILE, DATABASE_URL, MIGRATE_URL, PUBLIC_URL, SECRET_KEY, Settings,
};
use crate::store::apps::{self, App, AppState};
use crate::store::credentials::{self, Credential};
use crate::store::schema::{self, Standing};
use crate::store::{connection, measures, notifications, sealed, workers};
use crate::sync::{Engine, inputs};

/// From here on the machine's clock and the database's are not the same.
const CLOCK_WARNING: TimeDelta = TimeDelta::seconds(5);
const CLOCK_FAILURE: TimeDelta = TimeDelta::minutes(5);
/// A run that is this late has no worker.
const LATE_RUN: TimeDelta = TimeDelta::minutes(2);
const LEAST_FREE_BYTES: u64 = 1 << 30;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the findings as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: String,
    level: Level,
    message: String,
    remedy: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: impl Into<String>, message: impl Into<String>) {
        self.add(check, Level::Ok, message, None);
    }

    fn warn(
        &mut self,
        check: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Level::Warning, message, Some(remedy.into()));
    }

    fn fail(
        &mut self,
        check: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Level::Failed, message, Some(remedy.into()));
    }

    fn add(
        &mut self,
        check: impl Into<String>,
        level: Level,
        message: impl Into<String>,
        remedy: Option<String>,
    ) {
        self.0.push(Finding {
            check: check.into(),
            level,
            message: message.into(),
            remedy,
        });
    }

    fn worst(&self) -> Level {
        self.0
            .iter()
            .map(|finding| finding.level)
            .max()
            .unwrap_or(Level::Ok)
    }
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let mut findings = Findings::default();
    console(&settings, &mut findings);
    match Installation::reach(settings).await {
        Ok(installation) => {
            // What can't be told is a finding too, so that the rest is still looked at.
            if let Err(failure) = installed(&installation, &mut findings).await {
                findings.fail(
                    "database",
                    failure.message,
                    "Mend this first, then run rollcall doctor again.",
                );
            }
            installation.leave().await;
        }
        Err(error) => findings.fail(
            "database",
            error.to_string(),
            format!(
                "Start the database, or correct {DATABASE_URL}; then run rollcall doctor again."
            ),
        ),
    }
    print(&findings, arguments.json)?;
    Ok(ExitCode::from(u8::from(findings.worst() == Level::Failed)))
}

fn print(findings: &Findings, json: bool) -> Result<(), Failure> {
    if json {
        let ok = findings.worst() != Level::Failed;
        let object = serde_json::json!({ "ok": ok, "findings": findings.0 });
        println!("{object}");
        return Ok(());
    }
    for finding in &findings.0 {
        let mark = match finding.level {
            Level::Ok => "ok      ",
            Level::Warning => "warning ",
            Level::Failed => "FAILED  ",
        };
        println!("{mark}{}: {}", finding.check, finding.message);
        if let Some(remedy) = &finding.remedy {
            println!("        -> {remedy}");
        }
    }
    Ok(())
}

fn console(settings: &Settings, findings: &mut Findings) {
    match Site::find(settings.site_dir.clone()) {
        Ok(site) => findings.ok(
            "console",
            format!("the browser's files are in {}", site.folder().display()),
        ),
        Err(error) => findings.warn(
            "console",
            error.to_string(),
            "Only rollcall serve needs them: put the folder site beside the program.",
        ),
    }
    match &settings.public_url {
        Some(url) if url.scheme() == "https" => {
            findings.ok("address", format!("browsers reach the console at {url}"));
        }
        _ => findings.warn(
            "address",
            "browsers reach the console without https, as far as this process knows",
            format!("On a server, put a proxy with a certificate in front and set {PUBLIC_URL}."),
        ),
    }
}

async fn installed(installation: &Installation, findings: &mut Findings) -> Result<(), Failure> {
    let mut db = installation.pool.acquire().await?;
    let facts = schema::facts(&mut db).await?;
    findings.ok(
        "database",
        format!("PostgreSQL {} answers", facts.server_version),
    );
    match schema::standing(&mut db).await? {
        Standing::Current => findings.ok("migrations", "the schema is this program's"),
        Standing::Behind { missing } => {
            findings.fail(
                "migrations",
                format!("{missing} migrations are missing"),
                "Run rollcall migrate.",
            );
            return Ok(());
        }
        Standing::Newer { found, known } => {
            findings.fail(
                "migrations",
                format!(
                    "the database has migration {found}, this program knows them up to {known}"
                ),
                "Use the newer version of Rollcall that migrated it.",
            );
            return Ok(());
        }
    }
    role(installation, &mut db, findings).await?;
    clock(installation, &mut db, findings).await?;
    disk(installation, findings);
    let engine = installation.engine()?;
    let apps = apps::list(&mut db).await.map_err(Failure::failed)?;
    jobs(installation, &mut db, findings).await?;
    key(installation, &mut db, &apps, findings).await;
    told(&mut db, findings).await?;
    drop(db);
    log(installation, findings).await;
    directory(&engine, findings).await;
    for app in &apps {
        one_app(&engine, app, findings).await;
    }
    Ok(())
}

/// Whether somebody is told when something needs them.
async fn told(db: &mut sqlx::PgConnection, findings: &mut Findings) -> Result<(), Failure> {
    let channels = notifications::channels(db).await?;
    let mut on = channels.iter().filter(|channel| channel.on).peekable();
    if on.peek().is_none() {
        findings.ok("notifications", "nobody is told when something needs them");
    }
    for channel in on {
        let check = format!("notifications {}", channel.name);
        match &channel.error {
            None => findings.ok(check, "the last message arrived, or none was sent yet"),
            Some(error) => findings.warn(
                check,
                format!("the last message did not arrive: {error}"),
                "Correct the channel in the console, then run rollcall notify test.",
            ),
        }
    }
    Ok(())
}

async fn role(
    installation: &Installation,
    db: &mut sqlx::PgConnection,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let role = schema::role(db).await?;
    if !role.owns_the_tables && !role.is_superuser {
        findings.ok(
            "role",
            format!("the role of {DATABASE_URL} does not own the tables"),
        );
    } else if installation.settings.database_url.is_some() {
        findings.warn(
            "role",
            format!(
                "the role of {DATABASE_URL} owns the tables, so it could lift the protection of the audit log"
            ),
            format!("Give the owner in {MIGRATE_URL}, and a role that owns nothing in {DATABASE_URL}."),
        );
    } else {
        findings.ok(
            "role",
            "the embedded database has one role, which owns the tables",
        );
    }
    Ok(())
}

async fn clock(
    installation: &Installation,
    db: &mut sqlx::PgConnection,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let database = schema::time(db).await?;
    let apart = (installation.clock.now() - database).abs();
    let text = format!(
        "this machine's clock and the database's are {} s apart",
        apart.num_seconds()
    );
    let remedy = "Let both machines follow a time server. Suspensions and deletions follow this machine's clock.";
    if apart > CLOCK_FAILURE {
        findings.fail("clock", text, remedy);
    } else if apart > CLOCK_WARNING {
        findings.warn("clock", text, remedy);
    } else {
        findings.ok("clock", text);
    }
    Ok(())
}

fn disk(installation: &Installation, findings: &mut Findings) {
    // A database elsewhere has a disk of its own.
    if installation.settings.database_url.is_some() {
        return;
    }
    let folder = installation.data_dir();
    let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    judge_disk(folder, free, findings);
}

fn judge_disk(folder: &Path, free: Result<u64, rustix::io::Errno>, findings: &mut Findings) {
    let folder = folder.display();
    match free {
        Ok(free) if free < LEAST_FREE_BYTES => findings.fail(
            "disk",
            format!("{} MiB are free at {folder}", free >> 20),
            "Make room: the database stops when the disk is full.",
        ),
        Ok(free) => findings.ok("disk", format!("{} MiB are free at {folder}", free >> 20)),
        Err(error) => findings.warn(
            "disk",
            format!("{folder} can't be looked at: {error}"),
            "Look at the free space yourself.",
        ),
    }
}

async fn jobs(
    installation: &Installation,
    db: &mut sqlx::PgConnection,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let now = installation.clock.now();
    let standings = measures::standings(db, now)
        .await
        .map_err(Failure::failed)?;
    let late: Vec<&str> = standings
        .iter()
        .filter(|standing| standing.state == "on")
        .filter(|standing| {
            standing.waiting_runs > 0
                || standing
                    .next_run_at
                    .is_none_or(|next| next + LATE_RUN < now)
        })
        .map(|standing| standing.app.as_str())
        .collect();
    let workers = workers::alive(db).await.map_err(Failure::failed)?.len();
    let any_on = standings.iter().any(|standing| standing.state == "on");
    if late.is_empty() && workers == 0 && any_on {
        findings.warn(
            "job engine",
            "no worker is running",
            "Start rollcall serve or rollcall worker, so that runs happen by themselves.",
        );
    } else if late.is_empty() {
        findings.ok(
            "job engine",
            format!("no run waits; workers that are running: {workers}"),
        );
    } else {
        findings.warn(
            "job engine",
            format!("runs wait for a worker: {}", late.join(", ")),
            "Start rollcall serve or rollcall worker, and look at its log.",
        );
    }
    Ok(())
}

/// Whether every stored secret can be read with the key that is configured.
async fn key(
    installation: &Installation,
    db: &mut sqlx::PgConnection,
    apps: &[App],
    findings: &mut Findings,
) {
    let stored = std::iter::once(("the directory's key".to_owned(), Credential::DirectoryKey))
        .chain(apps.iter().map(|app| {
            (
                format!("the token of {}", app.name),
                Credential::AppToken(app.id.0),
            )
        }));
    let mut unreadable = Vec::new();
    for (name, credential) in stored {
        if let Err(error) = credentials::get(db, &installation.vault, credential).await {
            unreadable.push(format!("{name}: {error}"));
        }
    }
    let others = sealed::keys_in_use(db).await.unwrap_or_default();
    let others: Vec<String> = others
        .iter()
        .filter(|key| *key != installation.vault.current())
        .map(ToString::to_string)
        .collect();
    if unreadable.is_empty() && others.is_empty() {
        findings.ok("secret key", "every stored secret can be read");
    } else if unreadable.is_empty() {
        findings.warn(
            "secret key",
            format!(
                "secrets are still encrypted with an older key: {}",
                others.join(", ")
            ),
            "Run rollcall secrets rotate.",
        );
    } else {
        findings.fail(
            "secret key",
            unreadable.join("; "),
            format!(
                "Give the key that they were stored with in {SECRET_KEY}; where it is lost, enter the directory's key and the tokens again."
            ),
        );
    }
}

async fn log(installation: &Installation, findings: &mut Findings) {
    let seals = installation.seals();
    let looked_at = async {
        seals.check_ends().await?;
        seals.seal().await
    };
    match looked_at.await {
        Ok(_) if installation.settings.audit_checkpoints.is_some() => {
            findings.ok("audit log", "it ends as it was sealed");
        }
        Ok(_) => findings.warn(
            "audit log",
            "it ends as it was sealed, and its head is kept in the database only",
            format!("Set {AUDIT_CHECKPOINT_FILE} to a file outside the database."),
        ),
        Err(error) => findings.fail(
            "audit log",
            error.to_string(),
            "Run rollcall audit verify, and compare the database with a backup.",
        ),
    }
}

async fn directory(engine: &Engine, findings: &mut Findings) {
    let check = "directory";
    let directory = match engine.directory().await {
        Ok(directory) => directory,
        Err(error) => {
            findings.warn(
                check,
                error.to_string(),
                "Connect it on the page Connection, or with rollcall config apply.",
            );
            return;
        }
    };
    for tested in directory.test_scopes().await {
        let check = format!("{check}, {}", tested.purpose);
        match tested.result {
            ScopeResult::Ok => findings.ok(check, "granted"),
            ScopeResult::Missing { sentence } | ScopeResult::Failed { sentence, .. } => {
                findings.fail(
                    check,
                    sentence,
                    "The page Connection tests each scope and says where it is granted.",
                );
            }
        }
    }
    let saved = async {
        let mut db = engine.connection().await?;
        connection::read(&mut db).await
    };
    if let Ok(Some(saved)) = saved.await
        && let (Some(seen), Some(recorded)) = (saved.seen_customer_id, saved.customer_id)
    {
        findings.fail(
            check,
            format!("it is the directory of customer {seen}, and {recorded} is recorded"),
            "Confirm it on the page Connection, or connect the right one.",
        );
    }
}

async fn one_app(engine: &Engine, app: &App, findings: &mut Findings) {
    let check = format!("app {}", app.slug);
    if let AppState::Stopped { message, .. } = &app.state {
        findings.fail(
            &check,
            format!("it is stopped: {message}"),
            "Open the app's page Autoprovisioning: it says how to go on.",
        );
    }
    let token = match engine.token(app.id).await {
        Ok(Some(token)) => token,
        Ok(None) => {
            findings.warn(
                check,
                "it has no access token yet",
                "Authorize it on its page Autoprovisioning, or name token_file in the configuration file.",
            );
            return;
        }
        // Told with the secret key already.
        Err(_) => return,
    };
    let entry = match inputs::catalog_entry(app) {
        Ok(entry) => entry,
        Err(error) => {
            findings.fail(
                check,
                error.to_string(),
                "Use the version of Rollcall that it was added with, or delete its configuration.",
            );
            return;
        }
    };
    let endpoint = match authorization::normal_endpoint(&app.endpoint) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            findings.fail(
                check,
                format!("its endpoint is not an address: {error}"),
                "Correct it on its page Autoprovisioning.",
            );
            return;
        }
    };
    match authorization::check(engine, &entry, endpoint, token).await {
        Ok(_) => findings.ok(check, "it takes the token and lists accounts"),
        Err(error) if error.is_authorization() => findings.fail(
            check,
            error.to_string(),
            "Reauthorize it on its page Autoprovisioning.",
        ),
        Err(error) => findings.fail(
            check,
            error.to_string(),
            "Check that the app answers at its endpoint, then run rollcall doctor again.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(free: Result<u64, rustix::io::Errno>) -> (&'static str, String, bool) {
        let mut findings = Findings::default();
        judge_disk(Path::new("/var/lib/rollcall"), free, &mut findings);
        let [finding] = findings.0.as_slice() else {
            panic!("one finding about one disk");
        };
        let remedy = finding.remedy.is_some();
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Failed => "failed",
        };
        (level, finding.message.clone(), remedy)
    }

    #[test]
    fn a_disk_that_is_nearly_full_fails_and_one_that_is_not_does_not() {
        let text = |mib| format!("{mib} MiB are free at /var/lib/rollcall");
        let least = LEAST_FREE_BYTES;
        assert_eq!(found(Ok(least)), ("ok", text(least >> 20), false));
        assert_eq!(
            found(Ok(least - 1)),
            ("failed", text((least >> 20) - 1), true)
        );
        assert_eq!(found(Ok(0)), ("failed", text(0), true));
        let (level, message, remedy) = found(Err(rustix::io::Errno::ACCESS));
        assert_eq!((level, remedy), ("warning", true));
        assert!(message.contains("can't be looked at"), "{message}");
    }
}
