//! `cargo xtask bundle`: the strategies, the test fixtures and the vendor's strategy as WebAssembly components.
//!
//! Each is built in a cargo call of its own: built together, crates would share the features of their
//! dependencies, and a strategy's bytes would depend on its neighbours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::component;
use crate::process;
use crate::reproducible;
use crate::wasm_std::{self, TARGET, Toolchain, Way};
use crate::workspace::{Package, Workspace};

/// The build profile of components, in the root `Cargo.toml`.
const PROFILE: &str = "plugin";

/// Of a strategy's package name, what its component's name leaves out.
const PREFIX: &str = "strategy-";

/// How much of a digest tells two components apart for a person.
const SHORT_DIGEST: usize = 12;

/// What `cargo xtask bundle` is asked for.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Take the target's standard library in this way only; otherwise the first that works is taken
    #[arg(long, value_name = "WAY")]
    wasm_std: Option<Way>,
    /// Build the strategies alone, as the image of the host has them
    #[arg(long)]
    strategies: bool,
}

/// Builds all components and prints them.
///
/// # Errors
///
/// When there is no standard library for the target, or a component cannot be built.
pub(crate) fn run(options: &Options) -> Result<()> {
    let builder = Builder::new(options.wasm_std)?;
    print(&builder.strategies()?);
    if options.strategies {
        return Ok(());
    }
    print(&builder.fixtures()?);
    print(&builder.vendor()?);
    Ok(())
}

/// Builds the strategies only and returns their folder.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn strategies(way: Option<Way>) -> Result<Strategies> {
    let builder = Builder::new(way)?;
    print(&builder.strategies()?);
    Ok(Strategies {
        folder: builder.bundle_folder(),
        target: builder.workspace.target.clone(),
    })
}

/// Builds the strategies here, and those of the checkout in another folder, with one compiler.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn in_both(elsewhere: &Path, way: Option<Way>) -> Result<(Vec<Built>, Vec<Built>)> {
    let mut builder = Builder::new(way)?;
    let here = builder.strategies()?;
    builder.workspace = Workspace::at(&elsewhere.join("Cargo.toml"))?;
    // Its own, also where the environment names one for all workspaces.
    builder.workspace.target = elsewhere.join("target");
    Ok((here, builder.strategies()?))
}

/// The strategies that were built.
pub(crate) struct Strategies {
    /// The folder with their components.
    pub(crate) folder: PathBuf,
    /// The workspace's target folder.
    pub(crate) target: PathBuf,
}

/// A component that was built.
pub(crate) struct Built {
    /// Its file.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) size: usize,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) digest: String,
    /// Whether the file was written anew.
    pub(crate) changed: bool,
}

impl Built {
    /// The name of its file, without the ending.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_stem().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Builds components of this repository with one compiler.
struct Builder {
    workspace: Workspace,
    toolchain: Toolchain,
}

impl Builder {
    fn new(way: Option<Way>) -> Result<Self> {
        let workspace = Workspace::ours()?;
        let toolchain = wasm_std::prepare(&workspace, way)?;
        Ok(Self {
            workspace,
            toolchain,
        })
    }

    /// Where a host finds the strategies.
    fn bundle_folder(&self) -> PathBuf {
        self.workspace.target.join("bundle")
    }

    /// The members under `plugins/`.
    fn strategies(&self) -> Result<Vec<Built>> {
        let packages: Vec<_> = self.workspace.members_under("plugins").collect();
        self.build_into(&self.bundle_folder(), &packages, &[])
    }

    /// The crates under `tests/fixtures/` that say that they are fixtures.
    fn fixtures(&self) -> Result<Vec<Built>> {
        self.build_apart("tests/fixtures", "fixtures", Package::is_fixture)
    }

    /// The strategy under `tests/vendor/`. What tries it there is no component.
    fn vendor(&self) -> Result<Vec<Built>> {
        let is_component = |package: &Package| package.module_name().is_ok();
        self.build_apart("tests/vendor", "vendor", is_component)
    }

    /// Those of the crates in the folder `from` that are meant, into the folder `to` of the target folder. Each is a
    /// workspace of its own, as a vendor's crate would be, so the profile is handed to it.
    fn build_apart(
        &self,
        from: &str,
        to: &str,
        is_meant: fn(&Package) -> bool,
    ) -> Result<Vec<Built>> {
        let manifest = self.workspace.root.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest)
            .with_context(|| format!("could not read {}", manifest.display()))?;
        let folders = manifests_in(&self.workspace.root.join(from))?;
        let apart = folders
            .iter()
            .map(|manifest| Workspace::at(manifest))
            .collect::<Result<Vec<_>>>()?;
        let packages: Vec<_> = apart
            .iter()
            .flat_map(|workspace| &workspace.packages)
            .filter(|package| is_meant(package))
            .collect();
        self.build_into(
            &self.workspace.target.join(to),
            &packages,
            &profile_settings(&text),
        )
    }

