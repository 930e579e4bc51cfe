//! CloudNativePG's Cluster.

use backup_strategy::{items, kinds, prelude::*, set};

/// Name of the Barman Cloud plugin in `spec.plugins` of a Cluster.
pub const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
/// Phase of a Cluster of which all Pods run as its spec wants them.
const HEALTHY: &str = "Cluster in healthy state";

kinds! {
    /// A Postgres cluster.
    Cluster: "postgresql.cnpg.io/v1" "Cluster";
}

impl Cluster {
    /// Whether it is there to be worked with.
    pub fn lives(&self) -> bool {
        !self.metadata.is_being_deleted()
    }

    /// The folder that it archives into already, which never changes: the chain of WAL would break in two.
    pub fn server_name(&self) -> Option<&str> {
        let ours = items(&self.spec, "/plugins").find(|one| is_ours(one))?;
        let named = set(ours["parameters"]["serverName"].as_str());
        Some(named.unwrap_or(&self.metadata.name))
    }

    /// Whether it archives by itself, which cannot be combined with the plugin.
    pub fn archives_natively(&self) -> Outcome<()> {
        if self.spec["backup"]["barmanObjectStore"].is_null() {
            return Ok(());
        }
        fail!(
            "ClusterArchivesNatively",
            "Cluster {} archives by its own spec.backup.barmanObjectStore, not by the Barman Cloud plugin; move it to \
             the plugin first",
            self.metadata.name
        )
    }

    /// Whether it was restored from an archive rather than made anew.
    pub fn was_restored(&self) -> bool {
        !self.spec["bootstrap"]["recovery"].is_null()
    }

    /// Why it would not come up if it was created again, if somebody has told it not to.
    pub fn is_kept_down(&self) -> Option<&str> {
        let marks = &self.metadata.annotations;
        let hibernates = |mark: &&str| marks.get(*mark).is_some_and(|value| value == "on");
        let is_fenced = |mark: &&str| marks.get(*mark).is_some_and(|value| value != "[]");
        Some("cnpg.io/hibernation")
            .filter(hibernates)
            .or(Some("cnpg.io/fencedInstances").filter(is_fenced))
    }

    /// Its plugins with ours among them, or none when ours is there as it should be.
    pub fn plugins_with(&self, server_name: &str) -> Option<Vec<Value>> {
        let ours = json!({
            "name": PLUGIN,
            "isWALArchiver": true,
            "parameters": { "barmanObjectName": self.metadata.name, "serverName": server_name },
        });
        let mut plugins = list(&self.spec["plugins"]).to_vec();
        match plugins.iter_mut().find(|plugin| is_ours(plugin)) {
            Some(plugin) if contains(plugin, &ours) && plugin["enabled"] != false => return None,
            Some(plugin) => *plugin = ours,
            None => plugins.push(ours),
        }
        Some(plugins)
    }

    /// Just the plugins, to be applied to the very Cluster that was read and in no other version: the list is
    /// written as a whole.
    pub fn with_plugins(&self, namespace: &str, plugins: &[Value]) -> Value {
        let mut patch = Self::object(
            namespace,
            &self.metadata.name,
            json!({ "plugins": plugins }),
        );
        patch["metadata"]["uid"] = self.metadata.uid.as_str().into();
        patch["metadata"]["resourceVersion"] = self.metadata.resource_version.as_str().into();
        patch
    }

    /// Whether the operator has taken the plugin up.
    pub fn has_loaded_plugin(&self) -> bool {
        items(&self.status, "/pluginStatus").any(is_ours)
    }

    pub fn is_healthy(&self) -> bool {
        self.phase() == HEALTHY
    }
}

/// The elements of a list, or of none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether an entry of a list of plugins is the Barman Cloud plugin.
pub fn is_ours(plugin: &Value) -> bool {
    plugin["name"] == PLUGIN
}

/// Whether all of `part` is in `whole`: members of objects, and lists word for word. The API server and other
/// managers add members of their own.
pub fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use backup_strategy::Unstructured;

    use super::*;

    fn cluster(plugins: Value) -> Cluster {
        let metadata = Metadata {
            name: "postgres-orders-db".into(),
            uid: "1".into(),
            ..Metadata::default()
        };
        Cluster(Unstructured {
            metadata,
            spec: json!({ "plugins": plugins }),
            status: Value::Null,
        })
    }

    fn ours(server_name: &str) -> Value {
        json!({
            "name": PLUGIN,
            "isWALArchiver": true,
            "parameters": { "barmanObjectName": "postgres-orders-db", "serverName": server_name },
        })
    }

    // TestApplyClusterPluginBackup_PreservesLiveServerName
    #[test]
    fn a_cluster_keeps_the_folder_that_it_archives_into() {
        assert_eq!(cluster(json!([])).server_name(), None);
        assert_eq!(cluster(json!([ours("old")])).server_name(), Some("old"));
        let unnamed = json!([{ "name": PLUGIN, "parameters": { "serverName": "" } }]);
        assert_eq!(cluster(unnamed).server_name(), Some("postgres-orders-db"));
    }

    #[test]
    fn foreign_plugins_are_kept() {
        let foreign = json!({ "name": "other.example", "parameters": { "a": "b" } });
        let written = cluster(json!([foreign])).plugins_with("s").map(Value::from);
        assert_eq!(written, Some(json!([foreign, ours("s")])));
        let replaced = cluster(json!([{ "name": PLUGIN }, foreign]))
            .plugins_with("s")
            .map(Value::from);
        assert_eq!(replaced, Some(json!([ours("s"), foreign])));
    }

    #[test]
    fn a_plugin_that_is_there_as_it_should_be_is_left_alone() {
        let mut shown = ours("s");
        shown["enabled"] = true.into();
        shown["parameters"]["more"] = "x".into();
        assert_eq!(cluster(json!([shown])).plugins_with("s"), None);
        shown["enabled"] = false.into();
        assert_eq!(
            cluster(json!([shown])).plugins_with("s").map(Value::from),
            Some(json!([ours("s")]))
        );
    }

    #[test]
    fn a_cluster_that_sleeps_or_is_fenced_does_not_come_up() {
        let marked = |mark: &str, value: &str| {
            let mut cluster = cluster(json!([]));
            let marks = &mut cluster.0.metadata.annotations;
            marks.insert(mark.into(), value.into());
            cluster.is_kept_down().is_some()
        };
        assert!(marked("cnpg.io/hibernation", "on"));
        assert!(!marked("cnpg.io/hibernation", "off"));
        assert!(marked("cnpg.io/fencedInstances", r#"["*"]"#));
        assert!(!marked("cnpg.io/fencedInstances", "[]"));
    }
}
