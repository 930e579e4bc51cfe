//! Gives a copy the name that was asked for. Velero restores under the old name, and the Helm release rests: nothing was
//! made from it yet.

use std::collections::BTreeMap;

use backup_strategy::prelude::*;

use crate::{
    Velero,
    claims::{self, Taker},
    found::{Found, Kept},
    kubevirt::{Claim, HelmRelease},
    object::Thing,
    restore::{self, RESTORED_BY},
    target::Target,
};

/// Marks of Velero's that are not the new release's.
const MARKS: [&str; 2] = [RESTORED_BY, "velero.io/backup-name"];

pub fn finish(cx: &Context<Velero>, target: &Target, found: &Found) -> Outcome<()> {
    let (old, new) = (target.restored_release(), target.release());
    let release = cx.get::<HelmRelease>(&old)?;
    let renamed = cx.get::<HelmRelease>(&new)?;
    if release.is_none() && renamed.is_none() {
        cx.event(
            Severity::Warning,
            "HelmReleaseNotRestored",
            "Velero has restored no Helm release; see whether the strategy's restoreSpec leaves HelmReleases out",
        );
    }
    if !target.is_machine() {
        disk_has_name(cx, target, found)?;
    }
    let Some(release) = release else {
        return Ok(());
    };
    if renamed.is_none() {
        cx.create(
            Lifetime::Kept,
            &under(&release, &target.name, &new, &target.namespace),
        );
    }
    if !release.metadata.is_being_deleted() {
        cx.delete::<HelmRelease>(&old, Some(&release.metadata.uid), Propagation::Background);
    }
    wait(
        "HelmReleaseRenaming",
        format!("HelmRelease {new} takes the place of {old}, which is being deleted"),
    )
    .at_most(15.minutes())
}

/// Gives the volume that was restored to a claim of the new name.
fn disk_has_name(cx: &Context<Velero>, target: &Target, found: &Found) -> Outcome<()> {
    let (old, new) = (&target.restored_release(), &target.release());
    let mut disk = match &found.renamed {
        Some(disk) => disk.clone(),
        None => restored(cx, target, old, new)?,
    };
    let volume = claims::volume_of(cx, &mut disk)?;
    let found = Found {
        renamed: Some(disk.clone()),
        ..found.clone()
    };
    restore::remember(cx, target, &found)?;
    let taker = Taker {
        name: new,
        labels: &disk.labels,
        is_adopted: true,
    };
    claims::hand_over(cx, &disk, &volume, old, &taker)
}

/// The disk as Velero has restored it, with the labels of its new name.
fn restored(cx: &Context<Velero>, target: &Target, old: &str, new: &str) -> Outcome<Kept> {
    let claims = cx.find::<Claim>(&[])?;
    let claim = claims.iter().find(|claim| claim.metadata.name == old);
    let claim = claim.or_fail(
        "DiskNotRestored",
        format!("Velero has not restored volume claim {old}"),
    )?;
    if claim.volume().is_empty() {
        return wait(
            "VolumeBinding",
            format!("volume claim {old} is restored, and has no volume yet"),
        )
        .at_most(10.minutes());
    }
    let mut disk = Kept::of(claim);
    for mark in MARKS {
        disk.labels.remove(mark);
    }
    name_labels(&mut disk.labels, new, &target.name);
    Ok(disk)
}

/// The labels that name a disk.
fn name_labels(labels: &mut BTreeMap<String, String>, release: &str, application: &str) {
    for (label, value) in [
        ("app.kubernetes.io/instance", release),
        ("apps.cozystack.io/application.name", application),
    ] {
        if let Some(found) = labels.get_mut(label) {
            *found = value.into();
        }
    }
}

/// A release under another name, that goes on at once.
fn under(release: &Thing, application: &str, name: &str, namespace: &str) -> Value {
    let mut labels = release.metadata.labels.clone();
    labels.retain(|key, _| {
        !MARKS.contains(&key.as_str()) && !key.starts_with("backups.cozystack.io/")
    });
    for (label, value) in [
        ("apps.cozystack.io/application.name", application),
        ("app.kubernetes.io/instance", name),
        ("helm.toolkit.fluxcd.io/name", name),
    ] {
        labels.insert(label.into(), value.into());
    }
    let mut annotations = release.metadata.annotations.clone();
    annotations.retain(|key, _| {
        !key.starts_with("velero.io/") && key != "kubectl.kubernetes.io/last-applied-configuration"
    });
    let mut spec = release.spec.clone();
    spec["suspend"] = Value::Null;
    pruned(json!({
        "apiVersion": HelmRelease::API_VERSION,
        "kind": HelmRelease::KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": spec,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_under_another_name_is_the_same_otherwise() {
        let labels = [
            ("apps.cozystack.io/application.kind", "VMInstance"),
            ("apps.cozystack.io/application.name", "web"),
            (RESTORED_BY, "r"),
        ];
        let release = Thing {
            metadata: Metadata {
                name: "vm-instance-web".into(),
                labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
                ..Metadata::default()
            },
            spec: json!({ "interval": "5m", "suspend": true, "values": { "disks": [{ "name": "root" }] } }),
            status: Value::Null,
        };
        assert_eq!(
            under(&release, "copy", "vm-instance-copy", "tenant-other"),
            json!({
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "metadata": {
                    "name": "vm-instance-copy",
                    "namespace": "tenant-other",
                    "labels": {
                        "app.kubernetes.io/instance": "vm-instance-copy",
                        "apps.cozystack.io/application.kind": "VMInstance",
                        "apps.cozystack.io/application.name": "copy",
                        "helm.toolkit.fluxcd.io/name": "vm-instance-copy",
                    },
                },
                "spec": { "interval": "5m", "values": { "disks": [{ "name": "root" }] } },
            })
        );
    }
}