    /// Builds `packages` and leaves exactly their components in `folder`.
    fn build_into(
        &self,
        folder: &Path,
        packages: &[&Package],
        settings: &[String],
    ) -> Result<Vec<Built>> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        let built = packages
            .iter()
            .map(|package| self.build(package, folder, settings))
            .collect::<Result<Vec<_>>>()?;
        let kept: Vec<_> = built
            .iter()
            .map(|component| component.path.clone())
            .collect();
        component::remove_others(folder, &kept)?;
        Ok(built)
    }

    /// Builds one component.
    fn build(&self, package: &Package, folder: &Path, settings: &[String]) -> Result<Built> {
        // Apart from everything else's builds: its flags would make cargo build those anew.
        let target = self.workspace.target.join("plugins");
        let flags = reproducible::rustflags(
            &self.workspace,
            &self.toolchain.sysroot,
            &self.toolchain.commit,
        )?;
        let mut command = self.toolchain.build();
        command
            .args(["--locked", "--lib", "--profile", PROFILE, "--manifest-path"])
            .arg(&package.manifest_path);
        command.arg("--target-dir").arg(&target);
        for setting in settings {
            command.args(["--config", setting]);
        }
        process::run(command.env("CARGO_ENCODED_RUSTFLAGS", flags))
            .with_context(|| format!("could not build {} for {TARGET}", package.name))?;

        let module = target
            .join(TARGET)
            .join(PROFILE)
            .join(package.module_name()?)
            .with_extension("wasm");
        let bytes = std::fs::read(&module)
            .with_context(|| format!("could not read {}", module.display()))?;
        let bytes = component::encode(&bytes).with_context(|| {
            format!(
                "{} is no component: could not encode {}",
                package.name,
                module.display()
            )
        })?;
        let path = folder
            .join(component_name(&package.name))
            .with_extension("wasm");
        let changed = component::write_if_changed(&path, &bytes)?;
        Ok(Built {
            path,
            size: bytes.len(),
            digest: component::digest(&bytes),
            changed,
        })
    }
}

/// The name of the component that the package `package` becomes.
fn component_name(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

/// The `Cargo.toml` of each crate in `folder`, in the order of their names. The folder may be absent.
fn manifests_in(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("could not read {}", folder.display()))?;
    let mut manifests: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path().join("Cargo.toml"))
        .filter(|path| path.is_file())
        .collect();
    manifests.sort();
    Ok(manifests)
}

/// The profile of components as cargo's `--config` takes it, from the text of the root `Cargo.toml`.
fn profile_settings(manifest: &str) -> Vec<String> {
    let table = format!("profile.{PROFILE}");
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != format!("[{table}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.contains('=') && !line.starts_with('#'))
        .map(|line| format!("{table}.{line}"))
        .collect()
}

/// One line for each component.
fn print(components: &[Built]) {
    for component in components {
        let Built {
            size,
            digest,
            changed,
            ..
        } = component;
        let name = component.name();
        let short = digest.get(..SHORT_DIGEST).unwrap_or(digest);
        let note = if *changed { "" } else { "  unchanged" };
        println!("{name:<24} {size:>9} bytes  sha256 {short}{note}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_components_name_leaves_out_that_it_is_a_strategy() {
        assert_eq!(component_name("strategy-cnpg"), "cnpg");
        assert_eq!(component_name("looping"), "looping");
    }

    #[test]
    fn the_profile_is_handed_on_line_by_line() {
        let manifest = "[profile.release]\nlto = \"thin\"\n\n# Small.\n[profile.plugin]\ninherits = \"release\"\n# Why.\nlto = true\n\n[other]\na = 1\n";
        assert_eq!(
            profile_settings(manifest),
            [
                "profile.plugin.inherits = \"release\"",
                "profile.plugin.lto = true"
            ]
        );
    }

    #[test]
    fn this_repositorys_profile_is_found() -> Result<()> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let settings = profile_settings(&std::fs::read_to_string(manifest)?);
        assert!(
            settings
                .iter()
                .any(|setting| setting.starts_with("profile.plugin.panic")),
            "{settings:?}"
        );
        Ok(())
    }
}
