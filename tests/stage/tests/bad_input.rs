//! What is missing or wrong in what people write: a clear reason, and nothing lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";

fn stage() -> Stage {
    let stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.platform().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage
}

/// A job in a line, once the host has looked at it.
async fn said(stage: &mut Stage) -> String {
    stage.runner.settle().await.unwrap();
    stage.job(TENANT, "ad-hoc")
}

/// Lets time pass until the job ends.
async fn in_the_end(stage: &mut Stage) -> String {
    loop {
        let said = stage.job(TENANT, "ad-hoc");
        let Some(at) = stage.runner.next_at() else {
            return said;
        };
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        stage
            .cluster
            .set_now(at.as_second().max(stage.cluster.now() + 1));
        stage.runner.settle().await.unwrap();
    }
}

fn changed(
    stage: &Stage,
    api_version: &str,
    kind: &str,
    name: &str,
    change: impl FnOnce(&mut Value),
) {
    let mut object = stage.cluster.read(api_version, kind, None, name).unwrap();
    change(&mut object);
    stage.cluster.put(object).unwrap();
}

const STRATEGY: (&str, &str) = ("strategy.backups.cozystack.io/v1alpha1", "CNPG");

// Defect 10 of the reference: it was waited for without end, and without a phase.
#[tokio::test]
async fn an_unknown_class_is_waited_for_and_then_given_up() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let class = stage
        .cluster
        .read(
            "backups.cozystack.io/v1alpha1",
            "BackupClass",
            None,
            "cozy-default",
        )
        .unwrap();
    stage
        .delete_cluster_scoped(
            "backups.cozystack.io/v1alpha1",
            "BackupClass",
            "cozy-default",
        )
        .await
        .unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with("Pending BackupClassNotFound: BackupClass cozy-default does not exist"),
        "{first}"
    );
    let last = in_the_end(&mut stage).await;
    assert!(
        last.starts_with("Failed BackupFailed: BackupClassNotFound"),
        "{last}"
    );

    // A class that comes in time wakes the job.
    stage.backup_job(TENANT, "in-time", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let mut class = class;
    class["metadata"] = json!({ "name": "cozy-default" });
    stage.cluster.put(class).unwrap();
    stage.runner.settle().await.unwrap();
    assert!(
        stage.job(TENANT, "in-time").contains("ArchiveNotReady"),
        "{}",
        stage.job(TENANT, "in-time")
    );
}

#[tokio::test]
async fn a_kind_that_the_class_does_not_bind_is_final() {
    let mut stage = stage();
    stage.cluster.put(json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": { "name": "ad-hoc", "namespace": TENANT },
        "spec": { "backupClassName": "cozy-default", "applicationRef": { "kind": "FoundationDB", "name": "db" } },
    })).unwrap();
    assert_eq!(
        said(&mut stage).await,
        "Failed BackupFailed: BackupClass cozy-default has no strategy for applications of kind FoundationDB in \
         apps.cozystack.io; name a class that has one"
    );
    let projected = stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds");
    assert!(
        projected.is_none(),
        "credentials were projected for a job that cannot run"
    );
}

#[tokio::test]
async fn an_absent_strategy_object_is_waited_for_and_then_given_up() {
    let mut stage = stage();
    stage
        .delete_cluster_scoped(STRATEGY.0, STRATEGY.1, "cozy-default-cnpg")
        .await
        .unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with("Pending StrategyNotReady: CNPG cozy-default-cnpg"),
        "{first}"
    );
    let last = in_the_end(&mut stage).await;
    assert!(
        last.starts_with("Failed BackupFailed: StrategyNotReady: CNPG cozy-default-cnpg"),
        "{last}"
    );
}

#[tokio::test]
async fn a_strategy_without_a_plugin_is_waited_for() {
    let mut stage = stage();
    stage.strategies.withdraw("CNPG");
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with("Pending PluginNotReady: no plugin serves strategies of kind CNPG"),
        "{first}"
    );
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.cluster.advance(31);
    assert!(said(&mut stage).await.contains("ArchiveNotReady"));
}

#[tokio::test]
async fn a_template_that_fails_names_the_field_and_is_tried_again() {
    let mut stage = stage();
    changed(
        &stage,
        STRATEGY.0,
        STRATEGY.1,
        "cozy-default-cnpg",
        |strategy| {
            strategy["spec"]["template"]["serverName"] =
                json!("{{ .Application.metadata.labels.team }}");
        },
    );
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with("Pending TemplateFailed: a template of CNPG cozy-default-cnpg fails"),
        "{first}"
    );
    assert!(first.contains("spec/template/serverName"), "{first}");
    changed(
        &stage,
        STRATEGY.0,
        STRATEGY.1,
        "cozy-default-cnpg",
        |strategy| {
            strategy["spec"]["template"]["serverName"] = json!("{{ .Application.metadata.name }}");
        },
    );
    stage.cluster.advance(2);
    assert!(said(&mut stage).await.contains("ArchiveNotReady"));
}

