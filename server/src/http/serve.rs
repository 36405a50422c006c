//! Listening and ending.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::tls::{Peer, TlsListener};

/// How long requests under way may take once the process was asked to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(6);

#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}; choose another address with {option}")]
pub struct BindError {
    address: SocketAddr,
    option: &'static str,
    source: std::io::Error,
}

pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind_as(address, "--addr").await
}

/// `option` is the one that chooses the address.
pub async fn bind_as(address: SocketAddr, option: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| BindError {
            address,
            option,
            source,
        })
}

/// Answers requests until `stop`, then lets those under way end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let stopping = stop.clone();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    until(stop, serving.into_future()).await
}

/// The same with TLS.
pub async fn serve_tls(
    listener: TlsListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stopping = stop.clone();
    let serving = axum::serve(listener, service)
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    until(stop, serving.into_future()).await
}

async fn until(
    stop: CancellationToken,
    serving: impl Future<Output = std::io::Result<()>>,
) -> std::io::Result<()> {
    tokio::select! {
        ended = serving => ended,
        () = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_REQUESTS).await;
        } => {
            tracing::warn!("requests were still under way when the server ended");
            Ok(())
        }
    }
}
