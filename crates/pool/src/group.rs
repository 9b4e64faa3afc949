//! [`Group`]: greenlets that are waited for and killed together.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;

use spinney_greenlet::{Greenlet, Task};
use spinney_hub::{Hub, Spawn};

use crate::roster::UNLIMITED;
use crate::{Crew, Membership};

/// Greenlets that are waited for and killed together, any number of them. `gevent.pool.Group`.
///
/// A cheap handle; all are of the same group. A greenlet leaves the group when it ends. Dropping
/// the last handle kills those that are left, without waiting for them. A member that holds a
/// handle of its own group keeps it alive.
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
    /// An empty group on the current [`Hub`].
    ///
    /// # Panics
    ///
    /// Outside of any hub, as [`Hub::global`].
    #[must_use]
    pub fn new() -> Self {
        Self::on(&Hub::current())
    }
}

impl<X> Group<X> {
    /// An empty group whose members run on `hub`.
    pub fn on(hub: &X) -> Self
    where
        X: Clone,
    {
        Self { crew: Crew::new(hub.clone(), UNLIMITED) }
    }

    /// Starts `future` as a member of the group. `spawn`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Spawn<Task<F, Membership>>,
    {
        match self.crew.core.roster.slots.try_acquire() {
            Ok(slot) => slot.forget(),
            Err(error) => unreachable!("a group has no limit and is not closed: {error}"),
        }
        self.crew.core.start(future).spawned_at(Location::caller())
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
