//! The one way out: time-outs, checked addresses, no redirects, bounded answers.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use tracing::Instrument as _;
use url::Url;

use super::targets::{CheckedResolver, Lookup, TargetPolicy, TargetRefusal, system_lookup};
use super::timer::{SystemTimer, Timer};

/// The whole time of a write: shorter than a lease, so that none outlives the run that sent it.
pub const WRITE_LASTS: Duration = Duration::from_secs(20);

/// Limits of one request; the defaults suit both Google and SCIM.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    pub connect: Duration,
    /// The longest silence while an answer is read.
    pub read: Duration,
    pub total: Duration,
    /// Instead of `total`, for what changes something on the other side.
    pub write: Duration,
    /// Bytes of an answer after decompression.
    pub answer: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(45),
            total: Duration::from_secs(90),
            write: WRITE_LASTS,
            answer: 32 * 1024 * 1024,
        }
    }
}

/// Requests of one run, counted as they leave. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct RequestCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    directory: AtomicU64,
    scim_reads: AtomicU64,
    scim_writes: AtomicU64,
    limit_waits: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RequestTotals {
    pub directory: u64,
    pub scim_reads: u64,
    pub scim_writes: u64,
    /// How often a request waited for a rate limit.
    #[serde(skip)]
    pub limit_waits: u64,
}

