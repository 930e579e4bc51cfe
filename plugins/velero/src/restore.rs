//! Restores a virtual machine or a disk, in place or as a copy in another namespace.
//!
//! Room is made (`room`), Velero restores into it, and what rested goes on. Helm rests until the data is there: what
//! Velero brings back of Helm's releases is suspended as well.

use backup_strategy::prelude::*;

use crate::{
    Velero, abort,
    kubevirt::{Claim, HelmRelease, VirtualMachine},
    modifiers, order, rename, room,
    target::Target,
    velero::{self, ConfigMap, Movement, NAMESPACE, Progress, Restore, Told},
};

/// The label by which Velero marks what it has restored.
pub const RESTORED_BY: &str = "velero.io/restore-name";

/// The name of Velero's Restore.
pub fn name(cx: &Context<Velero>) -> String {
    velero::name(cx, "restore")
}

pub fn restore(cx: &Context<Velero>) -> Outcome<()> {
    cx.is_accepted()?;
    let mut target = Target::of(cx)?;
    let name = name(cx);
    let ordered = cx.get_in::<Restore>(NAMESPACE, &name)?;
    let Some(found) = cx.state()? else {
        return set_out(cx, &mut target, &name);
    };
    target.found = found;
    match ordered {
        None => {
            target.is_there(cx)?;
            room::make(cx, &mut target)?;
            begin(cx, &target, &name)
        }
        Some(restore) if restore.progress() == Progress::Done => finish(cx, &mut target, &restore),
        Some(restore) => running(cx, &restore),
    }
}

/// Looks whether all is in order, before anything is touched.
fn set_out(cx: &Context<Velero>, target: &mut Target, name: &str) -> Outcome<()> {
    target.is_there(cx)?;
    target.look(cx)?;
    is_free(cx, target)?;
    room::disks_are_free(cx, target)?;
    cx.dry_run(&order::restore(cx, target, name)?);
    cx.remember(&target.found)?;
    // Also those that rest already: the host puts back what it was told of.
    target
        .found
        .releases
        .iter()
        .for_each(|release| cx.suspend(release));
    room::make(cx, target)?;
    begin(cx, target, name)
}

/// A copy is to find nothing, unless it was told to replace what is there.
fn is_free(cx: &Context<Velero>, target: &Target) -> Outcome<()> {
    if !target.is_copy() || !target.options.fails_if_target_exists() {
        return Ok(());
    }
    let found = &target.found;
    let mut there: Vec<&str> = found.releases.iter().map(String::as_str).collect();
    there.extend(found.disks.iter().map(|disk| disk.claim.as_str()));
    let release = target.release();
    let releases = cx.find::<HelmRelease>(&[])?;
    let claims = cx.find::<Claim>(&[])?;
    let names = releases.iter().map(|release| &release.metadata.name);
    let mut names = names.chain(claims.iter().map(|claim| &claim.metadata.name));
    if target.is_renamed() && names.any(|name| *name == release) {
        there.push(&release);
    }
    if there.is_empty() && found.is_nothing() {
        return Ok(());
    }
    fail!(
        "TargetExists",
        "namespace {} has {} already; delete what is there, or set options.failIfTargetExists to false to have it \
         replaced",
        target.namespace,
        there.join(", ")
    )
}

fn begin(cx: &Context<Velero>, target: &Target, name: &str) -> Outcome<()> {
    cx.create(Lifetime::Kept, &modifiers::config_map(cx, target));
    cx.create(Lifetime::Kept, &order::restore(cx, target, name)?);
    cx.event(
        Severity::Normal,
        "VeleroRestoreCreated",
        &format!("Velero restores {} as Restore {name}", target.backup),
    );
    unseen(name)
}

/// Velero restores one backup at a time.
fn unseen(name: &str) -> Outcome<()> {
    wait!(
        "VeleroRestoreQueued",
        "Velero has yet to begin with Restore {name}"
    )
    .at_most(6.hours())
}

