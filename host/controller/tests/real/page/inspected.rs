//! "Backup Classes", "Supported applications", "Inspecting the defaults".

use ::s3::S3;
use charts::HOST;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::TENANT;
use crate::site::Site;

/// The page's commands, in their order.
pub(super) const COMMANDS: [&str; 5] = [
    "kubectl get backupclasses",
    "kubectl get backupclass cozy-default -o yaml",
    "kubectl -n cozy-backup-controller get bucket cozy-backups",
    "kubectl -n cozy-backup-controller get secret cozy-backups-system-credentials",
    "kubectl -n cozy-velero get backupstoragelocation cozy-default",
];

/// The page's table: which kind of application is backed up by which strategy.
pub(super) const TABLE: [(&str, &str); 7] = [
    (
        "Postgres",
        "strategy.backups.cozystack.io/CNPG cozy-default-cnpg",
    ),
    (
        "MariaDB",
        "strategy.backups.cozystack.io/MariaDB cozy-default-mariadb",
    ),
    (
        "ClickHouse",
        "strategy.backups.cozystack.io/Altinity cozy-default-altinity",
    ),
    (
        "Etcd",
        "strategy.backups.cozystack.io/Etcd cozy-default-etcd",
    ),
    (
        "FoundationDB",
        "strategy.backups.cozystack.io/FoundationDB cozy-default-foundationdb",
    ),
    (
        "VMInstance",
        "strategy.backups.cozystack.io/Velero cozy-default-velero-vminstance",
    ),
    (
        "VMDisk",
        "strategy.backups.cozystack.io/Velero cozy-default-velero-vmdisk",
    ),
];

/// Where the long-lived copy of the credentials is for Velero.
const VELERO: &str = "cozy-velero";

/// Types the page's commands, and reads what they print.
pub(super) async fn defaults(site: &Site) {
    let ready = "kubectl wait --for=condition=Ready backupclass/cozy-default --timeout=60s";
    site.admin.run(ready).unwrap();
    let printed = COMMANDS.map(|command| site.admin.run(command).unwrap());
    let [classes, class, bucket, secret, location] = printed;
    let rows: Vec<&str> = classes.lines().collect();
    assert_eq!(rows.len(), 2, "a single class: {classes}");
    assert!(rows[0].starts_with("NAME "), "{classes}");
    assert!(rows[1].starts_with("cozy-default "), "{classes}");
    for (printed, name) in [
        (bucket, "cozy-backups "),
        (secret, "cozy-backups-system-credentials "),
        (location, "cozy-default "),
    ] {
        let row = printed.lines().nth(1).unwrap_or_default();
        assert!(row.starts_with(name), "{printed}");
    }
    binds_the_table(site, &serde_saphyr::from_str(&class).unwrap()).await;
    has_veleros_place(site).await;
}

/// One strategy for each kind, each of which is there, and a middle that is reasonable: thirty days, and gzip where that goes.
async fn binds_the_table(site: &Site, class: &Value) {
    let bindings = class["spec"]["strategies"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let bound: Vec<(String, String)> = bindings
        .iter()
        .map(|binding| {
            let of = &binding["strategyRef"];
            assert_eq!(binding["application"]["apiGroup"], "apps.cozystack.io");
            let [group, kind, name] = ["apiGroup", "kind", "name"].map(|field| text(&of[field]));
            (
                text(&binding["application"]["kind"]),
                format!("{group}/{kind} {name}"),
            )
        })
        .collect();
    let table = TABLE.map(|(kind, strategy)| (kind.to_owned(), strategy.to_owned()));
    assert_eq!(bound, table);
    assert_eq!(class["spec"]["retentionPolicy"]["maxAge"], "30d");
    for (kind, name, pointer, value) in [
        ("CNPG", "cnpg", "/barmanObjectStore/retentionPolicy", "30d"),
        (
            "CNPG",
            "cnpg",
            "/barmanObjectStore/data/compression",
            "gzip",
        ),
        ("CNPG", "cnpg", "/barmanObjectStore/wal/compression", "gzip"),
        ("MariaDB", "mariadb", "/compression", "gzip"),
        ("Velero", "velero-vminstance", "/spec/ttl", "720h0m0s"),
        ("Velero", "velero-vmdisk", "/spec/ttl", "720h0m0s"),
    ] {
        let name = format!("cozy-default-{name}");
        let target = (
            "strategy.backups.cozystack.io/v1alpha1",
            kind,
            name.as_str(),
        );
        let strategy = site.read("", target).await.unwrap();
        let found = strategy["spec"]["template"].pointer(pointer);
        assert_eq!(found, Some(&json!(value)), "{name} {pointer}");
    }
}

/// Backups of machines land in the same bucket below `velero/`, with the projected keys.
async fn has_veleros_place(site: &Site) {
    let target = ("velero.io/v1", "BackupStorageLocation", "cozy-default");
    let is_in_step = |location: &Value| location["spec"]["objectStorage"]["bucket"] == "backups";
    let location = site.until(VELERO, target, is_in_step).await;
    assert_eq!(location["spec"]["objectStorage"]["prefix"], "velero");
    let credential = json!({ "name": "cozy-backups-creds", "key": "cloud" });
    assert_eq!(location["spec"]["credential"], credential);
}

/// The copies of the credentials: in the tenant's namespace behind a job, in Velero's at all times, each with a key for
/// every consumer; the Secret itself is where it was.
pub(super) async fn copies(site: &Site, s3: &S3) {
    let endpoint = s3.endpoint.trim_start_matches("http://");
    let (key, secret) = (&s3.access_key, &s3.secret_key);
    let account = json!({ "api_key": key, "secret": secret });
    for namespace in [TENANT, VELERO] {
        let target = ("v1", "Secret", "cozy-backups-creds");
        let copy = site.until(namespace, target, |_| true).await;
        let value = |name: &str| {
            let encoded = copy["data"][name].as_str().unwrap_or_default();
            String::from_utf8(BASE64.decode(encoded.as_bytes()).unwrap()).unwrap()
        };
        for (name, is) in [
            ("AWS_ACCESS_KEY_ID", key.as_str()),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("accessKey", key),
            ("secretKey", secret),
            ("bucketName", &s3.bucket),
            ("endpoint", endpoint),
            ("region", "us-east-1"),
        ] {
            assert_eq!(value(name), is, "{name} in {namespace}");
        }
        let cloud = format!("[default]\naws_access_key_id={key}\naws_secret_access_key={secret}\n");
        assert_eq!(value("cloud"), cloud);
        // Beside it the other names under which fdbbackup looks for the same account.
        let blob: Value = serde_json::from_str(&value("blob_credentials.json")).unwrap();
        assert_eq!(blob["accounts"][endpoint], account);
    }
    let everywhere = "kubectl get secrets --all-namespaces --output name \
                      --field-selector metadata.name=cozy-backups-system-credentials";
    let found = site.admin.run(everywhere).unwrap();
    assert_eq!(
        found.lines().count(),
        1,
        "the source never leaves its namespace: {found}"
    );
    assert!(
        site.read(HOST.namespace, ("v1", "Secret", "cozy-backups-creds"))
            .await
            .is_none()
    );
}
