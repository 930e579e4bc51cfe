//! Postgres, by CloudNativePG and its Barman Cloud plugin.
//!
//! The plugin archives WAL all the time and takes base backups when a `Backup` object asks for one. Both lie
//! in one folder of an S3 bucket, of which an `ObjectStore` says where it is:
//!
//! ```text
//! <destinationPath>/<serverName>/base/<backup ID>/backup.info, data.tar.gz
//! <destinationPath>/<serverName>/wals/<timeline and log>/<WAL file>.gz
//! ```
//!
//! A backup therefore sees to it that the Cluster archives, asks the operator for a base backup, and waits.
//! From then on nothing but the operator's `Backup` is looked at.

mod archive;
mod check;
mod metadata;
mod operator;
mod spec;

use backup_strategy::prelude::*;

use archive::Archive;
use operator::{Cluster, Completion, ObjectStore, Pod, Postgres};

/// The strategy.
pub struct Cnpg;

backup_strategy::export!(Cnpg);

impl Strategy for Cnpg {
    const NAME: &str = "cnpg";
    const KIND: &str = "CNPG";
    const PLURAL: &str = "cnpgs";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/Postgres"];
    const DESCRIPTION: &str =
        "Base backups and WAL archives of Postgres by CloudNativePG and its Barman Cloud plugin";
    const QUESTIONS: &[Question] = &[Question::Backup, Question::Abort, Question::Check];
    const READS: &[Reads] = &[
        Reads::of::<operator::Backup>().small(),
        Reads::of::<ObjectStore>().small(),
        Reads::of::<Cluster>(),
        Reads::of::<Pod>(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<operator::Backup>(&[Action::Create, Action::Delete]),
        Writes::of::<Cluster>(&[Action::Apply]),
        Writes::of::<ObjectStore>(&[Action::Apply])
            .with_storage_paths(&["/spec/configuration/destinationPath"]),
    ];
    const USES_CREDENTIALS_BETWEEN_JOBS: bool = true;
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[1];

    type Spec = spec::Spec;
    type Parameters = spec::Parameters;
    type Options = Nothing;
    type State = Archive;

    fn validate(spec: &Self::Spec, parameters: &Self::Parameters) -> Vec<Problem> {
        spec::problems(spec, parameters)
    }

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let name = cluster_name(&cx.subject());
        let template = cx.spec()?.template;
        let cluster = cx.get::<Cluster>(&name)?;
        let server = cluster.as_ref().and_then(Cluster::server_name);
        let server = server
            .or(archive::text(template.server_name.as_ref()))
            .unwrap_or(&name);
        let destination = template.barman_object_store.destination_path;
        Ok(vec![Path::new(
            format!("{}/{server}/", destination.trim_end_matches('/')),
            "base backups and WAL",
        )])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        if let Some(refusal) = cx.refused().filter(|refusal| refusal.reason == "Invalid") {
            return fail(
                "Refused",
                format!("{} was refused: {}", refusal.action, refusal.message),
            );
        }

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
            Completion::Pending => wait(
                "BackupPending",
                "CloudNativePG has yet to begin with the base backup",
            ),
            Completion::Running => wait("BackupRunning", "CloudNativePG is taking the base backup"),
            Completion::HeldUp => {
                let why = backup.error().unwrap_or("see the logs of its Pods");
                wait(
                    "WALArchivingFailing",
                    format!("the Cluster cannot archive WAL: {why}"),
                )
                .at_most(30.minutes())
            }
            Completion::Failed(why) => fail(
                "CNPGBackupFailed",
                format!("CloudNativePG has failed: {why}"),
            ),
            Completion::Done => success(cx, &backup),
        }
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        if cx.job().kind != "BackupJob" {
            return Ok(());
        }
        let name = cx.child_name("backup");
        if let Some(backup) = cx
            .get::<operator::Backup>(&name)?
            .filter(|backup| !backup.is_final())
        {
            cx.delete::<operator::Backup>(
                &name,
                Some(&backup.metadata.uid),
                Propagation::Background,
            );
        }
        Ok(())
    }

    fn check(cx: &Context<Self>) -> Outcome<Verdict> {
        check::check(cx)
    }
}

/// The chart names Cluster, ObjectStore and Helm release alike.
fn cluster_name(application: &ApplicationRef) -> String {
    format!("postgres-{}", application.name)
}

