//! From a core module to a component in a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wit_component::ComponentEncoder;

/// Encodes the core module `module` as a component, by the contract that its bindings embedded in it.
///
/// # Errors
///
/// When the module carries no contract, imports something that the contract does not name, or the result
/// is not a valid component.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes `bytes` to `path` unless the file holds them already, so that its time tells when it changed.
/// Returns whether it wrote.
///
/// # Errors
///
/// When the file cannot be written. It is replaced in one step: a reader sees the old or the new component.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let draft = path.with_extension("wasm.new");
    std::fs::write(&draft, bytes)
        .with_context(|| format!("could not write {}", draft.display()))?;
    std::fs::rename(&draft, path)
        .with_context(|| format!("could not rename {} to {}", draft.display(), path.display()))?;
    Ok(true)
}

/// Removes the components of `folder` that are not in `kept`: a strategy that is no longer built would
/// otherwise still be loaded.
///
/// # Errors
///
/// When the folder cannot be read or a file cannot be removed.
pub(crate) fn remove_others(folder: &Path, kept: &[PathBuf]) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("could not read {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("could not read {}", folder.display()))?
            .path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && !kept.contains(&path)
        {
            std::fs::remove_file(&path)
                .with_context(|| format!("could not remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest module there is: it has no imports, no exports and no contract.
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn encoding_twice_gives_the_same_digest() -> Result<()> {
        let once = encode(EMPTY_MODULE)?;
        assert_eq!(digest(&once), digest(&encode(EMPTY_MODULE)?));
        // A component differs from a module in the header's layer.
        assert_eq!(once.get(..8), Some(&b"\0asm\x0d\0\x01\0"[..]));
        Ok(())
    }

    #[test]
    fn something_else_than_a_module_is_refused() {
        assert!(encode(b"#!/bin/sh").is_err());
    }

    #[test]
    fn the_digest_is_sha256() {
        assert_eq!(
            digest(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn an_unchanged_component_is_not_written_again() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("a.wasm");
        assert!(write_if_changed(&path, b"one")?);
        assert!(!write_if_changed(&path, b"one")?);
        assert!(write_if_changed(&path, b"two")?);
        assert_eq!(std::fs::read(&path)?, b"two");
        Ok(())
    }

    #[test]
    fn a_component_that_is_no_longer_built_is_removed() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (kept, stale, other) = (
            folder.path().join("a.wasm"),
            folder.path().join("b.wasm"),
            folder.path().join("c.txt"),
        );
        for path in [&kept, &stale, &other] {
            std::fs::write(path, "")?;
        }
        remove_others(folder.path(), std::slice::from_ref(&kept))?;
        assert!(kept.exists() && other.exists() && !stale.exists());
        Ok(())
    }
}
