//! Gives a volume from one claim to another, which renames a disk without copying it.
//!
//! | | what the cluster shows | what is done |
//! |---|---|---|
//! | 1 | the old claim | keep the volume whatever becomes of its claim; create the new claim; delete the old one |
//! | 2 | the old claim is being deleted | wait |
//! | 3 | the new claim, and the volume is still the old one's | tell the volume whose it is |
//! | 4 | the volume is the new claim's, which is not bound yet | wait |
//! | 5 | the new claim is bound | let the volume go with it, if it did before |
//!
//! Every step goes by what is there, so it does not matter where the last one was cut off.

use backup_strategy::prelude::*;

use crate::{
    Velero,
    found::Kept,
    kubevirt::{Claim, Volume, adopted},
};

/// The policy by which a volume outlives its claim.
const RETAIN: &str = "Retain";

/// A claim that gets a volume.
pub struct Taker<'a> {
    pub name: &'a str,
    pub labels: &'a Value,
    /// Whether a DataVolume may take it.
    pub is_adopted: bool,
}

/// The volume of a disk, and what becomes of it when its claim goes: kept in `disk`, because it changes in between.
pub fn volume_of(cx: &Context<Velero>, disk: &mut Kept) -> Outcome<Volume> {
    let volume = cx.get::<Volume>(&disk.volume)?.or_fail(
        "VolumeMissing",
        format!(
            "volume {} of volume claim {} does not exist",
            disk.volume, disk.claim
        ),
    )?;
    if disk.reclaim_policy.is_empty() {
        disk.reclaim_policy = volume.reclaim_policy().into();
    }
    Ok(volume)
}

/// Gives the volume of a disk from one claim to another, and waits until that is bound.
pub fn hand_over(
    cx: &Context<Velero>,
    disk: &Kept,
    volume: &Volume,
    from: &str,
    to: &Taker<'_>,
) -> Outcome<()> {
    let name = disk.volume.as_str();
    let claims = cx.find::<Claim>(&[])?;
    let claim = |name: &str| claims.iter().find(|claim| claim.metadata.name == name);
    let taker = claim(to.name);
    if taker.is_some_and(|taker| taker.metadata.is_being_deleted()) {
        // It gave the volume away a moment ago. The other one must not go before there is another of its name.
        return removing(to.name);
    }
    if let Some(giver) = claim(from).filter(|claim| claim.volume() == name) {
        if !giver.metadata.is_being_deleted() {
            if volume.reclaim_policy() != RETAIN {
                set_policy(cx, name, RETAIN);
            }
            if taker.is_none() {
                cx.create(Lifetime::Kept, &claim_like(cx, giver, to));
            }
            cx.delete::<Claim>(from, Some(&giver.metadata.uid), Propagation::Background);
        }
        return removing(from);
    }
    let taker = taker.or_fail(
        "VolumeClaimMissing",
        format!(
            "volume {name} is kept, but both of its claims are gone, {from} and {}; create one with spec.volumeName \
             {name}",
            to.name
        ),
    )?;
    if volume.claim() != taker.metadata.uid {
        let claim = json!({
            "apiVersion": Claim::API_VERSION,
            "kind": Claim::KIND,
            "namespace": cx.subject().namespace,
            "name": to.name,
            "uid": taker.metadata.uid,
            "resourceVersion": null,
        });
        cx.merge::<Volume>(name, &json!({ "spec": { "claimRef": claim } }));
    } else if taker.is_bound() {
        if volume.reclaim_policy() == disk.reclaim_policy {
            return Ok(());
        }
        set_policy(cx, name, &disk.reclaim_policy);
    }
    wait!(
        "VolumeBinding",
        "volume {name} is being bound to volume claim {}",
        to.name
    )
    .at_most(10.minutes())
}

fn set_policy(cx: &Context<Velero>, volume: &str, policy: &str) {
    let patch = json!({ "spec": { "persistentVolumeReclaimPolicy": policy } });
    cx.merge::<Volume>(volume, &patch);
}

fn claim_like(cx: &Context<Velero>, claim: &Claim, to: &Taker<'_>) -> Value {
    let spec = json!({
        "accessModes": claim.spec["accessModes"],
        "resources": claim.spec["resources"],
        "storageClassName": claim.spec["storageClassName"],
        "volumeMode": claim.spec["volumeMode"],
        "volumeName": claim.volume(),
    });
    let mut made = Claim::object(&cx.subject().namespace, to.name, spec);
    made["metadata"]["labels"] = to.labels.clone();
    let mut made = pruned(made);
    if to.is_adopted {
        made["metadata"]["annotations"] = adopted()["metadata"]["annotations"].take();
    }
    made
}

/// Deletes a claim and waits until it is gone.
pub fn is_gone(cx: &Context<Velero>, claim: Option<&Claim>) -> Outcome<()> {
    let Some(claim) = claim else {
        return Ok(());
    };
    let Metadata { name, uid, .. } = &claim.metadata;
    if !claim.metadata.is_being_deleted() {
        cx.delete::<Claim>(name, Some(uid), Propagation::Background);
    }
    removing(name)
}

fn removing(claim: &str) -> Outcome<()> {
    wait!(
        "VolumeClaimRemoving",
        "volume claim {claim} is being deleted; a Pod that uses it keeps it"
    )
    .at_most(15.minutes())
}
