//! What cargo knows about this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;

/// A cargo workspace: this repository, a fixture, or the vendor's strategy.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// The folder of its `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where its builds go, `CARGO_TARGET_DIR` taken into account.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// Its members.
    pub(crate) packages: Vec<Package>,
}

/// A member of a workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// The package's name.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// Libraries, binaries, tests.
    targets: Vec<Target>,
    /// `[package.metadata]`.
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Workspace {
    /// Reads the workspace that the package at `manifest` belongs to.
    ///
    /// # Errors
    ///
    /// When cargo does not accept it.
    pub(crate) fn at(manifest: &Path) -> Result<Self> {
        let mut command = process::cargo();
        command
            .args([
                "metadata",
                "--format-version=1",
                "--no-deps",
                "--manifest-path",
            ])
            .arg(manifest);
        let text = process::output(&mut command)?;
        serde_json::from_str(&text)
            .with_context(|| format!("could not read the answer of `{}`", process::line(&command)))
    }

    /// Reads the workspace that this program was built from.
    ///
    /// # Errors
    ///
    /// When it was not started through cargo, or as [`at`](Self::at).
    pub(crate) fn ours() -> Result<Self> {
        let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") else {
            bail!("this program finds the repository through cargo: start it as `cargo xtask`");
        };
        Self::at(&Path::new(&folder).join("Cargo.toml"))
    }

    /// The members in the folder `name` of the root.
    pub(crate) fn members_under<'a>(
        &'a self,
        name: &str,
    ) -> impl Iterator<Item = &'a Package> + use<'a> {
        let folder = self.root.join(name);
        self.packages
            .iter()
            .filter(move |package| package.manifest_path.starts_with(&folder))
    }
}

impl Package {
    /// The name of its library where it is built as a C-compatible one, as a component's module must be.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn module_name(&self) -> Result<String> {
        self.targets
            .iter()
            .find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            .map(|target| target.name.replace('-', "_"))
            .with_context(|| {
                format!(
                    "{} builds no module: add `crate-type = [\"cdylib\"]` under `[lib]` in {}",
                    self.name,
                    self.manifest_path.display()
                )
            })
    }

    /// Whether its `Cargo.toml` says `[package.metadata.fixture]`.
    pub(crate) fn is_fixture(&self) -> bool {
        self.metadata.get("fixture").is_some()
    }
}
