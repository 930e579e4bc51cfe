//! What `extraPlugins` brings into the host's Pods.

use serde_json::{Value, json};

use crate::render;

/// The host's Pod.
fn pod(values: &Value) -> Value {
    let mut objects = render(values).into_iter();
    let deployment = objects.find(|object| object["kind"] == "Deployment");
    deployment.unwrap()["spec"]["template"]["spec"].take()
}

/// The named item of a list.
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut items = list.as_array().unwrap().iter();
    items.find(|item| item["name"] == name).unwrap()
}

#[test]
fn a_component_comes_from_a_configmap_an_image_or_a_claim() {
    let pod = pod(&json!({ "extraPlugins": [
        { "name": "acme", "configMap": "acme-strategy" },
        { "name": "cassandra", "image": { "reference": "registry.example/c@sha256:0" }, "folder": "plugins" },
        { "name": "more", "persistentVolumeClaim": "strategies" },
    ] }));
    let volume = |name: &str| named(&pod["volumes"], &format!("plugin-{name}"));
    assert_eq!(
        volume("acme")["configMap"],
        json!({ "name": "acme-strategy", "optional": true })
    );
    assert_eq!(
        volume("cassandra")["image"],
        json!({ "reference": "registry.example/c@sha256:0" })
    );
    assert_eq!(
        volume("more")["persistentVolumeClaim"],
        json!({ "claimName": "strategies", "readOnly": true })
    );
    let mounts = &pod["containers"][0]["volumeMounts"];
    for name in ["acme", "cassandra", "more"] {
        let mount = named(mounts, &format!("plugin-{name}"));
        assert_eq!(mount["mountPath"], format!("/plugins/{name}"));
        assert_eq!(mount["readOnly"], true);
    }
    assert_eq!(named(mounts, "plugin-cassandra")["subPath"], "plugins");
}

#[test]
fn without_them_the_host_has_the_plugins_of_its_image() {
    let pod = pod(&json!({}));
    assert_eq!(pod["volumes"].as_array().unwrap().len(), 1, "the cache");
}
