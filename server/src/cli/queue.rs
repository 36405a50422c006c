//! `rollcall queue` and `rollcall review`: pending removals, and decisions about them (S12.7).

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use provisioning::identity::PersonId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Failure, Outcome, SHELL, app_by_slug, person_by_key};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::store::apps::App;
use crate::store::person_decisions;
use crate::sync::decisions::{self, Decision, Subject};
use crate::sync::pending::{self, PendingStep};

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
    /// Make the person's next step due now; a worker that is up runs the app at once
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
    /// Allow what is held: all, or these people; a worker that is up runs the app at once
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
    /// Of a create, which is held for another reason, there is none.
    trigger: Option<String>,
    step: String,
    due: DateTime<Utc>,
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
    let now = installation.clock.now();
    let mut db = installation.pool.acquire().await?;
    let steps = pending::steps(&mut db, &app, now)
        .await
        .map_err(Failure::failed)?;
    Ok(steps.into_iter().map(line).collect())
}

async fn review_and_list(
    installation: &Installation,
    arguments: &ReviewArguments,
) -> Result<Vec<Line>, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    let (removals, creates) = held(installation, &app).await?;
    if arguments.dismiss {
        decide(installation, &app, &removals, Decision::Dismiss).await?;
    } else if arguments.allow.iter().any(|who| who == "all") {
        decide(installation, &app, &removals, Decision::Allow).await?;
        allow_creates(installation, &app, &creates).await?;
    } else if !arguments.allow.is_empty() {
        let (mut removed, mut created) = (Vec::new(), Vec::new());
        for key in &arguments.allow {
            let person = person_by_key(installation, key).await?;
            if removals.contains(&person) {
                removed.push(person);
            } else if creates.contains(&person) {
                created.push(person);
            } else {
                return Err(Failure::usage(format!(
                    "nothing of {key} is held in {}",
                    arguments.app
                )));
            }
        }
        decide(installation, &app, &removed, Decision::Allow).await?;
        allow_creates(installation, &app, &created).await?;
    }
    let now = installation.clock.now();
    let mut db = installation.pool.acquire().await?;
    let steps = pending::under_review(&mut db, &app, now)
        .await
        .map_err(Failure::failed)?;
    let creates = person_decisions::held_creates(&mut db, app.id, None)
        .await
        .map_err(Failure::failed)?;
    let mut lines: Vec<Line> = steps.into_iter().map(line).collect();
    lines.extend(creates.into_iter().map(|(person, email)| Line {
        person: json!({ "id": person, "email": email }),
        trigger: None,
        step: "create".to_owned(),
        due: now,
        held: true,
    }));
    Ok(lines)
}

/// People whose removal, and people whose create, waits for review.
async fn held(
    installation: &Installation,
    app: &App,
) -> Result<(Vec<PersonId>, Vec<PersonId>), Failure> {
    let mut db = installation.pool.acquire().await?;
    let removals = pending::under_review(&mut db, app, installation.clock.now())
        .await
        .map_err(Failure::failed)?;
    let creates = person_decisions::held_creates(&mut db, app.id, None)
        .await
        .map_err(Failure::failed)?;
    Ok((
        removals.into_iter().map(|step| step.person_id).collect(),
        creates.into_iter().map(|(person, _)| person).collect(),
    ))
}

async fn decide(
    installation: &Installation,
    app: &App,
    people: &[PersonId],
    decision: Decision,
) -> Result<(), Failure> {
    let engine = installation.engine()?;
    let subjects: Vec<Subject> = people.iter().cloned().map(Subject::from).collect();
    let unchanged = decisions::decide(&engine, app, &subjects, decision, SHELL)
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

async fn allow_creates(
    installation: &Installation,
    app: &App,
    people: &[PersonId],
) -> Result<(), Failure> {
    let engine = installation.engine()?;
    decisions::allow_creates(&engine, app, people, SHELL)
        .await
        .map(drop)
        .map_err(Failure::failed)
}

fn line(pending: PendingStep) -> Line {
    Line {
        held: pending.is_held(),
        person: json!({ "id": pending.person_id, "email": pending.person_email }),
        trigger: Some(pending.step.trigger.key().to_owned()),
        step: pending.step.step.key().to_owned(),
        due: pending.step.due_at,
    }
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
                    .as_deref()
                    .unwrap_or("too many creates at once")
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
