//! Restores a Cluster: it is deleted with its data and created again, to recover from an archive.
//!
//! | | what the cluster shows | what is done |
//! |---|---|---|
//! | 1 | the old Cluster, and its Helm release goes on | look at what the archive can give (`gate`); suspend the release |
//! | 2 | the old Cluster, and its release rests | remember the Cluster, try the new one, delete the old with its volumes |
//! | 3 | the Cluster is captured and still there | delete it again |
//! | 4 | it is gone, its volumes are not | wait: a new Cluster would take them for its own |
//! | 5 | nothing is left | create the new Cluster, and the ObjectStore that it recovers from |
//! | 6 | the new Cluster recovers | wait until it is healthy |
//! | 7 | it is healthy | tell the application what it was restored from, resume the release |
//!
//! Helm would render the Cluster again as soon as it is gone, empty: therefore the release rests from 1 to 7. The
//! application comes last because a change of it makes Helm render, whether the release was suspended or not; by then
//! the chart renders the Cluster that is there.
//!
//! Every evaluation goes by what it sees, and by what was remembered before the deletion. So it does not matter where
//! the last one was cut off. The same way leads into another application: its Cluster makes room for the source's data,
//! and the source is only read.

use std::time::Duration;

use backup_strategy::prelude::*;

use crate::{
    Cnpg, State,
    application::{Postgres, Snapshot},
    archive::{self, Archive},
    cluster::Cluster,
    cluster_name, gate,
    operator::{CLUSTER_LABEL, Pod, RECOVERY, Volume},
    recovery::{Origin, Recovery},
    settings::{Access, settings},
    spec::{Options, RecoveryTime},
};

/// Postgres says so in the log when it has come to the end of WAL before the moment that it was to reach. Also while it
/// tries again, so that nothing follows from it before the deadline.
const UNREACHABLE: &str = "recovery ended before configured recovery target was reached";
/// Of so many Pods logs are looked at, of each so many lines from the end, as the first controller had it.
const PODS: usize = 5;
const LINES: u32 = 200;

pub fn restore(cx: &Context<Cnpg>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    cx.is_of_kind(&source.application)?;
    is_accepted(cx)?;
    let options = cx.options()?;
    let snapshot = Snapshot::of_backup(&source)?;
    let Some(State::Restore(recovery)) = cx.state()? else {
        return begin(cx, &source, &options);
    };

    let name = cluster_name(&cx.subject());
    match cx.get::<Cluster>(&name)? {
        Some(cluster) if recovery.is_of(&cluster) => {
            is_purged(cx);
            is_recovered(cx, &cluster, &options)?;
            let message = "the Cluster is healthy";
            cx.condition("RecoveryConverged", true, "RecoveryConverged", message);
            settle(cx, &recovery, Some(&snapshot))
        }
        other => {
            cx.hold_release(&release(cx))?;
            if let Some(cluster) = other {
                return replace(cx, &cluster, &recovery);
            }
            no_volume_is_left(cx, &name)?;
            is_purged(cx);
            cx.apply(&recovery.store);
            cx.create(Lifetime::Kept, &recovery.recovering_cluster());
            wait(
                "ClusterRecovering",
                "the Cluster is created from the archive",
            )
            .at_most(options.restore_deadline())
        }
    }
}

/// Nothing is touched before everything was looked at.
fn begin(cx: &Context<Cnpg>, source: &FinishedBackup, options: &Options) -> Outcome<()> {
    let ApplicationRef {
        namespace, name, ..
    } = cx.subject();
    cx.application::<Postgres>().or_fail(
        "ApplicationNotFound",
        format!("there is no Postgres {namespace}/{name}; deploy it first, then restore into it"),
    )?;
    let archive = Archive::of_backup(source)?;
    let target = gate::recovery_target(cx, source, &archive, options)?;

    let name = cluster_name(&cx.subject());
    let cluster = cx
        .get::<Cluster>(&name)
        .map(|cluster| cluster.filter(Cluster::lives))
        .or_wait(
            "ClusterNotFound",
            format!(
                "there is no Cluster {namespace}/{name} to restore into; see why HelmRelease {} does not render it",
                release(cx)
            ),
        )
        .at_most(30.minutes())?;
    cluster.archives_natively()?;
    if let Some(mark) = cluster.is_kept_down() {
        return fail!(
            "ClusterKeptDown",
            "Cluster {name} would not come up, because it is annotated with {mark}; remove that first"
        );
    }
    let access = Access::of_endpoint(cx, &settings(cx)?, archive.endpoint);
    let origin = Origin {
        server: archive.server,
        store: &pruned(access.store(archive.destination)),
        target: &target,
        new_server: &archive::anew(cx, &name),
    };
    let recovery = Recovery::of(&cluster, &namespace, &origin)?;
    cx.hold_release(&release(cx))?;
    cx.rest_of_release(&release(cx))?;
    let purging = replace(cx, &cluster, &recovery);
    cx.remember(&State::Restore(recovery))?;
    purging
}

