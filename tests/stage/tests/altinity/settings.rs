//! What the strategy, the class and a restore may set.

use backup_engine::{AuthoritySettings, Settings, StorageSettings};

use super::{backup::text_of, *};

const OTHER_IMAGE: &str = "registry.example.org/client@sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";

/// The Job of a backup, when it is ordered.
async fn ordered(stage: &mut Stage) -> Value {
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    let made = jobs(stage);
    assert_eq!(made.len(), 1, "{}", stage.job(TENANT, "ad-hoc"));
    made[0].as_ref().clone()
}

#[tokio::test]
async fn the_pod_runs_the_image_that_runs_beside_clickhouse_by_its_digest() {
    let job = ordered(&mut stage()).await;
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["image"],
        format!(
            "registry.example.org/clickhouse-backup@sha256:{}",
            "0f".repeat(32)
        )
    );
    assert_eq!(
        container["env"][2]["valueFrom"]["secretKeyRef"]["name"],
        "clickhouse-events-backup-api-auth"
    );
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 43_200);
}

#[tokio::test]
async fn the_strategy_sets_image_and_deadline() {
    let mut stage = stage();
    strategy(
        &stage,
        &json!({ "image": OTHER_IMAGE, "deadlineSeconds": 600 }),
    );
    let job = ordered(&mut stage).await;
    assert_eq!(
        job["spec"]["template"]["spec"]["containers"][0]["image"],
        OTHER_IMAGE
    );
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 600);
}

#[tokio::test]
async fn parameters_of_the_class_win_over_the_strategy() {
    let mut stage = stage();
    strategy(
        &stage,
        &json!({ "image": "registry.example.org/a@sha256:00", "deadlineSeconds": 600 }),
    );
    parameters(
        &stage,
        &json!({ "image": OTHER_IMAGE, "deadlineSeconds": "900", "restartSidecar": "Never" }),
    );
    let job = ordered(&mut stage).await;
    assert_eq!(
        job["spec"]["template"]["spec"]["containers"][0]["image"],
        OTHER_IMAGE
    );
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 900);
}

#[tokio::test]
async fn a_parameter_that_fits_nothing_is_named() {
    for (name, value) in [("deadlineSeconds", "soon"), ("restartSidecar", "Always")] {
        let mut stage = stage();
        parameters(&stage, &json!({ name: value }));
        stage
            .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
            .unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        assert!(said.starts_with("Failed") && said.contains(name), "{said}");
    }
}

#[tokio::test]
async fn settings_that_change_while_a_job_runs_are_for_the_next_one() {
    let mut stage = stage();
    let before = ordered(&mut stage).await;
    strategy(&stage, &json!({ "image": OTHER_IMAGE }));
    let around = play(&stage, AltinityFate::Completes);
    let said = ended(&mut stage, &around, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(jobs(&stage)[0]["spec"], before["spec"]);
    assert_eq!(
        archive(&stage, "ad-hoc"),
        text_of(&before, "BACKUP_ARCHIVE")
    );
}

#[tokio::test]
async fn a_private_authority_that_the_chart_was_not_told_of_is_refused_with_what_to_set() {
    let mut stage = with_private_authority();
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: PrivateCAUnsupported: "),
        "{said}"
    );
    assert!(
        said.ends_with("set spec.backup.endpointCA of ClickHouse events to name cozy-backups-creds and key ca.crt"),
        "{said}"
    );
    assert!(jobs(&stage).is_empty());
}

#[tokio::test]
async fn a_private_authority_that_the_chart_passes_on_is_used() {
    let mut stage = with_private_authority();
    for name in clickhouse_pods(&stage, "events") {
        let mut pod = stage
            .cluster
            .read("v1", "Pod", Some(TENANT), &name)
            .unwrap();
        let env = pod["spec"]["containers"][1]["env"].as_array_mut().unwrap();
        env.push(json!({ "name": "SSL_CERT_DIR", "value": "/etc/ssl/cozy-s3-ca:/etc/ssl/certs" }));
        stage.cluster.put(pod).unwrap();
    }
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

fn with_private_authority() -> Stage {
    let authority = AuthoritySettings {
        namespace: "cozy-storage".to_owned(),
        name: "storage-ca".to_owned(),
        key: "ca.crt".to_owned(),
    };
    let storage = StorageSettings {
        authority: Some(authority),
        ..StorageSettings::default()
    };
    let stage = Stage::with_settings(Settings {
        storage,
        ..Settings::default()
    })
    .unwrap();
    stage
        .serve(&Stage::bundled("altinity.wasm").unwrap())
        .unwrap();
    stage.defaults(&["altinity"]).unwrap();
    for namespace in ["cozy-storage", TENANT] {
        stage.namespace(namespace).unwrap();
    }
    let certificate =
        "-----BEGIN CERTIFICATE-----\nYSBjZXJ0aWZpY2F0ZQ==\n-----END CERTIFICATE-----\n";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "storage-ca", "namespace": "cozy-storage" },
        "stringData": { "ca.crt": certificate },
    });
    stage.cluster.put(secret).unwrap();
    stage.clickhouse(TENANT, "events", (1, 1)).unwrap();
    stage
}
