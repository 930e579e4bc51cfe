//! FoundationDB, by backup agents of the FoundationDB operator.
//!
//! A `FoundationDBBackup` makes the operator run agents and start a backup of a cluster. The agents copy the whole
//! database, and at the same time store everything that changes in it, without an end:
//!
//! ```text
//! <bucket>/data/<name>/snapshots, kvranges, logs
//! <bucket>/backups/<name>
//! ```
//!
//! A backup is complete as soon as a state of the database can be restored from what is stored: `archive` tells when that
//! is, and which state it is. The stream goes on from there, until the next backup begins or this one is removed: a
//! cluster has one at a time, which `stream` sees to. A restore needs an empty cluster, and `restore` makes one.
//!
//! | who | needs credentials for the bucket |
//! |---|---|
//! | agents | in their own Pods, in the application's namespace: `agents` puts them there |
//! | the operator | in its own Pod, because it runs `fdbbackup` and `fdbrestore` itself; no strategy can put them there |

mod agents;
mod archive;
mod check;
mod destination;
mod forget;
mod metadata;
mod operator;
mod restore;
mod spec;
mod stream;

use backup_strategy::{Captured, HelmRelease, Pod, prelude::*};

use archive::{Sight, State};
use destination::{Blob, Commands};
use operator::{
    FoundationDbBackup, FoundationDbCluster, FoundationDbRestore, Order, Progress, Volume,
    cluster_name,
};
use spec::Mode;

/// The strategy.
pub struct FoundationDb;

backup_strategy::export!(FoundationDb);

