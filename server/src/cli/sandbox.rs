//! `rollcall sandbox`: the emulators alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Failure, Outcome};
use crate::http;
use crate::sandbox::{ADMINISTRATOR, Sandbox, SandboxError, SandboxOptions};
use crate::settings::origin_of;
use crate::shutdown;

/// Where the sandbox listens unless told otherwise.
pub(super) const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3100);

/// Serve an emulated Google directory and an emulated Asana
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = ADDRESS)]
    addr: SocketAddr,
    /// How many people the directory has
    #[arg(long, default_value_t = 250)]
    people: usize,
    /// How many groups the directory has
    #[arg(long, default_value_t = 41)]
    groups: usize,
    /// The same seed gives the same people, groups and token
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the emulators' state in this file
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Write the key file (sa.json) and the token (asana-token) to this folder
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let options = SandboxOptions {
        people: arguments.people,
        groups: arguments.groups,
        seed: arguments.seed,
        data_file: arguments.state,
        ..SandboxOptions::default()
    };
    let sandbox = start(options).await.map_err(Failure::failed)?;
    let listener = http::bind(arguments.addr).await.map_err(Failure::failed)?;
    let origin = origin_of(listener.local_addr().map_err(Failure::failed)?);
    if let Some(folder) = &arguments.write {
        write(&sandbox, &origin, folder)?;
    }
    println!("Emulated Google directory  {origin}  (administrator {ADMINISTRATOR})");
    println!(
        "Emulated Asana             {}",
        Sandbox::scim_endpoint(&origin)
    );
    println!("Access token               {}", sandbox.asana_token());
    match &arguments.write {
        Some(folder) => println!("Key file and token         {}", folder.display()),
        None => println!("Key file                   run again with --write FOLDER"),
    }
    tokio::select! {
        served = sandbox.serve(listener) => served.map_err(Failure::failed)?,
        () = shutdown::requested() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Making its key takes a while, so it is done off the async threads.
pub(super) async fn start(options: SandboxOptions) -> Result<Sandbox, SandboxError> {
    let made = tokio::task::spawn_blocking(move || Sandbox::new(options)).await;
    made.unwrap_or_else(|error| Err(SandboxError::Key(error.to_string())))
}

fn write(sandbox: &Sandbox, origin: &str, folder: &Path) -> Result<(), Failure> {
    let files = [
        ("sa.json", sandbox.service_account_key_json(origin)),
        ("asana-token", sandbox.asana_token()),
    ];
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            files
                .into_iter()
                .try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
        })
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))
}
