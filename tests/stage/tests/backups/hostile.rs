//! Strategies that misuse `forget` and `check`.

use super::*;

/// What is said when `mine` is deleted; nothing that is stored may have gone.
async fn refused(body: &str, fragment: &str) {
    let mut stage = guest(answering().on("forget", body));
    stage.storage.put("tenant-other/orders-db/data", 1, 1);
    stage.namespace("tenant-other").unwrap();
    let keys = stage.storage.keys();
    delete(&mut stage, "mine").await;
    let said = ready(&stage, "mine");
    assert!(
        said.starts_with("False PlanRejected: plugin guest: "),
        "{said}"
    );
    assert!(said.contains(fragment), "{said}");
    until_gone(&mut stage, "mine").await;
    assert_eq!(stage.storage.keys(), keys);
    let maps = stage.cluster.objects();
    assert!(!maps.iter().any(|object| object["kind"] == "ConfigMap"));
}

#[tokio::test]
async fn anothers_data_is_not_purged() {
    for path in [
        "tenant-other/orders-db/data",
        "tenant-acme/orders-db-2/x",
        "tenant-acme",
        // All of its own: every backup of the application.
        "tenant-acme/orders-db",
    ] {
        let body = format!("(call $plan.purge '{path}')");
        refused(&body, &format!("names {path}, which is not below")).await;
    }
}

#[tokio::test]
async fn nothing_is_written_into_another_namespace() {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "namespace": "tenant-other" } });
    let body = format!("(call $plan.create '{map}' (i32.const 1))");
    refused(&body, "ConfigMap tenant-other/x").await;
}

#[tokio::test]
async fn no_secret_comes_into_a_status() {
    let secret = format!("secret-{}", std::process::id());
    let length = u32::try_from(secret.len()).unwrap();
    let telling = |question: &'static str, words: &[u32]| {
        Guest::default()
            .data("secret", secret.as_bytes())
            .data("word", b"Word")
            .words("told", words)
            .on(question, "(return @told)")
    };
    let word = 1024 + length.next_multiple_of(8);
    for (question, words) in [
        // Failed and waiting; lost and unknown.
        ("forget", vec![2, word, 4, 1024, length]),
        ("forget", vec![0, word, 4, 1024, length, 1, 0, 0, 0, 0]),
        ("check", vec![2, 0, word, 4, 1024, length]),
        ("check", vec![3, 0, word, 4, 1024, length]),
    ] {
        let mut stage = guest(telling(question, &words));
        ask(&mut stage, "mine", "now").await;
        let seen = available(&stage, "mine");
        delete(&mut stage, "mine").await;
        let said = format!("{} {seen}", ready(&stage, "mine"));
        assert!(said.contains("PlanRejected"), "{question} {said}");
        until_gone(&mut stage, "mine").await;
        for object in stage.cluster.objects() {
            if object["kind"] != "Secret" {
                assert!(!object.to_string().contains(&secret), "{object}");
            }
        }
    }
}
