//! Etcd, by snapshots of the etcd operator.
//!
//! An `EtcdSnapshot` makes the operator run a Job, which streams the state of a cluster into one object of an S3
//! bucket:
//!
//! ```text
//! <bucket>/<folder>/<name of the EtcdSnapshot>.db
//! ```
//!
//! A backup asks for one and waits. A restore is harder: an `EtcdCluster` takes in a snapshot only while it comes up
//! for the first time, and where from can never be changed. So the cluster is deleted with its data and created again,
//! which `restore` tells about.

mod check;
mod destination;
mod forget;
mod metadata;
mod operator;
mod restore;
mod spec;

use backup_strategy::{Captured, HelmRelease, Pod, prelude::*};

use destination::S3;
use operator::{CLUSTER, Completion, EtcdCluster, EtcdMember, EtcdSnapshot, Volume};

/// The strategy.
pub struct Etcd;

backup_strategy::export!(Etcd);

impl Strategy for Etcd {
    const NAME: &str = "etcd";
    const KIND: &str = "Etcd";
    const PLURAL: &str = "etcds";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/Etcd"];
    const DESCRIPTION: &str = "Snapshots of Etcd by the etcd operator";
    const QUESTIONS: &[Question] = Question::ALL;
    const READS: &[Reads] = &[
        Reads::of::<EtcdSnapshot>().small(),
        Reads::of::<EtcdCluster>().small(),
        Reads::of::<EtcdMember>().small(),
        Reads::of::<Volume>(),
        Reads::of::<HelmRelease>(),
        Reads::of::<Pod>().with_logs(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<EtcdSnapshot>(&[Action::Create, Action::Delete])
            .with_storage_paths(&["/spec/destination/s3/key"]),
        Writes::of::<EtcdCluster>(&[Action::Create, Action::Delete])
            .with_storage_paths(&["/spec/bootstrap/restore/source/s3/key"]),
    ];
    const SUSPENDS_RELEASES: bool = true;
    // The first member of a restored cluster goes on naming the Secret: without it, its Pod could not start again.
    const USES_CREDENTIALS_BETWEEN_JOBS: bool = true;
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[1];
    const KNOBS: &[Knob] = spec::KNOBS;

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = spec::Options;
    type State = Captured;

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        Ok(vec![Path::new(S3::of_settings(cx)?.uri(), "snapshots")])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        cx.is_accepted()?;
        is_the_charts(&cx.subject())?;

        let name = snapshot_name(cx);
        let snapshot = match cx.get::<EtcdSnapshot>(&name)? {
            Some(snapshot) => snapshot,
            None => {
                cluster_is_available(cx)?;
                let destination = S3::of_settings(cx)?;
                destination.is_trusted(cx)?;
                let order = EtcdSnapshot::of(&destination, &cx.subject().namespace, &name);
                cx.ensure(Lifetime::Kept, &order)?
            }
        };
        match snapshot.completion() {
            Completion::Running(phase) => {
                job_can_start(cx, &name)?;
                // The operator's Job is given 30 minutes. To give up before it does would leave an object behind that
                // nobody knows of.
                wait!(
                    "EtcdBackupRunning",
                    "the etcd operator is taking the snapshot (phase: {phase})"
                )
                .at_most(35.minutes())
            }
            Completion::Failed(why) => {
                let remedy = operator::remedy(cx, &name)?;
                let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
                fail!(
                    "EtcdBackupFailed",
                    "the etcd operator has failed: {why}{remedy}"
                )
            }
            Completion::Done => success(cx, &snapshot),
        }
    }

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        restore::restore(cx)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        match cx.job().kind.as_str() {
            "BackupJob" => forget::unfinished(cx, &snapshot_name(cx)),
            "RestoreJob" => restore::abort(cx),
            _ => Ok(()),
        }
    }

    fn forget(cx: &Context<Self>) -> Outcome<()> {
        forget::forget(cx)
    }

    fn check(cx: &Context<Self>) -> Outcome<Verdict> {
        check::check(cx)
    }
}

/// By another name an application would be told of a backup that is of its neighbour's data.
fn is_the_charts(application: &ApplicationRef) -> Outcome<()> {
    if application.name == CLUSTER {
        return Ok(());
    }
    fail!(
        "UnsupportedApplication",
        "the etcd chart makes one EtcdCluster in a namespace and calls it {CLUSTER}, so an application has to have \
         that name to be backed up; this one is {}",
        application.name
    )
}

/// The same for every evaluation of a job, and another for a job that was created anew under its name.
fn snapshot_name(cx: &Context<Etcd>) -> String {
    cx.child_name_within("snapshot", operator::SNAPSHOT_NAME)
}

fn cluster_is_available(cx: &Context<Etcd>) -> Outcome<()> {
    let state = match cx.get::<EtcdCluster>(CLUSTER)? {
        Some(cluster) if cluster.is_available() && !cluster.metadata.is_being_deleted() => {
            return Ok(());
        }
        Some(cluster) => cluster.state(),
        None => "it does not exist yet".into(),
    };
    let namespace = cx.subject().namespace;
    wait!(
        "EtcdClusterNotAvailable",
        "EtcdCluster {namespace}/{CLUSTER} cannot be backed up now: {state}"
    )
    .pending()
    .at_most(20.minutes())
}

/// A Secret that is missing does not make a Job fail: its Pod just never starts.
fn job_can_start(cx: &Context<Etcd>, snapshot: &str) -> Outcome<()> {
    let job = operator::job_of(snapshot);
    match cx.obstacle_of_job(&job)? {
        Some(why) => wait!(
            "EtcdSnapshotStuck",
            "the Pod of Job {job} cannot start: {why}"
        )
        .at_most(10.minutes()),
        None => Ok(()),
    }
}

fn success(cx: &Context<Etcd>, snapshot: &EtcdSnapshot) -> Outcome<Success> {
    let destination = snapshot.destination().or_fail(
        "DestinationMissing",
        "the EtcdSnapshot no longer says where it was stored",
    )?;
    let style = destination.force_path_style.map(|style| style.to_string());
    Ok(Success::of(snapshot.artifact())
        .taken_at(snapshot.stored_at())
        .metadata_of(&[
            (metadata::VERSION, Some("1")),
            (metadata::BACKUP_NAME, Some(&snapshot.metadata.name)),
            (metadata::BUCKET, Some(&destination.bucket)),
            (metadata::ENDPOINT, Some(&destination.endpoint)),
            (metadata::KEY, destination.key.as_deref()),
            (metadata::REGION, destination.region.as_deref()),
            (metadata::FORCE_PATH_STYLE, style.as_deref()),
            (
                metadata::SECRET,
                Some(&destination.credentials_secret_ref.name),
            ),
        ])
        .resources(&destination.resources(&json!(cx.all_parameters()))))
}
