//! Takes a base backup of a Cluster that archives.

use backup_strategy::{prelude::*, text};
use serde::{Deserialize, Serialize};

use crate::{
    Cnpg, State,
    application::Postgres,
    archive::{self, Archive, base_in},
    cluster::Cluster,
    cluster_name, metadata,
    operator::{self, CLUSTER_LABEL, Completion, ObjectStore, Pod},
    settings::{archiving_store, settings},
};

/// Where a backup goes, as its job first saw it: what is set anew while the job runs is for the next one.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// UID of the Cluster.
    cluster: String,
    /// Folder of base backups and WAL below the destination.
    server_name: String,
    /// The `spec` of its ObjectStore.
    store: Value,
    /// Whether this job has told the Cluster to use it.
    attached: bool,
}

impl Destination {
    fn of(cx: &Context<Cnpg>, cluster: &Cluster) -> Outcome<Self> {
        Ok(Self {
            cluster: cluster.metadata.uid.clone(),
            server_name: archive::server_name(cx, Some(cluster), &cluster.metadata.name)?,
            store: archiving_store(cx, &settings(cx)?)?,
            attached: false,
        })
    }

    fn path(&self) -> &str {
        text(&self.store, "/configuration/destinationPath")
    }

    fn endpoint(&self) -> &str {
        text(&self.store, "/configuration/endpointURL")
    }

    fn credentials_secret(&self) -> Option<&str> {
        self.store["configuration"]["s3Credentials"]["accessKeyId"]["name"].as_str()
    }

    fn archive(&self) -> Archive<'_> {
        Archive {
            destination: self.path(),
            endpoint: self.endpoint(),
            server: &self.server_name,
        }
    }

    /// The ObjectStore. It goes when its Cluster goes.
    fn object_store(&self, cluster: &Cluster, namespace: &str) -> Value {
        let Metadata { name, uid, .. } = &cluster.metadata;
        let mut store = ObjectStore::object(namespace, name, self.store.clone());
        store["metadata"]["ownerReferences"] = json!([{
            "apiVersion": Cluster::API_VERSION,
            "kind": Cluster::KIND,
            "name": name,
            "uid": uid,
            "controller": true,
        }]);
        store
    }
}

pub fn backup(cx: &Context<Cnpg>) -> Outcome<Success> {
    cx.is_accepted()?;
    let name = cx.child_name("backup");
    let backup = match cx.get::<operator::Backup>(&name)? {
        Some(backup) => backup,
        None => {
            archive_in_use(cx)?;
            let ApplicationRef { namespace, .. } = cx.subject();
            let order = operator::Backup::of(&cluster_name(&cx.subject()), &namespace, &name);
            cx.ensure(Lifetime::Kept, &order)?
        }
    };
    match backup.completion() {
        Completion::Done => success(cx, &backup),
        Completion::Failed(why) => fail!("CNPGBackupFailed", "CloudNativePG has failed: {why}"),
        unfinished => {
            cluster_lives(cx)?;
            unfinished_yet(&backup, &unfinished)
        }
    }
}

/// The operator leaves a base backup as it is when its Cluster goes.
fn cluster_lives(cx: &Context<Cnpg>) -> Outcome<()> {
    let name = cluster_name(&cx.subject());
    let Some(State::Backup(destination)) = cx.state()? else {
        return Ok(());
    };
    let is_same =
        |cluster: &Cluster| cluster.metadata.uid == destination.cluster && cluster.lives();
    if cx.get::<Cluster>(&name)?.as_ref().is_some_and(is_same) {
        return Ok(());
    }
    fail!(
        "ClusterGone",
        "Cluster {name} was deleted while it was backed up; back up again once it is there"
    )
}

fn unfinished_yet(backup: &operator::Backup, completion: &Completion<'_>) -> Outcome<Success> {
    match completion {
        // It may be in line behind another base backup of the Cluster.
        Completion::Pending => wait(
            "BackupPending",
            "CloudNativePG has yet to begin with the base backup",
        )
        .at_most(6.hours()),
        Completion::HeldUp => {
            let why = backup.error().unwrap_or("see the logs of its Pods");
            wait!(
                "WALArchivingFailing",
                "the Cluster cannot archive WAL: {why}"
            )
            .at_most(30.minutes())
        }
        // How long it takes depends on how much there is: the job's own deadline, which is the class's, bounds it.
        _ => wait("BackupRunning", "CloudNativePG is taking the base backup"),
    }
}

