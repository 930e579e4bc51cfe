//! `cargo xtask reproduce`: whether the strategies have the same digests when they are built elsewhere.
//!
//! Apart from `test`, because everything is built once more: the files that git knows are copied into another folder,
//! and the strategies are built there. A host tells strategies apart by digest, so what is built in one checkout has to
//! be what is built in any other. That nothing of this checkout's place is left in a component is among the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::bundle::{self, Built};
use crate::process;
use crate::wasm_std::Way;
use crate::workspace::Workspace;

/// What `cargo xtask reproduce` is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// Take the target's standard library in this way only; otherwise the first that works is taken
    #[arg(long, value_name = "WAY")]
    wasm_std: Option<Way>,
}

/// Builds the strategies here and elsewhere, and compares them.
///
/// # Errors
///
/// When a strategy is not the same, or cannot be built.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ours = Workspace::ours()?;
    let elsewhere = checkout(&ours)?;
    let (here, there) = bundle::in_both(&elsewhere, options.wasm_std)?;
    let others: Vec<_> = differing(&here, &there).collect();
    if others.is_empty() {
        println!("{} strategies, each the same in both folders", here.len());
        return Ok(());
    }
    bail!(
        "built in {} these are others: {}; look for a path in them with `strings`",
        elsewhere.display(),
        others.join(", ")
    );
}

/// The names of the components that are not the same.
fn differing<'a>(here: &'a [Built], there: &'a [Built]) -> impl Iterator<Item = String> + 'a {
    let is_there = |one: &Built| {
        let mut all = there.iter();
        all.any(|other| other.name() == one.name() && other.digest == one.digest)
    };
    here.iter()
        .filter(move |one| !is_there(one))
        .map(Built::name)
}

/// Copies what git knows, as it is now, into a folder of the target folder: one of another name, and of another depth.
fn checkout(ours: &Workspace) -> Result<PathBuf> {
    let elsewhere = ours.target.join("elsewhere").join("a-second-checkout");
    let mut list = Command::new("git");
    list.arg("-C").arg(&ours.root);
    list.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]);
    let files = process::output(&mut list)?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let from = ours.root.join(file);
        // What is deleted and not committed yet is listed as well.
        if from.symlink_metadata().is_ok() {
            copy(&from, &elsewhere.join(file))?;
        }
    }
    Ok(elsewhere)
}

/// Copies a file, unless it is there already: cargo goes by the times of files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("could not copy {} to {}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(context)?;
    }
    if from.is_symlink() {
        let target = std::fs::read_link(from).with_context(context)?;
        if !to.is_symlink() {
            std::os::unix::fs::symlink(target, to).with_context(context)?;
        }
        return Ok(());
    }
    let bytes = std::fs::read(from).with_context(context)?;
    if std::fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(to, bytes).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(name: &str, digest: &str) -> Built {
        Built {
            path: PathBuf::from(format!("{name}.wasm")),
            size: 1,
            digest: digest.to_owned(),
            changed: false,
        }
    }

    #[test]
    fn another_digest_and_a_missing_component_are_told() {
        let here = [built("a", "1"), built("b", "2"), built("c", "3")];
        let there = [built("b", "2"), built("c", "4")];
        let others: Vec<_> = differing(&here, &there).collect();
        assert_eq!(others, ["a", "c"]);
    }

    #[test]
    fn nothing_of_this_checkouts_place_is_left_in_a_component() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        let home = std::env::home_dir().unwrap_or_default().join(".cargo");
        let places = [&root, &home].map(|place| place.to_string_lossy().into_owned());
        for entry in std::fs::read_dir(root.join("target/bundle"))? {
            let path = entry?.path();
            let bytes = std::fs::read(&path)?;
            for place in &places {
                let is_in = bytes
                    .windows(place.len())
                    .any(|part| part == place.as_bytes());
                assert!(!is_in, "{} holds {place}", path.display());
            }
        }
        Ok(())
    }
}
