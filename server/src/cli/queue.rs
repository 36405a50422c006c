//! `rollcall queue` and `rollcall review`: pending removals, and decisions about them (S12.7).

use std::process::ExitCode;

use clap::Args;
use provisioning::identity::PersonId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Failure, Outcome, SHELL, app_by_slug, person_by_key};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::store::apps::App;
use crate::store::lifecycles;
use crate::sync::decisions::{self, Decision};

#[derive(Debug, Args)]
pub(super) struct QueueArguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
    /// Cancel the person's next step until its cause ends
    #[arg(long, value_name = "EMAIL", group = "decision")]
    cancel: Option<String>,
    /// Hold the person's next step until it is released
    #[arg(long, value_name = "EMAIL", group = "decision")]
    hold: Option<String>,
    /// Release the person's held step
    #[arg(long, value_name = "EMAIL", group = "decision")]
    release: Option<String>,
    /// Make the person's next step due now; the next run carries it out
    #[arg(long, value_name = "EMAIL", group = "decision")]
    now: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReviewArguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
    /// Allow held removals: all, or these people
    #[arg(
        long,
        value_name = "all|EMAIL,...",
        value_delimiter = ',',
        conflicts_with = "dismiss"
    )]
    allow: Vec<String>,
    /// Cancel every held removal until its cause ends
    #[arg(long)]
    dismiss: bool,
}

/// One pending step, the shape of both commands.
#[derive(Debug, Serialize)]
struct Line {
    person: Value,
    trigger: String,
    step: String,
    due: chrono::DateTime<chrono::Utc>,
    held: bool,
}

pub(super) async fn queue(settings: Settings, arguments: QueueArguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = decide_and_list(&installation, &arguments).await;
    installation.close().await;
    print(&done?, arguments.json, "Nobody waits.")
}

pub(super) async fn review(settings: Settings, arguments: ReviewArguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = review_and_list(&installation, &arguments).await;
    installation.close().await;
    print(&done?, arguments.json, "Nothing is held.")
}

async fn decide_and_list(
    installation: &Installation,
    arguments: &QueueArguments,
) -> Result<Vec<Line>, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    let decision = [
        (&arguments.cancel, Decision::Cancel),
        (&arguments.hold, Decision::Hold),
        (&arguments.release, Decision::Release),
        (&arguments.now, Decision::Now),
    ]
    .into_iter()
    .find_map(|(key, decision)| key.as_ref().map(|key| (key, decision)));
    if let Some((key, decision)) = decision {
        let person = person_by_key(installation, key).await?;
        decide(installation, &app, &[person], decision).await?;
    }
    lines(installation, &app, None).await
}

async fn review_and_list(
    installation: &Installation,
    arguments: &ReviewArguments,
) -> Result<Vec<Line>, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    let held = held(installation, &app).await?;
    if arguments.dismiss {
        decide(installation, &app, &held, Decision::Cancel).await?;
    } else if arguments.allow.iter().any(|who| who == "all") {
        decide(installation, &app, &held, Decision::Allow).await?;
    } else if !arguments.allow.is_empty() {
        let mut people = Vec::new();
        for key in &arguments.allow {
            let person = person_by_key(installation, key).await?;
            if !held.contains(&person) {
                return Err(Failure::usage(format!(
                    "no removal of {key} is held in {}",
                    arguments.app
                )));
            }
            people.push(person);
        }
        decide(installation, &app, &people, Decision::Allow).await?;
    }
    let held = self::held(installation, &app).await?;
    lines(installation, &app, Some(&held)).await
}

async fn held(installation: &Installation, app: &App) -> Result<Vec<PersonId>, Failure> {
    let mut db = installation.pool.acquire().await?;
    decisions::held(&mut db, app, installation.clock.now())
        .await
        .map_err(Failure::failed)
}

async fn decide(
    installation: &Installation,
    app: &App,
    people: &[PersonId],
    decision: Decision,
) -> Result<(), Failure> {
    let engine = installation.engine()?;
    let unchanged = decisions::decide(&engine, app, people, decision, SHELL)
        .await
        .map_err(Failure::failed)?;
    match unchanged.first() {
        Some(person) => Err(Failure::usage(format!(
            "{person} has no pending step in {}",
            app.slug
        ))),
        None => Ok(()),
    }
}

async fn lines(
    installation: &Installation,
    app: &App,
    only: Option<&[PersonId]>,
) -> Result<Vec<Line>, Failure> {
    let mut db = installation.pool.acquire().await?;
    let held = decisions::held(&mut db, app, installation.clock.now())
        .await
        .map_err(Failure::failed)?;
    let queue = lifecycles::queue(&mut db, app.id, i64::from(i32::MAX))
        .await
        .map_err(Failure::failed)?;
    Ok(queue
        .into_iter()
        .map(|line| (PersonId::from(line.person_id.clone()), line))
        .filter(|(person, _)| only.is_none_or(|only| only.contains(person)))
        .map(|(person, line)| Line {
            held: line.held || held.contains(&person),
            person: json!({ "id": line.person_id, "email": line.person_email }),
            trigger: line.trigger,
            step: line.step,
            due: line.due_at,
        })
        .collect())
}

fn print(lines: &[Line], as_json: bool, empty: &str) -> Outcome {
    if as_json {
        println!("{}", serde_json::to_string(lines).map_err(Failure::failed)?);
    } else if lines.is_empty() {
        println!("{empty}");
    } else {
        for line in lines {
            let email = line
                .person
                .get("email")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let held = if line.held { ", held" } else { "" };
            println!(
                "{}  {} {email} ({}{held})",
                line.due.format("%Y-%m-%d %H:%M UTC"),
                line.step,
                line.trigger
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
