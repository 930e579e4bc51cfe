//! Velero's objects, as far as they are looked at.

use std::ops::Deref;

use backup_strategy::{Unstructured, kinds, number, prelude::*, text, texts};

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

kinds! {
    /// A backup of Velero's.
    Backup: "velero.io/v1" "Backup" { IN_SYSTEM_NAMESPACES };
    /// A restore of Velero's.
    Restore: "velero.io/v1" "Restore" { IN_SYSTEM_NAMESPACES };
    /// Moves the data of a volume into the bucket.
    DataUpload: "velero.io/v2alpha1" "DataUpload" { IN_SYSTEM_NAMESPACES };
    /// Moves the data of a volume out of the bucket.
    DataDownload: "velero.io/v2alpha1" "DataDownload" { IN_SYSTEM_NAMESPACES };
    /// Asks Velero to remove a backup with all that it stored.
    DeleteBackupRequest: "velero.io/v1" "DeleteBackupRequest" { IN_SYSTEM_NAMESPACES };
    /// Changes objects while they are restored.
    ConfigMap: "v1" "ConfigMap" { IN_SYSTEM_NAMESPACES };
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

impl Progress {
    fn of(phase: &str) -> Self {
        match phase {
            "" | "New" => Self::New,
            "Queued" | "ReadyToStart" => Self::Queued,
            "Completed" => Self::Done,
            "Failed" | "PartiallyFailed" | "FailedValidation" => Self::Failed,
            "Deleting" => Self::Deleting,
            _ => Self::Running,
        }
    }
}

/// What Velero says of a backup or of a restore.
pub trait Told: Deref<Target = Unstructured> {
    fn progress(&self) -> Progress {
        Progress::of(self.phase())
    }

    /// Whether Velero has stored nothing of it, so that the object is all there is.
    fn has_stored_nothing(&self) -> bool {
        matches!(self.progress(), Progress::New | Progress::Queued)
            || self.phase() == "FailedValidation"
    }

    /// A moment that Velero tells.
    fn moment(&self, field: &str) -> Option<Timestamp> {
        self.status[field].as_str()?.parse().ok()
    }

    /// Why it failed, as far as Velero says, and what became of the volumes.
    fn explanation(&self, movements: &[Movement]) -> String {
        explanation(&self.status, movements)
    }
}

impl Told for Backup {}
impl Told for Restore {}

fn explanation(status: &Value, movements: &[Movement]) -> String {
    let mut parts = vec![format!("Velero says {}", text(status, "/phase"))];
    let reason = text(status, "/failureReason").trim();
    if !reason.is_empty() {
        parts.push(reason.into());
    }
    let invalid = texts(status, "/validationErrors");
    if !invalid.is_empty() {
        parts.push(invalid.join(", "));
    }
    let hooks = number(status, "/hookStatus/hooksFailed");
    if hooks > 0 {
        let attempted = number(status, "/hookStatus/hooksAttempted");
        parts.push(format!("{hooks} of {attempted} hooks failed"));
    }
    // Of either of the two.
    let operations = |which: &str| {
        number(status, &format!("/backupItemOperations{which}"))
            + number(status, &format!("/restoreItemOperations{which}"))
    };
    let failed = operations("Failed");
    if failed > 0 {
        let (attempted, completed) = (operations("Attempted"), operations("Completed"));
        parts.push(format!(
            "of {attempted} operations {failed} failed and {completed} completed"
        ));
    }
    parts.extend(movements.iter().filter_map(Movement::failure));
    parts.join("; ")
}

/// What moves the data of a volume into the bucket (`DataUpload`), or out of it (`DataDownload`).
pub struct Movement {
    name: String,
    /// The volume claim.
    volume: String,
    status: Value,
}

impl Movement {
    fn of(kind: &str, moved: &Unstructured, volume: &str) -> Self {
        Self {
            name: format!("{kind} {}", moved.metadata.name),
            volume: text(&moved.spec, volume).into(),
            status: moved.status.clone(),
        }
    }

    /// Of a backup.
    pub fn uploads(cx: &Context<Velero>, backup: &Backup) -> Outcome<Vec<Self>> {
        let of = [("velero.io/backup-uid", backup.metadata.uid.as_str())];
        let found = cx.find_in::<DataUpload>(NAMESPACE, &of)?;
        let moved = |upload: &DataUpload| Self::of(DataUpload::KIND, upload, "/sourcePVC");
        Ok(found.iter().map(moved).collect())
    }

    /// Of a restore.
    pub fn downloads(cx: &Context<Velero>, restore: &Restore) -> Outcome<Vec<Self>> {
        let of = [("velero.io/restore-uid", restore.metadata.uid.as_str())];
        let found = cx.find_in::<DataDownload>(NAMESPACE, &of)?;
        let moved =
            |download: &DataDownload| Self::of(DataDownload::KIND, download, "/targetVolume/pvc");
        Ok(found.iter().map(moved).collect())
    }

    pub fn bytes(&self) -> u64 {
        number(&self.status, "/progress/totalBytes")
    }

    fn failure(&self) -> Option<String> {
        let phase = text(&self.status, "/phase");
        if !matches!(phase, "Failed" | "Canceled") {
            return None;
        }
        let of = match self.volume.as_str() {
            "" => String::new(),
            volume => format!(" of volume claim {volume}"),
        };
        let message = match text(&self.status, "/message").trim() {
            "" => "no message",
            message => message,
        };
        Some(format!("{}{of} {phase}: {message}", self.name))
    }
}

impl DeleteBackupRequest {
    pub fn of(backup: &Backup, namespace: &str, name: &str) -> Value {
        Self::object(namespace, name, json!({ "backupName": backup.name() }))
    }

    /// Why Velero did not do it.
    pub fn refusal(&self) -> Option<String> {
        let errors = texts(&self.status, "/errors");
        (self.phase() == "Processed" && !errors.is_empty()).then(|| errors.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_all_that_velero_knows() {
        let status = json!({
            "phase": "PartiallyFailed",
            "failureReason": " out of quota \n",
            "validationErrors": ["a", "b"],
            "hookStatus": { "hooksAttempted": 2, "hooksFailed": 1 },
            "backupItemOperationsAttempted": 3,
            "backupItemOperationsCompleted": 1,
            "backupItemOperationsFailed": 2,
        });
        let movement = |name: &str, volume: &str, phase: &str, message: &str| Movement {
            name: format!("DataUpload {name}"),
            volume: volume.into(),
            status: json!({ "phase": phase, "message": message }),
        };
        let movements = [
            movement("x-1", "vm-disk-a", "Failed", "no space"),
            movement("x-2", "", "Canceled", ""),
            movement("x-3", "vm-disk-c", "Completed", ""),
        ];
        assert_eq!(
            explanation(&status, &movements),
            "Velero says PartiallyFailed; out of quota; a, b; 1 of 2 hooks failed; of 3 operations 2 failed and 1 \
             completed; DataUpload x-1 of volume claim vm-disk-a Failed: no space; DataUpload x-2 Canceled: no message"
        );
    }

    #[test]
    fn every_phase_of_velero_is_known() {
        assert_eq!(Progress::of(""), Progress::New);
        assert_eq!(Progress::of("ReadyToStart"), Progress::Queued);
        for phase in [
            "InProgress",
            "WaitingForPluginOperations",
            "FinalizingPartiallyFailed",
        ] {
            assert_eq!(Progress::of(phase), Progress::Running);
        }
        for phase in ["FailedValidation", "PartiallyFailed", "Failed"] {
            assert_eq!(Progress::of(phase), Progress::Failed);
        }
        assert_eq!(Progress::of("Deleting"), Progress::Deleting);
    }
}
