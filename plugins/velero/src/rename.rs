//! Gives a copy the name that was asked for. Velero restores under the old name, and the Helm release rests: nothing was
//! made from it yet.

use backup_strategy::{Captured, prelude::*};

use crate::{
    Velero,
    claims::{self, Taker},
    found::Kept,
    kubevirt::{Claim, HelmRelease},
    target::Target,
};

pub fn finish(cx: &Context<Velero>, target: &mut Target) -> Outcome<()> {
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
        disk_has_name(cx, target)?;
    }
    let Some(release) = release else {
        return Ok(());
    };
    if renamed.is_none() {
        cx.create(
            Lifetime::Kept,
            &under(&release, &target.name, &new, &target.namespace)?,
        );
    }
    if !release.metadata.is_being_deleted() {
        cx.delete::<HelmRelease>(&old, Some(&release.metadata.uid), Propagation::Background);
    }
    wait!(
        "HelmReleaseRenaming",
        "HelmRelease {new} takes the place of {old}, which is being deleted"
    )
    .at_most(15.minutes())
}

/// Gives the volume that was restored to a claim of the new name.
fn disk_has_name(cx: &Context<Velero>, target: &mut Target) -> Outcome<()> {
    let (old, new) = (target.restored_release(), target.release());
    let mut disk = match target.found.renamed.take() {
        Some(disk) => disk,
        None => restored(cx, target, &old, &new)?,
    };
    let volume = claims::volume_of(cx, &mut disk)?;
    let taker = Taker {
        name: &new,
        labels: &disk.labels,
        is_adopted: true,
    };
    let handed = claims::hand_over(cx, &disk, &volume, &old, &taker);
    target.found.renamed = Some(disk);
    cx.remember(&target.found)?;
    handed
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
        return wait!(
            "VolumeBinding",
            "volume claim {old} is restored, and has no volume yet"
        )
        .at_most(10.minutes());
    }
    let mut disk = Kept::of(claim);
    for (label, value) in [
        ("app.kubernetes.io/instance", new),
        ("apps.cozystack.io/application.name", &target.name),
    ] {
        if !disk.labels[label].is_null() {
            disk.labels[label] = value.into();
        }
    }
    disk.labels = pruned(disk.labels);
    Ok(disk)
}

/// Whether a mark is the release's, and not of how it came to be there.
fn is_its_own(key: &str) -> bool {
    !key.starts_with("velero.io/") && !key.starts_with("kubectl.kubernetes.io/")
}

/// A release under another name, that goes on at once.
fn under(release: &HelmRelease, application: &str, name: &str, namespace: &str) -> Outcome<Value> {
    let captured = Captured::of(&release.metadata, &release.spec)?.with_marks(is_its_own);
    let mut renamed = captured.object::<HelmRelease>(namespace, name);
    for (label, value) in [
        ("apps.cozystack.io/application.name", application),
        ("app.kubernetes.io/instance", name),
        ("helm.toolkit.fluxcd.io/name", name),
    ] {
        renamed["metadata"]["labels"][label] = value.into();
    }
    renamed["spec"]["suspend"] = Value::Null;
    Ok(pruned(renamed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_under_another_name_is_the_same_otherwise() {
        let labels = [
            ("apps.cozystack.io/application.kind", "VMInstance"),
            ("apps.cozystack.io/application.name", "web"),
            ("velero.io/restore-name", "r"),
        ];
        let release = HelmRelease(backup_strategy::Unstructured {
            metadata: Metadata {
                name: "vm-instance-web".into(),
                labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
                ..Metadata::default()
            },
            spec: json!({ "interval": "5m", "suspend": true, "values": { "disks": [{ "name": "root" }] } }),
            status: Value::Null,
        });
        assert_eq!(
            under(&release, "copy", "vm-instance-copy", "tenant-other").unwrap(),
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
