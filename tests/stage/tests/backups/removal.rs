//! What a deletion takes along, and what it waits for.

use super::*;

#[tokio::test]
async fn a_backup_is_held_and_labelled_from_its_creation_on() {
    let mut stage = platform();
    stage
        .cluster
        .put(json!({
            "apiVersion": API,
            "kind": "BackupJob",
            "metadata": { "name": "nightly-1", "namespace": TENANT },
            "spec": {
                "backupClassName": "cozy-default",
                "applicationRef": { "kind": "Etcd", "name": "etcd" },
                "planRef": { "name": "nightly" },
            },
        }))
        .unwrap();
    for _ in 0..8 {
        stage.runner.settle().await.unwrap();
        turn(&stage).await;
    }
    let creations: Vec<Operation> = stage
        .cluster
        .requests()
        .into_iter()
        .filter(|operation| operation.kind == "Backup" && operation.writes())
        .collect();
    assert_eq!(creations.len(), 2, "created, and its status written");
    let found = backup(&stage, "nightly-1");
    assert_eq!(
        found["metadata"]["finalizers"],
        json!(["backups.cozystack.io/cleanup"])
    );
    assert_eq!(
        found["metadata"]["labels"]["backups.cozystack.io/plan"],
        "nightly"
    );
    assert_eq!(found["spec"]["deletionPolicy"], "Delete");
}

#[tokio::test]
async fn the_class_says_what_becomes_of_the_data() {
    let mut stage = platform();
    let mut class = stage
        .cluster
        .read(API, "BackupClass", None, "cozy-default")
        .unwrap();
    class["spec"]["deletionPolicy"] = json!("Retain");
    stage.cluster.put(class).unwrap();
    back_up(&mut stage, "ad-hoc").await;
    assert_eq!(backup(&stage, "ad-hoc")["spec"]["deletionPolicy"], "Retain");
}

/// Defects 13 and 14 of the reference: nothing of an Etcd's Backup was ever removed.
// TestBackupCleanup_CNPG_DeletesUnderlyingCNPGBackup, TestBackupReconciler_DeletionWithExistingVeleroBackup
#[tokio::test]
async fn a_removal_takes_the_operators_object_and_the_data_along() {
    let mut stage = etcd().await;
    stage.storage.put("tenant-acme/etcd/other.db", 1, 1);
    hold_snapshots(&stage);
    delete(&mut stage, "ad-hoc").await;
    assert!(
        ready(&stage, "ad-hoc").starts_with("False Forgetting: EtcdSnapshotRemoving: "),
        "{}",
        ready(&stage, "ad-hoc")
    );
    until_gone(&mut stage, "ad-hoc").await;
    assert_eq!(snapshots(&stage), 0);
    assert_eq!(stage.storage.keys(), ["tenant-acme/etcd/other.db"]);
    assert_eq!(events(&stage, "LeftBehind"), Vec::<String>::new());
    nothing_is_kept_of(&mut stage, "ad-hoc").await;
}

#[tokio::test]
async fn the_strategys_own_account_removes() {
    let mut stage = etcd().await;
    drop(stage.cluster.take_requests());
    delete(&mut stage, "ad-hoc").await;
    let deletion = stage
        .cluster
        .requests()
        .into_iter()
        .find(|operation| operation.kind == "EtcdSnapshot" && operation.verb == Verb::Delete)
        .unwrap();
    assert!(
        deletion
            .purpose
            .starts_with("Backup/tenant-acme/ad-hoc sha256:"),
        "{}",
        deletion.purpose
    );
    assert!(format!("{:?}", deletion.account).contains("strategy-etcd"));
}

