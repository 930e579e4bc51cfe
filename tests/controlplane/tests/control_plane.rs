//! The control plane of the tests is a real one, of this run, and tells who asked it what.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop right there"
)]

use controlplane::{AuditEntry, ControlPlane, Shell, shared};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

fn plane() -> &'static ControlPlane {
    shared(&[]).unwrap()
}

async fn get(client: &Client, path: &str) -> Result<Value, kube::Error> {
    client
        .request(Request::get(path).body(vec![]).unwrap())
        .await
}

#[tokio::test]
async fn it_tells_the_version_that_it_was_built_as() {
    let version = get(&plane().client().await.unwrap(), "/version")
        .await
        .unwrap();
    assert_eq!(version["gitVersion"], "v1.36.3");
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&json!("1"), &json!("36"))
    );
}

#[tokio::test]
async fn what_documentation_tells_is_typed_with_kubectl_of_the_same_version() {
    let shell = Shell::of(plane()).unwrap();
    let versions = shell.run("kubectl version").unwrap();
    let of = |who: &str| format!("{who} Version: v1.36.3");
    assert!(versions.contains(&of("Client")), "{versions}");
    assert!(versions.contains(&of("Server")), "{versions}");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: typed }\n";
    let said = shell.run_on("kubectl apply -f -", map).unwrap();
    assert_eq!(said, "configmap/typed created\n");
    let refused = shell.fails_on("kubectl get configmap other", "").unwrap();
    assert!(refused.contains("(NotFound)"), "{refused}");
}

#[tokio::test]
async fn somebody_else_may_do_what_roles_allow_and_nothing_more() {
    let plane = plane();
    let namespace = plane.namespace("tenant").await.unwrap();
    let subject =
        json!({ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "tenants" });
    plane
        .apply(&[json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": { "name": "tenants", "namespace": namespace },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
            "subjects": [subject],
        })])
        .await
        .unwrap();
    let user = plane
        .client_as("alice", &["tenants", "others"])
        .await
        .unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    // The authorizer learns of a role from a watch of its own: at most a moment later than the writer.
    let mut answer = get(&user, &path).await;
    for _ in 0..1000 {
        if answer.is_ok() {
            break;
        }
        answer = get(&user, &path).await;
    }
    assert!(answer.is_ok(), "{answer:?}");
    let secrets = get(&user, &format!("/api/v1/namespaces/{namespace}/secrets")).await;
    assert!(matches!(secrets, Err(kube::Error::Api(status)) if status.code == 403));
}

#[tokio::test]
async fn a_token_of_a_service_account_proves_who_it_is() {
    let plane = plane();
    let namespace = plane.namespace("system").await.unwrap();
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "host", "namespace": namespace } });
    plane.apply(&[account]).await.unwrap();
    let token = plane.token(&namespace, "host").await.unwrap();
    let client = plane.client_with(&token).await.unwrap();
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .unwrap();
    let who: Value = client.request(request).await.unwrap();
    let user = &who["status"]["userInfo"]["username"];
    assert_eq!(
        user,
        &json!(format!("system:serviceaccount:{namespace}:host"))
    );
}

#[tokio::test]
async fn every_request_that_was_answered_is_in_the_audit_log() {
    let plane = plane();
    let namespace = plane.namespace("counted").await.unwrap();
    let client = plane
        .client_as("auditor", &["system:masters"])
        .await
        .unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/none");
    for _ in 0..3 {
        assert!(get(&client, &path).await.is_err());
    }
    let entries = plane.audit().unwrap();
    let ours: Vec<&AuditEntry> = entries
        .iter()
        .filter(|entry| entry.namespace == namespace && entry.resource == "configmaps")
        .collect();
    assert_eq!(ours.len(), 3);
    let AuditEntry {
        user, verb, name, ..
    } = ours[0];
    assert_eq!(
        (user.as_str(), verb.as_str(), name.as_str()),
        ("admin", "get", "none")
    );
    // Of the first, the end is logged as well by now: it came before the others began.
    assert_eq!(ours[0].impersonated.as_deref(), Some("auditor"));
    assert_eq!(ours[0].code, Some(404));
}

#[tokio::test]
async fn objects_of_a_kind_that_was_just_defined_are_accepted() {
    let plane = plane();
    let namespace = plane.namespace("defined").await.unwrap();
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    plane
        .apply(&[
            json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": { "name": "gadgets.example.com" },
                "spec": {
                    "group": "example.com",
                    "scope": "Namespaced",
                    "names": { "kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList" },
                    "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": open } }],
                },
            }),
        ])
        .await
        .unwrap();
    let gadget = json!({ "apiVersion": "example.com/v1", "kind": "Gadget", "metadata": { "name": "a", "namespace": namespace } });
    plane.apply(&[gadget]).await.unwrap();
}

#[test]
fn when_it_is_dropped_nothing_is_left() {
    let plane = ControlPlane::start_without_controllers(&[]).unwrap();
    plane.check().unwrap();
    let folder = plane.folder().to_owned();
    assert!(folder.exists());
    drop(plane);
    assert!(!folder.exists());
    let still = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok())
        .filter(|cwd| cwd.starts_with(&folder))
        .count();
    assert_eq!(still, 0);
}
