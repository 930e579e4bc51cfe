//! The projected Secret: when it is written, what is left alone, and what a job says where it cannot be written.

use backup_engine::cluster::{
    ApiError, ApiReason,
    memory::{Operation, Verb, Verdict},
};

use super::{
    projection::{projected, source},
    *,
};

const FLAT: [(&str, &str); 4] = [
    ("accessKey", "AK"),
    ("secretKey", "SK"),
    ("endpoint", "https://s3.cozy.example"),
    ("bucketName", "cozy-backups"),
];

/// A copy as an earlier pass, or somebody else, left it.
fn put_copy(stage: &Stage, change: impl FnOnce(&mut Value)) {
    let mut secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "cozy-backups-creds",
            "namespace": TENANT,
            "labels": { "apps.cozystack.io/managed-by": "cozystack-backups" },
        },
        "type": "Opaque",
        "data": { "accessKey": "b2xk", "region": "b2xk", "mine": "a2VwdA==" },
    });
    change(&mut secret);
    stage.cluster.put(secret).unwrap();
}

#[tokio::test]
async fn a_copy_is_a_plain_secret_of_nobody_but_the_host() {
    let mut stage = platform(Guest::default());
    ordered(&mut stage, "BackupJob", "ad-hoc").await;
    let copy = copy(&stage).unwrap();
    assert_eq!(copy["type"], "Opaque");
    // Another label would show it to tenants, an owner would take it away from other jobs.
    let labels = json!({ "apps.cozystack.io/managed-by": "cozystack-backups" });
    assert_eq!(copy["metadata"]["labels"], labels);
    for absent in ["annotations", "ownerReferences", "finalizers"] {
        assert_eq!(copy["metadata"].get(absent), None, "{absent}");
    }
}

