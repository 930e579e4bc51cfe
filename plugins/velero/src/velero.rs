//! Velero's objects, as far as they are looked at.

use backup_strategy::prelude::*;
use serde::Deserialize;

use crate::Velero;

/// Where Velero runs and its objects are.
pub const NAMESPACE: &str = "cozy-velero";
/// The BackupStorageLocation that the host keeps: the platform's bucket.
pub const STORAGE_LOCATION: &str = "cozy-default";
/// Names that are longer are hashed by Velero where it writes them into labels.
const LABEL: usize = 63;
/// A child's name needs so much.
const SHORTEST_CHILD: usize = 20;

/// The name of a Velero object of this job. All tenants have theirs in one namespace, so it begins with theirs.
pub fn name(cx: &Context<Velero>, role: &str) -> String {
    let namespace = cx.job().namespace;
    let room = LABEL
        .saturating_sub(namespace.len() + 1)
        .max(SHORTEST_CHILD);
    let child = cx.child_name_within(role, u32::try_from(room).unwrap_or(u32::MAX));
    format!("{namespace}.{child}")
}

/// A backup of Velero's.
#[derive(Deserialize)]
pub struct Backup {
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: BackupSpec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupSpec {
    pub storage_location: String,
}

impl Object for Backup {
    const API_VERSION: &str = "velero.io/v1";
    const KIND: &str = "Backup";
}

/// A restore of Velero's.
#[derive(Deserialize)]
pub struct Restore {
    pub metadata: Metadata,
    #[serde(default)]
    pub status: Status,
}

impl Object for Restore {
    const API_VERSION: &str = Backup::API_VERSION;
    const KIND: &str = "Restore";
}

/// What Velero says of a backup or of a restore.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    pub phase: String,
    failure_reason: String,
    validation_errors: Vec<String>,
    hook_status: Hooks,
    #[serde(alias = "restoreItemOperationsAttempted")]
    backup_item_operations_attempted: u64,
    #[serde(alias = "restoreItemOperationsCompleted")]
    backup_item_operations_completed: u64,
    #[serde(alias = "restoreItemOperationsFailed")]
    backup_item_operations_failed: u64,
    pub start_timestamp: Option<Timestamp>,
    pub expiration: Option<Timestamp>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Hooks {
    hooks_attempted: u64,
    hooks_failed: u64,
}

/// How far Velero is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nobody has looked at it.
    New,
    /// It waits for its turn: Velero takes one backup at a time, and looks at those that wait once a minute.
    Queued,
    Running,
    Done,
    /// Velero never tries again.
    Failed,
    /// It is removed, with what it stored.
    Deleting,
}

impl Status {
    pub fn progress(&self) -> Progress {
        match self.phase.as_str() {
            "" | "New" => Progress::New,
            "Queued" | "ReadyToStart" => Progress::Queued,
            "Completed" => Progress::Done,
            "Failed" | "PartiallyFailed" | "FailedValidation" => Progress::Failed,
            "Deleting" => Progress::Deleting,
            _ => Progress::Running,
        }
    }

    /// Whether Velero has stored nothing of it, so that the object is all there is.
    pub fn has_stored_nothing(&self) -> bool {
        matches!(self.progress(), Progress::New | Progress::Queued)
            || self.phase == "FailedValidation"
    }

    /// Why it failed, as far as Velero says, and what became of the volumes.
    pub fn explanation(&self, movements: &[Movement]) -> String {
        let mut parts = vec![format!("Velero says {}", self.phase)];
        let reason = self.failure_reason.trim();
        if !reason.is_empty() {
            parts.push(reason.into());
        }
        if !self.validation_errors.is_empty() {
            parts.push(self.validation_errors.join(", "));
        }
        let Hooks {
            hooks_attempted,
            hooks_failed,
        } = self.hook_status;
        if hooks_failed > 0 {
            parts.push(format!("{hooks_failed} of {hooks_attempted} hooks failed"));
        }
        let (attempted, completed, failed) = (
            self.backup_item_operations_attempted,
            self.backup_item_operations_completed,
            self.backup_item_operations_failed,
        );
        if failed > 0 {
            parts.push(format!(
                "of {attempted} operations {failed} failed and {completed} completed"
            ));
        }
        parts.extend(movements.iter().filter_map(Movement::failure));
        parts.join("; ")
    }
}

