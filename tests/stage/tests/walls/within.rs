//! What a strategy may do, told beside what it may not: a wall that refuses everything would pass every attack.

use super::*;
use backup_api::PodSecurityLevel;

/// Checks that a script leads to a Backup.
async fn succeeds(stage: &mut Stage) {
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Succeeded BackupCompleted: Backup ad-hoc is complete"
    );
}

#[tokio::test]
async fn a_pod_with_granted_secrets_that_keeps_the_level_runs() {
    let secret = "postgres-orders-db-auth";
    let mut stage = scripted(&json!([{ "pod": {
        "serviceAccountName": "default",
        "volumes": [{ "name": "auth", "secret": { "secretName": secret } }, { "name": "scratch", "emptyDir": {} }],
        "containers": [{ "env": [{ "name": "PGPASSWORD", "valueFrom": { "secretKeyRef": { "name": secret, "key": "password" } } }] }],
    } }]));
    succeeds(&mut stage).await;
    let objects = stage.cluster.objects();
    assert!(objects.iter().any(|object| {
        object["kind"] == "Pod" && object["spec"]["containers"][0]["name"] == "loot"
    }));
}

#[tokio::test]
async fn a_level_that_was_granted_is_what_counts() {
    let script = json!([{ "pod": { "hostNetwork": true, "volumes": [{ "name": "v", "hostPath": { "path": "/" } }] } }]);
    for (level, words) in [
        (PodSecurityLevel::Restricted, "breaks the level restricted"),
        (PodSecurityLevel::Baseline, "breaks the level baseline"),
        (PodSecurityLevel::Privileged, "Succeeded"),
    ] {
        let mut stage = scripted(&script);
        serve(&stage, |grant| {
            grant.pods = Some(PluginPods {
                security_level: level,
                secrets: vec![],
            });
        });
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_secret_of_a_pod_is_granted_by_the_name_of_the_release() {
    let script = json!([{ "pod": { "volumes": [{ "name": "v", "secret": { "secretName": "pg-release-auth" } }] } }]);
    let mut stage = scripted(&script);
    serve(&stage, |grant| {
        grant.pods = Some(PluginPods {
            secrets: vec!["{release}-auth".to_owned()],
            ..PluginPods::default()
        });
    });
    let release = ("helm.toolkit.fluxcd.io/v2", "HelmRelease");
    stage
        .delete_any(release.0, release.1, Some(TENANT), "postgres-orders-db")
        .await
        .unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Pending Waiting: Postgres orders-db has no Helm release"
    );
    let label = |of: &str| format!("apps.cozystack.io/application.{of}");
    stage
        .cluster
        .put(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": { "name": "pg-release", "namespace": TENANT, "labels": {
                label("group"): "apps.cozystack.io", label("kind"): "Postgres", label("name"): "orders-db" } },
            "spec": {},
        }))
        .unwrap();
    to_the_end(&mut stage).await;
    assert!(stage.job(TENANT, "ad-hoc").starts_with("Succeeded"));
}

#[tokio::test]
async fn places_of_its_own_pass_in_every_form() {
    let mut stage = scripted(&json!([
        { "create": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "<child>", "namespace": "<namespace>" }, "data": {
            "path": "s3://<bucket>/<prefix>/base/",
            "endpoint": "<endpoint>",
            "bucket": "<bucket>",
            "url": "<endpoint>/<bucket>/<prefix>/base",
            "docs": "see https://elsewhere.example/any/../thing?x=y",
            "run": "aws --endpoint-url <endpoint> s3 cp s3://<bucket>/<prefix>/a - | cat",
        } } },
        { "purge": "<prefix>/old" },
        { "succeed": { "artifact": "s3://<bucket>/<prefix>/base/", "metadata": [["prefix", "<prefix>"]], "resources": null } },
    ]));
    succeeds(&mut stage).await;
}

#[tokio::test]
async fn an_owner_that_was_read_and_the_job_itself_may_own() {
    let mut stage = scripted(&json!([
        { "get": ["v1", "Pod", "<namespace>", "postgres-<application>-1"] },
        { "create": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "<child>", "namespace": "<namespace>",
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Pod", "name": "postgres-<application>-1", "uid": "<owner>" },
                { "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob", "name": "ad-hoc", "uid": "<uid>" },
            ] } } },
    ]));
    let pod = read(&stage, "Pod", Some(TENANT), "postgres-orders-db-1").unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let class = |text: String| text.replace("<owner>", uid);
    let mut found = stage
        .cluster
        .read(
            "backups.cozystack.io/v1alpha1",
            "BackupClass",
            None,
            "cozy-default",
        )
        .unwrap();
    let script = &mut found["spec"]["strategies"][0]["parameters"]["script"];
    *script = json!(class(script.as_str().unwrap().to_owned()));
    stage.cluster.put(found).unwrap();
    succeeds(&mut stage).await;
}

