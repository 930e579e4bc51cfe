//! Restores a cluster: it is deleted with its data and created again from a snapshot, its own or that of another
//! namespace's etcd.
//!
//! | | what the cluster shows | what is done |
//! |---|---|---|
//! | 1 | the old cluster, and its Helm release goes on | look for the snapshot; suspend the release |
//! | 2 | the old cluster, and its release rests | remember the cluster, try the new one, delete the old |
//! | 3 | the cluster is captured and still there | delete it again |
//! | 4 | it is gone, its members or volumes are not | wait: a new cluster would take them for its own |
//! | 5 | nothing is left | create the new cluster |
//! | 6 | the new cluster comes up | wait until all members are there |
//! | 7 | all members are there | resume the release |
//!
//! Helm would render the cluster again as soon as it is gone, empty: therefore the release rests from 1 to 7.
//!
//! Every evaluation goes by what it sees, and by what was remembered before the deletion. So it does not matter where
//! the last one was cut off.

use backup_strategy::{Captured, Pod, prelude::*};

use crate::{
    Etcd,
    check::{Sight, stored},
    destination::{self, S3},
    operator::{self, CLUSTER, EtcdCluster, EtcdMember, Volume},
};

pub fn restore(cx: &Context<Etcd>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    cx.is_of_kind(&source.application)?;
    is_the_charts(&cx.subject())?;
    is_accepted(cx)?;
    let options = cx.options()?;
    let snapshot = S3::of_backup(&source)?;
    if destination::is_malformed(&source) {
        let message =
            "the Backup's status.underlyingResources cannot be read; going by its driverMetadata";
        cx.event(Severity::Warning, "MalformedSnapshot", message);
    }

    let namespace = cx.subject().namespace;
    let found = cx.get::<EtcdCluster>(CLUSTER)?;
    let Some(captured) = cx.state()? else {
        let cluster = found.filter(|cluster| !cluster.metadata.is_being_deleted()).or_fail(
            "EtcdClusterNotFound",
            format!(
                "there is no EtcdCluster {namespace}/{CLUSTER} to restore into; create the application, then restore \
                 into it"
            ),
        )?;
        // From the deletion on, whatever changes around the restore is no reason to end it.
        snapshot.is_trusted(cx)?;
        is_stored(cx, &snapshot)?;
        let captured = capture(&cluster)?;
        cx.hold_release(&release(cx))?;
        cx.rest_of_release(&release(cx))?;
        cx.remember(&captured)?;
        return replace(
            cx,
            &cluster,
            &operator::cluster_from(&captured, &namespace, &snapshot, options.seconds()),
        );
    };

    let message = "the EtcdCluster as it was is kept in status.strategy.state";
    cx.condition("EtcdClusterSpecCaptured", true, "SpecCaptured", message);
    match found {
        Some(cluster) if operator::is_restored(&captured, &cluster, &snapshot) => {
            is_purged(cx);
            is_complete(cx, &cluster, &options)?;
            cx.resume(&release(cx));
            Ok(())
        }
        other => {
            cx.hold_release(&release(cx))?;
            let restored =
                operator::cluster_from(&captured, &namespace, &snapshot, options.seconds());
            if let Some(cluster) = other {
                return replace(cx, &cluster, &restored);
            }
            nothing_is_left(cx)?;
            is_purged(cx);
            cx.create(Lifetime::Kept, &restored);
            wait(
                "EtcdClusterBootstrapping",
                "the EtcdCluster is created from the snapshot",
            )
            .at_most(options.deadline())
        }
    }
}

/// What a RestoreJob has left that came to nothing. The release is put back by the host in any case; here this comes
/// after the cluster, so that Helm does not render one of its own first.
pub fn abort(cx: &Context<Etcd>) -> Outcome<()> {
    let found = cx.get::<EtcdCluster>(CLUSTER)?;
    if let Some(captured) = cx.state()? {
        match found {
            Some(cluster) if cluster.metadata.is_being_deleted() => {
                return purging(&[CLUSTER.into()]);
            }
            // The old one, which was never deleted, or a new one: whatever it holds is the tenant's to look at.
            Some(_) => {}
            None => {
                nothing_is_left(cx)?;
                cx.create(
                    Lifetime::Kept,
                    &captured.object::<EtcdCluster>(&cx.subject().namespace, CLUSTER),
                );
                let message = "the restore has failed after the EtcdCluster was deleted; it was created again as it \
                    was, and is empty; restore a Backup into it";
                cx.event(Severity::Warning, "EtcdClusterRecreatedEmpty", message);
            }
        }
    }
    cx.resume(&release(cx));
    Ok(())
}

/// There is one etcd in each namespace, always by the same name: a backup goes back into it, or into that of another
/// namespace.
fn is_the_charts(target: &ApplicationRef) -> Outcome<()> {
    if target.name == CLUSTER {
        return Ok(());
    }
    fail!(
        "ToCopyUnsupported",
        "an etcd cannot be restored to-copy into {}: the chart makes one EtcdCluster in a namespace and calls it {CLUSTER}, \
         so the target is the application {CLUSTER} of this namespace, or that of another one by options.targetNamespace",
        target.name
    )
}

