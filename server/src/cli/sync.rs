//! `rollcall sync`: one cycle in the foreground.

use std::process::ExitCode;

use clap::Args;

use super::{Failure, Outcome, SHELL, app_by_slug};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::shutdown;
use crate::store::drifts;
use crate::store::runs::Counts;
use crate::sync::cycle::{self, CycleOutcome, CycleResult};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// Make the whole plan and apply nothing
    #[arg(long)]
    preview: bool,
    /// Read the app's accounts back first, and send again what was changed there
    #[arg(long, conflicts_with = "preview")]
    drift: bool,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = carry_out(&installation, &arguments).await;
    installation.close().await;
    let result = done?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string(&result).map_err(Failure::failed)?
        );
    } else {
        report(&result, arguments.preview);
    }
    Ok(ExitCode::from(result.exit_code()))
}

async fn carry_out(
    installation: &Installation,
    arguments: &Arguments,
) -> Result<CycleResult, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    let engine = installation.engine()?;
    let stop = engine.shutdown().clone();
    let waiting = tokio::spawn(async move {
        shutdown::requested().await;
        stop.cancel();
    });
    if arguments.drift {
        let mut db = engine.connection().await.map_err(Failure::failed)?;
        drifts::ask(&mut db, app.id)
            .await
            .map_err(Failure::failed)?;
    }
    let result = cycle::run(&engine, &app, arguments.preview, SHELL).await;
    waiting.abort();
    result.map_err(Failure::failed)
}

fn report(result: &CycleResult, preview: bool) {
    let counts = if preview {
        &result.plan
    } else {
        &result.applied
    };
    let outcome = match result.outcome {
        CycleOutcome::Completed if preview => "planned, nothing was sent",
        CycleOutcome::Completed => "completed",
        CycleOutcome::Held => "completed, removals are held for review",
        CycleOutcome::Stopped => "stopped",
        CycleOutcome::Failed => "failed",
    };
    println!("{}: {outcome}", result.app);
    println!("{}", sentence(counts));
    if result.held > 0 {
        println!(
            "{} held: see rollcall review --app {}",
            result.held, result.app
        );
    }
    if result.failed > 0 {
        println!(
            "{} failed: they are listed on the run's page and tried again later",
            result.failed
        );
    }
    if let Some(error) = &result.error {
        eprintln!("rollcall: {}", error.message);
    }
}

fn sentence(counts: &Counts) -> String {
    let Counts {
        create,
        link,
        update,
        suspend,
        unsuspend,
        delete,
        unchanged,
        skipped,
    } = counts;
    format!(
        "{create} create, {link} link, {update} update, {suspend} suspend, {unsuspend} unsuspend, {delete} delete, {unchanged} unchanged, {skipped} skipped"
    )
}
