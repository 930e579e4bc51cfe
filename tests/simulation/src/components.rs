//! What is the same in all simulations, made once for a process: the strategies as the real components, and the
//! platform's objects.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use backup_engine::strategy_definition;
use backup_sandbox::{Limits, Strategy};
use serde_json::Value;
use stage::Stage;

use crate::ground::KEYS;

/// Wall clock for an evaluation. The machine that simulates may be busy, and whether a strategy was too slow on it is
/// none of a seed's business: its fuel bounds it just as well, and is the same everywhere.
const PATIENCE: Duration = Duration::from_secs(600);

/// A strategy in two versions, which differ in their digest.
pub(crate) struct Versions(pub [Strategy; 2]);

/// What every platform is made of.
pub(crate) struct Components {
    pub cnpg: Versions,
    pub etcd: Versions,
    /// Definitions of the host's kinds and of the strategies'.
    pub definitions: Vec<Value>,
    /// The storage's Secret, the strategy objects and the class.
    pub configuration: Vec<Value>,
}

/// The components of this process.
///
/// # Errors
/// When they have not been built, or cannot be loaded.
pub(crate) fn components() -> anyhow::Result<&'static Components> {
    static COMPONENTS: OnceLock<Components> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if COMPONENTS.get().is_none() {
        let (cnpg, etcd) = (versions("cnpg.wasm")?, versions("etcd.wasm")?);
        let mut definitions = vec![
            strategy_definition(cnpg.0[0].manifest()),
            strategy_definition(etcd.0[0].manifest()),
        ];
        for definition in backup_api::definitions() {
            definitions.push(serde_json::to_value(definition)?);
        }
        let loaded = Components {
            cnpg,
            etcd,
            definitions,
            configuration: configuration()?,
        };
        // Nobody else loads at the same time.
        COMPONENTS.set(loaded).ok();
    }
    COMPONENTS
        .get()
        .ok_or_else(|| anyhow!("the strategies are not loaded"))
}

/// Both strategies, the class that binds them, and the storage.
fn configuration() -> anyhow::Result<Vec<Value>> {
    let mut objects = stage::platform_objects(KEYS[0], KEYS[1])?;
    objects.retain(|object| object["kind"] == "CNPG");
    objects.extend(stage::platform_etcd_objects(KEYS[0], KEYS[1])?);
    Ok(objects)
}

fn versions(file: &str) -> anyhow::Result<Versions> {
    let path = stage::bundle()?.join(file);
    let first = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let second = with_custom_section(&first);
    let load = |bytes: &[u8]| {
        let limits = Limits {
            deadline: PATIENCE,
            ..Limits::default()
        };
        Stage::component_within(bytes, limits)
    };
    Ok(Versions([load(&first)?, load(&second)?]))
}

/// The same component with another digest: a custom section changes nothing else.
fn with_custom_section(component: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"another-version";
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or_default();
    let mut changed = component.to_vec();
    changed.extend([0, length(NAME.len() + 1), length(NAME.len())]);
    changed.extend(NAME);
    changed
}