// A password that is the name of an API group would refuse every plan, and protects nothing.
#[tokio::test]
async fn a_password_that_everybody_reads_refuses_nothing() {
    let mut stage = scripted(&json!([
        { "create": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "<child>", "namespace": "<namespace>" } } },
        { "wait": { "reason": "ConfigMap", "message": "of Postgres <application>" } },
    ]));
    for password in ["Postgres", "orders-db", "configmap"] {
        let mut application = application(&stage);
        application["spec"]["users"]["orders"]["password"] = json!(password);
        stage.cluster.put(application).unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        assert_eq!(
            said, "Running Running: ConfigMap: of Postgres orders-db",
            "{password}"
        );
    }
}

#[tokio::test]
async fn the_application_may_be_given_its_own_password_and_nothing_else_may() {
    let patch = json!({ "spec": { "users": { "orders": { "note": "<password>" } } } });
    let target = [
        "apps.cozystack.io/v1alpha1",
        "Postgres",
        "<namespace>",
        "<application>",
    ];
    let mut stage = scripted(&json!([{ "merge": { "target": target, "patch": patch } }]));
    succeeds(&mut stage).await;
    assert_eq!(
        application(&stage)["spec"]["users"]["orders"]["note"],
        PASSWORD
    );
}

#[tokio::test]
async fn what_a_finished_job_has_left_is_the_applications() {
    let mut stage = scripted(&json!([
        { "delete": ["v1", "ConfigMap", "<namespace>", "of-a-job"] },
    ]));
    let mut left = config_map(TENANT, "of-a-job", &json!({}));
    left["metadata"]["labels"] =
        json!({ "backups.cozystack.io/owned-by.UID": "of-a-job-that-has-ended" });
    stage.cluster.put(left).unwrap();
    succeeds(&mut stage).await;
    assert_eq!(read(&stage, "ConfigMap", Some(TENANT), "of-a-job"), None);
}

#[tokio::test]
async fn parameters_with_the_platforms_key_are_refused() {
    let mut stage = stage(&json!({}));
    class(
        &stage,
        &json!({ "script": "[]", "note": format!("x{}x", stage.secret_key) }),
    );
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.contains(
            "BackupClass cozy-default: parameter note holds the platform's own credentials"
        ),
        "{said}"
    );
}

// A Backup of one application restored into another: what it holds lies where the first one stores.
#[tokio::test]
async fn a_restore_into_another_application_names_the_place_that_it_restores_from_and_purges_nothing_there()
 {
    let store = |place: &str| {
        json!([{ "create": {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "<child>", "namespace": "<namespace>" },
            "data": { "path": place },
        } }])
    };
    let attempts = [
        (
            store("s3://<bucket>/tenant-acme/orders-db/base"),
            "Succeeded",
        ),
        (store("s3://<bucket>/tenant-acme/copy-db/base"), "Succeeded"),
        (
            store("s3://<bucket>/tenant-acme/third-db/base"),
            "Pending PlanRejected",
        ),
        (
            json!([{ "purge": "tenant-acme/orders-db/base" }]),
            "Pending PlanRejected",
        ),
        (
            json!([{ "purge": "tenant-acme/copy-db/base" }]),
            "Succeeded",
        ),
    ];
    for (script, says) in attempts {
        let script = script.to_string();
        let mut stage = stage(&json!({ "script": "[]", "restore": script }));
        stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
        stage.runner.settle().await.unwrap();
        stage.postgres(TENANT, "copy-db", PASSWORD).unwrap();
        let job = json!({
            "apiVersion": backup_api::names::API_VERSION, "kind": "RestoreJob",
            "metadata": { "name": "copy", "namespace": TENANT },
            "spec": {
                "backupRef": { "name": "ad-hoc" },
                "targetApplicationRef": { "kind": "Postgres", "name": "copy-db" },
            },
        });
        stage.cluster.put(job).unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.said("RestoreJob", TENANT, "copy");
        assert!(said.starts_with(says), "{script}: {said}");
    }
}
