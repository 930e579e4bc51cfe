//! All of it together, until it is told to stop.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use backup_engine::{Evaluator, Host, Storage, Strategies};
use backup_sandbox::{Compiler, Sandbox, Settings as SandboxSettings};
use jiff::Timestamp;
use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc::unbounded_channel, watch},
};

use crate::{
    credentials::Projections,
    metrics::Metrics,
    options::Options,
    plugins::{Follower, plugins},
    probes::{Readiness, serve_metrics, serve_probes},
    real::RealCluster,
    s3::S3,
    watches::Watches,
    work::Work,
};

/// Runs the host until SIGTERM or SIGINT.
///
/// `compile` are the arguments with which this program, started anew, compiles a component.
///
/// # Errors
/// When it cannot start: no API server, no cache folder, an address in use.
pub fn run(options: Options, compile: &[&str]) -> anyhow::Result<()> {
    // The client of the object storage takes what the process has installed, and panics where that is nothing. A second
    // word changes nothing, which is why what it answers is not looked at.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let compiler =
        Compiler::child(compile.iter().copied()).context("the running program is not found")?;
    let sandbox = Sandbox::new(SandboxSettings::new(&options.compiled_cache, compiler))
        .with_context(|| {
            format!(
                "the sandbox with its cache {}",
                options.compiled_cache.display()
            )
        })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(serve(options, sandbox))
}

async fn serve(options: Options, sandbox: Sandbox) -> anyhow::Result<()> {
    let client = Client::try_default()
        .await
        .context("there is no API server to talk to")?;
    let cluster = RealCluster::new(client.clone());
    let (stopped, stop) = watch::channel(false);
    let strategies = Arc::new(Strategies::default());
    let host = Arc::new(Host::new(
        cluster.clone(),
        options.settings(),
        Arc::clone(&strategies),
        Arc::new(S3) as Arc<dyn Storage>,
        Arc::new(Timestamp::now),
        Evaluator::Blocking,
    ));
    let metrics = Metrics::new(Projections(host.projections()));
    let readiness = Readiness::default();
    let probes = tokio::spawn(serve_probes(
        options.health_probe_bind_address,
        readiness.clone(),
        told(stop.clone()),
    ));
    if options.metrics_bind_address != "0" {
        let address: SocketAddr = options.metrics_bind_address.parse().with_context(|| {
            format!(
                "{:?} is not an address for metrics",
                options.metrics_bind_address
            )
        })?;
        tokio::spawn(serve_metrics(address, metrics.clone(), told(stop.clone())));
    }
    let (changed, changes) = unbounded_channel();
    let (news, plugin_news) = unbounded_channel();
    // The only one of its kind leads.
    let (_leader, leads) = watch::channel(true);
    let follower = Follower {
        client,
        plugins: plugins(cluster.clone(), sandbox, Arc::clone(&strategies), &options),
        strategies: Arc::clone(&strategies),
        folder: options.plugin_folder.clone(),
        leads,
        news,
    };
    tokio::spawn(follower.run());
    let work = Work {
        host,
        settings: options.settings(),
        strategies,
        watches: Watches::new(cluster, changed),
        changes,
        plugin_news,
        plugins_looked_at: false,
        metrics,
        readiness,
        workers: options.workers.max(1),
        unwatched: BTreeSet::new(),
    };
    tokio::spawn(async move {
        asked_to_stop().await;
        stopped.send_replace(true);
    });
    work.run(told(stop)).await;
    probes.await.context("the probes ended")??;
    tracing::info!("stopped");
    Ok(())
}

/// Done once the host is told to stop.
async fn told(mut stop: watch::Receiver<bool>) {
    // The sender lives until it has told.
    stop.wait_for(|is_told| *is_told).await.ok();
}

/// Done at SIGTERM or SIGINT.
async fn asked_to_stop() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be listened to");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
