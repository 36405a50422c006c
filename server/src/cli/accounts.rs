//! `rollcall accounts`: what only an administrator decides about accounts (S4.4, S8.7).

use std::process::ExitCode;

use clap::Args;
use provisioning::identity::AccountId;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Failure, Outcome, SHELL, app_by_slug, person_by_key};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::store::person_decisions::{self, PersonDecision, Undecided};
use crate::sync::account_decisions::{self, AccountDecision, DecideError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which app
    #[arg(long, value_name = "SLUG")]
    app: String,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
    /// Link this account, which was found with the person's user name
    #[arg(long, value_name = "EMAIL=ACCOUNT", group = "decision")]
    link: Option<String>,
    /// Leave the person without an account until that is taken back
    #[arg(long, value_name = "EMAIL", group = "decision")]
    leave: Option<String>,
    /// Take back that an account is linked, or that the person is left without one
    #[arg(long, value_name = "EMAIL", group = "decision")]
    take_back: Option<String>,
    /// Create the account again that is gone from the app
    #[arg(long, value_name = "EMAIL", group = "decision")]
    create_again: Option<String>,
    /// Forget the account that is gone from the app, and leave the person without one
    #[arg(long, value_name = "EMAIL", group = "decision")]
    unlink: Option<String>,
}

/// Somebody about whom there is something to decide, or was decided.
#[derive(Debug, Serialize)]
struct Line {
    person: Value,
    /// `gone`, `match`, or null when all is decided.
    waits: Option<&'static str>,
    detail: Option<String>,
    /// Accounts that may be linked, or the one that is gone.
    accounts: Vec<String>,
    decision: Option<&'static str>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let installation = Installation::open(settings).await?;
    let done = decide_and_list(&installation, &arguments).await;
    installation.close().await;
    let lines = done?;
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string(&lines).map_err(Failure::failed)?
        );
    } else if lines.is_empty() {
        println!("Nothing is to be decided.");
    } else {
        for line in &lines {
            let email = line.person["email"].as_str().unwrap_or_default();
            let detail = line.detail.as_deref().unwrap_or_default();
            let accounts = line.accounts.join(", ");
            let decision = line.decision.unwrap_or("undecided");
            println!("{email}  {decision}  {accounts}  {detail}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(arguments: &Arguments) -> Result<Option<(&str, AccountDecision)>, Failure> {
    if let Some(link) = &arguments.link {
        let (key, account) = link
            .split_once('=')
            .filter(|(key, account)| !key.is_empty() && !account.is_empty())
            .ok_or_else(|| {
                Failure::usage(format!("--link takes EMAIL=ACCOUNT, and got {link:?}"))
            })?;
        let account = AccountId::from(account.to_owned());
        return Ok(Some((key, AccountDecision::Link(account))));
    }
    Ok([
        (&arguments.leave, AccountDecision::Leave),
        (&arguments.take_back, AccountDecision::TakeBack),
        (&arguments.create_again, AccountDecision::CreateAgain),
        (&arguments.unlink, AccountDecision::Unlink),
    ]
    .into_iter()
    .find_map(|(key, decision)| key.as_deref().map(|key| (key, decision))))
}

async fn decide_and_list(
    installation: &Installation,
    arguments: &Arguments,
) -> Result<Vec<Line>, Failure> {
    let wanted = wanted(arguments)?;
    let app = app_by_slug(installation, &arguments.app).await?;
    if let Some((key, decision)) = wanted {
        let person = person_by_key(installation, key).await?;
        let engine = installation.engine()?;
        account_decisions::decide(&engine, &app, &person, &decision, SHELL)
            .await
            .map_err(|error| match error {
                DecideError::Refused(refusal) => {
                    Failure::usage(format!("{key} in {}: {refusal}", app.slug))
                }
                DecideError::Store(error) => Failure::failed(error),
            })?;
    }
    let mut db = installation.pool.acquire().await?;
    let lines = person_decisions::undecided(&mut db, app.id, None)
        .await
        .map_err(Failure::failed)?;
    Ok(lines.into_iter().map(line).collect())
}

fn line(one: Undecided) -> Line {
    let waits = match (&one.gone_account, &one.decision) {
        (Some(_), _) => Some("gone"),
        (None, None) => Some("match"),
        (None, Some(_)) => None,
    };
    let accounts = match one.gone_account {
        Some(account) => vec![account],
        None => (one.accounts.iter())
            .map(|account| account.id.to_string())
            .collect(),
    };
    Line {
        person: json!({ "id": one.person_id, "email": one.person_email }),
        waits,
        detail: one.detail,
        accounts,
        decision: one.decision.as_ref().map(PersonDecision::word),
    }
}
