//! [`Group`]: greenlets that are waited for and killed together.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;

use spinney_greenlet::{Greenlet, Handle};
use spinney_hub::{BoxTask, Hub, Spawn};

use crate::builder::Settings;
use crate::crew::core::refused;
use crate::roster::UNLIMITED;
use crate::{Crew, CrewBuilder, Runs};

/// Greenlets that are waited for and killed together, any number of them. `gevent.pool.Group`.
///
/// A cheap handle; all are of the same group. A greenlet leaves the group when it ends. Dropping
/// the last handle kills those that are left, without waiting for them. A member that holds a
/// handle of its own group keeps it alive.
///
/// To limit how many run, take a [`Pool`](crate::Pool); to wait once for a few greenlets that are
/// in no group, `joinall`.
///
/// ```
/// use spinney_pool::Group;
///
/// spinney_hub::block_on(async {
///     let group = Group::new();
///     let greenlets: Vec<_> = (0..3).map(|n| group.spawn(async move { n * 10 })).collect();
///     group.join().await?;
///     assert!(greenlets.iter().all(|greenlet| greenlet.is_successful()));
///     # Ok::<(), spinney_pool::InsideGroup>(())
/// }).unwrap();
/// ```
pub struct Group<X = Hub> {
    crew: Crew<X>,
}

impl Group {
    /// An empty group that runs each call where it is made: on the [current hub](Hub::current) of
    /// the caller.
    #[must_use]
    pub fn new() -> Self {
        Self::on(&Hub::following())
    }

    /// Settings, to be changed before a group is made with them.
    pub fn builder() -> CrewBuilder {
        CrewBuilder::new()
    }
}

impl<X> Group<X> {
    /// An empty group whose members run on `hub`.
    pub fn on(hub: &X) -> Self
    where
        X: Clone,
    {
        Self::of(Crew::new(hub.clone(), UNLIMITED, Settings::default()))
    }

    /// The same group, with the same members, whose calls run on `hub`: another handle.
    #[must_use]
    pub fn with_hub<Y: Clone>(&self, hub: &Y) -> Group<Y> {
        Group::of(self.crew.with_hub(hub.clone()))
    }

    pub(crate) fn of(crew: Crew<X>) -> Self {
        Self { crew }
    }

    /// Starts `future` as a member of the group. `spawn`.
    ///
    /// Once the group is closed, the greenlet has been killed, with
    /// [`Closed`](spinney_sync::Closed) for the reason.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        let greenlet = match self.crew.core.roster.slots.try_acquire() {
            Ok(slot) => {
                slot.forget();
                self.crew.core.start(future).unwrap_or_else(refused)
            }
            Err(_) => refused(future),
        };
        greenlet
    }

    /// Makes a member of a greenlet that there is; false if it has ended, is a member already, or
    /// the group is closed. `add`.
    pub fn add(&self, greenlet: &Handle) -> bool {
        let Ok(slot) = self.crew.core.roster.slots.try_acquire() else { return false };
        slot.forget();
        self.crew.core.roster.add(greenlet)
    }

    /// [Adds](Self::add) a greenlet that was [made](Greenlet::new) to be started, and starts it on
    /// the group's hub; false if it was not added. `start`.
    ///
    /// One that was started before is added all the same; false, too.
    pub fn start(&self, greenlet: &Handle) -> bool
    where
        X: Spawn<BoxTask>,
    {
        self.add(greenlet) && greenlet.start_on(&self.crew.core.hub)
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

impl<X> Deref for Group<X> {
    type Target = Crew<X>;

    fn deref(&self) -> &Crew<X> {
        &self.crew
    }
}

impl<X> Clone for Group<X> {
    fn clone(&self) -> Self {
        Self { crew: self.crew.clone() }
    }
}

impl<X> fmt::Debug for Group<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.crew.describe(f, "Group")
    }
}
