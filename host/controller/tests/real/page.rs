//! The documented page, walked from top to bottom: what it tells to type is typed, word for word, on a real API server, and
//! each of its sentences is held against what is there then.
//!
//! The page may lie beside this repository and not in it: the test has its commands, and is held against the page where that
//! is.

mod documented;
mod external;
mod inspected;
mod later;
mod tenant;
mod tuned;
mod vendor;

use std::path::Path;

use ::s3::S3;
use charts::HOST;
use controlplane::Shell;
use serde_json::{Value, json};
use stage::{Bucket as _, Cnpg, DOCUMENTED_JOB, Fate, Workplace};

use crate::{bucket::bucket_of, cluster::Played, site::Site};

/// The tenant of the page.
pub const TENANT: &str = "tenant-acme";

/// Installs as the charts' READMEs say, with nothing but the default values.
pub const INSTALLED: [&str; 2] = [
    "helm install backupstrategy-controller charts/backupstrategy-controller --namespace cozy-backup-controller",
    "helm install velero-for-backups charts/velero --namespace cozy-velero",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_true_from_its_first_sentence_to_its_last() {
    let s3 = S3::start().unwrap();
    let site = Site::new().await;
    let before = later::everything(&site).await;
    site.admin.run(INSTALLED[0]).unwrap();
    let release = &later::everything(&site).await - &before;
    site.admin.run(INSTALLED[1]).unwrap();
    provision(&site, &s3).await;
    let pod = site.pod().await;
    site.plugins_are_ready();

    inspected::defaults(&site).await;
    let tenant = site.tenant(TENANT).await;
    let postgres = postgres(&site, TENANT, &s3).await;
    tenant::applies_the_example(&site, &tenant, &s3).await;
    tenant::has_no_more_than_that(&site, &tenant).await;
    inspected::copies(&site, &s3).await;
    tuned::by_classes_of_ones_own(&site, &tenant, &s3).await;
    tuned::clickhouse(&site);
    tuned::no_keys_in_parameters(&site, &s3).await;
    drop(postgres);

    let pod = vendor::brings_a_strategy(&site, pod, &s3).await;
    let pod = later::is_rolled_back(&site, pod, &tenant, &s3).await;
    let pod = external::moves_to_another_storage(&site, pod, &tenant, &s3).await;
    later::is_removed_and_comes_back(&site, pod, &release).await;
}

/// What Cozystack's controller of Buckets makes of the chart's: a bucket under a name that it chooses, and the Secret of its
/// user.
async fn provision(site: &Site, s3: &S3) {
    let target = ("apps.cozystack.io/v1alpha1", "Bucket", "cozy-backups");
    let bucket = site.until(HOST.namespace, target, |_| true).await;
    assert_eq!(bucket["spec"]["users"]["system"]["readonly"], false);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "cozy-backups-system-credentials", "namespace": HOST.namespace,
            "labels": { "apps.cozystack.io/user-secret": "true" },
        },
        "stringData": {
            "accessKey": s3.access_key, "secretKey": s3.secret_key, "endpoint": s3.endpoint,
            "bucketName": s3.bucket,
        },
    });
    site.put(vec![secret]).await;
}

/// The page's database in a tenant's namespace, and its operator.
async fn postgres(site: &Site, namespace: &str, s3: &S3) -> Played {
    let database = stage::postgres_objects(namespace, "orders-db", "a-password");
    site.put(database.unwrap()).await;
    let place = Workplace::new(bucket_of(s3, &s3.bucket)).of_namespace(namespace);
    site.play(&[namespace], Cnpg::at(place, Fate::Completes))
}

/// What lies in a tenant's part of the bucket.
async fn stored(s3: &S3, namespace: &str) -> Vec<String> {
    let mut keys = bucket_of(s3, &s3.bucket).keys().await;
    keys.retain(|key| key.starts_with(&format!("{namespace}/")));
    keys
}

/// A job of a tenant's, as its YAML.
pub fn job(name: &str, class: &str, (kind, application): (&str, &str)) -> Value {
    json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": { "name": name, "namespace": TENANT },
        "spec": {
            "backupClassName": class,
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": kind, "name": application },
        },
    })
}

/// Waits until a job has ended, and well.
pub fn is_ready(shell: &Shell, namespace: &str, job: &str) {
    let kubectl = format!("kubectl -n {namespace}");
    let ends =
        format!("{kubectl} wait --for=jsonpath='{{.status.completedAt}}' {job} --timeout=60s");
    let ended = shell.run(&ends);
    let found = shell.run(&format!("{kubectl} get {job} -o yaml")).unwrap();
    assert!(
        ended.is_ok() && found.contains("phase: Succeeded"),
        "{found}"
    );
}

/// Without what the page has lost: the space at the beginning of lines.
fn flush(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn no_command_and_no_example_of_the_page_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
    let Ok(files) = std::fs::read_dir(folder) else {
        return;
    };
    let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let Some(page) = texts
        .into_iter()
        .find(|text| text.starts_with("Backup Classes"))
    else {
        return;
    };
    let lines = flush(&page);
    let commands = lines.iter().filter(|line| line.starts_with("kubectl "));
    assert_eq!(commands.copied().collect::<Vec<_>>(), inspected::COMMANDS);
    for example in [DOCUMENTED_JOB, tuned::SYSTEM_BUCKET] {
        let example = flush(example);
        let found = lines.windows(example.len()).any(|lines| lines == example);
        assert!(found, "{example:?}");
    }
    for (kind, strategy) in inspected::TABLE {
        let says = |line: &&&str| {
            line.contains(&format!("apps.cozystack.io/{kind} |"))
                && line.ends_with(&format!("{strategy} |"))
        };
        assert!(lines.iter().find(says).is_some(), "{kind} {strategy}");
    }
    for knob in tuned::KNOBS {
        assert!(page.contains(knob), "{knob}");
    }
}
