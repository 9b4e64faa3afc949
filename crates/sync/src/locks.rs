//! [`RLock`]: a re-entrant lock; [`BoundedSemaphore`]: a semaphore that detects over-release.
//!
//! A re-entrant lock that is released is handed to the first waiter, which owns it from that
//! moment, even before it runs. If the new owner has other waits for the lock, they are woken as
//! well and finish out of order: otherwise they would wait for the lock of their own owner.
//! [`Line::take_wakers`] finds them without visiting the other waiters.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::primitive::{Mutex, lock};
use crate::waiters::{Waiters, wake_all};
use crate::{
    Acquire, BudgetedAwait, NotOwner, OverRelease, Permit, Semaphore, TryAcquireError, Wait,
};

/// A re-entrant lock: its owner may take it again; other owners wait in FIFO order.
///
/// The caller names the owner: for example the id of a greenlet or of a thread. The owner's [`Eq`],
/// [`Hash`] and [`Clone`] run while the state is locked, so they must neither use the lock nor
/// panic; its destructor may use the lock. Dropping the lock is harmless, because guards and
/// waiters borrow it.
///
/// Python: `gevent.lock.RLock`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on;
/// #     pub mod sync { pub use spinney_sync::RLock; }
/// # }
/// use spinney::block_on;
/// use spinney::sync::RLock;
///
/// block_on(async {
///     let lock = RLock::new();
///     let outer = lock.acquire("me").await;
///     let inner = lock.acquire("me").await;
///     assert!(lock.try_acquire("you").is_none());
///     drop((outer, inner));
///     assert!(lock.try_acquire("you").is_some());
/// });
/// ```
#[doc(alias = "ReentrantMutex")]
pub struct RLock<O> {
    hold: Mutex<Hold<O>>,
}

struct Hold<O> {
    /// `None` if the lock is free; there are no waiters then.
    owner: Option<O>,
    /// How many times the owner has taken it.
    depth: usize,
    line: Line<O>,
}

impl<O: Eq + Hash + Clone> RLock<O> {
    /// Creates a free lock.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the lock for `owner`, behind earlier waiters; immediately if `owner` owns it already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; a lock that it was handed already goes to the next
    /// waiter.
    ///
    /// Python: `gevent.lock.RLock.acquire`.
    #[track_caller]
    pub fn acquire(&self, owner: O) -> impl Future<Output = RLockGuard<'_, O>> {
        let (at, budgeted) = (Location::caller(), BudgetedAwait::default());
        Turn { lock: self, owner: Some(owner), ticket: None, at, budgeted }
    }

    /// Takes the lock for `owner` without waiting. `None` if it has another owner.
    ///
    /// Python: `gevent.lock.RLock.acquire(blocking=False)`.
    pub fn try_acquire(&self, owner: O) -> Option<RLockGuard<'_, O>> {
        let entered = lock(&self.hold).enter(&owner);
        entered.then(|| RLockGuard { lock: self, owner: Some(owner) })
    }

    /// Releases the lock once, for a guard of `owner` that was [forgotten](RLockGuard::forget). The
    /// last release hands the lock to the first waiter. A panic of a waker is contained.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] if the lock has another owner or none; nothing changes then.
    ///
    /// Python: `gevent.lock.RLock.release`.
    pub fn release(&self, owner: &O) -> Result<(), NotOwner> {
        let mut hold = lock(&self.hold);
        if hold.owner.as_ref() != Some(owner) {
            return Err(NotOwner);
        }
        hold.depth -= 1;
        if hold.depth == 0 {
            let before = hold.owner.take();
            let (woken, key) = hold.pass_on();
            drop(hold);
            wake_all(woken);
            drop((before, key));
        }
        Ok(())
    }

    /// Whether the lock has an owner.
    ///
    /// Python: `gevent.lock.RLock.locked`.
    pub fn is_locked(&self) -> bool {
        self.depth() > 0
    }

    /// The owner: it has the lock, or was handed it and has not run yet.
    pub fn owner(&self) -> Option<O> {
        lock(&self.hold).owner.clone()
    }
}

impl<O> RLock<O> {
    /// How many times its owner has taken it; 0 if it is free.
    pub fn depth(&self) -> usize {
        lock(&self.hold).depth
    }

    /// The number of waiters.
    pub fn waiting(&self) -> usize {
        lock(&self.hold).line.waiters.len()
    }
}

impl<O> Default for RLock<O> {
    fn default() -> Self {
        let line = Line { waiters: Waiters::new(), wakeable: HashMap::new() };
        Self { hold: Mutex::new(Hold { owner: None, depth: 0, line }) }
    }
}

