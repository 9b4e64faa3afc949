//! [`PoolNote`]: a pool, a group or a thread pool that has had a member.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};

use spinney_greenlet::Container;

use crate::record::lock;

/// The notes of pools that live, by the address of the pool: a note keeps the address occupied.
static POOLS: Mutex<BTreeMap<usize, Arc<PoolNote>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The pool that had the last member on this thread.
    static LAST: RefCell<Option<(usize, Arc<PoolNote>)>> = const { RefCell::new(None) };
}

pub(crate) struct PoolNote {
    /// Counts the pools, from 1, in the order of their first members.
    pub(crate) number: usize,
    container: Weak<dyn Container>,
}

impl PoolNote {
    /// The number of a pool.
    pub(crate) fn number_of(container: &Arc<dyn Container>) -> usize {
        let address = Arc::as_ptr(container).cast::<()>().addr();
        let find = || Self::find(address, container);
        let cached = |last: &RefCell<Option<(usize, Arc<Self>)>>| {
            let mut last = last.borrow_mut();
            if last.as_ref().is_none_or(|(at, _)| *at != address) {
                *last = Some((address, find()));
            }
            last.as_ref().map(|(_, note)| note.number)
        };
        LAST.try_with(cached).ok().flatten().unwrap_or_else(|| find().number)
    }

    fn find(address: usize, container: &Arc<dyn Container>) -> Arc<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let mut pools = lock(&POOLS);
        if !pools.contains_key(&address) {
            pools.retain(|_, note| note.container.strong_count() > 0);
        }
        let note = pools.entry(address).or_insert_with(|| {
            let number = NEXT.fetch_add(1, Relaxed);
            Arc::new(Self { number, container: Arc::downgrade(container) })
        });
        Arc::clone(note)
    }

    /// The notes of the pools that live.
    pub(crate) fn all() -> Vec<Arc<Self>> {
        lock(&POOLS).values().cloned().collect()
    }

    /// The pool; `None` if it is gone.
    pub(crate) fn container(&self) -> Option<Arc<dyn Container>> {
        self.container.upgrade()
    }
}
