//! `rollcall failures`: what did not work, why, and what helps; try again or ignore (S8.6).

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Failure, Outcome, SHELL, app_by_slug, person_by_key};
use crate::installation::Installation;
use crate::remedies;
use crate::settings::Settings;
use crate::store::apps::App;
use crate::store::failures::{self, FailureLine, Fate};
use crate::sync::failure_decisions;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
    /// Try again at once: this person's, or all that are not ignored; a worker that is up begins
    #[arg(long, value_name = "all|EMAIL", group = "decision")]
    retry: Option<String>,
    /// Ignore the person's failure until its cause changes
    #[arg(long, value_name = "EMAIL", group = "decision")]
    ignore: Option<String>,
}

/// The keys of `failures --json`.
#[derive(Debug, Serialize)]
struct Line {
    person: Value,
    operation: String,
    /// `tried_again`, `for_good` or `ignored`.
    state: &'static str,
    code: String,
    cause: String,
    remedy: &'static str,
    attempts: i32,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    next_try: Option<DateTime<Utc>>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = decide_and_list(&installation, &arguments).await;
    installation.close().await;
    print(&done?, arguments.json)
}

async fn decide_and_list(
    installation: &Installation,
    arguments: &Arguments,
) -> Result<Vec<Line>, Failure> {
    let app = app_by_slug(installation, &arguments.app).await?;
    if let Some(key) = &arguments.retry {
        retry(installation, &app, key).await?;
    }
    if let Some(key) = &arguments.ignore {
        let person = person_by_key(installation, key).await?;
        let engine = installation.engine()?;
        if !failure_decisions::ignore(&engine, &app, &person, SHELL)
            .await
            .map_err(Failure::failed)?
        {
            return Err(nothing_failed(key, &app));
        }
    }
    let mut db = installation.pool.acquire().await?;
    let lines = failures::all(&mut db, app.id).await?;
    Ok(lines.into_iter().map(line).collect())
}

async fn retry(installation: &Installation, app: &App, key: &str) -> Result<(), Failure> {
    let engine = installation.engine()?;
    let person = match key {
        "all" => None,
        key => Some(person_by_key(installation, key).await?),
    };
    let retried = failure_decisions::retry(&engine, app, person.as_ref(), SHELL)
        .await
        .map_err(Failure::failed)?;
    match (retried.people.is_empty(), person) {
        (true, Some(_)) => Err(nothing_failed(key, app)),
        _ => Ok(()),
    }
}

fn nothing_failed(key: &str, app: &App) -> Failure {
    Failure::usage(format!(
        "nothing of {key} failed in {} that could be decided about",
        app.slug
    ))
}

fn line(failure: FailureLine) -> Line {
    let (_, remedy) = remedies::of_operation(&failure.code);
    Line {
        state: match failure.fate() {
            Fate::TriedAgain => "tried_again",
            Fate::ForGood => "for_good",
            Fate::Ignored => "ignored",
        },
        person: json!({ "id": failure.person_id, "email": failure.person_email }),
        operation: failure.kind,
        code: failure.code,
        cause: failure.message,
        remedy,
        attempts: failure.attempts,
        first_at: failure.first_at,
        last_at: failure.last_at,
        next_try: failure.next_try_at,
    }
}

fn print(lines: &[Line], as_json: bool) -> Outcome {
    if as_json {
        println!("{}", serde_json::to_string(lines).map_err(Failure::failed)?);
    } else if lines.is_empty() {
        println!("Nothing failed.");
    } else {
        for line in lines {
            let email = line.person.get("email").and_then(Value::as_str);
            let next = match (line.state, line.next_try) {
                ("ignored", _) => "ignored".to_owned(),
                ("for_good", _) => "not tried again before something changes".to_owned(),
                (_, Some(at)) => format!("tried again {} UTC", at.format("%Y-%m-%d %H:%M")),
                (_, None) => "tried again with the next run".to_owned(),
            };
            println!(
                "{} {}: {} ({next})",
                line.operation,
                email.unwrap_or_default(),
                line.cause
            );
            println!("    {}", line.remedy);
        }
    }
    Ok(ExitCode::SUCCESS)
}
