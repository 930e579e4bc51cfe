//! Virtual machines and their disks, by Velero.
//!
//! Velero runs once for all tenants, in a namespace of its own. Its `Backup` names objects of a namespace by their
//! labels; the data of their volumes is moved into the bucket:
//!
//! ```text
//! velero/backups/<name of Velero's Backup>/   the objects, and what Velero says of the backup
//! velero/kopia/<namespace>/                   the data of the volumes, once for all backups of a namespace
//! ```
//!
//! A backup asks for one and waits. A restore has to make room first, which `restore` tells about; what was there is put
//! aside, and brought back where the restore comes to nothing.
//!
//! | file | tells |
//! |---|---|
//! | `velero`, `kubevirt` | the objects of Velero, and what a machine and its disks consist of |
//! | `capture`, `order` | what belongs to an application, and what Velero is told of it |
//! | `restore`, `target`, `found` | a restore from top to bottom, where it goes, and what it remembers |
//! | `room`, `claims` | how room is made, and how a volume gets from one claim to another |
//! | `modifiers`, `rename` | what Velero changes on the way, and how a copy gets another name |
//! | `abort`, `forget`, `check` | the other questions |
//! | `spec`, `velero_spec` | what may be set; the last is for the schema alone |

mod abort;
mod capture;
mod check;
mod claims;
mod forget;
mod found;
mod kubevirt;
mod metadata;
mod modifiers;
mod order;
mod rename;
mod restore;
mod room;
mod spec;
mod target;
mod velero;

use backup_strategy::{prelude::*, text};

use capture::Resources;
use found::Found;
use kubevirt::{
    Claim, DataVolume, HelmRelease, Pod, VirtualMachine, VirtualMachineInstance, Volume,
};
use velero::{
    Backup, DataDownload, DataUpload, DeleteBackupRequest, Movement, NAMESPACE, Progress, Told,
};

/// The strategy.
pub struct Velero;

backup_strategy::export!(Velero);

