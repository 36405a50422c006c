//! Traces for an OpenTelemetry collector, by OTLP over HTTP. Off unless the standard variables name
//! one. What a span may hold is what a log line may: ids, never personal data or secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// The variables that OpenTelemetry itself defines; all others of its are read by its library.
pub const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
/// A process that ends waits no longer for the last spans to be taken.
const LAST_WORDS: Duration = Duration::from_secs(3);
const ONE_TRY: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("no traces can be sent: {0}")]
    Exporter(#[from] ExporterBuildError),
    #[error("no traces can be sent: {0}")]
    Client(#[from] reqwest::Error),
}

/// Spans on their way to the collector.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends nothing unless a variable names where to.
    pub fn from_env(runtime: &Handle) -> Result<Self, TracesError> {
        let named = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !ENDPOINTS.iter().any(named) {
            return Ok(Self::default());
        }
        let carrier = Carrier {
            client: reqwest::Client::builder()
                .timeout(ONE_TRY)
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            runtime: runtime.clone(),
            lost: Arc::default(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(carrier)
            .build()?;
        let mut about = vec![KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            about.push(KeyValue::new("service.name", "rollcall"));
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_attributes(about).build())
            .build();
        Ok(Self(Some(provider)))
    }

    /// Our own spans, whatever the log shows.
    pub fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.as_ref()?.tracer("rollcall");
        let ours = Targets::new().with_target("server", LevelFilter::INFO);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(ours))
    }

    /// Sends what is left. Not to be called by the runtime that sends it.
    pub fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(LAST_WORDS)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Carries spans by the HTTP client that there is already. The library asks from a thread of its
/// own, where no runtime is.
#[derive(Clone, Debug)]
struct Carrier {
    client: reqwest::Client,
    runtime: Handle,
    /// That a collector is away is said once, and once more when it is back.
    lost: Arc<AtomicBool>,
}

impl Carrier {
    async fn carry(
        client: reqwest::Client,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, reqwest::Error> {
        let answer = client.execute(request.try_into()?).await?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = answer.bytes().await?;
        Ok(response)
    }
}

#[async_trait]
impl HttpClient for Carrier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let carried = Self::carry(self.client.clone(), request);
        // The address may hold a password.
        let carried = self.runtime.spawn(carried).await?;
        let carried = carried.map_err(reqwest::Error::without_url);
        let refused = match &carried {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let was_lost = self.lost.swap(refused.is_some(), Ordering::Relaxed);
        match refused {
            Some(cause) if !was_lost => tracing::warn!(cause, "the collector takes no traces"),
            None if was_lost => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        Ok(carried?)
    }
}