#[tokio::test]
async fn an_application_that_is_gone_does_not_keep_its_backups() {
    let mut stage = etcd().await;
    for kind in ["Etcd", "HelmRelease"] {
        let version = match kind {
            "Etcd" => "apps.cozystack.io/v1alpha1",
            _ => "helm.toolkit.fluxcd.io/v2",
        };
        stage
            .delete_any(version, kind, Some(TENANT), "etcd")
            .await
            .unwrap();
    }
    delete(&mut stage, "ad-hoc").await;
    until_gone(&mut stage, "ad-hoc").await;
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_retained_is_not_touched() {
    let mut stage = etcd().await;
    patch(
        &stage,
        "ad-hoc",
        json!({ "spec": { "deletionPolicy": "Retain" } }),
    )
    .await;
    let keys = stage.storage.keys();
    delete(&mut stage, "ad-hoc").await;
    assert_eq!(backup(&stage, "ad-hoc"), Value::Null);
    assert_eq!(stage.storage.keys(), keys);
    assert_eq!(snapshots(&stage), 1);
    assert_eq!(
        events(&stage, "Retained"),
        [format!(
            "Normal: spec.deletionPolicy is Retain; its data stays at s3://cozy-backups/{}",
            keys[0]
        )]
    );
}

#[tokio::test]
async fn a_removal_that_is_stuck_ends_when_the_data_is_to_stay_after_all() {
    let mut stage = guest(Guest::default().on("forget", "unreachable"));
    delete(&mut stage, "mine").await;
    assert!(ready(&stage, "mine").starts_with("False PluginError: "));
    patch(
        &stage,
        "mine",
        json!({ "spec": { "deletionPolicy": "Retain" } }),
    )
    .await;
    stage.runner.settle().await.unwrap();
    assert_eq!(backup(&stage, "mine"), Value::Null);
    assert_eq!(events(&stage, "Retained").len(), 1);
}

#[tokio::test]
async fn a_namespace_that_ends_takes_no_data_along() {
    let mut stage = etcd().await;
    let keys = stage.storage.keys();
    stage
        .delete_cluster_scoped("v1", "Namespace", TENANT)
        .await
        .unwrap();
    for _ in 0..4 {
        stage.runner.settle().await.unwrap();
        turn(&stage).await;
    }
    assert_eq!(backup(&stage, "ad-hoc"), Value::Null);
    assert_eq!(stage.storage.keys(), keys);
}

#[tokio::test]
async fn a_definition_that_ends_takes_no_data_along() {
    for definition in [
        "backups.backups.cozystack.io",
        "backupclasses.backups.cozystack.io",
        "etcds.strategy.backups.cozystack.io",
    ] {
        let mut stage = etcd().await;
        let keys = stage.storage.keys();
        let mut ending = stage
            .cluster
            .read(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                None,
                definition,
            )
            .unwrap();
        ending["metadata"]["finalizers"] = json!(["somebody/waits"]);
        stage.cluster.put(ending).unwrap();
        stage.cluster.remove_crd(definition).unwrap();
        stage.delete("Backup", TENANT, "ad-hoc").await.ok();
        stage.runner.settle().await.unwrap();
        assert_eq!(backup(&stage, "ad-hoc"), Value::Null, "{definition}");
        assert_eq!(stage.storage.keys(), keys, "{definition}");
        assert_eq!(
            events(&stage, "Retained"),
            [format!(
                "Warning: CustomResourceDefinition {definition} is being deleted, and takes no data along; its data \
                 stays at s3://cozy-backups/{}",
                keys[0]
            )],
            "{definition}"
        );
    }
}

#[tokio::test]
async fn a_removal_waits_for_the_job_on_its_application() {
    let mut stage = etcd().await;
    stage.etcd_backup_job(TENANT, "second", "etcd").unwrap();
    stage.runner.settle().await.unwrap();
    delete(&mut stage, "ad-hoc").await;
    assert!(
        ready(&stage, "ad-hoc").starts_with("False ApplicationBusy: BackupJob second works on"),
        "{}",
        ready(&stage, "ad-hoc")
    );
    assert_eq!(snapshots(&stage), 2, "nothing is touched meanwhile");
    until_gone(&mut stage, "ad-hoc").await;
    let said = stage.job(TENANT, "second");
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(stage.storage.keys().len(), 1);
}

#[tokio::test]
async fn a_job_waits_for_a_removal_that_has_begun_and_not_for_one_that_was_cut_off() {
    let mut stage = etcd().await;
    hold_snapshots(&stage);
    delete(&mut stage, "ad-hoc").await;
    stage.etcd_backup_job(TENANT, "second", "etcd").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "second");
    assert!(
        said.starts_with("Pending ApplicationBusy: the removal of Backup ad-hoc works on"),
        "{said}"
    );
    // Somebody takes the finalizer off by hand.
    patch(
        &stage,
        "ad-hoc",
        json!({ "metadata": { "finalizers": null } }),
    )
    .await;
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "second");
    assert!(said.starts_with("Running"), "{said}");
}

