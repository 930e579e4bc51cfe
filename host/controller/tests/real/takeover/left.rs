//! What the reference's controllers have left: of each kind an object in each phase.

use ::s3::S3;
use backup_api::names::{FINALIZER, LEGACY_FINALIZER};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Bucket as _, Kept};

use super::{BUCKET, ROOT, TENANT, WRITTEN, Written};
use crate::{bucket::bucket_of, cluster::API, site::Site};

/// The object by which Velero knows the kept Backup's archive.
pub(super) const VELERO_BACKUP: &str = "tenant-acme.nightly-x7k2p";

/// The dump of a strategy that the host has not.
const DOCUMENTS: &str = "tenant-acme/documents/2026-08-21T01:04:05Z/dump.gz";

/// Puts everything. Gives back what lies in the bucket.
pub(super) async fn put(site: &Site, s3: &S3) -> Vec<String> {
    site.put(vec![source(s3)]).await;
    site.put(applications()).await;
    let bucket = bucket_of(s3, BUCKET);
    for written in &WRITTEN {
        let (backup, stored) = backup(written, s3);
        site.plane.apply(&[backup]).await.unwrap();
        for (key, size) in stored {
            bucket.put(&key, size, Timestamp::UNIX_EPOCH).await;
        }
    }
    bucket.put(DOCUMENTS, 64, Timestamp::UNIX_EPOCH).await;
    site.plane
        .apply(&[velero_backup(), of_another_strategy("documents"), plan()])
        .await
        .unwrap();
    site.put(jobs()).await;
    being_deleted(site).await;
    bucket.keys().await
}

/// Whether something stays behind the last Backup: the repository of a namespace is Velero's, and what the operator has
/// written of other dumps is its own.
pub(super) fn stays(key: &str) -> bool {
    key == DOCUMENTS
        || key.contains("/kopia/")
        || key.contains("backup.2026-08-20")
        || key.contains("backup.2026-08-22")
}

/// The status of all that had come to an end.
pub(super) async fn ended_jobs(site: &Site) -> Vec<Value> {
    let mut found = vec![];
    for (kind, name) in [
        ("BackupJob", "done"),
        ("BackupJob", "failed"),
        ("RestoreJob", "restored"),
    ] {
        let job = site.read(TENANT, (API, kind, name)).await.unwrap();
        found.push(job["status"].clone());
    }
    found
}

/// The namespaces that all of it is in.
pub(super) fn namespaces() -> Vec<Value> {
    let namespace =
        |name| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    [ROOT, TENANT].map(namespace).to_vec()
}

/// What Cozystack's bucket makes for the platform.
fn source(s3: &S3) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "bucket-cozy-backups-system-credentials", "namespace": ROOT },
        "stringData": {
            "accessKey": s3.access_key, "secretKey": s3.secret_key, "endpoint": s3.endpoint, "bucketName": BUCKET,
        },
    })
}

/// Those that the kept Backups are of, and what their operators say of them.
fn applications() -> Vec<Value> {
    let objects = [
        stage::postgres_objects(TENANT, "orders-db", "a-password"),
        stage::etcd_objects(TENANT, "etcd"),
        stage::mariadb_objects(TENANT, "orders", "a-password"),
        stage::clickhouse_objects(TENANT, "events", (1, 1)),
        stage::foundationdb_objects(TENANT, "fdb"),
    ];
    objects.into_iter().flat_map(Result::unwrap).collect()
}

/// A Backup as the reference wrote it, in the storage of this test, and what lies there for it.
fn backup(written: &Written, s3: &S3) -> (Value, Vec<(String, u64)>) {
    let kept = Kept::of(written.strategy, "v0").unwrap();
    let host = s3.endpoint.trim_start_matches("http://");
    let text = kept.backup.to_string();
    let text = text
        .replace("https://s3.cozy.example", &s3.endpoint)
        .replace("s3.cozy.example:443", host)
        .replace("s3.cozy.example", host)
        .replace("secure_connection=1", "secure_connection=0");
    let mut backup: Value = serde_json::from_str(&text).unwrap();
    backup["metadata"]["name"] = json!(written.name());
    backup["metadata"]["finalizers"] = json!(written.finalizers);
    (backup, kept.stored)
}

