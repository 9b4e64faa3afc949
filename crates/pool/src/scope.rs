//! [`Scope`]: what the members of a scope have beside those of a pool; [`Scopes`]: the scopes in
//! which a greenlet is a member.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use spinney_sync::{Acquire, Semaphore};

use crate::members::Members;

/// The part of a scope's members that a pool's do without.
pub(crate) struct Scope {
    pool: Arc<Members>,
    /// Has no permits, and is closed with the scope. Each call waits here beside its wait for a
    /// slot, as a scope does not close the slots that it shares.
    calls: Arc<Semaphore>,
}

impl Scope {
    pub(crate) fn new(pool: &Arc<Members>) -> Self {
        Self { pool: Arc::clone(pool), calls: Arc::new(Semaphore::new(0)) }
    }

    /// The members of its pool.
    pub(crate) fn pool(&self) -> &Arc<Members> {
        &self.pool
    }

    /// The calls that wait for a slot.
    pub(crate) fn calls(&self) -> &Arc<Semaphore> {
        &self.calls
    }

    /// The wait of one call, which ends when the scope is closed.
    #[track_caller]
    pub(crate) fn call(&self) -> Acquire<Arc<Semaphore>> {
        Acquire::of(Arc::clone(&self.calls))
    }
}

/// The scopes of a pool in which each greenlet is a member. A note is made and removed under the
/// lock of the scope's list, so that it is there exactly as long as the member is.
///
/// An ordered map gives its memory back after a peak, and finds all scopes of one greenlet.
#[derive(Default)]
pub(crate) struct Scopes(Mutex<BTreeMap<(u64, usize), Weak<Members>>>);

impl Scopes {
    pub(crate) fn enter(&self, greenlet: u64, scope: &Arc<Members>) {
        self.lock().insert((greenlet, scope.address()), Arc::downgrade(scope));
    }

    pub(crate) fn leave(&self, greenlet: u64, scope: &Members) {
        self.lock().remove(&(greenlet, scope.address()));
    }

    /// The scopes in which `greenlet` is a member. To be asked under no lock of a list.
    pub(crate) fn of(&self, greenlet: u64) -> Vec<Arc<Members>> {
        let notes = self.lock();
        let of_greenlet = notes.range((greenlet, 0)..=(greenlet, usize::MAX));
        of_greenlet.filter_map(|(_, scope)| scope.upgrade()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(u64, usize), Weak<Members>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
