//! What a restore into another namespace may touch, and where it may go.

use super::*;

#[tokio::test]
async fn credentials_are_projected_into_both_namespaces() {
    let mut stage = platform(writing());
    restored_into(&mut stage, OTHER).await;
    for namespace in [TENANT, OTHER] {
        let copy = stage
            .cluster
            .read("v1", "Secret", Some(namespace), "cozy-backups-creds");
        assert!(copy.is_some(), "{namespace}");
    }
}

#[tokio::test]
async fn a_foreign_secret_in_the_other_namespace_is_left_alone() {
    let mut stage = platform(writing());
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "cozy-backups-creds", "namespace": OTHER },
        "stringData": { "mine": "yes" },
    });
    stage.cluster.put(foreign).unwrap();
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: Secret cozy-backups-creds in tenant-other is not the platform's"
        ),
        "{said}"
    );
    assert_eq!(map(&stage, "restored"), None);
}

#[tokio::test]
async fn a_third_namespace_stays_closed() {
    let mut stage = platform(restoring(&create("tenant-third", "restored")));
    stage.namespace("tenant-third").unwrap();
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.starts_with("Pending PlanRejected")
            && said.contains("outside of the job's namespace tenant-acme, tenant-other"),
        "{said}"
    );
}

#[tokio::test]
async fn a_strategy_without_the_option_stays_in_its_namespace() {
    let open = MANIFEST.replace(
        r#""properties": { "targetNamespace": { "type": "string" } }"#,
        r#""x-any": true"#,
    );
    let mut stage = platform(writing().manifest(&open));
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.starts_with("Pending PlanRejected")
            && said.contains("outside of the job's namespace tenant-acme and"),
        "{said}"
    );
    assert!(
        !stage
            .cluster
            .requests()
            .iter()
            .any(|operation| operation.dry_run)
    );
}

#[tokio::test]
async fn what_is_no_name_of_a_namespace_is_refused_before_it_is_asked_about() {
    let long = "a".repeat(64);
    for name in [
        "Tenant",
        "tenant/../kube-system",
        "..",
        "tenant other",
        "-a",
        &long,
    ] {
        let mut stage = platform(writing());
        drop(stage.cluster.take_requests());
        let said = restored_into(&mut stage, name).await;
        assert!(
            said.starts_with(
                "Failed RestoreFailed: TargetNamespaceNotAllowed: spec.options.targetNamespace is"
            ),
            "{said}"
        );
        assert!(is_untouched(&stage));
        let asked = stage.cluster.requests();
        assert!(
            !asked
                .iter()
                .any(|operation| operation.namespace.as_deref() == Some(name))
        );
    }
}

#[tokio::test]
async fn a_namespace_that_is_not_there_or_about_to_go_is_refused() {
    let mut stage = platform(writing());
    let said = restored_into(&mut stage, "tenant-absent").await;
    assert!(
        said.ends_with("namespace tenant-absent does not exist"),
        "{said}"
    );

    let mut stage = platform(writing());
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "held", "namespace": OTHER, "finalizers": ["example.org/hold"] },
    });
    stage.cluster.put(held).unwrap();
    stage
        .delete_any("v1", "Namespace", None, OTHER)
        .await
        .unwrap();
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.ends_with("namespace tenant-other is being deleted"),
        "{said}"
    );
    assert!(is_untouched(&stage));
}

#[tokio::test]
async fn the_platforms_own_namespaces_are_nobodys_target() {
    let mut stage = platform(writing());
    let said = restored_into(&mut stage, "cozy-backup-controller").await;
    assert!(
        said.ends_with("namespace cozy-backup-controller is the platform's own"),
        "{said}"
    );
    assert!(is_untouched(&stage));
}

#[tokio::test]
async fn the_class_must_be_for_both_namespaces() {
    for (namespace, label) in [(TENANT, OTHER), (OTHER, TENANT)] {
        let mut stage = platform(writing());
        let mut class = stage
            .cluster
            .read(API, "BackupClass", None, "cozy-default")
            .unwrap();
        class["spec"]["allowedNamespaces"] =
            json!({ "matchLabels": { "kubernetes.io/metadata.name": label } });
        stage.cluster.put(class).unwrap();
        for tenant in [TENANT, OTHER] {
            let labelled = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": { "name": tenant, "labels": { "kubernetes.io/metadata.name": tenant } },
            });
            stage.cluster.put(labelled).unwrap();
        }
        let said = restored_into(&mut stage, OTHER).await;
        assert!(
            said.starts_with(&format!(
                "Failed RestoreFailed: NamespaceNotAllowed: BackupClass cozy-default is not for namespace {namespace}"
            )),
            "{said}"
        );
        assert!(is_untouched(&stage));
    }
}

#[tokio::test]
async fn the_data_of_a_backup_in_the_other_namespace_is_not_purged() {
    let path = "tenant-other/orders-db/mine";
    let mut stage = platform(restoring(&format!("(call $plan.purge '{path}')")));
    backup(&stage, OTHER, "mine", |backup| {
        backup["status"]["artifact"] = json!({ "uri": format!("s3://cozy-backups/{path}") });
    });
    stage.storage.put(&format!("{path}/data"), 1_000, 1);
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.contains(
            "a purge names tenant-other/orders-db/mine, where the data of Backup mine lies"
        ),
        "{said}"
    );
    assert_eq!(stage.storage.keys().len(), 1);
}

#[tokio::test]
async fn a_restore_that_is_called_off_is_undone_in_the_other_namespace() {
    let undone = "(call $plan.delete 'v1' 'ConfigMap' (i32.const 1) 'tenant-other' 'restored' \
                  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let waiting = format!("{} (return @wait)", create(OTHER, "restored"));
    let mut stage = platform(restoring(&waiting).on("abort", undone));
    let said = restored_into(&mut stage, OTHER).await;
    assert!(said.starts_with("Running"), "{said}");
    assert!(map(&stage, "restored").is_some());
    stage.restart();
    stage.delete("RestoreJob", TENANT, "across").await.unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.read("RestoreJob", TENANT, "across"), Value::Null);
    assert_eq!(map(&stage, "restored"), None);
}
