//! What a restore makes: a Cluster that recovers, the ObjectStore that it recovers from, and an application that says so.

use backup_strategy::{Captured, prelude::*, set};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Cluster, PLUGIN, contains, is_ours, list},
    operator::ObjectStore,
};

/// The chart calls the ObjectStore of an archive that is recovered from like this, behind the Cluster's name.
const STORE_SUFFIX: &str = "-recovery";

/// A restore, as it was decided when it began. Kept on the job before the old Cluster is deleted.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// The Cluster as it was.
    pub captured: Captured,
    /// The folder that is recovered from. The Cluster calls the archive by the same name.
    pub server_name: String,
    /// The folder that the chart is to let the new Cluster archive into, where it is the chart that does.
    pub new_server_name: String,
    /// The `spec` of the ObjectStore that is recovered from.
    pub store: Value,
    /// The Cluster's `recoveryTarget`; null for all that was archived.
    pub target: Value,
}

impl Recovery {
    /// Whether this Cluster took the old one's place and comes from the archive. One that Helm has rendered in between
    /// comes from nowhere, and holds nothing.
    pub fn is_of(&self, cluster: &Cluster) -> bool {
        cluster.lives()
            && cluster.metadata.uid != self.captured.uid
            && contains(&cluster.spec["bootstrap"], &self.bootstrap())
    }

    fn bootstrap(&self) -> Value {
        pruned(json!({ "recovery": { "source": self.server_name, "recoveryTarget": self.target } }))
    }

    /// The Cluster as it was, without its data. It does not archive: the folder that it archived into is not empty, so
    /// that Barman would refuse it, and WAL is worth nothing before the next base backup, which finds it a folder.
    pub fn cluster_as_it_was(&self, namespace: &str, name: &str) -> Value {
        let mut cluster = self.captured.object::<Cluster>(namespace, name);
        let plugins = list(&self.captured.spec["plugins"]).iter();
        let foreign: Vec<&Value> = plugins.filter(|plugin| !is_ours(plugin)).collect();
        if let Some(spec) = cluster["spec"].as_object_mut() {
            spec.remove("plugins");
            if !foreign.is_empty() {
                spec.insert("plugins".into(), json!(foreign));
            }
        }
        cluster
    }

    /// The Cluster as it was, to recover from the archive. What it says of that is what the chart will say.
    pub fn cluster(&self, namespace: &str, name: &str) -> Value {
        let mut cluster = self.cluster_as_it_was(namespace, name);
        let mut others = list(&self.captured.spec["externalClusters"]).to_vec();
        others.retain(|other| !is_ours(&other["plugin"]) && other["name"] != *self.server_name);
        others.push(json!({
            "name": self.server_name,
            "plugin": {
                "name": PLUGIN,
                "parameters": {
                    "barmanObjectName": format!("{name}{STORE_SUFFIX}"),
                    "serverName": self.server_name,
                },
            },
        }));
        cluster["spec"]["bootstrap"] = self.bootstrap();
        cluster["spec"]["externalClusters"] = json!(others);
        cluster
    }

    /// The ObjectStore that is recovered from. With the marks by which Helm takes it for its own: the chart renders one
    /// of this name as soon as the application says what it was restored from.
    pub fn object_store(&self, namespace: &str, cluster: &str) -> Value {
        let Captured {
            mut labels,
            mut annotations,
            ..
        } = self.captured.clone();
        labels.retain(|key, _| {
            key == "app.kubernetes.io/managed-by" || key.starts_with("helm.toolkit.fluxcd.io/")
        });
        annotations.retain(|key, _| key.starts_with("meta.helm.sh/"));
        let store = Captured {
            uid: String::new(),
            labels,
            annotations,
            spec: self.store.clone(),
        };
        store.object::<ObjectStore>(namespace, &format!("{cluster}{STORE_SUFFIX}"))
    }

