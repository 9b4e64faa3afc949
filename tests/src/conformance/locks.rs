//! The semaphores and locks of a scenario: ours, or the [barging](super::barging) ones.

use std::cell::RefCell;

use serde_json::{Value, json};
use spinney::Semaphore;
use spinney::sync::{BoundedSemaphore, Permit, RLock, RLockGuard};
use spinney::task::Owner;

use super::barging::Barging;
use super::script::{limited, signed};
use super::world::{Manner, err, ok};

/// A semaphore, which may have a limit.
pub(super) enum AnySemaphore {
    Unbounded(Semaphore),
    Bounded(BoundedSemaphore),
    /// A barging semaphore, and its limit.
    Barging(Barging, usize),
}

impl AnySemaphore {
    pub(super) fn new(manner: Manner, permits: usize) -> Self {
        match manner {
            Manner::Theirs => Self::Barging(Barging::new(permits), usize::MAX),
            _ => Self::Unbounded(Semaphore::new(permits)),
        }
    }

    pub(super) fn bounded(manner: Manner, permits: usize) -> Self {
        match manner {
            Manner::Theirs => Self::Barging(Barging::new(permits), permits),
            _ => Self::Bounded(BoundedSemaphore::new(permits)),
        }
    }

    pub(super) fn has_barged(&self) -> bool {
        matches!(self, Self::Barging(semaphore, _) if semaphore.has_barged())
    }

    pub(super) fn counter(&self) -> isize {
        match self {
            Self::Unbounded(semaphore) => semaphore.available(),
            Self::Bounded(semaphore) => signed(semaphore.available()),
            Self::Barging(semaphore, _) => signed(semaphore.counter()),
        }
    }

    /// The counter minus one for each waiter.
    pub(super) fn balance(&self) -> isize {
        let waiting = match self {
            Self::Unbounded(semaphore) => semaphore.waiting(),
            Self::Bounded(semaphore) => semaphore.waiting(),
            Self::Barging(semaphore, _) => semaphore.waiting(),
        };
        self.counter() - signed(waiting)
    }

    pub(super) fn try_acquire(&self) -> bool {
        match self {
            Self::Unbounded(semaphore) => semaphore.try_acquire().map(Permit::forget).is_ok(),
            Self::Bounded(semaphore) => semaphore.try_acquire().map(Permit::forget).is_ok(),
            Self::Barging(semaphore, _) => semaphore.try_acquire(),
        }
    }

    pub(super) async fn acquire(&self) {
        let permit = match self {
            Self::Unbounded(semaphore) => semaphore.acquire(),
            Self::Bounded(semaphore) => semaphore.acquire(),
            Self::Barging(semaphore, _) => return semaphore.acquire().await,
        };
        permit.await.expect("the semaphore is never closed").forget();
    }

    /// Releases a permit; `false` if all permits are free already.
    pub(super) fn release(&self) -> bool {
        match self {
            Self::Unbounded(semaphore) => semaphore.release(1),
            Self::Bounded(semaphore) => return semaphore.release(1).is_ok(),
            Self::Barging(semaphore, limit) if semaphore.counter() < *limit => semaphore.release(),
            Self::Barging(..) => return false,
        }
        true
    }

    /// `wait`: waits until there is a permit, and does not take it. Waits of ours stand in line.
    async fn wait(&self) -> isize {
        if let Self::Barging(semaphore, _) = self {
            semaphore.wait().await;
            return self.counter();
        }
        self.acquire().await;
        let free = self.counter() + 1;
        self.release();
        free
    }

    /// The op `acquire`.
    pub(super) async fn op_acquire(&self, op: &Value) -> Value {
        if op["blocking"] == false {
            return ok(self.try_acquire());
        }
        ok(limited(op, self.acquire()).await.is_some())
    }

    /// gevent's ops.
    pub(super) async fn run(&self, name: &str, op: &Value) -> Option<Value> {
        Some(match name {
            "acquire" => self.op_acquire(op).await,
            "release" if self.release() => ok(Value::Null),
            "release" => err("ValueError"),
            "sem_wait" => ok(limited(op, self.wait()).await.unwrap_or_else(|| self.counter())),
            _ => return None,
        })
    }
}

/// gevent's `RLock`.
pub(super) enum AnyRLock {
    Ours(RLock<Owner>),
    /// A barging lock, its owner, and how many times it is taken.
    Barging(Barging, RefCell<Option<(Owner, usize)>>),
}

impl AnyRLock {
    pub(super) fn new(manner: Manner) -> Self {
        match manner {
            Manner::Theirs => Self::Barging(Barging::new(1), RefCell::default()),
            _ => Self::Ours(RLock::new()),
        }
    }

    pub(super) fn has_barged(&self) -> bool {
        matches!(self, Self::Barging(permit, _) if permit.has_barged())
    }

    pub(super) fn state(&self) -> Value {
        json!({ "locked": match self {
            Self::Ours(lock) => lock.is_locked(),
            Self::Barging(permit, _) => permit.counter() == 0,
        }})
    }

    pub(super) async fn run(&self, name: &str, op: &Value) -> Option<Value> {
        Some(match name {
            "acquire" => ok(self.acquire(op).await),
            "release" if self.release() => ok(Value::Null),
            "release" => err("RuntimeError"),
            _ => return None,
        })
    }

    async fn acquire(&self, op: &Value) -> bool {
        let me = Owner::current();
        match self {
            Self::Ours(lock) => {
                let guard = if op["blocking"] == false {
                    lock.try_acquire(me)
                } else {
                    limited(op, lock.acquire(me)).await
                };
                guard.map(RLockGuard::forget).is_some()
            }
            Self::Barging(permit, hold) => {
                let mine = hold.borrow().filter(|(owner, _)| *owner == me);
                let acquired = match mine {
                    Some(_) => true,
                    None if op["blocking"] == false => permit.try_acquire(),
                    None => limited(op, permit.acquire()).await.is_some(),
                };
                if acquired {
                    hold.replace(Some((me, mine.map_or(1, |(_, depth)| depth + 1))));
                }
                acquired
            }
        }
    }

    /// `false` if it is not the caller's.
    fn release(&self) -> bool {
        let me = Owner::current();
        match self {
            Self::Ours(lock) => lock.release(&me).is_ok(),
            Self::Barging(permit, hold) => {
                let Some((_, depth)) = hold.borrow().filter(|(owner, _)| *owner == me) else {
                    return false;
                };
                hold.replace((depth > 1).then_some((me, depth - 1)));
                if depth == 1 {
                    permit.release();
                }
                true
            }
        }
    }
}
