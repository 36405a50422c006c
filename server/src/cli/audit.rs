//! `rollcall audit`: the audit log for other programs.

use std::process::ExitCode;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand};
use provisioning::event::EventName;
use serde_json::json;

use super::{Failure, Outcome, SHELL};
use crate::audit::Pruned;
use crate::export::{self, Format};
use crate::installation::Installation;
use crate::settings::{AUDIT_CHECKPOINT_FILE, Settings};
use crate::store::StoreError;
use crate::store::events::{self, EventFilter, NewEvent};
use crate::store::settings::{self, RetentionDays};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the log to standard output, oldest event first
    Export(Export),
    /// Prove that no event was changed, added, moved or deleted, or name the first break
    Verify,
    /// Drop whole months that are older than the retention; what is left can still be proven
    Prune(Prune),
}

#[derive(Debug, Args)]
struct Prune {
    /// Keep the events of this many days, instead of as many as the setting says
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(i64::from(LEAST_DAYS)..=36_500))]
    older_than: Option<u32>,
}

/// Nothing younger is ever pruned.
const LEAST_DAYS: u32 = 30;

#[derive(Debug, Args)]
struct Export {
    /// Events of this app only
    #[arg(long, value_name = "SLUG")]
    app: Option<String>,
    /// Events from this time on, such as 2027-01-31 or 2027-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<DateTime<Utc>>,
    /// Events before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<DateTime<Utc>>,
    /// Events of this name only, such as "Create User By Auto Provisioning"
    #[arg(long, value_name = "NAME", value_parser = event)]
    event: Option<EventName>,
    /// csv, ndjson, or reports: the shape of Google's Reports API
    #[arg(long, value_name = "FORMAT")]
    format: Format,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = match arguments.command {
        Command::Export(arguments) => export(&installation, arguments).await,
        Command::Verify => verify(&installation).await,
        Command::Prune(arguments) => prune(&installation, &arguments).await,
    };
    installation.close().await;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(installation: &Installation) -> Result<(), Failure> {
    let seals = installation.seals();
    let proof = seals.verify().await.map_err(Failure::failed)?;
    let checkpoints = match (&installation.settings.audit_checkpoints, proof.checkpoints) {
        (None, _) => format!(
            "No file of checkpoints is configured ({AUDIT_CHECKPOINT_FILE}), so a database that was put back as a whole would not be noticed."
        ),
        (Some(_), 1) => "It agrees with 1 checkpoint outside the database.".to_owned(),
        (Some(_), count) => format!("It agrees with {count} checkpoints outside the database."),
    };
    let pruned = match proof.pruned {
        0 => String::new(),
        count => format!(" {count} earlier ones were pruned."),
    };
    println!(
        "The audit log holds: {} events are as they were recorded.{pruned} {checkpoints}",
        proof.events
    );
    Ok(())
}

async fn prune(installation: &Installation, arguments: &Prune) -> Result<(), Failure> {
    let days = match arguments.older_than {
        Some(days) => Some(days),
        None => {
            let mut db = installation.pool.acquire().await?;
            let RetentionDays(days) = settings::get(&mut db).await?;
            days
        }
    };
    let Some(days) = days else {
        return Err(Failure::usage(
            "the audit log is kept for ever: set a retention in the console, or give --older-than DAYS",
        ));
    };
    let before = installation.clock.now() - TimeDelta::days(days.into());
    let pruned = installation.seals().prune(before, SHELL).await;
    match pruned.map_err(Failure::failed)? {
        None => println!("No month of the audit log is older than that as a whole."),
        Some(Pruned { events, months }) => println!(
            "Pruned from the audit log: {events} events, the months {}.",
            months.join(", ")
        ),
    }
    Ok(())
}

async fn export(installation: &Installation, arguments: Export) -> Result<(), Failure> {
    let filter = EventFilter {
        since: arguments.since,
        until: arguments.until,
        event: arguments.event.map(|event| event.to_string()),
        app: arguments.app,
        ..EventFilter::default()
    };
    let seals = installation.seals();
    let mut out = tokio::io::BufWriter::new(tokio::io::stdout());
    let written = export::write(&seals, &filter, arguments.format, &mut out);
    let written = written.await.map_err(Failure::failed)?;
    record(installation, arguments.format, written).await?;
    Ok(())
}

async fn record(
    installation: &Installation,
    format: Format,
    written: u64,
) -> Result<(), StoreError> {
    let mut db = installation.pool.acquire().await?;
    let detail = json!({ "format": format.extension(), "events": written });
    let event = NewEvent::new(installation.clock.now(), EventName::Export, SHELL).detail(detail);
    events::record(&mut db, &event).await?;
    Ok(())
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day: Result<NaiveDate, _> = text.parse();
    let midnight = day.ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    midnight
        .map(|midnight| midnight.and_utc())
        .ok_or_else(|| "use a day (2027-01-31) or a time (2027-01-31T08:00:00Z)".to_owned())
}

fn event(name: &str) -> Result<EventName, String> {
    name.parse()
        .map_err(|_| "no event has this name".to_owned())
}
