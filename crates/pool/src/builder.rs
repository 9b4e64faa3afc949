//! [`PoolBuilder`]: the settings of a new group or pool.

use std::fmt;
use std::sync::Arc;

use spinney_hub::Hub;

use crate::hook::{Hook, SpawnHook};
use crate::limits::{Limits, Order};
use crate::task_set::UNLIMITED;
use crate::{Group, Pool, Rate, TaskSet};

/// The behaviour of a member that spawns into its own full pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reentry {
    /// The member waits in the queue for a slot, and runs the child within its own wait until a
    /// slot is free or the child has finished. A member that reads a map of its own pool runs the
    /// items within its reads.
    #[default]
    InPlace,
    /// The member runs the child within its own wait to the end, without a place in the queue:
    /// eventlet's behaviour.
    Inline,
    /// The member waits like any other caller, perhaps for ever: gevent's behaviour.
    Wait,
}

/// The settings of a group or pool.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) hook: Hook,
    pub(crate) reentry: Reentry,
    pub(crate) kept_failures: usize,
    pub(crate) limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hook: None,
            reentry: Reentry::default(),
            kept_failures: 16,
            limits: Limits::default(),
        }
    }
}

/// Creates a group or a pool with settings of its own. Dropping the builder creates nothing.
///
/// ```
/// # mod spinney { pub use spinney_pool::Pool; pub mod pool { pub use spinney_pool::Reentry; } }
/// use spinney::Pool;
/// use spinney::pool::Reentry;
///
/// let pool = Pool::builder().reentry(Reentry::Wait).keep_failures(1).pool(5);
/// assert_eq!(pool.capacity(), Some(5));
/// ```
#[derive(Clone)]
#[must_use = "a builder creates nothing until `pool` or `group` is called"]
pub struct PoolBuilder {
    settings: Settings,
}

impl PoolBuilder {
    pub(crate) fn new() -> Self {
        Self { settings: Settings::default() }
    }

    /// Sets the wrapper around each greenlet; the default is none.
    ///
    /// Python: `gevent.pool.Group.greenlet_class`.
    pub fn hook(mut self, hook: impl SpawnHook + 'static) -> Self {
        self.settings.hook = Some(Arc::new(hook));
        self
    }

    /// Sets the behaviour of a member that spawns into its own full pool. Default:
    /// [`Reentry::InPlace`].
    pub fn reentry(mut self, reentry: Reentry) -> Self {
        self.settings.reentry = reentry;
        self
    }

    /// Sets how many failures are stored for [`try_join`](TaskSet::try_join); further ones are only
    /// counted. Default: 16.
    pub fn keep_failures(mut self, count: usize) -> Self {
        self.settings.kept_failures = count;
        self
    }

    /// Limits how many tasks start per period. All rates that are set apply together. See
    /// [`Pool::set_rates`].
    pub fn rate(mut self, rate: Rate) -> Self {
        self.settings.limits.rates.push(rate);
        self
    }

    /// Limits how many tasks with the same key run at once. See [`Pool::set_per_key`].
    pub fn per_key(mut self, most: usize) -> Self {
        self.settings.limits.per_key = Some(most);
        self
    }

    /// Limits how many tasks with the same key start per period. All rates that are set apply
    /// together. See [`Pool::set_key_rates`].
    pub fn key_rate(mut self, rate: Rate) -> Self {
        self.settings.limits.key_rates.push(rate);
        self
    }

    /// Limits how many requests wait. See [`Pool::set_max_waiting`].
    pub fn max_waiting(mut self, most: usize) -> Self {
        self.settings.limits.max_waiting = Some(most);
        self
    }

    /// Sets the order in which requests are served. See [`Pool::set_order`].
    pub fn order(mut self, order: Order) -> Self {
        self.settings.limits.order = order;
        self
    }

    /// Creates a pool with `capacity` slots whose calls run on the caller's hub, like
    /// [`Pool::new`].
    #[must_use]
    #[track_caller]
    pub fn pool(self, capacity: usize) -> Pool {
        self.pool_on(&Hub::following(), capacity)
    }

    /// Creates a pool with `capacity` slots whose calls run on `hub`, like [`Pool::on`].
    #[track_caller]
    pub fn pool_on<X: Clone>(self, hub: &X, capacity: usize) -> Pool<X> {
        Pool::of(TaskSet::new(hub.clone(), capacity, self.settings))
    }

    /// Creates a group whose calls run on the caller's hub, like [`Group::new`].
    ///
    /// # Panics
    ///
    /// Panics if a limit was set: a group has no limits, because its `spawn` never waits.
    #[must_use]
    #[track_caller]
    pub fn group(self) -> Group {
        self.group_on(&Hub::following())
    }

    /// Creates a group whose calls run on `hub`, like [`Group::on`].
    ///
    /// # Panics
    ///
    /// Panics if a limit was set: a group has no limits, because its `spawn` never waits.
    #[track_caller]
    pub fn group_on<X: Clone>(self, hub: &X) -> Group<X> {
        assert!(self.settings.limits.are_none(), "a group has no limits: make a pool");
        Group::of(TaskSet::new(hub.clone(), UNLIMITED, self.settings))
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("hook", &self.settings.hook.is_some())
            .field("reentry", &self.settings.reentry)
            .field("keep_failures", &self.settings.kept_failures)
            .field("limits", &self.settings.limits)
            .finish()
    }
}
