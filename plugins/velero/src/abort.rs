//! Undoes what a job has left that came to nothing.

use std::ops::Deref;

use backup_strategy::{Unstructured, prelude::*};

use crate::{
    Velero, forget,
    found::Found,
    kubevirt::{self, Claim, DataVolume, HelmRelease, VirtualMachine},
    restore::{self, RESTORED_BY},
    room,
    target::Target,
    velero::{self, NAMESPACE, Progress, Restore, Told},
};

/// The label that says which job made an object.
const OWNED_BY: &str = "backups.cozystack.io/owned-by.UID";

/// A backup that is no Backup's, whatever Velero has stored of it.
pub fn backup(cx: &Context<Velero>) -> Outcome<()> {
    let name = velero::name(cx, "backup");
    let Some(backup) = cx.get_in::<velero::Backup>(NAMESPACE, &name)? else {
        return Ok(());
    };
    if backup.has_stored_nothing() {
        if !backup.metadata.is_being_deleted() {
            let uid = backup.metadata.uid.as_str();
            cx.delete_in::<velero::Backup>(NAMESPACE, &name, Some(uid), Propagation::Background);
        }
        return Ok(());
    }
    if backup.progress() == Progress::Running {
        return wait!(
            "VeleroBackupRunning",
            "Velero removes Backup {name} only when it has ended, and cannot be told to stop"
        )
        .at_most(55.minutes());
    }
    forget::removed(cx, &backup, NAMESPACE)
}

/// A restore: everything is put back as it was found. Settings of the application that Velero has restored by then stay
/// as they were in the backup.
pub fn restore(cx: &Context<Velero>) -> Outcome<()> {
    let name = restore::name(cx);
    is_over(cx, &name)?;
    let Some(found) = cx.state()? else {
        return Ok(());
    };
    let mut target = Target::of(cx)?;
    target.found = found;
    if target.found.is_nothing() {
        return without_copy(cx, &name);
    }
    let machine = target.restored_release();
    // Velero may have started it on what it restored.
    if target.is_machine() && target.found.disks.iter().any(|disk| disk.is_aside) {
        room::machine_rests(cx, &machine)?;
    }
    room::bring_back(cx, &mut target)?;
    let found = &target.found;
    for claim in cx.find::<Claim>(&[])? {
        let name = &claim.metadata.name;
        if found.disks.iter().any(|disk| disk.claim == *name) {
            cx.merge::<Claim>(name, &kubevirt::adopted());
        }
    }
    run_as_before(cx, &machine, found);
    restore::go_on(cx, &found.releases)?;
    restore::without_modifiers(cx);
    cx.event(
        Severity::Warning,
        "RestoreUndone",
        "the disks are what they were before the restore",
    );
    Ok(())
}

/// Stops Velero, which goes on otherwise. What has ended stays until the Backup is forgotten: it tells why.
fn is_over(cx: &Context<Velero>, name: &str) -> Outcome<()> {
    let Some(restore) = cx.get_in::<Restore>(NAMESPACE, name)? else {
        return Ok(());
    };
    if matches!(restore.progress(), Progress::Done | Progress::Failed) {
        return Ok(());
    }
    if !restore.metadata.is_being_deleted() {
        let uid = restore.metadata.uid.as_str();
        cx.delete_in::<Restore>(NAMESPACE, name, Some(uid), Propagation::Background);
    }
    wait!(
        "VeleroRestoreRemoving",
        "Velero's Restore {name} is being deleted"
    )
    .at_most(15.minutes())
}

/// Puts back whether a machine runs.
pub fn run_as_before(cx: &Context<Velero>, name: &str, found: &Found) {
    if let Some(running) = &found.running {
        cx.merge::<VirtualMachine>(name, &json!({ "spec": running }));
    }
}

/// Of a copy nothing stays: its Helm releases rest still, so that nothing was made from them.
fn without_copy(cx: &Context<Velero>, restore: &str) -> Outcome<()> {
    let job = cx.job().uid;
    let mut left: Vec<String> = Vec::new();
    // What Velero has restored, and what got another name.
    for by in [(RESTORED_BY, restore), (OWNED_BY, &job)] {
        let by = [by];
        left.extend(all_of::<HelmRelease>(cx, &by)?);
        left.extend(all_of::<VirtualMachine>(cx, &by)?);
        left.extend(all_of::<DataVolume>(cx, &by)?);
        left.extend(all_of::<Claim>(cx, &by)?);
    }
    restore::without_modifiers(cx);
    if left.is_empty() {
        return Ok(());
    }
    wait!(
        "CopyRemoving",
        "what was restored is being deleted: {}",
        left.join(", ")
    )
    .at_most(15.minutes())
}

/// Deletes the objects of a kind with a label, and names them.
fn all_of<K>(cx: &Context<Velero>, by: &[(&str, &str)]) -> Outcome<Vec<String>>
where
    K: Object + Deref<Target = Unstructured>,
{
    let found = cx.find::<K>(by)?;
    if !found.is_empty() {
        cx.delete_all::<K>(by, Propagation::Background);
    }
    let names = found
        .iter()
        .map(|one| format!("{} {}", K::KIND, one.metadata.name));
    Ok(names.collect())
}
