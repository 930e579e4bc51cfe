//! A cluster on which the reference's controllers ran is handed to the host, with all that they have left: Backups in every
//! shape, jobs that have ended, that run, and that nobody has begun, Plans, and what is being deleted.

mod left;
mod reference;

use ::s3::S3;
use backup_api::names::{CHECK_REQUESTED, FINALIZER, LEGACY_FINALIZER};
use charts::HOST;
use serde_json::{Value, json};
use stage::{
    AltinityFate, Archive, Bucket as _, ClickHouse, Cnpg, EtcdFate, EtcdOperator, Fate,
    FoundationDbFate, FoundationDbOperator, Location, MariaDbFate, MariaDbOperator, VeleroFate,
    VeleroServer, Workplace,
};

use crate::{
    bucket::bucket_of,
    cluster::{API, Played},
    site::Site,
};

/// As the kept Backups have it.
const TENANT: &str = "tenant-acme";
/// Where Cozystack has bucket and keys.
const ROOT: &str = "tenant-root";
const BUCKET: &str = "cozy-backups";

/// What an administrator types: `charts/backupstrategy-controller/docs/migration.md` says why. Names are Cozystack's.
const HANDED_OVER: [&str; 8] = [
    "kubectl --namespace cozy-backup-controller delete deployment backup-controller backupstrategy-controller",
    // The definitions are the new chart's from now on. An upgrade alone does not bring new kinds.
    "kubectl apply --server-side --force-conflicts --filename charts/backupstrategy-controller/crds/",
    // An upgrade removes what the new chart has not, and with these kinds all strategies of them.
    "kubectl annotate --overwrite crd jobs.strategy.backups.cozystack.io mongodbs.strategy.backups.cozystack.io \
     helm.sh/resource-policy=keep",
    // Nor the bucket, should the values leave it out.
    "kubectl --namespace tenant-root annotate --overwrite buckets.apps.cozystack.io cozy-backups \
     helm.sh/resource-policy=keep",
    // Helm forgets the release that had the definitions. Uninstalled, it would take them along, and with them every Backup.
    "kubectl --namespace cozy-backup-controller delete secret --selector owner=helm,name=backup-controller",
    "kubectl delete clusterrole,clusterrolebinding backups.cozystack.io:core-controller",
    // What the strategy for virtual machines may do in Velero's namespace is here, and in no ClusterRole.
    "helm install velero-for-backups charts/velero --namespace cozy-velero",
    "helm upgrade backupstrategy-controller charts/backupstrategy-controller --namespace cozy-backup-controller \
     --values charts/backupstrategy-controller/values-cozystack.yaml --take-ownership",
];

/// A Backup that the reference wrote.
struct Written {
    /// Of which strategy, both of which have.
    strategy: &'static str,
    /// By what it is held.
    finalizers: &'static [&'static str],
    /// Whether it is restored here; virtual machines are in `tests/stage/tests/velero/kept.rs`.
    is_restored: bool,
}

const WRITTEN: [Written; 6] = [
    written("cnpg", &[FINALIZER], true),
    written("etcd", &[FINALIZER, LEGACY_FINALIZER], true),
    written("mariadb", &[FINALIZER], true),
    written("altinity", &[], true),
    written("foundationdb", &[FINALIZER], true),
    written("velero", &[LEGACY_FINALIZER], false),
];

const fn written(
    strategy: &'static str,
    finalizers: &'static [&'static str],
    is_restored: bool,
) -> Written {
    Written {
        strategy,
        finalizers,
        is_restored,
    }
}

