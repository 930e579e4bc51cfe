//! Restores a backup into an application's cluster, in place or into another one: the cluster is deleted with its data and
//! created again, and the backup restored into it.
//!
//! | | what the cluster shows | what is done |
//! |---|---|---|
//! | 1 | the old cluster, and something that would store or restore by itself | end that: it would find the new cluster |
//! | 2 | the old cluster, and its Helm release goes on | suspend the release |
//! | 3 | the old cluster, and its release rests | remember the cluster, try what comes, delete the old |
//! | 4 | it is gone, its volumes are not | wait |
//! | 5 | nothing is left | create the new cluster, and wait until it is available |
//! | 6 | the new cluster, without agents | create agents: what a restore writes, they write |
//! | 7 | agents are ready | create the FoundationDBRestore, and wait |
//! | 8 | it is completed | send the agents home, resume the release |
//!
//! FoundationDB restores only into an empty database. And what it keeps in the database of its last restore, the operator
//! takes for the next one's: it starts none where it finds that. Both are gone with the old cluster, as are its
//! coordinators: clients have to be started anew, with the new connection string.
//!
//! Every evaluation goes by what it sees, and by what was remembered before the deletion. So it does not matter where the
//! last one was cut off.

use backup_strategy::{Captured, prelude::*};

use crate::{
    FoundationDb, agents,
    archive::{self, Sight},
    check::version_of,
    destination::{self, Blob, Commands},
    operator::{
        self, Completion, FoundationDbBackup, FoundationDbCluster, FoundationDbRestore, Volume,
        cluster_name, is_of_jobs,
    },
    order::Order,
    spec::Options,
    stream,
};

/// In a cluster's spec: where it is to find coordinators that are there already. Those of the old cluster are gone.
const SEED: &str = "seedConnectionString";

/// What is to be restored.
struct Wanted {
    blob: Blob,
    /// The folder of its data, where that can be looked at.
    data: Option<String>,
    commands: Commands,
    /// The last that is stored where none.
    version: Option<i64>,
}

pub fn restore(cx: &Context<FoundationDb>) -> Outcome<()> {
    let source = cx.finished_backup()?;
    cx.is_of_kind(&source.application)?;
    cx.is_accepted()?;
    let options = cx.options()?;
    let blob = Blob::of_backup(&source)?;
    let wanted = Wanted {
        data: blob.in_sight(cx),
        blob,
        commands: Commands::of_backup(&source)?,
        version: match options.backup_version {
            Some(version) => Some(version),
            None if options.latest => None,
            None => version_of(&source),
        },
    };

    let name = cluster_name(&cx.subject());
    let found = cx.get::<FoundationDbCluster>(&name)?;
    let Some(captured) = cx.state()? else {
        if destination::is_malformed(&source) {
            let message = "the Backup's status.underlyingResources cannot be read; going by its driverMetadata";
            cx.event(Severity::Warning, "MalformedSnapshot", message);
        }
        let cluster = found
            .filter(|cluster| !cluster.metadata.is_being_deleted())
            .or_wait(
                "TargetFoundationDBClusterNotReady",
                format!("there is no FoundationDBCluster {name} to restore into"),
            )
            .at_most(options.deadline())?;
        return replace(cx, &cluster, &wanted, &options);
    };

    let message = "the FoundationDBCluster as it was is kept in status.strategy.state";
    cx.condition(
        "FoundationDBClusterSpecCaptured",
        true,
        "SpecCaptured",
        message,
    );
    cx.hold_release(&release(cx))?;
    let cluster = match found {
        Some(cluster) if cluster.metadata.uid != captured.uid => cluster,
        // Whatever kept the deletion from being carried out may be what the trials are about.
        Some(cluster) => {
            is_accepted(cx, &cluster, &captured, &wanted)?;
            return delete(cx, &cluster);
        }
        None => {
            nothing_is_left(cx, &captured)?;
            cx.create(Lifetime::Kept, &anew(cx, &captured, &name));
            return is_coming_up(&name);
        }
    };
    cx.condition(
        "TargetPurged",
        true,
        "ClusterPurged",
        "the old FoundationDBCluster is gone with its volumes",
    );
    if !cluster.is_available() {
        return is_coming_up(&name);
    }
    fill(cx, &cluster, &wanted, &options)
}

