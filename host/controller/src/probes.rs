//! Health, readiness and metrics over HTTP.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Whether the host is ready: its watches have seen the cluster, and its plugins were looked at.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self, is_ready: bool) {
        let was_ready = self.0.swap(is_ready, Ordering::AcqRel);
        if is_ready && !was_ready {
            tracing::info!("the host is ready");
        }
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Answers probes until told to stop.
pub(crate) async fn serve_probes(
    address: SocketAddr,
    readiness: Readiness,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let ready = get(move || async move {
        if readiness.get() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready yet")
        }
    });
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", ready);
    serve("probes", address, router, stop)
        .await
        .with_context(|| format!("probes at {address}"))
}

/// Answers /metrics until told to stop.
pub(crate) async fn serve_metrics(
    address: SocketAddr,
    metrics: Metrics,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let router = Router::new().route("/metrics", get(move || async move { metrics.text() }));
    serve("metrics", address, router, stop)
        .await
        .with_context(|| format!("metrics at {address}"))
}

async fn serve(
    what: &str,
    address: SocketAddr,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(what, address = %listener.local_addr()?, "listening");
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;
    Ok(())
}