impl RequestCounts {
    pub fn totals(&self) -> RequestTotals {
        RequestTotals {
            directory: self.0.directory.load(Ordering::Relaxed),
            scim_reads: self.0.scim_reads.load(Ordering::Relaxed),
            scim_writes: self.0.scim_writes.load(Ordering::Relaxed),
            limit_waits: self.0.limit_waits.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_directory(&self) {
        self.0.directory.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_scim(&self, writes: bool) {
        let counter = if writes {
            &self.0.scim_writes
        } else {
            &self.0.scim_reads
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_wait(&self) {
        self.0.limit_waits.fetch_add(1, Ordering::Relaxed);
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Option<serde_json::Value> {
        // Some platforms begin every text with a byte order mark.
        let body = self
            .body
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body);
        serde_json::from_slice(body).ok()
    }

    /// A web page, by its type or by how it starts.
    pub fn is_web_page(&self) -> bool {
        let typed = self
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
        let start = self.body.trim_ascii_start();
        let looks = |prefix: &[u8]| {
            start
                .get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        // Frameworks give their usual type to an empty answer, too.
        looks(b"<!doctype html")
            || looks(b"<html")
            || (typed && !start.is_empty() && !looks(b"{") && !looks(b"["))
    }
}

/// Why there is no answer. The first two mean that nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    #[error("{0}")]
    Refused(#[from] TargetRefusal),
    #[error("{host} could not be reached: {cause}.")]
    NotConnected { host: String, cause: String },
    #[error("{host} did not answer within {seconds} seconds.")]
    TimedOut { host: String, seconds: u64 },
    #[error("The connection to {host} was lost: {cause}.")]
    Lost { host: String, cause: String },
    #[error("The answer of {host} is larger than {limit} bytes.")]
    TooLarge { host: String, limit: usize },
}

impl SendFailure {
    /// Whether the other side may have acted on the request.
    pub fn may_have_been_sent(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::NotConnected { .. })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("The HTTP client could not be set up: {0}.")]
pub struct SetupError(String);

/// Sends requests within the policy. Clones share connections, counts and timer.
#[derive(Clone)]
pub struct Outgoing {
    client: reqwest::Client,
    policy: TargetPolicy,
    limits: RequestLimits,
    timer: Arc<dyn Timer>,
    counts: RequestCounts,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    pub fn new(policy: TargetPolicy) -> Result<Self, SetupError> {
        Self::custom(policy, RequestLimits::default(), system_lookup())
    }

    /// With other limits, or another way to resolve names.
    pub fn custom(
        policy: TargetPolicy,
        limits: RequestLimits,
        lookup: Lookup,
    ) -> Result<Self, SetupError> {
        super::install_crypto();
        let client = reqwest::Client::builder()
            .user_agent(concat!("Rollcall/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, past the check.
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(CheckedResolver { policy, lookup }))
            .connect_timeout(limits.connect)
            .read_timeout(limits.read)
            // Shorter than common servers keep a quiet connection, so that a write is not lost
            // on one that they just closed.
            .pool_idle_timeout(Duration::from_secs(4))
            .tcp_nodelay(true)
            .build()
            .map_err(|error| SetupError(innermost(&error)))?;
        Ok(Self {
            client,
            policy,
            limits,
            timer: Arc::new(SystemTimer),
            counts: RequestCounts::default(),
        })
    }

    /// The same client, counting elsewhere: one set of counts for each run.
    #[must_use]
    pub fn counting(mut self, counts: RequestCounts) -> Self {
        self.counts = counts;
        self
    }

    #[must_use]
    pub fn waiting_on(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = timer;
        self
    }

    pub fn policy(&self) -> TargetPolicy {
        self.policy
    }

    pub fn counts(&self) -> &RequestCounts {
        &self.counts
    }

    pub fn timer(&self) -> &Arc<dyn Timer> {
        &self.timer
    }

    /// Checks an address before it is saved.
    pub fn check(&self, url: &Url) -> Result<(), TargetRefusal> {
        self.policy.check(url)
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends one request, once, and reads the whole answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, SendFailure> {
        self.send_within(request, self.limits.total).await
    }

    /// The same for a write, which is given up earlier.
    pub async fn send_write(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Answer, SendFailure> {
        self.send_within(request, self.limits.write).await
    }

    async fn send_within(
        &self,
        request: reqwest::RequestBuilder,
        total: Duration,
    ) -> Result<Answer, SendFailure> {
        let request = request.build().map_err(|error| SendFailure::NotConnected {
            host: "the target".to_owned(),
            cause: innermost(&error),
        })?;
        self.policy.check(request.url())?;
        let host = host_and_port(request.url());
        // Without path and query, which name people.
        let span = tracing::info_span!(
            "outgoing",
            "otel.kind" = "client",
            "http.request.method" = %request.method(),
            "server.address" = host,
            "http.response.status_code" = tracing::field::Empty,
        );
        let status = span.clone();
        let exchange = async {
            let response = self
                .client
                .execute(request)
                .await
                .map_err(|error| self.classify(&host, &error))?;
            status.record("http.response.status_code", response.status().as_u16());
            self.read(&host, response).await
        }
        .instrument(span);
        // One deadline for the head and the body together.
        match tokio::time::timeout(total, exchange).await {
            Ok(result) => result,
            Err(_) => Err(SendFailure::TimedOut {
                host,
                seconds: total.as_secs(),
            }),
        }
    }

    async fn read(
        &self,
        host: &str,
        mut response: reqwest::Response,
    ) -> Result<Answer, SendFailure> {
        let limit = self.limits.answer;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.classify(host, &error))?
        {
            if body.len() + chunk.len() > limit {
                return Err(SendFailure::TooLarge {
                    host: host.to_owned(),
                    limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
        })
    }

    fn classify(&self, host: &str, error: &reqwest::Error) -> SendFailure {
        if let Some(refusal) = find_refusal(error) {
            return SendFailure::Refused(refusal);
        }
        let host = host.to_owned();
        if error.is_connect() || error.is_builder() {
            let cause = if error.is_timeout() {
                format!(
                    "no connection within {} seconds",
                    self.limits.connect.as_secs()
                )
            } else {
                innermost(error)
            };
            return SendFailure::NotConnected { host, cause };
        }
        if error.is_timeout() {
            let seconds = self.limits.read.as_secs();
            return SendFailure::TimedOut { host, seconds };
        }
        SendFailure::Lost {
            host,
            cause: innermost(error),
        }
    }
}

fn find_refusal(error: &reqwest::Error) -> Option<TargetRefusal> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(refusal) = inner.downcast_ref::<TargetRefusal>() {
            return Some(refusal.clone());
        }
        source = inner.source();
    }
    None
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    if text.is_empty() {
        // Only the outermost error ever holds the address.
        text = if error.is_builder() {
            "the request could not be built".to_owned()
        } else {
            "the exchange failed".to_owned()
        };
    }
    let text = text.trim_end_matches('.');
    text.chars().take(200).collect()
}

pub fn host_and_port(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "the target".to_owned(),
    }
}

/// Answers the same addresses for every name; tests use it to stand in for name servers.
pub fn fixed_lookup(addresses: Vec<SocketAddr>) -> Lookup {
    Arc::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    })
}
