//! `rollcall config`: the configuration as a file.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, Outcome, SHELL};
use crate::config_file::{self, ConfigFileError, Options};
use crate::installation::Installation;
use crate::settings::Settings;

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
    };
    io::stdout().write_all(&out).map_err(Failure::failed)?;
    done.map_err(refused).map(|()| ExitCode::SUCCESS)
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
