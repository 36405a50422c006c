//! `rollcall worker`: runs without a console.

use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Failure, Outcome};
use crate::http::{self, Health};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::{jobs, shutdown, telemetry};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to answer /healthz, /readyz and /metrics; nowhere unless given
    #[arg(long, value_name = "ADDRESS:PORT")]
    health_addr: Option<SocketAddr>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let watched = match arguments.health_addr {
        Some(address) => Some(
            http::bind_as(address, "--health-addr")
                .await
                .map_err(Failure::failed)?,
        ),
        None => None,
    };
    let installation = Installation::open(settings).await?;
    let engine = installation.engine()?;
    let stop = engine.shutdown().clone();
    tracing::info!("the worker is ready");
    let (worked, watching, (), ()) = tokio::join!(
        async {
            let worked = jobs::work(engine).await;
            // It may end by itself, and then there is nothing to wait for.
            stop.cancel();
            worked
        },
        async {
            let watching = watch_over(&installation, watched, stop.clone()).await;
            if watching.is_err() {
                stop.cancel();
            }
            watching
        },
        async {
            tokio::select! {
                () = shutdown::requested() => stop.cancel(),
                () = stop.cancelled() => {}
            }
        },
        installation.seals().keep(stop.clone()),
    );
    installation.close().await;
    worked.map_err(Failure::failed)?;
    watching?;
    Ok(ExitCode::SUCCESS)
}

/// Answers the machines that watch over this one.
async fn watch_over(
    installation: &Installation,
    listener: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let routes = http::health_routes(Health {
        pool: installation.pool.clone(),
        clock: installation.clock.clone(),
        metrics: telemetry::start_metrics().map_err(Failure::failed)?,
        vault: Some(installation.vault.clone()),
    });
    http::serve(listener, routes, stop)
        .await
        .map_err(Failure::failed)
}
