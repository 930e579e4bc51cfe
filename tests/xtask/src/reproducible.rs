//! Keeps the places of this checkout and this machine out of what is built.
//!
//! A panic's message holds its source file's path, so that a strategy built in two folders would be two
//! different strategies to a host that tells them apart by digest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// The flags, as `CARGO_ENCODED_RUSTFLAGS` takes them, for a build of `workspace` with the compiler whose
/// sysroot and commit are given.
///
/// # Errors
///
/// When cargo's home folder is not known.
pub(crate) fn rustflags(workspace: &Workspace, sysroot: &Path, commit: &str) -> Result<OsString> {
    let sources = cargo_home()?.join("registry").join("src");
    Ok(encode(&prefixes(
        workspace,
        sysroot,
        commit,
        &sources,
        &registries(&sources),
    )))
}

/// Which prefix becomes what. The last one that matches a path counts, so that an inner folder follows
/// the one around it.
fn prefixes(
    workspace: &Workspace,
    sysroot: &Path,
    commit: &str,
    sources: &Path,
    registries: &[PathBuf],
) -> Vec<(PathBuf, String)> {
    let mut prefixes = vec![(sources.to_owned(), "/registry".to_owned())];
    // The folder's name holds a hash of how the registry is reached, which a mirror changes.
    prefixes.extend(
        registries
            .iter()
            .map(|folder| (folder.clone(), "/registry".to_owned())),
    );
    // The name that the compiler itself gives the standard library's sources.
    let (library, its_name) = (
        sysroot.join("lib/rustlib/src/rust"),
        format!("/rustc/{commit}"),
    );
    prefixes.push((workspace.root.clone(), "/workspace".to_owned()));
    prefixes.push((workspace.target.clone(), "/target".to_owned()));
    // Cargo names what lies inside the workspace from its root, as an unpacked compiler does.
    if let Ok(inside) = library.strip_prefix(&workspace.root) {
        prefixes.push((inside.to_owned(), its_name.clone()));
    }
    prefixes.push((library, its_name));
    prefixes
}

fn encode(prefixes: &[(PathBuf, String)]) -> OsString {
    let mut flags = OsString::new();
    for (from, to) in prefixes {
        if !flags.is_empty() {
            flags.push(SEPARATOR);
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    flags
}

/// The folders in `sources`, one for each registry that crates came from.
fn registries(sources: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(sources) else {
        // Nothing was downloaded yet, or everything is vendored.
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// Where cargo keeps what it downloads.
fn cargo_home() -> Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("could not tell where cargo keeps its sources: neither CARGO_HOME nor a home folder is set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inner_folder_follows_the_one_around_it() {
        let workspace = Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            packages: Vec::new(),
        };
        let prefixes = prefixes(
            &workspace,
            Path::new("/w/target/rust"),
            "abc",
            Path::new("/c/src"),
            &["/c/src/index-1".into()],
        );
        let flags = encode(&prefixes);
        let flags: Vec<_> = flags
            .to_str()
            .unwrap_or_default()
            .split(SEPARATOR)
            .collect();
        assert_eq!(
            flags,
            [
                "--remap-path-prefix=/c/src=/registry",
                "--remap-path-prefix=/c/src/index-1=/registry",
                "--remap-path-prefix=/w=/workspace",
                "--remap-path-prefix=/w/target=/target",
                "--remap-path-prefix=target/rust/lib/rustlib/src/rust=/rustc/abc",
                "--remap-path-prefix=/w/target/rust/lib/rustlib/src/rust=/rustc/abc",
            ]
        );
    }
}
