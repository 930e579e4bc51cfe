//! kubectl on the playground, for who has none.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{tenants::TENANTS, told};

/// What kubectl is asked for.
#[derive(clap::Args)]
pub(crate) struct Question {
    /// Ask as this tenant, with the chart's roles for tenants alone; otherwise as the administrator
    #[arg(long, value_name = "TENANT", value_parser = TENANTS)]
    tenant: Option<String>,
    /// What kubectl is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Question {
    fn kubeconfig(&self, folder: &Path) -> PathBuf {
        match &self.tenant {
            Some(tenant) => told::kubeconfig_of(folder, tenant),
            None => told::kubeconfig(folder),
        }
    }

    /// Becomes kubectl, at the version of the API server. It is built when it is needed first.
    ///
    /// # Errors
    /// When the playground does not run, or there is no kubectl.
    pub(crate) fn ask(&self, folder: &Path) -> Result<()> {
        let kubeconfig = self.kubeconfig(folder);
        if !kubeconfig.exists() {
            bail!("the playground does not run: `cargo xtask up` starts it");
        }
        let mut command = Command::new(controlplane::kubectl()?);
        command.args(&self.arguments).env("KUBECONFIG", kubeconfig);
        // It returns only where kubectl could not be started.
        Err(command.exec().into())
    }
}
