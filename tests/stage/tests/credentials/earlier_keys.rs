//! Keys that were current before are secrets like the current ones.

use super::*;

/// A guest that tells the tenant something in an Event.
fn telling(text: &str) -> Stage {
    let body = format!("(call $plan.event (i32.const 0) 'Told' 'see {text}')");
    let guest = Guest::default()
        .manifest(&manifest(false))
        .on("backup", &body);
    platform_of(StorageSettings::default(), guest)
}

async fn told(stage: &mut Stage, namespace: &str) -> String {
    stage.backup_job(namespace, "tells", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    stage.job(namespace, "tells")
}

fn is_refused(said: &str) -> bool {
    said.contains("PlanRejected") && said.contains("the platform's own credentials")
}

#[tokio::test]
async fn a_key_that_was_current_since_the_host_began_stays_a_secret() {
    let mut stage = telling("SK1-of-the-platform");
    put_copy(&stage, OTHER, "AK1-of-the-platform");
    stage.runner.settle().await.unwrap();
    source(&stage, "AK2-of-the-platform", "SK2-of-the-platform");
    stage.runner.settle().await.unwrap();
    let said = told(&mut stage, TENANT).await;
    assert!(is_refused(&said), "{said}");
}

#[tokio::test]
async fn a_key_in_a_copy_that_was_not_refreshed_yet_is_a_secret_in_its_namespace() {
    let mut stage = telling("AK0-of-the-platform");
    put_copy(&stage, TENANT, "AK0-of-the-platform");
    let said = told(&mut stage, TENANT).await;
    assert!(is_refused(&said), "{said}");
    // What a tenant writes into its own copy is not to keep others from telling what they like.
    let said = told(&mut stage, OTHER).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}
