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

use std::collections::BTreeMap;

use backup_strategy::prelude::*;

use crate::{
    Velero,
    claims::{self, Taker},
    found::{Found, Kept},
    kubevirt::{
        Claim, DataVolume, HALTED, HelmRelease, Pod, VirtualMachine, VirtualMachineInstance,
    },
    target::Target,
};

/// A machine whose guest does not shut down is killed after its grace period; the chart's is some minutes.
const SHUTDOWN: u32 = 15;

/// Waits until nothing else uses the disks, before anything is touched.
pub fn disks_are_free(cx: &Context<Velero>, target: &Target, found: &Found) -> Outcome<()> {
    let own = target.is_machine().then(|| target.restored_release());
    let pods = cx.find::<Pod>(&[])?;
    for disk in &found.disks {
        let other = pods.iter().find(|pod| {
            pod.holds(&disk.claim) && own.as_ref().is_none_or(|machine| !pod.is_of(machine))
        });
        if let Some(pod) = other {
            return wait(
                "DiskInUse",
                format!(
                    "Pod {} uses volume claim {}; stop the virtual machine that the disk belongs to",
                    pod.metadata.name, disk.claim
                ),
            )
            .pending()
            .at_most(15.minutes());
        }
    }
    Ok(())
}

/// Makes room, one step at a time.
pub fn make(cx: &Context<Velero>, target: &Target, found: &Found) -> Outcome<()> {
    releases_rest(cx, &found.releases)?;
    if target.is_machine() {
        machine_rests(cx, &target.restored_release())?;
    }
    let disks = target.disks();
    data_volumes_are_gone(cx, &disks)?;
    for disk in &found.disks {
        put_aside(cx, disk)?;
    }
    match first_there(cx, &disks)? {
        None => Ok(()),
        Some(disk) => fail(
            "DiskReappeared",
            format!(
                "volume claim {disk} is there again, which Velero would leave as it is; see who creates it, and restore \
                 again"
            ),
        ),
    }
}

fn first_there<'a>(cx: &Context<Velero>, disks: &'a [String]) -> Outcome<Option<&'a String>> {
    for disk in disks {
        if cx.get::<Claim>(disk)?.is_some() {
            return Ok(Some(disk));
        }
    }
    Ok(None)
}

/// Helm would make again what is deleted.
fn releases_rest(cx: &Context<Velero>, releases: &[String]) -> Outcome<()> {
    let (mut to_suspend, mut busy) = (Vec::new(), Vec::new());
    for name in releases {
        match cx.get::<HelmRelease>(name)? {
            Some(release) if !release.is_suspended() => to_suspend.push(name.as_str()),
            Some(release) if release.is_busy() => busy.push(name.as_str()),
            _ => {}
        }
    }
    to_suspend.iter().for_each(|name| cx.suspend(name));
    if !to_suspend.is_empty() {
        return wait(
            "HelmReleaseSuspending",
            format!(
                "HelmReleases are being suspended: {}",
                to_suspend.join(", ")
            ),
        )
        .at_most(10.minutes());
    }
    if !busy.is_empty() {
        return wait(
            "HelmReleaseBusy",
            format!("HelmReleases are being reconciled: {}", busy.join(", ")),
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
    wait(
        "VirtualMachineStopping",
        format!(
            "virtual machine {name} is being stopped; if its guest does not shut down, `virtctl stop {name} --force \
             --grace-period 0` ends it"
        ),
    )
    .at_most(SHUTDOWN.minutes())
}

/// Without a DataVolume nobody makes a claim anew. The claims stay.
fn data_volumes_are_gone(cx: &Context<Velero>, disks: &[String]) -> Outcome<()> {
    let mut left = Vec::new();
    for name in disks {
        if let Some(found) = cx.get::<DataVolume>(name)? {
            if !found.metadata.is_being_deleted() {
                let uid = found.metadata.uid.as_str();
                cx.delete::<DataVolume>(name, Some(uid), Propagation::Orphan);
            }
            left.push(name.as_str());
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    wait(
        "DataVolumesRemoving",
        format!("DataVolumes are being deleted: {}", left.join(", ")),
    )
    .at_most(10.minutes())
}

/// Nothing of what is put aside has labels, by which a later backup would take it for the application's.
fn put_aside(cx: &Context<Velero>, disk: &Kept) -> Outcome<()> {
    if disk.volume.is_empty() {
        return claims::is_gone(cx, &disk.claim);
    }
    let aside = disk.aside(cx);
    let taker = Taker {
        name: &aside,
        labels: &BTreeMap::new(),
        is_adopted: false,
    };
    claims::hand_over(cx, &disk.volume, &disk.claim, &taker)
}

/// Gives a disk that was put aside its name back, in place of what was restored under it.
pub fn bring_back(cx: &Context<Velero>, disk: &Kept) -> Outcome<()> {
    if disk.volume.is_empty() {
        return Ok(());
    }
    let there = cx.get::<Claim>(&disk.claim)?;
    if there.is_some_and(|claim| claim.volume() != disk.volume) {
        return claims::is_gone(cx, &disk.claim);
    }
    let taker = Taker {
        name: &disk.claim,
        labels: &disk.labels,
        is_adopted: true,
    };
    claims::hand_over(cx, &disk.volume, &disk.aside(cx), &taker)?;
    cx.merge::<Claim>(&disk.claim, &crate::kubevirt::adopted());
    disk.put_policy_back(cx)
}
