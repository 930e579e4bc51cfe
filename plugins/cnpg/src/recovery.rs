//! What a restore makes: a Cluster that recovers, the ObjectStore that it recovers from, and an application that says so.

use backup_strategy::{Captured, prelude::*, set};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Cluster, PLUGIN, contains, is_ours, list},
    operator::ObjectStore,
};

/// A restore, as it was decided when it began. Kept on the job before the old Cluster is deleted.
#[derive(Deserialize, Serialize)]
pub struct Recovery {
    /// UID of the Cluster that was found.
    uid: String,
    /// That Cluster, to be created again.
    ///
    /// It does not archive: the folder that it archived into is not empty, so that Barman would refuse it, and WAL is
    /// worth nothing before the next base backup, which finds it a folder.
    pub cluster: Value,
    /// What its `spec` says besides when it recovers.
    spec: Value,
    /// The ObjectStore that it recovers from.
    pub store: Value,
    /// What the application's `spec` is to say.
    pub application: Value,
}

/// Where from, and how far.
pub struct Origin<'a> {
    /// The folder that is recovered from. Cluster and application call the archive by the same name.
    pub server: &'a str,
    /// The `spec` of the ObjectStore that is recovered from.
    pub store: &'a Value,
    /// The Cluster's `recoveryTarget`; null for all that was archived.
    pub target: &'a Value,
    /// The folder that the chart is to let the new Cluster archive into, where it is the chart that does.
    pub new_server: &'a str,
}

impl Recovery {
    /// To be made in the place of a Cluster.
    pub fn of(cluster: &Cluster, namespace: &str, origin: &Origin<'_>) -> Outcome<Self> {
        let name = &cluster.metadata.name;
        // The chart calls it so.
        let store = format!("{name}-recovery");
        let captured = Captured::of(&cluster.metadata, &cluster.spec)?;
        Ok(Self {
            spec: recovering(&cluster.spec, &store, origin),
            cluster: without_archive(captured.object::<Cluster>(namespace, name)),
            store: helms_store(captured, namespace, &store, origin.store),
            application: application(origin),
            uid: cluster.metadata.uid.clone(),
        })
    }

    /// Whether this Cluster took the old one's place and comes from the archive. One that Helm has rendered in between
    /// comes from nowhere, and holds nothing.
    pub fn is_of(&self, cluster: &Cluster) -> bool {
        cluster.lives()
            && cluster.metadata.uid != self.uid
            && contains(&cluster.spec["bootstrap"], &self.spec["bootstrap"])
    }

    /// The Cluster as it was, to recover from the archive. What it says of that is what the chart will say.
    pub fn recovering_cluster(&self) -> Value {
        let mut cluster = self.cluster.clone();
        for field in ["bootstrap", "externalClusters"] {
            cluster["spec"][field] = self.spec[field].clone();
        }
        cluster
    }
}

/// A Cluster without the Barman Cloud plugin, and with what other plugins it has.
fn without_archive(mut cluster: Value) -> Value {
    let plugins = list(&cluster["spec"]["plugins"]).iter();
    let foreign: Vec<Value> = plugins.filter(|one| !is_ours(one)).cloned().collect();
    if let Some(spec) = cluster["spec"].as_object_mut() {
        spec.remove("plugins");
        if !foreign.is_empty() {
            spec.insert("plugins".into(), foreign.into());
        }
    }
    cluster
}

fn recovering(found: &Value, store: &str, origin: &Origin<'_>) -> Value {
    let server = origin.server;
    let mut externals = list(&found["externalClusters"]).to_vec();
    externals.retain(|other| !is_ours(&other["plugin"]) && other["name"] != server);
    externals.push(json!({
        "name": server,
        "plugin": {
            "name": PLUGIN,
            "parameters": { "barmanObjectName": store, "serverName": server },
        },
    }));
    let recovery = pruned(json!({ "source": server, "recoveryTarget": origin.target }));
    json!({ "bootstrap": { "recovery": recovery }, "externalClusters": externals })
}

/// An ObjectStore with the marks by which Helm takes it for its own: the chart renders one of this name as soon as the
/// application says what it was restored from.
fn helms_store(mut captured: Captured, namespace: &str, name: &str, spec: &Value) -> Value {
    captured.spec = spec.clone();
    let is_helms = |key: &str| {
        key == "app.kubernetes.io/managed-by"
            || key.starts_with("helm.toolkit.fluxcd.io/")
            || key.starts_with("meta.helm.sh/")
    };
    let captured = captured.with_marks(is_helms);
    captured.object::<ObjectStore>(namespace, name)
}

/// The application says where the archive is, with the names of Secrets in place of what may stand there in clear. What
/// is not set is said to be empty, so that no default of the chart takes its place. If it is the chart that archives, it
/// does so into `newServerName` from then on.
fn application(origin: &Origin<'_>) -> Value {
    let configuration = &origin.store["configuration"];
    let keys = &configuration["s3Credentials"];
    json!({
        "bootstrap": {
            "enabled": true,
            "oldName": origin.server,
            "serverName": origin.server,
            "newServerName": origin.new_server,
            "recoveryTime": origin.target["targetTime"],
        },
        "backup": {
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
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery(spec: &Value, target: &Value) -> Recovery {
        let cluster = json!({
            "metadata": {
                "name": "postgres-db",
                "uid": "1",
                "labels": {
                    "app.kubernetes.io/managed-by": "Helm",
                    "helm.toolkit.fluxcd.io/name": "postgres-db",
                    "team": "blue",
                },
                "annotations": { "meta.helm.sh/release-name": "postgres-db", "note": "x" },
            },
            "spec": spec,
        });
        let Ok(cluster) = Cluster::deserialize(&cluster) else {
            panic!("it is none")
        };
        let origin = Origin {
            server: "acme-db",
            store: &json!({ "configuration": { "destinationPath": "s3://b/p/" } }),
            target,
            new_server: "postgres-db-0a1b",
        };
        let Ok(recovery) = Recovery::of(&cluster, "acme", &origin) else {
            panic!("it cannot be captured")
        };
        recovery
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
        let made = recovery(&spec, &target).recovering_cluster();
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
        let made = recovery(&json!({ "plugins": [{ "name": PLUGIN }] }), &Value::Null);
        assert_eq!(
            made.recovering_cluster()["spec"]["bootstrap"],
            json!({ "recovery": { "source": "acme-db" } })
        );
        assert_eq!(made.cluster["spec"].get("plugins"), None);
        assert_eq!(made.application["bootstrap"]["recoveryTime"], Value::Null);
        // Left out, the chart's default would take its place.
        assert_eq!(made.application["backup"]["endpointURL"], "");
    }

    #[test]
    fn helm_takes_the_object_store_for_its_own() {
        let made = recovery(&json!({ "instances": 1 }), &Value::Null).store;
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
