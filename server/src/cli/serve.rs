//! `rollcall serve`: the console, with a worker beside it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use app::services::Services;
use ipnet::IpNet;
use leptos::prelude::provide_context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Failure, Outcome};
use crate::http::{self, Front, Site, TlsFiles, TlsListener, TrustedProxies, Web};
use crate::installation::Installation;
use crate::services::door::Scrutiny;
use crate::services::export_route::{self, Exports};
use crate::services::{compose, one_time_links as links};
use crate::settings::{DEFAULT_ADDRESS, PUBLIC_URL, Settings};
use crate::store::administrators;
use crate::store::one_time_links::Purpose;
use crate::sync::Engine;
use crate::{jobs, shutdown, telemetry};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_ADDRESS)]
    addr: SocketAddr,
    /// Leave the runs to `rollcall worker`
    #[arg(long)]
    no_worker: bool,
    /// Speak https by itself: the certificate's chain as PEM; read anew on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The network of a proxy in front whose X-Forwarded-For and X-Forwarded-Proto are believed;
    /// may be given several times, and needs ROLLCALL_PUBLIC_URL
    #[arg(long, value_name = "CIDR", value_parser = network)]
    trusted_proxy: Vec<IpNet>,
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| single())
        .map_err(|_| "use a network such as 10.0.0.0/8, or an address".to_owned())
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let site = Site::find(settings.site_dir.clone()).map_err(Failure::usage)?;
    if !arguments.trusted_proxy.is_empty() && settings.public_url.is_none() {
        return Err(Failure::usage(format!(
            "--trusted-proxy needs {PUBLIC_URL}: behind a proxy, only that says how browsers reach the console"
        )));
    }
    let listener = http::bind(arguments.addr).await.map_err(Failure::failed)?;
    let mut origin = settings.origin(listener.local_addr().map_err(Failure::failed)?);
    let tls = match (arguments.tls_cert, arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        _ => None,
    };
    if tls.is_some() && settings.public_url.is_none() {
        origin = origin.replacen("http://", "https://", 1);
    }
    let listener = match tls {
        Some(files) => Door::Tls(TlsListener::start(listener, files).map_err(Failure::usage)?),
        None => Door::Plain(listener),
    };
    let installation = Installation::open(settings).await?;
    let served = async {
        let engine = installation.engine()?;
        let services = compose::services(
            &engine,
            &installation.settings,
            &origin,
            Scrutiny::Full,
            None,
        );
        let console = Console {
            scrutiny: Scrutiny::Full,
            listener,
            site,
            services,
            worker: !arguments.no_worker,
            proxies: arguments.trusted_proxy.into_iter().collect(),
        };
        if let Some(link) = first_link(&installation, &origin).await? {
            println!(
                "Nobody can sign in yet. Open this link within one hour, it works once:\n\n  {link}\n"
            );
        }
        println!("Rollcall is ready at {origin}");
        Box::pin(console.serve(&installation, engine)).await
    };
    let served = Box::pin(served).await;
    installation.close().await;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// A link for the first administrator, as long as there is none.
pub(super) async fn first_link(
    installation: &Installation,
    origin: &str,
) -> Result<Option<String>, Failure> {
    let mut db = installation.pool.acquire().await?;
    if administrators::any(&mut db).await? {
        return Ok(None);
    }
    let now = installation.clock.now();
    Ok(Some(
        links::issue(&mut db, Purpose::FirstAdministrator, now, origin).await?,
    ))
}

/// The web server and, unless another process does it, the worker.
pub(super) struct Console {
    pub listener: Door,
    pub site: Site,
    pub services: Services,
    pub worker: bool,
    pub scrutiny: Scrutiny,
    pub proxies: TrustedProxies,
}

/// Where requests come in.
pub(super) enum Door {
    Plain(TcpListener),
    Tls(TlsListener),
}

impl Console {
    /// Serves until the process is asked to stop, or one of its halves fails.
    pub(super) async fn serve(
        self,
        installation: &Installation,
        engine: Engine,
    ) -> Result<(), Failure> {
        // Before the first request comes in.
        let asked = shutdown::requested();
        let services = self.services;
        let web = Web {
            pool: installation.pool.clone(),
            clock: installation.clock.clone(),
            provide: Arc::new(move || provide_context(services.clone())),
            downloads: export_route::routes(Exports {
                engine: engine.clone(),
                seals: installation.seals(),
            }),
            hooks: http::push_routes(engine.clone()),
            site: self.site,
            metrics: telemetry::start_metrics().map_err(Failure::failed)?,
            public_url: installation.settings.public_url.clone(),
            scrutiny: self.scrutiny,
        };
        let front = Front {
            tls: matches!(self.listener, Door::Tls(_)),
            proxies: self.proxies,
            vault: Some(installation.vault.clone()),
        };
        let router = http::router_behind(&web, &front).map_err(Failure::usage)?;
        let stop = engine.shutdown().clone();
        let working = async {
            if self.worker {
                jobs::work(engine).await.map_err(Failure::failed)
            } else {
                Ok(())
            }
        };
        let stopping = stop.clone();
        let serving = async move {
            match self.listener {
                Door::Plain(listener) => http::serve(listener, router, stopping).await,
                Door::Tls(listener) => http::serve_tls(listener, router, stopping).await,
            }
        };
        let sealing = installation.seals().keep(stop.clone());
        tokio::try_join!(
            async {
                sealing.await;
                Ok(())
            },
            async { serving.await.map_err(Failure::failed) },
            working,
            when_asked(asked, stop),
        )?;
        Ok(())
    }
}

/// Passes the wish to stop on, for all to end in order.
async fn when_asked(
    asked: impl Future<Output = ()>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    asked.await;
    tracing::info!("stopping");
    stop.cancel();
    Ok(())
}
