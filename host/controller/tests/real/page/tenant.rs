//! "Tenant workflow": a tenant names the class and nothing else, and reaches nothing else.

use ::s3::S3;
use controlplane::Shell;
use stage::DOCUMENTED_JOB;

use super::{TENANT, is_ready, postgres, stored};
use crate::{cluster::API, site::Site};

/// Another tenant, whose database has the same name.
const NEIGHBOUR: &str = "tenant-umbrella";

/// The example leads to a Backup that is Ready, of two tenants with the same application to two places.
pub(super) async fn applies_the_example(site: &Site, tenant: &Shell, s3: &S3) {
    let neighbour = site.tenant(NEIGHBOUR).await;
    let _operator = postgres(site, NEIGHBOUR, s3).await;
    let theirs = DOCUMENTED_JOB.replace(TENANT, NEIGHBOUR);
    for (shell, example, namespace) in [
        (tenant, DOCUMENTED_JOB, TENANT),
        (&neighbour, theirs.as_str(), NEIGHBOUR),
    ] {
        let said = shell.run_on("kubectl apply -f -", example).unwrap();
        assert_eq!(said, "backupjob.backups.cozystack.io/ad-hoc created\n");
        is_ready(shell, namespace, "backupjob/ad-hoc");
        let phase =
            format!("kubectl -n {namespace} get backup ad-hoc -o jsonpath={{.status.phase}}");
        assert_eq!(shell.run(&phase).unwrap(), "Ready");
        let keys = stored(s3, namespace).await;
        assert!(!keys.is_empty());
        let place = format!("{namespace}/orders-db/");
        assert!(keys.iter().all(|key| key.starts_with(&place)), "{keys:?}");
    }
}

/// What a tenant is refused.
const REFUSED: [&str; 12] = [
    "kubectl -n tenant-umbrella get backups",
    "kubectl -n tenant-umbrella get backupjobs",
    "kubectl -n tenant-umbrella delete backupjob ad-hoc",
    "kubectl -n cozy-backup-controller get secret cozy-backups-system-credentials",
    "kubectl -n tenant-acme get secret cozy-backups-creds",
    "kubectl -n cozy-velero get backupstoragelocation cozy-default",
    "kubectl get strategyplugins",
    "kubectl create -f charts/backupstrategy-controller/files/backup-class.yaml",
    "kubectl delete backupclass cozy-default",
    "kubectl -n tenant-acme delete backup ad-hoc",
    "kubectl -n tenant-acme patch backupjob ad-hoc --subresource status --type merge -p {}",
    "kubectl -n tenant-acme patch backup ad-hoc --subresource status --type merge -p {}",
];

/// The kinds of the default strategies.
const STRATEGIES: [&str; 6] = [
    "altinities",
    "cnpgs",
    "etcds",
    "foundationdbs",
    "mariadbs",
    "veleroes",
];

/// Sees the name of the class, and neither strategies, nor keys, nor what is another's; and says nothing in the host's name.
pub(super) async fn has_no_more_than_that(site: &Site, tenant: &Shell) {
    let classes = tenant.run("kubectl get backupclasses").unwrap();
    assert!(classes.contains("cozy-default"), "{classes}");
    let strategies = STRATEGIES.map(|plural| format!("{plural}.strategy.backups.cozystack.io"));
    let read = format!("kubectl get {}", strategies.join(","));
    let said = tenant.fails_on(&read, "").unwrap();
    assert_eq!(
        said.matches("(Forbidden)").count(),
        STRATEGIES.len(),
        "{said}"
    );
    for command in REFUSED {
        let said = tenant.fails_on(command, "").unwrap();
        assert!(said.contains("(Forbidden)"), "{command}: {said}");
    }
    // Nothing that a tenant reads holds the platform's keys.
    let kinds = "backups,backupjobs,restorejobs,plans,backupclasses,events";
    let read = format!("kubectl -n {TENANT} get {kinds} -o yaml");
    let printed = site.admin.run(&read).unwrap();
    let secret = site
        .read(TENANT, ("v1", "Secret", "cozy-backups-creds"))
        .await
        .unwrap();
    let encoded = secret["data"]["secretKey"].as_str().unwrap();
    let key = data_encoding::BASE64.decode(encoded.as_bytes()).unwrap();
    let key = String::from_utf8(key).unwrap();
    assert!(!printed.contains(&key) && !printed.contains(encoded));
    assert!(site.read(TENANT, (API, "Backup", "ad-hoc")).await.is_some());
}
