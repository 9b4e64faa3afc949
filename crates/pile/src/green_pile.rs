//! [`GreenPile`]: spawn many, take the results as they come.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use spinney_greenlet::{Failure, Greenlet, Handle, Iwait, Task};
use spinney_hub::{Hub, Spawn};
use spinney_pool::{Hooked, Membership};

use crate::GreenPool;

/// A pile of tasks whose results are taken in the order in which they end. `eventlet.GreenPile`,
/// as its documentation has it.
///
/// A stream. Several piles may share a pool. Dropping it kills what it started and nobody has
/// taken, and leaves the rest of its pool alone.
///
/// ```
/// use spinney_pile::{GreenPile, GreenPool};
///
/// spinney_hub::block_on(async {
///     let pool = GreenPool::new(10);
///     let pile = GreenPile::on(&pool);
///     for source in ["database", "cache"] {
///         pile.spawn(async move { format!("Data from {source}") }).await;
///     }
///     assert_eq!(pile.len(), 2);
///     while let Some(data) = pile.next().await {
///         assert!(data.unwrap().starts_with("Data from"));
///     }
/// });
/// ```
pub struct GreenPile<T, X = Hub> {
    pool: GreenPool<X>,
    tasks: Mutex<Iwait<Greenlet<T>>>,
}

impl<T> GreenPile<T> {
    /// A pile with a pool of its own, of `size` slots, on the current [`Hub`];
    /// [`default`](Self::default) has 1000.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::on(&GreenPool::new(size))
    }
}

impl<T, X> GreenPile<T, X> {
    /// A pile whose tasks run in `pool`.
    pub fn on(pool: &GreenPool<X>) -> Self {
        Self { pool: pool.clone(), tasks: Mutex::default() }
    }

    /// Waits for a slot and starts `future` in it, as [`GreenPool::spawn`] does. Its result is
    /// for [`next`](Self::next) to take; the handle controls it. `spawn`.
    ///
    /// # Cancel safety
    ///
    /// As [`GreenPool::spawn`].
    pub async fn spawn<F>(&self, future: F) -> Handle
    where
        F: Future<Output = T>,
        X: Spawn<Task<Hooked<F>, Membership>>,
    {
        let greenlet = self.pool.spawn(future).await;
        let handle = greenlet.handle().clone();
        self.lock().push(greenlet);
        handle
    }

    /// Waits for the next task to end, and takes its result; None if nothing that was spawned is
    /// left to take. A failed task comes out as its failure, and the pile goes on. `next`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped: the result stays for the next call.
    pub fn next(&self) -> Next<'_, T, X> {
        Next { pile: self }
    }

    /// How many tasks were spawned whose results were not taken. `len`.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is no result to take, now or later.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Failure>>> {
        let ended = Pin::new(&mut *self.lock()).poll_next(cx);
        ended.map(|ended| match ended?.try_get() {
            Ok(result) => Some(result),
            Err(alive) => unreachable!("{alive:?} was said to have ended"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Iwait<Greenlet<T>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for GreenPile<T> {
    fn default() -> Self {
        Self::on(&GreenPool::default())
    }
}

impl<T, X> Stream for GreenPile<T, X> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        (*self).poll_next(cx)
    }
}

impl<T, X> Drop for GreenPile<T, X> {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *self.lock());
        tasks.iter().for_each(|greenlet| greenlet.kill_now());
    }
}

impl<T, X> fmt::Debug for GreenPile<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenPile").field("len", &self.len()).field("pool", &self.pool).finish()
    }
}

/// The future of [`GreenPile::next`]. Dropping it leaves the result in the pile.
#[must_use = "nothing is taken unless it is awaited"]
pub struct Next<'a, T, X> {
    pile: &'a GreenPile<T, X>,
}

impl<T, X> Future for Next<'_, T, X> {
    type Output = Option<Result<T, Failure>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.pile.poll_next(cx)
    }
}

impl<T, X> fmt::Debug for Next<'_, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Next").field(self.pile).finish()
    }
}
