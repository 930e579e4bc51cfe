//! Helm, as an administrator uses it: to install the charts on a control plane, or only to render them.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{plane::ControlPlane, programs::Module};

/// The variable that names a ready-made program.
const HELM: &str = "HELM";

/// How the name of its cache folder begins: with the version in the Go module.
const CACHED_AS: &str = "helm-v4.3.1";

/// Helm with a folder of its own: whoever runs the tests may have repositories and plugins, which are not its business.
pub struct Helm {
    program: PathBuf,
    home: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// Without a cluster: it renders and lints.
    ///
    /// The program is the one that `HELM` names when it is set; otherwise that of the cache, built when it is not there,
    /// as [`Binaries::find`](crate::Binaries::find) does. One that happens to be installed is not taken: the charts are
    /// tried with a version that is known.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn offline() -> Result<Self> {
        Ok(Self {
            program: program()?,
            home: tempfile::tempdir().context("there is no folder for Helm")?,
            kubeconfig: None,
        })
    }

    /// The administrator's, on a control plane.
    ///
    /// # Errors
    /// As [`Helm::offline`].
    pub fn of(plane: &ControlPlane) -> Result<Self> {
        Ok(Self {
            kubeconfig: Some(plane.kubeconfig()),
            ..Self::offline()?
        })
    }

    /// Runs a command and gives back what it prints.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_on(arguments, "")
    }

    /// The same with values for a chart.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub fn run_with(&self, arguments: &[&str], values: &Value) -> Result<String> {
        let arguments = [arguments, &["--values", "-"]].concat();
        self.run_on(&arguments, &values.to_string())
    }

    fn run_on(&self, arguments: &[&str], input: &str) -> Result<String> {
        let home = |name: &str| self.home.path().join(name);
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("HELM_CACHE_HOME", home("cache"))
            .env("HELM_CONFIG_HOME", home("config"))
            .env("HELM_DATA_HOME", home("data"))
            // Not whatever cluster the person who runs the tests works with.
            .env(
                "KUBECONFIG",
                self.kubeconfig.clone().unwrap_or(home("none")),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("could not start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that needs no values may have ended already; if that is a failure it says why.
            stdin.write_all(input.as_bytes()).ok();
        }
        let output = child
            .wait_with_output()
            .context("could not wait for Helm")?;
        if !output.status.success() {
            bail!(
                "helm {} failed: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).context("Helm printed something else than text")
    }
}

/// The program that `HELM` names, or that of the cache.
pub(crate) fn program() -> Result<PathBuf> {
    module().program_or_named_by(HELM)
}

fn module() -> Module {
    Module {
        folder: "helm",
        name: CACHED_AS,
        programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
        linker_flags: "-s -w".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_named_after_the_version_that_the_module_pins() {
        assert!(module().is_named_after("helm.sh/helm/v4"));
    }
}