impl Strategy for Velero {
    const NAME: &str = "velero";
    const KIND: &str = "Velero";
    const PLURAL: &str = "veleroes";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/VMInstance", "apps.cozystack.io/VMDisk"];
    const DESCRIPTION: &str = "Backups of virtual machines and their disks by Velero";
    const QUESTIONS: &[Question] = Question::ALL;
    const READS: &[Reads] = &[
        Reads::of::<Backup>(),
        Reads::of::<velero::Restore>(),
        Reads::of::<DeleteBackupRequest>(),
        Reads::of::<DataUpload>(),
        Reads::of::<DataDownload>(),
        Reads::of::<HelmRelease>(),
        Reads::of::<VirtualMachine>(),
        Reads::of::<VirtualMachineInstance>(),
        Reads::of::<DataVolume>(),
        Reads::of::<Claim>(),
        Reads::of::<Volume>(),
        Reads::of::<Pod>(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<Backup>(&[Action::Create, Action::Delete]),
        Writes::of::<velero::Restore>(&[Action::Create, Action::Delete]),
        Writes::of::<DeleteBackupRequest>(&[Action::Create, Action::Delete]),
        Writes::of::<velero::ConfigMap>(&[Action::Create, Action::Delete]),
        Writes::of::<HelmRelease>(&[Action::Create, Action::Merge, Action::Delete]),
        Writes::of::<VirtualMachine>(&[Action::Merge, Action::Delete]),
        Writes::of::<DataVolume>(&[Action::Delete]),
        Writes::of::<Claim>(&[Action::Create, Action::Merge, Action::Delete]),
        Writes::of::<Volume>(&[Action::Merge]),
    ];
    // A job for a machine works on its disks, too.
    const HOLDS: &[Holds] = &[Holds {
        of: kubevirt::MACHINE,
        kind: "apps.cozystack.io/VMDisk",
        names: "/spec/disks/*/name",
    }];
    // Velero shares its folder between all tenants, and its repository between the applications of a namespace.
    const STORAGE_PATHS: &[&str] = &["velero"];
    const SYSTEM_NAMESPACES: &[&str] = &[NAMESPACE];
    const SUSPENDS_RELEASES: bool = true;
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[1];
    const KNOBS: &[Knob] = spec::KNOBS;

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = spec::Options;
    type State = Found;

    fn validate(spec: &Self::Spec, _: &Nothing) -> Vec<Problem> {
        spec::problems(spec)
    }

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let bucket = cx.bucket().name;
        let prefix = cx.prefixes().into_iter().next().unwrap_or_default();
        let name = velero::name(cx, "backup");
        let namespace = cx.subject().namespace;
        Ok(vec![
            Path::new(
                format!("s3://{bucket}/{prefix}/backups/{name}/"),
                "objects, and what Velero says of the backup",
            ),
            Path::new(
                format!("s3://{bucket}/{prefix}/kopia/{namespace}/"),
                "data of volumes, shared by the backups of the namespace",
            ),
        ])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        cx.is_accepted()?;
        let name = velero::name(cx, "backup");
        let captured = cx.state()?.map(|found| found.captured);
        let Some(backup) = cx.get_in::<Backup>(NAMESPACE, &name)? else {
            return begin(cx, &name, captured);
        };
        match backup.progress() {
            Progress::New => unseen(&name),
            // Velero takes one backup at a time, and one may take hours.
            Progress::Queued => wait!(
                "VeleroBackupQueued",
                "Backup {name} waits for other backups of Velero's"
            )
            .at_most(12.hours()),
            Progress::Running => wait!(
                "VeleroBackupRunning",
                "Velero is taking the backup (phase: {})",
                backup.phase()
            )
            .at_most(24.hours()),
            Progress::Failed => {
                let movements = Movement::uploads(cx, &backup)?;
                let why = backup.explanation(&movements);
                fail!("VeleroBackupFailed", "Backup {name}: {why}")
            }
            Progress::Deleting => fail!(
                "VeleroBackupDeleted",
                "somebody has had Velero delete Backup {name}"
            ),
            Progress::Done => success(cx, &backup, captured.as_ref()),
        }
    }

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        restore::restore(cx)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        match cx.job().kind.as_str() {
            "BackupJob" => abort::backup(cx),
            "RestoreJob" => abort::restore(cx),
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

/// Captures what the machine consists of, and orders the backup.
fn begin<T>(cx: &Context<Velero>, name: &str, captured: Option<Resources>) -> Outcome<T> {
    let captured = match captured {
        Some(captured) => captured,
        None => Resources::of(cx)?,
    };
    target::velero_is_there(cx)?;
    let order = order::backup(cx, name, &captured)?;
    cx.remember(&Found {
        captured,
        ..Found::default()
    })?;
    cx.create(Lifetime::Kept, &order);
    cx.event(
        Severity::Normal,
        "VeleroBackupCreated",
        &format!("Velero takes the backup as Backup {name} in {NAMESPACE}"),
    );
    unseen(name)
}

fn unseen<T>(name: &str) -> Outcome<T> {
    wait!(
        "VeleroBackupNew",
        "Velero has not looked at Backup {name} yet; see whether it runs, in namespace {NAMESPACE}"
    )
    .at_most(30.minutes())
}

fn success(
    cx: &Context<Velero>,
    backup: &Backup,
    captured: Option<&Resources>,
) -> Outcome<Success> {
    let name = backup.metadata.name.as_str();
    let mut artifact = Artifact::at(format!("velero://{NAMESPACE}/{name}"));
    let folder = check::folder_of(cx, name)
        .filter(|_| text(&backup.spec, "/storageLocation") == velero::STORAGE_LOCATION);
    let stored = folder.as_ref().and_then(|folder| check::size(cx, folder));
    if let Some(described) = stored {
        let movements = Movement::uploads(cx, backup)?;
        let moved: u64 = movements.iter().map(Movement::bytes).sum();
        artifact = artifact.with_size(described + moved);
    }
    let success = Success::of(artifact)
        .taken_at(
            backup
                .moment("startTimestamp")
                .or(backup.metadata.creation_timestamp),
        )
        .metadata(metadata::VERSION, Some("1".to_owned()))
        .metadata(metadata::BACKUP_NAME, Some(name.to_owned()))
        .metadata(metadata::BACKUP_NAMESPACE, Some(NAMESPACE.to_owned()))
        .metadata(metadata::FOLDER, folder.filter(|_| stored.is_some()))
        .metadata(
            metadata::EXPIRES_AT,
            backup.moment("expiration").map(|moment| moment.to_string()),
        );
    Ok(match captured.and_then(Resources::document) {
        Some(document) => success.resources(&document),
        None => success,
    })
}