/// Deletes the old cluster, if nothing stands in the way of filling a new one.
fn replace(
    cx: &Context<FoundationDb>,
    cluster: &FoundationDbCluster,
    wanted: &Wanted,
    options: &Options,
) -> Outcome<()> {
    is_stored(cx, wanted)?;
    let captured = Captured::of(&cluster.metadata, &cluster.spec)?;
    is_accepted(cx, cluster, &captured, wanted)?;
    let name = &cluster.metadata.name;
    stream::nobody_else_stores(cx, name, "")?;
    nobody_else_restores(cx, name, options)?;
    let release = release(cx);
    cx.hold_release(&release)?;
    cx.rest_of_release(&release)?;
    cx.remember(&captured)?;
    delete(cx, cluster)
}

/// Tries everything that comes before anything is touched. The trial of the cluster has a name of its own: the cluster's is
/// taken still.
fn is_accepted(
    cx: &Context<FoundationDb>,
    cluster: &FoundationDbCluster,
    captured: &Captured,
    wanted: &Wanted,
) -> Outcome<()> {
    let (restore, agents) = (restore_name(cx), agents_name(cx));
    let order = Order::of_settings(cx, &agents, cluster, &wanted.blob, &wanted.commands)?;
    cx.dry_run(&order.agents());
    cx.dry_run(&order.restore(&restore, wanted.version));
    cx.dry_run(&anew(cx, captured, &cx.child_name("trial")));
    Ok(())
}

fn delete(cx: &Context<FoundationDb>, cluster: &FoundationDbCluster) -> Outcome<()> {
    let name = &cluster.metadata.name;
    if !cluster.metadata.is_being_deleted() {
        cx.delete::<FoundationDbCluster>(
            name,
            Some(&cluster.metadata.uid),
            Propagation::Foreground,
        );
    }
    purging(name)
}

/// The cluster as it was, without its data.
fn anew(cx: &Context<FoundationDb>, captured: &Captured, name: &str) -> Value {
    let mut cluster = captured.object::<FoundationDbCluster>(&cx.subject().namespace, name);
    if let Some(spec) = cluster["spec"].as_object_mut() {
        spec.remove(SEED);
    }
    cluster
}

/// Restores into the new cluster.
fn fill(
    cx: &Context<FoundationDb>,
    cluster: &FoundationDbCluster,
    wanted: &Wanted,
    options: &Options,
) -> Outcome<()> {
    let name = restore_name(cx);
    let agents = agents_name(cx);
    let found = cx.get::<FoundationDbRestore>(&name)?;
    let state = match found.as_ref().map(FoundationDbRestore::completion) {
        Some(Completion::Done) => {
            without_agents(cx, &agents)?;
            cx.resume(&release(cx));
            return Ok(());
        }
        Some(Completion::Aborted) => {
            return fail!(
                "RestoreAborted",
                "somebody has aborted FoundationDBRestore {name}; restore again"
            );
        }
        Some(Completion::Running(state)) => state.to_owned(),
        None => "ordered".into(),
    };
    let order = Order::of_settings(cx, &agents, cluster, &wanted.blob, &wanted.commands)?;
    let running: FoundationDbBackup = cx.ensure(lifetime(cx), &order.agents())?;
    if let Some((ready, of)) = running.agents_missing() {
        return agents::missing(cx, &running, ready, of);
    }
    if found.is_none() {
        let restore = order.restore(&name, wanted.version);
        cx.create(lifetime(cx), &restore);
    }
    wait!(
        "FoundationDBRestoreRunning",
        "FoundationDBRestore {name} is {state}"
    )
    .at_most(options.deadline())
}

/// What a RestoreJob has left that came to nothing. What it has restored by then is of no use, and locked: the next restore
/// begins with an empty cluster again.
pub fn abort(cx: &Context<FoundationDb>) -> Outcome<()> {
    let name = restore_name(cx);
    if let Some(restore) = cx.get::<FoundationDbRestore>(&name)? {
        cx.delete::<FoundationDbRestore>(&name, restore.uid(), Propagation::Background);
        let message = "the restore has come to nothing, and the database holds a part of it at most; restore a Backup into \
            it";
        cx.event(Severity::Warning, "FoundationDBHalfRestored", message);
    }
    without_agents(cx, &agents_name(cx))?;
    let cluster = cluster_name(&cx.subject());
    if let Some(captured) = cx.state()? {
        match cx.get::<FoundationDbCluster>(&cluster)? {
            Some(found) if found.metadata.is_being_deleted() => return purging(&cluster),
            Some(_) => {}
            None => {
                nothing_is_left(cx, &captured)?;
                cx.create(Lifetime::Kept, &anew(cx, &captured, &cluster));
                let message = "the restore has failed after the FoundationDBCluster was deleted; it was created again as \
                    it was, and is empty; restore a Backup into it";
                cx.event(
                    Severity::Warning,
                    "FoundationDBClusterRecreatedEmpty",
                    message,
                );
            }
        }
    }
    cx.resume(&release(cx));
    Ok(())
}

