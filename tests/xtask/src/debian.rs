//! Debian's Rust compiler with its sources, as its packages install it.
//!
//! Where it is not installed, the packages are downloaded and unpacked into a folder of the target folder:
//! that needs no root, changes nothing on the machine (installing them would remove Debian's rustup), and
//! `cargo clean` takes it away.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// What is needed: the compiler, the sources of the same version, and the cargo that knows both.
pub(crate) const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "cargo-web"];

/// Debian's compiler, there or not.
pub(crate) struct Debian {
    /// What the packages' paths are relative to: `/`, or where they are unpacked.
    root: PathBuf,
}

impl Debian {
    /// The compiler whose packages are installed or unpacked at `root`.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The program `rustc`.
    pub(crate) fn rustc(&self) -> PathBuf {
        self.root.join("usr/bin/rustc")
    }

    /// The program `cargo`.
    pub(crate) fn cargo(&self) -> PathBuf {
        self.root.join("usr/bin/cargo")
    }

    /// The folder of its shared libraries.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.root
            .join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
    }

    /// Whether compiler, cargo and sources are all there.
    pub(crate) fn is_complete(&self) -> bool {
        let sources = self
            .root
            .join("usr/lib/rustlib/src/rust/library/Cargo.lock");
        self.rustc().is_file() && self.cargo().is_file() && sources.is_file()
    }

    /// Downloads the packages and unpacks them, unless they are there.
    ///
    /// # Errors
    ///
    /// When a package cannot be downloaded or unpacked.
    pub(crate) fn unpack(&self) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        println!(
            "unpacking Debian's packages {} into {}",
            PACKAGES.join(", "),
            self.root.display()
        );
        // Next to the root until it is whole, so that half of it is never taken for a compiler.
        let (packages, draft) = (
            self.root.with_extension("packages"),
            self.root.with_extension("new"),
        );
        for folder in [&packages.join("partial"), &draft] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("could not create {}", folder.display()))?;
        }
        download(&packages)?;
        let entries = std::fs::read_dir(&packages)
            .with_context(|| format!("could not read {}", packages.display()))?;
        for package in entries.flatten().map(|entry| entry.path()) {
            if package
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                process::run(
                    Command::new("dpkg-deb")
                        .arg("--extract")
                        .arg(&package)
                        .arg(&draft),
                )?;
            }
        }
        std::fs::rename(&draft, &self.root).with_context(|| {
            format!(
                "could not rename {} to {}",
                draft.display(),
                self.root.display()
            )
        })?;
        std::fs::remove_dir_all(&packages)
            .with_context(|| format!("could not remove {}", packages.display()))
    }
}

/// Downloads the packages, and those they need that are not installed, into `folder`.
fn download(folder: &Path) -> Result<()> {
    let fetch = || {
        let mut archives = std::ffi::OsString::from("Dir::Cache::archives=");
        archives.push(folder);
        let mut command = Command::new("apt-get");
        command
            .args([
                "install",
                "--quiet",
                "--yes",
                "--download-only",
                "--no-install-recommends",
            ])
            // Nothing is installed, so nobody who installs has to be waited for, and root is not needed.
            .args(["-o", "Debug::NoLocking=1", "-o"])
            .arg(archives)
            .args(PACKAGES);
        process::output(&mut command)
    };
    if fetch().is_ok() {
        return Ok(());
    }
    // The lists of what can be downloaded are missing or old; only root can renew them.
    process::output(Command::new("apt-get").args(["update", "--quiet"]))?;
    fetch().map(drop)
}
