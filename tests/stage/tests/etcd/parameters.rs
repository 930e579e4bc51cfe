//! Every setting of the strategy is a parameter of a class, too.

use super::*;

/// The parameters, each with another value than the strategy has, and where the value is to be found.
const PARAMETERS: [(&str, &str, &str); 6] = [
    ("destination.s3.bucket", "weekly", "/bucket"),
    (
        "destination.s3.endpoint",
        "https://s3.example.org",
        "/endpoint",
    ),
    ("destination.s3.key", "tenant-acme/etcd/weekly", "/key"),
    ("destination.s3.region", "eu-9", "/region"),
    ("destination.s3.forcePathStyle", "false", "/forcePathStyle"),
    (
        "destination.s3.credentialsSecretRef.name",
        "weekly-keys",
        "/credentialsSecretRef/name",
    ),
];

fn strategys_own(stage: &Stage) {
    set_s3(
        stage,
        &json!({
            "bucket": "daily",
            "endpoint": "https://s3.daily.example",
            "key": "tenant-acme/etcd/daily/",
            "region": "eu-5",
            "forcePathStyle": true,
            "credentialsSecretRef": { "name": "daily-keys" },
        }),
    );
}

#[tokio::test]
async fn a_parameter_of_the_class_wins_over_the_strategy() {
    for (parameter, value, pointer) in PARAMETERS {
        let mut stage = platform();
        strategys_own(&stage);
        set_parameters(&stage, &json!({ parameter: value }));
        order(&stage);
        let operator = operator(&stage, EtcdFate::Completes);
        let said = backs_up(&mut stage, &operator).await;
        assert!(said.starts_with("Succeeded"), "{parameter}: {said}");
        let s3 = snapshots(&stage)[0]["spec"]["destination"]["s3"].clone();
        let found = s3.pointer(pointer).unwrap();
        let found = found.as_str().map_or(found.to_string(), ToOwned::to_owned);
        assert_eq!(found.trim_end_matches('/'), value, "{parameter}");
        let backup = stage.read("Backup", TENANT, "ad-hoc");
        assert_eq!(
            backup["status"]["underlyingResources"]["parameters"],
            json!({ parameter: value })
        );
    }
}

#[test]
fn every_parameter_is_described_and_tried_here() {
    let strategy = Stage::bundled("etcd.wasm").unwrap();
    let schema = strategy.manifest().parameters.clone().unwrap();
    let mut tried: Vec<&str> = PARAMETERS
        .iter()
        .map(|(parameter, ..)| *parameter)
        .collect();
    tried.sort_unstable();
    let described = schema["properties"].as_object().unwrap();
    assert_eq!(described.keys().collect::<Vec<_>>(), tried);
    for (name, parameter) in described {
        assert!(parameter["description"].is_string(), "{name}");
        assert_eq!(parameter["type"], "string", "{name}");
    }
}

/// As the reference's examples have it.
#[tokio::test]
async fn parameters_that_templates_use_are_for_the_templates() {
    let mut stage = platform();
    set_s3(
        &stage,
        &json!({
            "bucket": "{{ .Parameters.bucket }}",
            "endpoint": "{{ .Parameters.endpoint }}",
            "region": "{{ .Parameters.region }}",
            "key": "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}/",
            "credentialsSecretRef": { "name": "{{ .Application.metadata.name }}-etcd-backup-creds" },
        }),
    );
    let parameters =
        json!({ "bucket": "b1", "endpoint": "https://s3.example.org", "region": "eu-9" });
    set_parameters(&stage, &parameters);
    order(&stage);
    let operator = operator(&stage, EtcdFate::Completes);
    let said = backs_up(&mut stage, &operator).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(
        snapshots(&stage)[0]["spec"]["destination"]["s3"],
        json!({
            "bucket": "b1",
            "endpoint": "https://s3.example.org",
            "region": "eu-9",
            "key": "tenant-acme/etcd/",
            "credentialsSecretRef": { "name": "etcd-etcd-backup-creds" },
        })
    );
}

#[tokio::test]
async fn a_parameter_of_a_wrong_type_is_named() {
    for (parameter, value) in [
        ("destination.s3.forcePathStyle", "maybe"),
        ("destination.s3.endpoint", "s3.example.org"),
    ] {
        let mut stage = platform();
        set_parameters(&stage, &json!({ parameter: value }));
        order(&stage);
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        assert!(
            said.starts_with("Failed BackupFailed: ParametersInvalid"),
            "{said}"
        );
        assert!(said.contains(parameter), "{said}");
        assert!(snapshots(&stage).is_empty());
    }
}
