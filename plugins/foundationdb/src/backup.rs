//! Takes a backup: agents and a stream are ordered, and the job ends as soon as a state can be restored.

use backup_strategy::{prelude::*, rendered};

use crate::{
    FoundationDb, agents,
    archive::{self, Sight, State},
    backup_name,
    destination::{Blob, Commands},
    metadata,
    operator::{FoundationDbBackup, FoundationDbCluster, Progress, cluster_name},
    order::Order,
    spec::Mode,
    stream,
};

pub fn backup(cx: &Context<FoundationDb>) -> Outcome<Success> {
    cx.is_accepted()?;
    let name = backup_name(cx);
    let backup = match cx.get::<FoundationDbBackup>(&name)? {
        Some(backup) => backup,
        None => {
            let cluster = cluster_is_ready(cx)?;
            stream::nobody_else_stores(cx, &cluster.metadata.name, &name)?;
            let blob = Blob::of_settings(cx, &name)?;
            let commands = Commands::of_settings(cx)?;
            let order = Order::of_settings(cx, &name, &cluster, &blob, &commands)?;
            cx.ensure(Lifetime::Kept, &order.backup())?
        }
    };
    if backup.is_to_run() {
        is_restorable(cx, &backup)?;
        if mode(cx)? == Mode::OneTime {
            cx.merge::<FoundationDbBackup>(&name, &backup.stopping());
            return stopping();
        }
    } else {
        is_stopped(&backup)?;
        cx.merge::<FoundationDbBackup>(&name, &backup.without_agents());
    }
    success(cx, &backup)
}

fn cluster_is_ready(cx: &Context<FoundationDb>) -> Outcome<FoundationDbCluster> {
    let name = cluster_name(&cx.subject());
    let cluster = cx
        .get::<FoundationDbCluster>(&name)
        .or_wait(
            "FoundationDBClusterNotReady",
            format!("FoundationDBCluster {name} does not exist yet"),
        )
        .at_most(20.minutes())?;
    if !cluster.is_available() {
        return wait!(
            "FoundationDBClusterNotAvailable",
            "FoundationDBCluster {name} is not available (status.health.available)"
        )
        .pending()
        .at_most(20.minutes());
    }
    if cluster.version().is_none() {
        return wait!(
            "FoundationDBClusterVersionUnknown",
            "FoundationDBCluster {name} has no version, in its spec or in its status"
        )
        .pending()
        .at_most(20.minutes());
    }
    Ok(cluster)
}

fn mode(cx: &Context<FoundationDb>) -> Outcome<Mode> {
    let mode = rendered(cx.spec()?.template.backup_mode.as_ref())?;
    Ok(mode.unwrap_or(Mode::Continuous))
}

fn is_restorable(cx: &Context<FoundationDb>, backup: &FoundationDbBackup) -> Outcome<()> {
    let name = backup.name();
    if cx.get::<FoundationDbCluster>(backup.cluster())?.is_none() {
        return fail!(
            "FoundationDBClusterGone",
            "FoundationDBCluster {} is gone",
            backup.cluster()
        );
    }
    match backup.progress() {
        Progress::Restorable => Ok(()),
        Progress::AgentsMissing(ready, wanted) => agents::missing(cx, backup, ready, wanted),
        Progress::Elsewhere(url) => wait!("FoundationDBBackupNotStarted", "the cluster still stores its changes at {url}, for another backup")
        .at_most(10.minutes()),
        Progress::NotStarted => wait!(
            "FoundationDBBackupNotStarted",
            "the agents are ready, and the operator has not started FoundationDBBackup {name}: it runs `fdbbackup` \
             itself and cannot reach the bucket without credentials. Its Pod needs FDB_BLOB_CREDENTIALS with the file \
             blob_credentials.json of Secret {}, which its namespace gets with backupStorage.systemNamespaces; its log \
             says more",
            cx.bucket().credentials_secret
        )
        .at_most(10.minutes()),
        Progress::Running => {
            look_again(cx, backup);
            wait!("FoundationDBBackupRunning", "the agents are storing the first snapshot of FoundationDBBackup {name}")
            .ask_again_after(60.seconds())
            .at_most(45.minutes())
        }
    }
}

/// The operator does not look at a backup again that it has started, and would never say that it can be restored.
fn look_again(cx: &Context<FoundationDb>, backup: &FoundationDbBackup) {
    let is_fresh = |asked: Timestamp| cx.now().since(asked) < 60.seconds();
    if backup.is_settled() && !backup.asked_to_look().is_some_and(is_fresh) {
        let patch = FoundationDbBackup::looking_again(cx.now());
        cx.merge::<FoundationDbBackup>(backup.name(), &patch);
    }
}

fn is_stopped(backup: &FoundationDbBackup) -> Outcome<()> {
    if backup.is_streaming() {
        return stopping();
    }
    if !backup.is_restorable() {
        return fail!(
            "FoundationDBBackupStopped",
            "somebody has stopped FoundationDBBackup {} before anything of it could be restored",
            backup.name()
        );
    }
    Ok(())
}

fn stopping<T>() -> Outcome<T> {
    wait(
        "FoundationDBBackupStopping",
        "the backup can be restored, and its stream is brought to an end",
    )
    .at_most(15.minutes())
}

fn success(cx: &Context<FoundationDb>, backup: &FoundationDbBackup) -> Outcome<Success> {
    let blob = backup.blob();
    let state = stored(cx, &blob)?;
    let commands = backup.commands();
    let url = backup.url().map_or_else(|| blob.uri(), Into::into);
    let artifact = Artifact {
        uri: blob.data_uri(),
        size_bytes: state.as_ref().map(|state| state.bytes),
        checksum: None,
    };
    let version = state.map(|state| state.version.to_string());
    let parameters = blob.url_parameters.join("&");
    Ok(Success::of(artifact)
        .metadata_of(&[
            (metadata::VERSION, Some("1")),
            (metadata::BACKUP_NAME, Some(backup.name())),
            (metadata::BACKUP_NAMESPACE, Some(&cx.subject().namespace)),
            (metadata::ACCOUNT_NAME, Some(&blob.account_name)),
            (metadata::BUCKET, Some(&blob.bucket)),
            (metadata::BLOB_BACKUP_NAME, Some(&blob.backup_name)),
            (metadata::STORAGE_URI, Some(&url)),
            (metadata::URL_PARAMETERS, Some(&parameters)),
            (metadata::RESTORABLE_VERSION, version.as_deref()),
        ])
        .resources(&blob.resources(&commands, &json!(cx.all_parameters()))))
}

/// The last state that is stored: what a restore of this Backup brings back, however long the stream goes on. None where
/// the storage cannot be looked at.
fn stored(cx: &Context<FoundationDb>, blob: &Blob) -> Outcome<Option<State>> {
    let Some(data) = blob.in_sight(cx) else {
        return Ok(None);
    };
    match archive::latest(cx, &data) {
        Sight::Restorable(state) => Ok(Some(state)),
        Sight::NoSnapshot | Sight::Gap => wait!("SnapshotNotStored", "the operator says that the backup can be restored, and {data} does not hold all of it yet")
        .ask_again_after(20.seconds())
        .at_most(10.minutes()),
    }
}
