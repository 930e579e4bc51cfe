//! Strategies of kinds that the host has never heard of.

use super::*;

const TAPE: &str = r#"{
    "name": "tape", "version": "0.9.1", "contract": "1.0.0",
    "strategyKind": { "kind": "Tape", "plural": "tapes", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }]
}"#;

// Defect 31 of the reference: a new kind was an edit in a dozen places, a build and a roll-out. Also the counterpart of
// TestSupportedBackupStrategyKindsMatchesDispatch, TestStrategyKindForRestoreJob: there is no list to be kept.
#[tokio::test]
async fn a_kind_that_nobody_has_heard_of_is_served_without_a_new_host() {
    let mut stage = platform(Guest::default());
    class(
        &stage,
        &json!([binding(&json!({ "kind": "Postgres" }), "Tape", "vault")]),
    );
    let said = ordered(&mut stage, "BackupJob", "ad-hoc").await;
    assert!(
        said.starts_with("Pending PluginNotReady: no plugin serves strategies of kind Tape"),
        "{said}"
    );

    // The host runs on; the job that waits is woken.
    let component = Guest::default().manifest(TAPE).build();
    stage.serve(&Stage::component(&component).unwrap()).unwrap();
    stage.cluster.put(strategy("Tape", "vault")).unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(said.starts_with("Succeeded"), "{said}");

    // Defect 31: what made a Backup was not known any more.
    let made = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(made["spec"]["strategyRef"]["kind"], "Tape");
    assert_eq!(made["spec"]["plugin"]["name"], "tape");
    assert_eq!(made["spec"]["plugin"]["version"], "0.9.1");
    let digest = made["spec"]["plugin"]["digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:"), "{digest}");

    let said = ordered(&mut stage, "RestoreJob", "back").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
}
