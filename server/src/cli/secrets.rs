//! `rollcall secrets`: the key that encrypts them.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, Outcome, SHELL};
use crate::installation::Installation;
use crate::rotation;
use crate::settings::{SECRET_KEY_FILE, SECRET_KEY_OLD, Settings};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Encrypt every secret with the current key, and go on with the audit log under it. Give all
    /// processes both keys first
    Rotate,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let Command::Rotate = arguments.command;
    let installation = Installation::open(settings).await?;
    let done = rotate(&installation).await;
    installation.close().await;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn rotate(installation: &Installation) -> Result<(), Failure> {
    let seals = installation.seals();
    let clock = &*installation.clock;
    let rotated = rotation::rotate(&seals, &installation.vault, clock, SHELL).await;
    let rotated = rotated.map_err(Failure::failed)?;
    let key = installation.vault.current();
    match (rotated.secrets, &rotated.log_was_under) {
        (0, None) => {
            println!("Nothing was left to do: everything is under the current key, {key}.")
        }
        (secrets, was) => {
            println!("Encrypted anew with key {key}: {secrets} secrets.");
            if let Some(was) = was {
                println!("The audit log goes on under key {key}; up to here it was key {was}.");
            }
        }
    }
    if !rotated.unreadable.is_empty() {
        let reasons = rotated.unreadable.join("; ");
        return Err(Failure::failed(format!(
            "not everything could be read: {reasons}"
        )));
    }
    println!(
        "Older keys are no longer needed: take them out of {SECRET_KEY_FILE} and {SECRET_KEY_OLD}."
    );
    Ok(())
}
