//! Where the standard library for the plugins' target comes from.
//!
//! A machine may have it, rustup may be able to add it, or it can be built from the sources that Debian
//! ships beside its own compiler: sources and compiler must be of one version, so that rustup's compiler
//! cannot build Debian's sources. Whichever way it is, the component does the same; its digest is that of
//! the compiler used.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::debian::Debian;
use crate::process;
use crate::workspace::Workspace;

/// The target of the plugins: no system interface at all, as a strategy has none.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What to do where no way is left.
const ADVICE: &str = "there is no standard library for wasm32-unknown-unknown, and no way to get one was found. \
    Either add it to the toolchain (`rustup target add wasm32-unknown-unknown`), \
    or install Debian's compiler with its sources (`apt-get install rustc-web rust-web-src cargo-web`) \
    beside a rustup toolchain, whose rust-lld links";

/// A way to a standard library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// The toolchain has it.
    Installed,
    /// `rustup target add`.
    Rustup,
    /// Built from the sources of Debian's compiler, which is installed.
    Debian,
    /// Built from the sources of Debian's compiler, whose packages are unpacked into the target folder.
    DebianUnpacked,
}

/// What was found on the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// The toolchain's folder for the target's libraries holds something.
    installed: bool,
    /// rustup is there.
    rustup: bool,
    /// The toolchain brings a linker for WebAssembly, which Debian's compiler does not.
    linker: bool,
    /// Debian's compiler is installed, with cargo and sources.
    debian: bool,
    /// Debian's packages were unpacked by an earlier build.
    unpacked: bool,
    /// Debian's packages can be downloaded and unpacked.
    apt: bool,
}

impl Facts {
    /// The ways to try, best first.
    fn ways(self) -> Vec<Way> {
        if self.installed {
            return vec![Way::Installed];
        }
        let mut ways = Vec::new();
        // It is there because rustup had no success: not to be tried again by every build.
        if self.linker && self.unpacked {
            ways.push(Way::DebianUnpacked);
        }
        if self.rustup {
            ways.push(Way::Rustup);
        }
        if self.linker && self.debian {
            ways.push(Way::Debian);
        }
        if self.linker && self.apt && !self.unpacked {
            ways.push(Way::DebianUnpacked);
        }
        ways
    }
}

/// The compiler for the plugins, and how to call it.
pub(crate) struct Toolchain {
    /// The program `cargo`.
    cargo: OsString,
    /// Arguments for `cargo build` beyond the ordinary ones.
    arguments: Vec<String>,
    /// The environment of cargo beyond the ordinary one.
    environment: Vec<(String, OsString)>,
    /// The compiler's own folder.
    pub(crate) sysroot: PathBuf,
    /// The commit that the compiler was built from, as it names its sources.
    pub(crate) commit: String,
}

impl Toolchain {
    /// A `cargo build` for the plugins' target.
    pub(crate) fn build(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command
            .args(["build", "--target", TARGET])
            .args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Gets a toolchain for the plugins: in the way `only`, or in the first that succeeds.
///
/// # Errors
///
/// When none does: each one's reason, and what to install.
pub(crate) fn prepare(workspace: &Workspace, only: Option<Way>) -> Result<Toolchain> {
    let machine = Machine::probe(workspace)?;
    let ways = only.map_or_else(|| machine.facts.ways(), |way| vec![way]);
    let mut reasons = String::new();
    for way in ways {
        match machine.take(way) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => {
                eprintln!("no standard library for {TARGET} this way: {error:#}");
                reasons.push_str(&format!("\n  tried: {error:#}"));
            }
        }
    }
    bail!("{ADVICE}{reasons}")
}

/// What was found, and where.
struct Machine {
    facts: Facts,
    sysroot: PathBuf,
    commit: String,
    linker: PathBuf,
    installed: Debian,
    unpacked: Debian,
}

impl Machine {
    fn probe(workspace: &Workspace) -> Result<Self> {
        let rustc = || Command::new("rustc");
        let sysroot = PathBuf::from(process::output(rustc().args(["--print", "sysroot"]))?);
        let version = process::output(rustc().arg("-vV"))?;
        let host = field(&version, "host")?;
        let linker = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        let installed = Debian::at(Path::new("/"));
        let unpacked = Debian::at(&workspace.target.join("tools/debian-rust"));
        let facts = Facts {
            installed: has_target(&sysroot),
            rustup: process::exists("rustup"),
            linker: linker.is_file(),
            debian: installed.is_complete(),
            unpacked: unpacked.is_complete(),
            apt: process::exists("apt-get") && process::exists("dpkg-deb"),
        };
        Ok(Self {
            facts,
            commit: field(&version, "commit-hash")?.to_owned(),
            sysroot,
            linker,
            installed,
            unpacked,
        })
    }

