//! The clock that stops guests: a thread that advances the engine's epoch every millisecond while one runs.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::Engine;

/// One tick. A deadline is met within about this time, plus what the scheduler takes.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running guest after which the thread sleeps until one runs again. Waking a sleeping thread
/// costs more than a whole evaluation, and evaluations come in bursts; an idle host should still be idle.
const LINGER: u32 = 100;

/// The clock's thread, stopped when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    /// The thread waits for `changed`. Otherwise there is no need for a notification, which is a system call.
    asleep: bool,
    stopped: bool,
}

impl Shared {
    /// Every field is whole by itself at any time, so a panic of another holder does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let clock = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sandbox-clock".to_owned())
            .spawn(move || tick(&engine, &clock))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Keeps the clock going while the result lives.
    pub(crate) fn running(&self) -> Running<'_> {
        let mut state = self.shared.lock();
        state.running += 1;
        if state.asleep {
            self.shared.changed.notify_one();
        }
        Running {
            shared: &self.shared,
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_one();
        // It sleeps for one tick at most. It does not panic, and if it did there would be nothing to do here.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A guest is running.
pub(crate) struct Running<'a> {
    shared: &'a Shared,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.lock().running -= 1;
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let mut idle = 0;
    loop {
        {
            let mut state = shared.lock();
            if state.running > 0 {
                idle = 0;
            } else {
                idle += 1;
            }
            if idle > LINGER {
                state.asleep = true;
                state = shared
                    .changed
                    .wait_while(state, |state| state.running == 0 && !state.stopped)
                    .unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
                idle = 0;
            }
            if state.stopped {
                return;
            }
        }
        thread::sleep(TICK);
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_ends_with_its_owner() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        drop(ticker.running());
        drop(ticker);
        assert_eq!(shared.strong_count(), 0);
    }

    #[test]
    fn a_thread_that_sleeps_ends_too() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        // Longer than it lingers.
        thread::sleep(TICK * (2 * LINGER));
        drop(ticker);
    }
}