impl Written {
    /// The strategies are tried side by side in one namespace: their Backups are named after them.
    fn name(&self) -> String {
        format!("old-{}", self.strategy)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_the_reference_is_handed_to_the_host_and_nothing_of_it_is_lost() {
    let s3 = S3::start().unwrap();
    std::fs::create_dir(s3.root.join(BUCKET)).unwrap();
    let site = Site::new().await;
    site.put(left::namespaces()).await;
    reference::install(&site);
    let stored = left::put(&site, &s3).await;
    let before = left::ended_jobs(&site).await;

    for command in HANDED_OVER {
        site.admin.run(command).unwrap();
    }
    is_adopted(&site).await;
    let pod = site.pod().await;
    let _operators = operators(&site, &s3);
    site.plugins_are_ready();

    left_jobs_end(&site).await;
    assert_eq!(
        left::ended_jobs(&site).await,
        before,
        "what had ended is as it was"
    );
    for written in &WRITTEN {
        is_there(&site, written).await;
    }
    let kept = bucket_of(&s3, BUCKET).keys().await;
    let lost: Vec<_> = stored.iter().filter(|key| !kept.contains(key)).collect();
    assert!(lost.is_empty(), "{lost:?}");

    are_restored(&site).await;
    are_forgotten(&site, &s3, &stored).await;
    pod.stop();
}

/// The definitions are the chart's from now on, the objects are all there, and so is the bucket.
async fn is_adopted(site: &Site) {
    for definition in HOST.definitions().unwrap() {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let target = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", name);
        let found = site.read("", target).await.unwrap();
        let release = &found["metadata"]["annotations"]["meta.helm.sh/release-name"];
        assert_eq!(release, HOST.release, "{name}");
        let schema = |definition: &Value| definition["spec"]["versions"][0]["schema"].clone();
        let described = |schema: &Value| schema["openAPIV3Schema"]["description"].clone();
        assert_eq!(described(&schema(&found)), described(&schema(&definition)));
    }
    let bucket = ("apps.cozystack.io/v1alpha1", "Bucket", BUCKET);
    assert!(site.read(ROOT, bucket).await.is_some(), "the bucket stays");
    for kind in ["jobs", "mongodbs"] {
        let found = format!("kubectl get crd {kind}.strategy.backups.cozystack.io");
        site.admin.run(&found).unwrap();
    }
}

/// The operators of the tenant's applications, and Velero.
fn operators(site: &Site, s3: &S3) -> Vec<Played> {
    let place = || Workplace::new(bucket_of(s3, BUCKET));
    let tenant = || place().of_namespace(TENANT);
    let velero = VeleroServer::at(place(), VeleroFate::Completes);
    let archive = Archive {
        backup: left::velero_backup(),
        location: Location {
            bucket: BUCKET.to_owned(),
            prefix: "velero".to_owned(),
        },
        ..Archive::default()
    };
    velero.knows(left::VELERO_BACKUP, archive);
    let clickhouse = ClickHouse::at(tenant(), AltinityFate::Completes);
    let foundationdb = FoundationDbOperator::at(tenant(), FoundationDbFate::Completes);
    vec![
        site.play(&[TENANT], Cnpg::at(tenant(), Fate::Completes)),
        site.play(&[TENANT], EtcdOperator::at(tenant(), EtcdFate::Completes)),
        site.play(
            &[TENANT],
            MariaDbOperator::at(tenant(), MariaDbFate::Completes),
        ),
        site.play(&[TENANT], clickhouse),
        site.play(&[TENANT], foundationdb),
        site.play(&[TENANT, "cozy-velero"], velero),
    ]
}

/// A job that was running begins anew, as one that nobody had begun; one that began long ago has had its time. What was being
/// deleted goes.
async fn left_jobs_end(site: &Site) {
    for (name, phase, says) in [
        ("running", "Succeeded", "BackupCompleted"),
        ("long-ago", "Failed", "not finished by"),
        ("new", "Succeeded", "BackupCompleted"),
    ] {
        let job = site.ended(TENANT, "BackupJob", name).await;
        assert_eq!(job["status"]["phase"], phase, "{job:#}");
        assert!(job["status"].to_string().contains(says), "{job:#}");
    }
    site.gone(TENANT, (API, "RestoreJob", "leaving")).await;
    // Nobody serves its kind: it is waited for, for half an hour.
    let is_told = |backup: &Value| {
        let said = backup["status"]["conditions"][0]["message"].as_str();
        said.is_some_and(|said| said.contains("then it is left behind"))
    };
    site.until(TENANT, (API, "Backup", "leaving"), is_told)
        .await;
    let plan = (API, "Plan", "yearly");
    let is_read = |plan: &Value| plan["status"]["nextScheduleTime"].is_string();
    site.until(TENANT, plan, is_read).await;
}

/// A Backup is held by the host, and its data is found.
async fn is_there(site: &Site, written: &Written) {
    let name = written.name();
    let asked =
        format!("kubectl --namespace {TENANT} annotate backup {name} {CHECK_REQUESTED}=now");
    site.admin.run(&asked).unwrap();
    let is_answered = |backup: &Value| backup["status"]["lastCheckRequest"] == "now";
    let backup = site
        .until(TENANT, (API, "Backup", &name), is_answered)
        .await;
    let is_available =
        |condition: &Value| condition["type"] == "Available" && condition["status"] == "True";
    let conditions = backup["status"]["conditions"].as_array();
    assert!(
        conditions.into_iter().flatten().any(is_available),
        "{backup:#}"
    );
    let finalizers = backup["metadata"]["finalizers"].as_array().unwrap();
    assert!(finalizers.contains(&json!(FINALIZER)), "{finalizers:?}");
}

/// Backups are restored in place, side by side.
async fn are_restored(site: &Site) {
    let restored = WRITTEN.iter().filter(|written| written.is_restored);
    let jobs = restored.clone().map(|written| {
        json!({
            "apiVersion": API, "kind": "RestoreJob",
            "metadata": { "name": format!("back-{}", written.strategy), "namespace": TENANT },
            "spec": { "backupRef": { "name": written.name() } },
        })
    });
    site.plane.apply(&jobs.collect::<Vec<_>>()).await.unwrap();
    for written in restored {
        let job = site
            .ended(TENANT, "RestoreJob", &format!("back-{}", written.strategy))
            .await;
        assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
    }
}

/// A Backup that is deleted takes its data along, and whatever finalizers it has.
async fn are_forgotten(site: &Site, s3: &S3, stored: &[String]) {
    let names = WRITTEN
        .iter()
        .map(Written::name)
        .collect::<Vec<_>>()
        .join(" ");
    let deleted = format!("kubectl --namespace {TENANT} delete backup --wait=false {names}");
    site.admin.run(&deleted).unwrap();
    for written in &WRITTEN {
        site.gone(TENANT, (API, "Backup", &written.name())).await;
    }
    let left = bucket_of(s3, BUCKET).keys().await;
    let is_theirs = |key: &&String| left.contains(key) && !left::stays(key);
    let still: Vec<_> = stored.iter().filter(is_theirs).collect();
    assert!(still.is_empty(), "{still:?}");
    let foreign = stored.iter().find(|key| key.contains("documents")).unwrap();
    assert!(
        left.contains(foreign),
        "the data of a strategy that the host has not stays"
    );
}

/// The page may tell more, such as what to look at before.
#[test]
fn what_is_typed_is_what_the_page_on_migration_tells() {
    let page = std::fs::read_to_string(HOST.folder().join("docs/migration.md")).unwrap();
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    for command in HANDED_OVER {
        assert!(
            lines.contains(&format!("$ {command}").as_str()),
            "{command}"
        );
    }
}
