//! The host's process: what the chart's Deployment says, on this machine in the place of a Pod.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use charts::HOST;
use controlplane::ControlPlane;
use serde_json::Value;

use crate::{background, tenants, watching::api};

/// The name of the process.
pub(crate) const NAME: &str = "host";

/// The file name of its program.
const PROGRAM: &str = "backupstrategy-controller";

// What is otherwise on a machine than in a Pod: ports that are free, folders that are here, lines for a person.
const HEALTH: &str = "--health-probe-bind-address";
const METRICS: &str = "--metrics-bind-address";
const PLUGINS: &str = "--plugin-folder";
const COMPILED: &str = "--compiled-cache";
const LOG: &str = "--log-format";

/// The container of the host, as the chart has it.
pub(crate) struct Container(Value);

impl Container {
    /// Reads it from the cluster.
    ///
    /// # Errors
    /// When the chart has put none there.
    pub(crate) async fn read(plane: &ControlPlane) -> Result<Self> {
        let kind = ("apps/v1", "Deployment");
        let found = api(&plane.client().await?, kind, Some(HOST.namespace))
            .get(HOST.name)
            .await
            .context("the chart has no Deployment")?;
        let deployment = serde_json::to_value(found)?;
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        Ok(Self(containers[0].clone()))
    }

    /// The value of a variable; empty when it has none.
    pub(crate) fn variable(&self, name: &str) -> &str {
        let mut variables = self.0["env"].as_array().into_iter().flatten();
        let found = variables.find(|variable| variable["name"] == name);
        found
            .and_then(|variable| variable["value"].as_str())
            .unwrap_or_default()
    }

    /// Its command line and environment.
    ///
    /// # Errors
    /// When a variable is of a kind that is not played.
    fn command(&self, program: &Path, plugins: &Path) -> Result<Command> {
        let mut command = Command::new(program);
        let arguments = self.0["args"].as_array().into_iter().flatten();
        let arguments = arguments.filter_map(Value::as_str).filter(|argument| {
            let name = argument.split('=').next().unwrap_or_default();
            ![HEALTH, METRICS, PLUGINS, COMPILED, LOG].contains(&name)
        });
        command.args(arguments);
        command.envs(charts::environment(&self.0, "playground")?);
        let compiled = compiled();
        let ours = [
            (HEALTH, OsStr::new("127.0.0.1:0")),
            (METRICS, OsStr::new("127.0.0.1:0")),
            (PLUGINS, plugins.as_os_str()),
            (COMPILED, compiled.as_os_str()),
            (LOG, OsStr::new("text")),
        ];
        for (flag, value) in ours {
            command.arg(flag).arg(value);
        }
        Ok(command)
    }

    /// Starts the host under its own account.
    ///
    /// # Errors
    /// When its program is not there, or cannot be started.
    pub(crate) async fn start(
        &self,
        plane: &ControlPlane,
        folder: &Path,
        plugins: &Path,
    ) -> Result<()> {
        let kubeconfig = folder.join("host.kubeconfig");
        let account = (HOST.namespace, HOST.name);
        tenants::write_kubeconfig(plane, account, &kubeconfig).await?;
        let program = program()?;
        let mut command = self.command(&program, plugins)?;
        command.env("KUBECONFIG", kubeconfig);
        background::start(folder, NAME, &mut command, None).map(drop)
    }
}

/// Beside this program: cargo builds the programs of the workspace into one folder.
fn program() -> Result<PathBuf> {
    let here = std::env::current_exe().context("the running program is not found")?;
    let program = here.with_file_name(PROGRAM);
    if !program.exists() {
        bail!("{PROGRAM} is not built; `cargo build --workspace --bin {PROGRAM}` builds it");
    }
    Ok(program)
}

/// Shared by all runs, and with the tests: what was compiled is compiled.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compiled-by-the-host")
}
