//! Memory and tables of one instance.

use wasmtime::ResourceLimiter;

use crate::{EvaluationError, Question, host::Stop};

/// Refuses growth with an error that says how much was wanted. A guest whose growth merely failed would abort
/// instead, and nobody could tell why.
pub(crate) struct Limiter {
    question: Question,
    memory: Amount,
    table: Amount,
}

/// Everything that one instance has of a resource, over all its memories or tables.
struct Amount {
    held: usize,
    limit: usize,
    /// What the last granted growth added, in case that it fails.
    pending: usize,
}

impl Amount {
    fn new(limit: usize) -> Self {
        Self {
            held: 0,
            limit,
            pending: 0,
        }
    }

    /// `Ok(false)` where the guest's own maximum forbids it, `Err` with what it would have had where we do.
    fn grow(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, usize> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let added = desired.saturating_sub(current);
        let wanted = self.held.saturating_add(added);
        if wanted > self.limit {
            return Err(wanted);
        }
        self.held = wanted;
        self.pending = added;
        Ok(true)
    }

    fn failed(&mut self) {
        self.held -= std::mem::take(&mut self.pending);
    }
}

impl Limiter {
    pub(crate) fn new(question: Question, memory_bytes: usize, table_elements: usize) -> Self {
        Self {
            question,
            memory: Amount::new(memory_bytes),
            table: Amount::new(table_elements),
        }
    }

    /// Linear memory held. It never shrinks, so at the end of a round this is the most it was.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.held
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let Self {
            question, memory, ..
        } = self;
        let (question, limit) = (*question, memory.limit);
        memory.grow(current, desired, maximum).map_err(|wanted| {
            Stop::Failed(EvaluationError::Memory {
                question,
                wanted,
                limit,
            })
            .into()
        })
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.failed();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let Self {
            question, table, ..
        } = self;
        let (question, limit) = (*question, table.limit);
        table.grow(current, desired, maximum).map_err(|wanted| {
            Stop::Failed(EvaluationError::Table {
                question,
                wanted,
                limit,
            })
            .into()
        })
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.table.failed();
        Ok(())
    }

    /// How many of each a component has is limited by the pool, when it is loaded.
    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}
