//! [`CrewBuilder`]: a group or pool with settings of its own.

use std::fmt;
use std::sync::Arc;

use spinney_hub::Hub;

use crate::hook::{Hook, SpawnHook};
use crate::{Crew, Group, Pool};

/// Whether a member of a full pool that spawns into it waits like anyone.
///
/// A member has one slot, however much it does at once: what it applies, or an item of its map that
/// has its slot, runs beside its other work where it joins the two, or gave the wait up and kept
/// the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reentry {
    /// It waits, unless all members wait for slots of their own pool, which would be for ever:
    /// then it runs the work itself. And while it waits for a map of its own pool, the map may use
    /// its slot.
    #[default]
    WhenStuck,
    /// It does not wait, but runs the work itself, as in eventlet.
    WhenFull,
    /// It waits, if need be for ever, as in gevent.
    Wait,
}

/// What can be set of a crew.
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
pub struct CrewBuilder {
    settings: Settings,
}

impl CrewBuilder {
    pub(crate) fn new() -> Self {
        Self { settings: Settings::default() }
    }

    /// What to wrap around each greenlet; by default, nothing. `greenlet_class`.
    pub fn hook(mut self, hook: impl SpawnHook + 'static) -> Self {
        self.settings.hook = Some(Arc::new(hook));
        self
    }

    /// What a member does that spawns into its own full pool; by default [`Reentry::WhenStuck`].
    pub fn reentry(mut self, reentry: Reentry) -> Self {
        self.settings.reentry = reentry;
        self
    }

    /// How many failures are kept for [`try_join`](Crew::try_join); those beyond are counted. By
    /// default 16.
    pub fn keep_failures(mut self, count: usize) -> Self {
        self.settings.kept_failures = count;
        self
    }

    /// A pool of `capacity` slots that follows its callers, as [`Pool::new`].
    #[must_use]
    pub fn pool(self, capacity: usize) -> Pool {
        self.pool_on(&Hub::following(), capacity)
    }

    /// A pool of `capacity` slots on `hub`, as [`Pool::on`].
    pub fn pool_on<X: Clone>(self, hub: &X, capacity: usize) -> Pool<X> {
        Pool::of(Crew::new(hub.clone(), capacity, self.settings))
    }

    /// A group that follows its callers, as [`Group::new`].
    #[must_use]
    pub fn group(self) -> Group {
        self.group_on(&Hub::following())
    }

    /// A group on `hub`, as [`Group::on`].
    pub fn group_on<X: Clone>(self, hub: &X) -> Group<X> {
        Group::of(Crew::new(hub.clone(), crate::roster::UNLIMITED, self.settings))
    }
}

impl fmt::Debug for CrewBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrewBuilder")
            .field("hook", &self.settings.hook.is_some())
            .field("reentry", &self.settings.reentry)
            .field("keep_failures", &self.settings.kept_failures)
            .finish()
    }
}
