//! Writes the schemas of the settings.

use backup_strategy::Nothing;

#[allow(dead_code, reason = "only the schemas are used here")]
#[path = "src/spec.rs"]
mod spec;

fn main() -> std::io::Result<()> {
    backup_strategy::build::schemas::<spec::Spec, Nothing, Nothing>()
}
