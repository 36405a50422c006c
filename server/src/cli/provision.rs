//! `rollcall provision`: one person now, with everything that happens on the way.

use std::process::ExitCode;

use clap::Args;
use provisioning::identity::{PersonId, Standing};
use provisioning::scope::Verdict;
use serde_json::Value;

use super::{Failure, Outcome, SHELL, app_by_slug, found_people, several_people};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::shutdown;
use crate::store::people;
use crate::sync::Engine;
use crate::sync::alone;
use crate::sync::cycle::CycleOutcome;
use crate::sync::on_demand::{self, OnDemand};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// The person's address or directory id; somebody new is looked for at Google
    #[arg(long, value_name = "EMAIL")]
    person: String,
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = carry_out(&installation, &arguments).await;
    installation.close().await;
    let done = done?;
    if arguments.json {
        println!("{}", serde_json::to_string(&done).map_err(Failure::failed)?);
    } else {
        report(&done);
    }
    Ok(ExitCode::from(done.cycle.exit_code()))
}

async fn carry_out(
    installation: &Installation,
    arguments: &Arguments,
) -> Result<OnDemand, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    let engine = installation.engine()?;
    let person = find(installation, &engine, &arguments.person).await?;
    let stop = engine.shutdown().clone();
    let waiting = tokio::spawn(async move {
        shutdown::requested().await;
        stop.cancel();
    });
    let done = on_demand::provision(&engine, &app, &person, SHELL).await;
    waiting.abort();
    done.map_err(Failure::failed)
}

/// Somebody who came after the last reading is known to Google only; so is whoever has the address
/// of somebody who was deleted.
async fn find(
    installation: &Installation,
    engine: &Engine,
    key: &str,
) -> Result<PersonId, Failure> {
    let known = match found_people(installation, key).await?.as_slice() {
        [person] if person.as_str() == key => return Ok(person.clone()),
        [] => None,
        [person] => Some(person.clone()),
        several => return Err(several_people(key, several)),
    };
    if let Some(person) = &known {
        let mut db = installation.pool.acquire().await?;
        let stored = people::get(&mut db, person).await?;
        if stored.is_some_and(|stored| stored.person.standing != Standing::Deleted) {
            return Ok(person.clone());
        }
    }
    let asked = alone::find(engine, key).await.map_err(Failure::failed)?;
    asked.or(known).ok_or_else(|| {
        Failure::usage(format!(
            "{key} is neither in the directory as it was last read nor known to Google"
        ))
    })
}

fn report(done: &OnDemand) {
    for step in &done.steps {
        let mark = match step.result {
            Verdict::Pass => "ok  ",
            Verdict::Fail => "no  ",
            Verdict::Info => "    ",
        };
        println!("{mark}  {}: {}", step.label(), step.detail);
        if let Some(changes) = step.data.as_ref().and_then(Value::as_array) {
            for change in changes {
                println!(
                    "        {}: {} -> {}",
                    text(change.get("attribute")),
                    text(change.get("old")),
                    text(change.get("new"))
                );
            }
        }
    }
    let outcome = match done.cycle.outcome {
        CycleOutcome::Completed if done.cycle.failed > 0 => "failed, and is tried again later",
        CycleOutcome::Completed => "completed",
        CycleOutcome::Held => "held for review",
        CycleOutcome::Stopped => "stopped",
        CycleOutcome::Failed => "failed",
    };
    println!("{}: {outcome}", done.cycle.app);
    if let Some(next) = &done.next {
        println!("Next: {}", text(next.get("reason")));
    }
    if let Some(error) = &done.cycle.error {
        eprintln!("rollcall: {}", error.message);
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
