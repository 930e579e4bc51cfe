//! The way of a RestoreJob, from the deletion of the old cluster to the last member of the new one.

use super::*;

fn condition(stage: &Stage, kind: &str) -> Value {
    let job = stage.read("RestoreJob", TENANT, "back");
    let conditions = job["status"]["conditions"].as_array().unwrap().clone();
    conditions
        .into_iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or_default()
}

/// What the Backup's EtcdSnapshot stored.
fn stored(stage: &Stage) -> String {
    stage.storage.keys()[0].clone()
}

#[tokio::test]
async fn a_cluster_is_deleted_with_its_data_and_comes_up_from_the_snapshot() {
    let mut stage = backed_up().await;
    let before = cluster(&stage);
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);

    let after = cluster(&stage);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    let mut expected = before["spec"].clone();
    expected["bootstrap"]["restore"]["source"]["s3"] = json!({
        "bucket": "cozy-backups",
        "endpoint": "https://s3.cozy.example",
        "key": stored(&stage),
        "region": "eu-1",
        "forcePathStyle": true,
        "credentialsSecretRef": { "name": "cozy-backups-creds" },
    });
    assert_eq!(after["spec"], expected);
    assert_eq!(
        after["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "Helm"
    );
    assert_eq!(
        after["metadata"]["annotations"],
        before["metadata"]["annotations"]
    );
    // Every member and every volume is of the new cluster.
    assert_eq!(of_kind(&stage, "EtcdMember").len(), 3);
    assert_eq!(of_kind(&stage, "PersistentVolumeClaim").len(), 3);
    assert!(!is_suspended(&stage));
    assert_eq!(
        condition(&stage, "EtcdClusterSpecCaptured")["status"],
        "True"
    );
    assert_eq!(condition(&stage, "TargetPurged")["status"], "True");
    assert_eq!(condition(&stage, "TargetPurged")["reason"], "ClusterPurged");
}

#[tokio::test]
async fn each_step_is_taken_on_what_the_cluster_shows() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let mut story: Vec<String> = vec![];
    for _ in 0..20 {
        stage.runner.settle().await.unwrap();
        let said = restore_says(&stage);
        let reason = said.split(": ").nth(1).unwrap_or_default().to_owned();
        let now = format!(
            "{reason}; members {}, volumes {}, release {}",
            of_kind(&stage, "EtcdMember").len(),
            of_kind(&stage, "PersistentVolumeClaim").len(),
            if is_suspended(&stage) {
                "suspended"
            } else {
                "goes on"
            },
        );
        if story.last() != Some(&now) {
            story.push(now);
        }
        if said.starts_with("Succeeded") {
            break;
        }
        turn(&stage, &operator).await;
    }
    insta::assert_yaml_snapshot!("etcd-restore-story", story);
}

// TestEtcdClusterFullyGone: a volume that is being deleted is still there.
#[tokio::test]
async fn volumes_that_are_not_gone_keep_the_new_cluster_from_coming() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::MembersStay);
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: EtcdClusterPurging: waiting until these are gone: "
        ),
        "{said}"
    );
    // Who holds them up, and what.
    assert!(said.contains("gone: etcd-"), "{said}");
    assert!(said.contains(", data-etcd-"), "{said}");
    assert!(
        cluster(&stage).is_null() || cluster(&stage)["spec"].get("bootstrap").is_none(),
        "nothing comes up over members that are still there"
    );
    assert!(!is_suspended(&stage));
}

#[tokio::test]
async fn a_cluster_can_be_restored_twice_from_the_same_backup() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    let first = cluster(&stage);
    stage.delete("RestoreJob", TENANT, "back").await.unwrap();
    order_restore(&stage);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    let second = cluster(&stage);
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(first["spec"], second["spec"]);
}
