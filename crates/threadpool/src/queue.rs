//! [`Queue`]: the closures and turns of maps that wait for a thread.

use std::collections::VecDeque;
use std::sync::Arc;

use spinney_greenlet::GreenletExit;

use crate::workers::Workers;

/// An entry of a pool's queue: a closure, or a turn of a map.
pub(crate) trait Work: Send + Sync {
    /// Called under the queue's lock when it is put into the queue, as the entry `key`.
    fn enter(&self, key: u64);

    /// Runs on this thread, which belongs to `workers` and took the entry `key`. It never panics.
    fn run(self: Arc<Self>, workers: &Arc<Workers>, key: u64);

    /// Uses threads up to the new `capacity` of its pool: for maps.
    fn resize(self: Arc<Self>, capacity: usize) {
        let _ = capacity;
    }

    /// Ends it unless it has started. The pool refused it if it was never admitted to the queue.
    fn end(&self, workers: &Workers, exit: GreenletExit, was_admitted: bool);
}

/// The kind of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Closure,
    /// A turn of a map.
    Turn,
}

/// The key of an entry, its kind, and its work; `None` once the work was taken out.
type Entry = (u64, Kind, Option<Arc<dyn Work>>);

/// Entries in FIFO order; an entry that need not run any more is removed by its key.
#[derive(Default)]
pub(crate) struct Queue {
    /// Ordered by their keys.
    entries: VecDeque<Entry>,
    next_key: u64,
    len: usize,
    /// How many of them are turns of maps.
    pub(crate) turns: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn closures(&self) -> usize {
        self.len - self.turns
    }

    pub(crate) fn push(&mut self, work: Arc<dyn Work>, kind: Kind) {
        work.enter(self.next_key);
        self.entries.push_back((self.next_key, kind, Some(work)));
        self.next_key += 1;
        self.len += 1;
        self.turns += usize::from(kind == Kind::Turn);
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Arc<dyn Work>)> {
        while let Some((key, kind, work)) = self.entries.pop_front() {
            if let Some(work) = work {
                self.is_less(kind);
                return Some((key, work));
            }
        }
        None
    }

    /// Removes an entry, if it is still there. The caller drops it under no lock.
    pub(crate) fn remove(&mut self, key: u64) -> Option<(Arc<dyn Work>, Kind)> {
        let at = self.entries.binary_search_by_key(&key, |(key, ..)| *key).ok()?;
        let (_, kind, work) = &mut self.entries[at];
        let removed = (work.take()?, *kind);
        self.is_less(removed.1);
        if self.entries.len() > 2 * self.len + 16 {
            // Bounds the memory of removed entries by that of the others.
            self.entries.retain(|(.., work)| work.is_some());
        }
        Some(removed)
    }

    /// Removes all closures. The caller drops them under no lock.
    pub(crate) fn take_closures(&mut self) -> Vec<Arc<dyn Work>> {
        let closures = self.entries.iter_mut().filter(|(_, kind, _)| *kind == Kind::Closure);
        let closures = closures.filter_map(|(.., work)| work.take()).collect();
        self.entries.retain(|(.., work)| work.is_some());
        self.len = self.turns;
        closures
    }

    /// Removes all entries. The caller drops them under no lock.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<dyn Work>> {
        (self.len, self.turns) = (0, 0);
        std::mem::take(&mut self.entries).into_iter().filter_map(|(.., work)| work).collect()
    }

    fn is_less(&mut self, kind: Kind) {
        self.len -= 1;
        self.turns -= usize::from(kind == Kind::Turn);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;

    use spinney_greenlet::GreenletExit;

    use super::{Kind, Queue, Work};
    use crate::workers::Workers;

    #[derive(Default)]
    struct Noted(AtomicU64);

    impl Work for Noted {
        fn enter(&self, key: u64) {
            self.0.store(key, Relaxed);
        }

        fn run(self: Arc<Self>, _workers: &Arc<Workers>, _key: u64) {}

        fn end(&self, _workers: &Workers, _exit: GreenletExit, _was_admitted: bool) {}
    }

    fn push(queue: &mut Queue, kind: Kind) -> u64 {
        let work = Arc::new(Noted::default());
        queue.push(Arc::clone(&work) as _, kind);
        work.0.load(Relaxed)
    }

    #[test]
    fn entries_come_in_fifo_order_without_removed_ones() {
        let mut queue = Queue::default();
        let keys: Vec<_> = (0..100).map(|_| push(&mut queue, Kind::Closure)).collect();
        for key in keys.iter().filter(|key| **key % 3 == 0) {
            assert!(queue.remove(*key).is_some() && queue.remove(*key).is_none());
        }
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(key, _)| key).collect();
        assert!(popped.iter().eq(keys.iter().filter(|key| **key % 3 > 0)));
        assert!(queue.remove(keys[1]).is_none(), "a popped entry was removed");
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn removed_entries_leave_little_memory_behind() {
        let mut queue = Queue::default();
        push(&mut queue, Kind::Closure);
        for _ in 0..10_000 {
            let key = push(&mut queue, Kind::Turn);
            assert!(queue.remove(key).is_some_and(|(_, kind)| kind == Kind::Turn));
            assert!(queue.entries.len() < 32);
        }
        assert_eq!((queue.len(), queue.turns), (1, 0));
    }

    #[test]
    fn kill_takes_closures_and_leaves_turns() {
        let mut queue = Queue::default();
        let kinds = [Kind::Closure, Kind::Turn, Kind::Closure];
        let keys = kinds.map(|kind| push(&mut queue, kind));
        assert_eq!(queue.take_closures().len(), 2);
        assert_eq!((queue.len(), queue.closures(), queue.turns), (1, 0, 1));
        assert_eq!(queue.pop().unwrap().0, keys[1]);
        let late = push(&mut queue, Kind::Closure);
        assert!(late > keys[2]);
        assert_eq!((queue.take_all().len(), queue.len()), (1, 0));
    }
}
