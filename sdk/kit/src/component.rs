//! From a file to a strategy.

use std::{fs, path::Path};

use backup_engine::limits;
use backup_sandbox::{Compiler, Sandbox, Settings, Strategy};

use crate::Error;

/// A core module begins with this; a component has another version and layer.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Loads a component as a host would: with its limits, a trial instantiation and `describe`.
///
/// # Errors
/// When the file cannot be read, or a host would not take it.
pub fn load(component: impl AsRef<Path>) -> Result<Strategy, Error> {
    let path = component.as_ref();
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| {
        Error(format!(
            "{shown} cannot be read: {error}; build the component first"
        ))
    })?;
    let bytes = match bytes.starts_with(CORE_MODULE) {
        true => encoded(&bytes)
            .map_err(|error| Error(format!("{shown} cannot be made a component: {error}")))?,
        false => bytes,
    };
    loaded(&bytes).map_err(|error| Error(format!("{shown} cannot be used: {error}")))
}

fn loaded(bytes: &[u8]) -> Result<Strategy, String> {
    // The compiled code is in use only until the process ends.
    let cache = tempfile::tempdir()
        .map_err(|error| format!("there is no folder for compiled code: {error}"))?;
    let settings = Settings::new(cache.path().join("compiled"), Compiler::InProcess);
    let sandbox = Sandbox::new(settings).map_err(|error| error.to_string())?;
    let loaded = sandbox.load(bytes, limits(None));
    loaded.map_err(|error| error.to_string())
}

/// As `wasm-tools component new` does it.
fn encoded(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = wit_component::ComponentEncoder::default();
    let encoded = encoder
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode());
    encoded.map_err(|error| format!("{error:#}"))
}