fn running(cx: &Context<Velero>, restore: &Restore) -> Outcome<()> {
    let name = &restore.metadata.name;
    match restore.progress() {
        Progress::New | Progress::Queued => unseen(name),
        Progress::Failed => {
            let movements = Movement::downloads(cx, restore)?;
            let why = restore.explanation(&movements);
            fail!("VeleroRestoreFailed", "Restore {name}: {why}")
        }
        _ => wait!(
            "VeleroRestoreRunning",
            "Velero is restoring (phase: {})",
            restore.phase()
        )
        .at_most(24.hours()),
    }
}

/// What Velero has restored goes on, and what was put aside stays or goes.
fn finish(cx: &Context<Velero>, target: &mut Target, restore: &Restore) -> Outcome<()> {
    is_restored(cx, target)?;
    if target.is_renamed() {
        rename::finish(cx, target)?;
    }
    if target.is_machine() && !target.is_renamed() {
        machine_goes_on(cx, target, restore)?;
    }
    go_on(cx, &final_releases(target))?;
    without_modifiers(cx);
    // Last: whatever fails before can still be undone.
    if !target.options.keeps_volumes() {
        for disk in &target.found.disks {
            cx.delete::<Claim>(&disk.aside(cx), None, Propagation::Background);
        }
    }
    Ok(())
}

/// The releases by the names that they have in the end.
fn final_releases(target: &Target) -> Vec<String> {
    let mut releases = target.restored_releases();
    for release in &mut releases {
        if *release == target.restored_release() {
            *release = target.release();
        }
    }
    releases
}

/// Velero says that it is done also where it has found a claim and left it alone.
fn is_restored(cx: &Context<Velero>, target: &Target) -> Outcome<()> {
    if target.is_renamed() && !target.is_machine() {
        // Its claim gets another name.
        return Ok(());
    }
    let claims = cx.find::<Claim>(&[])?;
    let is_new = |claim: &Claim| {
        let uid = &claim.metadata.uid;
        target.found.disks.iter().all(|disk| disk.uid != *uid)
    };
    let is_there = |disk: &String| {
        let mut claims = claims.iter();
        claims.any(|claim| claim.metadata.name == *disk && is_new(claim))
    };
    match target.disks().into_iter().find(|disk| !is_there(disk)) {
        None => Ok(()),
        Some(disk) => fail!(
            "DiskNotRestored",
            "Velero has not restored volume claim {disk}; see whether the strategy's restoreSpec leaves volume claims \
             out"
        ),
    }
}

/// Velero puts back whether a machine runs where it updates what is there. Otherwise it is as it was.
fn machine_goes_on(cx: &Context<Velero>, target: &Target, restore: &Restore) -> Outcome<()> {
    let name = target.restored_release();
    let Some(machine) = cx.get::<VirtualMachine>(&name)? else {
        return Ok(());
    };
    let restored_by = machine.metadata.labels.get(RESTORED_BY);
    if restored_by != Some(&restore.metadata.name) {
        abort::run_as_before(cx, &name, &target.found);
    }
    Ok(())
}

/// Has Helm make what is missing, such as the DataVolumes, and resumes releases. One that was suspended when the restore
/// began is so again.
pub fn go_on(cx: &Context<Velero>, releases: &[String]) -> Outcome<()> {
    let asked = cx.job().uid;
    for release in cx.find::<HelmRelease>(&[])? {
        let name = &release.metadata.name;
        if !releases.contains(name) {
            continue;
        }
        let patch = json!({
            "metadata": { "annotations": {
                "reconcile.fluxcd.io/requestedAt": asked,
                "reconcile.fluxcd.io/forceAt": asked,
            } },
            "spec": { "suspend": null },
        });
        cx.merge::<HelmRelease>(name, &patch);
        cx.resume(name);
    }
    Ok(())
}

/// The modifiers are of use only while Velero restores.
pub fn without_modifiers(cx: &Context<Velero>) {
    cx.delete_in::<ConfigMap>(
        NAMESPACE,
        &modifiers::name(cx),
        None,
        Propagation::Background,
    );
}
