//! `strategyctl inspect`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::{
    load,
    output::{self, Format},
};

/// Shows what a component is: manifest, digest, size, imports and exports
///
/// The component is loaded as the host loads it, so what cannot be inspected cannot be used either.
#[derive(Args)]
#[command(
    after_help = "Example:\n  strategyctl inspect target/bundle/cnpg.wasm -o json | jq '.[0].manifest.writes'"
)]
pub(crate) struct Arguments {
    /// The component
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// With the JSON schemas, which are long
    #[arg(long)]
    schemas: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let strategy = load::strategy(&arguments.plugin)?;
    let mut manifest = serde_json::to_value(strategy.manifest())?;
    if !arguments.schemas {
        leave_out_schemas(&mut manifest);
    }
    let document = json!({
        "file": arguments.plugin,
        "digest": strategy.digest(),
        "sizeBytes": strategy.size(),
        "manifest": manifest,
        "imports": strategy.imports(),
        "exports": strategy.exports(),
    });
    output::write(arguments.output, &[document])
}

fn leave_out_schemas(manifest: &mut Value) {
    if let Some(kind) = manifest
        .pointer_mut("/strategyKind")
        .and_then(Value::as_object_mut)
    {
        kind.remove("schema");
    }
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.remove("parameters");
        manifest.remove("restoreOptions");
    }
}
