//! `rollcall demo`: everything on this machine, with emulators in place of Google and Asana.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use tokio::net::TcpListener;

use super::serve::{Console, Door, first_link};
use super::{Failure, Outcome, sandbox};
use crate::http::{self, Site, TrustedProxies};
use crate::installation::Installation;
use crate::sandbox::SandboxOptions;
use crate::services::compose::{self, Backstage};
use crate::services::door::Scrutiny;
use crate::services::one_time_links as links;
use crate::settings::{DEFAULT_ADDRESS, Settings, origin_of};
use crate::store::administrators::{self, Role};
use crate::store::one_time_links::Purpose;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the console listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_ADDRESS)]
    addr: SocketAddr,
    /// Where the emulators listen; another port when this one is taken
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = sandbox::ADDRESS)]
    sandbox_addr: SocketAddr,
    /// Ask for a second factor and for confirmations, as in production
    #[arg(long)]
    like_production: bool,
}

pub(super) async fn run(mut settings: Settings, arguments: Arguments) -> Outcome {
    // The emulators are on loopback; a demo talks to nothing else.
    settings.allowed_targets.loopback = true;
    let site = Site::find(settings.site_dir.clone()).map_err(Failure::usage)?;
    let listener = http::bind(arguments.addr).await.map_err(Failure::failed)?;
    let origin = settings.origin(listener.local_addr().map_err(Failure::failed)?);
    let installation = Installation::open(settings).await?;
    let served = async {
        let data_dir = installation.data_dir();
        let (emulators, sandbox_origin) =
            emulators_listener(data_dir, arguments.sandbox_addr).await?;
        let options = SandboxOptions {
            data_file: Some(data_dir.join("sandbox.json")),
            clock: installation.clock.clone(),
            ..SandboxOptions::default()
        };
        let sandbox = sandbox::start(options).await.map_err(Failure::failed)?;
        let scrutiny = match arguments.like_production {
            true => Scrutiny::Full,
            false => Scrutiny::Demo,
        };
        let backstage = Backstage {
            sandbox: sandbox.clone(),
            origin: sandbox_origin.clone(),
        };
        let engine = installation.engine()?;
        let services = compose::services(
            &engine,
            &installation.settings,
            &origin,
            scrutiny,
            Some(backstage),
        );
        let console = Console {
            listener: Door::Plain(listener),
            site,
            services,
            worker: true,
            scrutiny,
            proxies: TrustedProxies::default(),
        };
        welcome(&installation, &origin, &sandbox_origin).await?;
        tokio::select! {
            served = console.serve(&installation, engine) => served,
            emulated = sandbox.serve(emulators) => emulated.map_err(Failure::failed),
        }
    };
    let served = Box::pin(served).await;
    installation.close().await;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// The emulators keep their port from start to start, because stored settings name it.
async fn emulators_listener(
    data_dir: &Path,
    wanted: SocketAddr,
) -> Result<(TcpListener, String), Failure> {
    let remembered = data_dir.join("sandbox.port");
    let last = fs::read_to_string(&remembered)
        .ok()
        .and_then(|port| port.trim().parse().ok());
    let mut port = last.unwrap_or(wanted.port());
    let listener = loop {
        match http::bind(SocketAddr::new(wanted.ip(), port)).await {
            Ok(listener) => break listener,
            Err(_) if port != 0 => port = 0,
            Err(error) => return Err(Failure::failed(error)),
        }
    };
    let address = listener.local_addr().map_err(Failure::failed)?;
    fs::write(&remembered, address.port().to_string())
        .map_err(|error| Failure::failed(format!("{}: {error}", remembered.display())))?;
    Ok((listener, origin_of(address)))
}

async fn welcome(
    installation: &Installation,
    origin: &str,
    sandbox_origin: &str,
) -> Result<(), Failure> {
    let link = match first_link(installation, origin).await? {
        Some(link) => Some(link),
        None => door(installation, origin).await?,
    };
    println!("\nRollcall demo");
    println!("  Console                {origin}");
    println!("  Emulated Google, Asana {sandbox_origin}");
    let data_dir = installation.data_dir();
    let shown = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.clone());
    println!("  Data                   {}", shown.display());
    if let Some(link) = link {
        println!("\nOpen this one-time link to sign in (good for one hour):\n\n  {link}\n");
    }
    println!("Ctrl-C ends the demo; starting it again goes on where it was.");
    Ok(())
}

/// Lets the administrator of an earlier start in again.
async fn door(installation: &Installation, origin: &str) -> Result<Option<String>, Failure> {
    let mut db = installation.pool.acquire().await?;
    let everyone = administrators::list(&mut db).await?;
    let Some(first) = everyone
        .iter()
        .filter(|one| one.can_sign_in())
        .map(|one| &one.administrator)
        .find(|one| one.role == Role::SuperAdministrator)
    else {
        return Ok(None);
    };
    let purpose = Purpose::DemoSignIn(first.id);
    Ok(Some(
        links::issue(&mut db, purpose, installation.clock.now(), origin).await?,
    ))
}
