//! [`Scope`]: the additional state of a scope's members; [`Scopes`]: the scopes of each greenlet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use spinney_sync::{Acquire, Semaphore};

use crate::members::Members;

/// The additional state of a scope's members.
pub(crate) struct Scope {
    pool: Arc<Members>,
    /// Has no permits, and is closed with the scope. Each call waits here as well as for a slot,
    /// because a scope shares its slots and cannot close them.
    calls: Arc<Semaphore>,
}

impl Scope {
    pub(crate) fn new(pool: &Arc<Members>) -> Self {
        Self { pool: Arc::clone(pool), calls: Arc::new(Semaphore::new(0)) }
    }

    /// The members of the scope's pool.
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

/// The scopes of a pool in which each greenlet is a member. An entry is added and removed under the
/// lock of the scope's list, so that it exists exactly as long as the membership.
///
/// An ordered map releases its memory after a peak, and finds all scopes of one greenlet.
#[derive(Default)]
pub(crate) struct Scopes(Mutex<BTreeMap<(u64, usize), Weak<Members>>>);

impl Scopes {
    pub(crate) fn enter(&self, greenlet: u64, scope: &Arc<Members>) {
        self.lock().insert((greenlet, scope.address()), Arc::downgrade(scope));
    }

    pub(crate) fn leave(&self, greenlet: u64, scope: &Members) {
        self.lock().remove(&(greenlet, scope.address()));
    }

    /// The scopes in which `greenlet` is a member. The caller holds no lock of a list.
    pub(crate) fn of(&self, greenlet: u64) -> Vec<Arc<Members>> {
        let notes = self.lock();
        let of_greenlet = notes.range((greenlet, 0)..=(greenlet, usize::MAX));
        of_greenlet.filter_map(|(_, scope)| scope.upgrade()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(u64, usize), Weak<Members>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
