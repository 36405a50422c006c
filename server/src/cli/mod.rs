//! The commands of the operator.

mod accounts;
mod admin;
mod audit;
mod config;
mod database;
mod demo;
mod directory;
mod doctor;
mod explain;
mod failure;
mod failures;
mod migrate;
mod notify;
mod provision;
mod queue;
mod sandbox;
mod secrets;
mod serve;
mod shell;
mod sync;
mod worker;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use rustix::process::DumpableBehavior;

pub use failure::Failure;

use provisioning::identity::PersonId;

use crate::installation::Installation;
use crate::settings::Settings;
use crate::store::apps::{self, App};
use crate::store::people;
use crate::telemetry;
use crate::traces::Traces;

/// Who acted, when it was somebody at a shell.
const SHELL: &str = "shell";

type Outcome = Result<ExitCode, Failure>;

/// Keeps the accounts of your people in step with your Google Workspace directory.
#[derive(Debug, Parser)]
#[command(
    name = "rollcall",
    version = VERSION.as_str(),
    propagate_version = true,
    after_help = "Settings come from the environment:\n  \
        DATABASE_URL                      the Postgres to use; unset, an embedded one is started or joined\n  \
        ROLLCALL_DATA_DIR                 where the embedded Postgres and its keys are kept (./data)\n  \
        ROLLCALL_SECRET_KEY[_FILE]        the key that encrypts secrets: base64 of 32 bytes\n  \
        ROLLCALL_SECRET_KEY_OLD           keys that were used before, until rollcall secrets rotate\n  \
        ROLLCALL_PUBLIC_URL               how browsers reach the console, such as https://rollcall.example.com\n  \
        ROLLCALL_ALLOW_LOOPBACK_TARGETS   1 lets apps and directory be on loopback, http included\n  \
        ROLLCALL_ALLOW_PRIVATE_TARGETS    1 lets them be on private addresses\n  \
        ROLLCALL_MIGRATE_URL              the Postgres role that owns the tables, when it is another one\n  \
        ROLLCALL_POSTGRES_BIN             the folder of initdb and postgres, when they are not found\n  \
        ROLLCALL_SITE_DIR                 the folder of the browser's files, when it is not found\n  \
        ROLLCALL_AUDIT_CHECKPOINT_FILE    where the head of the audit log is noted outside the database\n  \
        ROLLCALL_LOG                      what is logged, such as info,server=debug"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the console, with a worker beside it
    Serve(serve::Arguments),
    /// Carry out runs, without a console
    Worker(worker::Arguments),
    /// Try it out: the console, a worker and emulators of Google and Asana on this machine
    Demo(demo::Arguments),
    /// Bring the database up to date
    Migrate,
    /// Create administrators and let them in again
    Admin(admin::Arguments),
    /// Show whose directory is read and what it waits for; read it, or confirm
    Directory(directory::Arguments),
    /// Run one cycle of an app to its end, or only plan it
    Sync(sync::Arguments),
    /// Provision one person now, and tell each step of it
    Provision(provision::Arguments),
    /// List what failed and why; try again, or ignore it
    Failures(failures::Arguments),
    /// Say rule by rule why somebody has an account, or has none
    Explain(explain::Arguments),
    /// List pending suspensions and deletions, and decide about one
    Queue(queue::QueueArguments),
    /// List held removals, and allow or dismiss them
    Review(queue::ReviewArguments),
    /// List matches that wait and accounts that are gone, and decide about one
    Accounts(accounts::Arguments),
    /// Export the audit log, or prove it
    Audit(audit::Arguments),
    /// Apply, write out or compare the configuration file; list and restore earlier versions
    Config(config::Arguments),
    /// Rotate the key that encrypts secrets
    Secrets(secrets::Arguments),
    /// Try the channels that tell somebody when something needs them
    Notify(notify::Arguments),
    /// Look for what is wrong with this installation, and say what helps
    Doctor(doctor::Arguments),
    /// Serve the emulated Google directory and Asana alone
    Sandbox(sandbox::Arguments),
    /// Run a command with DATABASE_URL set, or keep the database running until it is stopped
    Database(database::Arguments),
    /// Write the completions of a shell: bash, zsh, fish, elvish or powershell
    Completions(shell::Completions),
    /// Write the pages for man into a folder
    Manual(shell::Manual),
}

impl Command {
    /// Whether people read its output, so that routine lines of the log would be in the way.
    fn is_quiet(&self) -> bool {
        matches!(
            self,
            Self::Directory(_)
                | Self::Sync(_)
                | Self::Provision(_)
                | Self::Failures(_)
                | Self::Explain(_)
                | Self::Queue(_)
                | Self::Review(_)
                | Self::Accounts(_)
                | Self::Migrate
                | Self::Admin(_)
                | Self::Audit(_)
                | Self::Config(_)
                | Self::Secrets(_)
                | Self::Notify(_)
                | Self::Doctor(_)
                | Self::Database(_)
                | Self::Completions(_)
                | Self::Manual(_)
        )
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    run(cli.command).unwrap_or_else(|failure| failure.report())
}

/// `0.1.0`, and the commit that it was built from if that is known.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match crate::BUILD {
        Some(build) => format!("{version} ({build})"),
        None => version.to_owned(),
    }
});

