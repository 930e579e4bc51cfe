//! Writes the schemas of the settings.

#[allow(dead_code, reason = "only the schemas are used here")]
#[path = "src/spec.rs"]
mod spec;

fn main() -> std::io::Result<()> {
    backup_strategy::build::schemas_with::<spec::Spec, spec::Options>(spec::KNOBS)
}
