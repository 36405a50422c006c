//! `rollcall notify`: the channels of notifications.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::installation::Installation;
use crate::notifications;
use crate::settings::Settings;
use crate::store::notifications as store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a test by every channel that is on, and say what became of it
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// Only the channel of this name
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let Command::Test(wanted) = arguments.command;
    let done = test(&installation, wanted).await;
    installation.close().await;
    done
}

async fn test(installation: &Installation, wanted: Test) -> Outcome {
    let engine = installation.engine()?;
    let mut db = installation.pool.acquire().await?;
    let channels = store::channels(&mut db).await.map_err(Failure::failed)?;
    drop(db);
    let chosen: Vec<_> = match &wanted.channel {
        Some(name) => (channels.iter())
            .filter(|channel| channel.name.eq_ignore_ascii_case(name))
            .collect(),
        None => channels.iter().filter(|channel| channel.on).collect(),
    };
    if chosen.is_empty() {
        return Err(Failure::usage(match &wanted.channel {
            Some(name) => format!("there is no channel {name:?}: the console's settings list them"),
            None => {
                "no channel is on: add one in the console, under Settings, Notifications".to_owned()
            }
        }));
    }
    let mut failed = 0;
    for channel in chosen {
        let sent = notifications::test(&engine, channel.id)
            .await
            .map_err(Failure::failed)?;
        match sent {
            Some(Ok(())) => println!("{}: delivered", channel.name),
            Some(Err(error)) => {
                failed += 1;
                println!("{}: {error}", channel.name);
            }
            None => {}
        }
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}
