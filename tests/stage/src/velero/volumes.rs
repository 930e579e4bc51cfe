//! Volumes: what binds them to claims, keeps or removes them. What lies in one stands in an annotation.

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, Part},
    reference,
};
use serde_json::{Value, json};

use super::{MANAGER, VeleroFate, VeleroServer, create, delete, is_deleting, merge, name_of, read};
use crate::play::{all, text};

const DATA: &str = "stage.example/data";
const PROTECTION: &str = "kubernetes.io/pvc-protection";
const MOVED: &str = "velero.io/dynamic-pv-restore";

impl VeleroServer {
    /// Binds claims to the volumes that are theirs, lets claims go, and removes volumes that nobody keeps.
    pub(super) async fn volumes<C: Cluster>(&self, cluster: &C) -> Result<Vec<String>, ApiError> {
        let claims = all(cluster, "v1", "PersistentVolumeClaim").await?;
        let volumes = all(cluster, "v1", "PersistentVolume").await?;
        let mut steps = vec![];
        for claim in claims.iter().filter(|claim| self.is_of_ours(claim)) {
            if is_deleting(claim) {
                steps.extend(self.let_go(cluster, claim).await?);
                continue;
            }
            let uid = text(claim, "/metadata/uid");
            let volume = volumes
                .iter()
                .find(|volume| name_of(volume) == text(claim, "/spec/volumeName"));
            let is_given = volume.is_some_and(|volume| text(volume, "/spec/claimRef/uid") == uid);
            let is_bound = text(claim, "/status/phase") == "Bound";
            if is_given && !is_bound && self.fate != VeleroFate::Unbound {
                status(cluster, claim, &json!({ "phase": "Bound" })).await?;
                steps.push(format!("claim {} is bound", name_of(claim)));
            }
        }
        for volume in volumes.iter().filter(|volume| is_played(volume)) {
            let of = text(volume, "/spec/claimRef/uid");
            let is_claimed = claims
                .iter()
                .any(|claim| text(claim, "/metadata/uid") == of);
            let is_kept = text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain";
            if !is_claimed && !is_kept {
                delete(cluster, volume).await?;
                steps.push(format!("volume {} is gone with its data", name_of(volume)));
            }
        }
        Ok(steps)
    }

    /// Those of virtual machines.
    fn is_of_ours(&self, claim: &Value) -> bool {
        name_of(claim).starts_with("vm-disk-") && self.place.covers(claim)
    }

    async fn let_go<C: Cluster>(
        &self,
        cluster: &C,
        claim: &Value,
    ) -> Result<Option<String>, ApiError> {
        let protected = claim["metadata"]["finalizers"] == json!([PROTECTION]);
        if !protected || self.fate == VeleroFate::ClaimsStay {
            return Ok(None);
        }
        let pods = all(cluster, "v1", "Pod").await?;
        let is_used = pods.iter().any(|pod| {
            let volumes = pod["spec"]["volumes"].as_array();
            text(pod, "/metadata/namespace") == text(claim, "/metadata/namespace")
                && volumes
                    .into_iter()
                    .flatten()
                    .any(|volume| volume["persistentVolumeClaim"]["claimName"] == *name_of(claim))
        });
        if is_used {
            return Ok(None);
        }
        merge(
            cluster,
            claim,
            &json!({ "metadata": { "finalizers": null } }),
        )
        .await?;
        Ok(Some(format!("claim {} is gone", name_of(claim))))
    }
}

fn is_played(volume: &Value) -> bool {
    volume["metadata"]["annotations"][DATA].is_string()
}

async fn status<C: Cluster>(cluster: &C, object: &Value, status: &Value) -> Result<(), ApiError> {
    let patch = json!({ "status": status });
    let host = Caller::host();
    cluster
        .merge(&host, MANAGER, &reference(object), &patch, Part::Status)
        .await
        .map(|_| ())
}

/// What lies in the volume of a claim.
pub(super) fn data_of(volumes: &[Value], claim: &Value) -> String {
    let name = text(claim, "/spec/volumeName");
    let volume = volumes.iter().find(|volume| name_of(volume) == name);
    let data = volume.and_then(|volume| volume["metadata"]["annotations"][DATA].as_str());
    data.unwrap_or_default().to_owned()
}

pub(super) fn is_unbound(claim: &Value) -> bool {
    text(claim, "/spec/volumeName").is_empty()
}

/// A claim for a disk, protected as the API server protects it.
pub(super) fn claim(namespace: &str, name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "finalizers": [PROTECTION],
        },
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": { "requests": { "storage": "5Gi" } },
            "storageClassName": "replicated",
            "volumeMode": "Block",
        },
    })
}

/// A claim of an archive, as Velero creates it for its data mover.
pub(super) fn without_volume(claim: &mut Value) {
    let name = text(claim, "/metadata/name").to_owned();
    let namespace = text(claim, "/metadata/namespace").to_owned();
    claim["metadata"]["finalizers"] = json!([PROTECTION]);
    if let Some(spec) = claim["spec"].as_object_mut() {
        spec.remove("volumeName");
        let label = json!({ MOVED: format!("{namespace}.{name}.abcde") });
        spec.insert("selector".to_owned(), json!({ "matchLabels": label }));
    }
}

/// Makes a volume with data in it, and gives it to a claim.
pub(super) async fn fill<C: Cluster>(
    cluster: &C,
    claim: &Value,
    data: &str,
) -> Result<(), ApiError> {
    let uid = text(claim, "/metadata/uid");
    let name = format!("pvc-{uid}");
    let label = claim
        .pointer("/spec/selector/matchLabels")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name, "labels": label, "annotations": { DATA: data } },
        "spec": {
            "capacity": { "storage": "5Gi" },
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"]["storageClassName"],
            "volumeMode": claim["spec"]["volumeMode"],
            "csi": { "driver": "linstor.csi.linbit.com", "volumeHandle": name },
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": text(claim, "/metadata/namespace"),
                "name": name_of(claim),
                "uid": uid,
            },
        },
    });
    create(cluster, &volume).await?;
    merge(cluster, claim, &json!({ "spec": { "volumeName": name } })).await?;
    let namespace = text(claim, "/metadata/namespace");
    let kind = ("v1", "PersistentVolumeClaim");
    let claim = read(cluster, kind, namespace, name_of(claim)).await?;
    status(cluster, &claim, &json!({ "phase": "Bound" })).await
}
