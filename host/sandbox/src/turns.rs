//! Whose turn it is: no more rounds at a time than the pool has instances.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// So many may run; the next one waits. An instance runs for at most its deadline, so nobody waits for ever.
pub(crate) struct Turns {
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    free: u32,
    /// How many wait. Where nobody does, no notification is sent: it is a system call.
    waiting: u32,
}

impl Turns {
    pub(crate) fn new(turns: u32) -> Self {
        let state = State {
            free: turns,
            waiting: 0,
        };
        Self {
            state: Mutex::new(state),
            freed: Condvar::new(),
        }
    }

    /// Waits for a turn. It is given back when the result is dropped, which must be after the store: that is
    /// what gives the instance back to the pool.
    pub(crate) fn take(&self) -> Turn<'_> {
        let mut state = self.lock();
        if state.free == 0 {
            state.waiting += 1;
            state = self
                .freed
                .wait_while(state, |state| state.free == 0)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.free -= 1;
        Turn { turns: self }
    }

    /// Two numbers, whole at any time, so a panic of another holder does not spoil them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's turn.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.free += 1;
        if state.waiting > 0 {
            self.turns.freed.notify_one();
        }
    }
}