impl<O> fmt::Debug for RLock<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("depth", &self.depth())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// One acquisition of an [`RLock`]. Dropping it releases the lock once; the last release hands the
/// lock to the first waiter.
///
/// ```
/// # mod spinney { pub mod sync { pub use spinney_sync::{NotOwner, RLock}; } }
/// use spinney::sync::{NotOwner, RLock};
///
/// let lock = RLock::new();
/// lock.try_acquire(7).unwrap().forget();
/// assert!(lock.is_locked());
/// lock.release(&7)?;
/// assert!(!lock.is_locked());
/// Ok::<(), NotOwner>(())
/// ```
#[must_use = "the lock is released as soon as this is dropped"]
pub struct RLockGuard<'a, O: Eq + Hash + Clone> {
    lock: &'a RLock<O>,
    /// `None` once it is forgotten.
    owner: Option<O>,
}

impl<O: Eq + Hash + Clone> RLockGuard<'_, O> {
    /// Keeps the lock without a guard, until [`RLock::release`].
    pub fn forget(mut self) {
        self.owner = None;
    }
}

impl<O: Eq + Hash + Clone> Drop for RLockGuard<'_, O> {
    fn drop(&mut self) {
        if let Some(owner) = &self.owner {
            // Fails if the owner released it in place of this guard.
            let _ = self.lock.release(owner);
        }
    }
}

impl<O: Eq + Hash + Clone> fmt::Debug for RLockGuard<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").field("lock", &self.lock).finish_non_exhaustive()
    }
}

/// The future of [`RLock::acquire`].
struct Turn<'a, O: Eq + Hash + Clone> {
    lock: &'a RLock<O>,
    /// `None` once it has finished.
    owner: Option<O>,
    /// The ticket in the line, once it has one.
    ticket: Option<u64>,
    at: &'static Location<'static>,
    budgeted: BudgetedAwait,
}

/// No field is structurally pinned.
impl<O: Eq + Hash + Clone> Unpin for Turn<'_, O> {}

impl<'a, O: Eq + Hash + Clone> Future for Turn<'a, O> {
    type Output = RLockGuard<'a, O>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { lock: rlock, owner, ticket, at, budgeted } = &mut *self;
        budgeted.poll(cx, |cx| {
            let mut hold = lock(&rlock.hold);
            let current = owner.as_ref().expect("polled after it had finished");
            let served = ticket.is_some_and(|ticket| hold.line.waiters.is_served(ticket));
            if served || hold.enter(current) {
                let left = ticket.take().map(|ticket| hold.line.leave(ticket, current));
                drop(hold);
                drop(left);
                return Poll::Ready(RLockGuard { lock: rlock, owner: owner.take() });
            }
            let stale = hold.line.wait(ticket, current, cx.waker());
            drop(hold);
            drop(stale);
            Wait::note("RLock::acquire", at);
            Poll::Pending
        })
    }
}

impl<O: Eq + Hash + Clone> Drop for Turn<'_, O> {
    fn drop(&mut self) {
        let (Some(owner), Some(ticket)) = (&self.owner, self.ticket) else { return };
        let mut hold = lock(&self.lock.hold);
        if hold.line.waiters.is_served(ticket) {
            drop(hold);
            // Fails as it does for a guard.
            let _ = self.lock.release(owner);
        } else {
            let left = hold.line.leave(ticket, owner);
            drop(hold);
            drop(left);
        }
    }
}

impl<O: Eq + Hash + Clone> Hold<O> {
    /// Takes the lock for `owner`, if it is free or owned by `owner`.
    fn enter(&mut self, owner: &O) -> bool {
        match &self.owner {
            Some(other) if other != owner => return false,
            Some(_) => {}
            None => self.owner = Some(owner.clone()),
        }
        self.depth += 1;
        true
    }

    /// Hands the lock, which is free, to the first waiter. Returns the wakers to wake, and an owner
    /// to drop, after the state is unlocked.
    fn pass_on(&mut self) -> (Vec<Waker>, Option<O>) {
        let Some((_, first)) = self.line.waiters.pop() else { return (Vec::new(), None) };
        let mut woken = vec![first.waker];
        let key = self.line.take_wakers(&first.want, &mut woken);
        self.owner = Some(first.want);
        self.depth = 1;
        (woken, key)
    }
}

/// The waiters, and the tickets of each owner.
struct Line<O> {
    waiters: Waiters<O>,
    /// The tickets of each owner whose waits have not been woken since their last poll. A wait that
    /// was woken for its owner, and has not run yet, is not woken again.
    wakeable: HashMap<O, BTreeSet<u64>>,
}

impl<O: Eq + Hash + Clone> Line<O> {
    /// Adds a new waiter, or updates the waker of an existing one. Returns the old waker.
    fn wait(&mut self, ticket: &mut Option<u64>, owner: &O, waker: &Waker) -> Option<Waker> {
        let stale = if let Some(ticket) = *ticket {
            self.waiters.update(ticket, waker)
        } else {
            *ticket = Some(self.waiters.push(waker.clone(), owner.clone()));
            None
        };
        let tickets = match self.wakeable.get_mut(owner) {
            Some(tickets) => tickets,
            None => self.wakeable.entry(owner.clone()).or_default(),
        };
        tickets.extend(*ticket);
        stale
    }

