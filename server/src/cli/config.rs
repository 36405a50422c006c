//! `rollcall config`: the configuration as a file, and its earlier versions.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use provisioning::config::{AppConfig, diff};
use provisioning::lifecycle::{Redated, redate};
use serde_json::{Value, json};

use super::{Failure, Outcome, SHELL};
use crate::config_file::{self, ConfigFileError, Options};
use crate::configuration::{self, By};
use crate::configuration_history::{self, configuration_of};
use crate::installation::Installation;
use crate::setting_words::summary;
use crate::settings::Settings;
use crate::store::{apps, lifecycles};
use crate::sync::inputs;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the configuration what the file says, as a whole or not at all
    Apply(Apply),
    /// Write the configuration to standard output, without secrets
    Export,
    /// Say what applying the file would change
    Diff(Diff),
    /// List the versions of an app's configuration, newest first
    History(History),
    /// Make an earlier version of an app's configuration the newest one
    #[command(disable_version_flag = true)]
    Restore(Restore),
}

#[derive(Debug, Args)]
struct Apply {
    /// The file; paths in it are relative to it
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Ask directory and apps first whether they accept it
    #[arg(long)]
    check: bool,
    /// Delete the configuration of apps that the file does not name; their accounts stay
    #[arg(long)]
    prune: bool,
}

#[derive(Debug, Args)]
struct Diff {
    /// The file; paths in it are relative to it
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// As if applied with --prune
    #[arg(long)]
    prune: bool,
}

#[derive(Debug, Args)]
struct History {
    /// The app's short name
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// Print one JSON array, with every changed setting
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Restore {
    /// The app's short name
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// The number of the version, as rollcall config history lists it
    #[arg(long, value_name = "NUMBER")]
    version: i32,
    /// Do it; without this, only say what would change
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = carry_out(&installation, arguments.command).await;
    installation.close().await;
    done
}

async fn carry_out(installation: &Installation, command: Command) -> Outcome {
    let engine = installation.engine()?;
    let mut out = Vec::new();
    let done = match command {
        Command::Apply(Apply { file, check, prune }) => {
            let options = Options {
                check,
                prune,
                ..Options::default()
            };
            config_file::apply(&engine, &file, options, SHELL, &mut out)
                .await
                .map(drop)
        }
        Command::Diff(Diff { file, prune }) => {
            let options = Options {
                prune,
                ..Options::default()
            };
            config_file::diff(&engine, &file, options, &mut out)
                .await
                .map(drop)
        }
        Command::Export => config_file::export(&engine, &mut out).await,
        Command::History(History { app, json }) => return history(installation, &app, json).await,
        Command::Restore(wanted) => return restore(installation, &wanted).await,
    };
    io::stdout().write_all(&out).map_err(Failure::failed)?;
    done.map_err(refused).map(|()| ExitCode::SUCCESS)
}

async fn history(installation: &Installation, slug: &str, json: bool) -> Outcome {
    let app = super::app_by_slug(installation, slug).await?;
    let entry = inputs::catalog_entry(&app).map_err(Failure::failed)?;
    let mut db = installation.pool.acquire().await?;
    let versions = apps::config_history(&mut db, app.id, i32::MAX, i64::MAX)
        .await
        .map_err(Failure::failed)?;
    let mut listed = Vec::new();
    for (at, version) in versions.iter().enumerate() {
        let before = versions.get(at + 1);
        let changes = match before {
            Some(before) => diff(&parsed(before)?, &parsed(version)?),
            None => Vec::new(),
        };
        if json {
            listed.push(json!({
                "version": version.version,
                "time": version.created_at,
                "actor": version.actor,
                "note": version.note,
                "changes": configuration::listed(&changes),
            }));
        } else {
            let what = match before {
                Some(_) => summary(&changes, &entry),
                None => "First configuration".to_owned(),
            };
            println!(
                "{:>4}  {}  {}  {what}",
                version.version,
                version.created_at.format("%Y-%m-%d %H:%M"),
                version.actor
            );
        }
    }
    if json {
        println!("{}", Value::Array(listed));
    }
    Ok(ExitCode::SUCCESS)
}

fn parsed(version: &apps::ConfigVersion) -> Result<AppConfig, Failure> {
    configuration_of(version).map_err(Failure::failed)
}

async fn restore(installation: &Installation, wanted: &Restore) -> Outcome {
    let app = super::app_by_slug(installation, &wanted.app).await?;
    let now = installation.clock.now();
    let mut transaction = installation.pool.begin().await?;
    let found = configuration_history::earlier(&mut transaction, &app, wanted.version)
        .await
        .map_err(Failure::failed)?;
    let Some(earlier) = found else {
        return Err(Failure::usage(format!(
            "{} has no version {}: rollcall config history --app {} lists them",
            app.slug, wanted.version, app.slug
        )));
    };
    if let Some(problem) = earlier.problems.first() {
        return Err(Failure::usage(format!(
            "version {} can't be put back: {}",
            wanted.version, problem.message
        )));
    }
    for change in &earlier.changes {
        let shown = |value: &Option<Value>| {
            (value.as_ref()).map_or_else(|| "(nothing)".to_owned(), ToString::to_string)
        };
        println!(
            "{}: {}: {} -> {}",
            app.slug,
            change.key,
            shown(&change.before),
            shown(&change.after)
        );
    }
    let mut at_once = 0;
    let (before, after) = (
        &earlier.current.deprovisioning,
        &earlier.restored.deprovisioning,
    );
    let waiting = lifecycles::waiting(&mut transaction, app.id, false)
        .await
        .map_err(Failure::failed)?;
    for one in waiting {
        at_once += u32::from(redate(&one.lifecycle, before, after, now) == Redated::AtOnce);
    }
    if earlier.opens_to_everybody {
        println!(
            "{}: without groups, everybody for whom the app is on gets an account",
            app.slug
        );
    }
    if at_once > 0 {
        println!(
            "{}: {at_once} suspensions or deletions would be due at once",
            app.slug
        );
    }
    if earlier.changes.is_empty() {
        println!("{}: nothing would change", app.slug);
        return Ok(ExitCode::SUCCESS);
    }
    if !wanted.yes {
        println!("Nothing was changed. Add --yes to make it so.");
        return Ok(ExitCode::SUCCESS);
    }
    let by = By { actor: SHELL, now };
    let seen = app.config_version;
    configuration_history::restore(&mut transaction, &app, wanted.version, seen, by)
        .await
        .map_err(Failure::failed)?;
    transaction.commit().await?;
    println!(
        "{}: version {} is in force again, as version {}",
        app.slug,
        wanted.version,
        seen + 1
    );
    Ok(ExitCode::SUCCESS)
}

/// Every problem is a line of its own; the last one is said by [`Failure::report`].
fn refused(error: ConfigFileError) -> Failure {
    let mut lines = error.lines();
    let last = lines.pop().unwrap_or_else(|| error.to_string());
    for line in lines {
        eprintln!("rollcall: {line}");
    }
    Failure {
        code: error.exit_code(),
        message: last,
    }
}
