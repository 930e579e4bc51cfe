//! What plugins cost a host that does nothing else.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use backup_sandbox::{Compiler, Limits, Sandbox, Settings as SandboxSettings};
use serde_json::json;
use stage::Stage;
use strategyctl::{HostAccount, installation};

use crate::{
    host::HostProcess,
    platform::{self, Platform},
};

/// As many as the platform has by default.
const VARIANTS: [u8; 3] = [b'A', b'B', b'C'];

/// The strategies that there are, each with the letters of its kind and plural.
const STRATEGIES: [(&str, &str, &str); 2] = [
    ("cnpg.wasm", "CNPG", "cnpgs"),
    ("etcd.wasm", "Etcd", "etcds"),
];

/// The component with another kind of strategy: `CNPA` for `CNPG`. What it does is the same, its digest is not.
fn variant(component: &[u8], kind: &str, plural: &str, letter: u8) -> Vec<u8> {
    let name = format!("{kind}{plural}").into_bytes();
    let at = component
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    let mut component = component.to_vec();
    component[at + kind.len() - 1] = letter;
    // The last letter of a plural is an s.
    component[at + name.len() - 2] = letter.to_ascii_lowercase();
    component
}

/// How long it takes to load all components of a folder whose compiled code is in the cache: median of 20 times.
fn load(folder: &Path) -> Duration {
    let cache = tempfile::tempdir().unwrap();
    let settings = SandboxSettings::new(cache.path(), Compiler::InProcess);
    let sandbox = Sandbox::new(settings).unwrap();
    let files = fs::read_dir(folder).unwrap();
    let components: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    let load = |component: &Vec<u8>| sandbox.load(component, Limits::default()).unwrap();
    // Compiles them.
    components
        .iter()
        .for_each(|component| drop(load(component)));
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let began = Instant::now();
            let loaded: Vec<_> = components.iter().map(load).collect();
            let took = began.elapsed();
            drop(loaded);
            took
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Memory of a host with six plugins from the compiled cache, and how long loading them takes.
pub async fn measure(platform: &Platform) {
    // That of the other measurements.
    platform.remove_plugins(&platform.plugins().await).await;
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for (file, kind, plural) in STRATEGIES {
        let component = fs::read(stage::bundle().unwrap().join(file)).unwrap();
        for letter in VARIANTS {
            let name = format!("{}-{}", plural, char::from(letter).to_ascii_lowercase());
            let file = format!("{name}.wasm");
            fs::write(
                folder.path().join(&file),
                variant(&component, kind, plural, letter),
            )
            .unwrap();
            let strategy = Stage::from_folder(folder.path(), &file).unwrap();
            let host = HostAccount::default();
            let mut objects = installation(&strategy, &file, &host).unwrap();
            for plugin in objects
                .iter_mut()
                .filter(|object| object["kind"] == "StrategyPlugin")
            {
                plugin["metadata"]["name"] = json!(name);
            }
            platform.apply(&objects).await;
            count += 1;
        }
    }
    println!(
        "{count} plugins loaded from the compiled cache: {:.1} ms",
        load(folder.path()).as_secs_f64() * 1000.0
    );
    // Compiles them.
    let first = HostProcess::start_with(&platform.kubeconfig(), folder.path());
    assert_eq!(serving(&first), count, "{}", first.metrics());
    drop(first);
    let host = HostProcess::start_with(&platform.kubeconfig(), folder.path());
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "memory idle with {} plugins from the compiled cache: {:.0} MiB resident",
        serving(&host),
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
