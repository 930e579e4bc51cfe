//! The files of one run. They are removed when the run ends, also when the test process is killed.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    certificates::{Authority, Keys},
    flags, server,
};

pub(crate) const AUTHORITY: &str = "authority.pem";
pub(crate) const SERVER_CERTIFICATE: &str = "server.pem";
pub(crate) const SERVER_KEY: &str = "server-key.pem";
pub(crate) const TOKEN_KEY: &str = "token-key.pem";
pub(crate) const TOKEN_PUBLIC_KEY: &str = "token-public.pem";
pub(crate) const AUDIT_POLICY: &str = "audit-policy.json";
pub(crate) const AUDIT_LOG: &str = "audit.log";
pub(crate) const ADMIN_KUBECONFIG: &str = "kubeconfig";
pub(crate) const CONTROLLERS_KUBECONFIG: &str = "controllers.kubeconfig";

/// Waits until its standard input ends, which the end of the test process brings about however it comes, and
/// removes the folder. A server may still be ending then and write: hence the second try, and the third.
const REMOVE: &str = r#"read -r _; for try in 1 2 3 4 5; do rm -rf -- "$1" && exit; sleep 1; done"#;

/// The folder of one run.
pub(crate) struct Folder {
    path: PathBuf,
    /// Who removes it, and the input that it waits on; nobody for a folder that stays.
    remover: Option<(Child, Option<ChildStdin>)>,
}

impl Folder {
    /// A new folder that ends with this process.
    pub(crate) fn temporary() -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix("controlplane-")
            .tempdir()
            .context("could not create a folder for the control plane")?
            .keep();
        let mut command = Command::new("sh");
        command
            .args(["-c", REMOVE, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Out of reach of a Ctrl-C that is meant for the tests: it has work left then.
        let mut remover = server::apart(&mut command)
            .spawn()
            .context("could not start `sh`")?;
        let input = remover.stdin.take();
        Ok(Self {
            path,
            remover: Some((remover, input)),
        })
    }

    /// A folder that stays.
    pub(crate) fn lasting(path: &Path) -> Result<Self> {
        // Its keys are nobody else's business.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("could not create {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            remover: None,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what the servers read, but for the kubeconfigs, which need the port.
    pub(crate) fn furnish(&self, authority: &Authority) -> Result<()> {
        let server = authority.server()?;
        let token = Keys::new()?;
        self.write(AUTHORITY, &authority.certificate())?;
        self.write(SERVER_CERTIFICATE, &server.certificate)?;
        self.write(SERVER_KEY, &server.key)?;
        self.write(TOKEN_KEY, &token.private)?;
        self.write(TOKEN_PUBLIC_KEY, &token.public)?;
        self.write(AUDIT_POLICY, flags::AUDIT_POLICY)
    }

    /// Writes one file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some((remover, input)) = &mut self.remover {
            drop(input.take());
            // It ends in any case; at worst it has left something, which harms nobody.
            let _ = remover.wait();
        }
    }
}
