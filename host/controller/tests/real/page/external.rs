//! "Disabling the platform-managed bucket": an external S3, behind TLS with an authority of its own.

use ::s3::S3;
use controlplane::Shell;
use data_encoding::BASE64;
use serde_json::{Value, json};
use stage::{Bucket as _, Cnpg, DOCUMENTED_JOB, Fate, Workplace};

use super::{TENANT, is_ready, provision};
use crate::{
    bucket::bucket_of,
    cluster::API,
    kubelet::Pod,
    site::Site,
    typed::{Page, desk},
};

/// A tenant whose database has no archive yet.
const NEWCOMER: &str = "tenant-nova";

/// The bucket of the documentation's examples, and its region.
const BUCKET: &str = "backups-of-ours";
const REGION: &str = "eu-1";

/// Moves the platform to another storage and lets a tenant back up there; the bucket that was provisioned stays, with all that
/// is in it, and is the chart's again once it is wanted, with what was restored out of it as before.
pub(super) async fn moves_to_another_storage(
    site: &Site,
    pod: Pod,
    tenant: &Shell,
    before: &S3,
) -> Pod {
    let s3 = S3::start_tls().unwrap();
    std::fs::create_dir(s3.root.join(BUCKET)).unwrap();
    say_where(site, &s3);
    let own = Page::of("storage.md").section("The platform's own bucket");
    let [bucket] = own.commands();
    site.admin.run(&bucket).unwrap();
    pod.stop();
    let pod = site.pod().await;

    let newcomer = site.tenant(NEWCOMER).await;
    let database = stage::postgres_objects(NEWCOMER, "orders-db", "a-password");
    site.put(database.unwrap()).await;
    let storage = bucket_of(&s3, BUCKET);
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
    site.admin.run(&bucket).unwrap();
    provision(site, before).await;
    pod.stop();
    let pod = site.pod().await;
    let place = Workplace::new(bucket_of(before, &before.bucket)).of_namespace(TENANT);
    let _operator = site.play(&[TENANT], Cnpg::at(place, Fate::Completes));
    let job = site.restored(TENANT, "ad-hoc", "back").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
    pod
}

/// Says where the storage is, and by which authority it is trusted, as the documentation tells to.
fn say_where(site: &Site, s3: &S3) {
    let desk = desk();
    let write = |file: &str, text: &str| std::fs::write(desk.path().join(file), text).unwrap();
    let admin = Shell::of(&site.plane).unwrap().in_folder(desk.path());
    let page = Page::of("storage.md");
    let external = page.section("An external S3");
    let private = page.section("With a private certificate authority");
    let values = private.blocks("yaml").remove(0);
    let values = values.replace("https://s3.internal.example.org", &s3.endpoint);
    write("external.yaml", &values);
    let authority = s3.authority.as_deref().unwrap();
    write("ca.crt", authority);

    let [source, upgrade] = external.commands();
    let source = source.replace("=KEY", &format!("={}", s3.access_key));
    let source = source.replace("=SECRET", &format!("={}", s3.secret_key));
    let [certificate] = private.commands();
    let there = "kubectl -n cozy-backup-controller delete secret cozy-backups-system-credentials";
    for command in [there, &source, &certificate, &upgrade] {
        admin.run(command).unwrap();
    }
    let values = external.blocks("yaml").remove(1);
    let values = values.replace("https://s3.example.org", &s3.endpoint);
    let mut values: Value = serde_saphyr::from_str(&values).unwrap();
    values["configuration"]["backupStorageLocation"][0]["caCert"] =
        json!(BASE64.encode(authority.as_bytes()));
    // The host has written the place of the storage before, and Helm 4 asks before it takes a field from another.
    let velero = "helm upgrade velero-for-backups charts/velero --namespace cozy-velero --values - --force-conflicts";
    admin.run_on(velero, &values.to_string()).unwrap();
}

async fn velero_follows(site: &Site, s3: &S3) {
    let target = ("velero.io/v1", "BackupStorageLocation", "cozy-default");
    let authority = BASE64.encode(s3.authority.as_deref().unwrap().as_bytes());
    let follows = |location: &Value| {
        let spec = &location["spec"];
        spec["config"]["s3Url"] == s3.endpoint.as_str()
            && spec["config"]["region"] == REGION
            && spec["objectStorage"]["bucket"] == BUCKET
            && spec["objectStorage"]["caCert"] == authority.as_str()
    };
    site.until("cozy-velero", target, follows).await;
}

/// A Backup in the storage of before is Ready as it was; whoever asks is told that it lies elsewhere, and nothing is restored.
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
    assert_eq!(available["status"], "Unknown", "{available}");
    let refused = site.restored(TENANT, "ad-hoc", "elsewhere").await;
    let message = refused["status"]["message"].to_string();
    assert!(message.contains("StorageChanged"), "{refused:#}");
    let phase = format!("kubectl -n {TENANT} get backup ad-hoc -o jsonpath={{.status.phase}}");
    assert_eq!(tenant.run(&phase).unwrap(), "Ready");
}
