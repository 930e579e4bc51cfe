//! Loading compiled code: the only unsafe code of the crate.
#![allow(unsafe_code)]

use std::path::Path;

use wasmtime::{Engine, component::Component};

/// Maps a file of the cache into memory as native code.
///
/// wasmtime calls this unsafe because it trusts the file: whoever can write to it decides what this process
/// executes. It is sound here because
///
/// - the file was written by this crate, from `Engine::precompile_component` of an engine with the same
///   compatibility hash, into a folder with mode 0700 that belongs to the user of this process
///   (`cache::Cache::open` refuses any other). Whoever can write there is this user, or root, and could
///   replace the host itself as well;
/// - its checksum was compared with the one in its name right before (`cache::Cache::find`), so a file that was
///   cut short by a full disk or damaged is never mapped;
/// - it is never changed in place: a file appears under its name by rename, and removing it leaves the mapping
///   as it is;
/// - wasmtime compares its own version, the target and the settings that are written in the file.
pub(crate) fn map(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: see above; `file` comes from `Cache::find` or `Cache::store`.
    unsafe { Component::deserialize_file(engine, file) }
}
