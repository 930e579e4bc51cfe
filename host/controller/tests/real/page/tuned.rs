//! "Tuning via custom BackupClass", and "ClickHouse: opt-in to the system bucket".

use ::s3::S3;
use charts::CLICKHOUSE;
use controlplane::Shell;
use serde_json::{Value, json};
use stage::{
    FoundationDbFate, FoundationDbOperator, MariaDbFate, MariaDbOperator, VeleroFate, VeleroServer,
    Workplace,
};

use super::{TENANT, documented, is_ready, job};
use crate::{
    bucket::bucket_of,
    cluster::{API, Played},
    site::Site,
};

/// The knobs that the page names.
pub(super) const KNOBS: [&str; 13] = [
    "barmanObjectStore.retentionPolicy",
    "data.compression",
    "wal.compression",
    "compression",
    "maxRetention",
    "databases[]",
    "snapshotPeriodSeconds",
    "agentCount",
    "urlParameters[]",
    "ttl",
    "includedResources[]",
    "excludedResources[]",
    "Plan.spec.retentionPolicy",
];

/// What the page sets on a ClickHouse release.
pub(super) const SYSTEM_BUCKET: &str = "\
backup:
  enabled: true
  useSystemBucket: true
";

/// A class of one's own: the same strategy with other parameters.
struct Tuned {
    application: (&'static str, &'static str),
    /// The strategy's kind and name.
    strategy: (&'static str, &'static str),
    parameters: &'static [(&'static str, &'static str)],
    /// The version and kind of the operator's object, and its namespace.
    orders: (&'static str, &'static str, &'static str),
    /// What it says then, each at its place.
    says: fn() -> Value,
}

const TUNED: [Tuned; 4] = [
    Tuned {
        application: ("Postgres", "orders-db"),
        strategy: ("CNPG", "cozy-default-cnpg"),
        parameters: &[
            ("barmanObjectStore.retentionPolicy", "90d"),
            ("data.compression", "bzip2"),
            ("wal.compression", "zstd"),
        ],
        orders: ("barmancloud.cnpg.io/v1", "ObjectStore", TENANT),
        says: || {
            json!({
                "/spec/retentionPolicy": "90d",
                "/spec/configuration/data/compression": "bzip2",
                "/spec/configuration/wal/compression": "zstd",
            })
        },
    },
    Tuned {
        application: ("MariaDB", "shop"),
        strategy: ("MariaDB", "cozy-default-mariadb"),
        parameters: &[
            ("compression", "bzip2"),
            ("maxRetention", "2160h"),
            ("databases", "orders,customers"),
        ],
        orders: ("k8s.mariadb.com/v1alpha1", "Backup", TENANT),
        says: || {
            json!({
                "/spec/compression": "bzip2",
                "/spec/maxRetention": "2160h",
                "/spec/databases": ["orders", "customers"],
            })
        },
    },
    Tuned {
        application: ("FoundationDB", "ledger"),
        strategy: ("FoundationDB", "cozy-default-foundationdb"),
        parameters: &[
            ("snapshotPeriodSeconds", "7200"),
            ("agentCount", "3"),
            (
                "blobStoreConfiguration.urlParameters",
                "secure_connection=0&request_timeout=60",
            ),
        ],
        orders: (
            "apps.foundationdb.org/v1beta2",
            "FoundationDBBackup",
            TENANT,
        ),
        says: || {
            json!({
                "/spec/snapshotPeriodSeconds": 7200,
                "/spec/agentCount": 3,
                "/spec/blobStoreConfiguration/urlParameters": ["secure_connection=0", "request_timeout=60", "region=us-east-1"],
            })
        },
    },
    Tuned {
        application: ("VMDisk", "web-root"),
        strategy: ("Velero", "cozy-default-velero-vmdisk"),
        parameters: &[
            ("ttl", "1440h0m0s"),
            (
                "includedResources",
                "persistentvolumeclaims,helmreleases.helm.toolkit.fluxcd.io",
            ),
            ("excludedResources", "events"),
        ],
        orders: ("velero.io/v1", "Backup", "cozy-velero"),
        says: || {
            json!({
                "/spec/ttl": "1440h0m0s",
                "/spec/includedResources": ["persistentvolumeclaims", "helmreleases.helm.toolkit.fluxcd.io"],
                "/spec/excludedResources": ["events"],
            })
        },
    },
];

impl Tuned {
    fn name(&self) -> String {
        format!("tuned-{}", self.strategy.0.to_lowercase())
    }

