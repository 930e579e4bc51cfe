//! The class `cozy-default` and the strategies that it binds.

use std::collections::BTreeMap;

use charts::HOST;
use serde_json::{Value, json};

use crate::render;

const CLASS: &str = "BackupClass";
const STRATEGIES: &str = "strategy.backups.cozystack.io/v1alpha1";

/// The default strategies by kind and name.
fn strategies(objects: &[Value]) -> BTreeMap<(String, String), Value> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let strategies = objects
        .iter()
        .filter(|object| object["apiVersion"] == STRATEGIES);
    strategies
        .map(|object| {
            let name = (text(&object["kind"]), text(&object["metadata"]["name"]));
            (name, object["spec"].clone())
        })
        .collect()
}

fn class(objects: &[Value]) -> &Value {
    objects
        .iter()
        .find(|object| object["kind"] == CLASS)
        .unwrap()
}

#[test]
fn the_class_binds_each_kind_of_the_page_to_a_strategy_that_is_there() {
    let objects = render(&json!({}));
    let class = class(&objects);
    assert_eq!(class["metadata"]["name"], "cozy-default");
    let bindings = class["spec"]["strategies"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let bound: Vec<_> = bindings
        .iter()
        .map(|binding| {
            let (application, strategy) = (&binding["application"], &binding["strategyRef"]);
            assert_eq!(application["apiGroup"], "apps.cozystack.io");
            assert_eq!(strategy["apiGroup"], "strategy.backups.cozystack.io");
            let strategy = [text(&strategy["kind"]), text(&strategy["name"])];
            (text(&application["kind"]), strategy.join(" "))
        })
        .collect();
    let bound: Vec<_> = bound
        .iter()
        .map(|(kind, strategy)| (kind.as_str(), strategy.as_str()))
        .collect();
    let page = [
        ("Postgres", "CNPG cozy-default-cnpg"),
        ("MariaDB", "MariaDB cozy-default-mariadb"),
        ("ClickHouse", "Altinity cozy-default-altinity"),
        ("Etcd", "Etcd cozy-default-etcd"),
        ("FoundationDB", "FoundationDB cozy-default-foundationdb"),
        ("VMInstance", "Velero cozy-default-velero-vminstance"),
        ("VMDisk", "Velero cozy-default-velero-vmdisk"),
    ];
    assert_eq!(bound, page);
    let strategies = strategies(&objects);
    let there = strategies
        .keys()
        .map(|(kind, name)| format!("{kind} {name}"));
    let mut there: Vec<_> = there.collect();
    let mut wanted: Vec<_> = page.map(|(_, strategy)| strategy.to_owned()).into();
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted, "no more and no less than are bound");
}

#[test]
fn the_defaults_compress_with_gzip_and_keep_for_thirty_days() {
    let objects = render(&json!({}));
    assert_eq!(
        class(&objects)["spec"]["retentionPolicy"],
        json!({ "maxAge": "30d" })
    );
    let strategies = strategies(&objects);
    let setting = |kind: &str, name: &str, pointer: &str| {
        let spec = &strategies[&(kind.to_owned(), format!("cozy-default-{name}"))];
        spec.pointer(pointer)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    for (kind, name, pointer, value) in [
        (
            "CNPG",
            "cnpg",
            "/template/barmanObjectStore/data/compression",
            "gzip",
        ),
        (
            "CNPG",
            "cnpg",
            "/template/barmanObjectStore/wal/compression",
            "gzip",
        ),
        ("MariaDB", "mariadb", "/template/compression", "gzip"),
        (
            "CNPG",
            "cnpg",
            "/template/barmanObjectStore/retentionPolicy",
            "30d",
        ),
        (
            "Velero",
            "velero-vminstance",
            "/template/spec/ttl",
            "720h0m0s",
        ),
        ("Velero", "velero-vmdisk", "/template/spec/ttl", "720h0m0s"),
    ] {
        assert_eq!(
            setting(kind, name, pointer).as_deref(),
            Some(value),
            "{name}{pointer}"
        );
    }
}

// The reference rendered them behind a lookup of its bucket, and had to render them again.
#[test]
fn the_defaults_are_the_same_whatever_the_storage_is() {
    let elsewhere = json!({
        "backupStorage": {
            "provisionBucket": false, "endpoint": "https://s3.example.com", "bucketName": "elsewhere",
        },
        "velero": { "bslEnabled": false },
    });
    let (here, there) = (render(&json!({})), render(&elsewhere));
    assert_eq!(strategies(&here), strategies(&there));
    assert_eq!(class(&here), class(&there));
    let cnpg = &strategies(&here)[&("CNPG".to_owned(), "cozy-default-cnpg".to_owned())];
    let path = cnpg.pointer("/template/barmanObjectStore/destinationPath");
    assert_eq!(
        path.unwrap(),
        "s3://{{ .Storage.bucket }}/{{ .Storage.prefix }}/",
        "what is in braces is for the host"
    );
}

#[test]
fn each_default_is_of_a_kind_that_the_chart_defines() {
    let definitions = HOST.definitions().unwrap();
    for (kind, name) in strategies(&render(&json!({}))).keys() {
        let defines = |definition: &Value| {
            let spec = &definition["spec"];
            spec["group"] == "strategy.backups.cozystack.io" && spec["names"]["kind"] == *kind
        };
        assert!(definitions.iter().any(defines), "{name}");
    }
}
