//! What an evaluation may use.

use std::time::Duration;

/// The limits of one evaluation, all its rounds together unless a field says otherwise. A StrategyPlugin can
/// change each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall clock. Default 1 s: a compiled strategy needs 0.1 ms, an interpreted one a few.
    pub deadline: Duration,
    /// WebAssembly instructions, roughly. Default 1,000 million: more than any strategy that was measured
    /// needs by a factor of 200, and less than the deadline allows.
    pub fuel: u64,
    /// Linear memory of one instance, in bytes. Default 64 MiB.
    pub memory_bytes: usize,
    /// Elements of one instance's tables. Default 20,000.
    pub table_elements: usize,
    /// Bytes that one call may hand to the host, arguments of an import or the result of an export. Default
    /// 1 MiB: etcd's own limit for an object is 1.5 MiB.
    pub call_bytes: usize,
    /// Bytes of all actions, conditions and events of a plan, as JSON text. Default 1 MiB.
    pub plan_bytes: usize,
    /// Actions, conditions and events of a plan. Default 256.
    pub actions: usize,
    /// Rounds of reads. Default 16.
    pub rounds: u32,
    /// Bytes of one answer to a read. Default 8 MiB: a list of large objects.
    pub answer_bytes: usize,
    /// Lines of log. Default 1,000.
    pub log_lines: usize,
    /// Bytes of the state that `remember` keeps: 64 KiB, by the contract.
    pub state_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            fuel: 1_000_000_000,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            call_bytes: 1 << 20,
            plan_bytes: 1 << 20,
            actions: 256,
            rounds: 16,
            answer_bytes: 8 << 20,
            log_lines: 1_000,
            state_bytes: 64 << 10,
        }
    }
}
