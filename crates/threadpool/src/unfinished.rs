//! [`Unfinished`]: how much of what was put to a pool has not been finished, and who waits for the
//! moment when that is nothing.
//!
//! Those who push write one count, those who finish another, so that they do not fight for it.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spinney_hub::contain;
use spinney_sync::Event;

use crate::apart::Apart;
use crate::places::Places;

pub(crate) struct Unfinished {
    /// The places of those closures that had to wait their turn for one.
    pub(crate) places: Places,
    pushed: Apart<AtomicUsize>,
    finished: Apart<AtomicUsize>,
    /// Whether `emptied` is there; for a look without the lock.
    ///
    /// Who finishes something counts that, then looks here; who is to wait says so here, then looks
    /// at the counts. So, all in one order, one of them sees the other.
    watched: AtomicBool,
    /// Set when nothing is unfinished; there if anybody waits for that. Each time has its own, so
    /// that nobody is told of one that was before they asked.
    emptied: Mutex<Option<Arc<Event>>>,
}

impl Unfinished {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Places::new(places),
            pushed: Apart(AtomicUsize::new(0)),
            finished: Apart(AtomicUsize::new(0)),
            watched: AtomicBool::new(false),
            emptied: Mutex::new(None),
        }
    }

    /// How much was pushed and has not been finished.
    pub(crate) fn count(&self) -> usize {
        // In this order there is never less than that.
        let finished = self.finished.0.load(SeqCst);
        self.pushed.0.load(SeqCst).wrapping_sub(finished)
    }

    /// How much was pushed so far.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed.0.load(SeqCst)
    }

    /// Counts one more. Returns what is to be set, for whoever finished the last may not have come
    /// to say so.
    #[must_use = "those who wait are to be told, when no lock is held"]
    pub(crate) fn push(&self) -> Option<Arc<Event>> {
        let emptied = self.take_emptied();
        self.pushed.0.fetch_add(1, SeqCst);
        emptied
    }

    /// One is finished, and its place, if it has one, is free again.
    pub(crate) fn finish(&self, has_place: bool) {
        // First, so that nobody finds it finished and its place taken.
        let handed_out = if has_place { self.places.free() } else { None };
        self.finished.0.fetch_add(1, SeqCst);
        contain(|| drop(handed_out));
        if let Some(emptied) = self.take_emptied() {
            contain(|| emptied.set());
        }
    }

    /// What will be set when nothing is unfinished; None if that is so.
    pub(crate) fn emptied(&self) -> Option<Arc<Event>> {
        let mut emptied = self.lock();
        self.watched.store(true, SeqCst);
        if self.count() > 0 {
            return Some(Arc::clone(emptied.get_or_insert_default()));
        }
        self.watched.store(emptied.is_some(), SeqCst);
        None
    }

    /// What is to be set now.
    fn take_emptied(&self) -> Option<Arc<Event>> {
        if !self.watched.load(SeqCst) {
            return None;
        }
        let mut emptied = self.lock();
        if self.count() > 0 {
            return None;
        }
        self.watched.store(false, SeqCst);
        emptied.take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Event>>> {
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread;

    use futures_lite::future;

    use super::Unfinished;

    #[test]
    fn who_waits_is_told_by_whoever_finishes_the_last() {
        let unfinished = Unfinished::new(0);
        assert!(unfinished.emptied().is_none(), "nothing is unfinished");
        assert!(unfinished.push().is_none() && unfinished.push().is_none());
        let emptied = unfinished.emptied().unwrap();
        unfinished.finish(false);
        assert!(!emptied.is_set() && unfinished.count() == 1);
        unfinished.finish(false);
        assert!(emptied.is_set() && unfinished.count() == 0);
        assert!(unfinished.push().is_none(), "nobody waits");
        assert!(!Arc::ptr_eq(&unfinished.emptied().unwrap(), &emptied), "each time has its own");
    }

    #[test]
    fn idle_waiter_is_woken_by_the_next_push_at_the_latest() {
        let unfinished = Unfinished::new(0);
        assert!(unfinished.push().is_none());
        let emptied = unfinished.emptied().unwrap();
        unfinished.finished.0.fetch_add(1, SeqCst);
        assert!(Arc::ptr_eq(&unfinished.push().unwrap(), &emptied));
        assert_eq!(unfinished.count(), 1);
    }

    #[test]
    fn idle_waiter_beside_the_last_end_is_woken_or_ready() {
        for _ in 0..1000 {
            let unfinished = Unfinished::new(0);
            assert!(unfinished.push().is_none());
            thread::scope(|scope| {
                scope.spawn(|| unfinished.finish(false));
                if let Some(emptied) = unfinished.emptied() {
                    future::block_on(emptied.wait());
                }
            });
        }
    }
}