/// What the API server has refused as invalid it refuses for good. Refused otherwise, the next look shows why: another
/// cluster is there, or the old one has changed.
fn is_accepted(cx: &Context<Etcd>) -> Outcome<()> {
    let Some(refusal) = cx.refused().filter(|refusal| refusal.reason == "Invalid") else {
        return Ok(());
    };
    let outcome = match refusal.action.as_str() {
        "dry-run" => {
            "the cluster was left alone, since it could not be created again from the snapshot"
        }
        _ => "the API server does not accept it",
    };
    fail!("EtcdClusterRefused", "{outcome}: {}", refusal.message)
}

/// A cluster is not deleted for a snapshot that is gone.
fn is_stored(cx: &Context<Etcd>, snapshot: &S3) -> Outcome<()> {
    match stored(cx, snapshot) {
        Sight::Missing => fail!(
            "SnapshotGone",
            "{} is no longer there; the cluster was left alone",
            snapshot.uri()
        ),
        // What lies elsewhere only the operator can see.
        Sight::Seen(_) | Sight::Hidden => Ok(()),
    }
}

/// What has to be kept of a cluster that can come up from a snapshot.
fn capture(cluster: &EtcdCluster) -> Outcome<Captured> {
    if cluster.replicas() == 0 {
        return fail(
            "EtcdClusterPaused",
            "the EtcdCluster is paused (spec.replicas is 0), and would not come up from a snapshot; resume it first",
        );
    }
    operator::captured(cluster)
}

/// Deletes the cluster that is there, if the API server would accept the new one.
///
/// The trial has a name of its own: the cluster's name is taken still.
fn replace(cx: &Context<Etcd>, cluster: &EtcdCluster, restored: &Value) -> Outcome<()> {
    if !cluster.metadata.is_being_deleted() {
        let mut trial = restored.clone();
        trial["metadata"]["name"] = cx.child_name("trial").into();
        cx.dry_run(&trial);
        cx.delete::<EtcdCluster>(
            CLUSTER,
            Some(&cluster.metadata.uid),
            Propagation::Background,
        );
    }
    purging(&[CLUSTER.into()])
}

/// An EtcdCluster is gone at once when it is deleted; its members leave one after the other, and then their volumes go.
fn nothing_is_left(cx: &Context<Etcd>) -> Outcome<()> {
    let members = cx.find::<EtcdMember>(&[])?.into_iter();
    let members = members.filter(|member| member.is_of(CLUSTER));
    let members = members.map(|member| member.name().to_owned());
    let volumes = cx.find::<Volume>(operator::OF_CLUSTER)?.into_iter();
    let volumes = volumes.map(|volume| volume.name().to_owned());
    let left: Vec<String> = members.chain(volumes).collect();
    if left.is_empty() {
        Ok(())
    } else {
        purging(&left)
    }
}

/// Bounded, because a finalizer that nobody removes holds them for ever.
fn purging(left: &[String]) -> Outcome<()> {
    wait!(
        "EtcdClusterPurging",
        "waiting until these are gone: {}",
        left.join(", ")
    )
    .at_most(30.minutes())
}

fn is_purged(cx: &Context<Etcd>) {
    cx.condition(
        "TargetPurged",
        true,
        "ClusterPurged",
        "the old EtcdCluster is gone with its members and volumes",
    );
}

/// Whether the new cluster is there with all of its members.
fn is_complete(
    cx: &Context<Etcd>,
    cluster: &EtcdCluster,
    options: &crate::spec::Options,
) -> Outcome<()> {
    if cluster.has_failed_to_bootstrap() {
        return fail!(
            "BootstrapFailed",
            "the EtcdCluster did not come up from the snapshot: {}; if it needed more time, restore again with a \
             larger restoreTimeoutSeconds",
            cluster.state()
        );
    }
    let (ready, wanted) = (cluster.ready_members(), cluster.replicas());
    if cluster.is_available() && ready >= wanted {
        return Ok(());
    }
    let pods = cx.find::<Pod>(operator::OF_CLUSTER)?;
    let waiting = match pods.iter().find_map(Pod::obstacle) {
        Some(why) => wait!("EtcdMemberStuck", "the Pod of a member cannot start: {why}"),
        None if cluster.is_available() => wait!(
            "EtcdMembersJoining",
            "{ready} of {wanted} members have joined"
        ),
        None => wait!(
            "EtcdClusterBootstrapping",
            "the EtcdCluster comes up from the snapshot: {}",
            cluster.state()
        ),
    };
    waiting.at_most(options.deadline())
}

/// The chart is released under the application's name.
fn release(cx: &Context<Etcd>) -> String {
    cx.release().unwrap_or_else(|| cx.subject().name)
}
