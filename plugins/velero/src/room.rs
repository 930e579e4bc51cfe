//! Makes room for what is restored: Helm and the virtual machine rest, and the disks that are there are put aside.
//! Velero leaves a volume claim alone that it finds, with all of its data.
//!
//! | | what the cluster shows | what is done |
//! |---|---|---|
//! | 1 | Helm releases that go on | suspend them |
//! | 2 | Helm is still at work | wait |
//! | 3 | a virtual machine that is to run | halt it |
//! | 4 | it runs still | wait |
//! | 5 | DataVolumes | delete them, without their claims |
//! | 6 | volume claims | give their volumes to others, whose names have `-orig-` in them |
//!
//! `abort` goes the way back.

use backup_strategy::prelude::*;

use crate::{
    Velero,
    claims::{self, Taker},
    found::Kept,
    kubevirt::{
        Claim, DataVolume, HALTED, HelmRelease, Pod, VirtualMachine, VirtualMachineInstance,
    },
    target::Target,
};

/// A machine whose guest does not shut down is killed after its grace period; the chart's is some minutes.
const SHUTDOWN: u32 = 15;

/// Waits until nothing else uses the disks, before anything is touched.
pub fn disks_are_free(cx: &Context<Velero>, target: &Target) -> Outcome<()> {
    let own = target.is_machine().then(|| target.restored_release());
    let pods = cx.find::<Pod>(&[])?;
    for disk in &target.found.disks {
        let other = pods.iter().find(|pod| {
            pod.holds(&disk.claim) && own.as_ref().is_none_or(|machine| !pod.is_of(machine))
        });
        if let Some(pod) = other {
            return wait!(
                "DiskInUse",
                "Pod {} uses volume claim {}; stop the virtual machine that the disk belongs to",
                pod.metadata.name,
                disk.claim
            )
            .pending()
            .at_most(15.minutes());
        }
    }
    Ok(())
}

/// Makes room, one step at a time. What is done for a disk is remembered.
pub fn make(cx: &Context<Velero>, target: &mut Target) -> Outcome<()> {
    let disks = target.disks();
    let data_volumes = cx.find::<DataVolume>(&[])?;
    let data_volumes = data_volumes.iter();
    let data_volumes: Vec<&DataVolume> = data_volumes
        .filter(|volume| disks.contains(&volume.metadata.name))
        .collect();
    releases_rest(cx, &target.found.releases, !data_volumes.is_empty())?;
    if target.is_machine() {
        machine_rests(cx, &target.restored_release())?;
    }
    are_gone(cx, &data_volumes)?;
    for index in 0..target.found.disks.len() {
        let handed = match &mut target.found.disks[index] {
            disk if disk.is_aside => continue,
            disk => put_aside(cx, disk),
        };
        cx.remember(&target.found)?;
        handed?;
    }
    let claims = cx.find::<Claim>(&[])?;
    let back = claims
        .iter()
        .find(|claim| disks.contains(&claim.metadata.name));
    match back {
        None => Ok(()),
        Some(claim) => fail!(
            "DiskReappeared",
            "volume claim {} is there again, which Velero would leave as it is; see who creates it, and restore \
             again",
            claim.metadata.name
        ),
    }
}

/// Helm would make again what is deleted. What it has begun it finishes first, also when it was suspended, but once
/// something is deleted there is nothing to wait for any more.
fn releases_rest(cx: &Context<Velero>, releases: &[String], is_whole: bool) -> Outcome<()> {
    let found = cx.find::<HelmRelease>(&[])?;
    let (mut to_suspend, mut busy) = (Vec::new(), Vec::new());
    for release in &found {
        let name = release.metadata.name.as_str();
        if !releases.iter().any(|ours| ours == name) {
            continue;
        }
        if !release.is_suspended() {
            cx.suspend(name);
            to_suspend.push(name);
        } else if is_whole && release.is_busy() {
            busy.push(name);
        }
    }
    if !to_suspend.is_empty() {
        return wait!(
            "HelmReleaseSuspending",
            "HelmReleases are being suspended: {}",
            to_suspend.join(", ")
        )
        .at_most(10.minutes());
    }
    if !busy.is_empty() {
        return wait!(
            "HelmReleaseBusy",
            "HelmReleases are being reconciled: {}",
            busy.join(", ")
        )
        .at_most(15.minutes());
    }
    Ok(())
}