/// Velero's own object of the kept Backup.
pub(super) fn velero_backup() -> Value {
    json!({
        "apiVersion": "velero.io/v1", "kind": "Backup",
        "metadata": {
            "name": VELERO_BACKUP, "namespace": "cozy-velero",
            "labels": {
                "backups.cozystack.io/owned-by.BackupJobName": "old-velero",
                "backups.cozystack.io/owned-by.BackupJobNamespace": TENANT,
            },
        },
        "spec": { "storageLocation": "cozy-default", "includedNamespaces": [TENANT], "ttl": "720h0m0s" },
        "status": { "phase": "Completed", "completionTimestamp": "2026-08-01T02:10:00Z" },
    })
}

/// A Backup of a kind of strategy that the host has not.
fn of_another_strategy(name: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "Backup",
        "metadata": { "name": name, "namespace": TENANT, "finalizers": [FINALIZER] },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "MongoDB", "name": "documents" },
            "strategyRef": {
                "apiGroup": "strategy.backups.cozystack.io", "kind": "MongoDB", "name": "cozy-default-mongodb",
            },
            "takenAt": "2026-08-21T01:04:05Z",
            "driverMetadata": { "psmdb.percona.com/backup-name": "documents-x7k2p" },
        },
        "status": { "phase": "Ready", "artifact": { "uri": format!("s3://{BUCKET}/{DOCUMENTS}") } },
    })
}

/// A schedule whose next time is far away. The reference can store no condition of one: its reasons are none.
fn plan() -> Value {
    json!({
        "apiVersion": API, "kind": "Plan", "metadata": { "name": "yearly", "namespace": TENANT },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Etcd", "name": "etcd" },
            "backupClassName": "cozy-default",
            "schedule": { "type": "cron", "cron": "0 3 1 1 *" },
        },
    })
}

fn ready(status: &str, reason: &str, message: &str) -> Value {
    json!([{
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-08-21T01:05:05Z",
    }])
}

fn jobs() -> Vec<Value> {
    let job = |kind: &str, name: &str, spec: Value, status: Value| {
        json!({
            "apiVersion": API, "kind": kind, "metadata": { "name": name, "namespace": TENANT },
            "spec": spec, "status": status,
        })
    };
    // Without a group, as tenants wrote them: the reference takes its own for it.
    let etcd = json!({ "applicationRef": { "kind": "Etcd", "name": "etcd" }, "backupClassName": "cozy-default" });
    let begun = "2026-08-21T01:04:05Z";
    let just_now = Timestamp::now().round(jiff::Unit::Second).unwrap();
    let done = json!({
        "phase": "Succeeded", "startedAt": begun, "completedAt": "2026-08-21T01:05:05Z",
        "backupRef": { "name": "done" }, "conditions": ready("True", "BackupCompleted", "done"),
    });
    let failed = json!({
        "phase": "Failed", "startedAt": begun, "completedAt": "2026-08-21T01:05:05Z", "message": "of then",
        "conditions": ready("False", "BackupFailed", "of then"),
    });
    // As Velero's driver leaves it: without a condition.
    let restored = json!({
        "phase": "Succeeded", "startedAt": begun, "completedAt": "2026-08-21T01:05:05Z",
    });
    let mut restore = job(
        "RestoreJob",
        "restored",
        json!({ "backupRef": { "name": "old-etcd" } }),
        restored,
    );
    restore["metadata"]["finalizers"] = json!([FINALIZER]);
    vec![
        restore,
        job("BackupJob", "done", etcd.clone(), done),
        job("BackupJob", "failed", etcd.clone(), failed),
        job(
            "BackupJob",
            "running",
            etcd.clone(),
            json!({ "phase": "Running", "startedAt": just_now }),
        ),
        job(
            "BackupJob",
            "long-ago",
            etcd.clone(),
            json!({ "phase": "Running", "startedAt": begun }),
        ),
        job("BackupJob", "new", etcd, json!({})),
    ]
}

/// What somebody deleted when the controllers had ended already: it is held by nobody.
async fn being_deleted(site: &Site) {
    let restore = json!({
        "apiVersion": API, "kind": "RestoreJob",
        "metadata": { "name": "leaving", "namespace": TENANT, "finalizers": [FINALIZER] },
        "spec": { "backupRef": { "name": "long-gone" } },
        "status": { "phase": "Failed", "message": "of then" },
    });
    site.put(vec![restore]).await;
    let mut backup = of_another_strategy("leaving");
    backup["metadata"]["finalizers"] = json!([FINALIZER, LEGACY_FINALIZER]);
    site.plane.apply(&[backup]).await.unwrap();
    let deleted =
        "kubectl --namespace tenant-acme delete --wait=false backup/leaving restorejob/leaving";
    site.admin.run(deleted).unwrap();
}
