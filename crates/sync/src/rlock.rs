//! [`RLock`]: a lock that whoever has it may take again.
//!
//! A lock that is let go is handed to the first who waits; it is theirs from that moment, though
//! they have yet to run. If that owner waits elsewhere, too, those waits are woken along with it,
//! and end out of their order: or else they would wait for their own lock.

use std::fmt;
use std::iter::once;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::primitive::{Mutex, lock};
use crate::waiters::Waiters;
use crate::{NotOwner, Wait};

/// Lets one owner at a time past a point, as often as they like; others wait, first come, first
/// served. `gevent.lock.RLock`.
///
/// An owner is what the caller says it is: a greenlet's id, a thread's. Owners are compared and
/// cloned in the middle of a step, so their [`Eq`] and [`Clone`] must neither use the lock nor
/// panic. Dropping the lock is harmless; guards and waiters borrow it.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let lock = spinney_sync::RLock::new();
/// let outer = lock.acquire("me").await;
/// let inner = lock.acquire("me").await;
/// assert!(lock.try_acquire("you").is_none());
/// drop((outer, inner));
/// assert!(lock.try_acquire("you").is_some());
/// # });
/// ```
pub struct RLock<O> {
    hold: Mutex<Hold<O>>,
}

struct Hold<O> {
    /// None if it is free, and then nobody waits.
    owner: Option<O>,
    /// How often the owner has it.
    depth: usize,
    waiters: Waiters<O>,
}

impl<O: Eq + Clone> RLock<O> {
    /// A lock that is free.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the lock for `owner`, behind those who came before; at once if it is theirs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up its place in the queue; a lock that it had already been
    /// handed goes to the next.
    #[track_caller]
    pub fn acquire(&self, owner: O) -> impl Future<Output = RLockGuard<'_, O>> {
        Turn { lock: self, owner: Some(owner), ticket: None, at: Location::caller() }
    }

    /// Takes the lock for `owner` without waiting: none if it is somebody else's.
    /// `acquire(blocking=False)`.
    pub fn try_acquire(&self, owner: O) -> Option<RLockGuard<'_, O>> {
        let entered = lock(&self.hold).enter(&owner);
        entered.then(|| RLockGuard { lock: self, owner: Some(owner) })
    }

    /// Takes back one time that `owner` took the lock and [forgot](RLockGuard::forget) it. After
    /// the last the lock goes to the first who waits.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] if the lock is not theirs; nothing is changed then.
    pub fn release(&self, owner: &O) -> Result<(), NotOwner> {
        let mut hold = lock(&self.hold);
        if hold.owner.as_ref() != Some(owner) {
            return Err(NotOwner);
        }
        hold.depth -= 1;
        if hold.depth == 0 {
            let before = hold.owner.take();
            let woken = hold.pass_on();
            drop(hold);
            drop(before);
            woken.into_iter().for_each(Waker::wake);
        }
        Ok(())
    }

    /// Whether it is somebody's. `locked`.
    pub fn is_locked(&self) -> bool {
        self.depth() > 0
    }

    /// Whose it is: who has it, or has been handed it and is yet to run.
    pub fn owner(&self) -> Option<O> {
        lock(&self.hold).owner.clone()
    }
}

impl<O> RLock<O> {
    /// How often its owner has it; 0 if it is free.
    pub fn depth(&self) -> usize {
        lock(&self.hold).depth
    }

    /// How many wait for it.
    pub fn waiting(&self) -> usize {
        lock(&self.hold).waiters.len()
    }
}

impl<O: Eq + Clone> Hold<O> {
    /// Lets `owner` in, if it is free or theirs.
    fn enter(&mut self, owner: &O) -> bool {
        match &self.owner {
            Some(other) if other != owner => return false,
            Some(_) => {}
            None => self.owner = Some(owner.clone()),
        }
        self.depth += 1;
        true
    }

    /// Hands the lock, which is free, to the first in the queue. Returns who is to be woken.
    fn pass_on(&mut self) -> Vec<Waker> {
        let Some((_, first)) = self.waiters.pop() else { return Vec::new() };
        let same = self.waiters.iter().filter(|waiter| waiter.want == first.want);
        let woken = once(first.waker).chain(same.map(|waiter| waiter.waker.clone())).collect();
        self.owner = Some(first.want);
        self.depth = 1;
        woken
    }
}

impl<O> Default for RLock<O> {
    fn default() -> Self {
        let hold = Hold { owner: None, depth: 0, waiters: Waiters::default() };
        Self { hold: Mutex::new(hold) }
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

/// An [`RLock`] taken once. Dropping it lets go once; after the last the lock goes to the first
/// who waits.
///
/// ```
/// let lock = spinney_sync::RLock::new();
/// lock.try_acquire(7).unwrap().forget();
/// assert!(lock.is_locked());
/// lock.release(&7)?;
/// assert!(!lock.is_locked());
/// # Ok::<(), spinney_sync::NotOwner>(())
/// ```
#[must_use = "the lock is let go as soon as this is dropped"]
pub struct RLockGuard<'a, O: Eq + Clone> {
    lock: &'a RLock<O>,
    /// None once it is forgotten.
    owner: Option<O>,
}

impl<O: Eq + Clone> RLockGuard<'_, O> {
    /// Keeps the lock without a guard, until [`RLock::release`] lets go.
    pub fn forget(mut self) {
        self.owner = None;
    }
}

impl<O: Eq + Clone> Drop for RLockGuard<'_, O> {
    fn drop(&mut self) {
        if let Some(owner) = &self.owner {
            // Somebody may have released it in this one's place; then it is done.
            let _ = self.lock.release(owner);
        }
    }
}

impl<O: Eq + Clone> fmt::Debug for RLockGuard<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").field("lock", &self.lock).finish_non_exhaustive()
    }
}

/// The future of [`RLock::acquire`].
struct Turn<'a, O: Eq + Clone> {
    lock: &'a RLock<O>,
    /// None once it is done.
    owner: Option<O>,
    /// The place in the queue, once it has one.
    ticket: Option<u64>,
    at: &'static Location<'static>,
}

/// The owner is not pinned in place.
impl<O: Eq + Clone> Unpin for Turn<'_, O> {}

impl<'a, O: Eq + Clone> Future for Turn<'a, O> {
    type Output = RLockGuard<'a, O>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let owner = this.owner.as_ref().expect("polled after it was done");
        let mut hold = lock(&this.lock.hold);
        let served = this.ticket.is_some_and(|ticket| hold.waiters.is_served(ticket));
        if !served && !hold.enter(owner) {
            let before = if let Some(ticket) = this.ticket {
                hold.waiters.update(ticket, cx.waker())
            } else {
                this.ticket = Some(hold.waiters.push(cx.waker().clone(), owner.clone()));
                None
            };
            drop(hold);
            drop(before);
            Wait::note("RLock::acquire", this.at);
            return Poll::Pending;
        }
        let ticket = this.ticket.take().filter(|_| !served);
        let place = ticket.and_then(|ticket| hold.waiters.remove(ticket));
        drop(hold);
        drop(place);
        Poll::Ready(RLockGuard { lock: this.lock, owner: this.owner.take() })
    }
}

impl<O: Eq + Clone> Drop for Turn<'_, O> {
    fn drop(&mut self) {
        let (Some(owner), Some(ticket)) = (&self.owner, self.ticket) else { return };
        let mut hold = lock(&self.lock.hold);
        if hold.waiters.is_served(ticket) {
            drop(hold);
            // As for a guard.
            let _ = self.lock.release(owner);
        } else {
            let place = hold.waiters.remove(ticket);
            drop(hold);
            drop(place);
        }
    }
}