    /// Goes one way.
    fn take(&self, way: Way) -> Result<Toolchain> {
        match way {
            Way::Installed => {}
            Way::Rustup => {
                println!("adding {TARGET} to the toolchain through rustup");
                process::run(Command::new("rustup").args(["target", "add", TARGET]))?;
            }
            Way::Debian => return self.build_std(&self.installed),
            Way::DebianUnpacked => {
                self.unpacked.unpack()?;
                return self.build_std(&self.unpacked);
            }
        }
        if !has_target(&self.sysroot) {
            bail!("{} has no libraries for {TARGET}", self.sysroot.display());
        }
        Ok(Toolchain {
            cargo: process::cargo().get_program().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            sysroot: self.sysroot.clone(),
            commit: self.commit.clone(),
        })
    }

    /// Debian's compiler, which builds its own standard library first.
    fn build_std(&self, debian: &Debian) -> Result<Toolchain> {
        if !debian.is_complete() {
            bail!(
                "the packages {} are not installed",
                crate::debian::PACKAGES.join(", ")
            );
        }
        if !self.facts.linker {
            bail!(
                "{} is missing, which links for Debian's compiler",
                self.linker.display()
            );
        }
        let libraries = debian.libraries();
        let rustc = || {
            let mut command = Command::new(debian.rustc());
            command.env("LD_LIBRARY_PATH", &libraries);
            command
        };
        println!(
            "building with Debian's compiler, which builds the standard library of {TARGET} first"
        );
        Ok(Toolchain {
            cargo: debian.cargo().into(),
            arguments: vec!["-Zbuild-std=std,panic_abort".to_owned()],
            environment: vec![
                ("RUSTC".to_owned(), debian.rustc().into()),
                ("LD_LIBRARY_PATH".to_owned(), libraries.clone().into()),
                // Building a standard library is not for everybody: this says that it is meant.
                ("RUSTC_BOOTSTRAP".to_owned(), "1".into()),
                (
                    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER".to_owned(),
                    self.linker.clone().into(),
                ),
            ],
            sysroot: process::output(rustc().args(["--print", "sysroot"]))?.into(),
            commit: field(&process::output(rustc().arg("-vV"))?, "commit-hash")?.to_owned(),
        })
    }
}

/// Whether the toolchain in `sysroot` has libraries for the plugins' target: the folder alone is not enough,
/// rustup leaves it behind.
fn has_target(sysroot: &Path) -> bool {
    let folder = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// A field of what `rustc -vV` prints.
fn field<'a>(version: &'a str, name: &str) -> Result<&'a str> {
    version
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .with_context(|| format!("`rustc -vV` does not tell its {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_there_is_used() {
        let facts = Facts {
            installed: true,
            rustup: true,
            linker: true,
            debian: true,
            unpacked: true,
            apt: true,
        };
        assert_eq!(facts.ways(), [Way::Installed]);
    }

    #[test]
    fn rustup_is_asked_before_debian() {
        let facts = Facts {
            rustup: true,
            linker: true,
            debian: true,
            apt: true,
            ..Facts::default()
        };
        assert_eq!(
            facts.ways(),
            [Way::Rustup, Way::Debian, Way::DebianUnpacked]
        );
    }

    #[test]
    fn packages_that_were_unpacked_once_are_used_again() {
        let facts = Facts {
            rustup: true,
            linker: true,
            unpacked: true,
            apt: true,
            ..Facts::default()
        };
        assert_eq!(facts.ways(), [Way::DebianUnpacked, Way::Rustup]);
    }

    #[test]
    fn debians_compiler_needs_a_linker() {
        let facts = Facts {
            debian: true,
            unpacked: true,
            apt: true,
            ..Facts::default()
        };
        assert_eq!(facts.ways(), []);
    }

    #[test]
    fn a_field_of_the_compilers_version_is_read() -> Result<()> {
        let version = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\ncommit-hash: 59807616e\nhost: x86_64-unknown-linux-gnu";
        assert_eq!(field(version, "host")?, "x86_64-unknown-linux-gnu");
        assert_eq!(field(version, "commit-hash")?, "59807616e");
        assert!(field(version, "release").is_err());
        Ok(())
    }
}
