//! Until when this process may write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// For good.
const EVER: u64 = u64::MAX;

/// What every write passes. It closes by itself: a process that is too busy to notice that its time is up does not
/// write either.
#[derive(Clone, Debug)]
pub(crate) struct Fence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    made: Instant,
    /// In milliseconds since it was made; zero for closed.
    open_until: AtomicU64,
}

impl Fence {
    /// One that never closes: for a host that is alone.
    pub(crate) fn open() -> Self {
        Self::new(EVER)
    }

    /// One that is closed, until it is opened.
    pub(crate) fn closed() -> Self {
        Self::new(0)
    }

    fn new(open_until: u64) -> Self {
        Self(Arc::new(Inner {
            made: Instant::now(),
            open_until: AtomicU64::new(open_until),
        }))
    }

    /// Opens it until a time.
    pub(crate) fn open_until(&self, at: Instant) {
        self.0.open_until.store(self.since(at), Ordering::Release);
    }

    /// Closes it.
    pub(crate) fn close(&self) {
        self.0.open_until.store(0, Ordering::Release);
    }

    /// Whether a write may begin.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open_at(Instant::now())
    }

    fn is_open_at(&self, now: Instant) -> bool {
        self.since(now) < self.0.open_until.load(Ordering::Acquire)
    }

    fn since(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.made);
        u64::try_from(since.as_millis()).unwrap_or(EVER - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_closes_by_itself() {
        let fence = Fence::closed();
        let now = Instant::now();
        assert!(!fence.is_open_at(now));
        fence.open_until(now + Duration::from_secs(10));
        assert!(fence.is_open_at(now + Duration::from_secs(9)));
        assert!(!fence.is_open_at(now + Duration::from_secs(10)));
        fence.open_until(now + Duration::from_secs(20));
        fence.close();
        assert!(!fence.is_open_at(now));
    }

    #[test]
    fn that_of_a_host_alone_stays_open() {
        let fence = Fence::open();
        assert!(fence.is_open_at(Instant::now() + Duration::from_secs(1 << 40)));
    }
}