impl Strategy for FoundationDb {
    const NAME: &str = "foundationdb";
    const KIND: &str = "FoundationDB";
    const PLURAL: &str = "foundationdbs";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/FoundationDB"];
    const DESCRIPTION: &str =
        "Snapshots and logs of FoundationDB by backup agents of the FoundationDB operator";
    const QUESTIONS: &[Question] = &[
        Question::Backup,
        Question::Restore,
        Question::Abort,
        Question::Forget,
        Question::Check,
    ];
    const READS: &[Reads] = &[
        Reads::of::<FoundationDbBackup>().small(),
        Reads::of::<FoundationDbRestore>().small(),
        Reads::of::<FoundationDbCluster>(),
        Reads::of::<Volume>(),
        Reads::of::<HelmRelease>(),
        Reads::of::<Pod>(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<FoundationDbBackup>(&[Action::Create, Action::Merge, Action::Delete])
            .with_storage_paths(&["/spec/blobStoreConfiguration/backupName"]),
        Writes::of::<FoundationDbRestore>(&[Action::Create, Action::Delete])
            .with_storage_paths(&["/spec/blobStoreConfiguration/backupName"]),
        Writes::of::<FoundationDbCluster>(&[Action::Create, Action::Delete]),
    ];
    // A backup's name stands in the operator's objects; FoundationDB stores it under the two others.
    const STORAGE_PATHS: &[&str] = &[
        "{namespace}/{application}",
        "data/{namespace}/{application}",
        "backups/{namespace}/{application}",
    ];
    const POD_SECRETS: &[&str] = &["cozy-backups-creds"];
    const SUSPENDS_RELEASES: bool = true;
    // The stream goes on when the job is over.
    const USES_CREDENTIALS_BETWEEN_JOBS: bool = true;
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[1];

    type Spec = spec::Spec;
    type Parameters = spec::Parameters;
    type Options = spec::Options;
    type State = Captured;

    fn validate(spec: &Self::Spec, parameters: &Self::Parameters) -> Vec<Problem> {
        spec::problems(spec, parameters)
    }

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let blob = Blob::of_settings(cx, &backup_name(cx))?;
        let index = format!("s3://{}/{}", blob.bucket, blob.index());
        Ok(vec![
            Path::new(blob.data_uri(), "snapshots and logs"),
            Path::new(index, "the object that names the backup"),
        ])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        cx.is_accepted()?;
        let name = backup_name(cx);
        let backup = match cx.get::<FoundationDbBackup>(&name)? {
            Some(backup) => backup,
            None => {
                let cluster = cluster_is_ready(cx)?;
                stream::nobody_else_stores(cx, &cluster.metadata.name, &name)?;
                let blob = Blob::of_settings(cx, &name)?;
                let commands = Commands::of_settings(cx)?;
                let order = order(cx, &name, &cluster, &blob, &commands)?;
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

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        restore::restore(cx)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        match cx.job().kind.as_str() {
            "BackupJob" => forget::unfinished(cx, &backup_name(cx)),
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

/// The same for every evaluation of a job, and another for a job that was created anew under its name. In the bucket the
/// backup has it, too.
fn backup_name(cx: &Context<FoundationDb>) -> String {
    cx.child_name_within("backup", operator::BACKUP_NAME)
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
        return wait(
            "FoundationDBClusterNotAvailable",
            format!("FoundationDBCluster {name} is not available (status.health.available)"),
        )
        .pending()
        .at_most(20.minutes());
    }
    if cluster.version().is_none() {
        return wait(
            "FoundationDBClusterVersionUnknown",
            format!("FoundationDBCluster {name} has no version, in its spec or in its status"),
        )
        .pending()
        .at_most(20.minutes());
    }
    Ok(cluster)
}

/// What the settings ask for. What they leave out is the operator's to choose.
fn order<'a>(
    cx: &Context<FoundationDb>,
    name: &'a str,
    cluster: &'a FoundationDbCluster,
    blob: &'a Blob,
    commands: &'a Commands,
) -> Outcome<Order<'a>> {
    let version = cluster.version().unwrap_or_default();
    if commands.encryption_key_path.is_some() && !operator::can_encrypt(version) {
        return fail(
            "EncryptionUnsupported",
            format!(
                "encryptionKeyPath is set, and FoundationDB {version} does not encrypt backups: it would store them in the \
                 clear; 7.3.73 or 7.4.6 is needed"
            ),
        );
    }
    let settings = cx.spec()?.template;
    let parameters = cx.parameters()?;
    let number = |setting: Option<i32>| setting.and_then(|number| u32::try_from(number).ok());
    Ok(Order {
        name,
        namespace: cx.subject().namespace,
        cluster,
        blob,
        commands,
        agent_count: parameters
            .agent_count
            .map(|count| count.0)
            .or(number(settings.agent_count)),
        snapshot_period_seconds: parameters
            .snapshot_period_seconds
            .map(|period| period.0)
            .or(number(settings.snapshot_period_seconds)),
        pod_template: agents::pod_template(cx, cluster, blob, commands)?,
    })
}

fn mode(cx: &Context<FoundationDb>) -> Outcome<Mode> {
    let setting = cx.spec()?.template.backup_mode;
    let setting = match &setting {
        Some(setting) => setting.value()?.copied(),
        None => None,
    };
    Ok(cx
        .parameters()?
        .backup_mode
        .or(setting)
        .unwrap_or(Mode::Continuous))
}

fn is_restorable(cx: &Context<FoundationDb>, backup: &FoundationDbBackup) -> Outcome<()> {
    let name = backup.name();
    if cx.get::<FoundationDbCluster>(backup.cluster())?.is_none() {
        return fail(
            "FoundationDBClusterGone",
            format!("FoundationDBCluster {} is gone", backup.cluster()),
        );
    }
    match backup.progress() {
        Progress::Restorable => Ok(()),
        Progress::AgentsMissing(ready, wanted) => agents_missing(cx, backup, ready, wanted),
        Progress::Elsewhere(url) => wait(
            "FoundationDBBackupNotStarted",
            format!("the cluster still stores its changes at {url}, for another backup"),
        )
        .at_most(10.minutes()),
        Progress::NotStarted => wait(
            "FoundationDBBackupNotStarted",
            format!(
                "the agents are ready, and the operator has not started FoundationDBBackup {name}: it runs `fdbbackup` \
                 itself and cannot reach the bucket without credentials. Its Pod needs FDB_BLOB_CREDENTIALS with the file \
                 blob_credentials.json of Secret {}, which its namespace gets with backupStorage.systemNamespaces; its log \
                 says more",
                cx.bucket().credentials_secret
            ),
        )
        .at_most(10.minutes()),
        Progress::Running => {
            look_again(cx, backup);
            wait(
                "FoundationDBBackupRunning",
                format!("the agents are storing the first snapshot of FoundationDBBackup {name}"),
            )
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

/// A Secret that is missing does not make agents fail: their Pods just never start.
fn agents_missing(
    cx: &Context<FoundationDb>,
    backup: &FoundationDbBackup,
    ready: i64,
    wanted: i64,
) -> Outcome<()> {
    let agents = operator::agents_of(backup.name());
    let pods = cx.find::<Pod>(&[(operator::AGENTS_LABEL, &agents)])?;
    let why = pods.iter().find_map(Pod::obstacle).map_or_else(
        || {
            let secrets = agents::secrets_of(backup.pod_template()).join(", ");
            format!("they need these Secrets of the namespace: {secrets}")
        },
        |obstacle| format!("a Pod cannot start: {obstacle}"),
    );
    wait(
        "BackupAgentsNotReady",
        format!("{ready} of {wanted} backup agents of {agents} are ready; {why}"),
    )
    .at_most(15.minutes())
}

fn is_stopped(backup: &FoundationDbBackup) -> Outcome<()> {
    if backup.is_streaming() {
        return stopping();
    }
    if !backup.is_restorable() {
        return fail(
            "FoundationDBBackupStopped",
            format!(
                "somebody has stopped FoundationDBBackup {} before anything of it could be restored",
                backup.name()
            ),
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
        Sight::NoSnapshot | Sight::Gap => wait(
            "SnapshotNotStored",
            format!("the operator says that the backup can be restored, and {data} does not hold all of it yet"),
        )
        .ask_again_after(20.seconds())
        .at_most(10.minutes()),
    }
}
