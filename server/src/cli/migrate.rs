//! `rollcall migrate`.

use std::process::ExitCode;

use super::Outcome;
use crate::installation::Installation;
use crate::settings::Settings;

pub(super) async fn run(settings: Settings) -> Outcome {
    let (installation, applied) = Installation::open_and_migrate(settings).await?;
    installation.close().await;
    match applied {
        0 => println!("The database is up to date."),
        1 => println!("The database is up to date: 1 migration was applied."),
        count => println!("The database is up to date: {count} migrations were applied."),
    }
    Ok(ExitCode::SUCCESS)
}
