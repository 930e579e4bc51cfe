//! Traces, to an OpenTelemetry collector, as protobuf over HTTP.
//!
//! The SDK collects spans on a thread of its own and blocks there while it sends them. Requests are made by the HTTP client
//! that the object storage uses, on a runtime of their own: what the host does never waits for a collector, and the last
//! spans are sent when the host's runtime is gone.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::{Builder, Runtime};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use super::is_part_of_a_pass;

/// Who this is, for whoever reads the traces.
const SERVICE: &str = "backupstrategy-controller";

/// Sends spans to a collector.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends them to the collector at a URL, in its path `/v1/traces`.
    pub(super) fn to(endpoint: &str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        reqwest::Url::parse(&url)
            .with_context(|| format!("{endpoint:?} is no URL of a collector"))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new()?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .context("traces cannot be sent")?;
        let resource = Resource::builder().with_service_name(SERVICE).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// Takes the spans of passes.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_part_of_a_pass()))
    }

    /// Sends what was not sent yet, and ends.
    pub(super) fn flush(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The HTTP client of the object storage, for a thread that blocks.
#[derive(Clone, Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Arc<Runtime>,
}

impl Sender {
    fn new() -> anyhow::Result<Self> {
        // A second word changes nothing, which is why what it answers is not looked at.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()?;
        Ok(Self {
            client: reqwest::Client::builder().build()?,
            runtime: Arc::new(runtime),
        })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let answered = self.runtime.spawn(async move {
            let answer = client.execute(request).await?.error_for_status()?;
            let status = answer.status();
            let body = answer.bytes().await?;
            Ok::<_, reqwest::Error>((status, body))
        });
        let (status, body) = answered.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}

#[cfg(test)]
mod tests;
