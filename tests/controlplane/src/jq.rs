//! jq, with which documentation changes objects between two commands of kubectl.

use std::path::PathBuf;

use anyhow::Result;

use crate::programs::Module;

/// The variable that names a ready-made program.
const JQ: &str = "JQ";

/// How the name of its cache folder begins: with the version in the Go module.
const CACHED_AS: &str = "jq-v0.12.19";

/// The program that `JQ` names, or that of the cache. One that happens to be installed is not taken, as with Helm.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn program() -> Result<PathBuf> {
    module().program_or_named_by(JQ)
}

fn module() -> Module {
    Module {
        folder: "jq",
        name: CACHED_AS,
        programs: &[("jq", "github.com/itchyny/gojq/cmd/gojq")],
        linker_flags: "-s -w".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_named_after_the_version_that_the_module_pins() {
        assert!(module().is_named_after("github.com/itchyny/gojq"));
    }
}
