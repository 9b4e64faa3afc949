//! [`Group`]: greenlets that are joined and killed together.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;

use spinney_greenlet::{Greenlet, Handle};
use spinney_hub::{BoxTask, Hub, Spawn};

use crate::builder::Settings;
use crate::task_set::{UNLIMITED, refused};
use crate::{PoolBuilder, Runs, TaskSet};

/// Any number of greenlets that are joined and killed together.
///
/// Cloning is cheap; clones share the group. A greenlet leaves the group when it has finished.
/// Dropping the last handle kills the remaining members without waiting for them. A member that
/// holds a handle of its own group keeps the group alive.
///
/// To limit how many tasks run, use a [`Pool`](crate::Pool); to wait once for a few greenlets,
/// `joinall`.
///
/// Python: `gevent.pool.Group`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Group;
/// #     pub mod pool { pub use spinney_pool::InsideGroup; }
/// # }
/// use spinney::{Group, block_on};
/// use spinney::pool::InsideGroup;
///
/// block_on(async {
///     let group = Group::new();
///     let greenlets: Vec<_> = (0..3).map(|n| group.spawn(async move { n * 10 })).collect();
///     group.join().await?;
///     assert!(greenlets.iter().all(|greenlet| greenlet.is_successful()));
///     Ok::<(), InsideGroup>(())
/// }).unwrap();
/// ```
#[doc(alias("JoinSet", "TaskTracker", "TaskGroup", "nursery", "errgroup", "WaitGroup"))]
pub struct Group<X = Hub> {
    tasks: TaskSet<X>,
}

impl Group {
    /// Creates an empty group that runs each task where it is spawned: on the [current
    /// hub](Hub::current) of the caller.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self::on(&Hub::following())
    }

    /// Returns the settings of a new group.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }
}

impl<X> Group<X> {
    /// Creates an empty group whose members run on `hub`.
    #[track_caller]
    pub fn on(hub: &X) -> Self
    where
        X: Clone,
    {
        Self::of(TaskSet::new(hub.clone(), UNLIMITED, Settings::default()))
    }

    /// Returns a handle of the same group, with the same members, whose calls run on `hub`.
    #[must_use]
    pub fn with_hub<Y: Clone>(&self, hub: &Y) -> Group<Y> {
        Group::of(self.tasks.with_hub(hub.clone()))
    }

    pub(crate) fn of(tasks: TaskSet<X>) -> Self {
        Self { tasks }
    }

    /// Spawns `future` as a member of the group.
    ///
    /// Once the group is closed, the returned greenlet is killed already, with
    /// [`SlotError::Closed`](crate::SlotError::Closed) as its reason.
    ///
    /// Python: `gevent.pool.Group.spawn`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        let at = Location::caller();
        match self.try_permit() {
            Ok(permit) => self.launch(permit, future, at),
            Err(error) => refused(future, error, at),
        }
    }

    /// Adds a greenlet that runs elsewhere as a member. Returns `false` if it has finished or is a
    /// member already, or if the group was closed.
    ///
    /// Python: `gevent.pool.Group.add`.
    pub fn add(&self, greenlet: &Handle) -> bool {
        self.try_permit().is_ok_and(|permit| self.inner().add(greenlet, permit))
    }

    /// [Adds](Self::add) an [unstarted](Greenlet::new) greenlet, and starts it on the group's hub.
    /// Returns `false` if it was not added, or was started before.
    ///
    /// Python: `gevent.pool.Group.start`.
    pub fn start(&self, greenlet: &Handle) -> bool
    where
        X: Spawn<BoxTask>,
    {
        self.add(greenlet) && greenlet.start_on(&self.core.hub)
    }
}

/// Adds greenlets that run elsewhere.
///
/// Python: `gevent.pool.Group(greenlets)`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on; pub use spinney_pool::Group;
/// # }
/// use spinney::{Group, block_on, spawn};
///
/// block_on(async {
///     let group: Group = (0..3).map(|_| spawn(std::future::pending::<()>())).collect();
///     assert_eq!(group.len(), 3);
///     group.kill().await;
/// });
/// ```
impl<H: AsRef<Handle>> FromIterator<H> for Group {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = H>>(greenlets: I) -> Self {
        let mut group = Self::new();
        group.extend(greenlets);
        group
    }
}

impl<H: AsRef<Handle>, X> Extend<H> for Group<X> {
    fn extend<I: IntoIterator<Item = H>>(&mut self, greenlets: I) {
        for greenlet in greenlets {
            self.add(greenlet.as_ref());
        }
    }
}

impl Default for Group {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<X> Deref for Group<X> {
    type Target = TaskSet<X>;

    fn deref(&self) -> &TaskSet<X> {
        &self.tasks
    }
}

impl<X> Clone for Group<X> {
    fn clone(&self) -> Self {
        Self { tasks: self.tasks.clone() }
    }
}

impl<X> fmt::Debug for Group<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f, "Group")
    }
}