/// What moves the data of a volume into the bucket (`DataUpload`), or out of it (`DataDownload`).
#[derive(Debug)]
pub struct Movement {
    name: String,
    volume: String,
    status: MovementStatus,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct MovementStatus {
    phase: String,
    message: String,
    progress: Moved,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Moved {
    total_bytes: u64,
}

impl Movement {
    /// Of a backup.
    pub fn uploads(cx: &Context<Velero>, backup: &Backup) -> Outcome<Vec<Self>> {
        let uid = backup.metadata.uid.as_str();
        let found = cx.find_in::<DataUpload>(NAMESPACE, &[("velero.io/backup-uid", uid)])?;
        Ok(found.into_iter().map(DataUpload::movement).collect())
    }

    /// Of a restore.
    pub fn downloads(cx: &Context<Velero>, restore: &Restore) -> Outcome<Vec<Self>> {
        let uid = restore.metadata.uid.as_str();
        let found = cx.find_in::<DataDownload>(NAMESPACE, &[("velero.io/restore-uid", uid)])?;
        Ok(found.into_iter().map(DataDownload::movement).collect())
    }

    pub fn bytes(&self) -> u64 {
        self.status.progress.total_bytes
    }

    fn failure(&self) -> Option<String> {
        let MovementStatus { phase, message, .. } = &self.status;
        if !matches!(phase.as_str(), "Failed" | "Canceled") {
            return None;
        }
        let of = match self.volume.as_str() {
            "" => String::new(),
            volume => format!(" of volume claim {volume}"),
        };
        let message = match message.trim() {
            "" => "no message",
            message => message,
        };
        Some(format!("{}{of} {phase}: {message}", self.name))
    }
}

/// Moves the data of a volume into the bucket.
#[derive(Deserialize)]
pub struct DataUpload {
    metadata: Metadata,
    #[serde(default)]
    spec: UploadSpec,
    #[serde(default)]
    status: MovementStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UploadSpec {
    #[serde(rename = "sourcePVC")]
    source_pvc: String,
}

impl Object for DataUpload {
    const API_VERSION: &str = "velero.io/v2alpha1";
    const KIND: &str = "DataUpload";
}

impl DataUpload {
    fn movement(self) -> Movement {
        Movement {
            name: format!("DataUpload {}", self.metadata.name),
            volume: self.spec.source_pvc,
            status: self.status,
        }
    }
}

/// Moves the data of a volume out of the bucket.
#[derive(Deserialize)]
pub struct DataDownload {
    metadata: Metadata,
    #[serde(default)]
    spec: DownloadSpec,
    #[serde(default)]
    status: MovementStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DownloadSpec {
    target_volume: TargetVolume,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TargetVolume {
    pvc: String,
}

impl Object for DataDownload {
    const API_VERSION: &str = DataUpload::API_VERSION;
    const KIND: &str = "DataDownload";
}

impl DataDownload {
    fn movement(self) -> Movement {
        Movement {
            name: format!("DataDownload {}", self.metadata.name),
            volume: self.spec.target_volume.pvc,
            status: self.status,
        }
    }
}

/// Asks Velero to remove a backup with all that it stored.
#[derive(Deserialize)]
pub struct DeleteBackupRequest {
    pub metadata: Metadata,
    #[serde(default)]
    status: RequestStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RequestStatus {
    phase: String,
    errors: Vec<String>,
}

impl Object for DeleteBackupRequest {
    const API_VERSION: &str = Backup::API_VERSION;
    const KIND: &str = "DeleteBackupRequest";
}

impl DeleteBackupRequest {
    pub fn of(backup: &Backup, namespace: &str, name: &str) -> Value {
        json!({
            "apiVersion": Self::API_VERSION,
            "kind": Self::KIND,
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "backupName": backup.metadata.name },
        })
    }

    /// Why Velero did not do it.
    pub fn refusal(&self) -> Option<String> {
        (self.status.phase == "Processed" && !self.status.errors.is_empty())
            .then(|| self.status.errors.join("; "))
    }
}

/// Changes objects while they are restored.
#[derive(Deserialize)]
pub struct ConfigMap {}

impl Object for ConfigMap {
    const API_VERSION: &str = "v1";
    const KIND: &str = "ConfigMap";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_all_that_velero_knows() {
        let status = Status {
            phase: "PartiallyFailed".into(),
            failure_reason: " out of quota \n".into(),
            validation_errors: vec!["a".into(), "b".into()],
            hook_status: Hooks {
                hooks_attempted: 2,
                hooks_failed: 1,
            },
            backup_item_operations_attempted: 3,
            backup_item_operations_completed: 1,
            backup_item_operations_failed: 2,
            ..Status::default()
        };
        let movement = |name: &str, volume: &str, phase: &str, message: &str| Movement {
            name: format!("DataUpload {name}"),
            volume: volume.into(),
            status: MovementStatus {
                phase: phase.into(),
                message: message.into(),
                ..MovementStatus::default()
            },
        };
        let movements = [
            movement("x-1", "vm-disk-a", "Failed", "no space"),
            movement("x-2", "", "Canceled", ""),
            movement("x-3", "vm-disk-c", "Completed", ""),
        ];
        assert_eq!(
            status.explanation(&movements),
            "Velero says PartiallyFailed; out of quota; a, b; 1 of 2 hooks failed; of 3 operations 2 failed and 1 \
             completed; DataUpload x-1 of volume claim vm-disk-a Failed: no space; DataUpload x-2 Canceled: no message"
        );
    }

    #[test]
    fn every_phase_of_velero_is_known() {
        let progress = |phase: &str| {
            Status {
                phase: phase.into(),
                ..Status::default()
            }
            .progress()
        };
        assert_eq!(progress(""), Progress::New);
        assert_eq!(progress("ReadyToStart"), Progress::Queued);
        for phase in [
            "InProgress",
            "WaitingForPluginOperations",
            "FinalizingPartiallyFailed",
        ] {
            assert_eq!(progress(phase), Progress::Running);
        }
        for phase in ["FailedValidation", "PartiallyFailed", "Failed"] {
            assert_eq!(progress(phase), Progress::Failed);
        }
        assert_eq!(progress("Deleting"), Progress::Deleting);
    }
}
