//! The tasks of a pool: the reaper discards items that are too old or idle for too long, the
//! refiller maintains the minimum size.
//!
//! Each is a task of the hub that uses the pool when there is work for it, and ends when there is
//! none. Because a hub may stop, or not run, each use of the pool checks whether a needed task is
//! late, and starts another one.

use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use spinney_greenlet::spawn_on;
use spinney_hub::{Hub, drop_contained, now, sleep, sleep_until};

use super::item::Resource;
use super::state::State;
use super::stats::Reason;
use super::{ResourceError, Shared};

/// The least time between two looks of the reaper, in which a caller may take an item, and between
/// two tries of the refiller.
const MOMENT: Duration = Duration::from_millis(1);

/// A reaper that is later than this is considered lost.
const LATE: Duration = Duration::from_secs(1);

/// The running tasks. Each holds the other half of its token.
#[derive(Default)]
pub(super) struct Tasks {
    reaper: Weak<()>,
    /// When the reaper looks next.
    due: Option<Instant>,
    refiller: Weak<()>,
}

impl Tasks {
    /// Whether there is a reaper that looks in time. A reaper that looks later than any item may
    /// last uses another clock.
    fn reaper_is_there(&self, now: Instant, longest: Duration) -> bool {
        let Some(due) = self.due else { return false };
        let is_soon = due.saturating_duration_since(now) <= longest.max(MOMENT);
        is_soon && now.saturating_duration_since(due) <= LATE && self.reaper.strong_count() > 0
    }
}

impl<T, E> Shared<T, E> {
    /// Why the resource is not used again; `None` if it is. A resource that has been idle exactly
    /// as long as allowed is used, and so are `min_size` resources.
    pub(super) fn expiry(&self, resource: &Resource<T>, now: Instant) -> Option<Reason> {
        let info = resource.info(now);
        let settings = &self.settings;
        if settings.max_age.is_some_and(|limit| info.age >= limit) {
            Some(Reason::MaxAge)
        } else if info.uses >= settings.max_uses {
            Some(Reason::MaxUses)
        } else {
            let is_over = settings.idle_timeout.is_some_and(|limit| info.idle > limit);
            let is_spare = is_over && self.lock().size > settings.min_size;
            is_spare.then_some(Reason::IdleTimeout)
        }
    }

    /// Whether idle items may expire.
    pub(super) fn is_timed(&self) -> bool {
        self.settings.idle_timeout.is_some() || self.settings.max_age.is_some()
    }
}

impl<T: Send + 'static, E: Send + 'static> Shared<T, E> {
    /// Starts the missing tasks: the reaper on the current hub; the refiller too, but only inside a
    /// hub, because `create` may need it.
    pub(super) fn look_after(self: &Arc<Self>) {
        if self.is_timed() {
            self.start_reaper();
        }
        if self.settings.refill {
            self.start_refiller();
        }
    }

    fn start_reaper(self: &Arc<Self>) {
        let now = now();
        let limits = [self.settings.idle_timeout, self.settings.max_age];
        let longest = limits.into_iter().flatten().max().unwrap_or_default();
        let state = self.lock();
        if state.tasks.reaper_is_there(now, longest) {
            return;
        }
        let Some(due) = self.next_look(&state, now) else { return };
        drop(state);
        let (hub, alive) = (Hub::current(), Arc::new(()));
        let mut state = self.lock();
        state.tasks.reaper = Arc::downgrade(&alive);
        state.tasks.due = Some(due);
        drop(state);
        spawn_on(&hub, reap(Arc::downgrade(self), alive, due)).detach();
    }

    fn start_refiller(self: &Arc<Self>) {
        let alive = Arc::new(());
        let mut state = self.lock();
        let is_full = state.size >= self.wanted() || state.is_closed;
        if is_full || state.tasks.refiller.strong_count() > 0 {
            return;
        }
        let Some(hub) = Hub::try_current() else { return };
        state.tasks.refiller = Arc::downgrade(&alive);
        drop(state);
        spawn_on(&hub, refill(Arc::downgrade(self), alive)).detach();
    }

