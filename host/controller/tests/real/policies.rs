//! The policies of the chart, attacked: as the host's own account, and as an administrator who errs.

use charts::HOST;
use controlplane::resource;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster::{BOUND, Scene},
    installed::exclusively,
};

/// What the API server says to a creation that has no effect.
async fn created(client: &Client, object: Value) -> kube::Result<DynamicObject> {
    let kind = resource(
        object["apiVersion"].as_str().unwrap(),
        object["kind"].as_str().unwrap(),
    );
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let tried = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    api.create(&tried, &object).await
}

/// What the API server says to a merge patch.
async fn patched(
    api: &Api<DynamicObject>,
    name: &str,
    patch: &Value,
) -> kube::Result<DynamicObject> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

/// A policy refused it, in these words.
fn is_refused<T: std::fmt::Debug>(answer: kube::Result<T>, words: &str) {
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("ValidatingAdmissionPolicy"), "{error}");
    assert!(error.contains(words), "{error}");
}

fn secret(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": { "apps.cozystack.io/managed-by": "cozystack-backups" },
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_writes_no_secret_but_the_copies_of_the_credentials() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let host = scene.host_client().await;
    let (namespace, name) = (scene.namespace(), "cozy-backups-creds");
    created(&host, secret(namespace, name)).await.unwrap();

    let words = "writes Secrets named cozy-backups-creds only";
    is_refused(created(&host, secret(namespace, "another")).await, words);
    let mut generated = secret(namespace, "");
    generated["metadata"] = json!({ "generateName": "cozy-backups-creds", "namespace": namespace });
    is_refused(created(&host, generated).await, words);

    // The API server would fill it with a token of the account, which the host could read.
    let mut token = secret(namespace, name);
    token["type"] = json!("kubernetes.io/service-account-token");
    token["metadata"]["annotations"] = json!({ "kubernetes.io/service-account.name": "default" });
    is_refused(created(&host, token).await, "of type Opaque only");

    let mut foreign = secret(namespace, name);
    foreign["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("labels");
    let words = "not labelled as its own";
    is_refused(created(&host, foreign.clone()).await, words);
    scene.put(foreign).await;
    let api: Api<DynamicObject> = Api::namespaced_with(host, namespace, &resource("v1", "Secret"));
    let own = json!({ "metadata": { "labels": { "apps.cozystack.io/managed-by": "cozystack-backups" } } });
    is_refused(patched(&api, name, &own).await, words);
    is_refused(api.delete(name, &DeleteParams::default()).await, words);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_asks_for_as_a_strategy_is_bounded_by_the_strategys_rights_alone() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let namespace = scene.namespace();
    let metadata = json!({ "name": "makes-secrets", "namespace": namespace });
    let rbac = "rbac.authorization.k8s.io";
    scene
        .put(json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": metadata,
            "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["create"] }],
        }))
        .await;
    scene
        .put(json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "makes-secrets" },
            "subjects": [{ "kind": "ServiceAccount", "name": "strategy-cnpg", "namespace": HOST.namespace }],
        }))
        .await;
    let client = scene.host_client().await;
    let strategy = format!("system:serviceaccount:{}:strategy-cnpg", HOST.namespace);
    let path = format!("/api/v1/namespaces/{namespace}/secrets?dryRun=All");
    let made = async {
        loop {
            let request = http::Request::post(&path)
                .header("impersonate-user", &strategy)
                .header(http::header::CONTENT_TYPE, "application/json");
            let body = secret(namespace, "another").to_string().into_bytes();
            let request = request.body(kube::client::Body::from(body)).unwrap();
            // The API server needs a moment to hear of a new right.
            if client.send(request).await.unwrap().status() == 201 {
                break;
            }
        }
    };
    tokio::time::timeout(BOUND, made).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_changes_nothing_of_a_release_but_whether_it_is_suspended() {
    let alone = exclusively().await;
    let (scene, _operator) = Scene::with_etcd(&alone).await;
    let of = |client: Client| -> Api<DynamicObject> {
        let kind = resource("helm.toolkit.fluxcd.io/v2", "HelmRelease");
        Api::namespaced_with(client, scene.namespace(), &kind)
    };
    let timeout = json!({ "spec": { "timeout": "5m" } });
    patched(&of(scene.client()), "etcd", &timeout)
        .await
        .unwrap();
    let releases = of(scene.host_client().await);
    for suspended in [json!(true), json!(false), Value::Null] {
        patched(
            &releases,
            "etcd",
            &json!({ "spec": { "suspend": suspended } }),
        )
        .await
        .unwrap();
    }
    for change in [
        json!({ "interval": "1m" }),
        json!({ "timeout": null }),
        json!({ "serviceAccountName": "cluster-admin" }),
        json!({ "values": { "image": "another" } }),
        json!({ "suspend": true, "chartRef": { "name": "another" } }),
    ] {
        let words = "changes spec.suspend of HelmReleases only";
        is_refused(
            patched(&releases, "etcd", &json!({ "spec": change })).await,
            words,
        );
    }
    for change in [
        json!({ "annotations": { "reconcile.fluxcd.io/forceAt": "now" } }),
        json!({ "labels": { "apps.cozystack.io/application.name": null } }),
        json!({ "finalizers": ["backups.cozystack.io/cleanup"] }),
    ] {
        let words = "leaves the metadata of HelmReleases as it is";
        is_refused(
            patched(&releases, "etcd", &json!({ "metadata": change })).await,
            words,
        );
    }
}

