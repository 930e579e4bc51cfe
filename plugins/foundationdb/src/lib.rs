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
mod backup;
mod check;
mod destination;
mod forget;
mod metadata;
mod operator;
mod order;
mod restore;
mod spec;
mod stream;

use backup_strategy::{Captured, HelmRelease, Pod, prelude::*};

use destination::Blob;
use operator::{FoundationDbBackup, FoundationDbCluster, FoundationDbRestore, Volume};

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
    const QUESTIONS: &[Question] = Question::ALL;
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
    const KNOBS: &[Knob] = spec::KNOBS;

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = spec::Options;
    type State = Captured;

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let blob = Blob::of_settings(cx, &backup_name(cx))?;
        let index = format!("s3://{}/{}", blob.bucket, blob.index());
        Ok(vec![
            Path::new(blob.data_uri(), "snapshots and logs"),
            Path::new(index, "the object that names the backup"),
        ])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        backup::backup(cx)
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
