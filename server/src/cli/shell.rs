//! `rollcall completions` and `rollcall manual`: what shells and `man` know of the commands.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure, Outcome};

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// Whose completions are written to standard output
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Manual {
    /// The folder for the pages, one for each command
    folder: PathBuf,
}

pub(super) fn completions(arguments: &Completions) -> Outcome {
    let mut command = Cli::command();
    clap_complete::generate(arguments.shell, &mut command, "rollcall", &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn manual(arguments: &Manual) -> Outcome {
    let folder = &arguments.folder;
    let failed = |error| Failure::failed(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}
