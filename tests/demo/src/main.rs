//! The main job of the backup host, told on a cluster in memory.
//!
//! A tenant applies the BackupJob of the documentation. The host carries it through with the CNPG strategy, loaded
//! as a WebAssembly component from a folder, and a stand-in for the CloudNativePG operator does what the real one
//! would. Nothing but the cluster and the operator is played: engine, sandbox and strategy are those of production.

#![allow(clippy::print_stdout, reason = "printing is what a demo does")]

mod story;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let bundle = match (arguments.next(), arguments.next()) {
        (Some(bundle), None) => PathBuf::from(bundle),
        _ => bail!(
            "usage: demo BUNDLE, the folder with the built strategies (see `cargo xtask bundle`)"
        ),
    };
    tokio::runtime::Builder::new_current_thread()
        .build()
        .context("no runtime")?
        .block_on(story::tell(&bundle))
}
