//! Documents on standard output.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;

/// How documents are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Documents one after the other, `---` between them.
    #[default]
    Yaml,
    /// A JSON array.
    Json,
}

/// Writes documents. A reader that has seen enough, such as `head`, is no error.
pub(crate) fn write(format: Format, documents: &[Value]) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(documents)? + "\n",
        Format::Yaml => {
            let mut texts = vec![];
            for document in documents {
                texts.push(
                    serde_saphyr::to_string(document)
                        .context("a document cannot be written as YAML")?,
                );
            }
            texts.join("---\n")
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}
