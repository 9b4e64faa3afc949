//! [`Reaper`]: drops items that have been idle for too long.

use std::iter;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use spinney_hub::{Clock, drop_contained, sleep_until, spawn};

use super::Shared;
use super::idle::let_go;

/// How long those who are about to use an item have at the least, before it is looked after again.
const MOMENT: Duration = Duration::from_millis(1);

pub(super) struct Reaper<T, C> {
    limit: Duration,
    /// Starts the task. A function of its own, so that only who wants one needs items that can be
    /// sent to it.
    start: fn(&Arc<Shared<T, C>>, Arc<()>),
}

impl<T, C> Reaper<T, C> {
    pub(super) fn new(limit: Duration) -> Self
    where
        T: Send + 'static,
        C: Send + Sync + 'static,
    {
        Self { limit, start: |shared, alive| spawn(run(Arc::downgrade(shared), alive)) }
    }

    /// Starts a task, which holds `alive` for as long as it looks after the items.
    pub(super) fn start(&self, shared: &Arc<Shared<T, C>>, alive: Arc<()>) {
        (self.start)(shared, alive);
    }
}

/// Sleeps from one item's end to that of the next, for as long as there are any.
async fn run<T, C>(pool: Weak<Shared<T, C>>, _alive: Arc<()>) {
    loop {
        let next = pool.upgrade().and_then(|pool| {
            let next = pool.reap();
            // It may be the last handle by now.
            drop_contained(pool);
            next
        });
        let Some(next) = next else { return };
        sleep_until(next).await;
    }
}

impl<T, C> Shared<T, C> {
    /// Drops what has been idle for too long; returns when to look again, if that is needed.
    fn reap(&self) -> Option<Instant> {
        let reaper = self.reaper.as_ref()?;
        let now = Clock::current().now();
        let mut idle = self.lock();
        let surplus = idle.size.saturating_sub(self.min_size);
        let stale = now.checked_sub(reaper.limit).map_or(0, |since| idle.resting_since(since));
        let stale = stale.min(surplus);
        // Each keeps a room until it is dropped. Those without are about to be used; should they
        // not be, they are found later.
        let rooms = iter::from_fn(|| self.tokens.try_acquire().ok());
        let rooms: Vec<_> = rooms.take(stale).collect();
        let retired = idle.retire(rooms.len());
        let next = if retired.len() < stale {
            now.checked_add(reaper.limit.max(MOMENT))
        } else {
            idle.oldest().and_then(|since| since.checked_add(reaper.limit))
        };
        let next = next.filter(|_| surplus > retired.len());
        if next.is_none() {
            idle.reaper = Weak::new();
        }
        drop(idle);
        let_go(retired);
        let_go(rooms);
        next
    }
}
