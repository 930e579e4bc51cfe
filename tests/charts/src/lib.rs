//! The charts of this repository, as an administrator has them: rendered, installed, upgraded and removed by Helm.

mod page;
mod reference;
mod snapshot;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use controlplane::Helm;
use serde_json::Value;

pub use page::{UPDATE, row};
pub use snapshot::id;

/// A chart, with the release name and the namespace that its README gives.
#[derive(Clone, Copy, Debug)]
pub struct Chart {
    /// The folder below `charts/`.
    pub name: &'static str,
    /// The name of the release.
    pub release: &'static str,
    /// The release's namespace, which must be there.
    pub namespace: &'static str,
}

/// The chart of the host.
pub const HOST: Chart = Chart {
    name: "backupstrategy-controller",
    release: "backupstrategy-controller",
    namespace: "cozy-backup-controller",
};

/// What the host needs beside Velero.
pub const VELERO: Chart = Chart {
    name: "velero",
    release: "velero-for-backups",
    namespace: "cozy-velero",
};

/// A ClickHouse release of a tenant's, around the library with the backup sidecar.
pub const CLICKHOUSE: Chart = Chart {
    name: "clickhouse",
    release: "clickhouse-orders",
    namespace: "tenant-acme",
};

/// The environment of a container of the host's, with what a kubelet fills in for a Pod of this name.
///
/// # Errors
/// When a variable comes from somewhere that is not played.
pub fn environment(container: &Value, pod: &str) -> Result<Vec<(String, String)>> {
    let variables = container["env"].as_array().into_iter().flatten();
    let filled_in = variables.map(|variable| {
        let name = variable["name"].as_str().unwrap_or_default();
        let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str();
        let value = match (variable["value"].as_str(), field) {
            (Some(value), _) => value,
            (None, Some("metadata.namespace")) => HOST.namespace,
            (None, Some("metadata.name")) => pod,
            _ => bail!("what the Deployment says of {name} is not played"),
        };
        Ok((name.to_owned(), value.to_owned()))
    });
    filled_in.collect()
}

impl Chart {
    /// The chart's folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../charts")
            .join(self.name)
    }

    /// The definitions in its folder `crds`.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn definitions(&self) -> Result<Vec<Value>> {
        let folder = self.folder().join("crds");
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("could not read {}", folder.display()))?;
        let files = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
        files.sort();
        let mut definitions = vec![];
        for file in files {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("could not read {}", file.display()))?;
            let definition = serde_saphyr::from_str(&text)
                .with_context(|| format!("{} is no YAML", file.display()))?;
            definitions.push(definition);
        }
        Ok(definitions)
    }

    /// The objects that it makes with some values.
    ///
    /// # Errors
    /// When Helm refuses, with what it says.
    pub fn render(&self, helm: &Helm, values: &Value) -> Result<Vec<Value>> {
        let text = self.run(helm, "template", &self.folder(), values)?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).context("Helm did not print YAML")?;
        // A template that is left out leaves an empty document.
        Ok(documents
            .into_iter()
            .filter(|document| !document.is_null())
            .collect())
    }

    /// Installs it.
    ///
    /// # Errors
    /// As [`Chart::render`].
    pub fn install(&self, helm: &Helm, values: &Value) -> Result<()> {
        self.run(helm, "install", &self.folder(), values)
            .map(|_| ())
    }

    /// Upgrades its release to the chart in a folder, which may be a later version of it.
    ///
    /// # Errors
    /// As [`Chart::render`].
    pub fn upgrade_to(&self, folder: &Path, helm: &Helm, values: &Value) -> Result<()> {
        self.run(helm, "upgrade", folder, values).map(|_| ())
    }

    /// Removes it.
    ///
    /// # Errors
    /// As [`Chart::render`].
    pub fn uninstall(&self, helm: &Helm) -> Result<()> {
        helm.run(&["uninstall", self.release, "--namespace", self.namespace])
            .map(|_| ())
    }

    fn run(&self, helm: &Helm, verb: &str, folder: &Path, values: &Value) -> Result<String> {
        let folder = folder.to_string_lossy();
        let arguments = [verb, self.release, &folder, "--namespace", self.namespace];
        helm.run_with(&arguments, values)
    }
}
