//! All of it together, until it is told to stop.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context as _;
use backup_engine::{Evaluator, Host, Storage, Strategies};
use backup_sandbox::{Compiler, Sandbox, Settings as SandboxSettings};
use jiff::Timestamp;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc::unbounded_channel, watch},
};

use crate::{
    address::BindAddress,
    credentials::Projections,
    leader::{Election, Fence, identity},
    metrics::{Metrics, Requests},
    options::Options,
    plugins::{Follower, plugins},
    probes::{Pulse, Readiness, serve_metrics, serve_probes},
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
/// When it cannot start: no API server, no cache folder, an address in use. When it led, and another may lead now.
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
    let served = runtime.block_on(serve(options, sandbox));
    // A strategy that still computes is not waited for: nobody will carry out what it answers.
    runtime.shutdown_background();
    served
}

async fn serve(options: Options, sandbox: Sandbox) -> anyhow::Result<()> {
    let terms = options.terms()?;
    let probes = listen("probes", options.health_probe_bind_address).await?;
    let page = listen("metrics", options.metrics_bind_address).await?;
    let requests = Requests::default();
    let client = client(&options, &requests)
        .await
        .context("there is no API server to talk to")?;
    let (lead, leads) = watch::channel(!options.leader_elect);
    let fence = match options.leader_elect {
        true => Fence::closed(),
        false => Fence::open(),
    };
    let cluster = RealCluster::new(client.clone()).behind(fence.clone());
    let (stopped, stop) = watch::channel(false);
    let strategies = Arc::new(Strategies::default());
    let host = Host::new(
        cluster.clone(),
        options.settings(),
        Arc::clone(&strategies),
        Arc::new(S3) as Arc<dyn Storage>,
        Arc::new(Timestamp::now),
        Evaluator::Blocking,
    );
    let workers = options.workers.max(1);
    let metrics = Metrics::new(
        &requests,
        workers,
        cluster.clone(),
        Arc::clone(&strategies),
        leads.clone(),
        Projections(host.projections()),
    );
    let readiness = Readiness::default();
    let (pulse, asked) = Pulse::new();
    if let Some(listener) = probes {
        tokio::spawn(serve_probes(listener, readiness.clone(), pulse));
    }
    if let Some(listener) = page {
        tokio::spawn(serve_metrics(listener, metrics.clone()));
    }
    let (changed, changes) = unbounded_channel();
    let (news, plugin_news) = unbounded_channel();
    let follower = Follower {
        client: client.clone(),
        plugins: plugins(cluster.clone(), sandbox, Arc::clone(&strategies), &options),
        strategies: Arc::clone(&strategies),
        folder: options.plugin_folder.clone(),
        leads: leads.clone(),
        news,
    };
    tokio::spawn(follower.run());
    let work = Work {
        host: Arc::new(host.observed_by(Arc::new(metrics.clone()))),
        settings: options.settings(),
        strategies,
        watches: Watches::new(cluster, changed),
        changes,
        plugin_news,
        plugins_looked_at: false,
        metrics,
        readiness,
        leads,
        asked,
        workers,
        unwatched: BTreeSet::new(),
    };
    tokio::spawn(async move {
        asked_to_stop().await;
        stopped.send_replace(true);
    });
    let election = options.leader_elect.then(|| {
        let identity = identity(&options.pod_name);
        Election::new(client, &options.pod_namespace, identity, terms, fence, lead)
    });
    lead_and(work.run(told(stop)), election).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Does the work, for as long as this host is not told that another leads; and then lets another lead.
async fn lead_and(
    work: impl Future<Output = ()>,
    election: Option<Election>,
) -> anyhow::Result<()> {
    let Some(election) = election else {
        work.await;
        return Ok(());
    };
    let (over, is_over) = watch::channel(false);
    let mut election = tokio::spawn(election.run(told(is_over)));
    let led = tokio::select! {
        () = work => {
            over.send_replace(true);
            election.await
        }
        led = &mut election => led,
    };
    // The passes under way are gone with the work.
    let led = led.context("the election was cut off")?;
    led.map_err(|lost| anyhow::anyhow!("{lost}; this host ends"))
}

/// A client whose requests are counted.
async fn client(options: &Options, requests: &Requests) -> anyhow::Result<Client> {
    let config = match &options.kubeconfig {
        None => Config::infer().await?,
        Some(file) => {
            let kubeconfig = Kubeconfig::read_from(file)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
    };
    Ok(ClientBuilder::try_from(config)?
        .with_layer(requests)
        .build())
}

async fn listen(what: &str, address: BindAddress) -> anyhow::Result<Option<TcpListener>> {
    let listener = address.listen().await;
    listener.with_context(|| format!("{what} cannot be served at {address}"))
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