/// What a RestoreJob has left that came to nothing. The release is put back by the host in any case; here this comes
/// after the Cluster, so that Helm does not render one of its own first.
pub fn abort(cx: &Context<Cnpg>) -> Outcome<()> {
    let Some(State::Restore(recovery)) = cx.state()? else {
        cx.resume(&release(cx));
        return Ok(());
    };
    let name = cluster_name(&cx.subject());
    match cx.get::<Cluster>(&name)? {
        Some(cluster) if !cluster.lives() => purging(&[name]),
        // It goes on recovering, or shows why it does not; the application says what it is.
        Some(cluster) if recovery.is_of(&cluster) => {
            let snapshot = cx
                .source()
                .and_then(|source| Snapshot::of_backup(&source).ok());
            settle(cx, &recovery, snapshot.as_ref())
        }
        // The old one, which was never deleted, or one that Helm has rendered.
        Some(_) => {
            cx.resume(&release(cx));
            Ok(())
        }
        None => {
            no_volume_is_left(cx, &name)?;
            cx.create(Lifetime::Kept, &recovery.cluster);
            let message = "the restore has ended after the Cluster was deleted; it was created again as it was, without \
                the data; restore a Backup into it";
            cx.event(Severity::Warning, "ClusterRecreatedEmpty", message);
            cx.resume(&release(cx));
            Ok(())
        }
    }
}

/// What the API server has refused as invalid it refuses for good. Refused otherwise, the next look shows why: another
/// Cluster is there, or the old one has changed.
fn is_accepted(cx: &Context<Cnpg>) -> Outcome<()> {
    let Some(refusal) = cx.refused().filter(|refusal| refusal.reason == "Invalid") else {
        return Ok(());
    };
    let outcome = match refusal.action.as_str() {
        "dry-run" => {
            "the Cluster was left alone, since it could not be created again from the archive"
        }
        _ => "the API server does not accept what the restore writes",
    };
    fail!("Refused", "{outcome}: {}", refusal.message)
}

/// Deletes the Cluster that is there, if the API server would accept the new one.
///
/// The trial has a name of its own: the Cluster's name is taken still.
fn replace(cx: &Context<Cnpg>, cluster: &Cluster, recovery: &Recovery) -> Outcome<()> {
    let name = &cluster.metadata.name;
    if cluster.lives() {
        let mut trial = recovery.recovering_cluster();
        // CloudNativePG's limit.
        trial["metadata"]["name"] = cx.child_name_within("trial", 50).into();
        cx.dry_run(&trial);
        // Also where it was suspended before: the change of the application at the end would resume it.
        cx.suspend(&release(cx));
        let uid = Some(cluster.metadata.uid.as_str());
        cx.delete::<Cluster>(name, uid, Propagation::Background);
        cx.delete_all::<Volume>(&[(CLUSTER_LABEL, name)], Propagation::Background);
    }
    purging(std::slice::from_ref(name))
}

/// The operator takes a volume with the Cluster's label for one of the Cluster's, whatever is on it.
fn no_volume_is_left(cx: &Context<Cnpg>, cluster: &str) -> Outcome<()> {
    let labels = [(CLUSTER_LABEL, cluster)];
    let volumes = cx.find::<Volume>(&labels)?;
    if volumes.is_empty() {
        return Ok(());
    }
    if volumes
        .iter()
        .any(|volume| !volume.metadata.is_being_deleted())
    {
        cx.delete_all::<Volume>(&labels, Propagation::Background);
    }
    let names: Vec<String> = volumes
        .into_iter()
        .map(|volume| volume.name().to_owned())
        .collect();
    purging(&names)
}

