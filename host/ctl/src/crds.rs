//! `strategyctl crds`

use clap::Args;

use crate::output::{self, Format};

/// Prints the definitions of the host's own kinds
#[derive(Args)]
#[command(after_help = "Example:\n  strategyctl crds | kubectl apply --server-side -f -")]
pub(crate) struct Arguments {
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let definitions: Result<Vec<_>, _> = backup_api::definitions()
        .iter()
        .map(serde_json::to_value)
        .collect();
    output::write(arguments.output, &definitions?)
}