// TestProject_RewritesOwnedTarget, TestProject_RemovesStaleOptionalKeys. Defect 15 of the reference, as far as jobs go:
// rotated keys reach the copy with the next job.
#[tokio::test]
async fn an_outdated_copy_is_brought_up_to_date_and_keeps_what_is_not_ours() {
    let mut stage = platform(Guest::default());
    source(&stage, &FLAT);
    put_copy(&stage, |copy| {
        copy["metadata"]["labels"]["team"] = json!("orders");
    });
    ordered(&mut stage, "BackupJob", "ad-hoc").await;
    let keys = projected(&stage);
    assert_eq!(keys["accessKey"], "AK");
    assert_eq!(keys["mine"], "kept");
    assert_eq!(
        keys.get("region"),
        None,
        "the source has no region any more"
    );
    assert_eq!(
        copy(&stage).unwrap()["metadata"]["labels"]["team"],
        "orders"
    );

    let mut rotated = FLAT;
    rotated[0].1 = "AK2";
    source(&stage, &rotated);
    ordered(&mut stage, "BackupJob", "after-rotation").await;
    let keys = projected(&stage);
    assert_eq!(keys["accessKey"], "AK2");
    assert_eq!(keys["AWS_ACCESS_KEY_ID"], "AK2");
    assert!(keys["cloud"].contains("aws_access_key_id=AK2\n"));
    assert!(keys["blob_credentials.json"].contains(r#""api_key":"AK2""#));
}

// TestProject_Idempotent_NoSecondaryWrite
#[tokio::test]
async fn a_copy_that_is_right_is_not_written_again() {
    let mut stage = platform(Guest::default());
    ordered(&mut stage, "BackupJob", "first").await;
    let before = copy(&stage);
    drop(stage.cluster.take_requests());
    stage.restart();
    let said = ordered(&mut stage, "BackupJob", "second").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(copy(&stage), before);
    let written = |request: &&Operation| request.kind == "Secret" && request.writes();
    assert_eq!(stage.cluster.take_requests().iter().find(written), None);
}

// Defect 16 of the reference: a copy of another type could not be updated, and its jobs went round for ever.
#[tokio::test]
async fn a_copy_of_another_type_is_filled_all_the_same() {
    let mut stage = platform(Guest::default());
    put_copy(&stage, |copy| {
        copy["type"] = json!("example.org/credentials");
    });
    let said = ordered(&mut stage, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(copy(&stage).unwrap()["type"], "example.org/credentials");
    assert_eq!(projected(&stage)["accessKey"], stage.access_key);
}

// TestProject_RefusesUnownedTarget
#[tokio::test]
async fn a_secret_that_only_has_the_name_is_left_as_it_is() {
    for labels in [json!({}), json!({ "apps.cozystack.io/managed-by": "Helm" })] {
        let mut stage = platform(Guest::default());
        put_copy(&stage, |copy| copy["metadata"]["labels"] = labels);
        let before = copy(&stage);
        let said = ordered(&mut stage, "BackupJob", "ad-hoc").await;
        assert!(
            said.starts_with("Failed BackupFailed: Secret cozy-backups-creds in tenant-acme is not the platform's"),
            "{said}"
        );
        assert_eq!(copy(&stage), before);
    }
}

// Section "Write rule" of the reference: who loses the race for the creation looks again.
#[tokio::test]
async fn a_copy_that_appears_in_between_is_taken_as_it_is_found() {
    let mut stage = platform(Guest::default());
    let rival = stage.cluster.clone();
    stage.cluster.set_interceptor(move |operation: &Operation| {
        if operation.verb == Verb::Create && operation.kind == "Secret" {
            rival.clear_interceptor();
            return Verdict::Fail(ApiError::new(
                ApiReason::AlreadyExists,
                "secrets \"cozy-backups-creds\" already exists",
            ));
        }
        Verdict::Pass
    });
    ordered(&mut stage, "BackupJob", "ad-hoc").await;
    let said = in_the_end(&mut stage, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(projected(&stage)["accessKey"], stage.access_key);
}

// TestCheckForcesCredentialsReleaseWhenBucketNameEmpty: nothing is forced here, the jobs wait for the bucket.
#[tokio::test]
async fn a_bucket_without_a_name_is_waited_for() {
    let mut stage = platform(Guest::default());
    source(&stage, &FLAT[..3]);
    let said = ordered(&mut stage, "BackupJob", "ad-hoc").await;
    assert!(
        said.starts_with("Pending CredentialsProjectionPending: the platform has no bucket yet"),
        "{said}"
    );
    assert_eq!(copy(&stage), None);
    source(&stage, &FLAT);
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(said.starts_with("Succeeded"), "{said}");
}

// TestHandleProjectionError, TestHandleRestoreProjectionError, TestIsTransient, TestProject_SourceMissing
#[tokio::test]
async fn each_reason_is_told_and_what_can_pass_is_waited_for() {
    for (kind, failed) in KINDS {
        for reason in [
            "SourceSecretMissing",
            "APIError",
            "SourceSecretMalformed",
            "TargetSecretNotOwned",
        ] {
            let mut stage = platform(Guest::default());
            backup(&stage, |_| {});
            let (namespace, name) = ("cozy-backup-controller", "cozy-backups-system-credentials");
            match reason {
                "SourceSecretMissing" => stage
                    .delete_any("v1", "Secret", Some(namespace), name)
                    .await
                    .unwrap(),
                "APIError" => stage.cluster.set_policy(|operation: &Operation| {
                    operation.kind != "Secret" || !operation.writes()
                }),
                "SourceSecretMalformed" => source(&stage, &[]),
                _ => put_copy(&stage, |copy| copy["metadata"]["labels"] = json!({})),
            }
            let before = copy(&stage);
            let said = ordered(&mut stage, kind, "job").await;
            let beginning = match reason {
                "SourceSecretMissing" => {
                    "Pending CredentialsProjectionPending: the source Secret".to_owned()
                }
                "APIError" => {
                    "Pending CredentialsProjectionPending: the API server refused".to_owned()
                }
                "SourceSecretMalformed" => format!("Failed {failed}: the source Secret"),
                _ => format!("Failed {failed}: Secret cozy-backups-creds"),
            };
            assert!(said.starts_with(&beginning), "{reason}: {said}");
            assert_eq!(copy(&stage), before, "{reason}");

            stage.cluster.clear_policy();
            stage.storage_secret().unwrap();
            stage.cluster.advance(31);
            stage.runner.settle().await.unwrap();
            let said = stage.said(kind, TENANT, "job");
            let passes = matches!(reason, "SourceSecretMissing" | "APIError");
            assert_eq!(said.starts_with("Succeeded"), passes, "{reason}: {said}");
        }
    }
}
