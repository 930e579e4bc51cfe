//! Gives a volume from one claim to another, which renames a disk without copying it.
//!
//! | | what the cluster shows | what is done |
//! |---|---|---|
//! | 1 | the old claim | keep the volume whatever becomes of its claim; create the new claim; delete the old one |
//! | 2 | the old claim is being deleted | wait |
//! | 3 | the new claim, and the volume is still the old one's | tell the volume whose it is |
//! | 4 | the volume is the new claim's, which is not bound yet | wait |
//!
//! Every step goes by what is there, so it does not matter where the last one was cut off.

use std::collections::BTreeMap;

use backup_strategy::prelude::*;

use crate::{
    Velero,
    kubevirt::{Claim, Volume, adopted},
};

/// A claim that gets a volume.
pub struct Taker<'a> {
    pub name: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    /// Whether a DataVolume may take it.
    pub is_adopted: bool,
}

/// Gives `volume` from the claim `from` to another one, and waits until that is bound.
pub fn hand_over(cx: &Context<Velero>, volume: &str, from: &str, to: &Taker<'_>) -> Outcome<()> {
    let found = cx.get::<Volume>(volume)?.or_fail(
        "VolumeMissing",
        format!("volume {volume} of volume claim {from} is gone"),
    )?;
    let giver = cx.get::<Claim>(from)?;
    let giver = giver.filter(|claim| claim.volume() == volume);
    let taker = cx.get::<Claim>(to.name)?;
    if taker
        .as_ref()
        .is_some_and(|taker| taker.metadata.is_being_deleted())
    {
        // It gave the volume away a moment ago. The other one must not go before there is another of its name.
        return is_gone(cx, to.name);
    }
    if let Some(giver) = giver {
        if !giver.metadata.is_being_deleted() {
            if found.reclaim_policy() != "Retain" {
                let patch = json!({ "spec": { "persistentVolumeReclaimPolicy": "Retain" } });
                cx.merge::<Volume>(volume, &patch);
            }
            if taker.is_none() {
                cx.create(Lifetime::Kept, &claim_like(cx, &giver, to));
            }
            cx.delete::<Claim>(from, Some(&giver.metadata.uid), Propagation::Background);
        }
        return wait(
            "VolumeClaimRemoving",
            format!(
                "volume claim {from} is being deleted; its volume {volume} is kept for {}",
                to.name
            ),
        )
        .at_most(15.minutes());
    }
    let taker = taker.or_fail(
        "VolumeClaimMissing",
        format!(
            "volume {volume} is kept, but both of its claims are gone, {from} and {}; create one with spec.volumeName \
             {volume}",
            to.name
        ),
    )?;
    if found.claim() != taker.metadata.uid {
        let claim = json!({
            "apiVersion": Claim::API_VERSION,
            "kind": Claim::KIND,
            "namespace": cx.subject().namespace,
            "name": to.name,
            "uid": taker.metadata.uid,
            "resourceVersion": null,
        });
        cx.merge::<Volume>(volume, &json!({ "spec": { "claimRef": claim } }));
    } else if taker.is_bound() {
        return Ok(());
    }
    wait(
        "VolumeBinding",
        format!("volume {volume} is being bound to volume claim {}", to.name),
    )
    .at_most(10.minutes())
}

fn claim_like(cx: &Context<Velero>, claim: &Claim, to: &Taker<'_>) -> Value {
    let mut made = pruned(json!({
        "apiVersion": Claim::API_VERSION,
        "kind": Claim::KIND,
        "metadata": {
            "name": to.name,
            "namespace": cx.subject().namespace,
            "labels": to.labels,
        },
        "spec": {
            "accessModes": claim.spec["accessModes"],
            "resources": claim.spec["resources"],
            "storageClassName": claim.spec["storageClassName"],
            "volumeMode": claim.spec["volumeMode"],
            "volumeName": claim.volume(),
        },
    }));
    if to.is_adopted {
        made["metadata"]["annotations"] = adopted()["metadata"]["annotations"].take();
    }
    made
}

/// Deletes a claim and waits until it is gone.
pub fn is_gone(cx: &Context<Velero>, claim: &str) -> Outcome<()> {
    let Some(found) = cx.get::<Claim>(claim)? else {
        return Ok(());
    };
    if !found.metadata.is_being_deleted() {
        cx.delete::<Claim>(claim, Some(&found.metadata.uid), Propagation::Background);
    }
    wait(
        "VolumeClaimRemoving",
        format!("volume claim {claim} is being deleted; a Pod that uses it keeps it"),
    )
    .at_most(15.minutes())
}