    /// Removes a wait, unless it was served. Its return value is dropped after the state is
    /// unlocked.
    fn leave(&mut self, ticket: u64, owner: &O) -> Option<impl Sized + use<O>> {
        let waiter = self.waiters.remove(ticket)?;
        let tickets = self.wakeable.get_mut(owner);
        let is_last = tickets.is_some_and(|tickets| tickets.remove(&ticket) && tickets.is_empty());
        let key = if is_last { self.wakeable.remove_entry(owner) } else { None };
        Some((waiter, key))
    }

    /// Moves the wakers of an owner's wakeable waits to `woken`. Returns an owner to drop after the
    /// state is unlocked.
    fn take_wakers(&mut self, owner: &O, woken: &mut Vec<Waker>) -> Option<O> {
        let (key, tickets) = self.wakeable.remove_entry(owner)?;
        // The served wait has left the line.
        let wakers = tickets.into_iter().filter_map(|ticket| {
            let waker = self.waiters.waker(ticket)?;
            Some(mem::replace(waker, Waker::noop().clone()))
        });
        woken.extend(wakers);
        Some(key)
    }
}

/// A [`Semaphore`] with a fixed number of permits: returning more than are out is an error, where a
/// semaphore grows.
///
/// Dropping it is harmless, like dropping a semaphore.
///
/// Python: `gevent.lock.BoundedSemaphore`, which is not fair.
///
/// ```
/// # mod spinney { pub mod sync { pub use spinney_sync::{BoundedSemaphore, OverRelease}; } }
/// use spinney::sync::{BoundedSemaphore, OverRelease};
///
/// let seats = BoundedSemaphore::new(1);
/// seats.try_acquire().unwrap().forget();
/// assert_eq!(seats.release(1), Ok(()));
/// assert_eq!(seats.release(1), Err(OverRelease));
/// ```
#[derive(Debug)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
}

impl BoundedSemaphore {
    /// Creates a semaphore with `permits` permits, all of them free.
    pub fn new(permits: usize) -> Self {
        Self { semaphore: Semaphore::fixed(permits) }
    }

    /// Takes a permit, behind earlier waiters: [`Semaphore::acquire`].
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::Closed) if the semaphore was closed before a permit was free.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the queue; a permit that it was handed already goes to the next
    /// waiter.
    ///
    /// Python: `gevent.lock.BoundedSemaphore.acquire`.
    #[track_caller]
    pub fn acquire(&self) -> Acquire<&Semaphore> {
        self.semaphore.acquire()
    }

    /// Takes `permits` permits together: [`Semaphore::acquire_many`]. A wait for more than the
    /// capacity never finishes.
    ///
    /// # Errors
    ///
    /// The same as [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// The same as [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire<&Semaphore> {
        self.semaphore.acquire_many(permits)
    }

    /// Takes a permit without waiting.
    ///
    /// # Errors
    ///
    /// The same as [`Semaphore::try_acquire`].
    ///
    /// Python: `gevent.lock.BoundedSemaphore.acquire(blocking=False)`.
    pub fn try_acquire(&self) -> Result<Permit<&Semaphore>, TryAcquireError> {
        self.semaphore.try_acquire()
    }

    /// Takes `permits` permits together without waiting, or none.
    ///
    /// # Errors
    ///
    /// The same as [`Semaphore::try_acquire`].
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<&Semaphore>, TryAcquireError> {
        self.semaphore.try_acquire_many(permits)
    }

    /// Returns `permits` permits that were [forgotten](Permit::forget), to the waiters in FIFO
    /// order.
    ///
    /// It cannot distinguish a forgotten permit from a held one: a permit that is returned in place
    /// of its holder is not returned a second time when the holder drops it.
    ///
    /// # Errors
    ///
    /// [`OverRelease`] if fewer are out; none is returned then.
    ///
    /// Python: `gevent.lock.BoundedSemaphore.release`.
    pub fn release(&self, permits: usize) -> Result<(), OverRelease> {
        if self.semaphore.try_put_back(permits) { Ok(()) } else { Err(OverRelease) }
    }

    /// Refuses all waiters and all later calls: [`Semaphore::close`].
    pub fn close(&self) {
        self.semaphore.close();
    }

    /// The number of permits, free or out.
    pub fn capacity(&self) -> usize {
        self.semaphore.capacity()
    }

    /// The number of free permits.
    ///
    /// Python: `gevent.lock.BoundedSemaphore.counter`.
    pub fn available(&self) -> usize {
        self.semaphore.free()
    }

    /// The number of waiters, for one permit or for several.
    pub fn waiting(&self) -> usize {
        self.semaphore.waiting()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.semaphore.is_closed()
    }
}
