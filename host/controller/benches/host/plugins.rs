//! What plugins cost a host that does nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use backup_sandbox::{Compiler, Limits, Sandbox, Settings as SandboxSettings, Strategy};
use stage::Stage;
use strategyctl::{HostAccount, installation};

use crate::{
    host::HostProcess,
    platform::{self, Platform},
};

/// So often it is measured; the median counts.
const TIMES: usize = 20;

/// Compiling takes a thousand times as long.
const COLD_TIMES: usize = 5;

/// The components of the bundle, in the order of their names.
fn bundled() -> Vec<PathBuf> {
    let files = fs::read_dir(stage::bundle().unwrap()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    files.sort();
    files
}

/// A sandbox that keeps compiled code in a folder.
fn sandbox(cache: &Path) -> Sandbox {
    Sandbox::new(SandboxSettings::new(cache, Compiler::InProcess)).unwrap()
}

fn load(sandbox: &Sandbox, components: &[Vec<u8>]) -> Vec<Strategy> {
    let components = components.iter();
    components
        .map(|component| sandbox.load(component, Limits::default()).unwrap())
        .collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How long it takes to load all components one after the other where nothing is compiled yet.
fn cold(components: &[Vec<u8>]) -> Duration {
    let times = (0..COLD_TIMES).map(|_| {
        let cache = tempfile::tempdir().unwrap();
        let sandbox = sandbox(cache.path());
        let began = Instant::now();
        drop(load(&sandbox, components));
        began.elapsed()
    });
    median(times.collect())
}

/// How long it takes to load all of them where their compiled code is in the cache.
fn warm(components: &[Vec<u8>]) -> Duration {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = sandbox(cache.path());
    drop(load(&sandbox, components));
    let times = (0..TIMES).map(|_| {
        let began = Instant::now();
        let loaded = load(&sandbox, components);
        let took = began.elapsed();
        drop(loaded);
        took
    });
    median(times.collect())
}

/// Memory of a host with the plugins of the bundle from the compiled cache, and how long loading them takes.
pub async fn measure(platform: &Platform) {
    let files = bundled();
    let count = files.len();
    let components: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    println!(
        "{count} plugins compiled cold: {:.2} s",
        cold(&components).as_secs_f64()
    );
    println!(
        "{count} plugins loaded from the compiled cache: {:.1} ms",
        warm(&components).as_secs_f64() * 1000.0
    );

    // Those of the other measurements.
    platform.remove_plugins(&platform.plugins().await).await;
    for file in &files {
        let file = file.file_name().unwrap().to_str().unwrap();
        let strategy = Stage::bundled(file).unwrap();
        let objects = installation(&strategy, file, &HostAccount::default()).unwrap();
        platform.apply(&objects).await;
    }
    let folder = stage::bundle().unwrap();
    // Compiles them.
    let first = HostProcess::start_with(&platform.kubeconfig(), &folder);
    assert_eq!(serving(&first), count, "{}", first.metrics());
    drop(first);
    let host = HostProcess::start_with(&platform.kubeconfig(), &folder);
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "memory idle with {count} plugins from the compiled cache: {:.0} MiB resident",
        platform::resident(&host)
    );
}

/// How many plugins a host says that it serves.
fn serving(host: &HostProcess) -> usize {
    let metrics = host.metrics();
    let lines = metrics.lines();
    lines
        .filter(|line| line.starts_with("cozystack_backup_plugin_info{"))
        .count()
}