/// A definition of a kind of a group.
fn definition(group: &str) -> Value {
    let kind = stage::Kind {
        group: "GROUP",
        version: "v1alpha1",
        kind: "Widget",
        plural: "widgets",
    };
    let text = stage::crd(&kind).to_string().replace("GROUP", group);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_defines_kinds_of_strategies_and_no_others() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let host = scene.host_client().await;
    let group = "strategy.backups.cozystack.io";
    created(&host, definition(group)).await.unwrap();
    let words = "of the group strategy.backups.cozystack.io only";
    for other in [
        "backups.cozystack.io",
        "apps.cozystack.io",
        "vendor.example",
    ] {
        is_refused(created(&host, definition(other)).await, words);
    }
    let mut converted = definition(group);
    converted["spec"]["conversion"] = json!({
        "strategy": "Webhook",
        "webhook": { "conversionReviewVersions": ["v1"], "clientConfig": { "url": "https://vendor.example" } },
    });
    is_refused(created(&host, converted).await, "converted by a webhook");
    let definitions: Api<DynamicObject> = Api::all_with(
        host,
        &resource("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    );
    let (name, change) = (
        "backups.backups.cozystack.io",
        json!({ "metadata": { "labels": { "a": "b" } } }),
    );
    is_refused(patched(&definitions, name, &change).await, words);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_with_credentials_among_its_parameters_is_refused() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let class = |key: &str, value: &str| {
        json!({
            "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
            "metadata": { "name": "another" },
            "spec": { "strategies": [
                { "application": { "kind": "Postgres" }, "strategyRef": { "kind": "CNPG", "name": "a" } },
                {
                    "application": { "kind": "Etcd" }, "strategyRef": { "kind": "Etcd", "name": "a" },
                    "parameters": { key: value },
                },
            ] },
        })
    };
    let admin = scene.client();
    for (key, value) in [
        ("retentionPolicy", "30d"),
        ("note", "xAKIAIOSFODNN7EXAMPLE"),
        ("passwordSecretRef", "orders-db"),
        ("password", ""),
    ] {
        created(&admin, class(key, value)).await.unwrap();
    }
    for (key, value, words) in [
        ("ca", "-----BEGIN RSA PRIVATE KEY-----\n", "a private key"),
        ("note", "key AKIAIOSFODNN7EXAMPLE", "an AWS access key id"),
        ("password", "x", "a literal password or key"),
        ("s3-Secret_Key", "x", "a literal password or key"),
    ] {
        is_refused(created(&admin, class(key, value)).await, words);
    }
}

/// The warnings that come with a deletion that has no effect.
async fn warnings(client: &Client, plugin: &str) -> String {
    let path = format!("/apis/backups.cozystack.io/v1alpha1/strategyplugins/{plugin}?dryRun=All");
    let request = http::Request::delete(path);
    let request = request.body(kube::client::Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let warnings = answer.headers().get_all("warning").into_iter();
    let warnings = warnings.map(|warning| warning.to_str().unwrap());
    warnings.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_deletes_a_plugin_that_is_needed_is_warned() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let admin = scene.client();
    let plugins: Api<DynamicObject> = Api::all_with(
        admin.clone(),
        &resource("backups.cozystack.io/v1alpha1", "StrategyPlugin"),
    );
    let mut unused = plugins.get("cnpg").await.unwrap();
    unused.metadata = ObjectMeta {
        name: Some("not-used".to_owned()),
        ..ObjectMeta::default()
    };
    plugins
        .create(&PostParams::default(), &unused)
        .await
        .unwrap();
    let in_use = json!({ "status": { "conditions": [{
        "type": "InUse", "status": "True", "reason": "BackupsExist", "message": "3 Backups need it",
        "lastTransitionTime": "2026-11-25T12:00:00Z",
    }] } });
    assert_eq!(warnings(&admin, "not-used").await, "");
    plugins
        .patch_status("not-used", &PatchParams::default(), &Patch::Merge(&in_use))
        .await
        .unwrap();
    let warned = async {
        loop {
            let warnings = warnings(&admin, "not-used").await;
            if !warnings.is_empty() {
                break warnings;
            }
        }
    };
    let warnings = tokio::time::timeout(BOUND, warned).await.unwrap();
    let words = "StrategyPlugin not-used is still needed: 3 Backups need it";
    assert!(warnings.contains(words), "{warnings}");
    plugins
        .delete("not-used", &DeleteParams::default())
        .await
        .unwrap();
}
