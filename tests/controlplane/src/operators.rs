//! The operators' real CustomResourceDefinitions. They are not ours to pass on, so they are read from a folder where
//! somebody has put them, and tests do without them where nobody has.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Once,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The variable that names the folder.
const OPERATOR_CRDS: &str = "OPERATOR_CRDS";

/// The definitions in the YAML files of the folder that `OPERATOR_CRDS` names, or of `../shared/operator-crds` beside
/// this repository, and in the folders in it. Empty, with a notice on standard error, when there is no such folder.
///
/// # Errors
/// When the folder or a file cannot be read, or `OPERATOR_CRDS` names no folder.
pub fn operator_crds() -> Result<Vec<Value>> {
    let folder = match std::env::var_os(OPERATOR_CRDS).filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/operator-crds"),
    };
    if !folder.is_dir() {
        if std::env::var_os(OPERATOR_CRDS).is_some_and(|folder| !folder.is_empty()) {
            anyhow::bail!(
                "{OPERATOR_CRDS} names {}, which is no folder",
                folder.display()
            );
        }
        notice();
        return Ok(Vec::new());
    }
    let mut definitions = Vec::new();
    for file in files(&folder)? {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("could not read {}", file.display()))?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
            .with_context(|| format!("{} is no YAML", file.display()))?;
        definitions.extend(
            objects
                .into_iter()
                .filter(|object| object["kind"] == "CustomResourceDefinition"),
        );
    }
    Ok(definitions)
}

/// Beside the test runner's capture, once for each process: a test that passes without them should not look as if it
/// had passed with them.
fn notice() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let line =
            "the operators' real CRDs are not there; set OPERATOR_CRDS to a folder with them";
        // Nobody listens: nothing to do about it.
        let _ = writeln!(std::io::stderr(), "controlplane: {line}");
    });
}

/// The YAML files in a folder and in those in it, in the order of their paths.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("could not read {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("could not read {}", folder.display()))?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            found.push(path);
        }
    }
    Ok(found)
}
