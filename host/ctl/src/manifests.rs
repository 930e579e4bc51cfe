//! `strategyctl manifests`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use strategyctl::{HostAccount, installation};

use crate::{
    load,
    output::{self, Format},
};

/// Prints what an administrator applies to install a plugin
///
/// A StrategyPlugin that grants what the manifest asks for, a ServiceAccount with the least rights that the
/// manifest asks for, the host's rights to act as it and to read its strategies, and the definition of the strategy
/// kind. Read it before you apply it: it is all that the plugin will be able to do.
#[derive(Args)]
#[command(
    after_help = "Example:\n  strategyctl manifests acme.wasm | kubectl apply --server-side -f -"
)]
pub(crate) struct Arguments {
    /// The component
    #[arg(value_name = "PLUGIN.wasm")]
    plugin: PathBuf,
    /// The namespace of the host
    #[arg(long, default_value_t = HostAccount::default().namespace)]
    host_namespace: String,
    /// The ServiceAccount of the host
    #[arg(long, default_value_t = HostAccount::default().name)]
    host_account: String,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let strategy = load::strategy(&arguments.plugin)?;
    let file = arguments.plugin.file_name().and_then(|name| name.to_str());
    let file = file.context("the component has no file name")?;
    let host = HostAccount {
        namespace: arguments.host_namespace.clone(),
        name: arguments.host_account.clone(),
    };
    output::write(arguments.output, &installation(&strategy, file, &host)?)
}
