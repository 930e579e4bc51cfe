//! What strategies emit on the stage, kept for a real API server to look at.
//!
//! With `EMITTED_OBJECTS` naming a folder (from the workspace's root), each object that a strategy of the bundle
//! creates, applies or changes on a stage is left there in a file, each once. `cargo xtask test` sets it, and holds
//! the files against the operators' real definitions when the tests are through (`tests/controlplane/tests/emitted.rs`).

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

use anyhow::Context as _;
use backup_engine::cluster::{Account, memory::MemoryCluster};
use serde_json::Value;

const FOLDER: &str = "EMITTED_OBJECTS";

/// Keeps what strategies write to a cluster from now on, where that is asked for.
pub(crate) fn kept(cluster: &MemoryCluster) -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()) else {
        return Ok(());
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let ours = bundled()?;
    cluster.set_listener(move |operation, object| {
        let Account::Strategy { name, .. } = &operation.account else {
            return;
        };
        if ours.contains(name) {
            // A test that cannot write is found by the one that misses the file.
            keep(&folder, object).ok();
        }
    });
    Ok(())
}

/// The accounts of the bundle's strategies.
fn bundled() -> anyhow::Result<BTreeSet<String>> {
    let mut accounts = BTreeSet::new();
    for file in std::fs::read_dir(crate::bundle()?)? {
        let path = file?.path();
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) {
            accounts.insert(format!("strategy-{name}"));
        }
    }
    Ok(accounts)
}

/// Each object once, whatever its name is.
fn keep(folder: &Path, object: &Value) -> std::io::Result<()> {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    let mut said = object.clone();
    if let Some(members) = said.as_object_mut() {
        members.remove("metadata");
    }
    let mut hasher = DefaultHasher::new();
    said.to_string().hash(&mut hasher);
    let kind = object["kind"].as_str().unwrap_or_default();
    let file = folder.join(format!("{kind}-{:016x}.json", hasher.finish()));
    if file.exists() {
        return Ok(());
    }
    // Other tests run at the same time, and may have the same object.
    let ours = folder.join(format!(".{:016x}-{}", hasher.finish(), std::process::id()));
    std::fs::write(&ours, object.to_string())?;
    std::fs::rename(ours, file)
}
