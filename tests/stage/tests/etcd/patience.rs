//! How long a restore waits, and for what.

use super::*;

#[tokio::test]
async fn a_bootstrap_that_fails_ends_the_job_at_once_and_the_release_goes_on() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    let operator = operator(
        &stage,
        EtcdFate::BootstrapFails("the snapshot is of etcd 3.5".to_owned()),
    );
    let start = stage.cluster.now();
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with("Failed RestoreFailed: BootstrapFailed: "),
        "{said}"
    );
    assert!(said.contains("the snapshot is of etcd 3.5"), "{said}");
    assert!(stage.cluster.now() - start < 300);
    assert!(!is_suspended(&stage));
    assert!(
        cluster(&stage)["spec"].get("bootstrap").is_some(),
        "left to look at"
    );
}

// TestReconcileEtcdRestore_AvailableDeadlineResumesHR, TestEffectiveRestoreDeadline_NegativeFallsBack,
// TestParseEtcdRestoreOptions
#[tokio::test]
async fn a_cluster_that_does_not_come_up_ends_the_job_after_its_deadline() {
    for (options, seconds) in [
        (json!({}), 1800),
        (json!({ "restoreTimeoutSeconds": 120 }), 120),
        (json!({ "restoreTimeoutSeconds": -1 }), 1800),
    ] {
        let mut stage = backed_up().await;
        stage
            .restore_job(TENANT, "back", "ad-hoc", &options)
            .unwrap();
        let operator = operator(&stage, EtcdFate::BootstrapStalls);
        let start = stage.cluster.now();
        let said = restores(&mut stage, &operator).await;
        assert!(
            said.starts_with("Failed RestoreFailed: EtcdClusterBootstrapping: "),
            "{said}"
        );
        let took = stage.cluster.now() - start;
        assert!(
            (seconds..seconds + 300).contains(&took),
            "{took} seconds for {options}"
        );
        assert!(!is_suspended(&stage));
    }
}

#[tokio::test]
async fn the_operator_is_as_patient_as_the_tenant_asks_for() {
    let mut stage = backed_up().await;
    let options = json!({ "restoreTimeoutSeconds": 7200 });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &options)
        .unwrap();
    let operator = operator(&stage, EtcdFate::Completes);
    assert_eq!(restores(&mut stage, &operator).await, RESTORED);
    assert_eq!(cluster(&stage)["spec"]["progressDeadlineSeconds"], 7200);
}

#[tokio::test]
async fn one_member_of_three_is_no_restored_cluster() {
    let mut stage = backed_up().await;
    let options = json!({ "restoreTimeoutSeconds": 600 });
    stage
        .restore_job(TENANT, "back", "ad-hoc", &options)
        .unwrap();
    let operator = operator(&stage, EtcdFate::NobodyJoins);
    let said = restores(&mut stage, &operator).await;
    assert!(
        said.starts_with(
            "Failed RestoreFailed: EtcdMembersJoining: 1 of 3 members have joined (gave up"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_member_that_cannot_start_is_told() {
    let mut stage = backed_up().await;
    order_restore(&stage);
    let operator = operator(
        &stage,
        EtcdFate::MemberStuck("secret \"own\" not found".to_owned()),
    );
    let said = restores(&mut stage, &operator).await;
    assert_eq!(
        said,
        "Failed RestoreFailed: EtcdMemberStuck: the Pod of a member cannot start: CreateContainerConfigError: secret \
         \"own\" not found (gave up waiting)"
    );
    assert!(!is_suspended(&stage));
}