/// Sees to it that the Cluster archives where the settings want it, and that all of its Pods know: the operator
/// fails a base backup for good that it orders from a Pod without the plugin.
fn archive_in_use(cx: &Context<Cnpg>) -> Outcome<()> {
    let ApplicationRef { namespace, .. } = cx.subject();
    let name = cluster_name(&cx.subject());
    let cluster = cx
        .get::<Cluster>(&name)
        .map(|cluster| cluster.filter(|cluster| !cluster.metadata.is_being_deleted()))
        .or_wait(
            "ClusterNotReady",
            format!("CloudNativePG has no Cluster {namespace}/{name} yet"),
        )
        .at_most(30.minutes())?;
    if cluster.archives_natively() {
        let message = format!(
            "Cluster {namespace}/{name} archives by its own barmanObjectStore, not by the plugin"
        );
        return fail("ClusterArchivesNatively", message);
    }

    let known = cx.state()?.filter(|known: &Archive| {
        cluster
            .server_name()
            .is_none_or(|live| live == known.server_name)
    });
    let is_new = known.is_none();
    let mut archive = known.map_or_else(|| Archive::of(cx, &cluster), Ok)?;

    // Applied once in each job even where it fits: what was set for the last backup and is not any more goes.
    let wanted = archive.object_store(&cluster, &namespace);
    let store_fits = cx
        .get::<ObjectStore>(&name)?
        .is_some_and(|shown| shown.fits(&wanted));
    if is_new || !store_fits {
        cx.apply(&wanted);
    }
    let missing = cluster.plugins_with(&archive.server_name);
    if let Some(plugins) = &missing {
        cx.apply(&cluster.with_plugins(&namespace, plugins));
    }
    if is_new || (missing.is_some() && !archive.attached) {
        archive.attached |= missing.is_some();
        cx.remember(&archive)?;
    }

    let progress = if missing.is_some() || !store_fits {
        "is told where to archive"
    } else if !cluster.has_loaded_plugin() {
        "is to load the Barman Cloud plugin"
    } else if !pods_have_plugin(cx, &name)? {
        "restarts its Pods with the Barman Cloud plugin"
    } else if archive.attached && !cluster.is_healthy() {
        "settles after its Pods were restarted"
    } else {
        return Ok(());
    };
    let phase = cluster.phase();
    wait(
        "ArchiveNotReady",
        format!("Cluster {namespace}/{name} {progress} (phase: {phase})"),
    )
    .at_most(30.minutes())
}

fn pods_have_plugin(cx: &Context<Cnpg>, cluster: &str) -> Outcome<bool> {
    let pods = cx.find::<Pod>(&[
        ("cnpg.io/cluster", cluster),
        ("cnpg.io/podRole", "instance"),
    ])?;
    Ok(!pods.is_empty() && pods.iter().all(Pod::has_plugin))
}

fn success(cx: &Context<Cnpg>, backup: &operator::Backup) -> Outcome<Success> {
    let archive = cx.state().or_fail(
        "StateMissing",
        "the job has lost its record of where the backup lies",
    )?;
    let application = cx.application::<Postgres>().or_fail(
        "ApplicationNotFound",
        "the application was deleted while it was backed up",
    )?;
    let status = &backup.status;
    let name = backup.metadata.name.as_str();
    let owned = |text: &str| Some(text.to_owned());
    Ok(Success::of(Artifact::at(format!(
        "cnpg://{}/{name}",
        archive.server_name
    )))
    .taken_at(status.started_at)
    .metadata(metadata::VERSION, owned("1"))
    .metadata(metadata::BACKUP_NAME, owned(name))
    .metadata(metadata::SERVER_NAME, owned(&archive.server_name))
    .metadata(
        metadata::DESTINATION_PATH,
        archive.destination_path().map(Into::into),
    )
    .metadata(
        metadata::ENDPOINT_URL,
        owned(archive.endpoint_url().unwrap_or_default()),
    )
    .metadata(metadata::CLUSTER_NAME, cluster_name(&cx.subject()))
    .metadata(
        metadata::SECRET,
        archive.credentials_secret().map(Into::into),
    )
    .metadata(metadata::BACKUP_ID, status.backup_id.clone())
    .metadata(metadata::BEGIN_WAL, status.begin_wal.clone())
    .metadata(metadata::END_WAL, status.end_wal.clone())
    .metadata(
        metadata::STOPPED_AT,
        status.stopped_at.map(|moment| moment.to_string()),
    )
    .resources(&snapshot(cx, &application)))
}

/// What a restore brings back besides the data. Users come without their passwords.
fn snapshot(cx: &Context<Cnpg>, application: &Postgres) -> Value {
    let mut snapshot = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "CNPGBackupSnapshot",
    });
    for (name, map) in [
        ("databases", json!(application.spec.databases)),
        ("users", json!(application.spec.users)),
        ("parameters", json!(cx.all_parameters())),
    ] {
        if map.as_object().is_some_and(|map| !map.is_empty()) {
            snapshot[name] = map;
        }
    }
    snapshot
}
