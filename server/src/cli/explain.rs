//! `rollcall explain`: why somebody has an account, or has none.

use std::process::ExitCode;

use clap::Args;

use super::{Failure, Outcome, app_by_slug, person_by_key};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::sync::explain::{Explanation, explain};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// The person's address or directory id
    #[arg(long, value_name = "EMAIL")]
    person: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let found = look(&installation, &arguments).await;
    installation.close().await;
    let explanation = found?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string(&explanation).map_err(Failure::failed)?
        );
    } else {
        for line in &explanation.rules {
            println!("{:?}  {}: {}", line.result, line.rule.label(), line.detail);
        }
        println!("State: {}", explanation.state);
        if let Some(next) = &explanation.next {
            println!(
                "Next: {}",
                next.get("reason")
                    .and_then(|reason| reason.as_str())
                    .unwrap_or_default()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn look(installation: &Installation, arguments: &Arguments) -> Result<Explanation, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    let person = person_by_key(installation, &arguments.person).await?;
    let engine = installation.engine()?;
    explain(&engine, &app, &person)
        .await
        .map_err(Failure::failed)?
        .ok_or_else(|| Failure::usage(format!("{} is not in the directory", arguments.person)))
}