/// Help and version are printed as they are; a mistake is one line.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr()
        || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        // Nothing is left to tell when even this can't be written.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
    }
    let text = error.render().to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    Failure::usage(format!(
        "{} (try --help)",
        line.trim_start_matches("error: ")
    ))
    .report()
}

fn run(command: Command) -> Outcome {
    match &command {
        Command::Completions(arguments) => return shell::completions(arguments),
        Command::Manual(arguments) => return shell::manual(arguments),
        _ => {}
    }
    // A dump of this process's memory would hold the keys. Where it can't be forbidden, nothing else
    // is worse for it.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Failing means that the process has a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::failed)?;
    let traces = Traces::from_env(runtime.handle()).map_err(Failure::usage)?;
    telemetry::start_logging(command.is_quiet(), &traces)?;
    let settings = Settings::from_env()?;
    let outcome = runtime.block_on(async {
        match command {
            // What serves is large; on the heap it does not weigh on the others.
            Command::Serve(arguments) => Box::pin(serve::run(settings, arguments)).await,
            Command::Demo(arguments) => Box::pin(demo::run(settings, arguments)).await,
            Command::Worker(arguments) => Box::pin(worker::run(settings, arguments)).await,
            Command::Migrate => migrate::run(settings).await,
            Command::Admin(arguments) => admin::run(settings, arguments).await,
            Command::Directory(arguments) => directory::run(settings, arguments).await,
            Command::Sync(arguments) => Box::pin(sync::run(settings, arguments)).await,
            Command::Provision(arguments) => Box::pin(provision::run(settings, arguments)).await,
            Command::Failures(arguments) => failures::run(settings, arguments).await,
            Command::Explain(arguments) => explain::run(settings, arguments).await,
            Command::Queue(arguments) => queue::queue(settings, arguments).await,
            Command::Review(arguments) => queue::review(settings, arguments).await,
            Command::Accounts(arguments) => accounts::run(settings, arguments).await,
            Command::Audit(arguments) => audit::run(settings, arguments).await,
            Command::Secrets(arguments) => secrets::run(settings, arguments).await,
            Command::Notify(arguments) => notify::run(settings, arguments).await,
            Command::Doctor(arguments) => doctor::run(settings, arguments).await,
            Command::Sandbox(arguments) => sandbox::run(arguments).await,
            Command::Config(arguments) => config::run(settings, arguments).await,
            Command::Database(arguments) => database::run(settings, arguments).await,
            // Written already, without settings.
            Command::Completions(_) | Command::Manual(_) => Ok(ExitCode::SUCCESS),
        }
    });
    traces.end();
    outcome
}

/// The app with this slug; another name is a mistake in the command.
async fn app_by_slug(installation: &Installation, slug: &str) -> Result<App, Failure> {
    let mut db = installation.pool.acquire().await?;
    apps::by_slug(&mut db, slug)
        .await
        .map_err(Failure::failed)?
        .ok_or_else(|| {
            Failure::usage(format!(
                "there is no app {slug:?}: rollcall config export lists them"
            ))
        })
}

/// Everybody with this directory id or address, as the directory was last read.
async fn found_people(installation: &Installation, key: &str) -> Result<Vec<PersonId>, Failure> {
    let mut db = installation.pool.acquire().await?;
    let found = people::find(&mut db, key).await.map_err(Failure::failed)?;
    if !found.is_empty() {
        return Ok(found);
    }
    // Their addresses are gone, and they may be waiting in a queue.
    let purged = people::find_purged(&mut db, key).await;
    purged.map_err(Failure::failed)
}

fn several_people(key: &str, people: &[PersonId]) -> Failure {
    let ids: Vec<&str> = people.iter().map(PersonId::as_str).collect();
    let ids = ids.join(", ");
    Failure::usage(format!(
        "{key} names several people; give one of their ids: {ids}"
    ))
}

/// The one person with this directory id or address.
async fn person_by_key(installation: &Installation, key: &str) -> Result<PersonId, Failure> {
    match found_people(installation, key).await?.as_slice() {
        [person] => Ok(person.clone()),
        [] => Err(Failure::usage(format!(
            "{key} is not in the directory as it was last read"
        ))),
        several => Err(several_people(key, several)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_every_command_says_what_it_does() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let mut open = vec![&command];
        while let Some(next) = open.pop() {
            assert!(
                next.get_about().is_some(),
                "{} has no help",
                next.get_name()
            );
            open.extend(next.get_subcommands());
        }
    }
}
