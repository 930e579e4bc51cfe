//! Etcd, by the etcd operator.

use std::sync::LazyLock;

use serde_json::{Value, json};
use stage::{EtcdFate, EtcdOperator};

use super::{Application, Order, Player, Shown, Simulated, Turn, place_of};
use crate::{ground::text, schedule::TENANTS, vault::Place};

pub(super) struct Etcd;

static FATES: LazyLock<Vec<EtcdFate>> = LazyLock::new(|| {
    vec![
        EtcdFate::Completes,
        EtcdFate::SnapshotFails("the backend is gone".to_owned()),
        EtcdFate::SnapshotStuck("secret not found".to_owned()),
        EtcdFate::SnapshotStalls,
        EtcdFate::BootstrapFails("the snapshot is damaged".to_owned()),
        EtcdFate::BootstrapStalls,
        EtcdFate::NobodyJoins,
        EtcdFate::MembersStay,
    ]
});

/// Where an EtcdCluster says what it came up from.
const SOURCE: &str = "/spec/bootstrap/restore/source/s3";

impl Simulated for Etcd {
    fn kind(&self) -> &'static str {
        "Etcd"
    }

    fn plugin(&self) -> &'static str {
        "etcd"
    }

    fn spoil(&self, settings: &mut Value) {
        settings["spec"]["template"]["destination"]["s3"]["key"] =
            json!("elsewhere/{{ .Release.Name }}/");
    }

    /// The chart has it no other way.
    fn applications(&self) -> &'static [Application] {
        &[Application {
            kind: "Etcd",
            name: "etcd",
        }]
    }

    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>> {
        let mut objects = stage::etcd_objects(namespace, application.name)?;
        for object in &mut objects {
            if object["kind"] == "EtcdCluster"
                && let Some(cluster) = object.as_object_mut()
            {
                // The operator brings it up.
                cluster.remove("status");
            }
        }
        Ok(objects)
    }

    fn options(&self) -> Vec<Value> {
        vec![
            json!({ "restoreTimeoutSeconds": "soon" }),
            json!({ "purge": true }),
            json!({ "restoreTimeoutSeconds": 900 }),
            json!({ "targetNamespace": TENANTS[0] }),
            json!({ "targetNamespace": TENANTS[1] }),
        ]
    }

    fn group(&self) -> &'static str {
        "etcd-operator.cozystack.io"
    }

    fn stays(&self, kind: &str) -> bool {
        kind == "EtcdMember"
    }

    fn touches(&self) -> &'static [&'static str] {
        &["EtcdCluster", "EtcdMember", "EtcdSnapshot", "HelmRelease"]
    }

    fn fates(&self) -> Vec<String> {
        FATES.iter().map(|fate| format!("{fate:?}")).collect()
    }

    fn player(&self) -> Player {
        Box::new(|fate, place, cluster, now| {
            let fate = FATES.get(fate).cloned().unwrap_or_default();
            Turn::of(&EtcdOperator::at(place, fate), cluster, now)
        })
    }

    fn orders(&self) -> &'static [Order] {
        const API_VERSION: &str = "etcd-operator.cozystack.io/v1alpha2";
        &[
            Order {
                api_version: API_VERSION,
                kind: "EtcdSnapshot",
                most: 1,
                is_kept: true,
            },
            Order {
                api_version: API_VERSION,
                kind: "EtcdCluster",
                most: 1,
                is_kept: false,
            },
        ]
    }

    fn is_complete(&self, order: &Value) -> bool {
        if order["kind"] == "EtcdSnapshot" {
            return text(order, "/status/phase") == "Complete";
        }
        let ready = order.pointer("/status/readyMembers");
        let ready = ready.and_then(Value::as_i64);
        let wanted = order.pointer("/spec/replicas").and_then(Value::as_i64);
        ready.is_some() && ready >= wanted
    }

    fn place(&self, backup: &Value) -> Option<Place> {
        place_of(text(backup, "/status/artifact/uri"))
    }

    fn shown(&self, object: &Value) -> Vec<Shown> {
        let answers = text(object, "/status/conditions/0/status") == "True";
        let source = object.pointer(SOURCE);
        let source = source.filter(|_| object["kind"] == "EtcdCluster" && answers);
        let shown = source.map(|source| Shown {
            namespace: text(object, "/metadata/namespace").to_owned(),
            kind: "Etcd",
            name: text(object, "/metadata/name").to_owned(),
            from: (
                text(source, "/bucket").to_owned(),
                text(source, "/key").to_owned(),
            ),
        });
        shown.into_iter().collect()
    }
}
