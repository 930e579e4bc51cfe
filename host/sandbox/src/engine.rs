//! The engine's configuration: the one place that decides how WebAssembly is compiled and run.

use std::{path::PathBuf, sync::Arc};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{compile::Compiler, ticker::Ticker, turns::Turns};

/// Stack of a running guest. wasmtime's default; a guest that recurses deeper traps. The host's own frames
/// come on top, so a thread that evaluates needs about 1 MiB, half of what Rust gives a thread.
const GUEST_STACK: usize = 512 << 10;

/// Core instances of one component. A Rust component has 3 or 4; a Python component, linked from shared
/// libraries, a few dozen.
const CORE_INSTANCES: u32 = 64;

/// Linear memories of one component: one, but for components that were composed from several.
const MEMORIES: u32 = 4;

/// Tables of one component: two in what `wit-component` makes.
const TABLES: u32 = 8;

/// What is kept of a linear memory where the kernel cannot say which pages were touched. All of it is then
/// cleared after every round, so more costs more than it saves.
const RESIDENT_WITHOUT_SCAN: usize = 64 << 10;

/// How a [`Sandbox`](crate::Sandbox) is set up. The numbers are ceilings of the process; what one strategy may
/// use is in [`Limits`](crate::Limits).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of compiled code. Created with mode 0700; refused when it belongs to another user or another
    /// user can write to it, because what lies in it is run as native code.
    pub cache: PathBuf,
    /// Who compiles.
    pub compiler: Compiler,
    /// How many rounds can run at the same time; the next one waits for its turn, which is not counted against
    /// its deadline. Default 64, more than a host has threads to evaluate on; an instance lives only while its
    /// round runs, so waiting jobs need none. Costs address space, 4 GiB and its guard pages for each of up to
    /// four memories, and no memory.
    pub instances: u32,
    /// The largest [`Limits::memory_bytes`](crate::Limits::memory_bytes) that a strategy can be given. Default
    /// 256 MiB. Costs nothing: the address space is reserved anyway.
    pub memory_bytes: usize,
    /// The largest [`Limits::table_elements`](crate::Limits::table_elements). Default 100,000. Costs 8 bytes
    /// of address space for each element of each of the pool's tables.
    pub table_elements: usize,
    /// Bytes of a linear memory that stay resident for the next round instead of going back to the kernel and
    /// being faulted in again. Default 8 MiB: above what a QuickJS strategy touches, which makes it 1.6 times
    /// as fast and lets two threads run side by side; a Rust strategy (1 MiB) does not care, Python (32 MiB)
    /// gains 15 %. Only touched pages count. Costs up to this much memory for each of [`warm_slots`], and
    /// where the kernel lacks `PAGEMAP_SCAN` (before Linux 6.7) it is cut to 64 KiB.
    ///
    /// [`warm_slots`]: Self::warm_slots
    pub resident_bytes: usize,
    /// Memories out of use that are kept ready for the component they belonged to. Default 16: with
    /// [`resident_bytes`](Self::resident_bytes) it bounds what an idle pool holds, 128 MiB if all of them
    /// belong to large interpreters, a few MiB with the six default strategies.
    pub warm_slots: u32,
}

impl Settings {
    /// The defaults with this cache folder and compiler.
    pub fn new(cache: impl Into<PathBuf>, compiler: Compiler) -> Self {
        Self {
            cache: cache.into(),
            compiler,
            instances: 64,
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            resident_bytes: 8 << 20,
            warm_slots: 16,
        }
    }
}

/// What decides about the compiled code, the same in the process that compiles and the process that runs.
///
/// - Fuel and epochs are compiled in: a guest counts what it executes and looks at a counter of the host's at
///   every loop and call. Together they cost about 20 % of the code's size and 10 % of its speed. Epochs alone
///   would stop a loop; fuel gives a cost that is the same on every machine, for metrics and for tests.
/// - NaNs are made canonical and relaxed SIMD deterministic, so that a recorded evaluation replays to the bit
///   on another processor. Threads are a feature that wasmtime is built without.
/// - Without concurrency support a store does not set up what only asynchronous components use.
fn compiled(parallel: bool) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK)
        .parallel_compilation(parallel);
    config
}

/// The engine of a compiling child process. No pool: its reserved address space would not fit into the child's
/// limit. One thread: memory is then the same on a machine with many cores.
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&compiled(false))
}

/// The engine that runs strategies.
pub(crate) fn running(settings: &Settings) -> wasmtime::Result<Engine> {
    let mut config = compiled(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    Engine::new(&config)
}

/// The pool: slots of address space that an instance takes and gives back, instead of mapping memory anew. It
/// halves the cost of an evaluation.
fn pool(settings: &Settings) -> PoolingAllocationConfig {
    let resident = if PoolingAllocationConfig::is_pagemap_scan_available() {
        settings.resident_bytes
    } else {
        settings.resident_bytes.min(RESIDENT_WITHOUT_SCAN)
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(settings.instances)
        .total_core_instances(settings.instances.saturating_mul(CORE_INSTANCES))
        .total_memories(settings.instances.saturating_mul(MEMORIES))
        .total_tables(settings.instances.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(settings.memory_bytes)
        .table_elements(settings.table_elements)
        // Asks the kernel which pages were touched, and cleans only those: 30 -> 21 µs for a Rust strategy.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(resident)
        // A table is 8 bytes an element and mostly untouched: two pages hold what strategies use.
        .table_keep_resident(8 << 10)
        .max_unused_warm_slots(settings.warm_slots);
    pool
}

/// An engine, its clock and the turns to use it. Dropped, and the clock's thread stopped, with the last [`Sandbox`](crate::Sandbox)
/// or [`Strategy`](crate::Strategy) that uses it.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    pub(crate) turns: Turns,
}

impl Machine {
    pub(crate) fn new(settings: &Settings) -> Result<Arc<Self>, String> {
        let engine =
            running(settings).map_err(|error| format!("the engine cannot be set up: {error:#}"))?;
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| format!("no thread for the clock: {error}"))?;
        let turns = Turns::new(settings.instances);
        Ok(Arc::new(Self {
            engine,
            ticker,
            turns,
        }))
    }
}
