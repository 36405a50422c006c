//! `rollcall admin`: administrators, for whoever has a shell on the machine.

use std::io::BufRead as _;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use provisioning::event::EventName;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::SHELL;
use super::{Failure, Outcome};
use crate::installation::Installation;
use crate::services::{email, one_time_links as links, passwords};
use crate::settings::{DEFAULT_ADDRESS, Settings};
use crate::store::StoreError;
use crate::store::administrators::{self, Administrator, Role};
use crate::store::events::{self, NewEvent};
use crate::store::one_time_links::{self, Purpose};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an administrator
    Create(Create),
    /// Print a one-time link that sets a new password and takes the second factor off, or creates
    /// the first administrator
    Reset(Reset),
}

#[derive(Debug, Args)]
struct Create {
    /// The address to sign in with
    #[arg(long)]
    email: String,
    /// Read the password from standard input (its first line)
    #[arg(long, required = true)]
    password_stdin: bool,
    /// What the administrator may do
    #[arg(long, value_enum, default_value_t = RoleArgument::SuperAdministrator)]
    role: RoleArgument,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArgument {
    /// Everything
    SuperAdministrator,
    /// Read everything, change nothing
    Auditor,
}

#[derive(Debug, Args)]
struct Reset {
    /// Whose password; by default the first super administrator's
    #[arg(long)]
    email: Option<String>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Create(create) => self::create(settings, create).await,
        Command::Reset(reset) => self::reset(settings, reset).await,
    }
}

async fn create(settings: Settings, arguments: Create) -> Outcome {
    let email = email::normalize(&arguments.email).ok_or_else(|| {
        Failure::usage(format!("\"{}\" is not an e-mail address", arguments.email))
    })?;
    let password = first_line()?;
    passwords::check(&password, &email).map_err(Failure::usage)?;
    let hash = passwords::hash(password).await.map_err(Failure::failed)?;
    let installation = Installation::open(settings).await?;
    let added = add(&installation, &email, arguments.role, &hash).await;
    installation.close().await;
    if !added? {
        return Err(Failure::usage(format!(
            "there is an administrator {email} already"
        )));
    }
    println!("{email} can sign in now.");
    Ok(ExitCode::SUCCESS)
}

async fn add(
    installation: &Installation,
    email: &str,
    role: RoleArgument,
    hash: &str,
) -> Result<bool, StoreError> {
    let administrator = Administrator {
        id: Uuid::now_v7(),
        email: email.to_owned(),
        role: match role {
            RoleArgument::SuperAdministrator => Role::SuperAdministrator,
            RoleArgument::Auditor => Role::Auditor,
        },
        created_at: installation.clock.now(),
        last_sign_in: None,
    };
    let mut transaction = installation.pool.begin().await?;
    let added = administrators::add(&mut transaction, &administrator, hash).await?;
    if added {
        one_time_links::end_first_run(&mut transaction).await?;
        let event = NewEvent::new(
            administrator.created_at,
            EventName::AdministratorAdded,
            SHELL,
        )
        .detail(json!({ "administrator": email, "role": administrator.role.word() }));
        events::record(&mut transaction, &event).await?;
    }
    transaction.commit().await?;
    Ok(added)
}

async fn reset(settings: Settings, arguments: Reset) -> Outcome {
    let origin = settings.origin(DEFAULT_ADDRESS);
    let installation = Installation::open(settings).await?;
    let issued = issue(&installation, arguments.email.as_deref(), &origin).await;
    installation.close().await;
    let (whose, link) = issued?;
    println!("{whose} Open this link within one hour, it works once:\n\n  {link}\n");
    Ok(ExitCode::SUCCESS)
}

async fn issue(
    installation: &Installation,
    email: Option<&str>,
    origin: &str,
) -> Result<(String, String), Failure> {
    let mut transaction = installation.pool.begin().await?;
    let db = &mut *transaction;
    let everyone = administrators::list(&mut *db).await?;
    let mut everyone = everyone.iter().map(|one| &one.administrator);
    let whom = match email.map(str::to_lowercase) {
        Some(email) => match everyone.find(|one| one.email == email) {
            Some(one) => Some(one),
            None => return Err(Failure::usage(format!("there is no administrator {email}"))),
        },
        None => everyone.find(|one| one.role == Role::SuperAdministrator),
    };
    let now = installation.clock.now();
    let (whose, purpose) = match whom {
        Some(one) => {
            // Whoever has a shell may let in whom they want; the link would lead nowhere otherwise.
            administrators::set_disabled(&mut *db, one.id, None).await?;
            let event = NewEvent::new(now, EventName::AdministratorChanged, SHELL)
                .reason("Link for a new password and second factor")
                .detail(json!({ "administrator": one.email }));
            events::record(&mut *db, &event).await?;
            (reset_of(&one.email), Purpose::ResetAccess(one.id))
        }
        None => (
            "There is no administrator yet.".to_owned(),
            Purpose::FirstAdministrator,
        ),
    };
    let link = links::issue(&mut *db, purpose, now, origin).await?;
    transaction.commit().await?;
    Ok((whose, link))
}

fn reset_of(email: &str) -> String {
    format!("A new password for {email}; the second factor is set up anew.")
}

fn first_line() -> Result<SecretString, Failure> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format!("the password can't be read: {error}")))?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failure::usage("no password came from standard input"));
    }
    Ok(SecretString::from(password))
}
