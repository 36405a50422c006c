//! `rollcall serve`: the console, with a worker beside it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use app::services::Services;
use leptos::prelude::provide_context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Failure, Outcome};
use crate::http::{self, Site, Web};
use crate::installation::Installation;
use crate::services::door::Scrutiny;
use crate::services::export_route::{self, Exports};
use crate::services::{compose, one_time_links as links};
use crate::settings::{DEFAULT_ADDRESS, Settings};
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
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let site = Site::find(settings.site_dir.clone()).map_err(Failure::usage)?;
    let listener = http::bind(arguments.addr).await.map_err(Failure::failed)?;
    let origin = settings.origin(listener.local_addr().map_err(Failure::failed)?);
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
    pub listener: TcpListener,
    pub site: Site,
    pub services: Services,
    pub worker: bool,
    pub scrutiny: Scrutiny,
}

impl Console {
    /// Serves until the process is asked to stop, or one of its halves fails.
    pub(super) async fn serve(
        self,
        installation: &Installation,
        engine: Engine,
    ) -> Result<(), Failure> {
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
        let router = http::router(&web).map_err(Failure::usage)?;
        let stop = engine.shutdown().clone();
        let working = async {
            if self.worker {
                jobs::work(engine).await.map_err(Failure::failed)
            } else {
                Ok(())
            }
        };
        let serving = http::serve(self.listener, router, stop.clone());
        let sealing = installation.seals().keep(stop.clone());
        tokio::try_join!(
            async {
                sealing.await;
                Ok(())
            },
            async { serving.await.map_err(Failure::failed) },
            working,
            when_asked(stop),
        )?;
        Ok(())
    }
}

/// Passes the wish to stop on, for all to end in order.
async fn when_asked(stop: CancellationToken) -> Result<(), Failure> {
    shutdown::requested().await;
    tracing::info!("stopping");
    stop.cancel();
    Ok(())
}