    fn class(&self) -> Value {
        let parameters: serde_json::Map<String, Value> = self
            .parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        class(
            &self.name(),
            self.application.0,
            self.strategy,
            &json!(parameters),
        )
    }
}

/// A class that binds one kind.
fn class(name: &str, application: &str, strategy: (&str, &str), parameters: &Value) -> Value {
    json!({
        "apiVersion": API, "kind": "BackupClass", "metadata": { "name": name },
        "spec": { "strategies": [{
            "application": { "apiGroup": "apps.cozystack.io", "kind": application },
            "strategyRef": {
                "apiGroup": "strategy.backups.cozystack.io", "kind": strategy.0, "name": strategy.1,
            },
            "parameters": parameters,
        }] },
    })
}

/// Each knob reaches what the operator is told.
pub(super) async fn by_classes_of_ones_own(site: &Site, tenant: &Shell, s3: &S3) {
    let _operators = operators(site, s3);
    let applications = [
        stage::mariadb_objects(TENANT, "shop", "a-password"),
        stage::foundationdb_objects(TENANT, "ledger"),
        stage::virtual_machine_objects(TENANT, "web"),
    ];
    for objects in applications {
        site.put(objects.unwrap()).await;
    }
    for tuned in &TUNED {
        site.admin
            .run_on("kubectl apply -f -", &tuned.class().to_string())
            .unwrap();
        let job = job(&tuned.name(), &tuned.name(), tuned.application);
        tenant
            .run_on("kubectl apply -f -", &job.to_string())
            .unwrap();
    }
    for tuned in &TUNED {
        let says = (tuned.says)();
        let is_told = |order: &Value| {
            let mut places = says.as_object().unwrap().iter();
            places.all(|(pointer, value)| order.pointer(pointer) == Some(value))
        };
        site.some(tuned.orders, is_told).await;
    }
    is_ready(tenant, TENANT, "backupjob/tuned-cnpg");
    documented::tuned_by_the_page(site, tenant).await;
    trimmed_by_a_plan(site, tenant).await;
}

fn operators(site: &Site, s3: &S3) -> Vec<Played> {
    let place = || Workplace::new(bucket_of(s3, &s3.bucket));
    let tenant = || place().of_namespace(TENANT);
    let foundationdb = FoundationDbOperator::at(tenant(), FoundationDbFate::Completes);
    let velero = VeleroServer::at(place(), VeleroFate::Completes);
    vec![
        site.play(
            &[TENANT],
            MariaDbOperator::at(tenant(), MariaDbFate::Completes),
        ),
        site.play(&[TENANT], foundationdb),
        site.play(&[TENANT, "cozy-velero"], velero),
    ]
}

/// Etcd's strategy says where, and a Plan how long: `Plan.spec.retentionPolicy`.
async fn trimmed_by_a_plan(site: &Site, tenant: &Shell) {
    let plan = json!({
        "apiVersion": API, "kind": "Plan", "metadata": { "name": "weekly", "namespace": TENANT },
        "spec": {
            "backupClassName": "cozy-default",
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Etcd", "name": "etcd" },
            "schedule": { "cron": "0 3 * * 0" },
            "retentionPolicy": { "keepLast": 4, "maxAge": "60d" },
        },
    });
    tenant
        .run_on("kubectl apply -f -", &plan.to_string())
        .unwrap();
    let is_scheduled = |plan: &Value| plan["status"]["nextScheduleTime"].is_string();
    site.until(TENANT, (API, "Plan", "weekly"), is_scheduled)
        .await;
}

/// With the page's values the chart makes no Secret of its own, the sidecar reads the platform's, and the path has tenant and
/// release in it.
pub(super) fn clickhouse(site: &Site) {
    let values = serde_saphyr::from_str(SYSTEM_BUCKET).unwrap();
    let made = CLICKHOUSE.render(&site.helm, &values).unwrap();
    let own = format!("{}-backup-s3", CLICKHOUSE.release);
    assert!(made.iter().all(|object| object["metadata"]["name"] != own));
    let installation = made
        .iter()
        .find(|object| object["kind"] == "ClickHouseInstallation");
    let containers =
        &installation.unwrap()["spec"]["templates"]["podTemplates"][0]["spec"]["containers"];
    let mut containers = containers.as_array().unwrap().iter();
    let sidecar = containers
        .find(|container| container["name"] == "clickhouse-backup")
        .unwrap();
    let variables = sidecar["env"].as_array().unwrap();
    let variable = |name: &str| {
        variables
            .iter()
            .find(|variable| variable["name"] == name)
            .unwrap()
    };
    let place = format!("{}/{}", CLICKHOUSE.namespace, CLICKHOUSE.release);
    assert_eq!(variable("S3_PATH")["value"], place);
    for name in [
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "S3_BUCKET",
        "S3_ENDPOINT",
        "S3_REGION",
    ] {
        let from = &variable(name)["valueFrom"]["secretKeyRef"]["name"];
        assert_eq!(from, "cozy-backups-creds", "{name}");
    }
}

/// Access keys do not get into parameters: not under a name that says so, and the platform's own under no name.
pub(super) async fn no_keys_in_parameters(site: &Site, s3: &S3) {
    let with = |parameters: &Value| {
        class(
            "with-keys",
            "Postgres",
            ("CNPG", "cozy-default-cnpg"),
            parameters,
        )
        .to_string()
    };
    for parameters in [
        json!({ "secretAccessKey": "whatever" }),
        json!({ "note": "AKIAIOSFODNN7EXAMPLE" }),
    ] {
        let refused = site
            .admin
            .fails_on("kubectl apply -f -", &with(&parameters))
            .unwrap();
        assert!(refused.contains("tenants can read parameters"), "{refused}");
    }
    let hidden = with(&json!({ "serverName": s3.secret_key }));
    let job = job("with-keys", "with-keys", ("Postgres", "orders-db"));
    for object in [hidden, job.to_string()] {
        site.admin.run_on("kubectl apply -f -", &object).unwrap();
    }
    let is_refused = |job: &Value| {
        let message = job["status"]["message"].as_str().unwrap_or_default();
        message.contains("parameter serverName holds the platform's own credentials")
    };
    let job = site
        .until(TENANT, (API, "BackupJob", "with-keys"), is_refused)
        .await;
    assert!(!job["status"].to_string().contains(&s3.secret_key));
    let away = "kubectl -n tenant-acme delete backupclass/with-keys backupjob/with-keys";
    site.admin.run(away).unwrap();
}