#[tokio::test]
async fn a_template_that_does_not_parse_ends_the_job_in_the_end() {
    let mut stage = stage();
    changed(
        &stage,
        STRATEGY.0,
        STRATEGY.1,
        "cozy-default-cnpg",
        |strategy| {
            strategy["spec"]["template"]["serverName"] = json!("{{ if }}");
        },
    );
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let last = {
        said(&mut stage).await;
        in_the_end(&mut stage).await
    };
    assert!(
        last.starts_with("Failed BackupFailed: TemplateFailed"),
        "{last}"
    );
    assert!(
        stage
            .cluster
            .read(
                "barmancloud.cnpg.io/v1",
                "ObjectStore",
                Some(TENANT),
                "postgres-orders-db"
            )
            .is_none()
    );
}

#[tokio::test]
async fn an_absent_application_is_told() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "no-such-db").unwrap();
    said(&mut stage).await;
    let last = in_the_end(&mut stage).await;
    assert!(last.starts_with("Failed BackupFailed"), "{last}");
    assert!(
        last.contains("no-such-db") || last.contains("TemplateFailed"),
        "{last}"
    );
}

#[tokio::test]
async fn an_absent_source_secret_is_waited_for() {
    let mut stage = stage();
    let (namespace, name) = ("cozy-backup-controller", "cozy-backups-system-credentials");
    let secret = stage
        .cluster
        .read("v1", "Secret", Some(namespace), name)
        .unwrap();
    stage
        .delete_any("v1", "Secret", Some(namespace), name)
        .await
        .unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with("Pending CredentialsProjectionPending: the source Secret"),
        "{first}"
    );
    let mut secret = secret;
    secret["metadata"] = json!({ "name": name, "namespace": namespace });
    stage.cluster.put(secret).unwrap();
    stage.cluster.advance(31);
    assert!(said(&mut stage).await.contains("ArchiveNotReady"));
}

#[tokio::test]
async fn a_foreign_secret_in_the_place_of_ours_is_left_alone() {
    let mut stage = stage();
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "cozy-backups-creds", "namespace": TENANT },
        "data": { "mine": "eA==" },
    });
    stage.cluster.put(foreign).unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with(
            "Failed BackupFailed: Secret cozy-backups-creds in tenant-acme is not the platform's"
        ),
        "{first}"
    );
    let secret = stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds")
        .unwrap();
    assert_eq!(secret["data"], json!({ "mine": "eA==" }));
}

#[tokio::test]
async fn projected_credentials_have_every_key_and_are_not_written_again() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    said(&mut stage).await;
    let secret = stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds")
        .unwrap();
    assert_eq!(
        secret["metadata"]["labels"],
        json!({ "apps.cozystack.io/managed-by": "cozystack-backups" })
    );
    let keys: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
    for key in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "accessKey",
        "secretKey",
        "cloud",
        "blob_credentials.json",
        "endpoint",
        "bucketName",
        "region",
        "forcePathStyle",
    ] {
        assert!(keys.iter().any(|found| *found == key), "{key} is missing");
    }
    stage.backup_job(TENANT, "again", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let again = stage
        .cluster
        .read("v1", "Secret", Some(TENANT), "cozy-backups-creds")
        .unwrap();
    assert_eq!(
        secret["metadata"]["resourceVersion"],
        again["metadata"]["resourceVersion"]
    );
}

// Defect 26 of the reference: parameters went into Backups, which tenants read.
#[tokio::test]
async fn parameters_that_hold_credentials_are_refused() {
    let mut stage = stage();
    changed(
        &stage,
        "backups.cozystack.io/v1alpha1",
        "BackupClass",
        "cozy-default",
        |class| {
            class["spec"]["strategies"][0]["parameters"] = json!({ "secretKey": "hunter2" });
        },
    );
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let first = said(&mut stage).await;
    assert!(
        first.starts_with(
            "Failed BackupFailed: BackupClass cozy-default: parameter secretKey holds"
        ),
        "{first}"
    );
    assert!(!first.contains("hunter2"));
}

// TestReconcile_SkipsProjection_ForeignAPIGroup. The class says to whom its binding is left.
#[tokio::test]
async fn a_strategy_of_another_group_is_left_to_its_own_controller() {
    let mut stage = stage();
    changed(
        &stage,
        "backups.cozystack.io/v1alpha1",
        "BackupClass",
        "cozy-default",
        |class| {
            class["spec"]["strategies"][0]["strategyRef"]["apiGroup"] =
                json!("strategies.example.org");
        },
    );
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.read("BackupJob", TENANT, "ad-hoc").get("status"),
        None
    );
}
