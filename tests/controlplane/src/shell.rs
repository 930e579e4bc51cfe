//! A terminal, as whoever reads the documentation has it: what a page tells to type is typed here, word for word.

use std::{
    ffi::OsString,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{binaries, helm, jq, plane::ControlPlane};

/// A shell in which `kubectl`, `helm` and `jq` are those of the tests, and the cluster is the one of a kubeconfig.
///
/// It has a home of its own: whoever runs the tests may have settings, plugins and clusters, which are not its business.
pub struct Shell {
    home: tempfile::TempDir,
    /// Where commands are typed.
    folder: PathBuf,
}

impl Shell {
    /// The administrator's, on a control plane. Commands are typed in the root of this repository, from where paths of
    /// its documentation count.
    ///
    /// # Errors
    /// When a program is not there and cannot be built.
    pub fn of(plane: &ControlPlane) -> Result<Self> {
        let kubeconfig = std::fs::read_to_string(plane.kubeconfig())
            .context("could not read the administrator's kubeconfig")?;
        Self::with(&kubeconfig)
    }

    /// The same for whoever has a kubeconfig.
    ///
    /// # Errors
    /// As [`Shell::of`].
    pub fn with(kubeconfig: &str) -> Result<Self> {
        let home = tempfile::tempdir().context("there is no folder for a shell")?;
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs)
            .and_then(|()| std::fs::write(home.path().join("kubeconfig"), kubeconfig))
            .context("could not furnish the folder of a shell")?;
        for (name, program) in [
            ("kubectl", binaries::kubectl()?),
            ("helm", helm::program()?),
            ("jq", jq::program()?),
        ] {
            symlink(program, programs.join(name))
                .with_context(|| format!("could not link {name}"))?;
        }
        Ok(Self {
            home,
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        })
    }

    /// The same shell in another folder: of somebody who keeps files there.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Types a command and gives back what it prints.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub fn run(&self, command: &str) -> Result<String> {
        self.run_on(command, "")
    }

    /// The same with text on the command's standard input.
    ///
    /// # Errors
    /// When it fails, with what it says.
    pub fn run_on(&self, command: &str, input: &str) -> Result<String> {
        let output = self.output(command, input)?;
        if !output.status.success() {
            bail!(
                "`{command}` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        String::from_utf8(output.stdout).context("it printed something else than text")
    }

    /// Types a command that is to fail, with text on its standard input, and gives back what it complains of.
    ///
    /// # Errors
    /// When it does not fail, with what it prints.
    pub fn fails_on(&self, command: &str, input: &str) -> Result<String> {
        let output = self.output(command, input)?;
        if output.status.success() {
            bail!(
                "`{command}` did not fail: {}",
                String::from_utf8_lossy(&output.stdout).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn output(&self, command: &str, input: &str) -> Result<Output> {
        let home = self.home.path();
        let mut child = Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.folder)
            .env("PATH", self.path())
            .env("HOME", home)
            .env("KUBECONFIG", home.join("kubeconfig"))
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("could not start `sh`")?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may have ended already; if that is a failure it says why.
            stdin.write_all(input.as_bytes()).ok();
        }
        child
            .wait_with_output()
            .context("could not wait for a command")
    }

    /// Its own programs before those of the machine.
    fn path(&self) -> OsString {
        let own = self.home.path().join("bin");
        let machine = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(own).chain(std::env::split_paths(&machine));
        // A folder that cannot stand in the variable was not in it before.
        std::env::join_paths(folders).unwrap_or(machine)
    }
}
