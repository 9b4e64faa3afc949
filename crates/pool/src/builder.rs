//! [`PoolBuilder`]: a group or pool with settings of its own.

use std::fmt;
use std::sync::Arc;

use spinney_hub::Hub;

use crate::hook::{Hook, SpawnHook};
use crate::task_set::UNLIMITED;
use crate::{Group, Pool, TaskSet};

/// What a member does that spawns into its own full pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reentry {
    /// It stands in the queue for a slot, and runs the child within its own wait until a slot comes or
    /// the child has finished. A member that reads a map of its own pool lets the map use its slot.
    #[default]
    InPlace,
    /// It runs the child within its own wait to the end, without a place in the queue: eventlet's.
    Inline,
    /// It waits like any caller, perhaps for ever: gevent's.
    Wait,
}

/// The settings of a group or pool.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) hook: Hook,
    pub(crate) reentry: Reentry,
    pub(crate) kept_failures: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { hook: None, reentry: Reentry::default(), kept_failures: 16 }
    }
}

/// Makes a group or a pool with settings of its own. Dropping it makes none.
///
/// ```
/// use spinney_pool::{Pool, Reentry};
///
/// let pool = Pool::builder().reentry(Reentry::Wait).keep_failures(1).pool(5);
/// assert_eq!(pool.capacity(), Some(5));
/// ```
#[derive(Clone)]
#[must_use = "a builder makes nothing until it is told what"]
pub struct PoolBuilder {
    settings: Settings,
}

impl PoolBuilder {
    pub(crate) fn new() -> Self {
        Self { settings: Settings::default() }
    }

    /// What to wrap around each greenlet; by default, nothing. `greenlet_class`.
    pub fn hook(mut self, hook: impl SpawnHook + 'static) -> Self {
        self.settings.hook = Some(Arc::new(hook));
        self
    }

    /// What a member does that spawns into its own full pool. Default: [`Reentry::InPlace`].
    pub fn reentry(mut self, reentry: Reentry) -> Self {
        self.settings.reentry = reentry;
        self
    }

    /// How many failures are kept for [`try_join`](TaskSet::try_join); those beyond are counted. By
    /// default 16.
    pub fn keep_failures(mut self, count: usize) -> Self {
        self.settings.kept_failures = count;
        self
    }

    /// A pool of `capacity` slots that follows its callers, as [`Pool::new`].
    #[must_use]
    #[track_caller]
    pub fn pool(self, capacity: usize) -> Pool {
        self.pool_on(&Hub::following(), capacity)
    }

    /// A pool of `capacity` slots on `hub`, as [`Pool::on`].
    #[track_caller]
    pub fn pool_on<X: Clone>(self, hub: &X, capacity: usize) -> Pool<X> {
        Pool::of(TaskSet::new(hub.clone(), capacity, self.settings))
    }

    /// A group that follows its callers, as [`Group::new`].
    #[must_use]
    #[track_caller]
    pub fn group(self) -> Group {
        self.group_on(&Hub::following())
    }

    /// A group on `hub`, as [`Group::on`].
    #[track_caller]
    pub fn group_on<X: Clone>(self, hub: &X) -> Group<X> {
        Group::of(TaskSet::new(hub.clone(), UNLIMITED, self.settings))
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("hook", &self.settings.hook.is_some())
            .field("reentry", &self.settings.reentry)
            .field("keep_failures", &self.settings.kept_failures)
            .finish()
    }
}