    /// `spec.bootstrap` of the application. The chart archives into `newServerName` from then on, as far as it archives
    /// by itself.
    pub fn application_bootstrap(&self) -> Value {
        json!({
            "enabled": true,
            "oldName": self.server_name,
            "serverName": self.server_name,
            "newServerName": self.new_server_name,
            "recoveryTime": self.target["targetTime"],
        })
    }

    /// `spec.backup` of the application: where the archive is, and the names of Secrets in place of what may stand there
    /// in clear. What is not set is said to be empty, so that no default of the chart takes its place.
    pub fn application_backup(&self) -> Value {
        let configuration = &self.store["configuration"];
        let keys = &configuration["s3Credentials"];
        json!({
            "destinationPath": configuration["destinationPath"],
            "endpointURL": set(configuration["endpointURL"].as_str()).unwrap_or_default(),
            "s3AccessKey": null,
            "s3SecretKey": null,
            "s3CredentialsSecret": {
                "name": keys["accessKeyId"]["name"],
                "accessKeyIDKey": keys["accessKeyId"]["key"],
                "secretAccessKeyKey": keys["secretAccessKey"]["key"],
            },
            "endpointCA": configuration["endpointCA"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery(spec: Value, target: Value) -> Recovery {
        let marks = |marks: &[(&str, &str)]| {
            let marks = marks
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()));
            marks.collect()
        };
        Recovery {
            captured: Captured {
                uid: "1".into(),
                labels: marks(&[
                    ("app.kubernetes.io/managed-by", "Helm"),
                    ("helm.toolkit.fluxcd.io/name", "postgres-db"),
                    ("team", "blue"),
                ]),
                annotations: marks(&[("meta.helm.sh/release-name", "postgres-db"), ("note", "x")]),
                spec,
            },
            server_name: "acme-db".into(),
            new_server_name: "postgres-db-0a1b".into(),
            store: json!({ "configuration": { "destinationPath": "s3://b/p/" } }),
            target,
        }
    }

    #[test]
    fn a_cluster_recovers_without_archiving_and_with_what_is_foreign_to_us() {
        let foreign = json!({ "name": "audit.example.org" });
        let other = json!({ "name": "upstream", "connectionParameters": { "host": "a" } });
        let spec = json!({
            "instances": 2,
            "plugins": [foreign, { "name": PLUGIN, "isWALArchiver": true }],
            "bootstrap": { "initdb": { "database": "app" } },
            "externalClusters": [other, { "name": "old", "plugin": { "name": PLUGIN } }],
        });
        let target = json!({ "backupID": "20260821T010405", "targetImmediate": true });
        let made = recovery(spec, target.clone()).cluster("acme", "postgres-db");
        assert_eq!(
            made["spec"],
            json!({
                "instances": 2,
                "plugins": [foreign],
                "bootstrap": { "recovery": { "source": "acme-db", "recoveryTarget": target } },
                "externalClusters": [other, {
                    "name": "acme-db",
                    "plugin": {
                        "name": PLUGIN,
                        "parameters": { "barmanObjectName": "postgres-db-recovery", "serverName": "acme-db" },
                    },
                }],
            })
        );
        assert_eq!(made["metadata"]["labels"]["team"], "blue");
    }

    #[test]
    fn all_that_was_archived_has_no_target() {
        let made = recovery(json!({ "plugins": [{ "name": PLUGIN }] }), Value::Null);
        let made = made.cluster("acme", "postgres-db");
        assert_eq!(
            made["spec"]["bootstrap"],
            json!({ "recovery": { "source": "acme-db" } })
        );
        assert_eq!(made["spec"].get("plugins"), None);
    }

    #[test]
    fn helm_takes_the_object_store_for_its_own() {
        let made = recovery(json!({}), Value::Null).object_store("acme", "postgres-db");
        assert_eq!(
            made["metadata"],
            json!({
                "name": "postgres-db-recovery",
                "namespace": "acme",
                "labels": {
                    "app.kubernetes.io/managed-by": "Helm",
                    "helm.toolkit.fluxcd.io/name": "postgres-db",
                },
                "annotations": { "meta.helm.sh/release-name": "postgres-db" },
            })
        );
    }
}