#[tokio::test]
async fn removals_do_not_wait_for_each_other() {
    let mut stage = etcd().await;
    back_up(&mut stage, "second").await;
    hold_snapshots(&stage);
    stage.delete("Backup", TENANT, "second").await.unwrap();
    delete(&mut stage, "ad-hoc").await;
    for name in ["ad-hoc", "second"] {
        assert!(ready(&stage, name).contains("EtcdSnapshotRemoving"));
    }
    until_gone(&mut stage, "ad-hoc").await;
    assert_eq!(backup(&stage, "second"), Value::Null);
    assert_eq!(stage.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_is_not_removed_under_a_restore_from_it() {
    let mut stage = etcd().await;
    stage
        .restore_job(TENANT, "back", "ad-hoc", &json!({}))
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert!(
        stage
            .said("RestoreJob", TENANT, "back")
            .starts_with("Running")
    );
    delete(&mut stage, "ad-hoc").await;
    let said = ready(&stage, "ad-hoc");
    assert!(
        said.starts_with("False ApplicationBusy: RestoreJob back restores from this Backup"),
        "{said}"
    );
    assert_eq!(stage.storage.keys().len(), 1);
    until_gone(&mut stage, "ad-hoc").await;
    let said = stage.said("RestoreJob", TENANT, "back");
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn what_forget_creates_goes_with_the_backup() {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "request", "namespace": TENANT },
    });
    // Created as the job's own, waited for ever.
    let forget = format!("(call $plan.create '{map}' (i32.const 0)) (return @wait)");
    let mut stage = guest(answering().on("forget", &forget));
    delete(&mut stage, "mine").await;
    let made = stage
        .cluster
        .read("v1", "ConfigMap", Some(TENANT), "request")
        .unwrap();
    let owner = &made["metadata"]["ownerReferences"][0];
    assert_eq!(owner["kind"], "Backup");
    assert_eq!(owner["uid"], backup(&stage, "mine")["metadata"]["uid"]);
    assert_eq!(
        made["metadata"]["labels"]["backups.cozystack.io/owned-by.UID"],
        owner["uid"]
    );
    // The counterpart of the reference's one DeleteBackupRequest: however often it is asked, there is one.
    pass_time(&mut stage, HOUR).await;
    let maps = stage.cluster.objects();
    let maps = maps.iter().filter(|object| object["kind"] == "ConfigMap");
    assert_eq!(maps.count(), 1);
    until_gone(&mut stage, "mine").await;
    assert_eq!(
        stage
            .cluster
            .read("v1", "ConfigMap", Some(TENANT), "request"),
        None
    );
}

#[tokio::test]
async fn nothing_is_kept_of_a_backup_that_never_was() {
    let mut stage = platform();
    put(&stage, "short", |backup| {
        backup["metadata"]["finalizers"] = json!([]);
    });
    stage.delete("Backup", TENANT, "short").await.unwrap();
    stage.runner.settle().await.unwrap();
    nothing_is_kept_of(&mut stage, "short").await;
}