/// A cluster is not deleted for a backup that is gone, nor for a state that it does not hold. What lies elsewhere only the
/// operator can see.
fn is_stored(cx: &Context<FoundationDb>, wanted: &Wanted) -> Outcome<()> {
    let Some(data) = &wanted.data else {
        return Ok(());
    };
    let why = match archive::at(cx, data, wanted.version) {
        Sight::Restorable(_) => return Ok(()),
        Sight::NoSnapshot => "holds no snapshot",
        Sight::Gap => "holds no logs up to the end",
    };
    let of = match wanted.version {
        Some(version) => format!(" of version {version}"),
        None => String::new(),
    };
    fail!(
        "NotRestorable",
        "{data} {why}{of}; the cluster was left alone"
    )
}

/// A FoundationDBRestore that is there would start over in the new cluster: for the operator it has not begun yet.
fn nobody_else_restores(
    cx: &Context<FoundationDb>,
    cluster: &str,
    options: &Options,
) -> Outcome<()> {
    let mut others = cx.find::<FoundationDbRestore>(&[])?;
    others.retain(|other| other.is_into(cluster));
    if let Some(foreign) = others.iter().find(|other| !is_of_jobs(other)) {
        return fail!(
            "ConflictingRestore",
            "FoundationDBRestore {} is there, and would be carried out once more in the new cluster; delete it first",
            foreign.name()
        );
    }
    for other in &others {
        cx.delete::<FoundationDbRestore>(other.name(), other.uid(), Propagation::Background);
    }
    match others.first() {
        None => Ok(()),
        Some(other) => wait!(
            "FoundationDBRestoreRemoving",
            "FoundationDBRestore {} is being deleted",
            other.name()
        )
        .at_most(options.deadline()),
    }
}

/// A volume goes only when no process uses it any more: so the old cluster has come to an end when its volumes have.
fn nothing_is_left(cx: &Context<FoundationDb>, captured: &Captured) -> Outcome<()> {
    let volumes = cx.find::<Volume>(&[])?.into_iter();
    let left: Vec<String> = volumes
        .filter(|volume| volume.is_of(&captured.uid))
        .map(|volume| volume.name().to_owned())
        .collect();
    if left.is_empty() {
        Ok(())
    } else {
        purging(&left.join(", "))
    }
}

/// Bounded, because a finalizer that nobody removes holds them for ever.
fn purging(left: &str) -> Outcome<()> {
    wait!(
        "FoundationDBClusterPurging",
        "waiting until these are gone: {left}"
    )
    .at_most(30.minutes())
}

fn is_coming_up(name: &str) -> Outcome<()> {
    wait!(
        "FoundationDBClusterStarting",
        "the new FoundationDBCluster {name} is not available yet"
    )
    .at_most(30.minutes())
}

/// Agents that store nothing have no stream to be ended.
fn without_agents(cx: &Context<FoundationDb>, name: &str) -> Outcome<()> {
    if let Some(agents) = cx.get::<FoundationDbBackup>(name)? {
        cx.delete::<FoundationDbBackup>(name, agents.uid(), Propagation::Background);
    }
    Ok(())
}

fn restore_name(cx: &Context<FoundationDb>) -> String {
    cx.child_name("restore")
}

fn agents_name(cx: &Context<FoundationDb>) -> String {
    cx.child_name_within("agents", operator::BACKUP_NAME)
}

/// Only in its own namespace can a job own what it makes.
fn lifetime(cx: &Context<FoundationDb>) -> Lifetime {
    if cx.job().namespace == cx.subject().namespace {
        Lifetime::Job
    } else {
        Lifetime::Kept
    }
}

/// The chart is released under the cluster's name.
fn release(cx: &Context<FoundationDb>) -> String {
    cx.release().unwrap_or_else(|| cluster_name(&cx.subject()))
}
