//! The first backup: the one of the documentation, ordered by the tenant.

use std::path::Path;

use anyhow::{Result, bail};
use controlplane::until;
use kube::{Client, api::PostParams};
use serde_json::{Value, json};

use crate::{
    background, deployment,
    play::client,
    tenants::TENANTS,
    told,
    watching::{api, is_true},
};

const API: &str = "backups.cozystack.io/v1alpha1";

/// The name of the job, and of its Backup.
pub(crate) const NAME: &str = "ad-hoc";

/// Orders it, and waits until the Backup is ready.
///
/// # Errors
/// When it does not come about, with what the host says.
pub(crate) async fn back_up(folder: &Path) -> Result<()> {
    let tenant = TENANTS[0];
    let job = json!({
        "apiVersion": API,
        "kind": "BackupJob",
        "metadata": { "name": NAME, "namespace": tenant },
        "spec": {
            "backupClassName": "cozy-default",
            "applicationRef": {
                "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db",
            },
        },
    });
    let asks = client(&told::kubeconfig_of(folder, tenant)).await?;
    let jobs = api(&asks, (API, "BackupJob"), Some(tenant));
    jobs.create(&PostParams::default(), &serde_json::from_value(job)?)
        .await?;
    let phase = |object: &Value| object["status"]["phase"].as_str().map(ToOwned::to_owned);
    let ended = until(jobs, NAME, |job| {
        matches!(phase(job).as_deref(), Some("Succeeded" | "Failed"))
    });
    let job = said(folder, ended.await)?;
    if phase(&job).as_deref() != Some("Succeeded") {
        bail!("the first backup failed: {:#}", job["status"]);
    }
    let backups = api(&asks, (API, "Backup"), Some(tenant));
    let ready = until(backups, NAME, |backup| {
        phase(backup).as_deref() == Some("Ready")
    });
    said(folder, ready.await).map(drop)
}

/// Waits until all of these plugins serve.
///
/// # Errors
/// When one does not, with what the host says.
pub(crate) async fn all_serve(folder: &Path, client: &Client, plugins: &[String]) -> Result<()> {
    for plugin in plugins {
        let plugins = api(client, (API, "StrategyPlugin"), None);
        let ready = until(plugins, plugin, |plugin| is_true(plugin, "Ready"));
        said(folder, ready.await)?;
    }
    Ok(())
}

/// The names of the plugins that the chart has brought.
///
/// # Errors
/// When they cannot be listed.
pub(crate) async fn plugins(client: &Client) -> Result<Vec<String>> {
    let found = api(client, (API, "StrategyPlugin"), None)
        .list_metadata(&kube::api::ListParams::default())
        .await?;
    let names = found.items.into_iter();
    Ok(names.filter_map(|plugin| plugin.metadata.name).collect())
}

/// What was waited for, or why it did not come, as far as the host tells.
fn said(folder: &Path, waited: Result<Value>) -> Result<Value> {
    waited.map_err(|error| error.context(background::log_end(folder, deployment::NAME)))
}
