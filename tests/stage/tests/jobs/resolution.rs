//! Which strategy a job finds, and that nothing happens before it has found one.

use super::*;

// TestNormalizeApplicationRef, TestResolveBackupClass, TestReconcile_NoMatchingStrategy_IsTerminal
#[tokio::test]
async fn a_binding_is_for_one_group_and_kind() {
    let mut stage = platform(Guest::default());
    let (ours, theirs) = ("apps.cozystack.io", "databases.example.org");
    let without = |kind: &str| json!({ "kind": kind });
    let of = |group: &str| json!({ "apiGroup": group, "kind": "Postgres" });
    let cases = [
        (without("Postgres"), without("Postgres"), true),
        (of(ours), without("Postgres"), true),
        (without("Postgres"), of(ours), true),
        (without("Postgres"), of(""), true),
        (of(""), of(ours), true),
        (of(theirs), without("Postgres"), false),
        (without("Postgres"), of(theirs), false),
        (without("Postgres"), without("postgres"), false),
        (without("Postgres"), without("FoundationDB"), false),
    ];
    for (at, (selector, application, fits)) in cases.into_iter().enumerate() {
        class(&stage, &json!([binding(&selector, "Guest", "guest")]));
        let name = format!("job-{at}");
        let mut reference = application.clone();
        reference["name"] = json!("orders-db");
        let job = json!({
            "apiVersion": API,
            "kind": "BackupJob",
            "metadata": { "name": name, "namespace": TENANT },
            "spec": { "backupClassName": "cozy-default", "applicationRef": reference },
        });
        stage.cluster.put(job).unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, &name);
        let expected = if fits {
            "Succeeded"
        } else {
            "Failed BackupFailed: BackupClass cozy-default has no strategy for applications of kind "
        };
        assert!(
            said.starts_with(expected),
            "{selector} and {application}: {said}"
        );
    }
}

#[tokio::test]
async fn of_two_bindings_for_a_kind_the_first_is_taken_with_its_parameters() {
    let mut stage = platform(Guest::default());
    let with = |which: &str| {
        let mut binding = binding(&json!({ "kind": "Postgres" }), "Guest", "guest");
        binding["parameters"] = json!({ "which": which });
        binding
    };
    class(&stage, &json!([with("first"), with("second")]));
    ordered(&mut stage, "BackupJob", "ad-hoc").await;
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(backup["spec"]["parameters"], json!({ "which": "first" }));
}

// TestReconcile_UnsupportedKindInPlatformAPIGroup_IsTerminal, TestReconcileRestore_UnsupportedKindInPlatformAPIGroup_IsTerminal.
// Here a kind that nobody serves may be served in a minute: the job waits for it, and not for ever.
#[tokio::test]
async fn a_kind_that_nobody_serves_gets_no_credentials() {
    for (kind, failed) in KINDS {
        let mut stage = platform(Guest::default());
        backup(&stage, |_| {});
        stage.strategies.withdraw("Guest");
        let began = stage.cluster.now();
        let said = ordered(&mut stage, kind, "job").await;
        let words = "PluginNotReady: no plugin serves strategies of kind Guest";
        assert!(said.starts_with(&format!("Pending {words}")), "{said}");
        let said = in_the_end(&mut stage, kind, "job").await;
        assert!(
            said.starts_with(&format!("Failed {failed}: {words}")),
            "{said}"
        );
        assert_eq!(stage.cluster.now() - began, 30 * 60);
        assert_eq!(copy(&stage), None);
    }
}

// TestStrategyNotReadyDeadlineExceeded, TestRequeueStrategyNotReady_BoundedByDeadline,
// TestRequeueRestoreStrategyNotReady_BoundedByDeadline
#[tokio::test]
async fn a_strategy_object_is_waited_for_half_an_hour() {
    for (kind, failed) in KINDS {
        let mut stage = platform(Guest::default());
        backup(&stage, |_| {});
        let api = "strategy.backups.cozystack.io/v1alpha1";
        stage
            .delete_cluster_scoped(api, "Guest", "guest")
            .await
            .unwrap();
        let began = stage.cluster.now();
        let said = ordered(&mut stage, kind, "late").await;
        let words = "StrategyNotReady: Guest guest does not exist";
        assert!(said.starts_with(&format!("Pending {words}")), "{said}");
        let said = in_the_end(&mut stage, kind, "late").await;
        assert!(
            said.starts_with(&format!("Failed {failed}: {words}")),
            "{said}"
        );
        assert_eq!(stage.cluster.now() - began, 30 * 60);
        assert_eq!(copy(&stage), None);

        ordered(&mut stage, kind, "in-time").await;
        stage.cluster.put(strategy("Guest", "guest")).unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.said(kind, TENANT, "in-time");
        assert!(said.starts_with("Succeeded"), "{said}");
    }
}