/// Bounded, because a finalizer that nobody removes holds them for ever.
fn purging(left: &[String]) -> Outcome<()> {
    wait!(
        "ClusterPurging",
        "waiting until these are gone: {}",
        left.join(", ")
    )
    .at_most(30.minutes())
}

fn is_purged(cx: &Context<Cnpg>) {
    let message = "the old Cluster is gone with its volumes";
    cx.condition("TargetPurged", true, "ClusterPurged", message);
}

/// Whether the new Cluster is healthy, which counts at any time. Otherwise it has some time from its creation on.
fn is_recovered(cx: &Context<Cnpg>, cluster: &Cluster, options: &Options) -> Outcome<()> {
    if cluster.is_healthy() {
        return Ok(());
    }
    let created = cluster.metadata.creation_timestamp;
    let deadline = options.restore_deadline();
    let end = created.unwrap_or(cx.job().started_at) + deadline;
    if cx.now() >= end {
        return is_late(cx, cluster, options);
    }
    cx.hold_release(&release(cx))?;
    wait!(
        "ClusterRecovering",
        "Cluster {} recovers from the archive (phase: {})",
        cluster.metadata.name,
        cluster.phase()
    )
    .ask_again_after(end.since(cx.now()))
    // It ends by itself before.
    .at_most(deadline + Duration::from_secs(60))
}

/// Says why a Cluster has not recovered in time.
fn is_late(cx: &Context<Cnpg>, cluster: &Cluster, options: &Options) -> Outcome<()> {
    let name = &cluster.metadata.name;
    let advice = match options.moment() {
        RecoveryTime::At(time, _) => is_unreachable(cx, name, time)?,
        _ => String::new(),
    };
    fail!(
        "RecoveryDeadlineExceeded",
        "Cluster {name} has not recovered within the deadline of {} seconds (phase: {}); look at the logs of its \
         Pods, and if it needed more time, restore again with a larger restoreTimeoutSeconds{advice}",
        options.restore_deadline().as_secs(),
        cluster.phase()
    )
}

/// Looks into the logs of the Pods that recover, the newest first. What they do not tell is left as advice.
fn is_unreachable(cx: &Context<Cnpg>, cluster: &str, time: &str) -> Outcome<String> {
    let mut pods = cx.find::<Pod>(&[(CLUSTER_LABEL, cluster)])?;
    pods.retain(Pod::recovers);
    let mut was_read = pods.is_empty();
    for _ in 0..PODS {
        let ages = pods.iter().enumerate();
        let newest = ages.max_by_key(|(_, pod)| pod.metadata.creation_timestamp);
        let Some((index, _)) = newest else { break };
        let name = pods.swap_remove(index).0.metadata.name;
        let Some(log) = cx.log_tail(&name, RECOVERY, false, LINES) else {
            continue;
        };
        was_read = true;
        if log.contains(UNREACHABLE) {
            let message = format!(
                "recoveryTime {time} is past the latest WAL archived, says Pod {name}; restore again with an earlier one"
            );
            let reason = "RecoveryTargetUnreachable";
            cx.condition("RecoveryConverged", false, reason, &message);
            return fail(reason, message);
        }
    }
    let advice = format!("; recoveryTime {time} may be out of what was archived");
    if was_read {
        return Ok(advice);
    }
    let message = "the logs of the Pods that recover cannot be read; grant the strategy's account get on pods/log";
    cx.event(
        Severity::Warning,
        "RecoveryClassificationForbidden",
        message,
    );
    Ok(format!("{advice}; {message}"))
}

/// Lets Helm go on, with an application that says what there is.
fn settle(cx: &Context<Cnpg>, recovery: &Recovery, snapshot: Option<&Snapshot>) -> Outcome<()> {
    if let Some(found) = cx.application::<Postgres>()? {
        let patch = found.patch(&recovery.application, snapshot);
        cx.merge::<Postgres>(&cx.subject().name, &patch);
    }
    cx.resume(&release(cx));
    Ok(())
}

/// The chart is released under the Cluster's name.
fn release(cx: &Context<Cnpg>) -> String {
    cx.release().unwrap_or_else(|| cluster_name(&cx.subject()))
}
