//! HTTPS by this process itself, with rustls.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take, and how many may be under way.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const MOST_HANDSHAKES: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} can't be read as PEM: {cause}")]
    File { path: PathBuf, cause: String },
    #[error("{path} holds no certificate: give the chain as PEM, this server's certificate first")]
    NoCertificate { path: PathBuf },
    #[error("the certificate {certificate} and the key {key} can't be used together: {cause}")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        cause: rustls::Error,
    },
}

/// Where certificate and key are; both are read anew on SIGHUP.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl TlsFiles {
    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::pki_types::pem::Error| TlsError::File {
                path,
                cause: error.to_string(),
            }
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(unreadable(&self.certificate))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate {
                path: self.certificate.clone(),
            });
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(unreadable(&self.key))?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(|cause| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            cause,
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Connections whose handshake is over. A slow handshake keeps nobody else waiting.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    accepting: AbortHandle,
    reloading: AbortHandle,
}

impl std::fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsListener({})", self.address)
    }
}

impl TlsListener {
    /// Reads the files and begins to accept.
    pub fn start(listener: TcpListener, files: TlsFiles) -> Result<Self, TlsError> {
        let (config, current) = watch::channel(files.read()?);
        let (done, ready) = mpsc::channel(16);
        // A listener that is bound has an address.
        let address = listener
            .local_addr()
            .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let accepting = tokio::spawn(accept(listener, current, done)).abort_handle();
        let reloading = tokio::spawn(reload(files, config)).abort_handle();
        Ok(Self {
            ready,
            address,
            accepting,
            reloading,
        })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reloading.abort();
    }
}

async fn accept(
    mut listener: TcpListener,
    config: watch::Receiver<Arc<ServerConfig>>,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(MOST_HANDSHAKES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        // Waits by itself when the machine has no more connections to give.
        let (stream, address) = Listener::accept(&mut listener).await;
        let acceptor = TlsAcceptor::from(config.borrow().clone());
        let done = done.clone();
        tokio::spawn(async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
            match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    // Nobody waits for it once the server ends.
                    let _ = done.send((stream, address)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
            drop(place);
        });
    }
}

/// A certificate that was renewed is taken on SIGHUP; one that can't be used changes nothing.
async fn reload(files: TlsFiles, config: watch::Sender<Arc<ServerConfig>>) {
    let Ok(mut asked) = signal(SignalKind::hangup()) else {
        return;
    };
    while asked.recv().await.is_some() {
        let files = files.clone();
        match tokio::task::spawn_blocking(move || files.read()).await {
            Ok(Ok(read)) => {
                config.send_replace(read);
                tracing::info!("the certificate was read anew");
            }
            Ok(Err(error)) => tracing::error!(%error, "the certificate stays the one before"),
            Err(error) => tracing::error!(%error, "the certificate stays the one before"),
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// Who a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}