/// Halts a virtual machine and waits until it does not run any more: it would write to its disks.
pub fn machine_rests(cx: &Context<Velero>, name: &str) -> Outcome<()> {
    if let Some(machine) = cx.get::<VirtualMachine>(name)?
        && !machine.is_halted()
    {
        let patch = json!({ "spec": { "runStrategy": HALTED, "running": null } });
        cx.merge::<VirtualMachine>(name, &patch);
    } else if cx.get::<VirtualMachineInstance>(name)?.is_none() {
        return Ok(());
    }
    wait!(
        "VirtualMachineStopping",
        "virtual machine {name} is being stopped; if its guest does not shut down, `virtctl stop {name} --force \
         --grace-period 0` ends it"
    )
    .at_most(SHUTDOWN.minutes())
}

/// Without a DataVolume nobody makes a claim anew. The claims stay.
fn are_gone(cx: &Context<Velero>, data_volumes: &[&DataVolume]) -> Outcome<()> {
    let mut left = Vec::new();
    for found in data_volumes {
        let Metadata { name, uid, .. } = &found.metadata;
        if !found.metadata.is_being_deleted() {
            cx.delete::<DataVolume>(name, Some(uid), Propagation::Orphan);
        }
        left.push(name.as_str());
    }
    if left.is_empty() {
        return Ok(());
    }
    wait!(
        "DataVolumesRemoving",
        "DataVolumes are being deleted: {}",
        left.join(", ")
    )
    .at_most(10.minutes())
}

/// Nothing of what is put aside has labels, by which a later backup would take it for the application's.
fn put_aside(cx: &Context<Velero>, disk: &mut Kept) -> Outcome<()> {
    if disk.volume.is_empty() {
        let claims = cx.find::<Claim>(&[])?;
        let claim = claims.iter().find(|claim| claim.metadata.uid == disk.uid);
        return claims::is_gone(cx, claim);
    }
    let volume = claims::volume_of(cx, disk)?;
    let aside = disk.aside(cx);
    let taker = Taker {
        name: &aside,
        labels: &Value::Null,
        is_adopted: false,
    };
    claims::hand_over(cx, disk, &volume, &disk.claim, &taker)?;
    disk.is_aside = true;
    Ok(())
}

/// Gives disks that were put aside their names back, in place of what was restored under them.
pub fn bring_back(cx: &Context<Velero>, target: &mut Target) -> Outcome<()> {
    for index in 0..target.found.disks.len() {
        let disk = &mut target.found.disks[index];
        // Without a policy nobody has begun to put it aside.
        if !disk.volume.is_empty() && !disk.reclaim_policy.is_empty() {
            is_back(cx, disk)?;
            cx.remember(&target.found)?;
        }
    }
    Ok(())
}

fn is_back(cx: &Context<Velero>, disk: &mut Kept) -> Outcome<()> {
    let aside = disk.aside(cx);
    let claims = cx.find::<Claim>(&[])?;
    let claim = |name: &str| claims.iter().find(|claim| claim.metadata.name == name);
    let restored = claim(&disk.claim).filter(|claim| claim.volume() != disk.volume);
    if restored.is_some() {
        if claim(&aside).is_none_or(|aside| aside.metadata.is_being_deleted()) {
            // The old one is gone for good. What was restored is all there is.
            return Ok(());
        }
        return claims::is_gone(cx, restored);
    }
    let volume = claims::volume_of(cx, disk)?;
    let taker = Taker {
        name: &disk.claim,
        labels: &disk.labels,
        is_adopted: true,
    };
    claims::hand_over(cx, disk, &volume, &aside, &taker)?;
    // It is what it was; there is nothing to be done for it again.
    disk.reclaim_policy.clear();
    disk.is_aside = false;
    Ok(())
}
