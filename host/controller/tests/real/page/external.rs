//! "Disabling the platform-managed bucket": an external S3, behind TLS with an authority of its own.

use ::s3::S3;
use charts::HOST;
use controlplane::Shell;
use data_encoding::BASE64;
use serde_json::{Value, json};
use stage::{Bucket as _, Cnpg, DOCUMENTED_JOB, Fate, Workplace};

use super::{TENANT, is_ready};
use crate::{bucket::bucket_of, cluster::API, kubelet::Pod, site::Site};

/// A tenant whose database has no archive yet.
const NEWCOMER: &str = "tenant-nova";

/// Moves the platform to another storage and lets a tenant back up there; the bucket that was provisioned stays, with all that
/// is in it, and is the chart's again once it is wanted.
pub(super) async fn moves_to_another_storage(site: &Site, pod: Pod, tenant: &Shell) -> Pod {
    let s3 = S3::start_tls().unwrap();
    // As the value backupStorage.bucketName has it.
    std::fs::create_dir(s3.root.join("cozy-backups")).unwrap();
    say_where(site, &s3);
    let bucket = "kubectl -n cozy-backup-controller get bucket cozy-backups";
    site.admin.run(bucket).unwrap();
    pod.stop();
    let pod = site.pod().await;

    let newcomer = site.tenant(NEWCOMER).await;
    let database = stage::postgres_objects(NEWCOMER, "orders-db", "a-password");
    site.put(database.unwrap()).await;
    let storage = bucket_of(&s3, "cozy-backups");
    let place = Workplace::new(storage.clone()).of_namespace(NEWCOMER);
    let _operator = site.play(&[NEWCOMER], Cnpg::at(place, Fate::Completes));
    let example = DOCUMENTED_JOB.replace(TENANT, NEWCOMER);
    newcomer.run_on("kubectl apply -f -", &example).unwrap();
    is_ready(&newcomer, NEWCOMER, "backupjob/ad-hoc");
    assert!(!storage.keys().await.is_empty());
    velero_follows(site, &s3).await;
    the_old_one_is_left_alone(site, tenant).await;

    let back = "helm upgrade backupstrategy-controller charts/backupstrategy-controller \
                --namespace cozy-backup-controller --reset-values";
    site.admin.run(back).unwrap();
    site.admin.run(bucket).unwrap();
    pod
}

/// What the page tells to set, and where.
fn say_where(site: &Site, s3: &S3) {
    let authority = s3.authority.as_deref().unwrap();
    let secrets = "kubectl -n cozy-backup-controller";
    let source = "secret generic cozy-backups-system-credentials";
    let (key, secret) = (&s3.access_key, &s3.secret_key);
    for command in [
        format!("{secrets} delete secret cozy-backups-system-credentials"),
        format!(
            "{secrets} create {source} --from-literal=accessKey={key} --from-literal=secretKey={secret}"
        ),
        format!(
            "{secrets} create secret generic storage-authority --from-literal=ca.crt='{authority}'"
        ),
    ] {
        site.admin.run(&command).unwrap();
    }
    let host = json!({ "backupStorage": {
        "provisionBucket": false, "endpoint": s3.endpoint, "region": "eu-9",
        "caSecret": { "name": "storage-authority" },
    } });
    let velero = json!({ "configuration": { "backupStorageLocation": [{
        "name": "cozy-default", "provider": "aws", "bucket": "cozy-backups", "prefix": "velero",
        "credential": { "name": "cozy-backups-creds", "key": "cloud" },
        "caCert": BASE64.encode(authority.as_bytes()),
        "config": { "region": "eu-9", "s3ForcePathStyle": "true", "s3Url": s3.endpoint },
    }] } });
    let upgrade = |chart: &str, release: &str, namespace: &str| {
        format!("helm upgrade {release} charts/{chart} --namespace {namespace} --values -")
    };
    let of_host = upgrade(HOST.name, HOST.release, HOST.namespace);
    site.admin.run_on(&of_host, &host.to_string()).unwrap();
    // The host has written the place of the storage before, and Helm 4 asks before it takes a field from another.
    let of_velero = upgrade("velero", "velero-for-backups", "cozy-velero") + " --force-conflicts";
    site.admin.run_on(&of_velero, &velero.to_string()).unwrap();
}

async fn velero_follows(site: &Site, s3: &S3) {
    let target = ("velero.io/v1", "BackupStorageLocation", "cozy-default");
    let authority = BASE64.encode(s3.authority.as_deref().unwrap().as_bytes());
    let follows = |location: &Value| {
        let spec = &location["spec"];
        spec["config"]["s3Url"] == s3.endpoint.as_str()
            && spec["config"]["region"] == "eu-9"
            && spec["objectStorage"]["bucket"] == "cozy-backups"
            && spec["objectStorage"]["caCert"] == authority.as_str()
    };
    site.until("cozy-velero", target, follows).await;
}

/// A Backup in the storage of before is Ready as it was; whoever asks is told that it lies elsewhere.
async fn the_old_one_is_left_alone(site: &Site, tenant: &Shell) {
    let asks = format!(
        "kubectl -n {TENANT} annotate backup ad-hoc backups.cozystack.io/check-requested=moved"
    );
    site.admin.run(&asks).unwrap();
    let is_answered = |backup: &Value| backup["status"]["lastCheckRequest"] == "moved";
    let backup = site
        .until(TENANT, (API, "Backup", "ad-hoc"), is_answered)
        .await;
    let conditions = backup["status"]["conditions"].as_array().unwrap();
    let available = conditions
        .iter()
        .find(|condition| condition["type"] == "Available")
        .unwrap();
    assert_eq!(available["reason"], "StorageChanged", "{available}");
    let phase = format!("kubectl -n {TENANT} get backup ad-hoc -o jsonpath={{.status.phase}}");
    assert_eq!(tenant.run(&phase).unwrap(), "Ready");
}