/// Sees to it that the Cluster archives where the settings want it, and that all of its Pods know: the operator
/// fails a base backup for good that it orders from a Pod without the plugin.
fn archive_in_use(cx: &Context<Cnpg>) -> Outcome<()> {
    let ApplicationRef { namespace, .. } = cx.subject();
    let name = cluster_name(&cx.subject());
    let cluster = cx
        .get::<Cluster>(&name)
        .map(|cluster| cluster.filter(Cluster::lives))
        .or_wait(
            "ClusterNotReady",
            format!("CloudNativePG has no Cluster {namespace}/{name} yet"),
        )
        .at_most(30.minutes())?;
    cluster.archives_natively()?;

    let known = match cx.state()? {
        Some(State::Backup(known)) if is_about(&known, &cluster) => Some(known),
        _ => None,
    };
    let is_new = known.is_none();
    let mut destination = known.map_or_else(|| Destination::of(cx, &cluster), Ok)?;

    // Applied once in each job even where it fits: what was set for the last backup and is not any more goes.
    let wanted = destination.object_store(&cluster, &namespace);
    let store_fits = cx
        .get::<ObjectStore>(&name)?
        .is_some_and(|shown| shown.fits(&wanted));
    if is_new || !store_fits {
        cx.apply(&wanted);
    }
    let missing = cluster.plugins_with(&destination.server_name);
    if let Some(plugins) = &missing {
        cx.apply(&cluster.with_plugins(&namespace, plugins));
    }

    let attached = destination.attached || missing.is_some();
    let progress = if missing.is_some() || !store_fits {
        Some("is told where to archive")
    } else if !cluster.has_loaded_plugin() {
        Some("is to load the Barman Cloud plugin")
    } else if !pods_have_plugin(cx, &name)? {
        Some("restarts its Pods with the Barman Cloud plugin")
    } else if attached && !cluster.is_healthy() {
        Some("settles after its Pods were restarted")
    } else {
        None
    };
    if is_new || attached != destination.attached {
        destination.attached = attached;
        cx.remember(&State::Backup(destination))?;
    }
    let Some(progress) = progress else {
        return Ok(());
    };
    let phase = cluster.phase();
    wait!(
        "ArchiveNotReady",
        "Cluster {namespace}/{name} {progress} (phase: {phase})"
    )
    .at_most(30.minutes())
}

/// Whether what a job knows is about this very Cluster, in the folder that it archives into.
fn is_about(known: &Destination, cluster: &Cluster) -> bool {
    let has = cluster.server_name();
    known.cluster == cluster.metadata.uid && has.is_none_or(|has| has == known.server_name)
}

fn pods_have_plugin(cx: &Context<Cnpg>, cluster: &str) -> Outcome<bool> {
    let pods = cx.find::<Pod>(&[(CLUSTER_LABEL, cluster), ("cnpg.io/podRole", "instance")])?;
    Ok(!pods.is_empty() && pods.iter().all(Pod::has_plugin))
}

fn success(cx: &Context<Cnpg>, backup: &operator::Backup) -> Outcome<Success> {
    let Some(State::Backup(destination)) = cx.state()? else {
        return fail(
            "StateMissing",
            "the job has lost its record of where the backup lies",
        );
    };
    let application = cx.application::<Postgres>().or_fail(
        "ApplicationNotFound",
        "the application was deleted while it was backed up",
    )?;
    let name = backup.metadata.name.as_str();
    let stopped_at = backup.moment("stoppedAt").map(|moment| moment.to_string());
    let artifact = Artifact {
        size_bytes: stored(cx, &destination, backup.says("backupId"))?,
        ..Artifact::at(format!("cnpg://{}/{name}", destination.server_name))
    };
    Ok(Success::of(artifact)
        .taken_at(backup.moment("startedAt"))
        .metadata_of(&[
            (metadata::VERSION, Some("1")),
            (metadata::BACKUP_NAME, Some(name)),
            (metadata::SERVER_NAME, Some(&destination.server_name)),
            (metadata::DESTINATION_PATH, Some(destination.path())),
            (metadata::CLUSTER_NAME, Some(&cluster_name(&cx.subject()))),
            (metadata::SECRET, destination.credentials_secret()),
            (metadata::BACKUP_ID, backup.says("backupId")),
            (metadata::BEGIN_WAL, backup.says("beginWal")),
            (metadata::END_WAL, backup.says("endWal")),
            (metadata::STOPPED_AT, stopped_at.as_deref()),
        ])
        // Empty for Amazon's.
        .metadata(metadata::ENDPOINT_URL, Some(destination.endpoint().into()))
        .resources(&application.snapshot(cx)))
}

/// The size of what was stored, where it can be seen: the operator's word alone makes no backup.
fn stored(cx: &Context<Cnpg>, destination: &Destination, id: Option<&str>) -> Outcome<Option<u64>> {
    let (Some(folder), Some(id)) = (destination.archive().bases(cx), id) else {
        return Ok(None);
    };
    match base_in(cx, &folder, id) {
        Some(base) => Ok(Some(base.size)),
        None => fail!(
            "BaseBackupMissing",
            "CloudNativePG has finished, but the bucket holds no base backup {folder}/{id}"
        ),
    }
}

/// Takes back what a BackupJob has ordered that came to nothing: also a base backup that was completed, but is no
/// Backup's. The upload of one that is under way goes on; the archive's retention removes it.
pub fn abort(cx: &Context<Cnpg>) -> Outcome<()> {
    let name = cx.child_name("backup");
    let Some(backup) = cx.get::<operator::Backup>(&name)? else {
        return Ok(());
    };
    if let (Some(State::Backup(destination)), Some(id)) = (cx.state()?, backup.says("backupId"))
        && let Some(folder) = destination.archive().bases(cx)
        && backup_strategy::is_path(id)
    {
        cx.purge(&format!("{folder}/{id}"));
    }
    let uid = Some(backup.metadata.uid.as_str());
    cx.delete::<operator::Backup>(&name, uid, Propagation::Background);
    Ok(())
}
