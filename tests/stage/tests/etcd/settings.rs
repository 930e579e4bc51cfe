//! What an administrator can set in the strategy, and what follows the platform's storage.

use super::*;

// TestRenderEtcdTemplate_AppName, TestStrategyToEtcdBackupDestination_S3, TestEtcdBackupSnapshot_RoundTrip,
// TestResolveEtcdRestoreDestination_ForcePathStyleNilRoundTrip
#[tokio::test]
async fn settings_of_ones_own_are_kept_and_what_is_not_set_stays_unset() {
    let mut stage = platform();
    set_s3(
        &stage,
        &json!({
            "bucket": "own-bucket",
            "endpoint": "https://s3.example.org",
            "key": "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}//",
            "credentialsSecretRef": { "name": "{{ .Application.metadata.name }}-keys" },
        }),
    );
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let expected = json!({
        "bucket": "own-bucket",
        "endpoint": "https://s3.example.org",
        "key": "tenant-acme/etcd/",
        "credentialsSecretRef": { "name": "etcd-keys" },
    });
    assert_eq!(
        snapshots(&stage)[0]["spec"]["destination"]["s3"],
        expected,
        "several slashes at the end would make one key for the operator and another for a restore"
    );
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["status"]["underlyingResources"]["destination"]["s3"],
        expected
    );
    let metadata = backup["spec"]["driverMetadata"].as_object().unwrap();
    assert!(!metadata.contains_key("etcd.aenix.io/force-path-style"));
    assert!(!metadata.contains_key("etcd.aenix.io/region"));
}

// TestValidateRenderedEtcdDestination
#[tokio::test]
async fn credentials_of_ones_own_need_a_place_of_ones_own() {
    let own = json!({
        "credentialsSecretRef": { "name": "own" },
        "bucket": "own-bucket",
        "endpoint": "https://s3.example.org",
    });
    for field in ["bucket", "endpoint"] {
        let mut stage = platform();
        let mut lacking = own.clone();
        lacking[field] = json!("");
        set_s3(&stage, &lacking);
        order(&stage);
        let operator = operator(&stage, EtcdFate::Completes);
        assert_eq!(
            backs_up(&mut stage, &operator).await,
            format!(
                "Failed BackupFailed: InvalidSpec: template.destination.s3.{field} is empty, and credentials of one's own \
                 need it"
            )
        );
        assert!(snapshots(&stage).is_empty());
    }
    let mut stage = platform();
    set_s3(&stage, &own);
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn a_folder_of_other_tenants_is_refused() {
    for key in ["tenant-rival/etcd/", "", "/"] {
        let mut stage = platform();
        set_s3(&stage, &json!({ "key": key }));
        order(&stage);
        let operator = operator(&stage, EtcdFate::Completes);
        let said = backs_up(&mut stage, &operator).await;
        if key.is_empty() {
            // Nothing set is the application's own folder, never the bucket itself.
            assert!(said.starts_with("Succeeded"), "{said}");
            assert!(stage.storage.keys()[0].starts_with("tenant-acme/etcd/"));
        } else {
            let why = match key {
                "/" => "template.destination.s3.key: is a folder of the bucket",
                _ => "PlanRejected",
            };
            assert!(said.contains(why), "{key}: {said}");
            assert!(snapshots(&stage).is_empty());
        }
    }
}

#[tokio::test]
async fn settings_that_change_while_a_job_runs_are_for_the_next_one() {
    let mut stage = platform();
    order(&stage);
    stage.runner.settle().await.unwrap();
    set_s3(&stage, &json!({ "key": "tenant-acme/etcd/elsewhere" }));
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["spec"]["driverMetadata"]["etcd.aenix.io/key"],
        "tenant-acme/etcd/"
    );
}

#[tokio::test]
async fn a_template_that_fails_names_its_field_and_nothing_is_stored_under_its_text() {
    let mut stage = platform();
    set_s3(
        &stage,
        &json!({ "key": "{{ .Application.metadata.nme }}/" }),
    );
    order(&stage);
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(said.contains("TemplateFailed"), "{said}");
    assert!(
        said.contains("spec/template/destination/s3/key: "),
        "{said}"
    );
    assert!(snapshots(&stage).is_empty());
}

// TestEtcdDestinationTemplate_NoPVCField
#[test]
fn there_is_no_way_to_store_in_a_volume() {
    let strategy = Stage::bundled("etcd.wasm").unwrap();
    let schema = &strategy.manifest().strategy_kind.schema;
    let destination = &schema["properties"]["template"]["properties"]["destination"];
    let members: Vec<&String> = destination["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(members, ["s3"]);
    assert_eq!(destination["required"], json!(["s3"]));
}

#[tokio::test]
async fn a_private_certificate_authority_is_refused_before_a_snapshot_is_ordered() {
    let mut stage = privately_certified();
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(
        said.starts_with(
            "Failed BackupFailed: PrivateCAUnsupported: https://s3.cozy.example has a certificate"
        ),
        "{said}"
    );
    assert!(
        said.ends_with("give the storage a certificate of a public authority"),
        "{said}"
    );
    assert!(snapshots(&stage).is_empty());
}
