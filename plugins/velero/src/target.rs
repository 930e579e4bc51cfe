//! What is restored, and to where.

use backup_strategy::prelude::*;

use crate::{
    Velero,
    capture::{Disk, Resources},
    found::Found,
    kubevirt::{self, MACHINE},
    metadata,
    spec::Options,
    velero::{self, Backup, Progress, Told},
};

/// Annotation of Velero's Backup in which the first controller kept what it had captured.
const CAPTURED: &str = "backups.cozystack.io/underlying-resources";

/// A restore, as it was asked for.
pub struct Target {
    pub source: FinishedBackup,
    /// Velero's Backup.
    pub backup: String,
    pub namespace: String,
    pub name: String,
    /// What the machine consists of, and what was there before.
    pub found: Found,
    pub options: Options,
}

impl Target {
    /// Reads what was asked for, and whether Velero can do it.
    pub fn of(cx: &Context<Velero>) -> Outcome<Self> {
        let source = cx.finished_backup()?;
        let subject = cx.subject();
        cx.is_of_kind(&source.application)?;
        fits(&source.application, &subject)?;
        let backup = source.metadata_name(metadata::BACKUP_NAME)?.map(Into::into);
        let backup = backup.or_fail(
            "MetadataMissing",
            format!(
                "spec.driverMetadata of Backup {} does not say what Velero calls it",
                source.name
            ),
        )?;
        Ok(Self {
            found: Found {
                captured: source.resources()?.unwrap_or_default(),
                ..Found::default()
            },
            options: cx.options()?,
            namespace: subject.namespace,
            name: subject.name,
            backup,
            source,
        })
    }

    /// Into another namespace.
    pub fn is_copy(&self) -> bool {
        self.namespace != self.source.application.namespace
    }

    /// Under another name, which only a copy can have.
    pub fn is_renamed(&self) -> bool {
        self.name != self.source.application.name
    }

    pub fn is_machine(&self) -> bool {
        self.source.application.kind == MACHINE
    }

    /// Where Velero puts the objects of which namespace.
    pub fn mapping(&self) -> Value {
        let mut mapping = json!({});
        if self.is_copy() {
            mapping[&self.source.application.namespace] = self.namespace.as_str().into();
        }
        mapping
    }

    /// The disks that were captured for a machine.
    pub fn captured_disks(&self) -> &[Disk] {
        &self.found.captured.data_volumes
    }

    /// The disks that are restored, by the names that Velero restores them under.
    pub fn disks(&self) -> Vec<String> {
        if self.is_machine() {
            let disks = self.captured_disks().iter();
            return disks.map(|disk| disk.data_volume_name.clone()).collect();
        }
        vec![self.restored_release()]
    }

    /// The application's Helm release, by the name that Velero restores it under.
    pub fn restored_release(&self) -> String {
        let ApplicationRef { kind, name, .. } = &self.source.application;
        kubevirt::release_of(kind, name)
    }

    /// The application's Helm release, by the name that it has in the end.
    pub fn release(&self) -> String {
        kubevirt::release_of(&self.source.application.kind, &self.name)
    }

    /// All Helm releases that Velero restores: the application's, and those of the disks.
    pub fn restored_releases(&self) -> Vec<String> {
        let mut releases = self.disks();
        if self.is_machine() {
            releases.push(self.restored_release());
        }
        releases
    }

    /// Looks for everything that would be replaced.
    pub fn look(&mut self, cx: &Context<Velero>) -> Outcome<()> {
        let mut found = std::mem::take(&mut self.found);
        // The disks are asked for by what was captured.
        self.found.captured = found.captured.clone();
        found.look(cx, self)?;
        self.found = found;
        Ok(())
    }

    /// Finds Velero's Backup, and in it what the Backup does not say of the disks. One that is gone comes back: Velero
    /// looks for backups in the bucket once a minute.
    pub fn is_there(&mut self, cx: &Context<Velero>) -> Outcome<()> {
        let name = self.backup.as_str();
        let Some(backup) = cx.get_in::<Backup>(velero::NAMESPACE, name)? else {
            return is_to_come(cx, &self.source, name);
        };
        if backup.progress() != Progress::Done {
            let phase = backup.phase();
            return fail!(
                "BackupUnusable",
                "Velero's Backup {name} cannot be restored: Velero says {phase}"
            );
        }
        if self.is_machine() && self.found.captured == Resources::default() {
            let captured = backup.metadata.annotations.get(CAPTURED);
            self.found.captured =
                captured.map_or(Ok(Resources::default()), |text| of_annotation(text))?;
        }
        Ok(())
    }
}

fn of_annotation(text: &str) -> Outcome<Resources> {
    let unreadable = |why: String| {
        fail!(
            "InvalidResources",
            "the annotation {CAPTURED} of Velero's Backup cannot be read: {why}"
        )
    };
    let document: Value = match text.parse() {
        Ok(document) => document,
        Err(error) => return unreadable(format!("{error}")),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let disks = document["dataVolumes"].as_array().into_iter().flatten();
    Ok(Resources {
        data_volumes: disks
            .map(|disk| Disk {
                data_volume_name: text(&disk["dataVolumeName"]),
                application_name: text(&disk["applicationName"]),
            })
            .collect(),
        ip: text(&document["ip"]),
        mac: text(&document["mac"]),
    })
}

/// Waits until Velero finds its Backup in the bucket, if there is anything to find.
pub fn is_to_come(cx: &Context<Velero>, source: &FinishedBackup, name: &str) -> Outcome<()> {
    velero_is_there(cx)?;
    let gone = || {
        fail!(
            "BackupGone",
            "Velero has no Backup {name} any more, and the bucket holds nothing of it"
        )
    };
    match crate::check::is_stored(cx, source, name)? {
        Some(true) => wait!(
            "VeleroBackupMissing",
            "waiting until Velero finds its Backup {name} in the bucket, where it looks once a minute; if it does not, \
             see whether BackupStorageLocation {} in {} is Available",
            velero::STORAGE_LOCATION,
            velero::NAMESPACE
        )
        .pending()
        .at_most(30.minutes()),
        Some(false) => gone(),
        None => wait!("VeleroBackupMissing", "Velero has no Backup {name}; waiting until it finds it where it is stored")
        .pending()
        .at_most(10.minutes()),
    }
}

/// Waits for Velero where it is not installed.
pub fn velero_is_there(cx: &Context<Velero>) -> Outcome<()> {
    if cx.serves::<Backup>() {
        return Ok(());
    }
    wait(
        "VeleroMissing",
        "Velero is not installed: the cluster does not know its kinds",
    )
    .pending()
    .at_most(30.minutes())
}

/// Whether Velero can restore one application as another: the data of a volume comes back under its name only, so a
/// copy lies in another namespace.
fn fits(source: &ApplicationRef, target: &ApplicationRef) -> Outcome<()> {
    if source.namespace == target.namespace && source.name != target.name {
        return fail!(
            "RenameInPlace",
            "{} {} cannot be restored as {} in its own namespace, since Velero restores disks under their own names; \
             set options.targetNamespace, or leave targetApplicationRef out",
            source.kind,
            source.name,
            target.name
        );
    }
    Ok(())
}
