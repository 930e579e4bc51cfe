//! What is the same in all simulations, made once for a process: the strategies as the real components, and the
//! definitions of the host's kinds.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use backup_api::{StrategyPluginSpec, names::STRATEGY_API_VERSION};
use backup_engine::{proposed_grant, strategy_definition};
use backup_sandbox::{Limits, Strategy as Component};
use serde_json::Value;
use stage::Stage;

use crate::{
    ground::{HOST_NAMESPACE, KEYS},
    strategies::Strategy,
};

/// Wall clock for an evaluation. The machine that simulates may be busy, and whether a strategy was too slow on it is
/// none of a seed's business: its fuel bounds it just as well, and is the same everywhere.
const PATIENCE: Duration = Duration::from_secs(600);

/// A strategy's component with all that is made of it.
pub(crate) struct Loaded {
    /// Two versions, which differ in their digest.
    pub versions: [Component; 2],
    /// The definition of the strategy kind.
    pub definition: Value,
    /// What the administrator grants.
    pub grant: StrategyPluginSpec,
    /// The strategy objects, as they should be.
    pub settings: Vec<Value>,
    /// What the class says of them.
    pub bindings: Vec<Value>,
}

/// The component of a strategy.
///
/// # Errors
/// When it has not been built, or cannot be loaded.
pub(crate) fn loaded(strategy: Strategy) -> anyhow::Result<&'static Loaded> {
    static LOADED: Mutex<BTreeMap<&str, &Loaded>> = Mutex::new(BTreeMap::new());
    let mut all = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = all.get(strategy.kind()) {
        return Ok(loaded);
    }
    let file = format!("{}.wasm", strategy.plugin());
    let versions = versions(&file)?;
    let manifest = versions[0].manifest();
    let mut defaults = stage::defaults(KEYS[0], KEYS[1], &[strategy.plugin()])?;
    let bindings = defaults
        .iter()
        .filter_map(|object| object.pointer("/spec/strategies")?.as_array())
        .flatten();
    let bindings = bindings.cloned().collect();
    defaults.retain(|object| object["apiVersion"] == STRATEGY_API_VERSION);
    let loaded = Loaded {
        definition: strategy_definition(manifest),
        grant: proposed_grant(manifest, &file, HOST_NAMESPACE),
        versions,
        settings: defaults,
        bindings,
    };
    let loaded: &'static Loaded = Box::leak(Box::new(loaded));
    all.insert(strategy.kind(), loaded);
    Ok(loaded)
}

/// The definitions of the host's own kinds.
///
/// # Errors
/// When one cannot be written as JSON.
pub(crate) fn definitions() -> anyhow::Result<&'static [Value]> {
    static DEFINITIONS: OnceLock<Result<Vec<Value>, String>> = OnceLock::new();
    let definitions = DEFINITIONS.get_or_init(|| {
        let definitions = backup_api::definitions().into_iter();
        let definitions = definitions.map(serde_json::to_value);
        definitions
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    });
    definitions.as_deref().map_err(|error| anyhow!("{error}"))
}

/// The policy of restores into other namespaces.
///
/// # Errors
/// When the chart's file is not in order.
pub(crate) fn policy() -> anyhow::Result<&'static [Value]> {
    static POLICY: OnceLock<Result<Vec<Value>, String>> = OnceLock::new();
    let policy = POLICY.get_or_init(|| stage::restore_policy().map_err(|error| error.to_string()));
    policy.as_deref().map_err(|error| anyhow!("{error}"))
}

fn versions(file: &str) -> anyhow::Result<[Component; 2]> {
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
    Ok([load(&first)?, load(&second)?])
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
