//! What charts make, kept in files: a change of a template shows in them what becomes of the objects.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{Chart, page::is_so};

impl Chart {
    /// What the chart makes is what the file of this name has, in `tests/charts/snapshots`; it is made so where that is
    /// asked for.
    ///
    /// # Errors
    /// When it is not.
    pub fn makes(&self, name: &str, objects: &[Value]) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
        std::fs::create_dir_all(&folder)?;
        let mut objects: Vec<&Value> = objects.iter().collect();
        objects.sort_by_key(|object| id(object));
        let documents = objects.into_iter().map(serde_saphyr::to_string);
        let documents: Vec<String> = documents
            .collect::<Result<_, _>>()
            .context("an object cannot be written")?;
        let file = format!("{}-{name}.yaml", self.name);
        is_so(&folder.join(&file), &file, &documents.join("---\n"))
    }
}

/// By what an object is told from the others.
#[must_use]
pub fn id(object: &Value) -> String {
    let text = |pointer: &str| {
        let found = object.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default()
    };
    format!(
        "{} {}/{} {}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
        text("/apiVersion")
    )
}
