//! `rollcall sync`: one cycle in the foreground.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Failure, Outcome, SHELL, app_by_slug};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::shutdown;
use crate::store::drifts;
use crate::store::operations::{self, Operation, OperationState};
use crate::store::runs::Counts;
use crate::sync::cycle::{self, CycleOutcome, CycleResult};

/// Operations that are read at once.
const PAGE: i64 = 1000;

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
    let listed = match &done {
        Ok(result) if arguments.preview && !arguments.json => {
            list_plan(&installation, result).await
        }
        _ => Ok(()),
    };
    installation.close().await;
    let result = done?;
    listed?;
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

/// The whole plan: each operation with old and new values, then everybody who is left out, and why.
async fn list_plan(installation: &Installation, result: &CycleResult) -> Result<(), Failure> {
    let Some(run) = result.run else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let mut db = installation.pool.acquire().await?;
        let page = operations::list(&mut db, run, None, None, after, PAGE).await?;
        drop(db);
        for operation in &page {
            print_operation(operation);
        }
        match page.last() {
            Some(last) => after = Some(last.id.0),
            None => break,
        }
    }
    let mut db = installation.pool.acquire().await?;
    for left_out in operations::skipped(&mut db, run, None, i64::MAX).await? {
        println!(
            "skip       {}  {}: {}",
            left_out.person_email, left_out.rule, left_out.detail
        );
    }
    Ok(())
}

fn print_operation(operation: &Operation) {
    let held = match operation.state {
        OperationState::Held => " (held for review)",
        _ => "",
    };
    println!(
        "{:<10} {}  {}{held}",
        operation.plan.kind.as_str(),
        operation.person_email,
        operation.reason
    );
    for change in &operation.plan.changes {
        let value = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        println!(
            "           {}: {} -> {}",
            change.attribute,
            value(&change.old),
            value(&change.new)
        );
    }
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
