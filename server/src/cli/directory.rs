//! `rollcall directory`: whose directory it is, reading it, and confirming what it waits for.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, Outcome, SHELL};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::store::imports::{self, ImportSummary};
use crate::store::{connection, push};
use crate::sync::run;
use crate::sync::tenant::{self, ConfirmError, Confirmation, Question};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the directory now, whole
    Read,
    /// Say that another directory, or one with far fewer people, is right; apps that stopped for it go on
    Confirm(ConfirmArguments),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ConfirmArguments {
    /// The customer id that answers now
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// How many people are listed now
    #[arg(long, value_name = "NUMBER")]
    people: Option<i32>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = act_and_show(&installation, &arguments).await;
    installation.close().await;
    let shown = done?;
    if arguments.json {
        println!("{shown}");
    } else {
        tell(&shown);
    }
    Ok(ExitCode::SUCCESS)
}

async fn act_and_show(
    installation: &Installation,
    arguments: &Arguments,
) -> Result<Value, Failure> {
    match &arguments.command {
        None => {}
        Some(Command::Read) => read(installation).await?,
        Some(Command::Confirm(confirmed)) => confirm(installation, confirmed).await?,
    }
    show(installation).await
}

async fn read(installation: &Installation) -> Result<(), Failure> {
    let engine = installation.engine()?.counting_anew();
    let Some(import) = run::begin_reading(&engine).await.map_err(Failure::failed)? else {
        return Err(Failure::failed(
            "the directory is being read right now; try again when that is over",
        ));
    };
    run::read_begun(&engine, import, SHELL)
        .await
        .map(drop)
        .map_err(Failure::failed)
}

async fn confirm(installation: &Installation, confirmed: &ConfirmArguments) -> Result<(), Failure> {
    let mut db = installation.pool.acquire().await?;
    let saved = connection::read(&mut db).await.map_err(Failure::failed)?;
    drop(db);
    let waiting = saved.as_ref().and_then(tenant::question);
    let confirmation = match (&confirmed.customer, confirmed.people, waiting) {
        (
            Some(id),
            _,
            Some(Question::Tenant {
                customer, domain, ..
            }),
        ) if *id == customer => Confirmation::Tenant { customer, domain },
        (_, Some(people), Some(Question::Shrunk { to, .. })) if people == to => {
            Confirmation::People(people)
        }
        _ => return Err(Failure::usage(ConfirmError::NotAsked)),
    };
    let engine = installation.engine()?;
    match tenant::confirm(&engine, SHELL, &confirmation).await {
        Ok(_) => Ok(()),
        Err(ConfirmError::Store(error)) => Err(Failure::failed(error)),
        Err(refused) => Err(Failure::usage(refused)),
    }
}

async fn show(installation: &Installation) -> Result<Value, Failure> {
    let mut db = installation.pool.acquire().await?;
    let saved = connection::read(&mut db).await.map_err(Failure::failed)?;
    let Some(saved) = saved else {
        return Err(Failure::usage(ConfirmError::NotConnected));
    };
    let complete = imports::latest_complete(&mut db)
        .await
        .map_err(Failure::failed)?;
    let last = imports::latest(&mut db).await.map_err(Failure::failed)?;
    let push = push::state(&mut db, installation.clock.now())
        .await
        .map_err(Failure::failed)?;
    let waiting = tenant::question(&saved).map(|question| match question {
        Question::Tenant {
            customer, domain, ..
        } => json!({ "customer": customer, "domain": domain }),
        Question::Shrunk { from, to } => json!({ "people": to, "before": from }),
    });
    let failed = last.filter(|import| import.state == "failed");
    Ok(json!({
        "customer": saved.customer_id,
        "domain": saved.primary_domain,
        "administrator": saved.admin_email,
        "endpoint": saved.endpoint,
        "last_complete": complete.as_ref().map(reading),
        "last_failed": failed.as_ref().map(reading),
        "waits_for": waiting,
        "push": { "until": push.until, "problem": push.problem },
    }))
}

fn reading(import: &ImportSummary) -> Value {
    json!({
        "started_at": import.started_at,
        "finished_at": import.finished_at,
        "people": import.counts.people,
        "groups": import.counts.groups,
        "org_units": import.counts.org_units,
        "error": import.error_message,
        "odd": import.odd,
    })
}

fn tell(shown: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or("not known yet").to_owned();
    println!(
        "{} (customer {}), read as {}",
        text(&shown["domain"]),
        text(&shown["customer"]),
        text(&shown["administrator"])
    );
    match &shown["last_complete"] {
        Value::Null => println!("It was not read yet."),
        read => println!(
            "Read at {}: {} people, {} groups, {} org units.",
            text(&read["finished_at"]),
            read["people"],
            read["groups"],
            read["org_units"]
        ),
    }
    if let Some(error) = shown["last_failed"]["error"].as_str() {
        println!("The last reading failed: {error}");
    }
    if let Some(customer) = shown["waits_for"]["customer"].as_str() {
        println!(
            "Customer {customer} ({}) answers now. Is it right? rollcall directory confirm --customer {customer}",
            text(&shown["waits_for"]["domain"])
        );
    }
    if let Some(people) = shown["waits_for"]["people"].as_i64() {
        println!(
            "{people} people are listed now instead of {}. Is it right? rollcall directory confirm --people {people}",
            shown["waits_for"]["before"]
        );
    }
    match (
        shown["push"]["until"].as_str(),
        shown["push"]["problem"].as_str(),
    ) {
        (_, Some(problem)) => println!("Push is off: {problem}"),
        (Some(until), None) => println!("Push is on until {until}."),
        (None, None) => println!("Push is off."),
    }
}
