//! `rollcall worker`: runs without a console.

use std::process::ExitCode;

use super::{Failure, Outcome};
use crate::installation::Installation;
use crate::settings::Settings;
use crate::{jobs, shutdown};

pub(super) async fn run(settings: Settings) -> Outcome {
    let installation = Installation::open(settings).await?;
    let engine = installation.engine()?;
    let stop = engine.shutdown().clone();
    tracing::info!("the worker is ready");
    let (worked, (), ()) = tokio::join!(
        async {
            let worked = jobs::work(engine).await;
            // It may end by itself, and then there is nothing to wait for.
            stop.cancel();
            worked
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
    Ok(ExitCode::SUCCESS)
}