    /// Discards expired items, for the reaper that holds `alive`. Returns when to look again, if
    /// that is needed.
    fn reap(self: &Arc<Self>, alive: &Arc<()>) -> Option<Instant> {
        let now = now();
        let mut state = self.lock();
        if !Weak::ptr_eq(&state.tasks.reaper, &Arc::downgrade(alive)) {
            return None;
        }
        let expired = self.take_expired(&mut state, now);
        let next = self.next_look(&state, now);
        state.tasks.due = next;
        if next.is_none() {
            state.tasks.reaper = Weak::new();
        }
        drop(state);
        for (resource, reason) in expired {
            self.discard(resource, reason);
        }
        next
    }

    /// Takes the idle resources that have expired, except those that callers with a slot are about
    /// to take.
    fn take_expired(&self, state: &mut State<T, E>, now: Instant) -> Vec<(Resource<T>, Reason)> {
        let promised = self.slots.out().saturating_sub(state.lent + state.waiters.takers());
        let mut spare = state.idle.len().saturating_sub(promised);
        let mut above_least = state.size.saturating_sub(self.settings.min_size);
        let mut expired = Vec::new();
        for resource in std::mem::take(&mut state.idle) {
            let info = resource.info(now);
            let reason = if self.settings.max_age.is_some_and(|limit| info.age >= limit) {
                Some(Reason::MaxAge)
            } else {
                let is_over = self.settings.idle_timeout.is_some_and(|limit| info.idle >= limit);
                (is_over && above_least > 0).then_some(Reason::IdleTimeout)
            };
            match reason.filter(|_| spare > 0) {
                Some(reason) => {
                    spare -= 1;
                    above_least = above_least.saturating_sub(1);
                    expired.push((resource, reason));
                }
                None => state.idle.push_back(resource),
            }
        }
        state.lent += expired.len();
        expired
    }

    /// When the next idle resource expires. One that has expired already is about to be taken.
    fn next_look(&self, state: &State<T, E>, now: Instant) -> Option<Instant> {
        let above_least = state.size > self.settings.min_size;
        let ends = state.idle.iter().flat_map(|resource| {
            let idle_limit = self.settings.idle_timeout.filter(|_| above_least);
            let idle = idle_limit.zip(resource.idle_since);
            let age = self.settings.max_age.map(|limit| (limit, resource.created));
            let ends = [idle, age].into_iter().flatten();
            ends.filter_map(|(limit, since)| since.checked_add(limit))
        });
        ends.min().map(|end| end.max(now + MOMENT))
    }
}

/// Sleeps until `due`, and discards expired items, while there are any items that may expire.
async fn reap<T: Send + 'static, E: Send + 'static>(
    pool: Weak<Shared<T, E>>,
    alive: Arc<()>,
    mut due: Instant,
) {
    loop {
        sleep_until(due).await;
        let next = pool.upgrade().and_then(|pool| {
            let next = pool.reap(&alive);
            // This may be the last handle.
            drop_contained(pool);
            next
        });
        let Some(next) = next else { return };
        due = next;
    }
}

/// Creates items until there are enough. A failure is counted, goes to a waiting caller if there is
/// one, and delays the next try, at least for a moment: a task that is always ready holds up others.
async fn refill<T: Send + 'static, E: Send + 'static>(pool: Weak<Shared<T, E>>, alive: Arc<()>) {
    while let Some(pool) = pool.upgrade() {
        let filled = pool.fill_once(Location::caller()).await;
        let has_failed = match filled {
            Ok(true) | Err(ResourceError::Closed) => {
                // A resource that was discarded meanwhile started no refiller, because this task still existed.
                drop(alive);
                pool.look_after();
                return drop_contained(pool);
            }
            Ok(false) => false,
            Err(error) => {
                pool.deliver_failure(error);
                true
            }
        };
        drop_contained(pool);
        if has_failed {
            sleep(MOMENT).await;
        }
    }
}
