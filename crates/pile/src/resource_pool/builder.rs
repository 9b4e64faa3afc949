//! [`ResourcePoolBuilder`]: how a resource pool is to be.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spinney_sync::Semaphore;

use super::idle::{Idle, Order};
use super::reaper::Reaper;
use super::{Check, ResourcePool, Shared};

/// How many items there are at the most, unless it is said.
const MAX_SIZE: usize = 4;

/// How a [`ResourcePool`] is to be. Dropping it makes none.
#[must_use = "a builder makes nothing until it is told to"]
pub struct ResourcePoolBuilder<T, C> {
    create: C,
    check: Check<T>,
    min_size: usize,
    max_size: usize,
    order: Order,
    reaper: Option<Reaper<T, C>>,
}

impl<T, C> ResourcePoolBuilder<T, C> {
    pub(super) fn new(create: C) -> Self {
        Self {
            create,
            check: Box::new(|_| true),
            min_size: 0,
            max_size: MAX_SIZE,
            order: Order::Queue,
            reaper: None,
        }
    }

    /// How many items [`fill`](ResourcePool::fill) makes, and are kept however long they are idle;
    /// by default none. `min_size`.
    pub fn min_size(mut self, min_size: usize) -> Self {
        self.min_size = min_size;
        self
    }

    /// How many items there are at the most, by default 4. `max_size`.
    pub fn max_size(mut self, max_size: usize) -> Self {
        self.max_size = max_size;
        self
    }

    /// Uses the item first that came back last; by default the one that has been idle longest.
    /// `order_as_stack`.
    pub fn order_as_stack(mut self) -> Self {
        self.order = Order::Stack;
        self
    }

    /// Drops an item that comes back, rather than use it again, if `check` says false. It is
    /// called as the item is given back, and should not take long.
    ///
    /// One that panics does so where the item is given back; the item is dropped, and there is
    /// room for another.
    pub fn check(mut self, check: impl Fn(&mut T) -> bool + Send + Sync + 'static) -> Self {
        self.check = Box::new(check);
        self
    }

    /// Drops items that have been idle for `limit`, but for those of
    /// [`min_size`](Self::min_size); by default they stay. While any is idle a task of the hub that
    /// was current when it was given back sees to that.
    pub fn idle_timeout(mut self, limit: Duration) -> Self
    where
        T: Send + 'static,
        C: Send + Sync + 'static,
    {
        self.reaper = Some(Reaper::new(limit));
        self
    }

    /// The pool, with no item yet.
    #[must_use]
    pub fn build(self) -> ResourcePool<T, C> {
        let shared = Shared {
            create: self.create,
            check: self.check,
            min_size: self.min_size,
            reaper: self.reaper,
            tokens: Semaphore::new(self.max_size),
            idle: Mutex::new(Idle::new(self.order)),
        };
        ResourcePool { shared: Arc::new(shared) }
    }
}

impl<T, C> fmt::Debug for ResourcePoolBuilder<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourcePoolBuilder")
            .field("min_size", &self.min_size)
            .field("max_size", &self.max_size)
            .finish_non_exhaustive()
    }
}
